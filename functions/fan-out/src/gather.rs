//! Members of several audiences as one list: each device once, in the order of its place.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use pushbell::id::AppId;
use pushbell::registry::{Audience, Member, Place, Registry, RegistryError};

/// Devices of a page, as far as its last client is whole.
const PAGE: usize = 2_000;
/// The fewest rows that are asked for at once: more than a client has devices, so that every page has a whole client.
const FEWEST: usize = 32;
/// Queries in flight for one page.
const QUERIES: usize = 16;

/// Members that stand together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Gathered {
    /// Each once, in order, all devices of each client.
    pub(crate) members: Vec<Member>,
    /// Nobody comes behind them.
    pub(crate) last: bool,
}

/// What audiences to look in.
pub(crate) struct Shard<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) app: &'a AppId,
    pub(crate) audiences: &'a [Audience],
    pub(crate) shard: u8,
}

impl Shard<'_> {
    /// The next members behind `after`: about [`PAGE`] devices.
    pub(crate) async fn next(&self, after: Option<&Place>) -> Result<Gathered, RegistryError> {
        let mut rows = (2 * PAGE / self.audiences.len().max(1)).clamp(FEWEST, PAGE);
        loop {
            let most = u16::try_from(rows).ok();
            let pages: Vec<_> = stream::iter(self.audiences)
                .map(|audience| self.registry.members(self.app, audience, self.shard, (after, None), most))
                .buffer_unordered(QUERIES)
                .try_collect()
                .await?;
            // An audience that was not read to its end is known up to its last row's client, whose devices may go on.
            let known = pages.iter().filter_map(|page| page.next.as_ref()).map(Place::before_client).min();
            let members = merged(pages.into_iter().flat_map(|page| page.members), known.as_ref());
            if !members.is_empty() || known.is_none() {
                return Ok(up_to_a_page(members, known.is_none()));
            }
            // All rows of an audience were one client's: it takes a longer look.
            rows *= 2;
        }
    }

    /// All members behind `after`, up to and with `through`.
    pub(crate) async fn between(&self, after: Option<&Place>, through: &Place) -> Result<Vec<Member>, RegistryError> {
        let audiences: Vec<Vec<Member>> = stream::iter(self.audiences)
            .map(|audience| self.between_of(audience, after, through))
            .buffer_unordered(QUERIES)
            .try_collect()
            .await?;
        Ok(merged(audiences.into_iter().flatten(), None))
    }

    async fn between_of(
        &self,
        audience: &Audience,
        after: Option<&Place>,
        through: &Place,
    ) -> Result<Vec<Member>, RegistryError> {
        let mut members = Vec::new();
        let mut at = after.cloned();
        loop {
            let interval = (at.as_ref(), Some(through));
            let page = self.registry.members(self.app, audience, self.shard, interval, None).await?;
            members.extend(page.members);
            match page.next {
                Some(next) if next < *through => at = Some(next),
                Some(_) | None => return Ok(members),
            }
        }
    }
}

/// Each device once, in order, before `known`. Who belongs to several audiences is a member since the first of them.
fn merged(members: impl Iterator<Item = Member>, known: Option<&Place>) -> Vec<Member> {
    let mut by_place: BTreeMap<Place, Member> = BTreeMap::new();
    for member in members {
        let place = member.place();
        if known.is_some_and(|known| place >= *known) {
            continue;
        }
        by_place.entry(place).and_modify(|there| there.since = there.since.min(member.since)).or_insert(member);
    }
    by_place.into_values().collect()
}

/// Cuts what is beyond a page, behind a client.
fn up_to_a_page(mut members: Vec<Member>, last: bool) -> Gathered {
    let Some(client) = members.get(PAGE).map(|member| member.client.clone()) else {
        return Gathered { members, last };
    };
    let begin = members.iter().position(|member| member.client == client).unwrap_or(members.len());
    members.truncate(begin);
    Gathered { members, last: false }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use pushbell::delivery::Channel;
    use pushbell::id::{ClientId, DeviceKey};
    use pushbell::time::Timestamp;

    fn member(client: &str, device: &str, since: u64) -> Member {
        Member {
            client: ClientId::parse(client).unwrap(),
            device: DeviceKey::of("k", device),
            channel: Channel::Fcm,
            since: Timestamp::from_millis(since),
        }
    }

    #[test]
    fn a_device_of_two_audiences_is_a_member_since_the_first() {
        let rows = [member("b", "1", 5), member("a", "1", 7), member("b", "1", 3), member("c", "1", 1)];
        let known = Place::of(&ClientId::parse("c").unwrap(), &DeviceKey::of("k", "1")).before_client();
        let merged = merged(rows.into_iter(), Some(&known));
        assert_eq!(merged, [member("a", "1", 7), member("b", "1", 3)]);
    }

    #[test]
    fn a_page_ends_behind_a_client() {
        let mut members: Vec<Member> = (0..PAGE - 1).map(|n| member(&format!("a{n:05}"), "1", 1)).collect();
        assert!(up_to_a_page(members.clone(), true).last);
        members.extend([member("b", "1", 1), member("b", "2", 1)]);
        let page = up_to_a_page(members, true);
        assert_eq!((page.members.len(), page.last), (PAGE - 1, false));
    }
}
