//! OpenIM: its push hooks, and what they are answered.

pub mod answer;
pub mod callback;
pub mod command;
pub mod content;
