//! What the records of other systems say: which devices they are, as those would be registered here by the protocol that they come from.

mod imkit;
mod kinvey;
mod openim;
mod pinpoint;
mod plain;

use clap::ValueEnum;
use pushbell::app::{ApnsEnvironment, SnsSettings};
use pushbell::id::ClientId;
use pushbell::recipient::Device;
use pushbell::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields::{Fields, Refusal};

/// The system that a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Columns of our own: client, token, platform, device, sandbox, locale, framework.
    Plain,
    /// Subscriptions of an IMKIT server: type, token, deviceId, clientId.
    Imkit,
    /// Users' documents of Kinvey, with `_messaging.pushTokens`.
    Kinvey,
    /// FCM tokens of an OpenIM server: userID, platformID, fcmToken.
    Openim,
    /// Endpoints of Amazon Pinpoint.
    Pinpoint,
}

/// One row: a device, or why there is none.
#[derive(Debug, PartialEq)]
pub(super) enum Row {
    Device(ClientId, Box<Device>),
    /// Nothing is wrong with it; it is not to be pushed to.
    LeftOut(&'static str),
    Refused(Refusal),
}

/// What a device is made with beside its record.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) sns: &'a SnsSettings,
    /// When it counts as registered.
    pub(super) at: Timestamp,
}

impl Context<'_> {
    /// Whether an iPhone that does not say so is a developer's.
    fn sandbox(self) -> bool {
        self.sns.environment == ApnsEnvironment::Sandbox
    }
}

impl Format {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Imkit => "imkit",
            Self::Kinvey => "kinvey",
            Self::Openim => "openim",
            Self::Pinpoint => "pinpoint",
        }
    }

    /// The columns that a CSV must have; `None` where there are none of the format.
    pub(super) fn columns(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Plain => Some(&["client", "token", "platform"]),
            Self::Imkit => Some(&["clientId", "type", "token"]),
            Self::Openim => Some(&["userID", "platformID", "fcmToken"]),
            Self::Pinpoint => Some(&["ChannelType", "Address", "User.UserId"]),
            Self::Kinvey => None,
        }
    }

    /// The rows of a record: one, or of a user's document as many as it has tokens.
    pub(super) fn rows(self, record: &Map<String, Value>, context: Context<'_>) -> Vec<Row> {
        let fields = Fields(record);
        let row = match self {
            Self::Plain => plain::row(fields, context),
            Self::Imkit => imkit::row(fields, context),
            Self::Openim => openim::row(fields, context),
            Self::Pinpoint => pinpoint::row(fields, context),
            Self::Kinvey => return kinvey::rows(fields, context),
        };
        vec![row.unwrap_or_else(Row::Refused)]
    }
}

/// What a format makes of a record of one row.
type Made = Result<Row, Refusal>;

fn device(client: ClientId, device: Device) -> Row {
    Row::Device(client, Box::new(device))
}
