//! What clients and chat servers say about a badge: a room was read, a source has so many, a room is muted.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update};

use super::store::{StoreError, Updated, number, text};
use super::{MOST_MUTED, MOST_SOURCES, MOST_WATERMARKS, Reading, Recipient, Recipients, names};
use crate::id::{AppId, ClientId, RoomKey};
use crate::time::Timestamp;

/// Tries of a change that others' changes stand in the way of.
const TRIES: usize = 5;

impl Recipients {
    /// `room` was read: its count goes, and what was read of it that is still on its way will not be shown. The store holds
    /// counts and no messages, so a message that was written later and is counted already goes with them.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn read_room(
        &self,
        app: &AppId,
        client: &ClientId,
        room: &RoomKey,
        reading: Reading,
    ) -> Result<Recipient, StoreError> {
        self.read_room_if(app, client, room, reading, "(attribute_not_exists(#r) OR #r <= :until)").await
    }

    /// `client` has left `room`: what was accepted before `at` is read. Somebody who is not known stays so.
    ///
    /// # Errors
    /// As [`Recipients::read_room`].
    pub async fn leave_room(
        &self,
        app: &AppId,
        client: &ClientId,
        room: &RoomKey,
        at: Timestamp,
    ) -> Result<Recipient, StoreError> {
        // Who it is about is written by the chat server's users: it must not make items.
        let known = "attribute_exists(pk) AND (attribute_not_exists(#r) OR #r <= :until)";
        self.read_room_if(app, client, room, Reading::Accepted(at), known).await
    }

    async fn read_room_if(
        &self,
        app: &AppId,
        client: &ClientId,
        room: &RoomKey,
        reading: Reading,
        condition: &str,
    ) -> Result<Recipient, StoreError> {
        let update = self
            .update(app, client)
            .update_expression("SET #r = :until REMOVE #u")
            .condition_expression(condition)
            .expression_attribute_names("#r", names::read(reading.kind(), room.as_str()))
            .expression_attribute_names("#u", names::unread(room))
            .expression_attribute_values(":until", number(reading.until().as_millis()));
        let recipient = match self.conditional(update, false).await? {
            Updated::Done(recipient) => recipient,
            // An older report than one that is known already changes nothing.
            Updated::Refused(recipient) => return Ok(recipient),
        };
        let recipient = if recipient.spilled > 0 && self.unfold(app, client, room).await? {
            let update = self
                .update(app, client)
                .update_expression("REMOVE #u")
                .expression_attribute_names("#u", names::unread(room));
            match self.conditional(update, false).await? {
                Updated::Done(recipient) | Updated::Refused(recipient) => recipient,
            }
        } else {
            recipient
        };
        self.forget_watermarks(app, client, recipient).await
    }

    /// Everything was read. An older report than one that is known already changes nothing.
    ///
    /// # Errors
    /// When the table does not answer, or the item is changed by others all the time.
    pub async fn read_all(&self, app: &AppId, client: &ClientId, reading: Reading) -> Result<Recipient, StoreError> {
        for _ in 0..TRIES {
            let recipient = self.get(app, client, true).await?.unwrap_or_default();
            if recipient.read.of_everything(reading).is_some_and(|known| known > reading.until()) {
                return Ok(recipient);
            }
            match self.read_all_as_seen(app, client, reading, &recipient).await {
                Ok(Updated::Done(recipient)) => return Ok(recipient),
                // Rooms were folded meanwhile, or another report came: look again.
                Ok(Updated::Refused(_)) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    async fn read_all_as_seen(
        &self,
        app: &AppId,
        client: &ClientId,
        reading: Reading,
        seen: &Recipient,
    ) -> Result<Updated, StoreError> {
        // One watermark over everything; each room's own only matters for what is still on its way, and goes.
        let mut expression = String::from("SET #ra = :until REMOVE #s");
        let mut attributes = vec![
            ("#ra".to_owned(), names::read(reading.kind(), names::EVERY_ROOM)),
            ("#s".to_owned(), names::SPILLED.to_owned()),
        ];
        let of_rooms = watermarks(seen).into_iter().map(|(attribute, _)| attribute);
        for (index, attribute) in seen.unread.keys().map(names::unread).chain(of_rooms).enumerate() {
            expression.push_str(&format!(", #x{index}"));
            attributes.push((format!("#x{index}"), attribute));
        }
        // What was folded away lies in the spill item: both go together or neither does.
        let folded = if seen.spilled > 0 { "#s = :s" } else { "(attribute_not_exists(#s) OR #s <= :s)" };
        let condition = format!("(attribute_not_exists(#ra) OR #ra <= :until) AND {folded}");
        let until = number(reading.until().as_millis());
        if seen.spilled == 0 {
            let update = self
                .update(app, client)
                .update_expression(expression)
                .condition_expression(condition)
                .set_expression_attribute_names(Some(attributes.into_iter().collect()))
                .expression_attribute_values(":until", until)
                .expression_attribute_values(":s", number(0));
            return self.conditional(update, false).await;
        }
        let update = Update::builder()
            .table_name(&self.table)
            .key(names::PK, text(names::client(app, client)))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(attributes.into_iter().collect()))
            .expression_attribute_values(":until", until)
            .expression_attribute_values(":s", number(seen.spilled))
            .build();
        let delete = Delete::builder().table_name(&self.table).key(names::PK, text(names::spill(app, client))).build();
        let (Ok(update), Ok(delete)) = (update, delete) else { return Err(StoreError::Conflict) };
        self.transact(vec![
            TransactWriteItem::builder().update(update).build(),
            TransactWriteItem::builder().delete(delete).build(),
        ])
        .await?;
        Ok(Updated::Done(self.get(app, client, true).await?.unwrap_or_default()))
    }

    /// A named counter becomes `n`; 0 takes it away.
    ///
    /// # Errors
    /// When the client has [`MOST_SOURCES`] others, or the table does not answer.
    pub async fn set_source(
        &self,
        app: &AppId,
        client: &ClientId,
        source: &str,
        n: u32,
    ) -> Result<Recipient, StoreError> {
        let update = self.update(app, client).expression_attribute_names("#s", names::source(source));
        if n == 0 {
            return match self.conditional(update.update_expression("REMOVE #s"), false).await? {
                Updated::Done(recipient) | Updated::Refused(recipient) => Ok(recipient),
            };
        }
        let update = update.update_expression("SET #s = :n").expression_attribute_values(":n", number(n));
        let known = update.clone().condition_expression("attribute_exists(#s)");
        match self.conditional(known, false).await? {
            Updated::Done(recipient) => Ok(recipient),
            Updated::Refused(recipient) if recipient.sources.len() >= MOST_SOURCES => {
                Err(StoreError::TooMany("sources"))
            }
            Updated::Refused(_) => match self.conditional(update, false).await? {
                Updated::Done(recipient) | Updated::Refused(recipient) => Ok(recipient),
            },
        }
    }

    /// `room` does not notify this client any more, unless it mentions them.
    ///
    /// # Errors
    /// When the client has muted [`MOST_MUTED`] other rooms, or the table does not answer.
    pub async fn mute(&self, app: &AppId, client: &ClientId, room: &RoomKey) -> Result<Recipient, StoreError> {
        let update = self
            .update(app, client)
            .update_expression("ADD mu :rooms")
            .condition_expression("attribute_not_exists(mu) OR size(mu) < :most OR contains(mu, :room)")
            .expression_attribute_values(":rooms", rooms(room))
            .expression_attribute_values(":room", text(room.as_str()))
            .expression_attribute_values(":most", number(MOST_MUTED));
        match self.conditional(update, false).await? {
            Updated::Done(recipient) => Ok(recipient),
            Updated::Refused(_) => Err(StoreError::TooMany("muted rooms")),
        }
    }

    /// `room` notifies this client again.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn unmute(&self, app: &AppId, client: &ClientId, room: &RoomKey) -> Result<Recipient, StoreError> {
        let update = self
            .update(app, client)
            .update_expression("DELETE mu :rooms")
            .expression_attribute_values(":rooms", rooms(room));
        match self.conditional(update, false).await? {
            Updated::Done(recipient) | Updated::Refused(recipient) => Ok(recipient),
        }
    }

    /// Takes the oldest watermarks away once there are too many. They matter only while messages are on their way.
    async fn forget_watermarks(
        &self,
        app: &AppId,
        client: &ClientId,
        recipient: Recipient,
    ) -> Result<Recipient, StoreError> {
        let mut oldest_first = watermarks(&recipient);
        if oldest_first.len() <= MOST_WATERMARKS {
            return Ok(recipient);
        }
        oldest_first.sort_by_key(|(_, at)| *at);
        let mut update = self.update(app, client);
        let mut expression = String::new();
        for (index, (attribute, _)) in oldest_first[..oldest_first.len() - MOST_WATERMARKS].iter().enumerate() {
            expression.push_str(if index == 0 { "REMOVE " } else { ", " });
            expression.push_str(&format!("#x{index}"));
            update = update.expression_attribute_names(format!("#x{index}"), attribute);
        }
        match self.conditional(update.update_expression(expression), false).await? {
            Updated::Done(recipient) | Updated::Refused(recipient) => Ok(recipient),
        }
    }
}

/// The attributes of single rooms' watermarks, of both kinds.
fn watermarks(recipient: &Recipient) -> Vec<(String, Timestamp)> {
    let kinds = [(names::READ_WRITTEN, &recipient.read.written), (names::READ_ACCEPTED, &recipient.read.accepted)];
    kinds
        .into_iter()
        .flat_map(|(kind, rooms)| rooms.iter().map(move |(room, at)| (kind, room, *at)))
        .filter(|(_, room, _)| room.as_str() != names::EVERY_ROOM)
        .map(|(kind, room, at)| (names::read(kind, room.as_str()), at))
        .collect()
}

fn rooms(room: &RoomKey) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::Ss(vec![room.as_str().to_owned()])
}
