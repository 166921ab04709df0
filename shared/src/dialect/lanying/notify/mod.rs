//! The body of `/push/notify` (its push page, section 7.2, and the swagger of its server API, whose words are in small letters).
//!
//! What is blank (absent, null, an empty text) is not given; fields that nobody knows are left alone; every other field is used or refused.

mod audience;
mod blocks;
mod content;
mod setting;

use super::body::Fields;
use super::envelope::Failure;
use crate::call::BodyError;
use crate::id::AppId;
use crate::message::Roads;
use crate::task::Whom;
use crate::time::Timestamp;

pub use content::Content;

/// A push as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// Whom it is for. Nobody is named twice.
    pub whom: Whom,
    /// The caller's name for the request: the same name again is the same push.
    pub request: Option<String>,
    /// When it is to be sent; `None`: at once.
    pub due: Option<Timestamp>,
    /// What is sent.
    pub content: Content,
    /// On which roads.
    pub roads: Roads,
}

impl Push {
    /// # Errors
    /// When a field is missing or cannot be; the failure names it and the rule.
    pub fn parse(body: Result<&[u8], BodyError>, app: &AppId, now: Timestamp) -> Result<Self, Failure> {
        let mut fields = Fields::parse(body)?;
        let whom = audience::whom(&mut fields, app)?;
        let setting = fields.below("setting")?;
        let (request, roads) = (setting::request(&setting)?, setting::roads(&setting)?);
        if fields.given("message").is_none() {
            return Err(fields.wrong("message", "is missing"));
        }
        let mut message = fields.below("message")?;
        if message.is_empty() {
            return Err(fields.wrong("message", "is empty"));
        }
        let content = Content::parse(&mut message, now)?;
        Ok(Self { whom, request, due: content.due(now), content, roads })
    }
}

#[cfg(test)]
mod tests;
