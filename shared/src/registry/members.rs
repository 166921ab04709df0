//! Members of an audience: one row per device and audience, in pages.
//!
//! A row's partition is an audience's shard, which the client decides; its sort key is the client, then the device. So a client's devices
//! stand together in one shard, whatever page begins there. A row holds no token.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem, Update};

use super::rows::{PK, SINCE, SK, number, text};
use super::{Registry, RegistryError};
use crate::delivery::Channel;
use crate::id::{Alias, AppId, AttributeKey, ClientId, DeviceKey, Tag, digest};
use crate::recipient::Device;
use crate::time::Timestamp;

/// In a member's row: the letter of its channel.
const CHANNEL: &str = "ch";
/// Between client and device. It sorts before every character that a client's name may hold, so that no other client's rows come
/// between those of one.
const BETWEEN: char = '\u{1}';

/// Whom an app may name together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Audience {
    /// Every device of the app.
    All,
    /// The devices of every client who has the tag.
    Tag(Tag),
    /// The devices of the one client who has the alias.
    Alias(Alias),
    /// The devices of every client who has the value of an indexed attribute.
    Attribute(AttributeKey),
}

impl Audience {
    /// Partitions that the rows are spread over. A partition takes 1,000 write units a second, and a row that is written in a
    /// transaction costs two: with 16, 8,000 devices can join "all" in a second, and 16 pages of it be read at once. A tag has 4: tagging comes in bursts
    /// too, but a small tag is asked for in each of its shards. An attribute is as a tag. An alias is one client's.
    #[must_use]
    pub const fn shards(&self) -> u8 {
        match self {
            Self::All => 16,
            Self::Tag(_) | Self::Attribute(_) => 4,
            Self::Alias(_) => 1,
        }
    }

    /// Which shard a client's devices are in.
    #[must_use]
    pub fn shard_of(&self, client: &ClientId) -> u8 {
        shard_of(client, self.shards())
    }

    /// The shard's partition key. A tag comes last: it may hold whatever separates the parts.
    fn partition(&self, app: &AppId, shard: u8) -> String {
        match self {
            Self::All => format!("{app}#all#{shard}"),
            Self::Tag(tag) => format!("{app}#tag#{shard}#{tag}"),
            Self::Alias(alias) => format!("{app}#alias#{shard}#{alias}"),
            Self::Attribute(key) => format!("{app}#attr#{shard}#{}", key.as_str()),
        }
    }
}

/// Which of `shards` shards a client's devices are in, whatever the audience. 256 is a multiple of every number of shards.
#[must_use]
pub(crate) fn shard_of(client: &ClientId, shards: u8) -> u8 {
    let [byte] = digest(&[client.as_str().as_bytes()]);
    byte % shards
}

/// Where a member stands in its shard: text that sorts as the rows do. Pages begin and end at such places.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Place(String);

impl Place {
    /// The place of a client's device.
    #[must_use]
    pub fn of(client: &ClientId, device: &DeviceKey) -> Self {
        Self(format!("{client}{BETWEEN}{}", device.as_str()))
    }

    /// A place as it is written down.
    #[must_use]
    pub(crate) fn from_attribute(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it is written down.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The place before all devices of the client who stands here.
    #[must_use]
    pub fn before_client(&self) -> Self {
        let client = self.0.rsplit_once(BETWEEN).map_or(self.0.as_str(), |(client, _)| client);
        Self(format!("{client}{BETWEEN}"))
    }

    /// The place behind all devices of a client.
    #[must_use]
    pub fn behind(client: &ClientId) -> Self {
        // Device keys are ASCII.
        Self(format!("{client}{BETWEEN}\u{7f}"))
    }
}

/// One device in an audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Whose it is.
    pub client: ClientId,
    /// Which of the client's.
    pub device: DeviceKey,
    /// Its road.
    pub channel: Channel,
    /// When the client got this device, or the device this audience. Registering it again changes nothing here.
    pub since: Timestamp,
}

impl Member {
    fn from_row(mut row: HashMap<String, AttributeValue>) -> Option<Self> {
        let (Some(AttributeValue::S(place)), Some(AttributeValue::S(letter)), Some(AttributeValue::N(since))) =
            (row.remove(SK), row.remove(CHANNEL), row.remove(SINCE))
        else {
            return None;
        };
        let (client, device) = place.rsplit_once(BETWEEN)?;
        Some(Self {
            client: ClientId::parse(client).ok()?,
            device: DeviceKey::from_attribute(device),
            channel: Channel::from_letter(&letter)?,
            since: Timestamp::from_millis(since.parse().ok()?),
        })
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::of(&self.client, &self.device)
    }
}

/// Members of one shard, in the order of their places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Those that were read.
    pub members: Vec<Member>,
    /// The last place that was looked at; `None` when the interval is read to its end.
    pub next: Option<Place>,
}

impl Registry {
    /// Members of `shard` whose places come after `after`, up to and with `through`; `most` of them, or as many as fit 1 MB. As they are
    /// now: who was there before the call and still is, is among them.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn members(
        &self,
        app: &AppId,
        audience: &Audience,
        shard: u8,
        (after, through): (Option<&Place>, Option<&Place>),
        most: Option<u16>,
    ) -> Result<Page, RegistryError> {
        let partition = audience.partition(app, shard);
        let mut query = self
            .client
            .query()
            .table_name(&self.registry)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pk", text(&partition))
            .consistent_read(true)
            .set_limit(most.map(i32::from));
        if let Some(through) = through {
            query = query
                .key_condition_expression("#pk = :pk AND #sk <= :through")
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":through", text(&through.0));
        }
        if let Some(after) = after {
            query = query.exclusive_start_key(PK, text(&partition)).exclusive_start_key(SK, text(&after.0));
        }
        let answer = query.send().await?;
        let next = answer.last_evaluated_key.and_then(|mut key| match key.remove(SK) {
            Some(AttributeValue::S(place)) => Some(Place(place)),
            _ => None,
        });
        // A row that is no member is a newer release's.
        let members = answer.items.unwrap_or_default().into_iter().filter_map(Member::from_row).collect();
        Ok(Page { members, next })
    }

    fn member_key(
        app: &AppId,
        audience: &Audience,
        client: &ClientId,
        device: &DeviceKey,
    ) -> HashMap<String, AttributeValue> {
        let partition = audience.partition(app, audience.shard_of(client));
        HashMap::from([(PK.to_owned(), text(partition)), (SK.to_owned(), text(Place::of(client, device).0))])
    }

    /// Makes a device a member. One that is a member stays one since then.
    pub(super) fn join(
        &self,
        app: &AppId,
        audience: &Audience,
        client: &ClientId,
        device: &Device,
        since: Timestamp,
    ) -> Result<TransactWriteItem, BuildError> {
        let update = Update::builder()
            .table_name(&self.registry)
            .set_key(Some(Self::member_key(app, audience, client, &device.key)))
            .update_expression("SET #at = if_not_exists(#at, :at), #ch = :ch")
            .expression_attribute_names("#at", SINCE)
            .expression_attribute_names("#ch", CHANNEL)
            .expression_attribute_values(":at", number(since.as_millis()))
            .expression_attribute_values(":ch", text(device.channel.letter()));
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }

    /// Has a device be a member no more. Without a condition: the client's item has one, in the same transaction.
    pub(super) fn leave(
        &self,
        app: &AppId,
        audience: &Audience,
        client: &ClientId,
        device: &DeviceKey,
    ) -> Result<TransactWriteItem, BuildError> {
        let delete =
            Delete::builder().table_name(&self.registry).set_key(Some(Self::member_key(app, audience, client, device)));
        Ok(TransactWriteItem::builder().delete(delete.build()?).build())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_two_shards_of_any_audiences_share_a_partition() {
        let (tag, alias) = (|text| Audience::Tag(Tag::parse(text).unwrap()), Alias::parse("1#x").unwrap());
        let attribute = AttributeKey::of("favoriteTeam", "Boston Red Sox");
        let audiences = [
            Audience::All,
            tag("x"),
            tag("1#x"),
            tag("0"),
            tag("all"),
            tag(attribute.as_str()),
            Audience::Alias(alias),
            Audience::Attribute(attribute),
        ];
        let apps = ["a", "a.b"].map(|app| AppId::parse(app).unwrap());
        let mut partitions = Vec::new();
        for app in &apps {
            for audience in &audiences {
                partitions.extend((0..audience.shards()).map(|shard| audience.partition(app, shard)));
            }
        }
        let distinct: std::collections::BTreeSet<&String> = partitions.iter().collect();
        assert_eq!(distinct.len(), partitions.len());
    }

    #[test]
    fn shards_are_about_as_full_as_one_another() {
        let mut full = [0; 16];
        for n in 0..16_000 {
            let client = ClientId::parse(format!("u-{n}")).unwrap();
            full[usize::from(Audience::All.shard_of(&client))] += 1;
        }
        assert!(full.iter().all(|n| (800..1_200).contains(n)), "{full:?}");
    }

    proptest! {
        #[test]
        fn a_client_s_places_stand_together(a in "[ -~é]{1,4}", b in "[ -~é]{1,4}", names in proptest::collection::vec("[a-z]", 3)) {
            prop_assume!(a != b);
            let (a, b) = (ClientId::parse(a).unwrap(), ClientId::parse(b).unwrap());
            let places = |client: &ClientId| -> Vec<Place> {
                let mut places: Vec<Place> = names.iter().map(|name| Place::of(client, &DeviceKey::of("k", name))).collect();
                places.push(Place::behind(client));
                places.sort();
                places
            };
            let (of_a, of_b) = (places(&a), places(&b));
            prop_assert_eq!(of_a.last(), Some(&Place::behind(&a)));
            prop_assert!(of_a.last() < of_b.first() || of_b.last() < of_a.first());
        }
    }
}
