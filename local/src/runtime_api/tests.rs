//! The process under test is this test binary itself, started again to run [`plays_the_function`] on the real
//! `lambda_runtime`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path as FilePath;
use std::sync::LazyLock;

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt as _;

use super::*;
use crate::closing::{Closer, closer};

/// Set in the processes that play the function.
const PLAYS: &str = "PUSHBELL_TEST_PLAYS_A_FUNCTION";

/// A file that starts this binary with the arguments that make it play the function.
///
/// Made once and before any process is started: a file that is open for writing in a process which is just being
/// forked cannot be executed.
fn script() -> &'static FilePath {
    static SCRIPT: LazyLock<PathBuf> = LazyLock::new(|| {
        let this = std::env::current_exe().unwrap();
        let script = this.with_extension("function");
        let text = format!("#!/bin/sh\nexec '{}' --exact runtime_api::tests::plays_the_function\n", this.display());
        if std::fs::read_to_string(&script).ok().as_deref() != Some(&text) {
            std::fs::write(&script, text).unwrap();
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        script
    });
    &SCRIPT
}

struct Bed {
    pool: Pool,
    closer: Closer,
}

impl Bed {
    fn new(environments: usize, timeout: Duration, plays: &str) -> Self {
        Self::with(environments, timeout, PATIENT, plays)
    }

    fn with(environments: usize, timeout: Duration, shutdown: Duration, plays: &str) -> Self {
        let (closer, closing) = closer();
        let spec = Spec {
            function: "played".to_owned(),
            binary: script().to_owned(),
            variables: vec![(PLAYS.to_owned(), plays.to_owned())],
            memory_mb: 256,
            timeout,
            environments,
            shutdown,
            output: Output::Hidden,
            log: None,
        };
        Self { pool: Pool::new(spec, &closing), closer }
    }

    async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        let answer = self.pool.invoke(event.to_string().into()).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    async fn process_id(&self) -> u64 {
        self.invoke(json!({})).await.unwrap()["process"].as_u64().unwrap()
    }
}

const LONG: Duration = Duration::from_secs(60);
/// For a process that ends by itself, on a machine of any speed.
const PATIENT: Duration = Duration::from_secs(60);

/// Not a test: what a process started by [`Bed`] does. As a test it does nothing.
#[test]
fn plays_the_function() {
    let Ok(plays) = std::env::var(PLAYS) else { return };
    if plays == "dies" {
        std::process::exit(3);
    }
    let play = |event: LambdaEvent<Value>| async move {
        match event.payload["do"].as_str() {
            Some("die") => std::process::exit(3),
            Some("fail") => Err(Error::from("as told")),
            Some("hang") => std::future::pending().await,
            Some("until told") => {
                tell(&event.payload).await;
                pushbell::shutdown::calls_end().await;
                Ok(json!("told"))
            }
            Some("for ever") => {
                tell(&event.payload).await;
                std::future::pending().await
            }
            Some("long") => Ok(json!("x".repeat(PAYLOAD_LIMIT))),
            _ => Ok(json!({
                "payload": event.payload,
                "process": std::process::id(),
                "function": event.context.env_config.function_name,
                "arn": event.context.invoked_function_arn,
                "deadline": event.context.deadline,
            })),
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if plays == "with an extension" {
        runtime.block_on(async { pushbell::shutdown::serve(Runtime::new(service_fn(play))).await }).unwrap();
        std::process::exit(0);
    }
    runtime.block_on(lambda_runtime::run(service_fn(play))).unwrap();
}

/// Tells the test that the invocation is under way.
async fn tell(event: &Value) {
    tokio::net::TcpStream::connect(event["tell"].as_str().unwrap()).await.unwrap();
}

/// Starts an invocation, waits until it is under way, and retires its environment.
async fn retired_during(bed: &Bed, what: &str) -> (Result<Value, InvokeError>, Vec<ExitStatus>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let event = json!({ "do": what, "tell": listener.local_addr().unwrap().to_string() });
    let retire = async {
        listener.accept().await.unwrap();
        bed.pool.retire().await
    };
    tokio::join!(bed.invoke(event), retire)
}

#[tokio::test]
async fn a_process_that_is_retired_answers_first_and_ends_with_0() {
    let bed = Bed::new(1, LONG, "with an extension");
    let (answer, ends) = retired_during(&bed, "until told").await;
    assert_eq!(answer.unwrap(), "told");
    assert_eq!(ends.iter().map(|end| end.code()).collect::<Vec<_>>(), [Some(0)]);
    // An idle one ends at once, and another takes its place.
    let idle = bed.process_id().await;
    let ends = bed.pool.retire().await;
    assert_eq!(ends.iter().map(|end| end.code()).collect::<Vec<_>>(), [Some(0)]);
    assert_ne!(bed.process_id().await, idle);
}

#[tokio::test]
async fn a_process_that_goes_on_after_sigterm_is_killed_after_half_a_second() {
    let bed = Bed::with(1, LONG, SHUTDOWN, "with an extension");
    let begun = Instant::now();
    let (answer, ends) = retired_during(&bed, "for ever").await;
    assert!(matches!(answer, Err(InvokeError::Environment(ProcessError::Exited))), "{answer:?}");
    assert_eq!(ends.iter().map(|end| end.signal()).collect::<Vec<_>>(), [Some(9)]);
    assert!(begun.elapsed() >= SHUTDOWN);
}

#[tokio::test]
async fn a_process_without_an_extension_is_not_told_of_its_end() {
    let bed = Bed::new(1, LONG, "well");
    let (answer, ends) = retired_during(&bed, "for ever").await;
    assert!(matches!(answer, Err(InvokeError::Environment(ProcessError::Exited))), "{answer:?}");
    assert_eq!(ends.iter().map(|end| end.signal()).collect::<Vec<_>>(), [Some(9)]);
}

#[tokio::test]
async fn the_end_of_the_stack_lets_a_process_answer() {
    let bed = Bed::new(1, LONG, "with an extension");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let event = json!({ "do": "until told", "tell": listener.local_addr().unwrap().to_string() });
    let close = async {
        listener.accept().await.unwrap();
        bed.closer.close();
    };
    let (answer, ()) = tokio::join!(bed.invoke(event), close);
    assert_eq!(answer.unwrap(), "told");
}

#[tokio::test]
async fn an_event_reaches_a_process_that_lives_on_for_the_next_one() {
    let bed = Bed::new(2, LONG, "well");
    let before = now_ms();
    let answer = bed.invoke(json!({ "a": "ü" })).await.unwrap();
    assert_eq!(answer["payload"], json!({ "a": "ü" }));
    assert_eq!(answer["function"], "played");
    assert_eq!(answer["arn"], "arn:aws:lambda:us-east-1:000000000000:function:played");
    assert!(answer["deadline"].as_i64().unwrap() >= before + 60_000);
    assert_eq!(answer["process"].as_u64().unwrap(), bed.process_id().await);
}

#[tokio::test]
async fn two_invocations_at_once_have_two_processes() {
    let bed = Bed::new(2, LONG, "well");
    let (one, two) = tokio::join!(bed.process_id(), bed.process_id());
    assert_ne!(one, two);
    // With no environment left the third one waits for its turn.
    let bed = Bed::new(1, LONG, "well");
    let (one, two) = tokio::join!(bed.process_id(), bed.process_id());
    assert_eq!(one, two);
}

#[tokio::test]
async fn a_function_that_reports_an_error_keeps_its_process() {
    let bed = Bed::new(1, LONG, "well");
    let first = bed.process_id().await;
    assert!(matches!(bed.invoke(json!({ "do": "fail" })).await, Err(InvokeError::Failed)));
    assert!(matches!(bed.invoke(json!({ "do": "long" })).await, Err(InvokeError::AnswerTooLarge)));
    assert_eq!(bed.process_id().await, first);
}

#[tokio::test]
async fn a_process_that_dies_fails_its_invocation_and_another_takes_its_place() {
    let bed = Bed::new(1, LONG, "well");
    let first = bed.process_id().await;
    let died = bed.invoke(json!({ "do": "die" })).await;
    assert!(matches!(died, Err(InvokeError::Environment(ProcessError::Exited))), "{died:?}");
    assert_ne!(bed.process_id().await, first);
}

#[tokio::test]
async fn a_process_that_takes_longer_than_its_timeout_is_ended() {
    let bed = Bed::new(1, Duration::from_millis(50), "well");
    assert!(matches!(bed.invoke(json!({ "do": "hang" })).await, Err(InvokeError::TimedOut)));
    assert_eq!(bed.pool.kill(), 0);
}

#[tokio::test]
async fn a_process_that_does_not_come_up_fails_the_invocation() {
    let bed = Bed::new(1, LONG, "dies");
    let failed = bed.invoke(json!({})).await;
    assert!(matches!(failed, Err(InvokeError::Environment(ProcessError::Exited))), "{failed:?}");
}

#[tokio::test]
async fn a_kill_ends_what_runs_and_the_next_invocation_has_a_new_process() {
    let bed = Bed::new(1, LONG, "well");
    let first = bed.process_id().await;
    let kill = async {
        // The hanging invocation is polled first, so that it is under way.
        tokio::task::yield_now().await;
        bed.pool.kill()
    };
    let (hung, killed) = tokio::join!(bed.invoke(json!({ "do": "hang" })), kill);
    assert!(matches!(hung, Err(InvokeError::Environment(ProcessError::Exited))), "{hung:?}");
    assert_eq!(killed, 1);
    assert_ne!(bed.process_id().await, first);
}

#[tokio::test]
async fn the_end_of_the_stack_ends_what_is_under_way() {
    let bed = Bed::new(1, LONG, "well");
    bed.process_id().await;
    let close = async {
        tokio::task::yield_now().await;
        bed.closer.close();
    };
    let (hung, ()) = tokio::join!(bed.invoke(json!({ "do": "hang" })), close);
    assert!(matches!(hung, Err(InvokeError::Stopped)), "{hung:?}");
}
