//! Lanying: what a user says about their devices, names and push, with the envelope and the credentials that the rest of its interface
//! shares.

mod body;
pub mod caller;
pub mod devices;
pub mod envelope;
pub mod labels;
pub mod preferences;
