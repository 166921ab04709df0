//! Members of several audiences as one list: each device once, in the order of its place.
//!
//! All audiences of a walk are sharded and sorted alike, so this is a merge. Of each a few rows are read ahead; only those whose rows are used up
//! are read on, more at a time the more of them were: an audience of millions among hundreds of small ones costs what it would alone.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use pushbell::registry::{Audience, Member, Page, Place};

/// Devices of a page, and the others of its last client.
const PAGE: usize = 2_000;
/// The fewest rows that are asked for at once: more than a client has devices.
const FEWEST: usize = 32;
/// Queries in flight.
const QUERIES: usize = 16;

/// Members that stand together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Gathered {
    /// Each once, in order, all devices of each client.
    pub(crate) members: Vec<Member>,
    /// Nobody comes behind them.
    pub(crate) last: bool,
}

/// How far an audience was read.
enum Reach {
    /// Not yet begun with: behind this place.
    Behind(Option<Place>),
    /// Up to and with this place. Its client's devices may go on.
    Through(Place),
    /// To its end.
    End,
}

struct Source<'a> {
    audience: &'a Audience,
    reach: Reach,
    /// Rows of its next query.
    rows: usize,
}

impl Source<'_> {
    /// Before which place all of its members are known; `None`: everywhere.
    fn known(&self) -> Option<Known> {
        match &self.reach {
            Reach::Behind(_) => Some(None),
            Reach::Through(place) => Some(Some(place.before_client())),
            Reach::End => None,
        }
    }

    fn after(&self) -> Option<&Place> {
        match &self.reach {
            Reach::Behind(after) => after.as_ref(),
            Reach::Through(place) => Some(place),
            Reach::End => None,
        }
    }
}

/// `None` sorts before every place: nothing is known.
type Known = Option<Place>;

/// A shard's members, page by page.
pub(crate) struct Gatherer<'a, R> {
    /// Reads rows of an audience behind a place.
    read: R,
    sources: Vec<Source<'a>>,
    /// Read, and not handed out yet.
    pool: BTreeMap<Place, Member>,
    page: usize,
}

impl<'a, R, E> Gatherer<'a, R>
where
    R: AsyncFn(&Audience, Option<&Place>, usize) -> Result<Page, E>,
{
    /// Members of `audiences` behind `after`.
    pub(crate) fn new(audiences: &'a [Audience], after: Option<&Place>, read: R) -> Self {
        Self::with_pages(PAGE, audiences, after, read)
    }

    fn with_pages(page: usize, audiences: &'a [Audience], after: Option<&Place>, read: R) -> Self {
        // Together about two pages, whatever they hold.
        let rows = (2 * page / audiences.len().max(1)).clamp(FEWEST, page.max(FEWEST));
        let source = |audience| Source { audience, reach: Reach::Behind(after.cloned()), rows };
        Self { read, sources: audiences.iter().map(source).collect(), pool: BTreeMap::new(), page }
    }

    /// The next members: about a page of them, or all that are left.
    pub(crate) async fn next(&mut self) -> Result<Gathered, E> {
        loop {
            let known = self.sources.iter().filter_map(Source::known).min();
            let end = self.pool.keys().nth(self.page - 1).map(Place::before_client);
            let enough = match (&known, &end) {
                (None, _) => true,
                // The page's last client is known whole.
                (Some(Some(known)), Some(end)) => end < known,
                (Some(_), _) => false,
            };
            if enough {
                return Ok(self.take(end.as_ref()));
            }
            self.read_on(known.flatten(), end).await?;
        }
    }

    /// Takes everybody up to and with the client who stands behind `end`; everybody, where that is nobody.
    fn take(&mut self, end: Option<&Place>) -> Gathered {
        let mut members: Vec<Member> = Vec::new();
        while let Some(first) = self.pool.first_entry() {
            let client = first.key().before_client();
            if end.is_some_and(|end| client > *end) {
                return Gathered { members, last: false };
            }
            members.push(first.remove());
        }
        Gathered { members, last: self.sources.iter().all(|source| matches!(source.reach, Reach::End)) }
    }

    /// Reads on in the audiences that keep the page from being whole.
    async fn read_on(&mut self, known: Known, end: Option<Place>) -> Result<(), E> {
        let wanted = known.max(end);
        let late = |source: &Source<'_>| source.known().is_some_and(|known| known <= wanted);
        let reads = self.sources.iter().enumerate().filter(|(_, source)| late(source)).map(async |(index, source)| {
            let page = (self.read)(source.audience, source.after(), source.rows).await?;
            Ok::<_, E>((index, page))
        });
        let pages: Vec<(usize, Page)> = stream::iter(reads).buffer_unordered(QUERIES).try_collect().await?;
        for (index, page) in pages {
            if let Some(source) = self.sources.get_mut(index) {
                source.rows = (2 * source.rows).min(self.page.max(FEWEST));
                source.reach = page.next.map_or(Reach::End, Reach::Through);
            }
            merge(&mut self.pool, page.members);
        }
        Ok(())
    }
}

/// Who belongs to several audiences is a member since the first of them.
fn merge(pool: &mut BTreeMap<Place, Member>, members: Vec<Member>) {
    for member in members {
        let since = member.since;
        let there = pool.entry(member.place()).or_insert(member);
        there.since = there.since.min(since);
    }
}

/// All members behind `after`, up to and with `through`.
pub(crate) async fn between<E>(
    audiences: &[Audience],
    after: Option<&Place>,
    through: &Place,
    read: impl AsyncFn(&Audience, Option<&Place>) -> Result<Page, E>,
) -> Result<Vec<Member>, E> {
    let of_one = async |audience: &Audience| {
        let (mut members, mut at) = (Vec::new(), after.cloned());
        loop {
            let page = read(audience, at.as_ref()).await?;
            members.extend(page.members);
            match page.next {
                Some(next) if next < *through => at = Some(next),
                Some(_) | None => return Ok(members),
            }
        }
    };
    let all: Vec<Vec<Member>> =
        stream::iter(audiences.iter().map(of_one)).buffer_unordered(QUERIES).try_collect().await?;
    let mut by_place: BTreeMap<Place, Member> = BTreeMap::new();
    all.into_iter().for_each(|members| merge(&mut by_place, members));
    Ok(by_place.into_values().collect())
}

#[cfg(test)]
mod tests;
