//! Where a page is cut into chunks, and what each chunk has.

use std::collections::BTreeMap;

use pushbell::registry::{Member, Place};
use pushbell::task::{AudiencePage, MOST_RECIPIENTS, Target};
use pushbell::time::Timestamp;

use crate::gather::Gathered;

/// Devices with which a chunk is closed: with the five of a heavy user, a hundred clients are as much as two records of others.
const FULL: usize = 250;

/// Cuts what was gathered behind `after` into the page that begins there, with the chunk `first`. Who became a member after `until` is in
/// none of its chunks.
pub(crate) fn page(shard: u8, after: Option<Place>, first: u32, gathered: &Gathered, until: Timestamp) -> AudiencePage {
    let mut ends: Vec<Place> = Vec::new();
    let (mut clients, mut devices, mut all) = (0, 0, 0);
    for of_client in gathered.members.chunk_by(|a, b| a.client == b.client) {
        let targets = of_client.iter().filter(|member| member.since <= until).count();
        let full = clients == MOST_RECIPIENTS || devices >= FULL;
        if (full && targets > 0) || ends.is_empty() {
            ends.extend(of_client.first().map(|member| Place::behind(&member.client)));
            (clients, devices) = (0, 0);
        }
        if targets > 0 {
            clients += 1;
            devices += targets;
            all += targets;
        }
        // Whoever is skipped is behind the last chunk's end all the same: the next page begins there.
        if let (Some(end), Some(member)) = (ends.last_mut(), of_client.first()) {
            *end = Place::behind(&member.client);
        }
    }
    if all == 0 && gathered.last {
        ends.clear();
    }
    let queued = ends.is_empty();
    AudiencePage {
        shard,
        after,
        first,
        ends,
        last: gathered.last,
        devices: u32::try_from(all).unwrap_or(u32::MAX),
        queued,
    }
}

/// The targets of each of a page's chunks, from the members that are there now. A chunk may have lost all of them.
pub(crate) fn targets(page: &AudiencePage, members: Vec<Member>, until: Timestamp) -> Vec<Vec<Target>> {
    let mut chunks = vec![Vec::new(); page.ends.len()];
    let mut by_client: BTreeMap<usize, Vec<Member>> = BTreeMap::new();
    for member in members.into_iter().filter(|member| member.since <= until) {
        // The first end that is not before it.
        let index = page.ends.partition_point(|end| *end < member.place());
        by_client.entry(index).or_default().push(member);
    }
    for (index, members) in by_client {
        let Some(chunk) = chunks.get_mut(index) else { continue };
        for of_client in members.chunk_by(|a, b| a.client == b.client) {
            let Some(member) = of_client.first() else { continue };
            let only = of_client.iter().map(|member| member.device.clone()).collect();
            chunk.push(Target::Chosen { client: member.client.clone(), only });
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use pushbell::delivery::Channel;
    use pushbell::id::{ClientId, DeviceKey};

    const UNTIL: Timestamp = Timestamp::from_millis(100);

    fn members(counts: &[(u8, bool)]) -> Vec<Member> {
        let mut members = Vec::new();
        for (client, (devices, late)) in counts.iter().enumerate() {
            for device in 0..*devices {
                members.push(Member {
                    client: ClientId::parse(format!("u{client:05}")).unwrap(),
                    device: DeviceKey::of("k", &device.to_string()),
                    channel: Channel::Fcm,
                    since: Timestamp::from_millis(if *late { 101 } else { 100 }),
                });
            }
        }
        members.sort_by_key(Member::place);
        members
    }

    proptest! {
        #[test]
        fn every_member_of_then_is_in_one_chunk_and_nobody_else(
            counts in proptest::collection::vec((1_u8..=20, proptest::bool::weighted(0.2)), 0..400), last in any::<bool>(),
        ) {
            let all = members(&counts);
            let gathered = Gathered { members: all.clone(), last };
            let page = page(3, None, 7, &gathered, UNTIL);
            let chunks = targets(&page, all.clone(), UNTIL);
            prop_assert_eq!(chunks.len(), page.chunks() as usize);
            let there: Vec<(String, usize)> = chunks.iter().flatten().map(|target| match target {
                Target::Chosen { client, only } => (client.to_string(), only.len()),
                Target::Fresh(_) | Target::Left { .. } | Target::With { .. } => unreachable!(),
            }).collect();
            let expected: Vec<(String, usize)> = counts.iter().enumerate().filter(|(_, (_, late))| !late)
                .map(|(client, (devices, _))| (format!("u{client:05}"), usize::from(*devices))).collect();
            prop_assert_eq!(there, expected);
            prop_assert_eq!(page.devices as usize, counts.iter().filter(|(_, late)| !late).map(|(n, _)| usize::from(*n)).sum::<usize>());
            prop_assert!(chunks.iter().all(|chunk| chunk.len() <= MOST_RECIPIENTS));
            // The next page begins behind everybody who was looked at.
            if let (Some(member), Some(end)) = (all.last(), page.end()) {
                prop_assert!(end >= &member.place());
            }
            prop_assert!(last || all.is_empty() || !page.ends.is_empty(), "a page that goes on gets on");
            // A client is found in the chunk that has them.
            for (index, chunk) in chunks.iter().enumerate() {
                for target in chunk {
                    prop_assert_eq!(page.chunk_of(target.client()), Some(7 + u32::try_from(index).unwrap()));
                }
            }
        }

        #[test]
        fn a_page_that_is_read_again_has_no_chunk_with_anybody_new(
            counts in proptest::collection::vec((1_u8..=5, Just(false)), 1..300),
            gone in proptest::collection::vec(any::<bool>(), 300),
        ) {
            let before = members(&counts);
            let page = page(0, None, 0, &Gathered { members: before.clone(), last: true }, UNTIL);
            let first = targets(&page, before.clone(), UNTIL);
            let after: Vec<Member> = before.iter().zip(gone.iter().cycle()).filter(|(_, gone)| !**gone)
                .map(|(member, _)| member.clone()).collect();
            let second = targets(&page, after, UNTIL);
            prop_assert_eq!(first.len(), second.len());
            for (first, second) in first.iter().zip(&second) {
                for target in second {
                    prop_assert!(first.iter().any(|known| known.client() == target.client()));
                }
            }
        }
    }

    #[test]
    fn a_heavy_user_s_devices_close_a_chunk_early() {
        let all = members(&[(20, false); 30]);
        let page = page(0, None, 0, &Gathered { members: all, last: true }, UNTIL);
        assert_eq!((page.chunks(), page.devices), (3, 600));
    }
}
