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
/// Unread messages of rooms that were folded away.
pub const SPILLED: &str = "u#~";
/// Before a room's unread count.
pub const UNREAD: &str = "u#";
/// Before a room's read watermark.
pub const READ: &str = "r#";
/// In place of a room's key: every room.
pub const EVERY_ROOM: &str = "*";
/// Up to which point everything was read.
pub const READ_ALL: &str = "r#*";
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

/// The attribute of a room's unread count.
#[must_use]
pub fn unread(room: &RoomKey) -> String {
    format!("{UNREAD}{}", room.as_str())
}

/// The attribute of a room's read watermark.
#[must_use]
pub fn read(room: &RoomKey) -> String {
    format!("{READ}{}", room.as_str())
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
