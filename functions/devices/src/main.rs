//! The Lambda function that registers devices and keeps badges and preferences.

use std::process::ExitCode;

use devices::State;
use lambda_http::service_fn;
use pushbell::env::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pushbell::telemetry::init(env!("CARGO_CRATE_NAME"));
    let state = match Environment::from_process().and_then(|env| State::new(&env)) {
        Ok(state) => state,
        Err(error) => {
            tracing::error!(%error, "the function cannot start");
            return ExitCode::FAILURE;
        }
    };
    let state = &state;
    let served = lambda_http::run(service_fn(|request| async move {
        Ok::<_, std::convert::Infallible>(devices::handle(state, request).await)
    }));
    match served.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the runtime ended");
            ExitCode::FAILURE
        }
    }
}
