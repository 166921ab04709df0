//! Logs as one JSON object a line. Nothing here or elsewhere writes a token, a secret or a message's text: the types that hold them
//! do not show them.

mod lines;
pub mod metrics;

pub use lines::Lines;

use aws_smithy_types::error::ErrorMetadata;
use tracing::Subscriber;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, dynamic_filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

/// Sends this process's events to standard output, where Lambda takes them. `AWS_LAMBDA_LOG_LEVEL` is the least level that shows
/// (`INFO` without it), for `function`'s crate and this one. Other crates' events show from `WARN` on whatever the level: below it the
/// Lambda runtime writes whole events, credentials and bodies included. Call it once.
pub fn init(function: &str) {
    let lines = layer().with_filter(targets(function, level()));
    // The filter is the lines' own: what is too low to show still counts.
    let events = tracing_subscriber::registry().with(lines).with(metrics::Events::layer());
    // Not `init()`: that would also take in what other crates write with `log`. An error says that this was called before.
    let _ = tracing::subscriber::set_global_default(events);
}

/// The lines of functions that share a process, while `heard` says that somebody hears this thread: what [`init`] shows of their crates at
/// `INFO`, wherever `writer` puts it.
pub fn lines<S, W>(crates: &[&str], heard: fn() -> bool, writer: W) -> impl tracing_subscriber::Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = LevelFilter::INFO;
    let shown = Targets::new().with_default(LevelFilter::WARN);
    let shown = crates.iter().fold(shown, |shown, own| shown.with_target(*own, level));
    layer().with_writer(writer).with_filter(shown.and(dynamic_filter_fn(move |_, _| heard())))
}

/// One JSON object a line.
fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> fmt::Layer<S, JsonFields, fmt::format::Format<fmt::format::Json>>
{
    fmt::layer().json().flatten_event(true).with_span_list(false).with_target(false)
}

/// What shows of `level` and above.
fn targets(function: &str, level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target(function, level)
}

/// The least level that shows.
fn level() -> LevelFilter {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    level.unwrap_or(LevelFilter::INFO)
}

/// The innermost reason of an error. Errors of the AWS SDK name the service's own code there.
#[must_use]
pub fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<ErrorMetadata>() {
        // Written out it is as it is debugged.
        Some(metadata) => {
            let [code, message] = [metadata.code(), metadata.message()].map(Option::unwrap_or_default);
            format!("{code}: {message}")
        }
        None => innermost.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer<E: std::error::Error + 'static>(#[source] E);

    #[test]
    fn a_cause_is_the_innermost_reason_in_words() {
        let said = ErrorMetadata::builder().code("AccessDeniedException").message("not authorized").build();
        assert_eq!(cause(&Outer(Outer(said))), "AccessDeniedException: not authorized");
        assert_eq!(cause(&Outer(std::io::Error::other("disk"))), "disk");
        assert_eq!(cause(&Outer(ErrorMetadata::builder().code("Throttled").build())), "Throttled: ");
    }
}
