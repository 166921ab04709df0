//! How a function behind the HTTP API runs: its clients are built, then it serves calls until it is told to end.

use std::convert::Infallible;
use std::process::ExitCode;

use lambda_http::{Body, Request, Response, service_fn};

use crate::env::{EnvError, Environment};
use crate::{shutdown, telemetry};

/// Serves calls with `handle`, which is given what `new` makes of the process's environment, and writes each call's metrics. `name` is the
/// function's in the log.
pub async fn serve_http<S, F>(
    name: &'static str,
    new: impl FnOnce(&Environment) -> Result<S, EnvError>,
    handle: impl Fn(&'static S, Request) -> F + Send + Sync + 'static,
) -> ExitCode
where
    S: Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    telemetry::init(name);
    let state = match Environment::from_process().and_then(|env| new(&env)) {
        Ok(state) => state,
        Err(error) => {
            tracing::error!(%error, "the function cannot start");
            return ExitCode::FAILURE;
        }
    };
    // As long as the process: what the runtime is given outlives every borrow.
    let state: &'static S = Box::leak(Box::new(state));
    let runtime = lambda_http::runtime(service_fn(move |request| {
        let answer = telemetry::metrics::recording(handle(state, request));
        async move { Ok::<_, Infallible>(answer.await) }
    }));
    match shutdown::serve(runtime).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the runtime ended");
            ExitCode::FAILURE
        }
    }
}
