//! The operator's commands: they speak to a deployed bundle as any client of AWS does, on this machine and on AWS alike. Nothing here knows
//! the emulators from inside.

pub mod api;
pub mod app;
mod aws;
mod clock;
pub mod dead_letters;
pub mod deployment;
pub mod doctor;
pub mod http;
pub mod import;
mod profile;
pub mod send;
pub mod tail;
pub mod task;
pub mod token;
pub mod vendors;
pub mod why;

pub use deployment::{Deployment, DeploymentError, Where};

use pushbell::id::AppId;

/// An error and what caused it, in one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// An app's name on the command line.
pub(crate) fn app_id(text: &str) -> Result<AppId, String> {
    // On this machine it is a folder's name, and those with a dot in front are hidden or of another place.
    if text.starts_with('.') {
        return Err("begins with a dot".to_owned());
    }
    AppId::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod ward;
