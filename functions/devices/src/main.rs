//! The Lambda function that registers devices and keeps badges, preferences and attributes.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pushbell::function::serve_http(env!("CARGO_CRATE_NAME"), devices::State::new, devices::handle).await
}
