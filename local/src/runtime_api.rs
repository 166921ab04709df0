//! Functions in their own processes, on an emulated Lambda Runtime API.
//!
//! Every process has a listener of its own, as every Lambda environment has, so that an answer can only come from the
//! process that was given the event. An environment works on one invocation at a time; it is started by the first
//! invocation that finds none idle, and started again by the next one after it has died or was killed for its timeout.
//!
//! A process that has registered an extension is told of its end as Lambda tells it: SIGTERM, and SIGKILL half a second later. One that
//! has none is killed at once.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::aws::{ACCOUNT, REGION};
use crate::closing::Closing;
use crate::invocation::{InvokeError, PAYLOAD_LIMIT};
use crate::logs::Group;
use crate::store::{now_ms, random_id};

/// How long a process may take until its first poll (Lambda's limit for the init phase).
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a process with an internal extension has between SIGTERM and SIGKILL (Lambda developer guide, "Understanding the Lambda
/// execution environment lifecycle", shutdown phase).
pub const SHUTDOWN: Duration = Duration::from_millis(500);

/// How long a process's last lines are waited for once it has ended. They end with it, unless somebody inherited its output.
const LAST_LINES: Duration = Duration::from_secs(2);

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
    /// How long a process that has an extension may take between SIGTERM and SIGKILL: [`SHUTDOWN`] on Lambda.
    pub shutdown: Duration,
    /// Where the processes' output goes.
    pub output: Output,
    /// The lines of their output, for whoever asks for them. None: it is not read.
    pub log: Option<Group>,
}

/// Where a process's output goes: its standard output and its standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Nowhere.
    Hidden,
    /// To the stack's log groups alone.
    Kept,
    /// There, and where this process's own goes.
    Shown,
    /// To the end of `<function>.log` in this folder.
    Folder(PathBuf),
}

impl Output {
    /// Shown, or hidden.
    pub fn shown_if(shown: bool) -> Self {
        if shown { Self::Shown } else { Self::Hidden }
    }

    /// Whether it is to be read.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Self::Kept | Self::Shown => true,
            Self::Hidden | Self::Folder(_) => false,
        }
    }

    fn open(&self, spec: &Spec) -> std::io::Result<(Stdio, Stdio)> {
        let function = &spec.function;
        if spec.log.is_some() {
            return Ok((Stdio::piped(), Stdio::piped()));
        }
        Ok(match self {
            Self::Hidden | Self::Kept => (Stdio::null(), Stdio::null()),
            Self::Shown => (Stdio::inherit(), Stdio::inherit()),
            Self::Folder(folder) => {
                let path = folder.join(function).with_extension("log");
                let file = File::options().create(true).append(true).open(path)?;
                (file.try_clone()?.into(), file.into())
            }
        })
    }
}

/// A running process, and how fast it was there.
#[derive(Debug, Clone)]
pub struct Started {
    /// Its number.
    pub pid: u32,
    /// Just before it was started.
    pub at: std::time::Instant,
    /// When it first asked for work.
    pub polled: Option<std::time::Instant>,
}

/// The processes of one function. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    spec: Spec,
    dispatch: Mutex<Dispatch>,
    kill: watch::Sender<u64>,
    retire: watch::Sender<u64>,
    invocations: AtomicU64,
}

#[derive(Default)]
struct Dispatch {
    /// Environments without work; the last one that became idle is used first, as Lambda does.
    idle: Vec<usize>,
    waiting: VecDeque<Job>,
    environments: Vec<mpsc::UnboundedSender<Job>>,
    /// By their environment.
    running: BTreeMap<usize, Running>,
}

/// A process that has been started.
struct Running {
    pid: Option<Pid>,
    at: std::time::Instant,
    polled: Arc<OnceLock<std::time::Instant>>,
    extension: watch::Receiver<Extension>,
    /// Whoever waits for its end is told how it ended.
    ended: Option<mpsc::UnboundedSender<ExitStatus>>,
}

struct Job {
    event: Bytes,
    reply: oneshot::Sender<Result<Bytes, InvokeError>>,
}

impl Pool {
    /// Starts no process yet. All of them end when the stack closes.
    pub fn new(spec: Spec, closing: &Closing) -> Self {
        let environments = spec.environments.max(1);
        let shared = Arc::new(Shared {
            spec,
            dispatch: Mutex::default(),
            kill: watch::channel(0).0,
            retire: watch::channel(0).0,
            invocations: AtomicU64::new(0),
        });
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
        let running = self.0.lock().running.len();
        self.0.kill.send_modify(|times| *times += 1);
        running
    }

    /// The processes that are running.
    pub fn running(&self) -> Vec<Started> {
        let dispatch = self.0.lock();
        let processes = dispatch.running.values().filter_map(|running| {
            let pid = u32::try_from(running.pid?.as_raw_nonzero().get()).ok()?;
            Some(Started { pid, at: running.at, polled: running.polled.get().copied() })
        });
        processes.collect()
    }

    /// How many invocations were handed to processes.
    pub fn invocations(&self) -> u64 {
        self.0.invocations.load(Ordering::Relaxed)
    }

    /// Retires every running environment as Lambda does, and waits until its process is gone: SIGTERM, and SIGKILL half a second later.
    /// How each of them ended.
    pub async fn retire(&self) -> Vec<ExitStatus> {
        let mut ends = {
            let (ended, ends) = mpsc::unbounded_channel();
            for running in self.0.lock().running.values_mut() {
                running.ended = Some(ended.clone());
            }
            ends
        };
        self.0.retire.send_modify(|times| *times += 1);
        let mut statuses = Vec::new();
        while let Some(status) = ends.recv().await {
            statuses.push(status);
        }
        statuses
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

    /// Sends SIGTERM to the environment's process, if it has an extension. When SIGKILL is to follow.
    fn terminate(&self, index: usize) -> Instant {
        let now = Instant::now();
        let dispatch = self.lock();
        let Some(Running { pid: Some(pid), extension, .. }) = dispatch.running.get(&index) else { return now };
        if *extension.borrow() == Extension::None {
            return now;
        }
        // It may have ended by itself.
        let _ = kill_process(*pid, Signal::TERM);
        now + self.spec.shutdown
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
    let (mut kill, mut retire) = (shared.kill.subscribe(), shared.retire.subscribe());
    let mut process: Option<Process> = None;
    loop {
        let job = tokio::select! {
            biased;
            () = closing.closed() => break,
            _ = kill.changed() => {
                end(&shared, index, &mut process, Instant::now()).await;
                continue;
            }
            _ = retire.changed() => {
                let until = shared.terminate(index);
                end(&shared, index, &mut process, until).await;
                continue;
            }
            () = exit(&mut process) => {
                end(&shared, index, &mut process, Instant::now()).await;
                continue;
            }
            job = work.recv() => match job {
                Some(job) => job,
                None => break,
            },
        };
        // Until when a process that is to end may take to do it.
        let mut until = None;
        let answer = {
            let mut run = std::pin::pin!(run(&shared, index, &mut process, job.event));
            tokio::select! {
                biased;
                () = closing.closed() => wind_up(&shared, index, run.as_mut(), &mut until, InvokeError::Stopped).await,
                _ = retire.changed() => {
                    let exited = InvokeError::Environment(ProcessError::Exited);
                    wind_up(&shared, index, run.as_mut(), &mut until, exited).await
                }
                _ = kill.changed() => Err(InvokeError::Environment(ProcessError::Exited)),
                answer = &mut run => answer,
            }
        };
        let lives_on = match &answer {
            Ok(_) | Err(InvokeError::Failed | InvokeError::AnswerTooLarge | InvokeError::EventTooLarge) => {
                until.is_none()
            }
            Err(InvokeError::TimedOut | InvokeError::Environment(_) | InvokeError::Stopped) => false,
        };
        if !lives_on {
            end(&shared, index, &mut process, until.unwrap_or_else(Instant::now)).await;
        }
        // Whoever waited may be gone.
        let _ = job.reply.send(answer);
        shared.finished(index);
    }
    let until = shared.terminate(index);
    end(&shared, index, &mut process, until).await;
}

async fn run(shared: &Shared, index: usize, process: &mut Option<Process>, event: Bytes) -> Result<Bytes, InvokeError> {
    let process = match process {
        Some(process) => process,
        None => {
            let started = Process::start(&shared.spec).await.map_err(InvokeError::Environment)?;
            let pid = started.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            let (at, polled) = (started.at, Arc::clone(&started.polled));
            let running = Running { pid, at, polled, extension: started.extension.clone(), ended: None };
            shared.lock().running.insert(index, running);
            process.insert(started)
        }
    };
    shared.invocations.fetch_add(1, Ordering::Relaxed);
    process.work_off(event, shared.spec.timeout).await
}

/// Sends SIGTERM, and gives the invocation under way the time until SIGKILL for its answer.
async fn wind_up(
    shared: &Shared,
    index: usize,
    run: Pin<&mut impl Future<Output = Result<Bytes, InvokeError>>>,
    until: &mut Option<Instant>,
    without_answer: InvokeError,
) -> Result<Bytes, InvokeError> {
    let kill_at = shared.terminate(index);
    *until = Some(kill_at);
    match tokio::time::timeout_at(kill_at, run).await {
        Ok(Err(InvokeError::Environment(_))) | Err(_) => Err(without_answer),
        Ok(answer) => answer,
    }
}

/// Waits until the process is gone, if there is one, and at `until` ends it.
async fn end(shared: &Shared, index: usize, process: &mut Option<Process>, until: Instant) {
    if let Some(mut gone) = process.take() {
        if tokio::time::timeout_at(until, gone.child.wait()).await.is_err() {
            // It may have ended by itself.
            let _ = gone.child.kill().await;
        }
        // What it wrote last. Who inherited its output holds nobody up.
        let _ = tokio::time::timeout(LAST_LINES, async { while gone.readers.join_next().await.is_some() {} }).await;
        let running = shared.lock().running.remove(&index);
        if let (Some(ended), Ok(status)) = (running.and_then(|running| running.ended), gone.child.wait().await) {
            // Whoever waited may be gone.
            let _ = ended.send(status);
        }
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
    at: std::time::Instant,
    polled: Arc<OnceLock<std::time::Instant>>,
    next: mpsc::UnboundedSender<Assigned>,
    reports: mpsc::UnboundedReceiver<Report>,
    extension: watch::Receiver<Extension>,
    server: JoinHandle<()>,
    /// Of its output. They end with it.
    readers: JoinSet<()>,
}

/// Reads a process's output, line by line, into `log`, and shows it where that is wanted.
fn readers(child: &mut Child, log: &Group, output: &Output) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    let shown = *output == Output::Shown;
    if let Some(out) = child.stdout.take() {
        readers.spawn(read(out, log.clone(), shown.then_some(std::io::stdout)));
    }
    if let Some(err) = child.stderr.take() {
        readers.spawn(read(err, log.clone(), shown.then_some(std::io::stderr)));
    }
    readers
}

async fn read<W: Write>(from: impl AsyncRead + Unpin, log: Group, show: Option<fn() -> W>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while let Ok(1..) = from.read_until(b'\n', &mut line).await {
        log.write(String::from_utf8_lossy(&line).trim_end());
        if let Some(show) = show {
            // In one piece. There is nowhere to say that it is closed.
            let _ = show().write_all(&line);
        }
        line.clear();
    }
}

/// The internal extension of a process. Lambda takes ten; ours has one at most.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Extension {
    None,
    /// The init phase does not end before it has asked for an event.
    Registered(String),
    Ready(String),
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
        let (extension, registered) = watch::channel(Extension::None);
        let polled = Arc::new(OnceLock::new());
        let api = Arc::new(Api {
            polled: Arc::clone(&polled),
            function_arn: format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", spec.function),
            assigned: tokio::sync::Mutex::new(assigned),
            timeout: spec.timeout,
            report,
            extension,
            function: spec.function.clone(),
        });
        let router = router(api);
        let server = tokio::spawn(async move {
            // Serving ends when the process is dropped.
            let _ = axum::serve(listener, router).await;
        });
        let (stdout, stderr) = spec.output.open(spec).map_err(failed)?;
        let at = std::time::Instant::now();
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
            .stdout(stdout)
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn();
        match child {
            Ok(mut child) => {
                let readers = spec.log.as_ref().map(|log| readers(&mut child, log, &spec.output)).unwrap_or_default();
                Ok(Self { child, at, polled, next, reports, extension: registered, server, readers })
            }
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
    polled: Arc<OnceLock<std::time::Instant>>,
    function_arn: String,
    timeout: Duration,
    assigned: tokio::sync::Mutex<mpsc::UnboundedReceiver<Assigned>>,
    report: mpsc::UnboundedSender<Report>,
    extension: watch::Sender<Extension>,
    function: String,
}

fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .route("/2020-01-01/extension/register", post(register))
        .route("/2020-01-01/extension/event/next", get(extension_next))
        // An answer that is too large is to be reported as such, not cut.
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let _ = api.polled.set(std::time::Instant::now());
    let ready = |extension: &Extension| !matches!(extension, Extension::Registered(_));
    // An error means that the API is gone, and so is its process.
    let _ = api.extension.subscribe().wait_for(ready).await;
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

/// Registers an internal extension (Lambda developer guide, "Using the Lambda Extensions API"). They may ask for invocations, which is
/// not emulated, and not for the shutdown event: that is for external ones.
async fn register(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Response {
    let wanted: Register = serde_json::from_slice(&body).unwrap_or_default();
    if !headers.contains_key("lambda-extension-name") {
        return refused(StatusCode::BAD_REQUEST, "Extension.InvalidExtensionName");
    }
    if !wanted.events.is_empty() {
        return refused(StatusCode::FORBIDDEN, "Extension.InvalidEventType");
    }
    let id = random_id();
    let registered = api.extension.send_if_modified(|extension| {
        let first = *extension == Extension::None;
        if first {
            *extension = Extension::Registered(id.clone());
        }
        first
    });
    if !registered {
        return refused(StatusCode::FORBIDDEN, "Extension.AlreadyRegistered");
    }
    let about = json!({ "functionName": api.function, "functionVersion": "$LATEST", "handler": "bootstrap" });
    ([("lambda-extension-identifier", id)], Json(about)).into_response()
}

/// An extension that asked for no event waits for ever.
async fn extension_next(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let said = headers.get("lambda-extension-identifier").and_then(|id| id.to_str().ok());
    let known = match &*api.extension.borrow() {
        Extension::Registered(id) | Extension::Ready(id) => (said == Some(id.as_str())).then(|| id.clone()),
        Extension::None => None,
    };
    let Some(id) = known else { return refused(StatusCode::FORBIDDEN, "Extension.UnknownExtensionIdentifier") };
    api.extension.send_replace(Extension::Ready(id));
    std::future::pending().await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Register {
    events: Vec<String>,
}

fn refused(status: StatusCode, kind: &str) -> Response {
    (status, Json(json!({ "errorType": kind, "errorMessage": "the extension is refused" }))).into_response()
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
