//! Triggers: rules in an app's settings that turn events into pushes, without code.
//!
//! An event is a JSON object with a kind and perhaps an id. Each rule that is about its kind and matches its fields pushes once for its id:
//! to an audience that the event names, with a message that is a template. What the event has fills the places; what it lacks is each
//! recipient's own. What stands in an event is data and never a template.

mod audience;
mod content;
mod event;
mod fire;
mod pattern;
mod rule;

pub use audience::RuleError;
pub use event::{Change, Event, Kind};
pub use fire::{Fired, Refused, Triggered, Unqueued, fire};
pub use rule::Triggers;

#[cfg(test)]
mod tests;
