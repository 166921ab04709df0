//! Labels: tags and alias, which a client is called beside its id, and the keys of its indexed attributes. They are the client's, and every
//! device of the client is a member of their audiences; so a device that is registered later is one too.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};

use super::members::Audience;
use super::rows::{ALONE, CLIENT, PK, SK, Seen, text};
use super::transact::{MOST_ACTIONS, TRIES, Written, after_refusal};
use super::{Registry, RegistryError};
use crate::id::{Alias, AppId, AttributeKey, ClientId, Tag};
use crate::recipient::{MOST_TAG_BYTES, MOST_TAGS, names};
use crate::time::Timestamp;

/// Why a client's tags or alias were not changed.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The tables did not do it. The same call may be made again, and goes on where this one ended.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// More than [`MOST_TAGS`].
    #[error("the client has too many tags")]
    TooManyTags,
    /// More than [`MOST_TAG_BYTES`].
    #[error("the client's tags are too long together")]
    TooLong,
    /// Another client of the app has the alias.
    #[error("another client has the alias")]
    Taken,
}

/// What makes a client's devices members of audiences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Words that it shares with others.
    pub tags: BTreeSet<Tag>,
    /// A name that no other client has.
    pub alias: Option<Alias>,
    /// What stands for its indexed attributes.
    pub attributes: BTreeSet<AttributeKey>,
}

impl Labels {
    /// Takes the labels out of a client's item. What cannot be one is a newer release's.
    pub(super) fn take_from(item: &mut HashMap<String, AttributeValue>) -> Self {
        let tags = match item.remove(names::TAGS) {
            Some(AttributeValue::Ss(tags)) => tags.into_iter().filter_map(|tag| Tag::parse(tag).ok()).collect(),
            _ => BTreeSet::new(),
        };
        let alias = match item.remove(names::ALIAS) {
            Some(AttributeValue::S(alias)) => Alias::parse(alias).ok(),
            _ => None,
        };
        let attributes = match item.remove(names::INDEXED) {
            Some(AttributeValue::Ss(keys)) => keys.iter().map(|key| AttributeKey::from_attribute(key)).collect(),
            _ => BTreeSet::new(),
        };
        Self { tags, alias, attributes }
    }

    /// Every audience that the client's devices are members of.
    pub(super) fn audiences(&self) -> Vec<Audience> {
        let tags = self.tags.iter().cloned().map(Audience::Tag);
        let attributes = self.attributes.iter().cloned().map(Audience::Attribute);
        let named = tags.chain(self.alias.clone().map(Audience::Alias)).chain(attributes);
        [Audience::All].into_iter().chain(named).collect()
    }

    fn with(&self, more: &BTreeSet<Tag>) -> Result<(), LabelError> {
        let tags: BTreeSet<&Tag> = self.tags.union(more).collect();
        if tags.len() > MOST_TAGS {
            Err(LabelError::TooManyTags)
        } else if tags.iter().map(|tag| tag.as_str().len()).sum::<usize>() > MOST_TAG_BYTES {
            Err(LabelError::TooLong)
        } else {
            Ok(())
        }
    }
}

impl Registry {
    /// A client's labels, consistently.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn labels(&self, app: &AppId, client: &ClientId) -> Result<Labels, RegistryError> {
        Ok(self.seen(app, client).await?.labels)
    }

    /// The client who has an alias, consistently: one read.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn alias_owner(&self, app: &AppId, alias: &Alias) -> Result<Option<ClientId>, RegistryError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.registry)
            .set_key(Some(alias_key(app, alias)))
            .consistent_read(true)
            .send()
            .await?;
        let owner = answer.item.and_then(|mut row| row.remove(CLIENT));
        Ok(match owner {
            Some(AttributeValue::S(client)) => ClientId::parse(client).ok(),
            _ => None,
        })
    }

    /// Puts tags on a client, beside those that it has. As many as fit a transaction at once, which is all of them with one device and
    /// four with twenty: a call that ends halfway has put on some of them, each with all of its rows.
    ///
    /// # Errors
    /// When the client would have too many, and then nothing is changed; when the tables do not answer, or others change the same client
    /// all the time.
    pub async fn add_tags(
        &self,
        app: &AppId,
        client: &ClientId,
        tags: &BTreeSet<Tag>,
        now: Timestamp,
    ) -> Result<(), LabelError> {
        let mut attempt = 0;
        while attempt < TRIES {
            let seen = self.seen(app, client).await?;
            seen.labels.with(tags)?;
            let missing: Vec<&Tag> = tags.difference(&seen.labels.tags).take(at_once(&seen)).collect();
            if missing.is_empty() {
                return Ok(());
            }
            let update = self.change_tags(app, client, &seen, "ADD", &missing).map_err(RegistryError::from)?;
            let rows =
                member_changes(&seen, &missing, |audience, device| self.join(app, audience, client, device, now));
            let written = self.write(update, rows.map_err(RegistryError::from)?).await?;
            self.next_try(written, &mut attempt).await;
        }
        Err(RegistryError::Contended.into())
    }

    /// Takes tags off a client. Steps as [`Registry::add_tags`].
    ///
    /// # Errors
    /// When the tables do not answer, or others change the same client all the time.
    pub async fn remove_tags(&self, app: &AppId, client: &ClientId, tags: &BTreeSet<Tag>) -> Result<(), RegistryError> {
        let mut attempt = 0;
        while attempt < TRIES {
            let seen = self.seen(app, client).await?;
            let there: Vec<&Tag> = tags.intersection(&seen.labels.tags).take(at_once(&seen)).collect();
            if there.is_empty() {
                return Ok(());
            }
            let written = self.take_tags_off(app, client, &seen, &there).await?;
            self.next_try(written, &mut attempt).await;
        }
        Err(RegistryError::Contended)
    }

    /// As many of the client's tags as fit a transaction go.
    pub(super) async fn remove_some_tags(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
    ) -> Result<Written, RegistryError> {
        let some: Vec<&Tag> = seen.labels.tags.iter().take(at_once(seen)).collect();
        self.take_tags_off(app, client, seen, &some).await
    }

    async fn take_tags_off(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
        tags: &[&Tag],
    ) -> Result<Written, RegistryError> {
        let update = self.change_tags(app, client, seen, "DELETE", tags)?;
        let rows = member_changes(seen, tags, |audience, device| self.leave(app, audience, client, &device.key))?;
        self.write(update, rows).await
    }

    /// Gives a client its alias; `None` takes it off. In one transaction with the rows of every device and the row that says whose the
    /// alias is.
    ///
    /// # Errors
    /// When another client has the alias, the tables do not answer, or others change the same client all the time.
    pub async fn set_alias(
        &self,
        app: &AppId,
        client: &ClientId,
        alias: Option<&Alias>,
        now: Timestamp,
    ) -> Result<(), LabelError> {
        let mut attempt = 0;
        while attempt < TRIES {
            let seen = self.seen(app, client).await?;
            if seen.labels.alias.as_ref() == alias {
                return Ok(());
            }
            if let Some(alias) = alias
                && self.alias_owner(app, alias).await?.is_some_and(|owner| owner != *client)
            {
                return Err(LabelError::Taken);
            }
            let (update, rows) = self.change_alias(app, client, &seen, alias, now).map_err(RegistryError::from)?;
            let written = self.write(update, rows).await?;
            if written == Written::Done {
                return Ok(());
            }
            self.next_try(written, &mut attempt).await;
        }
        Err(RegistryError::Contended.into())
    }

    fn change_alias(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
        alias: Option<&Alias>,
        now: Timestamp,
    ) -> Result<(Update, Vec<TransactWriteItem>), BuildError> {
        let mut update = self.item_update_as_seen(app, client, seen).expression_attribute_names("#al", names::ALIAS);
        let mut rows = Vec::new();
        if let Some(alias) = alias {
            update = update
                .update_expression("SET #al = :al, #g = :g")
                .expression_attribute_values(":al", text(alias.as_str()));
            rows.push(self.own_alias(app, client, alias)?);
            let audience = Audience::Alias(alias.clone());
            for device in &seen.devices {
                rows.push(self.join(app, &audience, client, device, now)?);
            }
        } else {
            update = update.update_expression("SET #g = :g REMOVE #al");
        }
        if let Some(former) = &seen.labels.alias {
            rows.push(self.disown_alias(app, client, former)?);
            let audience = Audience::Alias(former.clone());
            for device in &seen.devices {
                rows.push(self.leave(app, &audience, client, &device.key)?);
            }
        }
        Ok((update.build()?, rows))
    }

    fn own_alias(&self, app: &AppId, client: &ClientId, alias: &Alias) -> Result<TransactWriteItem, BuildError> {
        let put = Put::builder()
            .table_name(&self.registry)
            .set_item(Some(alias_key(app, alias)))
            .item(CLIENT, text(client.as_str()))
            .condition_expression("attribute_not_exists(#pk) OR #c = :c")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#c", CLIENT)
            .expression_attribute_values(":c", text(client.as_str()));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    /// Frees an alias, if nobody else has it.
    pub(super) fn disown_alias(
        &self,
        app: &AppId,
        client: &ClientId,
        alias: &Alias,
    ) -> Result<TransactWriteItem, BuildError> {
        let delete = Delete::builder()
            .table_name(&self.registry)
            .set_key(Some(alias_key(app, alias)))
            .condition_expression("attribute_not_exists(#pk) OR #c = :c")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#c", CLIENT)
            .expression_attribute_values(":c", text(client.as_str()));
        Ok(TransactWriteItem::builder().delete(delete.build()?).build())
    }

    fn change_tags(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
        verb: &str,
        tags: &[&Tag],
    ) -> Result<Update, BuildError> {
        self.item_update_as_seen(app, client, seen)
            .update_expression(format!("SET #g = :g {verb} #tg :tags"))
            .expression_attribute_names("#tg", names::TAGS)
            .expression_attribute_values(
                ":tags",
                AttributeValue::Ss(tags.iter().map(|tag| tag.as_str().to_owned()).collect()),
            )
            .build()
    }

    /// What was written leaves the tries to what comes next; what was refused uses one up.
    async fn next_try(&self, written: Written, attempt: &mut u32) {
        match written {
            Written::Done => *attempt = 0,
            Written::Refused(_) | Written::Busy => {
                *attempt += 1;
                after_refusal(*attempt).await;
            }
        }
    }
}

/// How many tags or indexed attributes one transaction can change for all of the client's devices, with two items beside their rows.
pub(super) fn at_once(seen: &Seen) -> usize {
    (MOST_ACTIONS - 2) / seen.devices.len().max(1)
}

fn member_changes(
    seen: &Seen,
    tags: &[&Tag],
    change: impl Fn(&Audience, &crate::recipient::Device) -> Result<TransactWriteItem, BuildError>,
) -> Result<Vec<TransactWriteItem>, BuildError> {
    let mut rows = Vec::with_capacity(tags.len() * seen.devices.len());
    for tag in tags {
        let audience = Audience::Tag((*tag).clone());
        for device in &seen.devices {
            rows.push(change(&audience, device)?);
        }
    }
    Ok(rows)
}

fn alias_key(app: &AppId, alias: &Alias) -> HashMap<String, AttributeValue> {
    HashMap::from([(PK.to_owned(), text(format!("{app}#owner#{alias}"))), (SK.to_owned(), text(ALONE))])
}
