//! Registry: which client and device a token belongs to, and which devices belong to an audience.
//!
//! In one app a token has exactly one client and one device. The table's token row says whose it is; the client's item holds the
//! device. Both are only ever changed in one transaction, on condition of what was read, so a phone that changes hands leaves its
//! old owner in the same moment in which it gets its new one. The rows that make a device a member of audiences change with them.

mod adopt;
mod application;
mod attributes;
mod erase;
mod labels;
mod members;
mod plan;
mod push_token;
mod register;
mod rows;
#[cfg(test)]
mod tests;
mod transact;
mod unregister;

use aws_sdk_dynamodb::Client;

use crate::env::{EnvError, Environment, Table};
use crate::recipient::Device;

pub use adopt::{Adopted, Kept};
pub use labels::{LabelError, Labels};
pub(crate) use members::shard_of;
pub use members::{Audience, Member, Page, Place};
pub use push_token::PushToken;
pub use unregister::Which;

/// Why the registry did not do what it was asked. Either way the same call may be made again.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Throttled, timed out, not reached.
    #[error("the registry did not answer")]
    Unavailable(#[source] Box<aws_sdk_dynamodb::Error>),
    /// Others registered the same token or client in every try.
    #[error("the token or the client was being changed by others")]
    Contended,
    /// The tables are throttled. Only of a registry that leaves it to its caller to try again.
    #[error("the tables are throttled")]
    Throttled,
}

/// A device that was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The device as it is stored: with the SNS endpoint that its token had before, wherever that was.
    pub device: Device,
    /// What stood in its way: devices whose tokens are registered no more, and the device itself when its endpoint belongs to
    /// another platform application now. Their SNS endpoints are the caller's to delete.
    pub released: Vec<Device>,
}

/// Token rows, members' rows, and the devices and labels in the clients' items.
pub struct Registry {
    client: Client,
    recipients: String,
    registry: String,
    noted: application::Noted,
    /// Whoever asks tries again by themselves.
    tries_once: bool,
}

impl Registry {
    /// The tables that `env` names.
    ///
    /// # Errors
    /// When it does not name both the registry and the recipients.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        Self::over(crate::aws::dynamodb(env), env, false)
    }

    /// The same, for who has more time than any function: a call to a table is tried once, and whoever makes it tries again as they see fit.
    ///
    /// # Errors
    /// As [`Registry::new`].
    pub fn without_retries(env: &Environment) -> Result<Self, EnvError> {
        Self::over(crate::aws::single_dynamodb(env), env, true)
    }

    fn over(client: Client, env: &Environment, tries_once: bool) -> Result<Self, EnvError> {
        let (recipients, registry) = (env.table(Table::Recipients)?, env.table(Table::Registry)?);
        Ok(Self { client, recipients, registry, noted: application::Noted::default(), tries_once })
    }
}
