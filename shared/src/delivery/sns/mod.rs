//! Amazon SNS platform endpoints: the road to phones of Apple's.
//!
//! SNS takes one device per call and tells only that it has accepted: that a token is dead is learned at the next send, when the
//! endpoint has been disabled.

pub(super) mod answer;
mod endpoint;
mod feedback;
mod payload;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_smithy_types::retry::RetryConfig;

use super::{Class, Patch, Verdict};
use crate::app::Settings;
use crate::env::Environment;
use crate::message::{Message, Wording};
use crate::recipient::Device;
use crate::time::Timestamp;

pub use endpoint::{Endpoints, Existing, SnsError, Told};
pub use feedback::{Feedback, FeedbackError, Happened};
pub use payload::Prepared;

use answer::Then;

/// The road to SNS. One per environment.
pub struct Sns {
    /// Without retries: a publish has no idempotency key, and what is tried again is the caller's decision.
    client: Client,
    endpoints: Endpoints,
}

/// What became of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// SNS's answer.
    pub verdict: Verdict,
    /// An endpoint that was created on the way, to be stored with the device: the last segment of its ARN.
    pub endpoint: Option<String>,
}

/// Apple's two services, as SNS names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Platform {
    Apns,
    Sandbox,
}

impl Platform {
    /// The platform that an application's ARN names (`arn:aws:sns:<region>:<account>:app/APNS/<name>`).
    fn of(application_arn: &str) -> Option<Self> {
        match application_arn.rsplit(':').next()?.strip_prefix("app/")?.split_once('/')?.0 {
            "APNS" => Some(Self::Apns),
            "APNS_SANDBOX" => Some(Self::Sandbox),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Apns => "APNS",
            Self::Sandbox => "APNS_SANDBOX",
        }
    }
}

impl Sns {
    /// A client of the environment's SNS.
    #[must_use]
    pub fn new(env: &Environment) -> Self {
        let client = crate::aws::sns(env);
        let config = client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), endpoints: Endpoints::over(client) }
    }

    /// The endpoints' life, for whoever registers and deletes devices.
    #[must_use]
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Renders one wording of `message`, once for all who read it.
    #[must_use]
    pub fn prepare(message: &Message, wording: Wording, settings: &Settings) -> Prepared {
        Prepared::new(message, wording, settings)
    }

    /// Sends to one device: to its endpoint; to a new one where it has none, or where its own is gone.
    pub async fn send(
        &self,
        application_arn: &str,
        prepared: &Prepared,
        device: &Device,
        patch: &Patch,
        now: Timestamp,
    ) -> Sent {
        let stop = |class, code| Sent { verdict: Verdict::new(class, code), endpoint: None };
        let Some(platform) = Platform::of(application_arn) else {
            return stop(Class::Misconfigured, "application");
        };
        // Rendered anew for a second publish, which is rare, instead of copied for every first one.
        let publish = async |arn: &str| match prepared.body(patch, platform, now) {
            Some(body) => self.publish(arn, body, prepared.attributes(patch, platform, now)).await,
            None => Err((Then::BadMessage, Verdict::new(Class::BadMessage, "too_large"))),
        };
        if let Some(arn) = device.endpoint.as_deref().and_then(|id| Endpoints::arn(application_arn, id)) {
            match publish(&arn).await {
                Ok(()) => return Sent { verdict: Verdict::DELIVERED, endpoint: None },
                Err((Then::Recreate, _)) => {}
                Err((_, verdict)) => return Sent { verdict, endpoint: None },
            }
        }
        let endpoint = match self.endpoints.create(application_arn, &device.token).await {
            Ok(endpoint) => endpoint,
            Err(error) => return Sent { verdict: error.verdict(), endpoint: None },
        };
        let Some(arn) = Endpoints::arn(application_arn, &endpoint) else {
            return stop(Class::Misconfigured, "application");
        };
        let verdict = match publish(&arn).await {
            Ok(()) => Verdict::DELIVERED,
            Err((_, verdict)) => verdict,
        };
        Sent { verdict, endpoint: Some(endpoint) }
    }

    async fn publish(
        &self,
        arn: &str,
        body: String,
        attributes: HashMap<String, MessageAttributeValue>,
    ) -> Result<(), (Then, Verdict)> {
        let call = self.client.publish().target_arn(arn).message(body).message_structure("json");
        match call.set_message_attributes(Some(attributes)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(answer::of(&error)),
        }
    }
}
