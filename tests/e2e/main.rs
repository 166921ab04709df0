//! End to end: through HTTP, over the local stack, with the bodies that the real servers send.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod attributes;
mod audience;
mod bad_input;
mod bell;
mod breaker;
mod campaign;
mod deliver;
mod durability;
mod faults;
mod feedback;
mod frugal;
mod imkit;
mod import;
mod kinvey;
mod lanying;
mod lanying_table;
mod notify;
mod openapi;
mod openim;
mod operator_app;
mod operator_calls;
mod operator_letters;
mod operator_tail;
mod preferences;
mod processes;
mod report;
mod retry;
mod shutdown;
mod stats;
mod targets;
mod template;
mod tencent;
mod trigger;
mod why;
