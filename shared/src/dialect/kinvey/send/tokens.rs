//! `_messaging.pushTokens` of a user's document: devices that Kinvey knew, with their SNS endpoints.

use serde_json::{Map, Value};

use crate::dialect::kinvey::devices::{DeviceCall, MOST_FRAMEWORK, Platform};
use crate::id::{ClientId, IdError, Token};

/// The most tokens that one call registers: each takes reads and a transaction, and the caller waits.
pub const MOST_IMPORTED: usize = 500;

/// A device to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Whose, and which.
    pub device: DeviceCall,
    /// Its SNS endpoint's ARN, as the document says.
    pub arn: Option<String>,
}

/// Why an entry is no device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not a kind of phone.
    #[error("a platform that is neither \"ios\" nor \"android\"")]
    Platform,
    /// No token, or one that cannot be.
    #[error("a token that cannot be one")]
    Token(#[source] IdError),
    /// Too long to be kept.
    #[error("a framework of more than {MOST_FRAMEWORK} bytes")]
    Framework,
}

impl Import {
    /// Reads an entry of a user's `_messaging.pushTokens`.
    ///
    /// # Errors
    /// When it is no device that can be registered.
    pub fn read(user: &ClientId, entry: &Value) -> Result<Self, EntryError> {
        let platform = entry["platform"].as_str().and_then(Platform::from_word).ok_or(EntryError::Platform)?;
        let token = Token::parse(entry["token"].as_str().unwrap_or_default()).map_err(EntryError::Token)?;
        let framework = entry["framework"].as_str().map(str::to_owned);
        if framework.as_ref().is_some_and(|name| name.len() > MOST_FRAMEWORK) {
            return Err(EntryError::Framework);
        }
        let device = DeviceCall { user: user.clone(), platform, token, framework };
        Ok(Self { device, arn: entry["arn"].as_str().map(str::to_owned) })
    }
}

/// The devices of a document.
pub(super) fn of(user: &ClientId, document: &Map<String, Value>) -> Result<Vec<Import>, (Option<String>, String)> {
    let Some(messaging) = document.get("_messaging").filter(|messaging| !messaging.is_null()) else {
        return Ok(Vec::new());
    };
    let unusable = |rule: &str| (None, format!("has _messaging.pushTokens {rule}"));
    let list = match messaging.get("pushTokens") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            return Err(unusable("that are no list"));
        }
    };
    list.iter().map(|entry| Import::read(user, entry).map_err(|wrong| unusable(&format!("with {wrong}")))).collect()
}
