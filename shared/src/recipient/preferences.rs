//! What a client prefers: whether, when and how they are notified.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{QuietHours, Zone, names};

/// What a client prefers. Muted rooms stand beside it in [`Recipient`](super::Recipient), as hashes.
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
