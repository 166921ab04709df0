//! The `push-results` Lambda function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pushbell::function::serve_http(env!("CARGO_CRATE_NAME"), push_results::State::new, push_results::handle).await
}
