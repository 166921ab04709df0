//! What each of IMKIT's message types is on a phone: one row per type, and one for the types that an app makes up.
//!
//! The types are those of IMKIT's "Message Format" page and of its Flutter SDK. `docs/imkit.md` holds the same table; a
//! test compares the two.

/// What a message type does on a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phone {
    /// A notification with sound.
    Alert,
    /// A notification without sound.
    Silent,
    /// The notification of the message with the same id is taken back.
    Withdraw,
    /// Nothing at all.
    Nothing,
}

impl Phone {
    /// The word in the documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Silent => "silent",
            Self::Withdraw => "withdraws",
            Self::Nothing => "nothing",
        }
    }
}

/// Where the second argument of a localised text, its content, is found in the message object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// There is none, whatever the object holds.
    None,
    /// `message`, when it is a text.
    Message,
    /// `message`, when it is a text and does not look like JSON: an app may use its own types to carry data.
    PlainMessage,
    /// `extra.title`; `message` without it.
    Title,
    /// The nicknames in the list of this name in `extra`; `message` without it.
    Names(&'static str),
}

/// What tells a variant of a type apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// `extra.type` has this value.
    ExtraType(&'static str),
    /// `images` has more than one entry.
    SeveralImages,
}

/// One message type. `$1` is the sender's nickname, `$2` the content, as in IMKIT's localised texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageType {
    /// `messageType`.
    pub name: &'static str,
    /// What it does on a phone.
    pub phone: Phone,
    /// Whether it adds 1 to the unread count of its room.
    pub counts: bool,
    /// The body when there is content.
    pub with_content: &'static str,
    /// The body when there is none.
    pub without_content: &'static str,
    /// Stands for `{{text}}` in copy when the content is no text that somebody wrote.
    pub word: &'static str,
    pub(super) content: Content,
    pub(super) variants: &'static [(Sign, &'static str)],
    /// Several states of one message share its id (a call that rings is missed later), and each is news: the id of a task
    /// and its claim then carries the type, while notifications replace each other by the plain id.
    pub(super) own_claim: bool,
}

const fn speech(name: &'static str, without_content: &'static str, word: &'static str) -> MessageType {
    MessageType {
        name,
        phone: Phone::Alert,
        counts: true,
        with_content: "$1: $2",
        without_content,
        word,
        content: Content::Message,
        variants: &[],
        own_claim: false,
    }
}

const fn sentence(name: &'static str, sentence: &'static str, word: &'static str) -> MessageType {
    MessageType { with_content: sentence, ..speech(name, sentence, word) }
}

/// Events about a room's members. They notify and do not count: nobody can answer or read them, so a count for them would
/// stay on the icon after everything that people wrote was read.
const fn member_event(
    name: &'static str,
    with_content: &'static str,
    without_content: &'static str,
    word: &'static str,
    content: Content,
) -> MessageType {
    MessageType { counts: false, with_content, content, ..speech(name, without_content, word) }
}

const fn hidden(name: &'static str, phone: Phone) -> MessageType {
    MessageType { phone, counts: false, with_content: "", content: Content::None, ..speech(name, "", "") }
}

/// Every type that IMKIT knows.
pub static TYPES: &[MessageType] = &[
    speech("text", "$1 sent a message", "Message"),
    MessageType {
        variants: &[(Sign::SeveralImages, "$1 sent several images")],
        ..sentence("image", "$1 sent an image", "Image")
    },
    sentence("video", "$1 sent a video", "Video"),
    sentence("audio", "$1 sent a voice message", "Voice message"),
    MessageType { content: Content::None, ..sentence("sticker", "$1 sent a sticker", "Sticker") },
    sentence("location", "$1 shared a location", "Location"),
    MessageType {
        with_content: "$1 shared a link: $2",
        content: Content::Title,
        ..speech("url", "$1 shared a link", "Link")
    },
    MessageType {
        with_content: "$1 sent a file: $2",
        content: Content::Title,
        ..speech("file", "$1 sent a file", "File")
    },
    MessageType {
        content: Content::None,
        ..sentence("encrypted", "$1 sent an encrypted message", "Encrypted message")
    },
    speech("announcement", "$1 made an announcement", "Announcement"),
    speech("flex", "$1 sent a card", "Card"),
    speech("template", "$1 sent a card", "Card"),
    MessageType {
        variants: &[
            (Sign::ExtraType("request"), "$1 requested a payment"),
            (Sign::ExtraType("response"), "$1 answered a payment request"),
        ],
        ..sentence("payment", "$1 sent a payment", "Payment")
    },
    member_event("joinRoom", "$1 joined", "$1 joined", "Joined", Content::None),
    member_event("leaveRoom", "$1 left", "$1 left", "Left", Content::None),
    member_event("addMember", "$1 invited $2", "$1 invited somebody", "New member", Content::Names("invitees")),
    member_event("addMembers", "$1 invited $2", "$1 invited several people", "New members", Content::Names("invitees")),
    member_event("deleteMember", "$1 removed $2", "$1 removed somebody", "Member removed", Content::Names("members")),
    member_event(
        "deleteMembers",
        "$1 removed $2",
        "$1 removed several people",
        "Members removed",
        Content::Names("members"),
    ),
    // It rings now and asks for nothing later; the missed call counts.
    MessageType {
        counts: false,
        content: Content::None,
        own_claim: true,
        ..sentence("waitingCall", "$1 is calling", "Call")
    },
    MessageType { content: Content::None, ..sentence("missingCall", "Missed call from $1", "Missed call") },
    // Replaces the notification that still rings.
    MessageType {
        phone: Phone::Silent,
        counts: false,
        content: Content::None,
        own_claim: true,
        ..sentence("endCall", "The call with $1 has ended", "Call ended")
    },
    hidden("recall", Phone::Withdraw),
    // Takes back an invitation that its addressee has not seen yet; members of the room have no business with it.
    hidden("cancelInvitations", Phone::Nothing),
];

/// The row of the types that are not in [`TYPES`]: an app's own.
pub static CUSTOM: MessageType =
    MessageType { content: Content::PlainMessage, ..sentence("", "$1 sent a message", "Message") };

/// The row of `name`, which is compared exactly.
#[must_use]
pub fn row(name: &str) -> &'static MessageType {
    TYPES.iter().find(|row| row.name == name).unwrap_or(&CUSTOM)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const DOCS: &str = include_str!("../../../../docs/imkit.md");

    fn documented(row: &MessageType) -> String {
        let name = if row.name.is_empty() { "any other".to_owned() } else { format!("`{}`", row.name) };
        let counts = if row.counts { "yes" } else { "no" };
        let quoted = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
        let mut without = quoted(row.without_content);
        for (_, variant) in row.variants {
            without.push_str("; ");
            without.push_str(variant);
        }
        let with = if row.with_content == row.without_content { "–".to_owned() } else { quoted(row.with_content) };
        format!("| {name} | {} | {counts} | {with} | {without} | {} |", row.phone.as_str(), quoted(row.word))
    }

    #[test]
    fn the_table_in_the_docs_is_the_table_in_the_code() {
        let (_, section) = DOCS.split_once("<!-- message types -->").expect("the table's start is marked");
        let (section, _) = section.split_once("<!-- end -->").expect("the table's end is marked");
        let written: Vec<&str> = section.lines().filter(|line| line.starts_with('|')).skip(2).collect();
        let expected: Vec<String> = TYPES.iter().chain([&CUSTOM]).map(documented).collect();
        assert_eq!(written, expected, "\n{}\n", expected.join("\n"));
    }

    #[test]
    fn every_type_stands_in_the_table_once() {
        for (index, own) in TYPES.iter().enumerate() {
            assert_eq!(TYPES.iter().position(|other| other.name == own.name), Some(index), "{}", own.name);
        }
    }

    #[test]
    fn only_what_alerts_counts() {
        for row in TYPES {
            assert!(!row.counts || row.phone == Phone::Alert, "{}", row.name);
        }
    }
}
