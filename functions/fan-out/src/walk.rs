//! Audiences: a shard is walked page by page. A page's cuts are stored before any of its chunks is queued, and that all of them are is
//! noted after; whoever walks the shard again goes by what is stored. So a crash anywhere costs the page that was in hand once more, and
//! its chunks have the same names.

use std::time::Instant;

use pushbell::env::Queue;
use pushbell::id::AppId;
use pushbell::queue;
use pushbell::registry::{Audience, Place};
use pushbell::task::{Attempt, AudiencePage, Chunk, PutPage, Walk};
use pushbell::time::Timestamp;

use crate::gather::{self, Gathered, Gatherer};
use crate::{RecordError, State, cut, malformed};

/// One shard's record for each shard of the audiences.
pub(crate) async fn spread(state: &State, app: &AppId, walk: &Walk, again: bool) -> Result<(), RecordError> {
    let shards = walk.members.shards();
    let bodies = (0..shards)
        .map(|shard| queue::body(&part(walk, shard, walk.repeat || again)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(malformed)?;
    state.work.put_all(Queue::FanOut, app, bodies, Timestamp::now()).await.map_err(RecordError::Queue)?;
    tracing::info!(app = %app, task = walk.key.task.get(), shards, "spread");
    Ok(())
}

fn part(walk: &Walk, shard: u8, repeat: bool) -> Walk {
    Walk {
        key: walk.key.clone(),
        claimed_at: walk.claimed_at,
        repeat,
        members: walk.members.clone(),
        shard: Some(shard),
        message: walk.message.clone(),
    }
}

/// Walks a shard to its end, until the task is cancelled, or as far as the time allows: then the same record goes on in another invocation.
pub(crate) async fn shard(
    state: &State,
    app: &AppId,
    walk: &Walk,
    shard: u8,
    (again, soft_deadline): (bool, Instant),
) -> Result<(), RecordError> {
    let audiences = walk.members.audiences();
    let walker = Walker { state, app, walk, audiences: &audiences, shard, again };
    let mut after: Option<Place> = None;
    let mut first = AudiencePage::first_of(shard);
    for page in state.results.pages(&walk.key, shard).await.map_err(RecordError::Results)? {
        if !page.queued {
            walker.queue_again(&page).await?;
        }
        if page.last {
            return Ok(());
        }
        (after, first) = (page.end().cloned(), page.first + page.chunks());
    }
    loop {
        // Once more from the beginning where somebody else has cut.
        let read = async |audience: &Audience, behind: Option<&Place>, most: usize| {
            let most = u16::try_from(most).ok();
            state.registry.members(app, audience, shard, (behind, None), most).await
        };
        let mut gatherer = Gatherer::new(&audiences, after.as_ref(), read);
        loop {
            if state.results.is_cancelled(&walk.key).await.map_err(RecordError::Results)? {
                tracing::info!(app = %app, task = walk.key.task.get(), shard, "cancelled");
                return Ok(());
            }
            if Instant::now() >= soft_deadline {
                let body = queue::body(&part(walk, shard, walk.repeat)).map_err(malformed)?;
                let put = state.work.put_all(Queue::FanOut, app, vec![body], Timestamp::now()).await;
                return put.map_err(RecordError::Queue);
            }
            let gathered = gatherer.next().await.map_err(RecordError::Registry)?;
            let (page, own) = walker.cut(after, first, gathered).await?;
            if page.last {
                return Ok(());
            }
            (after, first) = (page.end().cloned(), page.first + page.chunks());
            if !own {
                break;
            }
        }
    }
}

struct Walker<'a> {
    state: &'a State,
    app: &'a AppId,
    walk: &'a Walk,
    audiences: &'a [Audience],
    shard: u8,
    /// The record was received before.
    again: bool,
}

impl Walker<'_> {
    /// Cuts and queues the page that begins behind `after`; and whether the cuts are this run's.
    async fn cut(
        &self,
        after: Option<Place>,
        first: u32,
        gathered: Gathered,
    ) -> Result<(AudiencePage, bool), RecordError> {
        let (key, until) = (&self.walk.key, self.walk.claimed_at);
        let page = cut::page(self.shard, after, first, &gathered, until);
        let put = self.state.results.put_page(key, &page, Timestamp::now()).await.map_err(RecordError::Results)?;
        match put {
            PutPage::Stored if page.queued => {}
            PutPage::Stored => {
                let chunks = cut::targets(&page, gathered.members, until);
                self.queue(&page, chunks, self.walk.repeat || self.again).await?;
            }
            // Another run of this record is, or was, at the same place.
            PutPage::Exists(stored) => {
                if !stored.queued {
                    self.queue_again(&stored).await?;
                }
                return Ok((stored, false));
            }
        }
        Ok((page, true))
    }

    /// Queues a stored page of which it is not known whether its chunks are.
    async fn queue_again(&self, page: &AudiencePage) -> Result<(), RecordError> {
        let Some(end) = page.ends.last() else { return Ok(()) };
        let read = async |audience: &Audience, behind: Option<&Place>| {
            self.state.registry.members(self.app, audience, self.shard, (behind, Some(end)), None).await
        };
        let members = gather::between(self.audiences, page.after.as_ref(), end, read).await;
        let members = members.map_err(RecordError::Registry)?;
        self.queue(page, cut::targets(page, members, self.walk.claimed_at), true).await
    }

    async fn queue(
        &self,
        page: &AudiencePage,
        chunks: Vec<Vec<pushbell::task::Target>>,
        repeat: bool,
    ) -> Result<(), RecordError> {
        let walk = self.walk;
        let bodies = chunks
            .into_iter()
            .zip(page.first..)
            .map(|(to, seq)| {
                queue::body(&Chunk {
                    key: walk.key.clone(),
                    seq,
                    attempt: Attempt::FIRST,
                    given_up: false,
                    claimed_at: walk.claimed_at,
                    repeat,
                    headed: true,
                    message: &*walk.message,
                    to,
                })
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(malformed)?;
        let put = self.state.work.put_all(Queue::Deliver, self.app, bodies, Timestamp::now()).await;
        put.map_err(RecordError::Queue)?;
        self.state.results.page_is_queued(&walk.key, page).await.map_err(RecordError::Results)?;
        tracing::info!(
            app = %self.app,
            task = walk.key.task.get(),
            shard = page.shard,
            first = page.first,
            chunks = page.chunks(),
            devices = page.devices,
            last = page.last,
            "page"
        );
        Ok(())
    }
}
