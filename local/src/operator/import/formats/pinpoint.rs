//! Endpoints of Amazon Pinpoint, as a job exports them
//! (<https://docs.aws.amazon.com/pinpoint/latest/apireference/apps-application-id-endpoints-endpoint-id.html>), or with the columns of its own CSV.

use pushbell::dialect::kinvey::devices::{DeviceCall, Platform};
use pushbell::recipient::Device;

use super::{Context, Made, Row, device};
use crate::operator::import::fields::{Fields, Refusal, locale};

pub(super) fn row(fields: Fields<'_>, context: Context<'_>) -> Made {
    let (platform, sandbox) = channel(fields.needed("ChannelType")?)?;
    match fields.text("OptOut")? {
        Some("ALL") => return Ok(Row::LeftOut("OptOut is ALL")),
        Some("NONE") | None => {}
        Some(_) => return Err(Refusal::new("OptOut", "is neither ALL nor NONE")),
    }
    match fields.text("EndpointStatus")? {
        Some("INACTIVE") => return Ok(Row::LeftOut("EndpointStatus is INACTIVE")),
        Some("ACTIVE") | None => {}
        Some(_) => return Err(Refusal::new("EndpointStatus", "is neither ACTIVE nor INACTIVE")),
    }
    let user = fields.client("User.UserId")?;
    let token = fields.token("Address")?;
    let call = DeviceCall { user: user.clone(), platform, token, framework: None };
    let locale = fields.text("Demographic.Locale")?.and_then(locale);
    Ok(device(user, Device { locale, ..call.device(sandbox, context.at) }))
}

/// The platform of a channel, and whether it is Apple's for development builds.
fn channel(word: &str) -> Result<(Platform, bool), Refusal> {
    let reason = match word {
        "GCM" => return Ok((Platform::Android, false)),
        "APNS" => return Ok((Platform::Ios, false)),
        "APNS_SANDBOX" => return Ok((Platform::Ios, true)),
        "EMAIL" => "is EMAIL, which is no push",
        "SMS" => "is SMS, which is no push",
        "VOICE" => "is VOICE, which is no push",
        "IN_APP" => "is IN_APP, which is no push",
        "CUSTOM" => "is CUSTOM, which is no push",
        "APNS_VOIP" => "is APNS_VOIP, which is not delivered to",
        "APNS_VOIP_SANDBOX" => "is APNS_VOIP_SANDBOX, which is not delivered to",
        "BAIDU" => "is BAIDU, which is not delivered to",
        "ADM" => "is ADM, which is not delivered to",
        _ => "is no channel of Pinpoint's",
    };
    Err(Refusal::new("ChannelType", reason))
}
