//! Mode `filter`: OpenIM delivers, to those whom no rule of their own removes, in words that may be shown to all of them.

use std::collections::HashSet;

use pushbell::app::{HideFor, OnError};
use pushbell::dialect::openim::answer::{Answer, Code};
use pushbell::dialect::openim::callback::Callback;
use pushbell::dialect::openim::compose::{self, Readers};
use pushbell::filter::{self, Approach, Filter, Rule};
use pushbell::id::{ClientId, RoomKey};
use pushbell::message::Text;
use pushbell::recipient::{Glance, Recipient};

use crate::judge::{Case, End, Filtered, Verdict};
use crate::trouble::Trouble;
use crate::{Call, State};

impl Case<'_> {
    /// Reads what the recipients prefer, and applies it.
    pub(crate) async fn narrow(
        &self,
        state: &State,
        call: &Call<'_>,
        filter: &Filter,
        mut callback: Callback,
    ) -> Verdict {
        let asked = std::mem::take(&mut callback.clients);
        let sender = self.sender(&callback).filter(|sender| !asked.contains(sender));
        let read: Vec<ClientId> = asked.iter().cloned().chain(sender.clone()).collect();
        let mut glance = state.recipients.glance(self.app, &read, self.until.into_std()).await;
        callback.clients = asked;
        if let Some(sender) = sender {
            let nickname = glance.found.remove(&sender).and_then(|sender| sender.preferences.nickname);
            // People choose it themselves.
            callback.content.sender = nickname.filter(|nickname| !filter.rejects(nickname));
            glance.failed.retain(|client| *client != sender);
            glance.late.retain(|client| *client != sender);
            // They may have been all that failed.
            glance.error.take_if(|_| glance.failed.is_empty());
        }
        callback.mask(|text| filter.mask(text));
        self.apply(call, &callback, glance)
    }

    fn apply(&self, call: &Call<'_>, callback: &Callback, glance: Glance) -> Verdict {
        let settings = &self.settings.openim;
        let failed: HashSet<&ClientId> = glance.failed.iter().collect();
        let nobody = Recipient::default();
        let of = |client: &ClientId| glance.found.get(client).unwrap_or(&nobody);
        let copies =
            Text { cohorts: settings.copies.clone(), experiment: settings.experiment.clone(), ..Text::default() };
        let room = callback.conversation().as_deref().map(RoomKey::of);
        let mut filtered = Filtered { asked: callback.clients.len(), unread: glance.late.len(), ..Filtered::default() };
        let mut kept = Vec::with_capacity(filtered.asked);
        for client in &callback.clients {
            if failed.contains(client) {
                match settings.on_error {
                    OnError::Allow => filtered.unread += 1,
                    OnError::Deny => {
                        filtered.lost += 1;
                        continue;
                    }
                }
            }
            let recipient = of(client);
            let approach = Approach {
                room: room.as_ref(),
                sender: callback.sender.as_deref(),
                mentioned: self.settings.mute_yields_to.lets(callback.names(client.as_str()), callback.mentions_all),
            };
            let quiet =
                || filter::is_quiet(recipient, self.settings.zone.as_ref(), call.now).then_some(Rule::QuietHours);
            let held_out = || (!copies.is_for(client.as_str())).then_some(Rule::HeldOut);
            match filter::refused(recipient, &approach).or_else(quiet).or_else(held_out) {
                Some(rule) => filtered.removed.add(rule),
                None => kept.push(client.clone()),
            }
        }
        filtered.kept = kept.len();
        filtered.removed.count(self.app);
        if filtered.unread > 0 {
            let (app, count) = (self.app.as_str(), filtered.unread);
            tracing::warn!(app, metric = "unfiltered", count, "recipients are notified whatever they prefer");
        }
        let trouble = glance.error.map(Trouble::Preferences);
        if kept.is_empty() {
            let (code, why) = filtered.why_nobody();
            return Verdict { answer: Answer::deny(self.command, code, why), end: End::Filtered(filtered), trouble };
        }
        filtered.hiding = kept.iter().filter(|client| of(client).preferences.hide).count();
        let hides = self.settings.hide_content
            || match settings.hide_for {
                HideFor::Anyone => filtered.hiding > 0,
                HideFor::Everyone => filtered.hiding == filtered.kept,
            };
        let info = compose::rewrite(
            self.settings,
            callback,
            &Readers {
                hides,
                language: same(kept.iter().map(|client| of(client).preferences.locale.as_deref())).flatten(),
                cohort: same(kept.iter().map(|client| copies.cohort_of(client.as_str()))).flatten(),
            },
        );
        filtered.rewritten = info.is_some();
        let answer = Answer::allow().detail(filtered.notes(callback, hides)).rewrite(info);
        let answer = if settings.always_list {
            answer.list(callback.session, kept)
        } else {
            answer.narrow(callback.session, &callback.clients, kept)
        };
        Verdict { answer, end: End::Filtered(filtered), trouble }
    }
}

impl Filtered {
    /// What was done, for people: nothing where nothing was.
    fn notes(&self, callback: &Callback, hides: bool) -> String {
        let count = |word: &str, n: usize| (n > 0).then(|| format!("{word}: {n}"));
        let notes = [
            (!self.removed.is_empty()).then(|| self.removed.to_string()),
            count("unavailable", self.lost),
            count("unfiltered", self.unread),
            count("content_hidden", self.hiding).filter(|_| hides),
            callback.omission(),
        ];
        notes.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Why nobody is left.
    fn why_nobody(&self) -> (Code, String) {
        match (self.removed.only_rule(), self.lost) {
            (Some(rule), 0) => (Code::of(rule), rule.as_str().to_owned()),
            (None, lost) if self.removed.is_empty() => (Code::Unavailable, format!("unavailable: {lost}")),
            (_, 0) => (Code::Nobody, self.removed.to_string()),
            (_, lost) => (Code::Nobody, format!("{}, unavailable: {lost}", self.removed)),
        }
    }
}

/// What all of them are; `None` when they differ.
fn same<T: PartialEq>(mut of: impl Iterator<Item = T>) -> Option<T> {
    let first = of.next()?;
    of.all(|other| other == first).then_some(first)
}
