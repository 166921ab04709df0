//! A message as FCM takes it.

use serde_json::Value;

use crate::app::Settings;
use crate::delivery::Patch;
use crate::delivery::aps::{self, Aps};
use crate::delivery::splice::{Fill, Template, Values, When, time_left};
use crate::delivery::trim::{self, Content};
use crate::id::Token;
use crate::message::{ClickAction, DataOnly, Kind, Message, Priority, VendorBlock, Wording};
use crate::time::Timestamp;

/// A message, rendered for FCM.
pub struct Prepared {
    /// `None` where it is too large whatever is cut.
    template: Option<Template>,
    expires_at: Option<Timestamp>,
}

impl Prepared {
    pub(super) fn new(message: &Message, wording: Wording, settings: &Settings) -> Self {
        Self { template: template(message, wording, settings), expires_at: message.behaviour.expires_at }
    }

    /// One device's request body; `None` when the message is too large.
    pub(super) fn body(&self, token: &Token, patch: &Patch, now: Timestamp) -> Option<String> {
        let template = self.template.as_ref()?;
        let left = time_left(self.expires_at, now);
        Some(template.render(&Values {
            token: token.expose(),
            // FCM's `notification_count` is a 32-bit signed number.
            badge: patch.badge.map(|badge| badge.min(i32::MAX.unsigned_abs())),
            silent: patch.silent,
            time_to_live: left.as_secs(),
            expiry: now.plus(left).as_secs(),
            platform: "",
        }))
    }
}

/// The parts that limits are on.
struct Rendered {
    notification: Template,
    data: Template,
    /// `android.notification`.
    shown: Template,
    aps: Aps,
    /// FCM's SDK shows it.
    shows: bool,
}

impl Rendered {
    /// What counts against the limit: on Android the notification and the data, on Apple's phones `aps` and the data that FCM puts
    /// beside it. The token, the headers and the priorities are no payload.
    fn size(&self) -> usize {
        let (notification, data) = (self.notification.longest(), self.data.longest());
        let made_from_notification = if self.aps.has_alert { 0 } else { notification };
        let apple = self.aps.template.longest() + data + made_from_notification;
        apple.max(notification + data + self.shown.longest())
    }
}

fn template(message: &Message, wording: Wording, settings: &Settings) -> Option<Template> {
    let own = blocks(message).into_iter().flatten().find_map(|block| block.data.as_ref());
    let content = Content::of(message, wording, settings, own);
    let image = content.image(message);
    let rendered = trim::fit(content, trim::MOST_BYTES, |content| render(message, content, settings), Rendered::size)?;
    let shows = rendered.shows;
    let mut template = Template::new("{\"message\":{\"token\":\"");
    template.fill(Fill::Token).raw("\"");
    if shows {
        template.raw(",\"notification\":").append(&rendered.notification);
    }
    template.raw(",\"data\":").append(&rendered.data);
    let priority = match message.behaviour.priority {
        Priority::High => "HIGH",
        Priority::Normal => "NORMAL",
    };
    template.name("android").raw("{").member("priority", priority);
    template.name("ttl").raw("\"").fill(Fill::TimeToLive).raw("s\"");
    if shows {
        template.raw(",\"notification\":").append(&rendered.shown);
    }
    template.raw("},\"apns\":{\"headers\":{").member("apns-priority", rendered.aps.priority);
    template.member("apns-collapse-id", aps::collapse_id(message));
    template.name("apns-expiration").raw("\"").fill(Fill::Expiry).raw("\"");
    template.name("apns-push-type").raw("\"");
    template.when(When::Badge, rendered.aps.push_type.value(true), Fill::Nothing);
    template.when(When::NoBadge, rendered.aps.push_type.value(false), Fill::Nothing);
    template.raw("\"},\"payload\":{\"aps\":").append(&rendered.aps.template).raw("}");
    if shows && let Some(image) = image {
        template.raw(",\"fcm_options\":{").member("image", image).raw("}");
    }
    template.raw("}}}");
    Some(template)
}

fn render(message: &Message, content: &Content, settings: &Settings) -> Rendered {
    let kind = aps::kind(message, content);
    let data_only = data_only(message, content);
    let shows = matches!(kind, Kind::Alert | Kind::Silent) && data_only.is_none();
    let (mut notification, mut shown) = (Template::default(), Template::default());
    if shows {
        notification.raw("{").member_if("title", content.title.as_ref()).member_if("body", content.body.as_ref());
        notification.member_if("image", content.image(message)).raw("}");
        shown = android(message, kind, content, settings);
    }
    let aps = aps::render(message, content, settings, shows);
    Rendered { notification, data: data(message, content, kind, data_only), shown, aps, shows }
}

/// Whether the app shows the message itself. To who hides content the system shows what is to be shown instead.
fn data_only<'a>(message: &'a Message, content: &Content) -> Option<&'a DataOnly> {
    blocks(message).into_iter().flatten().find_map(|block| block.data_only.as_ref()).filter(|_| !content.hidden)
}

/// `android.notification`: FCM's own block over the one for every Android vendor over the message.
///
/// Its `body` stands in for the notification's on Android only, where FCM's SDK makes it expandable (`CommonNotificationBuilder`, big text
/// style): the place of a big text. There is no field for a timed display: `event_time` only sorts the list, so the times travel as data.
fn android(message: &Message, kind: Kind, content: &Content, settings: &Settings) -> Template {
    let blocks = blocks(message);
    let mut template = Template::new("{");
    // A repeat replaces what is shown. Never a `collapse_key`: FCM keeps four of them per device and drops the rest.
    template.member("tag", message.collapse_id());
    template.member_if("body", content.big.as_ref());
    let channel = first(blocks, |block| block.channel_id.as_deref()).or(message.media.channel.as_deref());
    let channel = channel.or(settings.android_channel.as_deref());
    // From Android 8 on it is the channel that sounds or does not.
    match &settings.android_quiet_channel {
        Some(quiet) if kind == Kind::Silent => _ = template.member("channel_id", quiet),
        Some(quiet) => {
            let part = |channel: &str| {
                let mut part = Template::new(",");
                part.string("channel_id").raw(":").string(channel);
                part
            };
            template.when_template(When::Silent, &part(quiet));
            if let Some(channel) = channel {
                template.when_template(When::Loud, &part(channel));
            }
        }
        None => _ = template.member_if("channel_id", channel),
    }
    template.member_if("click_action", click_action(message));
    if kind == Kind::Silent {
        // For phones older than Android 8, which know no channels.
        template.member("notification_priority", "PRIORITY_LOW");
    } else {
        let sound = first(blocks, |block| block.sound.as_deref()).or(message.behaviour.sound.as_deref());
        let mut part = Template::new(",");
        part.string("sound").raw(":").string(sound.or(settings.sound.as_deref()).unwrap_or("default"));
        template.when_template(When::Loud, &part);
    }
    template.when(When::Badge, ",\"notification_count\":", Fill::Badge).raw("}");
    template
}

fn blocks(message: &Message) -> [Option<&VendorBlock>; 2] {
    [message.vendors.fcm.as_ref(), message.vendors.android.as_ref()]
}

fn first<'a>(
    blocks: [Option<&'a VendorBlock>; 2],
    part: impl Fn(&'a VendorBlock) -> Option<&'a str>,
) -> Option<&'a str> {
    blocks.into_iter().flatten().find_map(part)
}

/// What a tap does. FCM knows an intent filter's action only, so of an intent URI (`intent:…#Intent;action=…;end`) the action is
/// taken; without one a tap opens the app, which finds the URI in its data.
fn click_action(message: &Message) -> Option<&str> {
    match blocks(message).into_iter().flatten().find_map(|block| block.click_action) {
        Some(ClickAction::OpenApp) => None,
        Some(ClickAction::Intent) => first(blocks(message), |block| block.intent.as_deref()).and_then(|intent| {
            match intent.split_once("#Intent;") {
                Some((_, parts)) => parts.split(';').find_map(|part| part.strip_prefix("action=")),
                None => (!intent.contains(':')).then_some(intent),
            }
        }),
        None => message.media.click_action.as_deref(),
    }
}

/// The page that a tap opens, for the app to open itself: component and parameters of an intent URI have no place in a notification.
fn intent(message: &Message) -> Option<&str> {
    let action = blocks(message).into_iter().flatten().find_map(|block| block.click_action)?;
    let intent = first(blocks(message), |block| block.intent.as_deref());
    intent.filter(|intent| action == ClickAction::Intent && intent.contains("#Intent;"))
}

/// `data`: texts only, nested JSON as its text.
///
/// A message with a localised text has its parts in here too (`title`, `body`, `loc-key`, `loc-args`, `badge`), as IMKIT's own
/// sender does: FCM shows a `body` whenever there is one and never the localised text, so an app that localises does it itself.
///
/// An app that shows messages itself has the body under the names that it knows.
fn data(message: &Message, content: &Content, kind: Kind, data_only: Option<&DataOnly>) -> Template {
    let id = message.origin.message.as_str();
    let mut template = Template::new("{");
    if kind == Kind::Withdraw {
        // An id of its own, or the app would take it for a repeat of what it withdraws.
        template.member("pushbell_id", format!("withdraw:{id}")).member("pushbell_withdraw", id);
    } else {
        template.member("pushbell_id", id);
    }
    let body_names = data_only.map(|own| own.body.as_slice()).unwrap_or_default();
    for name in body_names {
        template.member_if(name, content.body.as_ref());
    }
    let texts = content.copies || kind == Kind::Data && !content.own && data_only.is_none();
    if texts {
        template.member_if("title", content.title.as_ref()).member_if("body", content.body.as_ref());
    }
    if let Some(localised) = content.localised.as_ref().filter(|_| !content.own) {
        let args = serde_json::to_string(&localised.args).unwrap_or_default();
        template.member("loc-key", &localised.key).member("loc-args", args);
    }
    let counts = matches!(kind, Kind::Data | Kind::Badge | Kind::Withdraw);
    let badge = !content.own && (message.text.localised.is_some() || counts);
    if badge {
        template.when(When::Badge, ",\"badge\":\"", Fill::Badge).when(When::Badge, "\"", Fill::Nothing);
    }
    // A picture is in the notification, where there is one.
    let image = content.image(message).filter(|_| kind == Kind::Data);
    let intent = intent(message);
    for (name, value) in [("image", image), ("attachment", content.attachment(message))] {
        if !content.data.contains_key(name) {
            template.member_if(name, value);
        }
    }
    template.member_if("pushbell_intent", intent);
    for (key, value) in &content.data {
        let written = match key.as_str() {
            "pushbell_id" | "pushbell_withdraw" => true,
            "pushbell_intent" => intent.is_some(),
            "title" => texts && content.title.is_some(),
            "body" => texts && content.body.is_some(),
            "badge" => badge,
            _ => content.body.is_some() && body_names.contains(key),
        };
        if written || value.is_null() {
            continue;
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
        };
        template.member(&allowed(key, content), text);
    }
    template.raw("}");
    template
}

/// A key that FCM allows. Reserved are `from`, `message_type` and words that begin with `google` or `gcm` (Firebase's reference of
/// `projects.messages`, in its widest version), and `collapse_key`, which the phone's SDK takes for its own: they get an `x_` in front.
fn allowed<'a>(key: &'a str, content: &Content) -> std::borrow::Cow<'a, str> {
    let reserved =
        matches!(key, "from" | "message_type" | "collapse_key") || key.starts_with("google") || key.starts_with("gcm");
    if !reserved {
        return key.into();
    }
    let mut renamed = format!("x_{key}");
    while content.data.contains_key(&renamed) {
        renamed.insert_str(0, "x_");
    }
    renamed.into()
}
