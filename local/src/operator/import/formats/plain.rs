//! Our own columns.

use pushbell::dialect::imkit::subscription::MOST_DEVICE_ID;
use pushbell::dialect::kinvey::devices::{DeviceCall, MOST_FRAMEWORK, Platform};
use pushbell::id::DeviceKey;
use pushbell::recipient::Device;
use serde_json::Value;

use super::{Context, Made, device};
use crate::operator::import::fields::{Fields, Refusal, locale};

/// Without `device` the token is the installation's name, as with Kinvey's calls. With it, it is called as IMKIT's are of the types `ios` and
/// `android`.
pub(super) fn row(fields: Fields<'_>, context: Context<'_>) -> Made {
    let user = fields.client("client")?;
    let platform = Platform::from_word(fields.needed("platform")?);
    let platform = platform.ok_or_else(|| Refusal::new("platform", "is neither \"ios\" nor \"android\""))?;
    let token = fields.token("token")?;
    let name = fields.short("device", MOST_DEVICE_ID)?;
    let sandbox = sandbox(fields)?.unwrap_or_else(|| context.sandbox());
    let locale = match fields.text("locale")? {
        None => None,
        Some(text) => Some(locale(text).ok_or_else(|| Refusal::new("locale", "is not a language tag"))?),
    };
    let framework = fields.short("framework", MOST_FRAMEWORK)?;
    let call = DeviceCall { user: user.clone(), platform, token, framework };
    let plain = call.device(sandbox, context.at);
    let key = name.map_or_else(|| plain.key.clone(), |name| DeviceKey::of(platform.as_str(), &name));
    Ok(device(user, Device { key, locale, ..plain }))
}

fn sandbox(fields: Fields<'_>) -> Result<Option<bool>, Refusal> {
    let wrong = || Refusal::new("sandbox", "is neither true nor false");
    match fields.value("sandbox") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(sandbox)) => Ok(Some(*sandbox)),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        // Spreadsheets write TRUE.
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(wrong()),
    }
}
