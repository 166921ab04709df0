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
    #[error("the app's list of words cannot be used")]
    Words(#[source] WordsError),
    #[error("preferences could not be read")]
    Preferences(#[source] StoreError),
    #[error("the task was not accepted: {0}")]
    Submit(#[source] SubmitError),
    #[error("the task was not accepted in time")]
    SubmitLate,
}

/// Where trouble lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// With somebody who has not shown to be the app's chat server. Anybody may be: no reason to wake somebody.
    Stranger,
    /// With the chat server, which sends what cannot be read.
    Caller,
    /// With us, what we stand on, or the app's documents.
    Ours,
}

impl Trouble {
    /// What a denial because of it says.
    pub(crate) const fn code(&self) -> Code {
        match self.whose() {
            Whose::Stranger | Whose::Caller => Code::BadRequest,
            Whose::Ours => Code::Unavailable,
        }
    }

    /// Where it lies.
    pub(crate) const fn whose(&self) -> Whose {
        match self {
            Self::UnknownApp | Self::Hook(_) => Whose::Stranger,
            Self::Body(_)
            | Self::Callback(_)
            | Self::Submit(SubmitError::TooLarge | SubmitError::TooDeep | SubmitError::OtherRoom) => Whose::Caller,
            Self::App(_)
            | Self::Words(_)
            | Self::Preferences(_)
            | Self::Submit(SubmitError::Queue(_) | SubmitError::Unavailable(_) | SubmitError::OtherRequest)
            | Self::SubmitLate => Whose::Ours,
        }
    }
}
