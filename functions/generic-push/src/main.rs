//! The Lambda function behind IMKIT's push callback.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pushbell::function::serve_http(env!("CARGO_CRATE_NAME"), generic_push::State::new, generic_push::handle).await
}
