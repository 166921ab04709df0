//! What SNS tells of a platform application's endpoints, by the topics in its attributes `EventDeliveryFailure` and `EventEndpointUpdated`.
//! Source: "Amazon SNS application event notifications" in its guide; the failure's fields as messages show them.

use serde::Deserialize;

use crate::time::Timestamp;

/// An event of a platform application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The endpoint's ARN.
    pub endpoint: String,
    /// The platform application's ARN.
    pub application: String,
    /// When it happened, by SNS's clock.
    pub at: Timestamp,
    /// What happened.
    pub what: Happened,
}

/// What happened to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A push failed for good because the token is dead. SNS has disabled the endpoint.
    DeadToken,
    /// A push failed for good, for another reason: SNS's word for it.
    Failed(String),
    /// Its attributes were changed: it may be disabled now.
    Updated,
    /// Something else, which nobody asked to be told.
    Other,
}

/// Why a message is no event.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    /// Not JSON, or without the fields that every event has.
    #[error("the notification is no event of a platform application (line {line}, column {column})")]
    Malformed {
        /// Of the message.
        line: usize,
        /// Of the message.
        column: usize,
    },
    /// Its time is none.
    #[error("the event's time cannot be read")]
    Time,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    event_type: String,
    endpoint_arn: String,
    resource: String,
    time: String,
    failure_type: Option<String>,
}

/// The kinds of failure that say that the token is dead.
const DEAD: [&str; 2] = ["InvalidPlatformToken", "EndpointDisabled"];

impl Feedback {
    /// Reads a notification's message.
    ///
    /// # Errors
    /// When it is no such event.
    pub fn parse(message: &str) -> Result<Self, FeedbackError> {
        let message: Message = serde_json::from_str(message)
            .map_err(|error| FeedbackError::Malformed { line: error.line(), column: error.column() })?;
        let what = match (message.event_type.as_str(), message.failure_type) {
            ("DeliveryFailure", Some(kind)) if DEAD.contains(&kind.as_str()) => Happened::DeadToken,
            ("DeliveryFailure", kind) => Happened::Failed(kind.unwrap_or_default()),
            ("EndpointUpdated", _) => Happened::Updated,
            (_, _) => Happened::Other,
        };
        let at = Timestamp::from_rfc3339(&message.time).ok_or(FeedbackError::Time)?;
        Ok(Self { endpoint: message.endpoint_arn, application: message.resource, at, what })
    }

    /// The last segment of the endpoint's ARN: how devices name theirs.
    #[must_use]
    pub fn segment(&self) -> &str {
        self.endpoint.rsplit('/').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn message(event: &str, failure: Option<&str>) -> String {
        let mut message = json!({
            "EndpointArn": "arn:aws:sns:us-west-2:123456789012:endpoint/APNS/demo/466beb61-4e32-3538-884c-8539bd184056",
            "EventType": event,
            "Resource": "arn:aws:sns:us-west-2:123456789012:app/APNS/demo",
            "Service": "SNS",
            "Time": "2026-01-01T00:00:00.650Z",
        });
        if let Some(failure) = failure {
            message["FailureType"] = json!(failure);
            message["DeliveryAttempts"] = json!(1);
        }
        message.to_string()
    }

    #[test]
    fn only_a_dead_token_s_failure_is_a_dead_token() {
        let what = |event: &str, failure| Feedback::parse(&message(event, failure)).unwrap().what;
        assert_eq!(what("DeliveryFailure", Some("InvalidPlatformToken")), Happened::DeadToken);
        assert_eq!(what("DeliveryFailure", Some("EndpointDisabled")), Happened::DeadToken);
        for other in ["InvalidNotification", "ExpiredMessage", "InvalidCredentials", "ServiceUnavailable"] {
            assert_eq!(what("DeliveryFailure", Some(other)), Happened::Failed(other.to_owned()));
        }
        assert_eq!(what("EndpointUpdated", None), Happened::Updated);
        assert_eq!(what("EndpointDeleted", None), Happened::Other);
    }

    #[test]
    fn an_event_has_its_own_time_and_what_is_none_is_refused_without_a_word_of_it() {
        let event = Feedback::parse(&message("EndpointUpdated", None)).unwrap();
        assert_eq!(event.at, Timestamp::from_millis(1_767_225_600_650));
        assert_eq!(event.segment(), "466beb61-4e32-3538-884c-8539bd184056");
        let refused = Feedback::parse("{\"secret\"").unwrap_err().to_string();
        assert!(!refused.contains("secret"), "{refused}");
        let timeless = message("EndpointUpdated", None).replace("2026-01-01T", "yesterday");
        assert!(matches!(Feedback::parse(&timeless), Err(FeedbackError::Time)));
    }
}
