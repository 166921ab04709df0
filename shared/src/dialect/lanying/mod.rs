//! Lanying: what a server pushes and what a user says about their devices, names and push, with the envelope and the credentials that all
//! of its interface shares.

pub mod ack;
mod body;
pub mod caller;
pub mod cancel;
pub mod certificate;
pub mod devices;
pub mod envelope;
pub mod hours;
pub mod labels;
pub mod notify;
pub mod preferences;
pub mod rates;
pub mod stats;
pub mod why;
