//! The `feedback` Lambda function.

use aws_lambda_events::event::sns::SnsEvent;
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use pushbell::env::Environment;
use pushbell::telemetry::metrics::recording;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    pushbell::telemetry::init(env!("CARGO_CRATE_NAME"));
    // As long as the process: what the runtime is given outlives every borrow.
    let state: &'static feedback::State = Box::leak(Box::new(feedback::State::new(&Environment::from_process()?)?));
    let runtime = Runtime::new(service_fn(move |event: LambdaEvent<SnsEvent>| async move {
        let run = recording(feedback::handle(state, &event.payload)).await;
        // The handler has logged it with its sources; the runtime writes what it is given as it is debugged.
        run.map_err(|error| Error::from(error.to_string()))
    }));
    pushbell::shutdown::serve(runtime).await
}
