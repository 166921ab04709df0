//! The Lambda function behind OpenIM's push hooks.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pushbell::function::serve_http(env!("CARGO_CRATE_NAME"), before_push::State::new, before_push::handle).await
}
