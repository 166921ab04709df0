//! Why a call is refused.

use lambda_http::http::StatusCode;
use pushbell::app::AppError;
use pushbell::auth::hook::HookError;
use pushbell::auth::tencent::SignError;
use pushbell::call::BodyError;
use pushbell::dialect::tencent::address::AddressError;
use pushbell::dialect::tencent::callback::{BadEvent, CallbackError};
use pushbell::queue::Refused;

/// Why a call is refused. The texts are for the caller, too: none says more of the app than the caller has shown to know.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("only POST is taken here")]
    Method,
    #[error("there is no such app")]
    UnknownApp,
    #[error(transparent)]
    Hook(HookError),
    #[error("the app takes no callbacks of Tencent: its settings name no tencent.sdk_app_id")]
    NotSet,
    #[error(transparent)]
    SdkAppId(AddressError),
    #[error("SdkAppid is not this app's")]
    OtherApp,
    #[error(transparent)]
    Signature(AddressError),
    #[error(transparent)]
    Sign(SignError),
    #[error(transparent)]
    Address(AddressError),
    #[error(transparent)]
    Body(BodyError),
    #[error(transparent)]
    Callback(CallbackError),
    #[error("no event can be taken; Events[{0}]: {1}")]
    AllBad(usize, BadEvent),
    #[error("nothing was taken: the app's documents could not be read")]
    App(#[source] AppError),
    #[error("nothing was taken: the events could not be written down")]
    Record(#[source] serde_json::Error),
    #[error("nothing was taken: neither the queue nor the deferred table took the events")]
    Queue(#[source] Refused),
    #[error("the events were not taken in time")]
    Late,
}

/// Where trouble lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// With somebody who has not shown to be the app's Tencent. Anybody may be: no reason to wake somebody.
    Stranger,
    /// With Tencent, which sends what cannot be read.
    Caller,
    /// With us, what we stand on, or the app's documents. What was reported is lost.
    Ours,
}

impl Refusal {
    /// The answer's status. Tencent counts every other than 200 as a failure of the address: that is what a wrong credential and a failure of
    /// ours are, and what a body that cannot be read is not.
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownApp => StatusCode::NOT_FOUND,
            Self::Hook(HookError::Secret) | Self::Signature(_) | Self::Sign(_) => StatusCode::UNAUTHORIZED,
            Self::Hook(HookError::Source) | Self::NotSet | Self::SdkAppId(_) | Self::OtherApp => StatusCode::FORBIDDEN,
            Self::Address(_) | Self::Body(_) | Self::Callback(_) | Self::AllBad(..) => StatusCode::OK,
            Self::App(_) | Self::Record(_) | Self::Queue(_) | Self::Late => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Where it lies.
    pub(crate) const fn whose(&self) -> Whose {
        match self {
            Self::Method
            | Self::UnknownApp
            | Self::Hook(_)
            | Self::NotSet
            | Self::SdkAppId(_)
            | Self::OtherApp
            | Self::Signature(_)
            | Self::Sign(_) => Whose::Stranger,
            Self::Address(_) | Self::Body(_) | Self::Callback(_) | Self::AllBad(..) => Whose::Caller,
            Self::App(_) | Self::Record(_) | Self::Queue(_) | Self::Late => Whose::Ours,
        }
    }
}
