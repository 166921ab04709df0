//! A message as SNS takes it for APNs.

use std::collections::HashMap;

use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::Value;

use super::Platform;
use crate::app::Settings;
use crate::delivery::Patch;
use crate::delivery::aps::{self, PushType};
use crate::delivery::splice::{Fill, Template, Values, time_left};
use crate::delivery::trim::{self, Content};
use crate::message::{Kind, Message};
use crate::time::Timestamp;

/// A message, rendered for SNS.
pub struct Prepared {
    /// The message's own texts, and then each cohort's. `None` where it is too large whatever is cut.
    variants: Vec<Option<Variant>>,
    collapse_id: String,
    expires_at: Option<Timestamp>,
}

struct Variant {
    template: Template,
    push_type: PushType,
    priority: &'static str,
}

impl Prepared {
    pub(super) fn new(message: &Message, settings: &Settings) -> Self {
        let cohorts = (0..message.text.cohorts.len()).map(Some);
        Self {
            variants: std::iter::once(None).chain(cohorts).map(|cohort| variant(message, cohort, settings)).collect(),
            collapse_id: aps::collapse_id(message),
            expires_at: message.behaviour.expires_at,
        }
    }

    fn variant(&self, patch: &Patch) -> Option<&Variant> {
        let index = patch.cohort.map_or(0, |cohort| cohort + 1);
        self.variants.get(index).or_else(|| self.variants.first())?.as_ref()
    }

    /// One device's `Message`, for `MessageStructure=json`; `None` when the message is too large.
    pub(super) fn body(&self, patch: &Patch, platform: Platform, now: Timestamp) -> Option<String> {
        let left = time_left(self.expires_at, now);
        Some(self.variant(patch)?.template.render(&Values {
            token: "",
            badge: patch.badge,
            silent: patch.silent,
            time_to_live: left.as_secs(),
            expiry: now.plus(left).as_secs(),
            platform: platform.as_str(),
        }))
    }

    /// What SNS makes APNs' headers of. `TTL` has a name of its own for the sandbox, the others have not (AWS, "Mobile app attributes").
    pub(super) fn attributes(
        &self,
        patch: &Patch,
        platform: Platform,
        now: Timestamp,
    ) -> HashMap<String, MessageAttributeValue> {
        let Some(variant) = self.variant(patch) else { return HashMap::new() };
        let time_to_live = match platform {
            Platform::Apns => "AWS.SNS.MOBILE.APNS.TTL",
            Platform::Sandbox => "AWS.SNS.MOBILE.APNS_SANDBOX.TTL",
        };
        let attributes = [
            ("AWS.SNS.MOBILE.APNS.PUSH_TYPE", variant.push_type.value(patch.badge.is_some()).to_owned()),
            ("AWS.SNS.MOBILE.APNS.PRIORITY", variant.priority.to_owned()),
            ("AWS.SNS.MOBILE.APNS.COLLAPSE_ID", self.collapse_id.clone()),
            (time_to_live, time_left(self.expires_at, now).as_secs().to_string()),
        ];
        let text = |value: String| MessageAttributeValue::builder().data_type("String").string_value(value).build();
        attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value).ok()?))).collect()
    }
}

fn variant(message: &Message, cohort: Option<usize>, settings: &Settings) -> Option<Variant> {
    let content = Content::of(message, cohort);
    let render = |content: &Content| {
        let aps = aps::render(message, content, settings, false);
        let mut payload = Template::new("{\"aps\":");
        payload.append(&aps.template);
        data(&mut payload, message, content);
        payload.raw("}");
        (payload, aps.push_type, aps.priority)
    };
    let (payload, push_type, priority) =
        trim::fit(content, trim::MOST_BYTES, render, |(payload, ..)| payload.longest())?;
    // `default` is required, and read by platforms that have no text of their own only: by none.
    let mut template = Template::new("{\"default\":\"-\",\"");
    template.fill(Fill::Platform).raw("\":\"").append(&payload.escaped()).raw("\"}");
    Some(Variant { template, push_type, priority })
}

/// The app's data, beside `aps`.
fn data(payload: &mut Template, message: &Message, content: &Content) {
    let id = message.origin.message.as_str();
    if message.behaviour.kind == Kind::Withdraw {
        // An id of its own, or the app would take it for a repeat of what it withdraws.
        payload.member("pushbell_id", format!("withdraw:{id}")).member("pushbell_withdraw", id);
    } else {
        payload.member("pushbell_id", id);
    }
    // For the app's service extension, which loads what it shows.
    for (name, value) in [("image", &message.media.image), ("attachment", &message.media.attachment)] {
        if !content.data.contains_key(name) {
            payload.member_if(name, value.as_ref());
        }
    }
    // The parts of a localised text are in the alert; where its key is not, they stand here.
    let own = message.text.localised.is_some();
    if let Some(localised) = content.localised.as_ref().filter(|text| !aps::is_carried(&text.key)) {
        payload.member("loc-key", &localised.key).member("loc-args", &localised.args);
    }
    for (key, value) in &content.data {
        let written = match key.as_str() {
            "aps" | "pushbell_id" | "pushbell_withdraw" => true,
            "title" | "body" | "loc-key" | "loc-args" | "badge" => own,
            _ => false,
        };
        if !written && *value != Value::Null {
            payload.member(key, value);
        }
    }
}
