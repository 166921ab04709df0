//! From a push hook to the messages that we deliver, and to the notification that OpenIM delivers.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::callback::{Callback, CallbackError, OfflinePush, Session};
use super::content::{DISMISSED, KICKED, QUIT, REVOKED, REVOKED_OLD, TYPING};
use super::texts::{Texts, Wording, said};
use crate::app::Settings;
use crate::dialect::places::{MOST_BODY, MOST_TITLE, cohorts, cut};
use crate::id::{AppId, ClientId, MessageId};
use crate::message::{
    Badge, Behaviour, Dialect, Interruption, Kind, Media, Message, Origin, Roads, Source, Text, Translation, Vendors,
};
use crate::time::Timestamp;

/// From this many on, a list that names every recipient is written as "everybody": each chunk of a task carries it.
const MANY_MENTIONS: usize = 100;

/// The most bytes of the app's data as JSON. FCM and APNs take 4096 in all, and a channel does not send what does not fit.
const MOST_DATA: usize = 3072;

/// The most bytes of a sound's name.
const LONGEST_SOUND: usize = 128;

/// The most who are cleared in silence although the hook does not list them: whom a notification is about stands in its content, and a
/// client may have written that.
const MOST_CLEARED: usize = 100;

/// Notifications about calls: the set of buttons on iOS.
const CALL: &str = "call";

/// What a hook has us deliver: each message to its own clients. None when nothing of it is for phones ("is typing", a message taken back
/// that is not named or in another conversation), or nobody is left to tell.
///
/// # Errors
/// When the call lacks `clientMsgID`, or names several recipients of a single chat.
pub fn tasks(
    app: &AppId,
    settings: &Settings,
    callback: &Callback,
    now: Timestamp,
) -> Result<Vec<(Message, Vec<ClientId>)>, CallbackError> {
    let id = callback.message.as_deref().ok_or(CallbackError::Missing("clientMsgID"))?;
    let id = MessageId::parse(id).map_err(|rule| CallbackError::Identifier { field: "clientMsgID", rule })?;
    let told = callback.clients.clone();
    if matches!(callback.session, Session::Single | Session::Notification) && told.len() > 1 {
        return Err(CallbackError::SeveralInSingleChat);
    }
    let composer = Composer { app, settings, callback, id, room: callback.conversation(), now };
    let mut tasks = match callback.content_type {
        _ if callback.content.revoked.is_some() && composer.is_elsewhere() => Vec::new(),
        _ if callback.content.revoked.is_some() => vec![(composer.withdrawal(), told)],
        TYPING | REVOKED | REVOKED_OLD => Vec::new(),
        QUIT => composer.quit(told),
        KICKED => composer.kicked(told),
        DISMISSED => vec![(composer.alert(composer.clear(), &composer.texts(), &told), told)],
        _ => vec![(composer.alert(composer.badge(), &composer.texts(), &told), told)],
    };
    tasks.retain(|(_, clients)| !clients.is_empty());
    Ok(tasks)
}

/// Who reads a notification that is one for all of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Readers<'a> {
    /// One of them hides what is written, or the app does.
    pub hides: bool,
    /// The language that all of them prefer.
    pub language: Option<&'a str>,
    /// The cohort of the app's copies that all of them belong to.
    pub cohort: Option<usize>,
}

/// What the notification is to say that OpenIM delivers: its own title and text where they say something, ours elsewhere; nothing of the
/// message for readers who hide that. `None` when that is what was sent.
#[must_use]
pub fn rewrite(settings: &Settings, callback: &Callback, readers: &Readers<'_>) -> Option<OfflinePush> {
    let sent = callback.offline.clone().unwrap_or_default();
    let (title, desc) = if readers.hides {
        let languages = readers.language.into_iter().chain([settings.language()]);
        let text = settings.hidden_texts.text(settings.hidden_texts.pick(languages));
        // Without a title OpenIM shows one of its fixed tags.
        (settings.title.as_deref().unwrap_or(text).to_owned(), text.to_owned())
    } else {
        let text = text(settings, callback, &Texts::new(settings, callback));
        let (title, body) = text.title_and_body(text.wording_of(readers.cohort, readers.language));
        // OpenIM's own limits are its own: what is cut for our channels only goes as it came.
        let pick = |sent: &str, ours: Option<&str>, most| match ours {
            Some(ours) if said(sent).is_none_or(|sent| cut(sent, most) != ours) => ours.to_owned(),
            Some(_) | None => sent.to_owned(),
        };
        (pick(&sent.title, title, MOST_TITLE), pick(&sent.desc, body, MOST_BODY))
    };
    let info = OfflinePush { title, desc, ..sent };
    (callback.sent() != Some(&info)).then_some(info)
}

/// Title, text and their variants. The server's own are everybody's, whatever their language.
fn text(settings: &Settings, callback: &Callback, texts: &Texts<'_>) -> Text {
    let offline = callback.offline.as_ref();
    let title = offline.and_then(|offline| said(&offline.title)).map(|title| cut(title, MOST_TITLE));
    let body = offline.and_then(|offline| said(&offline.desc)).map(|desc| cut(desc, MOST_BODY));
    let translated = |other: Translation| Translation {
        title: other.title.filter(|_| title.is_none()),
        body: other.body.filter(|_| body.is_none()),
        ..other
    };
    let languages = if title.is_some() && body.is_some() { Vec::new() } else { texts.others() };
    let languages: Vec<Translation> = languages.into_iter().map(translated).collect();

    let openim = &settings.openim;
    let places = texts.places();
    let cohorts = cohorts(&openim.copies, &places.each_ref().map(|(name, value)| (*name, value.as_str())));
    let Wording { title: own_title, body: own_body } = texts.own();
    Text {
        title: Some(title.unwrap_or(own_title)),
        body: Some(body.unwrap_or(own_body)),
        language: (!languages.is_empty()).then(|| settings.language().to_owned()),
        languages,
        experiment: openim.experiment.clone().filter(|_| !cohorts.is_empty()),
        cohorts,
        ..Text::default()
    }
}

struct Composer<'a> {
    app: &'a AppId,
    settings: &'a Settings,
    callback: &'a Callback,
    id: MessageId,
    room: Option<String>,
    now: Timestamp,
}

impl Composer<'_> {
    /// Who has left loses the room's unread messages and is not told what they know; the others are told. Nobody leaves but the sender.
    fn quit(&self, told: Vec<ClientId>) -> Vec<(Message, Vec<ClientId>)> {
        let is_sender = |client: &ClientId| self.callback.sender.as_deref() == Some(client.as_str());
        let left: Vec<ClientId> = self.members().into_iter().filter(is_sender).collect();
        let stayed = told.into_iter().filter(|client| !left.contains(client)).collect();
        self.departure(left, Vec::new(), stayed)
    }

    /// Who was removed is told so, unless they watched: OpenIM's list holds those only whom live delivery did not reach.
    fn kicked(&self, told: Vec<ClientId>) -> Vec<(Message, Vec<ClientId>)> {
        let gone: HashSet<ClientId> = self.members().into_iter().collect();
        let (removed, stayed): (Vec<ClientId>, Vec<ClientId>) = told.into_iter().partition(|one| gone.contains(one));
        let listed: HashSet<&ClientId> = removed.iter().collect();
        let watched = self.members().into_iter().filter(|client| !listed.contains(client)).take(MOST_CLEARED).collect();
        self.departure(watched, removed, stayed)
    }

    fn departure(
        &self,
        silently: Vec<ClientId>,
        removed: Vec<ClientId>,
        stayed: Vec<ClientId>,
    ) -> Vec<(Message, Vec<ClientId>)> {
        // Without a room there is nothing to clear.
        let silently = if self.room.is_some() { silently } else { Vec::new() };
        let number_only = Message {
            badge: self.clear(),
            behaviour: Behaviour { kind: Kind::Badge, ..Behaviour::default() },
            ..self.bare()
        };
        vec![
            (number_only, silently),
            (self.alert(self.clear(), &self.texts().for_removed(), &removed), removed),
            (self.alert(Badge::Keep, &self.texts(), &stayed), stayed),
        ]
    }

    fn members(&self) -> Vec<ClientId> {
        let members = self.callback.content.members.iter();
        members.filter_map(|member| ClientId::parse(member.id.as_str()).ok()).collect()
    }

    /// A message is taken back where it was written, and nowhere else.
    fn is_elsewhere(&self) -> bool {
        let written_in = self.callback.content.revoked_in.as_deref();
        written_in.is_some_and(|written_in| self.room.as_deref() != Some(written_in))
    }

    fn clear(&self) -> Badge {
        if self.room.is_some() { Badge::Clear } else { Badge::Keep }
    }

    /// By `iOSBadgeCount`. A message that says nothing counts if somebody wrote it.
    fn badge(&self) -> Badge {
        let written = (101..=199).contains(&self.callback.content_type);
        let counts = self.callback.offline.as_ref().map_or(written, |offline| offline.ios_badge_count);
        // Without a room there is no counter that reading could clear; a call that rings asks for nothing later.
        if counts && self.room.is_some() && !self.callback.is_call() {
            Badge::Add { n: 1, source: Source::Room }
        } else {
            Badge::Keep
        }
    }

    fn texts(&self) -> Texts<'_> {
        Texts::new(self.settings, self.callback)
    }

    /// Says nothing and shows nothing.
    fn bare(&self) -> Message {
        Message {
            origin: Origin {
                app: self.app.clone(),
                dialect: Dialect::Openim,
                message: self.id.clone(),
                sender: self.callback.sender.clone(),
                room: self.room.clone(),
                mentions: Vec::new(),
                mentions_all: self.callback.mentions_all,
                written_at: None,
                withdrawn_accepted_at: None,
                operation: self.callback.operation.clone(),
            },
            text: Text::default(),
            badge: Badge::Keep,
            behaviour: Behaviour::default(),
            media: Media::default(),
            data: self.data(),
            vendors: Vendors::default(),
            roads: Roads::default(),
            values: None,
        }
    }

    fn withdrawal(&self) -> Message {
        let mut message = self.bare();
        if let Some(revoked) = &self.callback.content.revoked {
            message.origin.message = revoked.clone();
        }
        message.behaviour.kind = Kind::Withdraw;
        message
    }

    fn alert(&self, badge: Badge, texts: &Texts<'_>, told: &[ClientId]) -> Message {
        let mut message = Message { badge, text: text(self.settings, self.callback, texts), ..self.bare() };
        self.mention(&mut message.origin, told);
        let sound = self.callback.offline.as_ref().map(|offline| offline.ios_push_sound.trim());
        let named = |sound: &&str| !sound.is_empty() && *sound != "default" && sound.len() <= LONGEST_SOUND;
        message.behaviour = Behaviour {
            sound: sound.filter(named).map(str::to_owned),
            thread: self.room.clone(),
            // The app may put the sender's name to it, which OpenIM does not tell.
            mutable: true,
            ..Behaviour::default()
        };
        if self.callback.is_call() {
            message.behaviour.interruption = Some(Interruption::TimeSensitive);
            message.behaviour.category = Some(CALL.to_owned());
            message.behaviour.expires_at = Some(self.now.plus(self.settings.openim.call_ttl));
        }
        message
    }

    /// Keeps those who are recipients.
    fn mention(&self, origin: &mut Origin, told: &[ClientId]) {
        let mentioned = &self.callback.mentions;
        let called: Vec<String> =
            told.iter().map(ClientId::as_str).filter(|id| mentioned.contains(*id)).map(str::to_owned).collect();
        if called.len() >= MANY_MENTIONS && called.len() == told.len() {
            origin.mentions_all = true;
        } else {
            origin.mentions = called;
        }
    }

    /// For the app. What is empty is left out; so is a text of the server's own that leaves no room for others.
    fn data(&self) -> Map<String, Value> {
        let callback = self.callback;
        let ids = [
            ("clientMsgID", callback.message.as_deref()),
            ("conversationID", self.room.as_deref()),
            ("sendID", callback.sender.as_deref()),
            ("groupID", callback.group.as_deref()),
        ];
        let ids = ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), Value::from(id?))));
        let numbers = [("sessionType", callback.session.number()), ("contentType", callback.content_type)];
        let numbers = numbers.map(|(name, number)| (name.to_owned(), Value::from(number)));
        let mut data: Map<String, Value> = ids.chain(numbers).collect();

        let mut size = Value::Object(data.clone()).to_string().len();
        let offline = callback.offline.iter();
        let own = offline.flat_map(|offline| [("signalInfo", &offline.signal_info), ("ex", &offline.ex)]);
        for (name, text) in own.filter(|(_, text)| !text.is_empty() && text.len() <= MOST_DATA) {
            let value = Value::from(text.as_str());
            let more = name.len() + value.to_string().len() + 4;
            if size + more <= MOST_DATA {
                size += more;
                data.insert(name.to_owned(), value);
            }
        }
        data
    }
}

#[cfg(test)]
mod tests;
