//! Functions in their own processes, on an emulated Lambda Runtime API.
//!
//! Every process has a listener of its own, as every Lambda environment has, so that an answer can only come from the
//! process that was given the event. An environment works on one invocation at a time; it is started by the first
//! invocation that finds none idle, and started again by the next one after it has died or was killed for its timeout.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::aws::{ACCOUNT, REGION};
use crate::closing::Closing;
use crate::invocation::{InvokeError, PAYLOAD_LIMIT};
use crate::store::{now_ms, random_id};

/// How long a process may take until its first poll (Lambda's limit for the init phase).
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a process did not work off an invocation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The binary is not there or cannot be run. `cargo build --workspace` builds it.
    #[error("cannot start {binary}")]
    Start {
        /// The binary.
        binary: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The process reported that it cannot work, or did not poll in time.
    #[error("the process did not initialize")]
    Init,
    /// The process ended during the invocation.
    #[error("the process ended")]
    Exited,
}

/// What the processes of one function are started with.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name of the function.
    pub function: String,
    /// The executable.
    pub binary: PathBuf,
    /// Its variables, beside those that Lambda sets. Nothing is inherited.
    pub variables: Vec<(String, String)>,
    /// Memory in megabytes; told to the function, not enforced.
    pub memory_mb: u32,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// Most processes at once; at least one is assumed.
    pub environments: usize,
    /// Whether the processes' output is shown.
    pub output: bool,
}

/// The processes of one function. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    spec: Spec,
    dispatch: Mutex<Dispatch>,
    kill: watch::Sender<u64>,
}

#[derive(Default)]
struct Dispatch {
    /// Environments without work; the last one that became idle is used first, as Lambda does.
    idle: Vec<usize>,
    waiting: VecDeque<Job>,
    environments: Vec<mpsc::UnboundedSender<Job>>,
    running: usize,
}

struct Job {
    event: Bytes,
    reply: oneshot::Sender<Result<Bytes, InvokeError>>,
}

impl Pool {
    /// Starts no process yet. All of them end when the stack closes.
    pub fn new(spec: Spec, closing: &Closing) -> Self {
        let environments = spec.environments.max(1);
        let shared = Arc::new(Shared { spec, dispatch: Mutex::default(), kill: watch::channel(0).0 });
        let mut dispatch = shared.lock();
        for index in 0..environments {
            let (jobs, work) = mpsc::unbounded_channel();
            dispatch.environments.push(jobs);
            dispatch.idle.push(index);
            tokio::spawn(environment(Arc::clone(&shared), index, work, closing.clone()));
        }
        dispatch.idle.reverse();
        drop(dispatch);
        Self(shared)
    }

    /// Runs one invocation on an idle environment, or on the first that becomes idle.
    pub async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        let (reply, answer) = oneshot::channel();
        self.0.assign(Job { event, reply });
        answer.await.unwrap_or(Err(InvokeError::Stopped))
    }

    /// Ends every running process as `kill -9` does, and says how many there were.
    pub fn kill(&self) -> usize {
        let running = self.0.lock().running;
        self.0.kill.send_modify(|times| *times += 1);
        running
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Dispatch> {
        self.dispatch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assign(&self, job: Job) {
        let mut dispatch = self.lock();
        match dispatch.idle.pop() {
            // A closed channel drops the job, and with it the reply: the caller sees a stack that stops.
            Some(index) => drop(dispatch.environments.get(index).map(|jobs| jobs.send(job))),
            None => dispatch.waiting.push_back(job),
        }
    }

    fn finished(&self, index: usize) {
        let mut dispatch = self.lock();
        match dispatch.waiting.pop_front() {
            Some(job) => drop(dispatch.environments.get(index).map(|jobs| jobs.send(job))),
            None => dispatch.idle.push(index),
        }
    }
}

/// One environment: at most one process, one invocation at a time.
async fn environment(shared: Arc<Shared>, index: usize, mut work: mpsc::UnboundedReceiver<Job>, mut closing: Closing) {
    let mut kill = shared.kill.subscribe();
    let mut process: Option<Process> = None;
    loop {
        let job = tokio::select! {
            biased;
            () = closing.closed() => break,
            _ = kill.changed() => {
                end(&shared, &mut process).await;
                continue;
            }
            () = exit(&mut process) => {
                end(&shared, &mut process).await;
                continue;
            }
            job = work.recv() => match job {
                Some(job) => job,
                None => break,
            },
        };
        let answer = tokio::select! {
            biased;
            () = closing.closed() => Err(InvokeError::Stopped),
            _ = kill.changed() => Err(InvokeError::Environment(ProcessError::Exited)),
            answer = run(&shared, &mut process, job.event) => answer,
        };
        match &answer {
            Ok(_) | Err(InvokeError::Failed | InvokeError::AnswerTooLarge | InvokeError::EventTooLarge) => {}
            Err(InvokeError::TimedOut | InvokeError::Environment(_) | InvokeError::Stopped) => {
                end(&shared, &mut process).await;
            }
        }
        // Whoever waited may be gone.
        let _ = job.reply.send(answer);
        shared.finished(index);
    }
    end(&shared, &mut process).await;
}

async fn run(shared: &Shared, process: &mut Option<Process>, event: Bytes) -> Result<Bytes, InvokeError> {
    let process = match process {
        Some(process) => process,
        None => {
            let started = Process::start(&shared.spec).await.map_err(InvokeError::Environment)?;
            shared.lock().running += 1;
            process.insert(started)
        }
    };
    process.work_off(event, shared.spec.timeout).await
}

/// Ends the process, if there is one, and waits until it is gone.
async fn end(shared: &Shared, process: &mut Option<Process>) {
    if let Some(mut gone) = process.take() {
        // It may have ended by itself.
        let _ = gone.child.kill().await;
        shared.lock().running -= 1;
    }
}

async fn exit(process: &mut Option<Process>) {
    match process {
        Some(process) => drop(process.child.wait().await),
        None => std::future::pending().await,
    }
}

struct Process {
    child: Child,
    next: mpsc::UnboundedSender<Assigned>,
    reports: mpsc::UnboundedReceiver<Report>,
    server: JoinHandle<()>,
}

struct Assigned {
    request_id: String,
    event: Bytes,
}

/// What a process said, about the invocation of that id.
enum Report {
    Started(String),
    Response(String, Bytes),
    Error(String),
    InitError,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Process {
    async fn start(spec: &Spec) -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::Start { binary: spec.binary.clone(), source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (next, assigned) = mpsc::unbounded_channel();
        let (report, reports) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            function_arn: format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", spec.function),
            assigned: tokio::sync::Mutex::new(assigned),
            timeout: spec.timeout,
            report,
        });
        let router = router(api);
        let server = tokio::spawn(async move {
            // Serving ends when the process is dropped.
            let _ = axum::serve(listener, router).await;
        });
        let output = || if spec.output { Stdio::inherit() } else { Stdio::null() };
        let child = Command::new(&spec.binary)
            .env_clear()
            .envs(spec.variables.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", &spec.function)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string())
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", spec.function))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/[$LATEST]{address}"))
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("_HANDLER", "bootstrap")
            .env("TZ", ":UTC")
            // A Ctrl-C in a terminal is for the stack, which ends its processes when their work is done.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .kill_on_drop(true)
            .spawn();
        match child {
            Ok(child) => Ok(Self { child, next, reports, server }),
            Err(source) => {
                server.abort();
                Err(failed(source))
            }
        }
    }
    /// Hands out one event and waits for its answer. The time for the init phase and the time for the invocation are
    /// counted apart.
    async fn work_off(&mut self, event: Bytes, timeout: Duration) -> Result<Bytes, InvokeError> {
        let request_id = random_id();
        let assigned = Assigned { request_id: request_id.clone(), event };
        if self.next.send(assigned).is_err() {
            return Err(InvokeError::Environment(ProcessError::Exited));
        }
        let mut started = false;
        let mut until = Instant::now() + INIT_TIMEOUT;
        loop {
            let report = tokio::select! {
                biased;
                report = self.reports.recv() => report,
                _ = self.child.wait() => None,
                () = tokio::time::sleep_until(until) => {
                    return Err(if started { InvokeError::TimedOut } else { InvokeError::Environment(ProcessError::Init) });
                }
            };
            match report {
                Some(Report::Started(id)) if id == request_id => {
                    started = true;
                    until = Instant::now() + timeout;
                }
                Some(Report::Response(id, body)) if id == request_id => {
                    return if body.len() > PAYLOAD_LIMIT { Err(InvokeError::AnswerTooLarge) } else { Ok(body) };
                }
                Some(Report::Error(id)) if id == request_id => return Err(InvokeError::Failed),
                Some(Report::Started(_) | Report::Response(..) | Report::Error(_)) => {}
                Some(Report::InitError) => return Err(InvokeError::Environment(ProcessError::Init)),
                None => return Err(InvokeError::Environment(ProcessError::Exited)),
            }
        }
    }
}

/// The Runtime API of one process (Lambda developer guide, "Using the Lambda runtime API").
struct Api {
    function_arn: String,
    timeout: Duration,
    assigned: tokio::sync::Mutex<mpsc::UnboundedReceiver<Assigned>>,
    report: mpsc::UnboundedSender<Report>,
}

fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        // An answer that is too large is to be reported as such, not cut.
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let Some(assigned) = api.assigned.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let timeout_ms = i64::try_from(api.timeout.as_millis()).unwrap_or(i64::MAX);
    let headers = [
        ("lambda-runtime-aws-request-id", assigned.request_id.clone()),
        ("lambda-runtime-deadline-ms", now_ms().saturating_add(timeout_ms).to_string()),
        ("lambda-runtime-invoked-function-arn", api.function_arn.clone()),
        ("lambda-runtime-trace-id", trace_id()),
        ("content-type", "application/json".to_owned()),
    ];
    api.say(Report::Started(assigned.request_id));
    (headers, assigned.event).into_response()
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> Response {
    api.say(Report::Response(id, body));
    accepted()
}

async fn error(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Response {
    api.say(Report::Error(id));
    accepted()
}

async fn init_error(State(api): State<Arc<Api>>) -> Response {
    api.say(Report::InitError);
    accepted()
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, [("content-type", "application/json")], "{\"status\":\"OK\"}").into_response()
}

fn trace_id() -> String {
    let unique: String = random_id().chars().filter(|c| *c != '-').collect();
    let (root, parent) = (unique.get(..24).unwrap_or_default(), unique.get(16..).unwrap_or_default());
    format!("Root=1-{:08x}-{root};Parent={parent};Sampled=0", now_ms() / 1_000)
}

impl Api {
    fn say(&self, report: Report) {
        // Nobody listens once the process is given up.
        let _ = self.report.send(report);
    }
}

#[cfg(test)]
mod tests;
