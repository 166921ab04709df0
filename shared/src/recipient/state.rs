//! What a client's item holds, read from its attributes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Device, Preferences, names};
use crate::app::BadgeFrom;
use crate::id::{DeviceKey, Mark, RoomKey};
use crate::time::Timestamp;

/// What a client's item holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipient {
    /// Unread messages by room.
    pub unread: BTreeMap<RoomKey, u32>,
    /// Unread messages of rooms that were folded away.
    pub spilled: u32,
    /// Up to which point rooms were read.
    pub read: Watermarks,
    /// Named counters.
    pub sources: BTreeMap<String, u32>,
    /// Installations, by their keys.
    pub devices: Vec<Device>,
    /// Rooms that do not notify, unless the client is mentioned.
    pub muted: BTreeSet<RoomKey>,
    /// What else the client prefers.
    pub preferences: Preferences,
    /// When the newest set of marks was begun.
    pub begun: Option<Timestamp>,
    /// Marks of messages claimed up to this point may have been forgotten.
    pub trimmed: Option<Timestamp>,
    marks_new: Vec<[u8; Mark::LEN]>,
    marks_old: Vec<[u8; Mark::LEN]>,
}

impl Recipient {
    /// Reads an item. Attributes that are not ours are passed over: a newer release may have written them.
    #[must_use]
    pub fn from_item(item: HashMap<String, AttributeValue>) -> Self {
        let mut recipient = Self::default();
        for (name, value) in item {
            recipient.take(&name, value);
        }
        recipient.in_order()
    }

    /// Once all attributes are taken.
    pub(super) fn in_order(mut self) -> Self {
        self.devices.sort_by(|a, b| a.key.cmp(&b.key));
        self
    }

    pub(super) fn take(&mut self, name: &str, value: AttributeValue) {
        if name == names::SPILLED {
            self.spilled = number(&value).unwrap_or_default();
        } else if let Some(room) = name.strip_prefix(names::UNREAD) {
            if let Some(n) = number(&value).filter(|n| *n > 0) {
                self.unread.insert(RoomKey::from_attribute(room), n);
            }
        } else if let Some(device) = name.strip_prefix(names::DEVICE) {
            self.devices.extend(Device::from_attribute(DeviceKey::from_attribute(device), value));
        } else if let Some(room) = name.strip_prefix(names::READ_WRITTEN) {
            self.read.written.extend(point(&value).map(|at| (RoomKey::from_attribute(room), at)));
        } else if let Some(room) = name.strip_prefix(names::READ_ACCEPTED) {
            self.read.accepted.extend(point(&value).map(|at| (RoomKey::from_attribute(room), at)));
        } else if let Some(source) = name.strip_prefix(names::SOURCE) {
            if let Some(n) = number(&value) {
                self.sources.insert(source.to_owned(), n);
            }
        } else {
            match (name, value) {
                (names::MARKS_NEW | names::MARKS_OLD, AttributeValue::Bs(marks)) => {
                    let marks = marks.iter().filter_map(|mark| mark.as_ref().try_into().ok()).collect();
                    self.take_marks(name, marks);
                }
                (names::MUTED, AttributeValue::Ss(rooms)) => {
                    self.muted = rooms.iter().map(|room| RoomKey::from_attribute(room)).collect();
                }
                (names::BEGUN, value) => self.begun = point(&value),
                (names::TRIMMED, value) => self.trimmed = point(&value),
                (name, value) => self.preferences.take(name, value),
            }
        }
    }

    /// One of the two sets of marks, by its attribute's name. They are most of an item's values, so who reads many items may read them at once.
    pub(super) fn take_marks(&mut self, name: &str, marks: Vec<[u8; Mark::LEN]>) {
        match name {
            names::MARKS_NEW => self.marks_new = marks,
            names::MARKS_OLD => self.marks_old = marks,
            _ => {}
        }
    }

    /// The number on the app's icon: computed, never stored.
    #[must_use]
    pub fn badge(&self, from: BadgeFrom) -> u32 {
        let rooms = || self.unread.values().copied().fold(self.spilled, u32::saturating_add);
        let imkit = self.sources.get(IMKIT).copied();
        let first = match from {
            BadgeFrom::Rooms => rooms(),
            BadgeFrom::Imkit => imkit.unwrap_or_default(),
        };
        let others = self.sources.iter().filter(|(name, _)| *name != IMKIT);
        others.fold(first, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// Whether the message with this mark was counted here and is not forgotten.
    #[must_use]
    pub fn has_mark(&self, mark: &Mark) -> bool {
        self.marks_new.iter().chain(&self.marks_old).any(|held| held == mark.as_bytes())
    }

    /// Marks in the newest set and in the older one.
    #[must_use]
    pub fn marks(&self) -> (usize, usize) {
        (self.marks_new.len(), self.marks_old.len())
    }

    /// Whether `room` was read past a message that was written and accepted at these times.
    #[must_use]
    pub fn has_read(&self, room: &RoomKey, written_at: Option<Timestamp>, accepted_at: Timestamp) -> bool {
        let every = RoomKey::from_attribute(names::EVERY_ROOM);
        [room, &every].into_iter().any(|room| {
            let written = self.read.written.get(room).zip(written_at).is_some_and(|(until, at)| at <= *until);
            written || self.read.accepted.get(room).is_some_and(|until| accepted_at < *until)
        })
    }
}

/// Up to which point rooms were read, each in one of two clocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// Messages written up to then, by the chat server's clock.
    pub written: BTreeMap<RoomKey, Timestamp>,
    /// Messages that we accepted before then.
    pub accepted: BTreeMap<RoomKey, Timestamp>,
}

impl Watermarks {
    /// Up to which point everything was read, in the clock of `reading`.
    pub(super) fn of_everything(&self, reading: Reading) -> Option<Timestamp> {
        let rooms = match reading {
            Reading::Written(_) => &self.written,
            Reading::Accepted(_) => &self.accepted,
        };
        rooms.get(&RoomKey::from_attribute(names::EVERY_ROOM)).copied()
    }
}

/// What a client has read of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Messages written up to this point, as the chat server or the app says.
    Written(Timestamp),
    /// Everything that was there: what we had accepted before now. Needs no agreement of clocks, and no times in the messages.
    Accepted(Timestamp),
}

impl Reading {
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Written(_) => names::READ_WRITTEN,
            Self::Accepted(_) => names::READ_ACCEPTED,
        }
    }

    pub(super) const fn until(self) -> Timestamp {
        match self {
            Self::Written(until) | Self::Accepted(until) => until,
        }
    }
}

/// The chat server's own source in IMKIT's badge service.
pub(super) const IMKIT: &str = "imkit";

fn number(value: &AttributeValue) -> Option<u32> {
    let number = value.as_n().ok()?.parse::<i64>().ok()?;
    Some(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

fn point(value: &AttributeValue) -> Option<Timestamp> {
    value.as_n().ok()?.parse().ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn n(value: u32) -> AttributeValue {
        AttributeValue::N(value.to_string())
    }

    #[test]
    fn the_badge_is_the_sum_of_rooms_spill_and_sources_and_imkit_s_own_is_stored_only() {
        let recipient = Recipient::from_item(HashMap::from([
            (names::unread(&RoomKey::of("a")), n(2)),
            (names::unread(&RoomKey::of("b")), n(3)),
            (names::SPILLED.to_owned(), n(10)),
            (names::source("orders"), n(1)),
            (names::source("imkit"), n(40)),
        ]));
        assert_eq!(recipient.badge(BadgeFrom::Rooms), 16);
        assert_eq!(recipient.badge(BadgeFrom::Imkit), 41);
    }

    #[test]
    fn attributes_of_a_newer_release_are_passed_over() {
        let item =
            HashMap::from([("zz".to_owned(), n(1)), ("pk".to_owned(), AttributeValue::S("demo#aaa".to_owned()))]);
        assert_eq!(Recipient::from_item(item), Recipient::default());
    }

    proptest! {
        #[test]
        fn a_badge_never_overflows_and_a_negative_count_is_none(counts in proptest::collection::vec(any::<i64>(), 0..8)) {
            let item = counts.iter().enumerate().map(|(i, count)| {
                (names::unread(&RoomKey::of(&i.to_string())), AttributeValue::N(count.to_string()))
            });
            let recipient = Recipient::from_item(item.collect());
            let expected = counts.iter().fold(0_u32, |sum, count| {
                sum.saturating_add(u32::try_from((*count).max(0)).unwrap_or(u32::MAX))
            });
            prop_assert_eq!(recipient.badge(BadgeFrom::Rooms), expected);
        }
    }
}
