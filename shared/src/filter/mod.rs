//! Filter: what does not reach a phone, and why.
//!
//! The app's rules look at the content of a message ([`Filter`]), the recipients' preferences at how it comes to them ([`refused`],
//! [`is_quiet`]). Nothing here reads, sends or knows a protocol: a dialect turns a [`Rule`] into its own answer.

mod content;
mod reach;
mod recipients;
mod rule;
mod tally;
pub mod words;

pub use content::{About, Filter, Stage};
pub use reach::{MOST_IN_ALL, MOST_OF_TEXT, Reach};
pub use recipients::{Approach, is_quiet, refused};
pub use rule::Rule;
pub use tally::Tally;
