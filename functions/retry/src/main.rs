//! The `retry` Lambda function.

use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use pushbell::env::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    pushbell::telemetry::init(env!("CARGO_CRATE_NAME"));
    let state = retry::State::new(&Environment::from_process()?)?;
    let state = &state;
    lambda_runtime::run(service_fn(|event: LambdaEvent<retry::Tick>| async move {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        Ok::<_, Error>(retry::handle(state, &event.payload, Instant::now() + left).await?)
    }))
    .await
}
