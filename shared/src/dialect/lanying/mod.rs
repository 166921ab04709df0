//! Lanying: what a user says about their own push, with the envelope and the credentials that the rest of its interface shares.

pub mod caller;
pub mod envelope;
pub mod preferences;
