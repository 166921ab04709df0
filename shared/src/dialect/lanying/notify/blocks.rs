//! The vendors' blocks of a message.

use super::super::body::{Fields, bad};
use super::super::envelope::Failure;
use crate::message::{ClickAction, HuaweiBlock, IosBlock, VendorBlock, Vendors, VivoBlock};

/// APNs' own limit, in bytes.
const MOST_COLLAPSE: usize = 64;

pub(super) fn vendors(message: &mut Fields) -> Result<Vendors, Failure> {
    let android = block(message, "android", |fields| common(fields, false))?;
    // What a vendor's own block leaves out is in the one for all of them.
    let intent = android.as_ref().is_some_and(|android| android.intent.is_some());
    let (common, huawei) = (|fields: &Fields| common(fields, intent), |fields: &Fields| huawei(fields, intent));
    let vivo = |fields: &Fields| vivo(fields, intent);
    Ok(Vendors {
        ios: block(message, "ios", ios)?,
        android,
        fcm: block(message, "fcm", common)?,
        huawei: block(message, "huawei", huawei)?,
        xiaomi: block(message, "xiaomi", common)?,
        oppo: block(message, "oppo", common)?,
        vivo: block(message, "vivo", vivo)?,
        flyme: block(message, "flyme", common)?,
        honor: block(message, "honor", huawei)?,
    })
}

/// A block; `None` when it says nothing.
fn block<T: Default + PartialEq>(
    message: &mut Fields,
    name: &str,
    read: impl Fn(&Fields) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let block = read(&message.below(name)?)?;
    Ok(Some(block).filter(|block| *block != T::default()))
}

fn owned(fields: &Fields, name: &str) -> Result<Option<String>, Failure> {
    fields.text(name).map(|text| text.map(str::to_owned))
}

fn ios(fields: &Fields) -> Result<IosBlock, Failure> {
    let apns_collapse_id = owned(fields, "apns_collapse_id")?;
    if apns_collapse_id.as_ref().is_some_and(|id| id.len() > MOST_COLLAPSE) {
        return Err(fields.wrong("apns_collapse_id", "is longer than 64 bytes"));
    }
    Ok(IosBlock {
        sound: owned(fields, "sound")?,
        content_available: fields.flag("content_available")?,
        mutable_content: fields.flag("mutable_content")?,
        category: owned(fields, "category")?,
        thread_id: owned(fields, "thread_id")?,
        subtitle: owned(fields, "subtitle")?,
        apns_collapse_id,
        aps: None,
        plain_alert: false,
        data: None,
    })
}

fn common(fields: &Fields, has_intent: bool) -> Result<VendorBlock, Failure> {
    let word = fields.text("click_action")?.map(str::to_ascii_lowercase);
    let click_action = match word.as_deref() {
        None => None,
        Some("intent") => Some(ClickAction::Intent),
        Some("open_app") => Some(ClickAction::OpenApp),
        Some(_) => return Err(fields.wrong("click_action", "is neither intent nor open_app")),
    };
    let intent = owned(fields, "intent")?;
    if click_action == Some(ClickAction::Intent) && intent.is_none() && !has_intent {
        let (intent, action) = (fields.name("intent"), fields.name("click_action"));
        return Err(bad(format!("{intent} is missing, as {action} is intent")));
    }
    let (sound, channel_id) = (owned(fields, "sound")?, owned(fields, "channel_id")?);
    Ok(VendorBlock { sound, channel_id, click_action, intent, ..VendorBlock::default() })
}

fn huawei(fields: &Fields, has_intent: bool) -> Result<HuaweiBlock, Failure> {
    Ok(HuaweiBlock { common: common(fields, has_intent)?, badge_class: owned(fields, "badge_class")? })
}

fn vivo(fields: &Fields, has_intent: bool) -> Result<VivoBlock, Failure> {
    let zero_or_one = |name: &str| {
        let Some(value) = fields.given(name) else { return Ok(None) };
        match value.as_u64() {
            Some(0) => Ok(Some(0)),
            Some(1) => Ok(Some(1)),
            Some(_) | None => Err(fields.wrong(name, "is neither 0 nor 1")),
        }
    };
    let (push_mode, classification) = (zero_or_one("push_mode")?, zero_or_one("classification")?);
    Ok(VivoBlock { common: common(fields, has_intent)?, push_mode, classification })
}
