//! The deployed functions, run inside this process. To add one: one variant, one arm in each of the two matches.
//!
//! Each has a thread with a single-threaded runtime, as its own process has. Unlike that, it works on many invocations
//! at a time, with one state.

use std::rc::Rc;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::SqsEvent;
use bytes::Bytes;
use lambda_http::Response;
use pushbell::env::{EnvError, Environment};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::closing::Closing;
use crate::gateway::event::Answer;
use crate::invocation::InvokeError;
use crate::logs::{self, Group};

/// A function with its clients built, as after Lambda's init phase.
pub enum Function {
    /// `functions/generic-push`
    GenericPush(Box<generic_push::State>),
    /// `functions/before-push`
    BeforePush(Box<before_push::State>),
    /// `functions/devices`
    Devices(Box<devices::State>),
    /// `functions/stats`
    Stats(Box<stats::State>),
    /// `functions/fan-out`
    FanOut(Box<fan_out::State>),
    /// `functions/deliver`
    Deliver(Box<deliver::State>),
    /// `functions/notify`
    Notify(Box<notify::State>),
    /// `functions/push-results`
    PushResults(Box<push_results::State>),
    /// `functions/tally`
    Tally(Box<tally::State>),
    /// `functions/report`
    Report(Box<report::State>),
    /// `functions/feedback`
    Feedback(Box<feedback::State>),
    /// `functions/retry`
    Retry(Box<retry::State>),
    /// `functions/trigger`
    Trigger(Box<trigger::State>),
}

/// Why a function could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The template deploys a package that this crate does not know.
    #[error("the template deploys {0}, which the local stack does not know")]
    Unknown(String),
    /// A variable is missing.
    #[error("{package} lacks a variable")]
    Environment {
        /// The function's workspace package.
        package: String,
        /// Which variable.
        source: EnvError,
    },
    /// There are no more threads.
    #[error("cannot start a thread for {package}")]
    Thread {
        /// The function's workspace package.
        package: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// Why a run of a function failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// The event is not one of the function's kind.
    #[error("the event cannot be read")]
    Event(#[source] serde_json::Error),
    /// The answer is not JSON.
    #[error("the answer cannot be written")]
    Answer(#[source] serde_json::Error),
    /// `retry` reported an error.
    #[error(transparent)]
    Retry(#[from] retry::RetryError),
    /// `trigger` reported an error.
    #[error(transparent)]
    Trigger(#[from] trigger::TriggerError),
}

impl Function {
    /// Builds the function of that workspace package.
    pub fn load(package: &str, environment: &Environment) -> Result<Self, LoadError> {
        match package {
            "generic-push" => generic_push::State::new(environment).map(|state| Self::GenericPush(Box::new(state))),
            "before-push" => before_push::State::new(environment).map(|state| Self::BeforePush(Box::new(state))),
            "devices" => devices::State::new(environment).map(|state| Self::Devices(Box::new(state))),
            "stats" => stats::State::new(environment).map(|state| Self::Stats(Box::new(state))),
            "fan-out" => fan_out::State::new(environment).map(|state| Self::FanOut(Box::new(state))),
            "deliver" => deliver::State::new(environment).map(|state| Self::Deliver(Box::new(state))),
            "notify" => notify::State::new(environment).map(|state| Self::Notify(Box::new(state))),
            "push-results" => push_results::State::new(environment).map(|state| Self::PushResults(Box::new(state))),
            "tally" => tally::State::new(environment).map(|state| Self::Tally(Box::new(state))),
            "report" => report::State::new(environment).map(|state| Self::Report(Box::new(state))),
            "feedback" => feedback::State::new(environment).map(|state| Self::Feedback(Box::new(state))),
            "retry" => retry::State::new(environment).map(|state| Self::Retry(Box::new(state))),
            "trigger" => trigger::State::new(environment).map(|state| Self::Trigger(Box::new(state))),
            other => return Err(LoadError::Unknown(other.to_owned())),
        }
        .map_err(|source| LoadError::Environment { package: package.to_owned(), source })
    }

    /// Runs the function on an event as AWS sends it, and gives its answer as it would be reported.
    pub async fn invoke(&self, event: Bytes, deadline: Instant) -> Result<Bytes, FunctionError> {
        match self {
            Self::GenericPush(state) => answer(generic_push::handle(state, request(&event)?).await),
            Self::BeforePush(state) => answer(before_push::handle(state, request(&event)?).await),
            Self::Devices(state) => answer(devices::handle(state, request(&event)?).await),
            Self::Notify(state) => answer(notify::handle(state, request(&event)?).await),
            Self::Stats(state) => answer(stats::handle(state, request(&event)?).await),
            Self::PushResults(state) => answer(push_results::handle(state, request(&event)?).await),
            Self::Tally(state) => json(&tally::handle(state, records(&event)?, deadline).await),
            Self::Report(state) => json(&report::handle(state, records(&event)?, deadline).await),
            Self::FanOut(state) => json(&fan_out::handle(state, records(&event)?, deadline).await),
            Self::Deliver(state) => json(&deliver::handle(state, records(&event)?, deadline).await),
            Self::Feedback(state) => json(&feedback::handle(state, records(&event)?, deadline).await),
            Self::Retry(state) => {
                retry::handle(state, &serde_json::from_slice(&event).map_err(FunctionError::Event)?, deadline).await?;
                Ok(Bytes::from_static(b"null"))
            }
            Self::Trigger(state) => {
                let event = serde_json::from_slice(&event).map_err(FunctionError::Event)?;
                json(&trigger::handle(state, event, deadline).await?)
            }
        }
    }
}

/// A function on its thread. Clones share it; it ends with the last of them, or when the stack closes.
#[derive(Clone)]
pub struct Thread {
    jobs: mpsc::UnboundedSender<Job>,
}

struct Job {
    event: Bytes,
    reply: oneshot::Sender<Result<Bytes, InvokeError>>,
}

impl Thread {
    /// Builds the function of that workspace package and starts its thread, whose lines are `log`'s. An invocation may take `timeout`.
    pub fn start(
        package: &str,
        environment: &Environment,
        timeout: Duration,
        log: Group,
        closing: Closing,
    ) -> Result<Self, LoadError> {
        let function = Function::load(package, environment)?;
        let failed = |source| LoadError::Thread { package: package.to_owned(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (jobs, work) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name(package.to_owned())
            .spawn(move || {
                logs::hear(log);
                let tasks = LocalSet::new();
                tasks.block_on(&runtime, work_off(function, work, timeout, closing));
                // What is left of a run closes its connections, for which it needs the runtime.
                let _context = runtime.enter();
                drop(tasks);
            })
            .map_err(failed)?;
        Ok(Self { jobs })
    }

    /// Runs the function once. The run goes on if the caller stops waiting.
    pub async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        let (reply, answer) = oneshot::channel();
        if self.jobs.send(Job { event, reply }).is_err() {
            return Err(InvokeError::Stopped);
        }
        // Nobody answers for a run that panicked.
        answer.await.unwrap_or(Err(InvokeError::Failed))
    }
}

async fn work_off(function: Function, mut work: mpsc::UnboundedReceiver<Job>, timeout: Duration, mut closing: Closing) {
    let function = Rc::new(function);
    loop {
        let job = tokio::select! {
            () = closing.closed() => return,
            job = work.recv() => job,
        };
        let Some(Job { event, reply }) = job else { return };
        let (function, mut closing) = (Rc::clone(&function), closing.clone());
        tokio::task::spawn_local(async move {
            let answer = tokio::select! {
                answer = function.invoke(event, Instant::now() + timeout) => answer.map_err(|error| {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a function failed");
                    InvokeError::Failed
                }),
                () = tokio::time::sleep(timeout) => Err(InvokeError::TimedOut),
                () = closing.closed() => Err(InvokeError::Stopped),
            };
            // Whoever waited may be gone.
            let _ = reply.send(answer);
        });
    }
}

fn request(event: &Bytes) -> Result<lambda_http::Request, FunctionError> {
    let text = std::str::from_utf8(event).map_err(|error| FunctionError::Event(serde::de::Error::custom(error)))?;
    lambda_http::request::from_str(text).map_err(FunctionError::Event)
}

fn records(event: &Bytes) -> Result<SqsEvent, FunctionError> {
    serde_json::from_slice(event).map_err(FunctionError::Event)
}

fn answer(response: Response<lambda_http::Body>) -> Result<Bytes, FunctionError> {
    json(&Answer::from_response(response))
}

fn json<T: serde::Serialize>(value: &T) -> Result<Bytes, FunctionError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(FunctionError::Answer)
}
