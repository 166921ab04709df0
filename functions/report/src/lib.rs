//! `report`: sends outcomes to the apps' own addresses.

use std::time::Instant;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use pushbell::env::{EnvError, Environment};
use pushbell::function::batch_response;
use pushbell::queue::Work;

/// What one environment keeps between invocations.
pub struct State {
    _work: Work,
}

impl State {
    /// The clients that `env` describes.
    ///
    /// # Errors
    /// When a variable is missing.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self { _work: Work::new(env)? })
    }
}

/// Works on the records of `event`. The answer names those that are to come again.
pub async fn handle(_state: &State, event: SqsEvent, _deadline: Instant) -> SqsBatchResponse {
    batch_response::<EnvError>(&event, Vec::new())
}
