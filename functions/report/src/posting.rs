//! One app's records: read, posted, and queued again where its address did not take them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use http::StatusCode;
use pushbell::app::ResultsKeys;
use pushbell::env::Queue;
use pushbell::id::AppId;
use pushbell::queue::{self, Refused};
use pushbell::shutdown;
use pushbell::task::{Excerpt, Report, Reportable, Unreported};
use pushbell::telemetry::metrics::{self, Metric, Of};
use pushbell::time::{QueueClock, Timestamp};
use pushbell::webhook::{self, Address, Letter};

use crate::content::{Content, Part, cut};
use crate::{RecordError, State, wait};

/// Result rows that are read at once for an app.
const READS: usize = 10;
/// Posts to an app's address at once.
const POSTS: usize = 4;
/// What was held back comes over so long.
const SPREAD: Duration = Duration::from_secs(30);
/// How long outcomes of an app without an address are kept: one that was taken out by mistake comes back.
const UNADDRESSED: Duration = Duration::from_secs(60 * 60);
/// After so long at most it is looked whether it has.
const LOOK: Duration = Duration::from_secs(5 * 60);

/// What the apps of one invocation share.
pub(crate) struct Invocation<'a> {
    pub(crate) state: &'a State,
    pub(crate) clock: QueueClock,
    /// No post is begun later.
    pub(crate) latest: Instant,
}

/// An app, and where its outcomes go.
struct Receiver<'a> {
    app: &'a AppId,
    address: &'a Address,
    keys: Option<Arc<ResultsKeys>>,
}

/// A post that is to be made: its content, and what it has behind it.
struct Post {
    content: Content<usize>,
    tries: u32,
    since: Option<Timestamp>,
    unaddressed: Option<Timestamp>,
}

/// What became of a post.
enum End {
    Took(StatusCode),
    /// 410: the receiver wants no more of it.
    Unwanted,
    Failed {
        why: Why,
        not_before: Option<Timestamp>,
    },
    /// The process is told to end. It says nothing about the receiver, who may have it.
    Stopped,
}

/// Why a post failed.
enum Why {
    Status(StatusCode),
    NoKey,
    Error(webhook::PostError),
}

impl Invocation<'_> {
    /// Posts an app's outcomes. The records that are to come again, with the reason.
    pub(crate) async fn serve(&self, app: AppId, reports: Vec<(usize, Report)>) -> Vec<(usize, RecordError)> {
        let documents = async {
            let settings = self.state.settings.get(&app).await?;
            let keys = if settings.results.address.is_some() { self.state.keys.get(&app).await? } else { None };
            Ok((settings, keys))
        };
        let (settings, keys) = match documents.await {
            Ok(documents) => documents,
            Err(error) => {
                let error = RecordError::App(Arc::new(error));
                return reports.into_iter().map(|(record, _)| (record, error.clone())).collect();
            }
        };
        let (posts, mut failed) = self.read(&app, reports).await;
        let receiver = settings.results.address.as_ref().map(|address| Receiver { app: &app, address, keys });
        let made = stream::iter(posts).map(async |post| match &receiver {
            Some(receiver) => self.make(receiver, post).await,
            None => self.keep(&app, post).await,
        });
        let made: Vec<_> = made.buffer_unordered(POSTS).collect().await;
        for (records, refused) in made.into_iter().filter_map(Result::err) {
            let error = RecordError::Again(Arc::new(refused));
            failed.extend(records.into_iter().map(|record| (record, error.clone())));
        }
        failed
    }

    /// The posts that the records make, and the records whose rows could not be read.
    async fn read(&self, app: &AppId, reports: Vec<(usize, Report)>) -> (Vec<Post>, Vec<(usize, RecordError)>) {
        let (mut fresh, mut posts, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (records, report) in once_each(reports) {
            match report {
                Report::Fresh(of) => fresh.push((records, of)),
                Report::Again(again) => match self.read_again(again.excerpts).await {
                    Ok(parts) => {
                        let content = Content { records, parts };
                        let Unreported { tries, since, unaddressed, .. } = again;
                        posts.push(Post { content, tries, since, unaddressed });
                    }
                    Err(error) => failed.extend(records.into_iter().map(|record| (record, error.clone()))),
                },
            }
        }
        let read = join_all(fresh.into_iter().map(|(records, of)| async move { (records, self.part(of, None).await) }));
        let mut parts = Vec::new();
        for (records, part) in read.await {
            match part {
                Ok(part) => parts.extend(part.map(|part| (records, part))),
                Err(error) => failed.extend(records.into_iter().map(|record| (record, error.clone()))),
            }
        }
        posts.extend(cut(parts).into_iter().map(|content| Post { content, tries: 0, since: None, unaddressed: None }));
        posts.retain(|post| post.content.len() > 0);
        tracing::debug!(app = %app, posts = posts.len(), "outcomes read");
        (posts, failed)
    }

    async fn read_again(&self, excerpts: Vec<Excerpt>) -> Result<Vec<Part>, RecordError> {
        let parts = excerpts.into_iter().map(|excerpt| self.part(excerpt.of, Some(excerpt.numbers)));
        let parts: Vec<_> = stream::iter(parts).buffered(READS).collect().await;
        parts.into_iter().filter_map(Result::transpose).collect()
    }

    /// The outcomes that a result row holds. Rows are kept for seven days; what is gone by then cannot be told any more.
    async fn part(&self, of: Reportable, numbers: Option<std::ops::Range<usize>>) -> Result<Option<Part>, RecordError> {
        let row = self.state.results.get(&of.key, of.seq, of.attempt).await;
        match row.map_err(|error| RecordError::Results(Arc::new(error)))? {
            Some(row) => Ok(Some(Part::of(of, &row, numbers))),
            None => {
                let (app, task) = (&of.app, of.key.task.get());
                tracing::error!(app = %app, task, seq = of.seq, metric = "report_row_gone", "a result row is gone");
                Ok(None)
            }
        }
    }

    /// Makes a post, or sees to it that it is made later. When neither queue nor table takes it: the records it came by.
    async fn make(&self, to: &Receiver<'_>, post: Post) -> Result<(), (Vec<usize>, Refused)> {
        let now = self.clock.now();
        let outcomes = post.content.len() as u64;
        if Instant::now() >= self.latest || shutdown::begun() {
            return self.again(to, post, now, now).await;
        }
        if let Some(until) = self.state.pauses.waits(to.app, now, self.state.limit) {
            metrics::count(Metric::ReportHeldBack, Of::App(to.app), outcomes);
            let not_before = until.plus(SPREAD.mul_f64(fastrand::f64()));
            return self.later(to, post, Some(not_before), now).await;
        }
        let started = Instant::now();
        let end = self.send(to, &post).await;
        let (now, ms) = (self.clock.now(), u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        match end {
            End::Took(status) => {
                self.state.pauses.took(to.app);
                metrics::count(Metric::Reported, Of::App(to.app), outcomes);
                tracing::info!(app = %to.app, outcomes, tries = post.tries, status = status.as_u16(), ms, "outcomes posted");
                Ok(())
            }
            End::Stopped => self.again(to, post, now, now).await,
            End::Unwanted => {
                self.state.pauses.took(to.app);
                self.give_up(to, post, "unwanted", now).await
            }
            End::Failed { why, not_before } => {
                self.state.pauses.failed(to.app, now, not_before);
                log(to.app, &why, outcomes, post.tries, ms);
                self.later(to, post, not_before, now).await
            }
        }
    }

    async fn send(&self, to: &Receiver<'_>, post: &Post) -> End {
        let (id, body) = (post.content.id(), post.content.body(to.app));
        // Receivers compare it with their own clocks: not the time of the queue, in which a record may have waited.
        let at = Timestamp::now();
        let keys = to.keys.as_deref().map(|document| document.keys.as_slice()).unwrap_or_default();
        let Some(signatures) = webhook::signatures(keys, &id, at, &body) else {
            return End::Failed { why: Why::NoKey, not_before: None };
        };
        let letter = Letter { id, seconds: at.as_secs(), signatures, body: Bytes::clone(&body) };
        let posted = tokio::select! {
            biased;
            posted = webhook::post(to.address, &letter, self.state.limit) => posted,
            () = shutdown::calls_end() => return End::Stopped,
        };
        match posted {
            Ok(answer) if answer.status.is_success() => End::Took(answer.status),
            Ok(answer) if answer.status == StatusCode::GONE => End::Unwanted,
            Ok(answer) => {
                let heeded = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&answer.status);
                let not_before = answer.retry_after.filter(|_| heeded).map(|after| self.clock.now().plus(after));
                End::Failed { why: Why::Status(answer.status), not_before }
            }
            Err(error) => End::Failed { why: Why::Error(error), not_before: None },
        }
    }

    /// Queues a post of an app that has no address, which is no try, or drops it when the app has had none for an hour.
    async fn keep(&self, app: &AppId, post: Post) -> Result<(), (Vec<usize>, Refused)> {
        let now = self.clock.now();
        let first = post.unaddressed.unwrap_or(now);
        if now >= first.plus(UNADDRESSED) {
            let outcomes = post.content.len();
            tracing::info!(app = %app, outcomes, "outcomes are dropped, as the app has no address for them any more");
            return Ok(());
        }
        let post = Post { since: Some(post.since.unwrap_or(now)), unaddressed: Some(first), ..post };
        let due = now.plus(LOOK.mul_f64(1.0 - fastrand::f64() / 2.0));
        self.put(Queue::Report, app, post, due, now).await
    }

    /// Queues a post for its next try, or gives it up. That it was held back counts like a try: the waits of a backlog grow, too.
    async fn later(
        &self,
        to: &Receiver<'_>,
        post: Post,
        not_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), (Vec<usize>, Refused)> {
        let post = Post { tries: post.tries.saturating_add(1), ..post };
        match wait::due(post.tries, not_before, post.since.unwrap_or(now), now, fastrand::f64()) {
            Some(due) => self.again(to, post, due, now).await,
            None => self.give_up(to, post, "too_late", now).await,
        }
    }

    /// Queues a post once more.
    async fn again(
        &self,
        to: &Receiver<'_>,
        post: Post,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<(), (Vec<usize>, Refused)> {
        let since = Some(post.since.unwrap_or(now));
        self.put(Queue::Report, to.app, Post { since, unaddressed: None, ..post }, due, now).await
    }

    /// Puts a post into the dead-letter queue, from where it begins anew.
    async fn give_up(
        &self,
        to: &Receiver<'_>,
        post: Post,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), (Vec<usize>, Refused)> {
        let count = post.content.len();
        tracing::error!(app = %to.app, count, tries = post.tries, reason, metric = "report_given_up", "outcomes are given up");
        let post = Post { tries: 0, since: None, unaddressed: None, ..post };
        self.put(Queue::ReportDeadLetters, to.app, post, now, now).await
    }

    async fn put(
        &self,
        queue: Queue,
        app: &AppId,
        post: Post,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<(), (Vec<usize>, Refused)> {
        let excerpts = post.content.parts.into_iter().map(|part| part.excerpt).collect();
        let Post { tries, since, unaddressed, .. } = post;
        let record = Unreported { app: app.clone(), excerpts, tries, since, unaddressed };
        // Texts and numbers are always JSON.
        let body = queue::body(&record).unwrap_or_default();
        let put = self.state.work.put(queue, app, body, due.since(now), now).await;
        put.map_err(|refused| (post.content.records, refused))
    }
}

/// The records' reports, without repeats: copies of one record, which end alike.
fn once_each(reports: Vec<(usize, Report)>) -> Vec<(Vec<usize>, Report)> {
    let mut once: Vec<(Vec<usize>, Report)> = Vec::with_capacity(reports.len());
    for (record, report) in reports {
        match once.iter_mut().find(|(_, known)| known.tells_the_same(&report)) {
            Some((records, _)) => records.push(record),
            None => once.push((vec![record], report)),
        }
    }
    once
}

/// One line for each post that failed. The address is the app's to know, and not in it.
fn log(app: &AppId, why: &Why, outcomes: u64, tries: u32, ms: u64) {
    let metric = "report_failed";
    match why {
        Why::Status(status) => {
            let status = status.as_u16();
            tracing::warn!(app = %app, outcomes, tries, status, ms, metric, reason = "status", "outcomes were not taken");
        }
        Why::NoKey => {
            tracing::error!(app = %app, outcomes, tries, metric, reason = "no_key", "outcomes cannot be signed");
        }
        Why::Error(error @ webhook::PostError::Private) => {
            let (metric, reason) = ("report_refused_address", error.as_str());
            tracing::error!(app = %app, outcomes, tries, metric, reason, "outcomes were not posted");
        }
        Why::Error(error) => {
            let (reason, cause) = (error.as_str(), pushbell::telemetry::cause(error));
            tracing::warn!(app = %app, outcomes, tries, ms, metric, reason, cause, "outcomes were not taken");
        }
    }
}
