//! `setting`: the request's name, and the roads to the phones.

use super::super::body::Fields;
use super::super::envelope::Failure;
use crate::delivery::Channel;
use crate::message::{Roads, Strategy};

/// The longest `request_id`, in bytes.
const MOST_REQUEST: usize = 128;

/// Lanying's `ups`: the vendors in China. Honor is ours: its phones were Huawei's.
const UPS: [Channel; 6] =
    [Channel::Huawei, Channel::Xiaomi, Channel::Meizu, Channel::Oppo, Channel::Vivo, Channel::Honor];

pub(super) fn request(setting: &Fields) -> Result<Option<String>, Failure> {
    let Some(request) = setting.text("request_id")? else { return Ok(None) };
    if request.len() > MOST_REQUEST {
        return Err(setting.wrong("request_id", "is longer than 128 bytes"));
    }
    if request.chars().any(char::is_control) {
        return Err(setting.wrong("request_id", "holds a character that is not allowed"));
    }
    Ok(Some(request.to_owned()))
}

pub(super) fn roads(setting: &Fields) -> Result<Roads, Failure> {
    Ok(Roads { strategy: strategy(setting)?, android: sequence(setting)?, only: None })
}

// The page writes two of the words with a capital.
fn strategy(setting: &Fields) -> Result<Strategy, Failure> {
    let word = setting.text("distribution_strategy")?.map(str::to_ascii_lowercase);
    match word.as_deref() {
        None | Some("combined") => Ok(Strategy::Combined),
        Some("mxpush_only") => Ok(Strategy::Online),
        Some("ospush_only") => Ok(Strategy::Vendors),
        Some(_) => Err(setting.wrong("distribution_strategy", "is none of combined, mxpush_only and ospush_only")),
    }
}

/// Empty: all of them, in any order, as `["ups", "fcm"]` stands for all that there are.
fn sequence(setting: &Fields) -> Result<Vec<Channel>, Failure> {
    const NAME: &str = "ospush_sequence";
    let mut channels: Vec<Channel> = Vec::new();
    for (index, entry) in setting.list(NAME)?.unwrap_or_default().iter().enumerate() {
        let wrong = |rule: &str| super::super::body::bad(format!("entry {index} of {} {rule}", setting.name(NAME)));
        let word = entry.as_str().ok_or_else(|| wrong("is not a text"))?;
        let one = match word.to_ascii_lowercase().as_str() {
            "ups" => &UPS[..],
            "fcm" => &[Channel::Fcm],
            "huawei" => &[Channel::Huawei],
            "xiaomi" => &[Channel::Xiaomi],
            "oppo" => &[Channel::Oppo],
            "vivo" => &[Channel::Vivo],
            "meizu" | "flyme" => &[Channel::Meizu],
            "honor" => &[Channel::Honor],
            _ => return Err(wrong("is none of ups, fcm, huawei, honor, xiaomi, oppo, vivo and meizu")),
        };
        for channel in one {
            if !channels.contains(channel) {
                channels.push(*channel);
            }
        }
    }
    Ok(channels)
}
