//! The emulators, driven by the clients that the functions use.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod apns;
mod dynamodb;
mod faults;
mod fcm;
mod logs;
mod oauth;
mod secrets;
mod sns;
mod sqs;
mod stack;
mod tls;
