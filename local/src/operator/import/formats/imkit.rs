//! Subscriptions of an IMKIT server.

use pushbell::dialect::imkit::subscription::{MOST_DEVICE_ID, Subscribe, TokenType};

use super::{Context, Made, device};
use crate::operator::import::fields::{Fields, Refusal};

pub(super) fn row(fields: Fields<'_>, context: Context<'_>) -> Made {
    let kind = match fields.needed("type")? {
        "web" => return Err(Refusal::new("type", "is \"web\", which is not delivered to")),
        "ios-voip" => return Err(Refusal::new("type", "is \"ios-voip\", which is not delivered to")),
        word => TokenType::from_word(word).ok_or_else(|| Refusal::new("type", "is none of ios, android, fcm"))?,
    };
    let client = fields.client("clientId")?;
    let token = fields.token("token")?;
    let known = Subscribe::known(kind, fields.short("deviceId", MOST_DEVICE_ID)?, token);
    Ok(device(client, known.device(context.sns.environment, context.at)))
}
