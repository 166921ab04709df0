//! IMKIT: its push callbacks, device subscriptions, preferences and badge service.

pub mod answer;
pub mod attributes;
pub mod badges;
pub mod callback;
pub mod caller;
mod chat_message;
mod compose;
pub mod envelope;
pub mod message_type;
mod payload;
pub mod preferences;
pub mod push;
pub mod subscription;
mod wording;
