//! The `feedback` Lambda function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pushbell::function::serve_events(env!("CARGO_CRATE_NAME"), feedback::State::new, feedback::handle).await
}
