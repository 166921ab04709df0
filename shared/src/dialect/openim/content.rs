//! `content`: what of it a person reads. JSON text by `contentType`; inside a notification, its detail; plain text on OpenIM's own
//! page and in 2.3. Whatever it holds, reading it never fails, and nothing that looks like JSON is shown. Rules on words look at more:
//! at whatever was sent (`searched`).
//!
//! Source: OpenIM's `apistruct/msg.go`, `sdkws` (notification tips).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use crate::id::{ClientId, MessageId};

/// `contentType` of a member who has left a group.
pub const QUIT: i32 = 1504;
/// `contentType` of members who were removed from a group.
pub const KICKED: i32 = 1508;
/// `contentType` of members who were invited into a group.
pub const INVITED: i32 = 1509;
/// `contentType` of a group that was dissolved.
pub const DISMISSED: i32 = 1511;
/// `contentType` of a message that was taken back, until 2.3.
pub const REVOKED_OLD: i32 = 111;
/// `contentType` of "is typing".
pub const TYPING: i32 = 113;
/// `contentType` of what happens to a call: it rings, is taken, refused, ended.
pub const SIGNALING: i32 = 1601;
/// `contentType` of a message that was taken back.
pub const REVOKED: i32 = 2101;

/// Notifications of the system: their `content` is a detail about groups, friends and the like.
#[must_use]
pub const fn is_notification(content_type: i32) -> bool {
    1000 <= content_type && content_type <= 5000
}

/// Names that a text names before it says that there are more.
const MOST_NAMES: usize = 3;

/// Somebody whom a notification is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `userID`.
    pub id: String,
    /// `nickname`.
    pub name: Option<String>,
}

/// What a message says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// What somebody wrote, or what it is called: a file's name, a place's description, an old server's own sentence.
    pub text: Option<String>,
    /// The nickname of whoever did what a notification tells.
    pub sender: Option<String>,
    /// The group's name, in notifications about it.
    pub group: Option<String>,
    /// The group's id, in notifications about it.
    pub group_id: Option<String>,
    /// Whom a notification is about, each once: who left, was removed, was invited.
    pub members: Vec<Member>,
    /// The `clientMsgID` of the message that is taken back.
    pub revoked: Option<MessageId>,
    /// The `conversationID` that it was written in, where that is told (3.x).
    pub revoked_in: Option<String>,
}

impl Content {
    /// Reads `content` of a message of that type.
    #[must_use]
    pub fn read(content_type: i32, content: &str) -> Self {
        let Some(fields) = Fields::read(content) else {
            return if matches!(content_type, REVOKED | REVOKED_OLD) {
                let id = MessageId::parse(content).ok().filter(|id| !id.as_str().contains(char::is_whitespace));
                Self { revoked: id, ..Self::default() }
            } else {
                Self { text: readable(content), ..Self::default() }
            };
        };
        let detail = detail(content_type, &fields);
        match detail.as_deref().and_then(Fields::read) {
            Some(inner) => Self {
                text: written(content_type, &inner).or_else(|| fields.text(TIPS)),
                ..Self::of(content_type, &inner)
            },
            None => Self::of(content_type, &fields),
        }
    }

    fn of(content_type: i32, fields: &Fields<'_>) -> Self {
        let group = fields.object("group");
        let group = group.as_ref();
        let listed = match content_type {
            KICKED => fields.list("kickedUserList"),
            INVITED => fields.list("invitedUserList"),
            _ => Vec::new(),
        };
        let quitter = fields.object("quitUser").filter(|_| content_type == QUIT);
        let name_of = |field: &str| fields.object(field).and_then(|person| person.text("nickname"));
        let sender = if quitter.is_some() { name_of("quitUser") } else { name_of("opUser") };
        let mut seen = HashSet::new();
        let people = listed.into_iter().filter_map(|person| Fields::read(person.get())).chain(quitter);
        let members = people.filter_map(|person| {
            let id = person.string("userID").filter(|id| !id.is_empty())?;
            seen.insert(id.clone()).then(|| Member { id, name: person.text("nickname") })
        });
        let revoked = revoked(content_type, fields);
        Self {
            text: written(content_type, fields),
            sender,
            group: group.and_then(|group| group.text("groupName")),
            group_id: group.and_then(|group| group.text("groupID")).filter(|id| ClientId::parse(id.as_str()).is_ok()),
            members: members.collect(),
            revoked_in: revoked.as_ref().and_then(|_| fields.string("conversationID")).filter(|id| !id.is_empty()),
            revoked,
        }
    }

    /// The members' names, when all of them are known.
    #[must_use]
    pub fn member_names(&self) -> Option<String> {
        let names: Vec<&str> = self.members.iter().filter_map(|member| member.name.as_deref()).collect();
        if names.is_empty() || names.len() < self.members.len() {
            return None;
        }
        let more = if names.len() > MOST_NAMES { "…" } else { "" };
        Some(format!("{}{more}", names[..names.len().min(MOST_NAMES)].join(", ")))
    }

    /// What is shown of it.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let members = self.members.iter().take(MOST_NAMES).filter_map(|member| member.name.as_deref());
        [&self.text, &self.sender, &self.group].into_iter().flatten().map(String::as_str).chain(members)
    }

    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let members = self.members.iter_mut().take(MOST_NAMES).filter_map(|member| member.name.as_mut());
        [&mut self.text, &mut self.sender, &mut self.group].into_iter().flatten().chain(members)
    }
}

/// A JSON object whose values are read when they are asked for: what nobody asks for costs nothing.
struct Fields<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok().map(Self)
    }

    fn get<T: DeserializeOwned>(&self, field: &str) -> Option<T> {
        serde_json::from_str(self.0.get(field)?.get()).ok()
    }

    fn string(&self, field: &str) -> Option<String> {
        self.get(field)
    }

    fn text(&self, field: &str) -> Option<String> {
        self.string(field).filter(|text| is_readable(text))
    }

    fn object(&self, field: &str) -> Option<Fields<'a>> {
        Fields::read(self.0.get(field)?.get())
    }

    fn list(&self, field: &str) -> Vec<&'a RawValue> {
        self.0.get(field).and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default()
    }

    fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }
}

/// 3.x sends a notification's detail as it is, 2.3 inside an object with a sentence beside it. So it sends what takes a message back.
/// What somebody writes has no detail, whatever its fields are called.
fn detail<'a>(content_type: i32, fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    let is_old_revoke = matches!(content_type, REVOKED_OLD | 118) && !fields.has("content") && !fields.has("text");
    if !is_notification(content_type) && !is_old_revoke {
        return None;
    }
    ["jsonDetail", "detail"].into_iter().find_map(|field| {
        let raw = fields.0.get(field)?.get();
        if raw.starts_with('{') {
            return Some(Cow::Borrowed(raw));
        }
        let text = fields.string(field)?;
        if Fields::read(&text).is_some() {
            return Some(Cow::Owned(text));
        }
        let decoded = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        Fields::read(&decoded).is_some().then_some(Cow::Owned(decoded))
    })
}

const TIPS: &str = "defaultTips";

fn written(content_type: i32, object: &Fields<'_>) -> Option<String> {
    let fields: &[&str] = match content_type {
        101 | 118 => &["content", "text"],
        106 => return object.text("text").map(|text| with_names(&text, object)),
        114 | 117 => &["text", "content"],
        105 => &["fileName"],
        107 => &["title"],
        108 => &["nickname"],
        109 | 110 | 119 | 120 => &["description"],
        _ => &[TIPS],
    };
    fields.iter().find_map(|field| object.text(field))
}

/// At-texts hold ids behind their `@`, and `atUsersInfo` the names.
fn with_names(text: &str, object: &Fields<'_>) -> String {
    let users = object.list("atUsersInfo");
    let names: Vec<(String, String)> = users
        .into_iter()
        .filter_map(|user| Fields::read(user.get()))
        .filter_map(|user| Some((user.string("atUserID")?, user.string("groupNickname")?)))
        .filter(|(id, name)| !id.is_empty() && !name.trim().is_empty())
        .collect();
    let mut parts = text.split('@');
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        named.push('@');
        // One id may begin like another.
        match names.iter().filter(|(id, _)| part.starts_with(id.as_str())).max_by_key(|(id, _)| id.len()) {
            Some((id, name)) => {
                named.push_str(name);
                named.push_str(&part[id.len()..]);
            }
            None => named.push_str(part),
        }
    }
    named
}

/// In 2.3 another type (118, a text today) took messages back as well; it is told by who did.
fn revoked(content_type: i32, object: &Fields<'_>) -> Option<MessageId> {
    let takes_back = match content_type {
        REVOKED | REVOKED_OLD => true,
        118 => object.has("revokerID") && !object.has("content"),
        _ => false,
    };
    let id = takes_back.then(|| object.string("clientMsgID"))??;
    MessageId::parse(id).ok()
}

fn readable(text: &str) -> Option<String> {
    is_readable(text).then(|| text.to_owned())
}

/// Whether a text shows something to a person.
fn is_readable(text: &str) -> bool {
    !text.trim().is_empty() && !looks_like_json(text)
}

/// A list or an object, or the beginning of one. A text that only begins with a bracket (`[smile] hello`) is a text.
fn looks_like_json(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let begun = match text.strip_prefix('{') {
        Some(rest) => rest.trim_start().starts_with('"'),
        None => text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['"', '{'])),
    };
    begun || text.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text_of(content_type: i32, content: &str) -> Option<String> {
        Content::read(content_type, content).text
    }

    #[test]
    fn a_person_reads_what_was_written_or_what_it_is_called() {
        for (content_type, content, expected) in [
            (101, r#"{"content":"gate 4 is open"}"#, Some("gate 4 is open")),
            (106, r#"{"text":"look","atUserList":["u1"]}"#, Some("look")),
            (114, r#"{"text":"yes","quoteMessage":{"content":"{}"}}"#, Some("yes")),
            (117, r#"{"text":"bold","messageEntityList":[]}"#, Some("bold")),
            (118, r#"{"content":"**bold**"}"#, Some("**bold**")),
            (105, r#"{"fileName":"plan.pdf","fileSize":3,"sourceUrl":"https://x"}"#, Some("plan.pdf")),
            (107, r#"{"title":"Chat of Ana","abstractList":["a"]}"#, Some("Chat of Ana")),
            (108, r#"{"userID":"u1","nickname":"Ana"}"#, Some("Ana")),
            (109, r#"{"description":"Harbour","longitude":1.5,"latitude":2}"#, Some("Harbour")),
            (110, r#"{"data":"{}","description":"A poll","extension":""}"#, Some("A poll")),
            (102, r#"{"sourcePicture":{"url":"https://x"}}"#, None),
            (103, r#"{"sourceUrl":"https://x","duration":3}"#, None),
            (2001, r#"{"key":"k","data":"d"}"#, None),
            (1, "Hello, this is a test message", Some("Hello, this is a test message")),
            (101, "42", Some("42")),
            (101, "", None),
            (101, r#"{"content":" "}"#, None),
            (101, r#"{"content":7}"#, None),
        ] {
            assert_eq!(text_of(content_type, content).as_deref(), expected, "{content_type} {content}");
        }
    }

    #[test]
    fn nothing_that_looks_like_json_is_shown() {
        for content in [
            r#"{"content":"{\"a\":1}"}"#,
            r#"{"content":"[1,2]"}"#,
            r#"{"content":"{\"cut off"#,
            r#"[{"a":1}]"#,
            r#" { "a" "#,
            "{}",
            "[]",
        ] {
            assert_eq!(text_of(101, content), None, "{content}");
        }
        assert_eq!(text_of(109, r#"{"description":"{\"name\":\"Harbour\"}"}"#), None);
        assert_eq!(text_of(101, r#"{"content":"[smile] {hello}"}"#).as_deref(), Some("[smile] {hello}"));
    }

    #[test]
    fn a_mention_is_shown_with_the_name() {
        let content = r#"{"text":"@u12 and @u1, @u3: @AtAllTag","atUsersInfo":[
            {"atUserID":"u1","groupNickname":"Ana"},{"atUserID":"u12","groupNickname":"@u1"},
            {"atUserID":"AtAllTag","groupNickname":"Everybody"},{"atUserID":"u3","groupNickname":""}]}"#;
        assert_eq!(text_of(106, content).as_deref(), Some("@@u1 and @Ana, @u3: @Everybody"));
    }

    #[test]
    fn a_notification_tells_who_and_whom() {
        let quit = Content::read(
            QUIT,
            r#"{"group":{"groupID":"g1","groupName":"Shift"},"quitUser":{"userID":"u1","nickname":"Ana"}}"#,
        );
        assert_eq!((quit.group.as_deref(), quit.sender.as_deref()), (Some("Shift"), Some("Ana")));
        assert_eq!(quit.group_id.as_deref(), Some("g1"));
        assert_eq!(quit.members, [Member { id: "u1".to_owned(), name: Some("Ana".to_owned()) }]);

        let kicked = Content::read(
            KICKED,
            r#"{"group":{"groupID":"g1"},"opUser":{"userID":"u9","nickname":"Boss"},
                "kickedUserList":[{"userID":"u1","nickname":"Ana"},{"userID":"u2"},{"userID":""},7]}"#,
        );
        assert_eq!(kicked.sender.as_deref(), Some("Boss"));
        assert_eq!(kicked.members.iter().map(|member| member.id.as_str()).collect::<Vec<_>>(), ["u1", "u2"]);
        assert_eq!(kicked.member_names(), None, "one of them has no name");
    }

    #[test]
    fn three_names_are_named() {
        let member = |name: &str| Member { id: name.to_owned(), name: Some(name.to_owned()) };
        let mut content = Content { members: ["a", "b", "c"].map(member).to_vec(), ..Content::default() };
        assert_eq!(content.member_names().as_deref(), Some("a, b, c"));
        content.members.push(member("d"));
        assert_eq!(content.member_names().as_deref(), Some("a, b, c…"));
    }

    #[test]
    fn an_old_servers_detail_is_read_and_its_sentence_is_the_last_resort() {
        let detail = r#"{"group":{"groupName":"Shift"}}"#;
        for wrapped in [
            serde_json::json!({"jsonDetail": detail, "defaultTips": "Ana left"}),
            serde_json::json!({"detail": detail, "defaultTips": "Ana left"}),
            serde_json::json!({"detail": STANDARD.encode(detail), "defaultTips": "Ana left"}),
        ] {
            let content = Content::read(QUIT, &wrapped.to_string());
            assert_eq!((content.group.as_deref(), content.text.as_deref()), (Some("Shift"), Some("Ana left")));
        }
        let opaque = Content::read(QUIT, r#"{"detail":"CgVzaGlmdA==","defaultTips":"Ana left"}"#);
        assert_eq!(opaque, Content { text: Some("Ana left".to_owned()), ..Content::default() });
    }

    #[test]
    fn what_somebody_writes_has_no_detail() {
        for field in ["detail", "jsonDetail"] {
            for content_type in [101, 118] {
                let content = format!(r#"{{"content":"hello","{field}":"{{\"content\":\"other\"}}"}}"#);
                assert_eq!(text_of(content_type, &content).as_deref(), Some("hello"), "{content_type} {field}");
            }
        }
        let wrapped = r#"{"defaultTips":"","jsonDetail":"{\"revokerID\":\"u1\",\"clientMsgID\":\"m1\"}"}"#;
        assert!(Content::read(118, wrapped).revoked.is_some());
        assert!(Content::read(101, wrapped).revoked.is_none());
    }

    #[test]
    fn a_revoke_tells_what_is_taken_back() {
        let revoked = |content_type, content| Content::read(content_type, content).revoked.map(String::from);
        assert_eq!(revoked(REVOKED, r#"{"clientMsgID":"m1","revokerUserID":"u1"}"#).as_deref(), Some("m1"));
        assert_eq!(revoked(REVOKED_OLD, "0f5d1c").as_deref(), Some("0f5d1c"));
        assert_eq!(revoked(118, r#"{"revokerID":"u1","clientMsgID":"m1"}"#).as_deref(), Some("m1"));
        assert_eq!(revoked(118, r#"{"content":"hello","clientMsgID":"m1"}"#), None);
        assert_eq!(revoked(101, r#"{"content":"hello","clientMsgID":"m1"}"#), None);
        assert_eq!(revoked(REVOKED, r#"{"clientMsgID":""}"#), None);
        let told = Content::read(REVOKED, r#"{"clientMsgID":"m1","conversationID":"sg_g1"}"#);
        assert_eq!(told.revoked_in.as_deref(), Some("sg_g1"));
    }
}
