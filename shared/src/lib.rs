//! What all Pushbell functions share.
//!
//! A chat server calls a function when somebody should be notified. The function turns the call, written in one of five
//! [`dialect`]s, into a [`message::Message`] and a task, claims it, and puts it into a queue. `deliver` takes it from there:
//! one conditional update per recipient counts the badge and answers with the recipient's devices ([`recipient`]); every
//! device is sent to through its channel ([`delivery`]); one result row says what became of each of them ([`task`]).
//!
//! The words are kept apart everywhere: an *app* is a tenant, a *client* a person, a *device* one installation with one
//! *token*, a *channel* the road to it, a *message* content, a *task* one accepted request, a *chunk* the part of a task that
//! travels in one queue record, an *outcome* what happened to one device.

pub mod app;
pub mod auth;
pub mod aws;
pub mod call;
pub mod deferred;
pub mod delivery;
pub mod dialect;
pub mod env;
pub mod filter;
pub mod function;
pub mod id;
pub mod message;
pub mod queue;
pub mod recipient;
pub mod registry;
pub mod shutdown;
pub mod tally;
pub mod task;
pub mod telemetry;
#[cfg(test)]
mod test_tables;
pub mod time;
pub mod trigger;
pub mod webhook;
