//! One way to run a function, whether it lives in this process or in its own.

use std::process::ExitStatus;
#[cfg(test)]
use std::sync::Arc;

use bytes::Bytes;

use crate::functions::Thread;
use crate::runtime_api::{Pool, ProcessError};

/// Largest event and largest answer of a synchronous invocation, in bytes (Lambda quotas; the exact number is the one
/// in the service's error text).
pub const PAYLOAD_LIMIT: usize = 6_291_556;

/// Why an invocation has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// The event is over [`PAYLOAD_LIMIT`].
    #[error("the event is larger than Lambda takes")]
    EventTooLarge,
    /// The answer is over [`PAYLOAD_LIMIT`].
    #[error("the answer is larger than Lambda takes")]
    AnswerTooLarge,
    /// The function's timeout has passed.
    #[error("the function did not finish in time")]
    TimedOut,
    /// The function reported an error, or panicked.
    #[error("the function failed")]
    Failed,
    /// The function's process could not be started, or ended.
    #[error("the function's environment failed")]
    Environment(#[source] ProcessError),
    /// The stack is being stopped.
    #[error("the stack is stopping")]
    Stopped,
}

/// Runs one function. Clones share it.
#[derive(Clone)]
pub struct Invoker(Road);

#[derive(Clone)]
enum Road {
    InProcess(Thread),
    Processes(Pool),
    #[cfg(test)]
    Stub(Arc<dyn Fn(Bytes) -> Result<Bytes, InvokeError> + Send + Sync>),
    #[cfg(test)]
    Stuck,
}

impl Invoker {
    /// A function of this process.
    pub fn in_process(thread: Thread) -> Self {
        Self(Road::InProcess(thread))
    }

    /// A function in processes of its own.
    pub fn processes(pool: Pool) -> Self {
        Self(Road::Processes(pool))
    }

    /// Its processes, if it has any.
    pub fn pool(&self) -> Option<&Pool> {
        match &self.0 {
            Road::Processes(pool) => Some(pool),
            Road::InProcess(_) => None,
            #[cfg(test)]
            Road::Stub(_) | Road::Stuck => None,
        }
    }

    /// Runs the function once. The run goes on if the caller stops waiting, as Lambda's does.
    pub async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        if event.len() > PAYLOAD_LIMIT {
            return Err(InvokeError::EventTooLarge);
        }
        let answer = match &self.0 {
            Road::InProcess(thread) => thread.invoke(event).await,
            Road::Processes(pool) => pool.invoke(event).await,
            #[cfg(test)]
            Road::Stub(stub) => stub(event),
            #[cfg(test)]
            Road::Stuck => std::future::pending().await,
        }?;
        if answer.len() > PAYLOAD_LIMIT { Err(InvokeError::AnswerTooLarge) } else { Ok(answer) }
    }

    /// Retires every process of the function as Lambda retires environments (SIGTERM first), and waits until they are gone. How each of
    /// them ended; none in process.
    pub async fn retire(&self) -> Vec<ExitStatus> {
        match &self.0 {
            Road::Processes(pool) => pool.retire().await,
            Road::InProcess(_) => Vec::new(),
            #[cfg(test)]
            Road::Stub(_) | Road::Stuck => Vec::new(),
        }
    }

    /// Ends every process of the function as `kill -9` does. The number of processes; 0 in process.
    pub fn kill(&self) -> usize {
        match &self.0 {
            Road::Processes(pool) => pool.kill(),
            Road::InProcess(_) => 0,
            #[cfg(test)]
            Road::Stub(_) | Road::Stuck => 0,
        }
    }
}

#[cfg(test)]
impl Invoker {
    /// A function that answers at once.
    pub(crate) fn stub(answer: impl Fn(Bytes) -> Result<Bytes, InvokeError> + Send + Sync + 'static) -> Self {
        Self(Road::Stub(Arc::new(answer)))
    }

    /// A function that never answers.
    pub(crate) fn stuck() -> Self {
        Self(Road::Stuck)
    }
}
