//! Users' documents of Kinvey, each with as many tokens as it has.

use pushbell::delivery::Channel;
use pushbell::delivery::sns::Endpoints;
use pushbell::dialect::kinvey::send::{EntryError, Import};
use pushbell::id::ClientId;
use pushbell::recipient::Device;
use serde_json::Value;

use super::{Context, Row, device};
use crate::operator::import::fields::{Fields, Refusal};

const TOKENS: &str = "_messaging.pushTokens";

/// A row for each token. A user without any has none.
pub(super) fn rows(fields: Fields<'_>, context: Context<'_>) -> Vec<Row> {
    let entries = match fields.value(TOKENS) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(entries)) => entries,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            return vec![Row::Refused(Refusal::new(TOKENS, "is no list"))];
        }
    };
    // MongoDB's export writes an ObjectID as an object.
    let id = if fields.value("_id.$oid").is_some() { fields.needed("_id.$oid") } else { fields.needed("_id") };
    let user = id.and_then(|id| ClientId::parse(id).map_err(|rule| Refusal::id("_id", rule)));
    entries
        .iter()
        .map(|entry| user.clone().and_then(|user| row(user, entry, context)).unwrap_or_else(Row::Refused))
        .collect()
}

fn row(user: ClientId, entry: &Value, context: Context<'_>) -> Result<Row, Refusal> {
    let import = Import::read(&user, entry).map_err(|wrong| match wrong {
        EntryError::Platform => Refusal::new("platform", "is neither \"ios\" nor \"android\""),
        EntryError::Token(rule) => Refusal::id("token", rule),
        EntryError::Framework => Refusal::new("framework", "is longer than 64 bytes"),
    })?;
    let known = import.arn.as_deref().and_then(|arn| Endpoints::of_app(context.sns, arn));
    let sandbox = known.map_or_else(|| context.sandbox(), |known| known.sandbox);
    let plain = import.device.device(sandbox, context.at);
    let endpoint = known.filter(|_| plain.channel == Channel::Sns).map(|known| known.endpoint.to_owned());
    Ok(device(user, Device { endpoint, ..plain }))
}
