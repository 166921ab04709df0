//! The end of an environment: SIGTERM, and what is left of the time after it.
//!
//! After SIGTERM no work is begun. What is under way ends as soon as it can: `deliver` and `retry` look at [`begun`] where they look at
//! their time, and treat it as over. Then the answer is posted, and the process ends with 0. Nothing depends on it: a process that is
//! killed instead leaves its records in their queue, and its rows in their tables.
//!
//! Lambda sends SIGTERM only to environments with an extension, and 500 ms later SIGKILL (AWS Lambda developer guide, "Understanding
//! the Lambda execution environment lifecycle", shutdown phase). So the process registers itself as one, for no events: one call to
//! the machine's own runtime API while the environment starts, and one that is never answered.

use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use lambda_runtime::{Error, LambdaInvocation, Runtime, Service};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The version of the Extensions API.
const API: &str = "/2020-01-01/extension";
/// Unique among the function's extensions.
const NAME: &str = "pushbell";
/// How long the registration may take; without it the environment works as well.
const REGISTRATION: Duration = Duration::from_secs(1);
/// What calls to others have after SIGTERM: less than half of Lambda's 500 ms, as a result row and leftovers are written after them.
const LAST_CALLS: Duration = Duration::from_millis(200);

static BEGUN: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// Whether the process was told to end: no work is to be begun any more.
#[must_use]
pub fn begun() -> bool {
    *BEGUN.borrow()
}

/// Returns when calls that are under way are to be given up, 200 ms after SIGTERM.
pub async fn calls_end() {
    // The sender is never dropped.
    let _ = BEGUN.subscribe().wait_for(|begun| *begun).await;
    tokio::time::sleep(LAST_CALLS).await;
}

/// Serves invocations until SIGTERM, and then the one under way to its end.
///
/// # Errors
/// When the runtime API cannot be reached, or signals cannot be had.
pub async fn serve<S>(runtime: Runtime<S>) -> Result<(), Error>
where
    S: Service<LambdaInvocation, Response = (), Error = Error>,
    S::Future: 'static,
{
    let mut terminate = signal(SignalKind::terminate())?;
    match tokio::time::timeout(REGISTRATION, register()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "there will be no SIGTERM"),
        Err(_) => tracing::warn!("there will be no SIGTERM: the registration was not answered"),
    }
    let busy = watch::Sender::new(false);
    let mut idle = busy.subscribe();
    let runtime =
        runtime.layer(lambda_runtime::tower::layer::layer_fn(move |inner| Watched { inner, busy: busy.clone() }));
    let told = async {
        terminate.recv().await;
        BEGUN.send_replace(true);
        // An error means that the runtime is gone.
        let _ = idle.wait_for(|busy| !*busy).await;
    };
    tokio::select! {
        biased;
        () = told => Ok(()),
        ended = runtime.run() => ended,
    }
}

/// Knows whether an invocation is under way, from its event to the answer that was posted.
struct Watched<S> {
    inner: S,
    busy: watch::Sender<bool>,
}

impl<S> Service<LambdaInvocation> for Watched<S>
where
    S: Service<LambdaInvocation, Response = (), Error = Error>,
    S::Future: 'static,
{
    type Response = ();
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        self.busy.send_replace(true);
        let (served, busy) = (self.inner.call(invocation), self.busy.clone());
        Box::pin(async move {
            let served = served.await;
            busy.send_replace(false);
            if begun() {
                // The next event is not asked for: it would be lost.
                std::future::pending::<()>().await;
            }
            served
        })
    }
}

/// Why the process is no extension.
#[derive(Debug, thiserror::Error)]
enum RegistrationError {
    #[error("there is no runtime API")]
    NoApi(#[from] std::env::VarError),
    #[error("the runtime API cannot be reached")]
    Connect(#[from] std::io::Error),
    #[error("the runtime API did not answer")]
    Call(#[from] hyper::Error),
    #[error("the runtime API's address is none")]
    Request(#[from] http::Error),
    #[error("the registration was answered {0}")]
    Refused(StatusCode),
}

/// Registers the process as an extension, and asks for the first event, which never comes: without that call the environment does not
/// become ready.
async fn register() -> Result<(), RegistrationError> {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let stream = TcpStream::connect(&address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post(format!("{API}/register"))
        .header(HOST, &address)
        .header(CONTENT_TYPE, "application/json")
        .header("lambda-extension-name", NAME)
        .body(Full::from(r#"{"events":[]}"#))?;
    let answer = sender.send_request(request).await?;
    let (head, body) = answer.into_parts();
    body.collect().await?;
    let id = head.headers.get("lambda-extension-identifier").filter(|_| head.status.is_success());
    let Some(id) = id else { return Err(RegistrationError::Refused(head.status)) };
    let next = Request::get(format!("{API}/event/next"))
        .header(HOST, &address)
        .header("lambda-extension-identifier", id)
        .body(Full::default())?;
    tokio::spawn(ask(sender, next));
    Ok(())
}

async fn ask(mut sender: SendRequest<Full<Bytes>>, next: Request<Full<Bytes>>) {
    // There are no events; the connection is held until the process ends.
    let _ = sender.send_request(next).await;
}
