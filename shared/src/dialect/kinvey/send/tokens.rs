//! `_messaging.pushTokens` of a user's document: devices that Kinvey knew, with their SNS endpoints.

use serde_json::{Map, Value};

use crate::dialect::kinvey::devices::{DeviceCall, MOST_FRAMEWORK, Platform};
use crate::id::{ClientId, Token};

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
    let import = |entry: &Value| {
        let platform = match entry["platform"].as_str() {
            Some("ios") => Platform::Ios,
            Some("android") => Platform::Android,
            Some(_) | None => return Err(unusable("with a platform that is neither \"ios\" nor \"android\"")),
        };
        let token = entry["token"].as_str().and_then(|token| Token::parse(token).ok());
        let token = token.ok_or_else(|| unusable("with a token that cannot be one"))?;
        let framework = entry["framework"].as_str().map(str::to_owned);
        if framework.as_ref().is_some_and(|name| name.len() > MOST_FRAMEWORK) {
            return Err(unusable("with a framework of more than 64 bytes"));
        }
        let device = DeviceCall { user: user.clone(), platform, token, framework };
        Ok(Import { device, arn: entry["arn"].as_str().map(str::to_owned) })
    };
    list.iter().map(import).collect()
}
