//! The merge, over audiences in memory whose queries are counted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use futures_util::FutureExt as _;
use proptest::prelude::*;
use pushbell::delivery::Channel;
use pushbell::id::{ClientId, DeviceKey, Tag};
use pushbell::time::Timestamp;

use super::*;

fn member(client: usize, device: usize, since: u64) -> Member {
    Member {
        client: ClientId::parse(format!("u{client:05}")).unwrap(),
        device: DeviceKey::of("k", &device.to_string()),
        channel: Channel::Fcm,
        since: Timestamp::from_millis(since),
    }
}

fn tag(n: usize) -> Audience {
    Audience::Tag(Tag::parse(format!("t{n}")).unwrap())
}

/// Audiences as the table has them.
struct Table {
    rows: BTreeMap<Audience, BTreeMap<Place, Member>>,
    queries: Cell<usize>,
    read: Cell<usize>,
}

impl Table {
    /// Each client's devices, in these audiences. A device is a member since the number of its audience.
    fn of(clients: &[(usize, Vec<usize>)]) -> Self {
        let mut rows: BTreeMap<Audience, BTreeMap<Place, Member>> = BTreeMap::new();
        for (client, (devices, audiences)) in clients.iter().enumerate() {
            for audience in audiences {
                for device in 0..*devices {
                    let member = member(client, device, *audience as u64);
                    rows.entry(tag(*audience)).or_default().insert(member.place(), member);
                }
            }
        }
        Self { rows, queries: Cell::new(0), read: Cell::new(0) }
    }

    async fn behind(&self, audience: &Audience, after: Option<&Place>, most: usize) -> Result<Page, Infallible> {
        self.queries.set(self.queries.get() + 1);
        let mut members: Vec<Member> = Vec::new();
        for (place, member) in self.rows.get(audience).into_iter().flatten() {
            if after.is_some_and(|after| place <= after) {
                continue;
            }
            if members.len() == most {
                break;
            }
            members.push(member.clone());
        }
        self.read.set(self.read.get() + members.len());
        // As DynamoDB: where the limit was met, there may be more.
        let next = (members.len() == most).then(|| members[most - 1].place());
        Ok(Page { members, next })
    }

    /// All pages of so many audiences.
    fn pages(&self, audiences: usize, page: usize) -> Vec<Gathered> {
        let audiences: Vec<Audience> = (0..audiences).map(tag).collect();
        let read = async |audience: &Audience, after: Option<&Place>, most| self.behind(audience, after, most).await;
        let mut gatherer = Gatherer::with_pages(page, &audiences, None, read);
        let mut pages = Vec::new();
        loop {
            let gathered = gatherer.next().now_or_never().unwrap().unwrap();
            let last = gathered.last;
            pages.push(gathered);
            if last {
                return pages;
            }
        }
    }

    fn everybody(&self) -> Vec<Place> {
        let places: BTreeSet<Place> = self.rows.values().flat_map(|rows| rows.keys().cloned()).collect();
        places.into_iter().collect()
    }
}

proptest! {
    #[test]
    fn every_device_is_on_one_page_since_its_first_audience_and_clients_are_whole(
        clients in proptest::collection::vec((1_usize..=20, proptest::collection::vec(0_usize..6, 0..4)), 0..120),
        page in 1_usize..70,
    ) {
        let table = Table::of(&clients);
        let pages = table.pages(6, page);
        let members: Vec<&Member> = pages.iter().flat_map(|page| &page.members).collect();
        prop_assert_eq!(members.iter().map(|member| member.place()).collect::<Vec<_>>(), table.everybody());
        for member in &members {
            let client: usize = member.client.as_str()[1..].parse().unwrap();
            let first = clients[client].1.iter().min().unwrap();
            prop_assert_eq!(member.since, Timestamp::from_millis(*first as u64));
        }
        for pair in pages.windows(2) {
            prop_assert!(pair[0].members.len() >= page && pair[0].members.len() < page + 20);
            let (end, begin) = (pair[0].members.last().unwrap(), pair[1].members.first());
            prop_assert!(begin.is_none_or(|begin| begin.client > end.client));
        }
    }
}

#[test]
fn a_large_audience_among_many_small_ones_costs_what_it_would_alone() {
    // One of 5,000 devices, 499 of a few each.
    let clients: Vec<(usize, Vec<usize>)> =
        (0..5_000).map(|n| (1, if n % 2 == 0 { vec![0, 1 + n % 499] } else { vec![0] })).collect();
    let table = Table::of(&clients);
    let pages = table.pages(500, PAGE);
    assert_eq!(pages.iter().map(|page| page.members.len()).collect::<Vec<_>>(), [2_000, 2_000, 1_000]);
    assert!(table.queries.get() < 520, "{} queries", table.queries.get());
    assert!(table.read.get() < 7_600, "{} rows", table.read.get());
}

#[test]
fn audiences_that_follow_each_other_are_each_read_once() {
    // 100 of 250 clients each, none of whom is in two.
    let clients: Vec<(usize, Vec<usize>)> = (0..25_000).map(|n| (1, vec![n / 250])).collect();
    let table = Table::of(&clients);
    let pages = table.pages(100, PAGE);
    assert_eq!(pages.len(), 13);
    assert!(table.read.get() <= 25_000, "{} rows", table.read.get());
    assert!(table.queries.get() < 100 * 6, "{} queries", table.queries.get());
}

#[tokio::test]
async fn an_interval_is_read_to_its_end() {
    let table = Table::of(&vec![(3, vec![0, 1]); 40]);
    let audiences = [tag(0), tag(1)];
    let places = table.everybody();
    let (after, through) = (&places[10], &places[100]);
    let read = async |audience: &Audience, at: Option<&Place>| {
        let mut page = table.behind(audience, at, 7).await?;
        page.members.retain(|member| member.place() <= *through);
        Ok::<_, Infallible>(page)
    };
    let members = between(&audiences, Some(after), through, read).await.unwrap();
    assert_eq!(members.iter().map(Member::place).collect::<Vec<_>>(), places[11..=100]);
}
