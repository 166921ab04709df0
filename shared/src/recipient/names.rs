//! How the recipients table spells its keys and attributes. No other module does.

use crate::id::{AppId, ClientId, DeviceKey, RoomKey};

/// The partition key's name.
pub const PK: &str = "pk";
/// Marks of counted messages, newest set.
pub const MARKS_NEW: &str = "m0";
/// Marks of counted messages, older set.
pub const MARKS_OLD: &str = "m1";
/// When the newest set was begun.
pub const BEGUN: &str = "g";
/// Marks of messages claimed up to this point may have been forgotten.
pub const TRIMMED: &str = "trimmed";
/// Muted rooms.
pub const MUTED: &str = "mu";
/// Push is off, where it is.
pub const PUSH_OFF: &str = "po";
/// Quiet hours: the minute of the day when they begin, times 1440, and the minute when they end.
pub const QUIET: &str = "qh";
/// The client's time zone.
pub const ZONE: &str = "z";
/// Notifications show no content, where that is so.
pub const HIDE: &str = "hc";
/// Muted senders, as the chat server names them.
pub const MUTED_SENDERS: &str = "ms";
/// Blocked senders, as the chat server names them.
pub const BLOCKED_SENDERS: &str = "bs";
/// The client's language.
pub const LOCALE: &str = "lo";
/// What others' notifications call the client.
pub const NICKNAME: &str = "ni";
/// The client's tags.
pub const TAGS: &str = "tg";
/// The client's alias.
pub const ALIAS: &str = "al";
/// The keys of the client's indexed attributes.
pub const INDEXED: &str = "ia";
/// Everything that a client prefers: what a read that only judges has to ask for.
pub const PREFERENCES: [&str; 9] =
    [PUSH_OFF, QUIET, ZONE, HIDE, MUTED_SENDERS, BLOCKED_SENDERS, LOCALE, NICKNAME, MUTED];
/// Unread messages of rooms that were folded away.
pub const SPILLED: &str = "u#~";
/// Before a room's unread count.
pub const UNREAD: &str = "u#";
/// Before a room's read watermark on the time that messages were written, by the chat server's clock.
pub const READ_WRITTEN: &str = "r#";
/// Before a room's read watermark on the time that messages were accepted, by ours.
pub const READ_ACCEPTED: &str = "q#";
/// In place of a room's key: every room.
pub const EVERY_ROOM: &str = "*";
/// Before a named counter.
pub const SOURCE: &str = "s#";
/// Before a device.
pub const DEVICE: &str = "d#";

/// The key of a client's item.
#[must_use]
pub fn client(app: &AppId, client: &ClientId) -> String {
    format!("{app}#{client}")
}

/// The key of a client's spill item. A control character sets it apart: no client's name holds one.
#[must_use]
pub fn spill(app: &AppId, client: &ClientId) -> String {
    format!("{app}#{client}\u{1}u")
}

/// The key of the item that holds what a client's attributes are. Beside the client's own, as counts do not read it.
#[must_use]
pub fn attributes(app: &AppId, client: &ClientId) -> String {
    format!("{app}#{client}\u{1}a")
}

/// The attribute of a room's unread count.
#[must_use]
pub fn unread(room: &RoomKey) -> String {
    format!("{UNREAD}{}", room.as_str())
}

/// The attribute of a room's read watermark of one kind: [`READ_WRITTEN`] or [`READ_ACCEPTED`].
#[must_use]
pub fn read(kind: &str, room: &str) -> String {
    format!("{kind}{room}")
}

/// The attribute of a named counter.
#[must_use]
pub fn source(name: &str) -> String {
    format!("{SOURCE}{name}")
}

/// The attribute of a device.
#[must_use]
pub fn device(key: &DeviceKey) -> String {
    format!("{DEVICE}{}", key.as_str())
}
