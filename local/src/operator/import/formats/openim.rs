//! FCM tokens of an OpenIM server. It pushes to Android phones and iPhones by them; an iPhone's is FCM's too, which passes on to Apple.

use pushbell::dialect::imkit::subscription::{Subscribe, TokenType};
use serde_json::Value;

use super::{Context, Made, device};
use crate::operator::import::fields::{Fields, Refusal};

/// OpenIM's numbers of platforms: 1 iOS, 2 Android.
const PHONES: [&str; 2] = ["1", "2"];

pub(super) fn row(fields: Fields<'_>, context: Context<'_>) -> Made {
    let client = fields.client("userID")?;
    let platform = match fields.value("platformID") {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Null | Value::String(_)) | None => return Err(Refusal::new("platformID", "is missing")),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(Refusal::new("platformID", "is not a number"));
        }
    };
    if !PHONES.contains(&platform.as_str()) {
        return Err(Refusal::new("platformID", "is neither 1 (iOS) nor 2 (Android)"));
    }
    let known = Subscribe::known(TokenType::Fcm, None, fields.token("fcmToken")?);
    Ok(device(client, known.device(context.sns.environment, context.at)))
}
