//! Recipient: one client's badge, devices and preferences, and the store that holds them.
//!
//! A client is ONE item, written flat, so that one conditional update counts a message and answers with everything that its
//! delivery needs. A write unit is 1 KB, so attribute names are short; [`names`] owns their spelling.

pub(crate) mod attributes;
mod badge;
mod device;
mod expression;
mod many;
mod marks;
pub mod names;
mod preferences;
mod quiet;
mod shown;
mod source;
mod spill;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod units;
mod wire;

pub use attributes::{AttributeError, AttributesChange};
pub use device::Device;
pub use many::Glance;
pub use preferences::{PreferenceError, Preferences, PreferencesChange};
pub use quiet::{QuietHours, QuietHoursError, Zone, ZoneError};
pub use source::{MOST_COUNT, SourceError, check_source};
pub use state::{Reading, Recipient, Watermarks};
pub use store::{Counted, Counting, NotCounted, Recipients, StoreError};
pub use units::Units;

/// A client's devices; the oldest goes when another comes.
pub const MOST_DEVICES: usize = 20;
/// Rooms with unread messages held in the item itself; beyond, the coldest fold into a spill item.
pub const MOST_ROOMS: usize = 40;
/// Muted rooms.
pub const MOST_MUTED: usize = 100;
/// Muted senders; blocked senders too.
pub const MOST_SENDERS: usize = 50;
/// Bytes of the ids of muted and blocked senders together: they are paid for in every count.
pub const MOST_SENDER_BYTES: usize = 2048;
/// Tags. A device that comes or goes with all of them fits one transaction.
pub const MOST_TAGS: usize = 50;
/// Bytes of a client's tags together: they are paid for in every count.
pub const MOST_TAG_BYTES: usize = 1024;
/// Attributes.
pub const MOST_ATTRIBUTES: usize = 64;
/// Bytes of the item that holds a client's attributes: it is read for half a unit.
pub const MOST_ATTRIBUTE_BYTES: usize = 4096;
/// Named counters.
pub const MOST_SOURCES: usize = 16;
/// Read watermarks kept. They matter only while messages of the room are still on their way.
pub const MOST_WATERMARKS: usize = 6;
