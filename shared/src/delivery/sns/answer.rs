//! What SNS's answers mean.

use std::borrow::Cow;

use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::delivery::{Class, Verdict};

/// What follows from a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The token is dead until its app registers it anew.
    DeadToken,
    /// The endpoint is gone, the token may live: another endpoint, and once more.
    Recreate,
    /// Passing trouble.
    Retry,
    /// Too fast.
    Throttled,
    /// Application, rights or keys.
    Misconfigured,
    /// This message.
    BadMessage,
    /// In no row.
    Unrecognised,
}

impl Then {
    const fn class(self) -> Class {
        match self {
            Self::DeadToken => Class::DeadToken,
            // Only when it is said of an endpoint that was just created.
            Self::Recreate | Self::Retry => Class::Retry { after: None },
            Self::Throttled => Class::Throttled { after: None },
            Self::Misconfigured => Class::Misconfigured,
            Self::BadMessage => Class::BadMessage,
            Self::Unrecognised => Class::Unrecognised,
        }
    }
}

/// Codes as they are on the wire: the SNS model's for `Publish`, and AWS's common ones. `ThrottlingException` is in no model: the
/// typed error calls it unhandled and only its code tells.
const TABLE: [(&str, Then); 32] = [
    ("EndpointDisabled", Then::DeadToken),
    ("EndpointDisabledException", Then::DeadToken),
    ("NotFound", Then::Recreate),
    ("NotFoundException", Then::Recreate),
    ("PlatformApplicationDisabled", Then::Misconfigured),
    ("PlatformApplicationDisabledException", Then::Misconfigured),
    ("InvalidParameter", Then::BadMessage),
    ("ParameterValueInvalid", Then::BadMessage),
    ("InvalidParameterValue", Then::BadMessage),
    ("ValidationException", Then::BadMessage),
    ("ValidationError", Then::BadMessage),
    ("AuthorizationError", Then::Misconfigured),
    ("AccessDenied", Then::Misconfigured),
    ("AccessDeniedException", Then::Misconfigured),
    ("InvalidClientTokenId", Then::Misconfigured),
    ("SignatureDoesNotMatch", Then::Misconfigured),
    ("InvalidSecurity", Then::Misconfigured),
    ("KMSAccessDenied", Then::Misconfigured),
    ("KMSDisabled", Then::Misconfigured),
    ("KMSInvalidState", Then::Misconfigured),
    ("KMSNotFound", Then::Misconfigured),
    ("KMSOptInRequired", Then::Misconfigured),
    ("KMSThrottling", Then::Throttled),
    ("Throttling", Then::Throttled),
    ("ThrottlingException", Then::Throttled),
    ("Throttled", Then::Throttled),
    ("RequestLimitExceeded", Then::Throttled),
    ("InternalError", Then::Retry),
    ("InternalFailure", Then::Retry),
    ("ServiceUnavailable", Then::Retry),
    // The function's own session; Lambda renews it.
    ("ExpiredToken", Then::Retry),
    ("RequestExpired", Then::Retry),
];

/// What an error means, and the verdict on it.
pub(super) fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> (Then, Verdict) {
    match error {
        SdkError::ServiceError(context) => {
            let inner = context.err();
            service(context.raw().status().as_u16(), inner.code(), inner.message())
        }
        SdkError::TimeoutError(_) => (Then::Retry, Verdict::new(Then::Retry.class(), "timeout")),
        SdkError::DispatchFailure(_) => (Then::Retry, Verdict::new(Then::Retry.class(), "connection")),
        SdkError::ResponseError(context) => service(context.raw().status().as_u16(), None, None),
        SdkError::ConstructionFailure(_) => (Then::BadMessage, Verdict::new(Then::BadMessage.class(), "request")),
        _ => (Then::Unrecognised, Verdict::new(Then::Unrecognised.class(), "sdk")),
    }
}

fn service(http: u16, code: Option<&str>, message: Option<&str>) -> (Then, Verdict) {
    let row = code.and_then(|code| TABLE.iter().find(|(word, _)| *word == code));
    let Some((word, then)) = row else {
        let then = match http {
            429 => Then::Throttled,
            500..=599 => Then::Retry,
            _ => Then::Unrecognised,
        };
        let fit = code.filter(|code| code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let code = fit.map_or_else(|| format!("http_{http}"), str::to_owned);
        return (then, Verdict { class: then.class(), code: Cow::Owned(code) });
    };
    // SNS says `InvalidParameter` of an endpoint that was deleted, too; only the text tells it apart. It deletes nothing.
    let gone = *word == "InvalidParameter" && message.is_some_and(|text| text.contains("No endpoint found"));
    let then = if gone { Then::Recreate } else { *then };
    (then, Verdict::new(then.class(), word))
}

/// Every row, as the documentation shows it: code, class.
#[cfg(test)]
pub(in crate::delivery) fn rows() -> Vec<[String; 3]> {
    let class = |word| service(400, Some(word), None).1.class.as_str().to_owned();
    TABLE.iter().map(|(word, _)| [String::new(), (*word).to_owned(), class(word)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_is_gone_is_created_again() {
        let text = "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified";
        assert_eq!(service(400, Some("InvalidParameter"), Some(text)).0, Then::Recreate);
        assert_eq!(service(404, Some("NotFound"), None).0, Then::Recreate);
        assert_eq!(service(400, Some("InvalidParameter"), Some("Message too long")).0, Then::BadMessage);
    }

    #[test]
    fn what_is_in_no_row_goes_by_its_status_and_kills_nothing() {
        for (http, code, then, word) in [
            (503, None, Then::Retry, "http_503"),
            (429, Some("Whatever"), Then::Throttled, "Whatever"),
            (400, Some("Brand New"), Then::Unrecognised, "http_400"),
            (403, None, Then::Unrecognised, "http_403"),
        ] {
            let (what, verdict) = service(http, code, None);
            assert_eq!((what, &*verdict.code), (then, word));
        }
    }
}
