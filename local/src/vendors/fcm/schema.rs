//! The fields of an FCM v1 send request.
//! Source: firebase.google.com, REST resource `projects.messages`. Proto JSON takes each name in snake case and in
//! camel case; the names here are in snake case.

/// What a field takes.
pub(super) enum Kind {
    Text,
    Flag,
    Integer,
    Number,
    /// Text to text.
    TextMap,
    /// `3.5s`
    Duration,
    /// RFC 3339.
    Time,
    /// One of these names.
    OneOf(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of durations.
    Durations,
    /// Any JSON object.
    Struct,
    Message(&'static [Field]),
}

pub(super) struct Field(pub(super) &'static str, pub(super) Kind);

use Kind::{Duration, Durations, Flag, Integer, Message, Number, OneOf, Struct, Text, TextMap, Texts, Time};

pub(super) const REQUEST: &[Field] = &[Field("validate_only", Flag), Field("message", Message(MESSAGE))];

const MESSAGE: &[Field] = &[
    Field("name", Text),
    Field("data", TextMap),
    Field("notification", Message(NOTIFICATION)),
    Field("android", Message(ANDROID)),
    Field("webpush", Message(WEBPUSH)),
    Field("apns", Message(APNS)),
    Field("fcm_options", Message(OPTIONS)),
    Field("token", Text),
    Field("topic", Text),
    Field("condition", Text),
    Field("fid", Text),
];

const NOTIFICATION: &[Field] = &[Field("title", Text), Field("body", Text), Field("image", Text)];

const OPTIONS: &[Field] = &[Field("analytics_label", Text)];

const ANDROID: &[Field] = &[
    Field("collapse_key", Text),
    Field("priority", OneOf(&["NORMAL", "HIGH"])),
    Field("ttl", Duration),
    Field("restricted_package_name", Text),
    Field("data", TextMap),
    Field("notification", Message(ANDROID_NOTIFICATION)),
    Field("fcm_options", Message(OPTIONS)),
    Field("direct_boot_ok", Flag),
    Field("bandwidth_constrained_ok", Flag),
    Field("restricted_satellite_ok", Flag),
];

const ANDROID_NOTIFICATION: &[Field] = &[
    Field("title", Text),
    Field("body", Text),
    Field("icon", Text),
    Field("color", Text),
    Field("sound", Text),
    Field("tag", Text),
    Field("click_action", Text),
    Field("body_loc_key", Text),
    Field("body_loc_args", Texts),
    Field("title_loc_key", Text),
    Field("title_loc_args", Texts),
    Field("channel_id", Text),
    Field("ticker", Text),
    Field("sticky", Flag),
    Field("event_time", Time),
    Field("local_only", Flag),
    Field(
        "notification_priority",
        OneOf(&[
            "PRIORITY_UNSPECIFIED",
            "PRIORITY_MIN",
            "PRIORITY_LOW",
            "PRIORITY_DEFAULT",
            "PRIORITY_HIGH",
            "PRIORITY_MAX",
        ]),
    ),
    Field("default_sound", Flag),
    Field("default_vibrate_timings", Flag),
    Field("default_light_settings", Flag),
    Field("vibrate_timings", Durations),
    Field("visibility", OneOf(&["VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"])),
    Field("notification_count", Integer),
    Field("light_settings", Message(LIGHTS)),
    Field("image", Text),
    Field("bypass_proxy_notification", Flag),
    Field("proxy", OneOf(&["PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"])),
];

const LIGHTS: &[Field] =
    &[Field("color", Message(COLOUR)), Field("light_on_duration", Duration), Field("light_off_duration", Duration)];

const COLOUR: &[Field] = &[Field("red", Number), Field("green", Number), Field("blue", Number), Field("alpha", Number)];

const WEBPUSH: &[Field] = &[
    Field("headers", TextMap),
    Field("data", TextMap),
    Field("notification", Struct),
    Field("fcm_options", Message(&[Field("link", Text), Field("analytics_label", Text)])),
];

const APNS: &[Field] = &[
    Field("headers", TextMap),
    Field("payload", Struct),
    Field("fcm_options", Message(&[Field("analytics_label", Text), Field("image", Text)])),
    Field("live_activity_token", Text),
];
