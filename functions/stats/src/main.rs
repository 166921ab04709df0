//! The Lambda function that tells what became of tasks, and hears of receipts.

use std::process::ExitCode;

use lambda_http::service_fn;
use pushbell::env::Environment;
use pushbell::telemetry::metrics::recording;
use stats::State;

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
    // As long as the process: what the runtime is given outlives every borrow.
    let state: &'static State = Box::leak(Box::new(state));
    let runtime = lambda_http::runtime(service_fn(move |request| async move {
        Ok::<_, std::convert::Infallible>(recording(stats::handle(state, request)).await)
    }));
    match pushbell::shutdown::serve(runtime).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the runtime ended");
            ExitCode::FAILURE
        }
    }
}
