//! What a recipient is sent: the chunk's message as it is; or, of a template, the recipient's own filling of it.

use std::borrow::Cow;

use pushbell::app::Settings;
use pushbell::delivery::fcm::{self, Fcm};
use pushbell::delivery::sns::{self, Sns};
use pushbell::message::template::{TemplateError, Unfilled};
use pushbell::message::{Message, Values, Wording};
use pushbell::recipient::StoreError;
use pushbell::task::Target;

use crate::chunk::Job;
use crate::rendered::Rendered;

/// A message, and what it is as each vendor takes it.
pub(crate) struct Content<'a> {
    message: Cow<'a, Message>,
    fcm: Rendered<fcm::Prepared>,
    sns: Rendered<sns::Prepared>,
}

impl<'a> Content<'a> {
    pub(crate) fn new(message: Cow<'a, Message>, settings: &Settings) -> Self {
        let (fcm, sns) = (Rendered::new(&message.text, settings), Rendered::new(&message.text, settings));
        Self { message, fcm, sns }
    }

    pub(crate) fn fcm(&self, wording: Wording, settings: &Settings) -> &fcm::Prepared {
        self.fcm.get(&self.message.text, wording, || Fcm::prepare(&self.message, wording, settings))
    }

    pub(crate) fn sns(&self, wording: Wording, settings: &Settings) -> &sns::Prepared {
        self.sns.get(&self.message.text, wording, || Sns::prepare(&self.message, wording, settings))
    }
}

/// How the content of a chunk is made.
pub(crate) enum Filling<'a> {
    /// Once, for all of its recipients.
    Common(Box<Content<'a>>),
    /// For each recipient from what they are called: a template with places that are not everybody's.
    Own,
    /// Its texts are no templates, though it says so. What made it had checked them.
    Broken,
}

impl<'a> Filling<'a> {
    pub(crate) fn of(message: &'a Message, settings: &Settings) -> Self {
        let Some(shared) = &message.values else { return Self::common(Cow::Borrowed(message), settings) };
        match message.names() {
            Ok(names) if names.iter().any(|name| shared.get(name).is_none()) => Self::Own,
            Ok(_) => message.filled(|_| None).map_or(Self::Broken, |filled| Self::common(Cow::Owned(filled), settings)),
            Err(TemplateError::Open | TemplateError::Nameless | TemplateError::Name) => Self::Broken,
        }
    }

    fn common(message: Cow<'a, Message>, settings: &Settings) -> Self {
        Self::Common(Box::new(Content::new(message, settings)))
    }
}

/// Why a recipient has no content.
pub(crate) enum NoContent {
    /// The recipient lacks the value of this name.
    Missing(String),
    /// The message cannot be filled for anybody.
    Broken,
    /// What the recipient is called could not be read: they come again.
    Unread(StoreError),
    /// There is no time left to read it: they come again.
    Late,
}

impl From<Unfilled> for NoContent {
    fn from(unfilled: Unfilled) -> Self {
        match unfilled {
            Unfilled::Missing(missing) => Self::Missing(missing.0),
            Unfilled::Template(_) => Self::Broken,
        }
    }
}

/// A recipient's content: the chunk's, or their own.
pub(crate) enum Letter<'j, 'a> {
    Common(&'j Content<'a>),
    Own(Box<Content<'a>>),
}

impl<'a> Letter<'_, 'a> {
    pub(crate) fn content(&self) -> &Content<'a> {
        match self {
            Self::Common(content) => content,
            Self::Own(content) => content,
        }
    }
}

impl<'a> Job<'a> {
    /// What `target` is sent. What the caller gave for a recipient fills the places; for others what is stored with them.
    pub(crate) async fn letter(&self, target: &Target) -> Result<Letter<'_, 'a>, NoContent> {
        match &self.filling {
            Filling::Common(content) => Ok(Letter::Common(content)),
            Filling::Broken => Err(NoContent::Broken),
            Filling::Own => {
                if let Some(values) = target.values() {
                    return self.own(values);
                }
                match self.own(&self.stored(target, false).await?) {
                    // An older copy of the item may lack what was set a moment ago.
                    Err(NoContent::Missing(_)) => self.own(&self.stored(target, true).await?),
                    filled => filled,
                }
            }
        }
    }

    async fn stored(&self, target: &Target, consistent: bool) -> Result<Values, NoContent> {
        let app = &self.chunk.message.origin.app;
        let _permit = self.state.updates.acquire().await;
        // After the wait for a permit: that is where the time of a slow table goes.
        if self.is_late() {
            return Err(NoContent::Late);
        }
        let stored = Box::pin(self.state.recipients.attributes(app, target.client(), consistent)).await;
        stored.map_err(NoContent::Unread)
    }

    fn own(&self, values: &Values) -> Result<Letter<'_, 'a>, NoContent> {
        let filled = self.chunk.message.filled(|name| values.get(name))?;
        Ok(Letter::Own(Box::new(Content::new(Cow::Owned(filled), &self.settings))))
    }
}
