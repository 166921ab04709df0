//! `feedback`: what SNS tells of platform endpoints. A device whose token is dead goes, with its rows and its endpoint, before anybody sends to
//! it again.
//!
//! SNS may tell a thing twice, late, and out of order, and Lambda runs a failed run again: doing it twice changes nothing.

use std::time::Duration;

use aws_lambda_events::event::sns::{SnsEvent, SnsRecord};
use pushbell::delivery::Channel;
use pushbell::delivery::sns::{Endpoints, Feedback, FeedbackError, Happened, SnsError, Told};
use pushbell::env::{EnvError, Environment};
use pushbell::id::AppId;
use pushbell::recipient::Device;
use pushbell::registry::{Registry, RegistryError};
use pushbell::telemetry;
use pushbell::telemetry::metrics::{self, Metric, Of};

/// How long before an event a device must have been registered for it to be about that registration: clocks differ.
const REGISTERED_BEFORE: Duration = Duration::from_secs(5);

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

/// Why a run failed. Lambda makes it again, and keeps its event when that fails too.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A message that is not SNS's: it stays in the dead-letter queue.
    #[error("a notification is no event of a platform application")]
    Event(#[source] FeedbackError),
    /// The tables did not answer.
    #[error("the registry was not read or written")]
    Registry(#[from] RegistryError),
    /// SNS did not answer.
    #[error("an endpoint was not read or deleted")]
    Sns(#[from] SnsError),
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

/// Works off notifications: SNS hands over one at a time.
///
/// # Errors
/// When one of them could not be worked off. The others were.
pub async fn handle(state: &State, event: &SnsEvent) -> Result<(), RunError> {
    let mut end = Ok(());
    for record in &event.records {
        if let Err(error) = state.take(record).await {
            let cause = telemetry::cause(&error);
            tracing::error!(error = %error, cause, "a notification was not worked off");
            end = Err(error);
        }
    }
    end
}

impl State {
    async fn take(&self, record: &SnsRecord) -> Result<(), RunError> {
        let event = Feedback::parse(&record.sns.message).map_err(RunError::Event)?;
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

    async fn bury(&self, app: &AppId, event: &Feedback, told: &Told) -> Result<End, RunError> {
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
            let event: SnsEvent = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            Feedback::parse(&event.records[0].sns.message).unwrap().what
        };
        let names: Vec<_> = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["delivery-failure", "endpoint-updated"]);
        assert_eq!(files.iter().map(read).collect::<Vec<_>>(), [Happened::DeadToken, Happened::Updated]);
    }
}
