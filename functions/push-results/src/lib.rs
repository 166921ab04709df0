//! `push-results`: what Tencent reports about pushes goes into the queue of results.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use pushbell::env::{EnvError, Environment};
use pushbell::queue::Work;

/// What one process keeps between calls.
pub struct State {
    _work: Work,
}

impl State {
    /// Connections are made by the first call that needs them.
    ///
    /// # Errors
    /// When `env` lacks a table or a queue.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self { _work: Work::new(env)? })
    }
}

/// Answers one call, and writes one line about it.
pub async fn handle(_state: &State, _request: Request) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
