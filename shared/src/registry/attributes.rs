//! The index of attributes: what a client's item of attributes says of those that the app has indexed, its own item says as keys, and the
//! members' rows as audiences.
//!
//! The attributes are written first, by themselves. Then the index is made what they say; a call that ends between the two is made good by the next
//! one.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Update};

use super::labels::at_once;
use super::members::Audience;
use super::rows::{Seen, text};
use super::transact::{TRIES, Written, after_refusal};
use super::{Registry, RegistryError};
use crate::app::AttributesSettings;
use crate::id::{AppId, AttributeKey, ClientId};
use crate::recipient::{attributes, names};
use crate::time::Timestamp;

impl Registry {
    /// Makes the client's devices members of the audiences of its indexed attributes, as they are by now, and of no other attributes'. In one
    /// transaction, or as many attributes at once as fit it (four with twenty devices): it joins before it leaves. Where the index is as it
    /// should be, it is two reads.
    ///
    /// Of two calls at once for one client, whatever each was made for, the index ends as the attributes do.
    ///
    /// # Errors
    /// When the tables do not answer, or others change the same client all the time. The same call may be made again, and goes on where this
    /// one ended.
    pub async fn index_attributes(
        &self,
        app: &AppId,
        client: &ClientId,
        settings: &AttributesSettings,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let mut refusals = 0;
        // The longest way is four steps: eight keys go and eight come, of twenty devices.
        for _ in 0..TRIES {
            // In this order: whoever changes the attributes after they are read here looks at the item after that, and what they change in it
            // refuses what is written here.
            let seen = self.seen(app, client).await?;
            let wanted = self.wanted(app, client, settings).await?;
            let have = &seen.labels.attributes;
            if wanted == *have {
                return Ok(());
            }
            let mut keys = have.clone();
            let mut rows = Vec::new();
            let joining = wanted.difference(have).map(|key| (key, true));
            let leaving = have.difference(&wanted).map(|key| (key, false));
            for (key, joins) in joining.chain(leaving).take(at_once(&seen)) {
                let audience = Audience::Attribute(key.clone());
                for device in &seen.devices {
                    rows.push(if joins {
                        self.join(app, &audience, client, device, now)?
                    } else {
                        self.leave(app, &audience, client, &device.key)?
                    });
                }
                let _ = if joins { keys.insert(key.clone()) } else { keys.remove(key) };
            }
            // All is read once more after the last step: who changed the attributes meanwhile may have found the index as it should be and
            // changed nothing, and an erasure may have taken them before there was an item to refuse it.
            match self.write(self.set_keys(app, client, &seen, &keys)?, rows).await? {
                Written::Done => {}
                Written::Refused(_) | Written::Busy => {
                    refusals += 1;
                    after_refusal(refusals).await;
                }
            }
        }
        Err(RegistryError::Contended)
    }

    /// The keys of the indexed attributes that the client has, consistently.
    async fn wanted(
        &self,
        app: &AppId,
        client: &ClientId,
        settings: &AttributesSettings,
    ) -> Result<BTreeSet<AttributeKey>, RegistryError> {
        if settings.indexed().is_empty() {
            return Ok(BTreeSet::new());
        }
        let answer = self
            .client
            .get_item()
            .table_name(&self.recipients)
            .key(names::PK, text(names::attributes(app, client)))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item.map(|item| settings.keys(&attributes::of_item(item))).unwrap_or_default())
    }

    fn set_keys(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
        keys: &BTreeSet<AttributeKey>,
    ) -> Result<Update, BuildError> {
        let update = self.item_update_as_seen(app, client, seen).expression_attribute_names("#ia", names::INDEXED);
        let update = if keys.is_empty() {
            update.update_expression("SET #g = :g REMOVE #ia")
        } else {
            let keys = keys.iter().map(|key| key.as_str().to_owned()).collect();
            update
                .update_expression("SET #g = :g, #ia = :ia")
                .expression_attribute_values(":ia", AttributeValue::Ss(keys))
        };
        update.build()
    }

    /// As many of the client's indexed attributes as fit a transaction leave the index, and the attributes themselves go, so that nobody puts
    /// them back.
    pub(super) async fn remove_some_attributes(
        &self,
        app: &AppId,
        client: &ClientId,
        seen: &Seen,
    ) -> Result<Written, RegistryError> {
        let mut keys = seen.labels.attributes.clone();
        let mut beside = vec![self.delete_item(names::attributes(app, client), Delete::builder())?];
        for key in seen.labels.attributes.iter().take(at_once(seen)) {
            let audience = Audience::Attribute(key.clone());
            for device in &seen.devices {
                beside.push(self.leave(app, &audience, client, &device.key)?);
            }
            keys.remove(key);
        }
        self.write(self.set_keys(app, client, seen, &keys)?, beside).await
    }
}
