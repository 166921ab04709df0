//! The number on the icon as somebody says it is to be: a source takes up what is missing in it.

use super::badge::TRIES;
use super::store::{StoreError, Updated, number};
use super::{MOST_SOURCES, Reading, Recipient, Recipients, names};
use crate::app::BadgeFrom;
use crate::id::{AppId, ClientId};
use crate::time::Timestamp;

/// What a number on the icon makes of a client who was seen as they are.
struct Plan {
    /// The source's number.
    source: u32,
    /// All rooms are read.
    reads: bool,
}

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
        if plan(&recipient, source, n, from).reads || n == 0 {
            recipient = self.read_all(app, client, Reading::Accepted(now)).await?;
        }
        let missing = plan(&recipient, source, n, from).source;
        if recipient.sources.get(source).copied().unwrap_or_default() == missing {
            return Ok(recipient);
        }
        self.set_source(app, client, source, missing).await
    }

    /// The client's icon is to show `n`, says a caller, in a task that was claimed at `claimed_at`: as [`Self::set_shown`], in one write at
    /// most, and in none where the badge is `n`. Rooms are read up to the claim. A client who has [`MOST_SOURCES`] other sources keeps their
    /// badge.
    ///
    /// # Errors
    /// When the table does not answer, or the item is changed by others all the time.
    pub async fn set_total(
        &self,
        app: &AppId,
        client: &ClientId,
        source: &str,
        n: u32,
        from: BadgeFrom,
        claimed_at: Timestamp,
    ) -> Result<Recipient, StoreError> {
        let mut seen = self.get(app, client, true).await?.unwrap_or_default();
        for _ in 0..TRIES {
            let own = seen.sources.get(source).copied();
            let mut plan = plan(&seen, source, n, from);
            if own.is_none() && seen.sources.len() >= MOST_SOURCES {
                plan.source = 0;
            }
            if seen.badge(from) == n || !plan.reads && plan.source == own.unwrap_or_default() {
                return Ok(seen);
            }
            if plan.reads && seen.spilled > 0 {
                // What was folded away lies in another item: not one write, but as rare as a client with so many unread rooms.
                seen = self.read_all(app, client, Reading::Accepted(claimed_at)).await?;
                if seen.spilled > 0 {
                    return Ok(seen);
                }
                continue;
            }
            match self.set_total_as_seen(app, client, source, &plan, claimed_at, &seen).await? {
                Updated::Done(recipient) => return Ok(recipient),
                Updated::Refused(recipient) => seen = recipient,
            }
        }
        Err(StoreError::Conflict)
    }

    /// Does as planned. What was counted meanwhile comes on top, as if it came after; what was counted in the source itself is
    /// overwritten, as if it came before. Refused where rooms were to be read, and were folded or read meanwhile.
    async fn set_total_as_seen(
        &self,
        app: &AppId,
        client: &ClientId,
        source: &str,
        plan: &Plan,
        claimed_at: Timestamp,
        seen: &Recipient,
    ) -> Result<Updated, StoreError> {
        let mut update = self.update(app, client);
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        if plan.source > 0 || seen.sources.contains_key(source) {
            update = update.expression_attribute_names("#s", names::source(source));
        }
        if plan.source > 0 {
            set.push("#s = :n".to_owned());
            update = update.expression_attribute_values(":n", number(plan.source));
        } else if seen.sources.contains_key(source) {
            remove.push("#s".to_owned());
        }
        if plan.reads {
            let reading = Reading::Accepted(claimed_at);
            let known = seen.read.of_everything(reading).filter(|known| *known > claimed_at);
            set.push("#ra = :until".to_owned());
            update = update
                .condition_expression(
                    "(attribute_not_exists(#ra) OR #ra <= :until) AND (attribute_not_exists(#f) OR #f <= :none)",
                )
                .expression_attribute_names("#ra", names::read(reading.kind(), names::EVERY_ROOM))
                .expression_attribute_names("#f", names::SPILLED)
                .expression_attribute_values(":until", number(known.unwrap_or(claimed_at).as_millis()))
                .expression_attribute_values(":none", number(0));
            // Rooms keep their own watermarks: one of them may be later than the claim.
            for (index, attribute) in seen.unread.keys().map(names::unread).enumerate() {
                update = update.expression_attribute_names(format!("#x{index}"), attribute);
                remove.push(format!("#x{index}"));
            }
        }
        let mut expression = String::new();
        for (word, parts) in [("SET", set), ("REMOVE", remove)] {
            if !parts.is_empty() {
                expression.push_str(&format!("{word} {} ", parts.join(", ")));
            }
        }
        self.conditional(update.update_expression(expression.trim_end()), false).await
    }
}

/// What `n` on the icon of `recipient` takes, if `source` is to take up the difference.
fn plan(recipient: &Recipient, source: &str, n: u32, from: BadgeFrom) -> Plan {
    let own = recipient.sources.get(source).copied().unwrap_or_default();
    let others = recipient.badge(from).saturating_sub(own);
    let rooms = match from {
        BadgeFrom::Rooms => recipient.unread.values().copied().fold(recipient.spilled, u32::saturating_add),
        BadgeFrom::Imkit => 0,
    };
    let reads = n < others && rooms > 0;
    let others = if reads { others.saturating_sub(rooms) } else { others };
    Plan { source: n.saturating_sub(others), reads }
}
