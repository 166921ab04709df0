//! The built-in texts: what a message of each `contentType` is called, in English and Chinese. Other languages are the app's to add.
//!
//! OpenIM calls most messages "[NEWMSG]", and tells neither the sender's nickname nor, but for notifications, the group's name. So a
//! body has several variants, and the first one whose places are all known is read.

use super::content::{DISMISSED, INVITED, KICKED, QUIT, REVOKED, REVOKED_OLD, SIGNALING, TYPING, is_notification};

/// What a text is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// A message of a type.
    Type(i32),
    /// A call that rings.
    Call,
    /// The reader was removed from the group.
    Removed,
}

/// One subject in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words {
    /// Where neither a group's name nor the app's title is known.
    pub(super) title: &'static str,
    /// From the one that says most to the one that needs nothing.
    pub(super) bodies: &'static [&'static str],
    /// Stands for `{{text}}` in the app's own texts when there is none.
    pub(super) word: &'static str,
}

/// The languages.
pub(super) const LANGUAGES: [&str; 2] = ["en", "zh"];

/// Stands for a person whose name is not known, by language.
pub(super) const SOMEBODY: [&str; 2] = ["Someone", "有人"];

const fn words(title: &'static str, bodies: &'static [&'static str], word: &'static str) -> Words {
    Words { title, bodies, word }
}

const EN: &str = "New message";
const ZH: &str = "新消息";

/// By type, in the order of [`LANGUAGES`].
static TYPES: &[(&[i32], [Words; 2])] = &[
    (
        &[102],
        [
            words(EN, &["{{sender}} sent a picture", "You received a picture"], "Picture"),
            words(ZH, &["{{sender}}发来一张图片", "您收到一张图片"], "图片"),
        ],
    ),
    (
        &[103],
        [
            words(EN, &["{{sender}} sent a voice message", "You received a voice message"], "Voice message"),
            words(ZH, &["{{sender}}发来一条语音", "您收到一条语音"], "语音"),
        ],
    ),
    (
        &[104],
        [
            words(EN, &["{{sender}} sent a video", "You received a video"], "Video"),
            words(ZH, &["{{sender}}发来一段视频", "您收到一段视频"], "视频"),
        ],
    ),
    (
        &[105],
        [
            words(
                EN,
                &[
                    "{{sender}} sent a file: {{text}}",
                    "File: {{text}}",
                    "{{sender}} sent a file",
                    "You received a file",
                ],
                "File",
            ),
            words(
                ZH,
                &["{{sender}}发来文件：{{text}}", "文件：{{text}}", "{{sender}}发来一个文件", "您收到一个文件"],
                "文件",
            ),
        ],
    ),
    (
        &[107],
        [
            words(EN, &["Chat history: {{text}}", "You received a chat history"], "Chat history"),
            words(ZH, &["聊天记录：{{text}}", "您收到一份聊天记录"], "聊天记录"),
        ],
    ),
    (
        &[108],
        [
            words(EN, &["Contact: {{text}}", "You received a contact"], "Contact"),
            words(ZH, &["名片：{{text}}", "您收到一张名片"], "名片"),
        ],
    ),
    (
        &[109],
        [
            words(EN, &["Location: {{text}}", "{{sender}} shared a location", "You received a location"], "Location"),
            words(ZH, &["位置：{{text}}", "{{sender}}分享了位置", "您收到一个位置"], "位置"),
        ],
    ),
    (
        &[REVOKED_OLD, REVOKED],
        [
            words(EN, &["{{sender}} took a message back", "A message was taken back"], "Message taken back"),
            words(ZH, &["{{sender}}撤回了一条消息", "一条消息已撤回"], "消息撤回"),
        ],
    ),
    (
        &[TYPING],
        [
            words(EN, &["{{sender}} is typing", "Someone is typing"], "Typing"),
            words(ZH, &["{{sender}}正在输入", "对方正在输入"], "正在输入"),
        ],
    ),
    (
        &[1501],
        [
            words("New group", &["{{sender}} created the group", "{{text}}", "A group was created"], "New group"),
            words("新群组", &["{{sender}}创建了群组", "{{text}}", "群组已创建"], "新群组"),
        ],
    ),
    (
        &[QUIT],
        [
            words("Group", &["{{member}} left the group", "{{text}}", "A member left the group"], "Member left"),
            words("群组", &["{{member}}退出了群组", "{{text}}", "有成员退出了群组"], "成员退出"),
        ],
    ),
    (
        &[KICKED],
        [
            words(
                "Group",
                &[
                    "{{sender}} removed {{member}}",
                    "{{member}} was removed from the group",
                    "{{text}}",
                    "A member was removed from the group",
                ],
                "Member removed",
            ),
            words(
                "群组",
                &["{{sender}}将{{member}}移出了群组", "{{member}}被移出群组", "{{text}}", "有成员被移出群组"],
                "成员被移出",
            ),
        ],
    ),
    (
        &[INVITED],
        [
            words(
                "Group",
                &[
                    "{{sender}} invited {{member}}",
                    "{{member}} joined the group",
                    "{{text}}",
                    "The group has new members",
                ],
                "New members",
            ),
            words(
                "群组",
                &["{{sender}}邀请{{member}}加入群组", "{{member}}加入了群组", "{{text}}", "群组有新成员加入"],
                "新成员",
            ),
        ],
    ),
    (
        &[DISMISSED],
        [
            words(
                "Group",
                &["{{sender}} dissolved the group", "{{text}}", "The group was dissolved"],
                "Group dissolved",
            ),
            words("群组", &["{{sender}}解散了群组", "{{text}}", "群组已解散"], "群组解散"),
        ],
    ),
    (
        &[SIGNALING],
        [
            words("Call", &["{{sender}} is calling", "{{text}}", "You have a call"], "Call"),
            words("通话", &["{{sender}}来电", "{{text}}", "您有一个通话"], "通话"),
        ],
    ),
];

/// Texts, at-texts, quotes, markdown, and the types that an app makes up.
static MESSAGE: [Words; 2] = [
    words(EN, &["{{sender}}: {{text}}", "{{text}}", "{{sender}} sent a message", "You have a new message"], "Message"),
    words(ZH, &["{{sender}}：{{text}}", "{{text}}", "{{sender}}发来一条消息", "您有一条新消息"], "消息"),
];

/// Of the system, and in no other row.
static NOTIFICATION: [Words; 2] = [
    words("Notification", &["{{text}}", "You have a new notification"], "Notification"),
    words("通知", &["{{text}}", "您有一条新通知"], "通知"),
];

static CALL: [Words; 2] = [
    words("Incoming call", &["{{sender}} is calling", "Someone is calling"], "Call"),
    words("来电", &["{{sender}}来电", "您有一个来电"], "来电"),
];

static REMOVED: [Words; 2] = [
    words("Group", &["{{sender}} removed you from the group", "You were removed from the group"], "Removed"),
    words("群组", &["{{sender}}将您移出了群组", "您已被移出群组"], "被移出"),
];

/// The words of `subject`, in the order of [`LANGUAGES`].
pub(super) fn of(subject: Subject) -> &'static [Words; 2] {
    match subject {
        Subject::Call => &CALL,
        Subject::Removed => &REMOVED,
        Subject::Type(number) => {
            let row = TYPES.iter().find(|(types, _)| types.contains(&number));
            row.map_or(if is_notification(number) { &NOTIFICATION } else { &MESSAGE }, |(_, words)| words)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DOCS: &str = include_str!("../../../../docs/openim.md");

    fn documented(name: &str, words: &[Words; 2]) -> Vec<String> {
        let line = |(name, words): (&str, &Words)| {
            format!("| {name} | {} | {} | {} |", words.title, words.bodies.join("; "), words.word)
        };
        [name, ""].into_iter().zip(words).map(line).collect()
    }

    #[test]
    fn the_table_in_the_docs_is_the_table_in_the_code() {
        let (_, section) = DOCS.split_once("<!-- texts -->").unwrap();
        let (section, _) = section.split_once("<!-- end -->").unwrap();
        let written: Vec<&str> = section.lines().filter(|line| line.starts_with('|')).skip(2).collect();
        let rows = TYPES.iter().map(|(types, words)| {
            let names: Vec<String> = types.iter().map(|number| format!("`{number}`")).collect();
            (names.join(", "), words)
        });
        let others = [
            ("any other to 999, and from 5001", &MESSAGE),
            ("any other from 1000 to 5000", &NOTIFICATION),
            ("with `signalInfo`: `call`", &CALL),
            ("`1508` to who was removed: `removed`", &REMOVED),
        ];
        let others = others.map(|(name, words)| (name.to_owned(), words));
        let expected: Vec<String> = rows.chain(others).flat_map(|(name, words)| documented(&name, words)).collect();
        assert_eq!(written, expected, "\n{}\n", expected.join("\n"));
    }

    #[test]
    fn every_text_ends_with_one_that_needs_nothing() {
        let subjects = (0..=5000).map(Subject::Type).chain([Subject::Call, Subject::Removed]);
        for subject in subjects {
            for words in of(subject) {
                assert!(!words.title.is_empty() && !words.word.is_empty(), "{subject:?}");
                assert!(
                    words.bodies.last().is_some_and(|body| !body.contains("{{") && !body.is_empty()),
                    "{subject:?}"
                );
            }
        }
    }

    #[test]
    fn every_type_stands_in_the_table_once() {
        let all: Vec<i32> = TYPES.iter().flat_map(|(types, _)| types.iter().copied()).collect();
        for (index, number) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|other| other == number), Some(index), "{number}");
        }
    }
}
