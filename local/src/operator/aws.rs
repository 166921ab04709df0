//! What AWS answered, for people.

use aws_sdk_cloudformation::error::ProvideErrorMetadata;

use super::causes;

/// AWS's own code and words, or what kept the call from being answered. Never the answer itself: it may hold a secret.
pub(super) fn reason<E>(error: &E) -> String
where
    E: ProvideErrorMetadata + std::error::Error,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => causes(error),
    }
}
