//! OpenIM: its push hooks, and what they are answered.

pub mod answer;
mod builtin;
pub mod callback;
pub mod command;
pub mod compose;
pub mod content;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod samples;
mod searched;
mod texts;
