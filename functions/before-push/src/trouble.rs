//! Why a call is not judged.

use pushbell::app::AppError;
use pushbell::auth::hook::HookError;
use pushbell::call::BodyError;
use pushbell::dialect::openim::answer::Code;
use pushbell::dialect::openim::callback::CallbackError;
use pushbell::filter::words::WordsError;
use pushbell::recipient::StoreError;
use pushbell::task::SubmitError;

/// Why a call is not judged, or a part of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("there is no such app")]
    UnknownApp,
    #[error(transparent)]
    Hook(HookError),
    #[error(transparent)]
    Body(BodyError),
    #[error(transparent)]
    Callback(CallbackError),
    #[error("the app's documents could not be read")]
    App(#[source] AppError),
    #[error("the app's documents could not be read in time")]
    AppLate,
    #[error("the app's list of words cannot be used")]
    Words(#[source] WordsError),
    #[error("preferences could not be read")]
    Preferences(#[source] StoreError),
    #[error("the task was not accepted")]
    Submit(#[source] SubmitError),
    #[error("the task was not accepted in time")]
    SubmitLate,
}

impl Trouble {
    /// What a denial because of it says.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::UnknownApp | Self::Hook(_) | Self::Body(_) | Self::Callback(_) => Code::BadRequest,
            Self::Submit(SubmitError::TooLarge | SubmitError::TooDeep) => Code::BadRequest,
            Self::App(_)
            | Self::AppLate
            | Self::Words(_)
            | Self::Preferences(_)
            | Self::Submit(SubmitError::Queue(_))
            | Self::SubmitLate => Code::Unavailable,
        }
    }

    /// Whether the caller has not shown to be the app's chat server. Anybody may be, so it is no reason to wake somebody.
    pub(crate) const fn is_callers(&self) -> bool {
        matches!(self, Self::UnknownApp | Self::Hook(_))
    }

    /// The innermost reason. Errors of the AWS SDK name the service's own code there.
    pub(crate) fn cause(&self) -> String {
        let mut error: &dyn std::error::Error = self;
        while let Some(source) = error.source() {
            error = source;
        }
        error.to_string()
    }
}
