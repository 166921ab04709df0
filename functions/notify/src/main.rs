//! The Lambda function that notifies audiences.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pushbell::function::serve_http(env!("CARGO_CRATE_NAME"), notify::State::new, notify::handle).await
}
