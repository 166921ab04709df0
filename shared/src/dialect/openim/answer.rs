//! The answer to a push hook. OpenIM reads the body whatever the status is, and decodes it strictly: one field of a wrong type loses the
//! push. So every code is a number, and what is not changed is left out.
//!
//! Source: OpenIM's `callbackstruct` (`CommonCallbackResp`, `CallbackBeforePushResp`).

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use serde::Serialize;

use super::callback::{OfflinePush, Session};
use super::command::Command;
use crate::call;
use crate::filter::Rule;
use crate::id::ClientId;

/// Why a push is denied: `errCode`, in OpenIM's range for own codes, 5000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// We deliver ourselves.
    Handled,
    /// Several rules together leave nobody.
    Nobody,
    /// The content's type is not to be pushed.
    DeniedType,
    /// A word that is not let through.
    DeniedWord,
    /// The app has blocked the sender.
    BlockedSender,
    /// The group is never pushed to.
    NeverPushGroup,
    /// The recipient has switched push off.
    PushOff,
    /// The recipient has muted the room.
    RoomMuted,
    /// The recipient has muted the sender.
    SenderMuted,
    /// The recipient has blocked the sender.
    SenderBlocked,
    /// It is night at the recipient's.
    QuietHours,
    /// The recipient's part of the experiment gets nothing.
    HeldOut,
    /// A table or a queue failed.
    Unavailable,
    /// The call could not be read.
    BadRequest,
}

impl Code {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Handled,
        Self::Nobody,
        Self::DeniedType,
        Self::DeniedWord,
        Self::BlockedSender,
        Self::NeverPushGroup,
        Self::PushOff,
        Self::RoomMuted,
        Self::SenderMuted,
        Self::SenderBlocked,
        Self::QuietHours,
        Self::HeldOut,
        Self::Unavailable,
        Self::BadRequest,
    ];

    /// What a rule's denial says.
    #[must_use]
    pub const fn of(rule: Rule) -> Self {
        match rule {
            Rule::BlockedSender => Self::BlockedSender,
            Rule::DeniedType => Self::DeniedType,
            Rule::NeverPushGroup => Self::NeverPushGroup,
            Rule::DeniedWord => Self::DeniedWord,
            Rule::SenderBlocked => Self::SenderBlocked,
            Rule::PushOff => Self::PushOff,
            Rule::RoomMuted => Self::RoomMuted,
            Rule::SenderMuted => Self::SenderMuted,
            Rule::QuietHours => Self::QuietHours,
            Rule::HeldOut => Self::HeldOut,
        }
    }

    /// `errCode`.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Handled => 5001,
            Self::Nobody => 5002,
            Self::DeniedType => 5101,
            Self::DeniedWord => 5102,
            Self::BlockedSender => 5103,
            Self::NeverPushGroup => 5104,
            Self::PushOff => 5201,
            Self::RoomMuted => 5202,
            Self::SenderMuted => 5203,
            Self::SenderBlocked => 5204,
            Self::QuietHours => 5205,
            Self::HeldOut => 5206,
            Self::Unavailable => 5901,
            Self::BadRequest => 5902,
        }
    }

    /// `errMsg`, and the word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Nobody => "nobody",
            Self::DeniedType => "denied_type",
            Self::DeniedWord => "denied_word",
            Self::BlockedSender => "blocked_sender",
            Self::NeverPushGroup => "never_push_group",
            Self::PushOff => "push_off",
            Self::RoomMuted => "room_muted",
            Self::SenderMuted => "sender_muted",
            Self::SenderBlocked => "sender_blocked",
            Self::QuietHours => "quiet_hours",
            Self::HeldOut => "held_out",
            Self::Unavailable => "unavailable",
            Self::BadRequest => "bad_request",
        }
    }
}

/// What a hook is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    action_code: i32,
    err_code: i32,
    err_msg: String,
    err_dlt: String,
    next_code: i32,
    /// An empty list means "as before", not "nobody".
    #[serde(rename = "userIDList", skip_serializing_if = "Option::is_none")]
    users: Option<Vec<ClientId>>,
    /// Replaces the whole object.
    #[serde(skip_serializing_if = "Option::is_none")]
    offline_push_info: Option<OfflinePush>,
}

impl Answer {
    /// The push goes on as it is.
    #[must_use]
    pub const fn allow() -> Self {
        Self {
            action_code: 0,
            err_code: 0,
            err_msg: String::new(),
            err_dlt: String::new(),
            next_code: 0,
            users: None,
            offline_push_info: None,
        }
    }

    /// The push goes on although something is wrong, and the answer says what. `errCode` stays 0: 3.0 to 3.4 take any other for a
    /// denial.
    #[must_use]
    pub fn allow_although(code: Code, detail: impl Into<String>) -> Self {
        Self { err_msg: code.as_str().to_owned(), err_dlt: detail.into(), ..Self::allow() }
    }

    /// The push does not go on. `detail` names the rule or the rules.
    #[must_use]
    pub fn deny(command: Command, code: Code, detail: impl Into<String>) -> Self {
        Self {
            action_code: i32::from(!command.has_before()),
            err_code: code.number(),
            err_msg: code.as_str().to_owned(),
            err_dlt: detail.into(),
            next_code: 1,
            users: None,
            offline_push_info: None,
        }
    }

    /// Only `kept` of those who were `asked` for are notified. With all of them, or with none, nothing is said: who keeps nobody has to
    /// deny. `kept` must be a part of `asked`. In groups only, as [`Answer::list`].
    #[must_use]
    pub fn narrow(self, session: Session, asked: &[ClientId], kept: Vec<ClientId>) -> Self {
        if kept.len() < asked.len() { self.list(session, kept) } else { self }
    }

    /// `kept` are notified, named even where nobody else was asked for ([`OpenimSettings::always_list`]); in groups only. Elsewhere the
    /// push server of 3.7.0 to 3.8.1 crashes on a list (`webhookBeforeOfflinePush` is given no place for it).
    ///
    /// [`OpenimSettings::always_list`]: crate::app::OpenimSettings::always_list
    #[must_use]
    pub fn list(mut self, session: Session, kept: Vec<ClientId>) -> Self {
        let is_group = matches!(session, Session::Group | Session::WriteGroup);
        self.users = Some(kept).filter(|kept| is_group && !kept.is_empty());
        self
    }

    /// The notification says `info` instead.
    #[must_use]
    pub fn rewrite(mut self, info: Option<OfflinePush>) -> Self {
        self.offline_push_info = info;
        self
    }

    /// Adds what was done, for people: `errDlt`.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.err_dlt = detail.into();
        self
    }

    /// Whether the push does not go on.
    #[must_use]
    pub const fn is_denial(&self) -> bool {
        self.next_code == 1
    }

    /// The HTTP answer: 200, whatever it says.
    #[must_use]
    pub fn response(&self) -> Response<Body> {
        call::json(StatusCode::OK, self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde::Deserialize;

    use super::*;

    /// OpenIM's structs. `encoding/json` refuses a value of another type as serde does here; an absent field is its zero value.
    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[allow(non_snake_case)]
    struct Reply {
        actionCode: i32,
        errCode: i32,
        errMsg: String,
        errDlt: String,
        nextCode: i32,
        userIDList: Option<Vec<String>>,
        offlinePushInfo: Option<Info>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(non_snake_case)]
    struct Info {
        title: String,
        desc: String,
        ex: String,
        iOSPushSound: String,
        iOSBadgeCount: bool,
        signalInfo: String,
    }

    fn sent(answer: &Answer) -> Reply {
        let response = answer.response();
        assert_eq!(response.status(), StatusCode::OK);
        serde_json::from_slice(call_body(&response)).unwrap()
    }

    fn call_body(response: &Response<Body>) -> &[u8] {
        let Body::Text(text) = response.body() else { return &[] };
        text.as_bytes()
    }

    fn clients(names: &[&str]) -> Vec<ClientId> {
        names.iter().map(|name| ClientId::parse(*name).unwrap()).collect()
    }

    /// By release: what is taken for a denial.
    fn denied_by(reply: &Reply) -> [bool; 4] {
        [
            reply.actionCode != 0,
            reply.actionCode != 0 || reply.errCode != 0,
            reply.actionCode != 0 || reply.nextCode == 1,
            reply.actionCode == 0 && reply.nextCode == 1,
        ]
    }

    #[test]
    fn a_rule_has_one_word_everywhere() {
        for rule in Rule::ALL {
            assert_eq!(Code::of(rule).as_str(), rule.as_str());
        }
    }

    #[test]
    fn the_table_of_rules_in_the_docs_is_the_one_in_the_code() {
        let docs = include_str!("../../../../docs/openim.md");
        let (_, section) = docs.split_once("<!-- rules -->").unwrap();
        let (section, _) = section.split_once("<!-- end -->").unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let written: Vec<(&str, &str)> = rows
            .map(|row| {
                let cells: Vec<&str> = row.split('|').map(str::trim).collect();
                (cells[1], cells[2])
            })
            .collect();
        let expected = Code::ALL.map(|code| (format!("`{}`", code.as_str()), code.number().to_string()));
        assert_eq!(written, expected.each_ref().map(|(word, number)| (word.as_str(), number.as_str())));
    }

    #[test]
    fn nothing_but_codes_is_sent_when_nothing_changes() {
        let text = serde_json::to_string(&Answer::allow()).unwrap();
        assert_eq!(text, r#"{"actionCode":0,"errCode":0,"errMsg":"","errDlt":"","nextCode":0}"#);
    }

    #[test]
    fn every_release_takes_an_allowance_for_one() {
        for answer in [Answer::allow(), Answer::allow_although(Code::Unavailable, "the table is throttled")] {
            assert_eq!(denied_by(&sent(&answer)), [false; 4]);
            assert!(!answer.is_denial());
        }
    }

    #[test]
    fn a_denial_is_spelt_for_the_release_that_asks() {
        for command in Command::ALL {
            for code in Code::ALL {
                let answer = Answer::deny(command, code, "why");
                let reply = sent(&answer);
                assert!(answer.is_denial() && (5000..=9999).contains(&reply.errCode) && !reply.errMsg.is_empty());
                let [v2_3, v3_0, v3_5, v3_7] = denied_by(&reply);
                if command.has_before() {
                    assert!(v3_7, "{}", command.name());
                } else {
                    assert!(v2_3 && v3_0 && v3_5, "{}", command.name());
                }
            }
        }
    }

    #[test]
    fn a_list_is_sent_only_when_it_narrows_and_in_groups_only() {
        let asked = clients(&["a", "b", "c"]);
        let narrowed = |session, kept| sent(&Answer::allow().narrow(session, &asked, kept)).userIDList;
        let part = clients(&["a", "c"]);
        for session in [Session::Group, Session::WriteGroup] {
            assert_eq!(narrowed(session, part.clone()), Some(vec!["a".to_owned(), "c".to_owned()]));
            assert_eq!(narrowed(session, asked.clone()), None);
            assert_eq!(narrowed(session, Vec::new()), None, "an empty list would be everybody");
        }
        for session in [Session::Single, Session::Notification, Session::Other(7)] {
            assert_eq!(narrowed(session, part.clone()), None, "{session:?}");
        }
    }

    #[test]
    fn a_list_that_the_app_asks_for_is_sent_in_groups_only() {
        let asked = clients(&["a", "b"]);
        let listed = |session| sent(&Answer::allow().list(session, asked.clone())).userIDList.is_some();
        assert!(listed(Session::Group) && listed(Session::WriteGroup));
        assert!(!listed(Session::Single) && !listed(Session::Notification));
    }

    #[test]
    fn a_rewritten_notification_is_sent_with_all_six_fields() {
        let info = OfflinePush { title: "New Message".to_owned(), ..OfflinePush::default() };
        let reply = sent(&Answer::allow().rewrite(Some(info)).detail("words masked"));
        let empty = String::new;
        assert_eq!(
            reply.offlinePushInfo,
            Some(Info {
                title: "New Message".to_owned(),
                desc: empty(),
                ex: empty(),
                iOSPushSound: empty(),
                iOSBadgeCount: false,
                signalInfo: empty(),
            })
        );
        assert_eq!(reply.errDlt, "words masked");
    }
}
