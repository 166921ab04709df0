//! The operator's commands: they speak to a deployed bundle as any client of AWS does, on this machine and on AWS alike. Nothing here knows
//! the emulators from inside.

pub mod deployment;
pub mod http;
pub mod vendors;

pub use deployment::{Deployment, DeploymentError, Where};

#[cfg(test)]
mod tests;
