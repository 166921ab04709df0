//! The number on the icon as somebody says it is to be: a source takes up what is missing in it.

use super::store::{StoreError, Updated, number};
use super::{MOST_SOURCES, Reading, Recipient, Recipients, names};
use crate::app::BadgeFrom;
use crate::id::{AppId, ClientId};
use crate::time::Timestamp;

impl Recipients {
    /// The client's icon shows `n`, says the phone: `source` becomes what is missing in it. Where that is 0 or less than what is unread,
    /// the client has seen everything, so that every room goes, and what is on its way; other sources are not the phone's to change. So
    /// the badge is `n`, or what other sources say if that is more.
    ///
    /// # Errors
    /// As [`Recipients::read_all`] and [`Recipients::set_source`]. The same call may be made again.
    pub async fn set_shown(
        &self,
        app: &AppId,
        client: &ClientId,
        source: &str,
        n: u32,
        from: BadgeFrom,
        now: Timestamp,
    ) -> Result<Recipient, StoreError> {
        let Some(mut recipient) = self.get(app, client, true).await? else {
            return if n == 0 { Ok(Recipient::default()) } else { self.set_source(app, client, source, n).await };
        };
        if n == 0 || n < others(&recipient, source, from) {
            recipient = self.read_all(app, client, Reading::Accepted(now)).await?;
        }
        let missing = n.saturating_sub(others(&recipient, source, from));
        if recipient.sources.get(source).copied().unwrap_or_default() == missing {
            return Ok(recipient);
        }
        self.set_source(app, client, source, missing).await
    }

    /// The client's icon is to show `n`, says a caller: `source` becomes what is missing in it, in one write at most, and in none where it is
    /// that already. What is unread stays unread: where that and other sources are more than `n`, the badge is their sum from the next
    /// count on. A client who has [`MOST_SOURCES`] other sources keeps their badge.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn set_total(
        &self,
        app: &AppId,
        client: &ClientId,
        source: &str,
        n: u32,
        from: BadgeFrom,
    ) -> Result<Recipient, StoreError> {
        let seen = self.get(app, client, true).await?.unwrap_or_default();
        let own = seen.sources.get(source).copied();
        let missing = n.saturating_sub(others(&seen, source, from));
        if missing == own.unwrap_or_default() || own.is_none() && seen.sources.len() >= MOST_SOURCES {
            return Ok(seen);
        }
        // What is counted elsewhere meanwhile comes on top, as if it came after; in the source itself it is overwritten, as if it came before.
        let update = self.update(app, client).expression_attribute_names("#s", names::source(source));
        let update = match missing {
            0 => update.update_expression("REMOVE #s"),
            n => update.update_expression("SET #s = :n").expression_attribute_values(":n", number(n)),
        };
        match self.conditional(update, false).await? {
            Updated::Done(recipient) | Updated::Refused(recipient) => Ok(recipient),
        }
    }
}

/// What the badge is without `source`.
fn others(recipient: &Recipient, source: &str, from: BadgeFrom) -> u32 {
    let own = recipient.sources.get(source).copied().unwrap_or_default();
    recipient.badge(from).saturating_sub(own)
}
