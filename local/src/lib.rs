//! The whole bundle on one machine: AWS and the vendors emulated, the same functions in process.

pub mod apps;
pub mod aws;
pub mod cli;
pub mod closing;
pub mod connections;
mod control;
pub mod faults;
pub mod functions;
pub mod gateway;
pub mod invocation;
pub mod logs;
pub mod operator;
mod pem;
pub mod permissions;
pub mod phones;
pub mod poller;
pub mod runtime_api;
pub mod schedule;
pub mod stack;
pub mod store;
pub mod template;
pub mod vendors;
