//! What a client prefers: whether, when and how they are notified.

mod change;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

pub use change::{PreferenceError, PreferencesChange};

use super::store::{StoreError, Updated};
use super::{MOST_SENDER_BYTES, QuietHours, Recipient, Recipients, Zone, names};
use crate::id::{AppId, ClientId};

/// Tries of a change that others' changes stand in the way of.
const TRIES: usize = 5;

/// What a client prefers. Muted rooms stand beside it in [`Recipient`], as hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preferences {
    /// Nothing is sent. Messages are counted.
    pub off: bool,
    /// When notifications are silent.
    pub quiet: Option<QuietHours>,
    /// Whose clocks tell that; the app's without it.
    pub zone: Option<Zone>,
    /// Notifications show no content.
    pub hide: bool,
    /// Senders who do not notify, unless they mention the client.
    pub muted_senders: BTreeSet<String>,
    /// Senders who never notify.
    pub blocked_senders: BTreeSet<String>,
    /// BCP 47. Goes before what a device says.
    pub locale: Option<String>,
    /// What others' notifications call the client.
    pub nickname: Option<String>,
}

impl Preferences {
    /// Takes an attribute of the client's item, if it is one of these.
    pub(super) fn take(&mut self, name: &str, value: AttributeValue) {
        match (name, value) {
            (names::PUSH_OFF, AttributeValue::Bool(off)) => self.off = off,
            (names::QUIET, AttributeValue::N(number)) => {
                self.quiet = number.parse().ok().and_then(QuietHours::from_number);
            }
            (names::ZONE, AttributeValue::S(name)) => self.zone = Some(Zone::from_attribute(name)),
            (names::HIDE, AttributeValue::Bool(hide)) => self.hide = hide,
            (names::MUTED_SENDERS, AttributeValue::Ss(senders)) => self.muted_senders = senders.into_iter().collect(),
            (names::BLOCKED_SENDERS, AttributeValue::Ss(senders)) => {
                self.blocked_senders = senders.into_iter().collect();
            }
            (names::LOCALE, AttributeValue::S(locale)) => self.locale = Some(locale),
            (names::NICKNAME, AttributeValue::S(nickname)) => self.nickname = Some(nickname),
            _ => {}
        }
    }
}

impl Recipients {
    /// Changes what a client prefers: what is not said stays as it is. One update, or two when only one of the two sets of senders is
    /// written and the other is not empty: their cap is on both.
    ///
    /// # Errors
    /// When muted and blocked senders would have more than [`MOST_SENDER_BYTES`] together, or the table does not answer.
    pub async fn change_preferences(
        &self,
        app: &AppId,
        client: &ClientId,
        change: &PreferencesChange,
    ) -> Result<Recipient, StoreError> {
        if change.said.is_empty() {
            return Ok(self.get(app, client, true).await?.unwrap_or_default());
        }
        let mut update = self.update(app, client);
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for (index, (name, value)) in change.attributes().enumerate() {
            update = update.expression_attribute_names(format!("#a{index}"), name);
            if let Some(value) = value {
                set.push(format!("#a{index} = :a{index}"));
                update = update.expression_attribute_values(format!(":a{index}"), value);
            } else {
                remove.push(format!("#a{index}"));
            }
        }
        let clauses = [("SET", set), ("REMOVE", remove)].into_iter().filter(|(_, parts)| !parts.is_empty());
        let clauses: Vec<String> = clauses.map(|(verb, parts)| format!("{verb} {}", parts.join(", "))).collect();
        let update = update.update_expression(clauses.join(" "));
        let written = bytes(&change.changed.muted_senders) + bytes(&change.changed.blocked_senders);
        let Some(other) = change.other_set() else {
            check_bytes(written)?;
            return match self.conditional(update, false).await? {
                Updated::Done(recipient) | Updated::Refused(recipient) => Ok(recipient),
            };
        };
        // Most clients have one set at most. A condition that the other is as it was seen keeps the cap in a race of two writers.
        let mut seen = BTreeSet::new();
        for _ in 0..TRIES {
            check_bytes(written + bytes(&seen))?;
            let update = update.clone().expression_attribute_names("#o", other);
            let update = if seen.is_empty() {
                update.condition_expression("attribute_not_exists(#o)")
            } else {
                update.condition_expression("#o = :o").expression_attribute_values(":o", senders_value(&seen))
            };
            match self.conditional(update, false).await? {
                Updated::Done(recipient) => return Ok(recipient),
                Updated::Refused(recipient) => {
                    let Preferences { muted_senders, blocked_senders, .. } = recipient.preferences;
                    seen = if other == names::MUTED_SENDERS { muted_senders } else { blocked_senders };
                }
            }
        }
        Err(StoreError::Conflict)
    }
}

fn check_bytes(bytes: usize) -> Result<(), StoreError> {
    if bytes > MOST_SENDER_BYTES {
        Err(StoreError::TooMany("muted and blocked senders: their ids have more than 2048 bytes"))
    } else {
        Ok(())
    }
}

fn senders_value(senders: &BTreeSet<String>) -> AttributeValue {
    AttributeValue::Ss(senders.iter().cloned().collect())
}

fn bytes(senders: &BTreeSet<String>) -> usize {
    senders.iter().map(String::len).sum()
}
