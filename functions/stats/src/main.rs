//! The Lambda function that tells what became of tasks, and hears of receipts.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pushbell::function::serve_http(env!("CARGO_CRATE_NAME"), stats::State::new, stats::handle).await
}
