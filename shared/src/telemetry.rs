//! Logs as one JSON object a line. Nothing here or elsewhere writes a token, a secret or a message's text: the types that hold them
//! do not show them.

use tracing_subscriber::filter::LevelFilter;

/// Sends this process's events to standard output, where Lambda takes them. `AWS_LAMBDA_LOG_LEVEL` is the least level that shows
/// (`INFO` without it). Call it once.
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_target(false)
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .init();
}
