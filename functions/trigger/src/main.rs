//! The `trigger` Lambda function.

use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use pushbell::env::Environment;
use pushbell::telemetry::metrics::recording;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    pushbell::telemetry::init(env!("CARGO_CRATE_NAME"));
    // As long as the process: what the runtime is given outlives every borrow.
    let state: &'static trigger::State = Box::leak(Box::new(trigger::State::new(&Environment::from_process()?)?));
    let runtime = Runtime::new(service_fn(move |event: LambdaEvent<serde_json::Value>| async move {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        let answer = recording(trigger::handle(state, event.payload, Instant::now() + left)).await;
        // The handler has logged it with its sources; the runtime writes what it is given as it is debugged.
        answer.map_err(|error| Error::from(error.to_string()))
    }));
    pushbell::shutdown::serve(runtime).await
}
