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
use crate::message::{Kind, Message, Wording};
use crate::time::Timestamp;

/// A message, rendered for SNS.
pub struct Prepared {
    /// `None` where it is too large whatever is cut.
    rendered: Option<Rendered>,
    collapse_id: String,
    expires_at: Option<Timestamp>,
}

struct Rendered {
    template: Template,
    push_type: PushType,
    priority: &'static str,
}

impl Prepared {
    pub(super) fn new(message: &Message, wording: Wording, settings: &Settings) -> Self {
        Self {
            rendered: render(message, wording, settings),
            collapse_id: aps::collapse_id(message),
            expires_at: message.behaviour.expires_at,
        }
    }

    /// One device's `Message`, for `MessageStructure=json`; `None` when the message is too large.
    pub(super) fn body(&self, patch: &Patch, platform: Platform, now: Timestamp) -> Option<String> {
        let left = time_left(self.expires_at, now);
        Some(self.rendered.as_ref()?.template.render(&Values {
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
        let Some(rendered) = &self.rendered else { return HashMap::new() };
        let time_to_live = match platform {
            Platform::Apns => "AWS.SNS.MOBILE.APNS.TTL",
            Platform::Sandbox => "AWS.SNS.MOBILE.APNS_SANDBOX.TTL",
        };
        let attributes = [
            ("AWS.SNS.MOBILE.APNS.PUSH_TYPE", rendered.push_type.value(patch.badge.is_some()).to_owned()),
            ("AWS.SNS.MOBILE.APNS.PRIORITY", rendered.priority.to_owned()),
            ("AWS.SNS.MOBILE.APNS.COLLAPSE_ID", self.collapse_id.clone()),
            (time_to_live, time_left(self.expires_at, now).as_secs().to_string()),
        ];
        let text = |value: String| MessageAttributeValue::builder().data_type("String").string_value(value).build();
        attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value).ok()?))).collect()
    }
}

fn render(message: &Message, wording: Wording, settings: &Settings) -> Option<Rendered> {
    let own = message.vendors.ios.as_ref().and_then(|ios| ios.data.as_ref());
    let content = Content::of(message, wording, settings, own);
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
    Some(Rendered { template, push_type, priority })
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
    // Nothing shows them, so the app is told, as on other phones.
    let texts = aps::kind(message, content) == Kind::Data && !content.own;
    if texts {
        payload.member_if("title", content.title.as_ref()).member_if("body", content.body.as_ref());
    }
    // For the app's service extension, which loads what it shows.
    for (name, value) in [("image", content.image(message)), ("attachment", content.attachment(message))] {
        if !content.data.contains_key(name) {
            payload.member_if(name, value);
        }
    }
    // Other texts are in the alert. A localisation key that is not stands here.
    if let Some(localised) = content.localised.as_ref().filter(|text| !content.own && !aps::is_carried(&text.key)) {
        payload.member("loc-key", &localised.key).member("loc-args", &localised.args);
    }
    for (key, value) in &content.data {
        let written = match key.as_str() {
            "aps" | "pushbell_id" | "pushbell_withdraw" => true,
            "title" => texts && content.title.is_some(),
            "body" => texts && content.body.is_some(),
            _ => false,
        };
        if !written && *value != Value::Null {
            payload.member(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn prepared(parts: Value) -> Prepared {
        let mut whole = json!({"origin": {"app": "demo", "dialect": "imkit", "message": "m1"}});
        whole.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        Prepared::new(&serde_json::from_value(whole).unwrap(), Wording::Own, &Settings::default())
    }

    /// What APNs gets, and under which name.
    fn payload(prepared: &Prepared, patch: &Patch, platform: Platform) -> String {
        let body = prepared.body(patch, platform, NOW).unwrap();
        let envelope: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(envelope.as_object().unwrap().len(), 2, "{body}");
        assert!(envelope["default"].is_string());
        envelope[platform.as_str()].as_str().unwrap().to_owned()
    }

    fn json_of(prepared: &Prepared, patch: &Patch) -> Value {
        serde_json::from_str(&payload(prepared, patch, Platform::Apns)).unwrap()
    }

    fn attributes(prepared: &Prepared, patch: &Patch, platform: Platform) -> Vec<(String, String)> {
        let mut list: Vec<_> = prepared
            .attributes(patch, platform, NOW)
            .into_iter()
            .map(|(name, value)| (name.trim_start_matches("AWS.SNS.MOBILE.").to_owned(), value.string_value.unwrap()))
            .collect();
        list.sort();
        list
    }

    fn badge(badge: Option<u32>) -> Patch {
        Patch { badge, ..Patch::default() }
    }

    fn imkit(key: &str) -> Value {
        json!({
            "text": {"title": "Demo \"Room\"", "body": "SSS: lala", "localised": {"key": key, "args": ["SSS", "lala"]}},
            "behaviour": {"mutable": true, "thread": "demo-room"},
            "media": {"image": "https://i.example/1.png"},
            "data": {
                "type": "text", "title": "Demo \"Room\"", "body": "SSS: lala", "loc-key": key, "loc-args": ["SSS", "lala"],
                "payload": {"_id": "m1"}, "aps": "mine", "none": null,
            },
        })
    }

    #[test]
    fn an_imkit_message_becomes_an_alert_with_key_args_and_text_and_nested_data() {
        let prepared = prepared(imkit("im_loc_text"));
        let expected = json!({
            "aps": {
                "mutable-content": 1,
                "alert": {
                    "title": "Demo \"Room\"", "body": "SSS: lala", "loc-key": "im_loc_text", "loc-args": ["SSS", "lala"],
                },
                "badge": 3, "sound": "default", "thread-id": "demo-room",
            },
            "pushbell_id": "m1", "image": "https://i.example/1.png", "type": "text", "payload": {"_id": "m1"},
        });
        assert_eq!(json_of(&prepared, &badge(Some(3))), expected);
        let silent = json_of(&prepared, &Patch { silent: true, ..Patch::default() });
        assert_eq!((silent["aps"].get("sound"), silent["aps"].get("badge")), (None, None));
    }

    #[test]
    fn a_key_that_an_app_may_not_have_stands_beside_the_alert() {
        let sent = json_of(&prepared(imkit("im_loc_poll")), &badge(None));
        assert_eq!(sent["aps"]["alert"], json!({"title": "Demo \"Room\"", "body": "SSS: lala"}));
        assert_eq!((&sent["loc-key"], &sent["loc-args"]), (&json!("im_loc_poll"), &json!(["SSS", "lala"])));
        let own = json_of(&prepared(imkit("MY_KEY")), &badge(None));
        assert_eq!(own["aps"]["alert"]["loc-key"], "MY_KEY");
    }

    #[test]
    fn the_platform_names_the_payload_and_the_time_to_live() {
        let mut parts = imkit("im_loc_text");
        parts["behaviour"]["expires_at"] = json!(NOW.as_millis() + 60_000);
        let prepared = prepared(parts);
        let of = |platform| attributes(&prepared, &badge(None), platform);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let common = [pair("APNS.COLLAPSE_ID", "m1"), pair("APNS.PRIORITY", "10"), pair("APNS.PUSH_TYPE", "alert")];
        assert_eq!(of(Platform::Apns), [&common[..], &[pair("APNS.TTL", "60")]].concat());
        assert_eq!(of(Platform::Sandbox), [&common[..], &[pair("APNS_SANDBOX.TTL", "60")]].concat());
        assert!(payload(&prepared, &badge(None), Platform::Sandbox).contains("lala"));
    }

    #[test]
    fn a_withdrawal_is_a_background_push_unless_it_shows_a_badge() {
        let prepared = prepared(json!({"behaviour": {"kind": "withdraw"}}));
        let sent = json_of(&prepared, &badge(None));
        let expected = json!({
            "aps": {"content-available": 1}, "pushbell_id": "withdraw:m1", "pushbell_withdraw": "m1",
        });
        assert_eq!(sent, expected);
        let kind = |patch: &Patch| attributes(&prepared, patch, Platform::Apns)[2].1.clone();
        assert_eq!((kind(&badge(None)).as_str(), kind(&badge(Some(1))).as_str()), ("background", "alert"));
        assert_eq!(attributes(&prepared, &badge(None), Platform::Apns)[1].1, "5");
    }

    #[test]
    fn a_data_message_has_its_texts_beside_aps_and_the_caller_s_own_give_way() {
        let parts = json!({
            "behaviour": {"kind": "data"}, "text": {"title": "T", "body": "B"},
            "data": {"title": "mine", "body": "mine", "badge": "mine", "do": "sync"},
        });
        let expected = json!({
            "aps": {"content-available": 1, "badge": 2}, "pushbell_id": "m1", "title": "T", "body": "B",
            "badge": "mine", "do": "sync",
        });
        let texts = payload(&prepared(parts.clone()), &badge(Some(2)), Platform::Apns);
        assert_eq!(texts.matches("\"title\"").count(), 1, "{texts}");
        assert_eq!(serde_json::from_str::<Value>(&texts).unwrap(), expected);
        let mut untitled = parts.clone();
        untitled["text"] = json!({"body": "B"});
        let sent = json_of(&prepared(untitled), &badge(None));
        assert_eq!((&sent["title"], &sent["body"]), (&json!("mine"), &json!("B")));
        let mut alert = parts;
        alert["behaviour"] = json!({});
        let sent = json_of(&prepared(alert), &badge(None));
        assert_eq!((&sent["title"], &sent["aps"]["alert"]["title"]), (&json!("mine"), &json!("T")));
    }

    #[test]
    fn the_texts_of_a_data_message_are_hidden_with_it() {
        let whole = json!({
            "origin": {"app": "demo", "dialect": "lanying", "message": "m1"},
            "behaviour": {"kind": "data"}, "text": {"title": "lala", "body": "lala"},
        });
        let message = serde_json::from_value(whole).unwrap();
        let sent = json_of(&Prepared::new(&message, Wording::Hidden(1), &Settings::default()), &badge(None));
        assert_eq!(sent, json!({"aps": {"content-available": 1}, "pushbell_id": "m1"}));
    }

    #[test]
    fn a_caller_s_own_aps_goes_as_it_is() {
        let aps = json!({"alert": "hi", "badge": 4, "x": [1]});
        let sent =
            json_of(&prepared(json!({"vendors": {"ios": {"aps": aps}}, "data": {"k": {"v": 1}}})), &badge(Some(9)));
        assert_eq!(sent, json!({"aps": aps, "pushbell_id": "m1", "k": {"v": 1}}));
    }

    #[test]
    fn what_stands_beside_a_caller_s_aps_is_sent_whole() {
        let own = json!({"title": "mine", "body": "mine", "badge": 4, "payload": {"a": 1}, "loc-key": "mine", "image": "mine"});
        let parts = json!({
            "behaviour": {"kind": "data"}, "text": {"title": "t", "body": "b"}, "data": {"general": 1},
            "vendors": {"ios": {"aps": {"content-available": 1}, "data": own}},
        });
        let mut expected = json!({"aps": {"content-available": 1}, "pushbell_id": "m1"});
        expected.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        assert_eq!(json_of(&prepared(parts), &badge(Some(9))), expected);
    }

    #[test]
    fn an_alert_of_a_body_alone_is_a_text_where_the_app_looks_for_one() {
        let plain = json!({"ios": {"plain_alert": true}});
        let alert = |text: Value| {
            json_of(&prepared(json!({"text": text, "vendors": plain})), &badge(None))["aps"]["alert"].take()
        };
        assert_eq!(alert(json!({"body": "say \"hi\""})), "say \"hi\"");
        assert_eq!(alert(json!({"title": "t", "body": "b"})), json!({"title": "t", "body": "b"}));
        let long = alert(json!({"body": "b".repeat(5000)}));
        assert!(long.as_str().unwrap().ends_with('…'));
    }

    #[test]
    fn hidden_content_shows_nowhere() {
        let mut parts = imkit("im_loc_text");
        parts["media"]["attachment"] = json!("https://i.example/lala.bin");
        parts["vendors"] = json!({"ios": {"subtitle": "lala", "aps": {"alert": "lala"}}});
        let mut whole = json!({"origin": {"app": "demo", "dialect": "imkit", "message": "m1"}});
        whole.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        let prepared = Prepared::new(&serde_json::from_value(whole).unwrap(), Wording::Hidden(1), &Settings::default());
        let expected = json!({
            "aps": {
                "mutable-content": 1, "alert": {"body": "您有一条新消息"}, "badge": 3, "sound": "default", "thread-id": "demo-room",
            },
            "pushbell_id": "m1", "type": "text",
        });
        assert_eq!(json_of(&prepared, &badge(Some(3))), expected);
    }

    #[test]
    fn nothing_sounds_or_breaks_through_while_it_is_quiet() {
        let quiet = Patch { silent: true, ..Patch::default() };
        let own = prepared(json!({"vendors": {"ios": {"aps": {"alert": "hi", "sound": "a\"b.caf"}}}}));
        assert_eq!(json_of(&own, &badge(None))["aps"], json!({"alert": "hi", "sound": "a\"b.caf"}));
        assert_eq!(json_of(&own, &quiet)["aps"], json!({"alert": "hi"}));
        let call = prepared(json!({"text": {"body": "b"}, "behaviour": {"interruption": "time-sensitive"}}));
        assert_eq!(json_of(&call, &badge(None))["aps"]["interruption-level"], "time-sensitive");
        assert_eq!(json_of(&call, &quiet)["aps"], json!({"mutable-content": 0, "alert": {"body": "b"}}));
    }

    #[test]
    fn apple_s_own_settings_reach_aps() {
        let parts = json!({
            "text": {"body": "b", "subtitle": "s0"},
            "behaviour": {"category": "c0", "thread": "t0", "interruption": "time-sensitive", "wakes_app": true},
            "vendors": {"ios": {
                "sound": "ping.caf", "category": "c1", "thread_id": "t1", "subtitle": "s1", "content_available": false,
            }},
        });
        let expected = json!({
            "mutable-content": 0, "alert": {"subtitle": "s1", "body": "b"}, "sound": "ping.caf", "thread-id": "t1",
            "category": "c1", "interruption-level": "time-sensitive",
        });
        assert_eq!(json_of(&prepared(parts), &badge(None))["aps"], expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_payload_fits_apns(
            text in "(\\PC|[\"\\\\\n\u{1}]){0,3000}", extra in 0_usize..6000, badge in any::<Option<u32>>(), silent in any::<bool>(),
            data in any::<bool>(),
        ) {
            let mut parts = imkit("im_loc_text");
            parts["text"]["body"] = json!(format!("SSS: {text}"));
            parts["text"]["localised"]["args"] = json!(["SSS", text]);
            parts["data"]["payload"] = json!({"message": "p".repeat(extra)});
            if data {
                parts["behaviour"]["kind"] = json!("data");
                parts["text"]["localised"] = Value::Null;
            }
            let patch = Patch { badge, silent };
            let sent = payload(&prepared(parts), &patch, Platform::Apns);
            prop_assert!(sent.len() <= 4096);
            prop_assert!(serde_json::from_str::<Value>(&sent).is_ok());
        }
    }
}
