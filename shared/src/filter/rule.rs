//! The rules, and their words.

/// Why a message does not reach phones: all of them, or one recipient's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The app has blocked the sender.
    BlockedSender,
    /// The app does not push messages of this type.
    DeniedType,
    /// The group never pushes.
    NeverPushGroup,
    /// A word of the list that rejects is in a text.
    DeniedWord,
    /// The recipient has blocked the sender.
    SenderBlocked,
    /// The recipient has switched push off.
    PushOff,
    /// The recipient has muted the room.
    RoomMuted,
    /// The recipient has muted the sender.
    SenderMuted,
    /// It is quiet where the recipient is.
    QuietHours,
    /// The recipient is in the part of an experiment's audience that gets no push.
    HeldOut,
}

impl Rule {
    /// All of them: first the app's, then the recipients', each in the order in which they are looked at.
    pub const ALL: [Self; 10] = [
        Self::BlockedSender,
        Self::DeniedType,
        Self::NeverPushGroup,
        Self::DeniedWord,
        Self::SenderBlocked,
        Self::PushOff,
        Self::RoomMuted,
        Self::SenderMuted,
        Self::QuietHours,
        Self::HeldOut,
    ];

    /// Its word in answers, logs and counts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlockedSender => "blocked_sender",
            Self::DeniedType => "denied_type",
            Self::NeverPushGroup => "never_push_group",
            Self::DeniedWord => "denied_word",
            Self::SenderBlocked => "sender_blocked",
            Self::PushOff => "push_off",
            Self::RoomMuted => "room_muted",
            Self::SenderMuted => "sender_muted",
            Self::QuietHours => "quiet_hours",
            Self::HeldOut => "held_out",
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_a_word_of_its_own() {
        let words: BTreeSet<&str> = Rule::ALL.into_iter().map(Rule::as_str).collect();
        assert_eq!(words.len(), Rule::ALL.len());
        for (index, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule as usize, index);
        }
    }

    #[test]
    fn the_documentation_has_the_rules_in_their_order() {
        let page = include_str!("../../../docs/filter.md");
        let listed =
            page.lines().skip_while(|line| *line != "## The rules").take_while(|line| *line != "## Where they apply");
        let words: Vec<&str> = listed.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(words, Rule::ALL.map(Rule::as_str));
    }
}
