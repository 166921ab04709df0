//! `feedback`: what SNS tells of platform endpoints. A device whose token is dead goes, with its rows and its endpoint, before anybody sends to
//! it again.
//!
//! Events come through a queue, which bounds how many are worked off at once. SNS may tell a thing twice, late, and out of order, and a record
//! that failed comes again: doing it twice changes nothing.

use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use pushbell::delivery::Channel;
use pushbell::delivery::sns::{Endpoints, Feedback, FeedbackError, Happened, SnsError, Told};
use pushbell::env::{EnvError, Environment};
use pushbell::function::batch_response;
use pushbell::id::AppId;
use pushbell::recipient::Device;
use pushbell::registry::{Registry, RegistryError};
use pushbell::telemetry::metrics::{self, Metric, Of};

/// How long before an event a device must have been registered for it to be about that registration: clocks differ.
const REGISTERED_BEFORE: Duration = Duration::from_secs(5);
/// What is not done so long before the invocation ends comes again: killed by Lambda, all of the batch would.
const ANSWER_BEFORE: Duration = Duration::from_secs(2);

/// What one environment keeps between invocations.
pub struct State {
    registry: Registry,
    endpoints: Endpoints,
}

impl State {
    /// The clients that `env` describes.
    ///
    /// # Errors
    /// When a variable is missing.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Ok(Self { registry: Registry::new(env)?, endpoints: Endpoints::new(env) })
    }
}

/// Why a record fails and comes again, until the queue gives it up.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    /// It ends in the dead-letter queue.
    #[error("the record is no event of a platform application")]
    Event(#[source] FeedbackError),
    #[error("the registry was not read or written")]
    Registry(#[from] RegistryError),
    #[error("an endpoint was not read or deleted")]
    Sns(#[from] SnsError),
    #[error("the invocation ends before the record is worked off")]
    Late,
}

/// What became of one app's device.
enum End {
    /// It is gone.
    Dead,
    /// It stays.
    Kept,
    /// There is none.
    Nobody,
}

/// Works off what SNS told, one after the other: two events may be about one device. The answer names the records that are to come again.
pub async fn handle(state: &State, event: SqsEvent, deadline: Instant) -> SqsBatchResponse {
    let until = deadline.checked_sub(ANSWER_BEFORE).unwrap_or(deadline);
    let mut ends = Vec::with_capacity(event.records.len());
    for record in &event.records {
        let end = tokio::time::timeout_at(until.into(), state.take(record)).await;
        ends.push(end.unwrap_or(Err(RecordError::Late)));
    }
    batch_response(&event, ends)
}

impl State {
    async fn take(&self, record: &SqsMessage) -> Result<(), RecordError> {
        let event = Feedback::parse(record.body.as_deref().unwrap_or_default()).map_err(RecordError::Event)?;
        match &event.what {
            Happened::DeadToken | Happened::Updated => {}
            Happened::Failed(kind) => {
                // A word of SNS's, as long as it is one.
                let kind: String = kind.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
                tracing::warn!(
                    application = event.application,
                    kind,
                    metric = "feedback_failed",
                    "a push failed for good"
                );
                return Ok(());
            }
            Happened::Other => return Ok(()),
        }
        // Before SNS is asked: the role knows the endpoints of Apple's two services only, and a topic may be named anywhere.
        let apps = self.registry.apps_of(&event.application).await?;
        if apps.is_empty() {
            metrics::count(Metric::FeedbackUnknown, Of::Everything, 1);
            return Ok(());
        }
        let Some(told) = self.endpoints.get(&event.endpoint).await? else {
            // Deleted meanwhile, by a send that found it disabled or by an earlier run.
            return Ok(());
        };
        if event.what == Happened::Updated && told.enabled {
            return Ok(());
        }
        let mut ends = Vec::with_capacity(apps.len());
        for app in &apps {
            ends.push(self.bury(app, &event, &told).await?);
        }
        let kept = ends.iter().any(|end| matches!(end, End::Kept));
        // Nobody's: what an earlier run left behind.
        if !kept && (!told.enabled || ends.iter().any(|end| matches!(end, End::Dead))) {
            self.endpoints.delete_arn(&event.endpoint).await?;
        }
        if ends.iter().all(|end| matches!(end, End::Nobody)) {
            metrics::count(Metric::FeedbackUnknown, Of::Everything, 1);
        }
        tracing::info!(application = event.application, apps = apps.len(), kept, "an endpoint's token is dead");
        Ok(())
    }

    async fn bury(&self, app: &AppId, event: &Feedback, told: &Told) -> Result<End, RecordError> {
        let Some((client, device)) = self.registry.holder(app, Channel::Sns, &told.token).await? else {
            return Ok(End::Nobody);
        };
        if !is_endpoint_of(event, &device) {
            return Ok(End::Nobody);
        }
        let before = event.at.minus(REGISTERED_BEFORE);
        if self.registry.remove_dead(app, &client, &device, before).await? {
            metrics::count(Metric::FeedbackDead, Of::App(app), 1);
            return Ok(End::Dead);
        }
        // A dead token has two events: another environment may have had the other one at the same time.
        if self.registry.holder(app, Channel::Sns, &told.token).await?.is_none() {
            return Ok(End::Nobody);
        }
        metrics::count(Metric::FeedbackKept, Of::App(app), 1);
        Ok(End::Kept)
    }
}

/// One token may have an endpoint in each of Apple's two services. A device whose endpoint is not made yet has it in the service that it was
/// registered for.
fn is_endpoint_of(event: &Feedback, device: &Device) -> bool {
    match device.endpoint.as_deref() {
        Some(own) => own == event.segment(),
        None => device.sandbox == event.application.contains(":app/APNS_SANDBOX/"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use pushbell::id::{DeviceKey, Token};
    use pushbell::time::Timestamp;

    use super::*;

    fn event(platform: &str) -> Feedback {
        Feedback {
            endpoint: format!("arn:aws:sns:eu-west-1:123456789012:endpoint/{platform}/demo/e-1"),
            application: format!("arn:aws:sns:eu-west-1:123456789012:app/{platform}/demo"),
            at: Timestamp::from_millis(1_767_225_600_000),
            what: Happened::DeadToken,
        }
    }

    fn device(endpoint: Option<&str>, sandbox: bool) -> Device {
        Device {
            key: DeviceKey::of("ios", "1"),
            channel: Channel::Sns,
            token: Token::parse("aa").unwrap(),
            endpoint: endpoint.map(str::to_owned),
            sandbox,
            registered_at: Timestamp::from_millis(0),
            framework: None,
            locale: None,
        }
    }

    #[test]
    fn an_endpoint_of_one_service_is_none_of_a_device_of_the_other() {
        for (platform, sandbox) in [("APNS", false), ("APNS_SANDBOX", true)] {
            assert!(is_endpoint_of(&event(platform), &device(None, sandbox)), "{platform}");
            assert!(!is_endpoint_of(&event(platform), &device(None, !sandbox)), "{platform}");
            assert!(is_endpoint_of(&event(platform), &device(Some("e-1"), sandbox)), "{platform}");
            assert!(!is_endpoint_of(&event(platform), &device(Some("e-2"), sandbox)), "{platform}");
        }
    }

    #[test]
    fn every_sample_is_an_event_as_lambda_hands_it_over() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/feedback");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let read = |file: &std::path::PathBuf| {
            let event: SqsEvent = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            Feedback::parse(event.records[0].body.as_deref().unwrap()).unwrap().what
        };
        let names: Vec<_> = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["delivery-failure", "endpoint-updated"]);
        assert_eq!(files.iter().map(read).collect::<Vec<_>>(), [Happened::DeadToken, Happened::Updated]);
    }

    fn batch(bodies: &[&str]) -> SqsEvent {
        let mut event = SqsEvent::default();
        for (index, body) in bodies.iter().enumerate() {
            let mut record = SqsMessage::default();
            record.message_id = Some(format!("r{index}"));
            record.body = Some((*body).to_owned());
            event.records.push(record);
        }
        event
    }

    /// A function whose tables take a connection and never answer.
    async fn failed(event: SqsEvent, left: Duration) -> Vec<String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let env = Environment::from_lookup(|name| match name {
            "AWS_ENDPOINT_URL" => Some(url.clone()),
            _ => Some("test".to_owned()).filter(|_| !name.starts_with("AWS_ENDPOINT_URL")),
        });
        let state = State::new(&env.unwrap()).unwrap();
        let answer = handle(&state, event, Instant::now() + left).await;
        answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    const FAILED: &str = r#"{"EventType": "DeliveryFailure", "FailureType": "InvalidCredentials", "EndpointArn": "e", "Resource": "a",
        "Time": "2026-01-01T00:00:00.650Z"}"#;

    #[tokio::test]
    async fn a_record_that_is_no_event_fails_alone() {
        assert_eq!(failed(batch(&["{}", FAILED, "no JSON"]), Duration::from_secs(60)).await, ["r0", "r2"]);
    }

    #[tokio::test]
    async fn what_is_not_done_when_the_invocation_ends_comes_again() {
        let dead = FAILED.replace("InvalidCredentials", "InvalidPlatformToken");
        assert_eq!(failed(batch(&[&dead, FAILED, &dead]), ANSWER_BEFORE).await, ["r0", "r2"]);
    }
}
