//! Apple's part of a payload: what SNS carries to APNs, and what FCM does for phones of Apple's.

use super::splice::{Fill, Template, When};
use super::trim::Content;
use crate::app::Settings;
use crate::message::{Interruption, IosBlock, Kind, Message, Priority, collapse_id_of};

/// IMKIT's documented localisation keys. Every app of IMKIT's has their texts, as the chat server's own sender sends nothing else.
/// For another `im_loc_` key (a newer or a custom message type) iOS would show the key itself, so the alert has the plain text, and
/// the key stands beside `aps` for a service extension.
const IMKIT_KEYS: [&str; 13] = [
    "im_loc_text",
    "im_loc_image",
    "im_loc_video",
    "im_loc_audio",
    "im_loc_sticker",
    "im_loc_location",
    "im_loc_file",
    "im_loc_joinRoom",
    "im_loc_leaveRoom",
    "im_loc_addMember",
    "im_loc_addMembers",
    "im_loc_deleteMember",
    "im_loc_encrypted",
];

/// `apns-push-type`: what the payload does to the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushType {
    /// Something shows.
    Alert,
    /// Nothing shows.
    Background,
    /// Alert for recipients whose badge is told: Apple counts a badge among what shows.
    ByBadge,
}

impl PushType {
    /// The header's value for a recipient with or without a badge.
    pub(super) const fn value(self, badge: bool) -> &'static str {
        match (self, badge) {
            (Self::Alert, _) | (Self::ByBadge, true) => "alert",
            (Self::Background, _) | (Self::ByBadge, false) => "background",
        }
    }
}

/// What a message does on a phone of Apple's.
pub(super) struct Aps {
    /// The object `aps`.
    pub(super) template: Template,
    /// Whether the alert is in it (with FCM it may be made from the message's own notification).
    pub(super) has_alert: bool,
    pub(super) push_type: PushType,
    /// `apns-priority`.
    pub(super) priority: &'static str,
}

/// Whether and how a message shows, given that one without a text shows nothing.
pub(super) fn kind(message: &Message, content: &Content) -> Kind {
    match message.behaviour.kind {
        Kind::Alert | Kind::Silent if !content.is_shown() => Kind::Data,
        kind @ (Kind::Alert | Kind::Silent | Kind::Data | Kind::Badge | Kind::Withdraw) => kind,
    }
}

/// `apns-collapse-id`, at most 64 bytes.
pub(super) fn collapse_id(message: &Message) -> String {
    let own = message.vendors.ios.as_ref().and_then(|ios| ios.apns_collapse_id.as_ref());
    own.filter(|id| !id.is_empty()).map_or_else(|| message.collapse_id(), |id| collapse_id_of(id))
}

/// Renders `aps`. With `notification` the vendor makes the alert from title and body itself; it is left out where it says no more.
pub(super) fn render(message: &Message, content: &Content, settings: &Settings, notification: bool) -> Aps {
    let none = IosBlock::default();
    let ios = message.vendors.ios.as_ref().unwrap_or(&none);
    if let Some(aps) = ios.aps.as_ref().filter(|_| !content.hidden) {
        return as_given(aps);
    }
    let behaviour = &message.behaviour;
    let kind = kind(message, content);
    let (mut template, has_alert, push_type) = match kind {
        Kind::Alert | Kind::Silent => {
            let subtitle = ios.subtitle.as_ref().filter(|_| !content.hidden).or(content.subtitle.as_ref());
            let localised = content.localised.as_ref().filter(|text| is_carried(&text.key));
            let has_alert = !notification || subtitle.is_some() || localised.is_some();
            // Always there, so that what some recipients have is never an object's first member.
            let mutable = behaviour.mutable || message.media.image.is_some();
            let mut template = Template::new("{");
            template.member("mutable-content", u8::from(ios.mutable_content.unwrap_or(mutable)));
            let titled = content.title.is_some() || subtitle.is_some() || localised.is_some();
            let plain = content.body.as_ref().filter(|_| ios.plain_alert && !titled);
            if let Some(body) = plain.filter(|_| has_alert) {
                template.member("alert", body);
            } else if has_alert {
                template.name("alert").raw("{").member_if("title", content.title.as_ref());
                template.member_if("subtitle", subtitle).member_if("body", content.body.as_ref());
                if let Some(localised) = localised {
                    template.member("loc-key", &localised.key).member("loc-args", &localised.args);
                }
                template.raw("}");
            }
            (template, has_alert, PushType::Alert)
        }
        Kind::Data | Kind::Withdraw => (Template::new("{\"content-available\":1"), false, PushType::ByBadge),
        Kind::Badge => {
            let mut template = Template::new("{");
            template.when(When::Badge, "\"badge\":", Fill::Badge);
            template.when(When::NoBadge, "\"content-available\":1", Fill::Nothing).raw("}");
            return Aps { template, has_alert: false, push_type: PushType::ByBadge, priority: "5" };
        }
    };
    template.when(When::Badge, ",\"badge\":", Fill::Badge);
    let shows = matches!(kind, Kind::Alert | Kind::Silent);
    if shows {
        if kind == Kind::Alert {
            let sound = ios.sound.as_ref().or(behaviour.sound.as_ref()).or(settings.sound.as_ref());
            let mut part = Template::new(",");
            part.string("sound").raw(":").string(sound.map_or("default", String::as_str));
            template.when_template(When::Loud, &part);
        }
        if ios.content_available.unwrap_or(behaviour.wakes_app) {
            template.member("content-available", 1);
        }
        let quiet = (kind == Kind::Silent).then_some(Interruption::Passive);
        template.member_if("thread-id", ios.thread_id.as_ref().or(behaviour.thread.as_ref()));
        template.member_if("category", ios.category.as_ref().or(behaviour.category.as_ref()));
        match behaviour.interruption.or(quiet) {
            // What breaks through a focus does not while it is to be quiet.
            Some(level @ (Interruption::TimeSensitive | Interruption::Critical)) => {
                let mut part = Template::new(",");
                part.string("interruption-level").raw(":").json(level);
                template.when_template(When::Loud, &part);
            }
            level => _ = template.member_if("interruption-level", level),
        }
    }
    template.raw("}");
    // A background push with priority 10 is refused.
    let priority = if shows && behaviour.priority == Priority::High { "10" } else { "5" };
    Aps { template, has_alert, push_type, priority }
}

/// Whether the key stands in the alert.
pub(super) fn is_carried(key: &str) -> bool {
    !key.starts_with("im_loc_") || IMKIT_KEYS.contains(&key)
}

/// A caller's own dictionary goes as it is, but without its sound to whom it is to be quiet.
fn as_given(aps: &serde_json::Map<String, serde_json::Value>) -> Aps {
    let mut template = Template::default();
    let mut rest = aps.clone();
    match rest.remove("sound") {
        Some(sound) if !rest.is_empty() => {
            let mut part = Template::new(",");
            part.string("sound").raw(":").json(sound);
            let object = serde_json::Value::Object(rest).to_string();
            template.raw(object.strip_suffix('}').unwrap_or(&object)).when_template(When::Loud, &part).raw("}");
        }
        Some(_) | None => _ = template.json(aps),
    }
    let shows = ["alert", "badge", "sound"].iter().any(|name| aps.contains_key(*name));
    let (push_type, priority) = if shows { (PushType::Alert, "10") } else { (PushType::Background, "5") };
    Aps { template, has_alert: aps.contains_key("alert"), push_type, priority }
}
