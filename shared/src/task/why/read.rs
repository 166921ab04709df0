//! The reads: a message's claims in every dialect, what bears its number, and of each task the rows that name the client.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::{try_join, try_join_all};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::super::intake::{claim_nonce, claim_partition, claim_set};
use super::super::results::{KEPT, from_item, number_of, pk, text_of};
use super::super::{Extent, FAN_OUT_LIMIT, Head, MOST_RECIPIENTS, Members, ResultRow, Results, ResultsError, TaskKey};
use super::{Counted, Kind, Progress, Rows, TaskWhy, Why};
use crate::aws::text;
use crate::id::{AppId, ClientId, MessageId, TaskId};
use crate::message::{DEFAULT_TIME_TO_LIVE, Dialect};
use crate::time::Timestamp;

/// Tasks that are read at once.
const READS: usize = 16;
/// Behind every kind of row of a nonce.
const LAST: &str = "~";

type Item = HashMap<String, AttributeValue>;
/// Whether the message of an id has left its mark at the client.
pub(in crate::task) type Marked<'a> = &'a (dyn Fn(&MessageId) -> bool + Sync);

/// What is asked about.
struct Asked<'a> {
    results: &'a Results,
    app: &'a AppId,
    client: &'a ClientId,
    marked: Marked<'a>,
    now: Timestamp,
}

/// A task that was found, before its rows are read.
struct Found {
    key: TaskKey,
    message: Option<MessageId>,
    kind: Kind,
    dialect: Option<Dialect>,
    accepted_at: Timestamp,
    of: Option<u64>,
    /// Whether it is known to be for the client.
    certain: bool,
    head: Option<Head>,
}

/// Where the rows that may name the client are.
enum Place {
    /// In this chunk.
    Chunk(u32),
    /// In any of the task's.
    Anywhere,
    /// Nobody knows yet.
    NotYet,
    /// Nowhere.
    Nowhere,
}

impl Results {
    /// What is known of `message` and `client` in `app`. The message by its id, by a task's number, or by a notice's name (its number and
    /// nonce). `None` when there is no such message of the last seven days. As the rows were within the last second.
    ///
    /// # Errors
    /// When the table does not answer, or a row is not of its shape.
    pub async fn why(
        &self,
        app: &AppId,
        client: &ClientId,
        message: &MessageId,
        marked: Marked<'_>,
        now: Timestamp,
    ) -> Result<Option<Why>, ResultsError> {
        let asked = Asked { results: self, app, client, marked, now };
        let dialects = try_join_all(Dialect::ALL.map(|dialect| asked.claims(dialect, message)));
        let (claims, numbered) = try_join(dialects, asked.numbered(message)).await?;
        let claims: Vec<(Found, bool)> = claims.into_iter().flatten().collect();
        if claims.is_empty() && numbered.is_empty() {
            return Ok(None);
        }
        let recalls = claims.iter().filter(|(claim, _)| claim.kind == Kind::Recall);
        let withdrawn_at = recalls.map(|(recall, _)| recall.accepted_at).min();
        let of_others = claims.iter().filter(|(_, other)| *other).count();
        let mut tasks: Vec<Found> = claims.into_iter().filter_map(|(claim, other)| (!other).then_some(claim)).collect();
        let known: BTreeSet<String> = tasks.iter().map(|task| task.key.nonce.clone()).collect();
        tasks.extend(numbered.into_iter().filter(|task| !known.contains(&task.key.nonce)));
        tasks.sort_unstable_by_key(|task| (task.accepted_at, task.key.task));
        let left_out = tasks.len().saturating_sub(Why::MOST_TASKS);
        tasks.truncate(Why::MOST_TASKS);
        let tasks = stream::iter(tasks).map(|task| asked.task(task)).buffered(READS).try_collect().await?;
        Ok(Some(Why { tasks, left_out, of_others, withdrawn_at }))
    }
}

impl Asked<'_> {
    /// The message's claims in one dialect, each with whether it is for one client who is another: what is posted once for each recipient
    /// has a claim for each of them.
    async fn claims(&self, dialect: Dialect, message: &MessageId) -> Result<Vec<(Found, bool)>, ResultsError> {
        let partition = claim_partition(self.app, dialect, message);
        let alone = [false, true].map(|withdraws| claim_set(std::slice::from_ref(self.client), withdraws));
        let query = self.query().key_condition_expression("pk = :pk");
        let items = all(query.expression_attribute_values(":pk", text(partition.as_str()))).await?;
        let found = items.iter().filter_map(|item| {
            let sk = text_of(item, "sk")?;
            if number_of(item, "ttl").is_some_and(|ttl| ttl < self.now.as_secs()) {
                return None;
            }
            let of = number_of(item, "of");
            let certain = alone.iter().any(|set| set == sk);
            let found = Found {
                key: TaskKey {
                    task: TaskId::from_number(number_of(item, "task")?)?,
                    nonce: claim_nonce(&partition, sk),
                },
                message: Some(message.clone()),
                kind: if item.contains_key("withdraws") { Kind::Recall } else { Kind::Callback },
                dialect: Some(dialect),
                accepted_at: Timestamp::from_millis(number_of(item, "at")?),
                of,
                certain,
                head: None,
            };
            Some((found, of == Some(1) && !certain))
        });
        Ok(found.collect())
    }

    /// The app's tasks that bear the number that the message is named by.
    async fn numbered(&self, message: &MessageId) -> Result<Vec<Found>, ResultsError> {
        let (number, nonce) = match message.as_str().split_once('-') {
            Some((number, nonce)) => (number, Some(nonce)),
            None => (message.as_str(), None),
        };
        let Some(task) = number.parse().ok().and_then(TaskId::from_number) else { return Ok(Vec::new()) };
        let heads = self.results.heads(task).await?;
        let own = heads.into_iter().filter(|head| head.app == *self.app && head.is_kept(self.now));
        let named = own.filter(|head| nonce.is_none_or(|nonce| head.key.nonce == nonce));
        let mut found: Vec<Found> = named.map(Found::of_head).collect();
        if found.is_empty() && task.made_at().plus(KEPT) > self.now {
            let nonces = self.results.nonces(self.app, task).await?;
            let named = nonces.into_iter().filter(|own| nonce.is_none_or(|nonce| own == nonce));
            found.extend(named.map(|nonce| Found::of_hook(TaskKey { task, nonce })));
        }
        Ok(found)
    }

    async fn task(&self, found: Found) -> Result<TaskWhy, ResultsError> {
        let place = self.place(&found).await?;
        let marked = found.message.as_ref().is_some_and(self.marked);
        let read = async |consistent| {
            let rows = match place {
                Place::Chunk(seq) => self.rows(&found.key, Some(seq), consistent).await?,
                Place::Anywhere => self.rows(&found.key, None, consistent).await?,
                Place::NotYet | Place::Nowhere => Vec::new(),
            };
            Ok::<_, ResultsError>(Rows::of(rows, self.client, found.kind, marked))
        };
        let mut told = read(false).await?;
        let is_tried = told.is_none()
            && !found.certain
            && match place {
                Place::Chunk(seq) => self.is_tried(&found.key, seq).await?,
                Place::Anywhere => self.is_whole(&found).await?,
                Place::NotYet | Place::Nowhere => false,
            };
        if is_tried {
            // The client's row may have come between the two reads.
            told = read(true).await?;
        }
        let cancelled_at = found.head.as_ref().and_then(|head| head.cancelled_at);
        let is_past = |end: Option<Timestamp>| end.is_some_and(|end| end <= self.now);
        let waiting = if is_past(found.end()) { Progress::Ended } else { Progress::Waiting };
        let progress = match (&mut told, place) {
            (Some(rows), _) => match rows.pending {
                Some(pending) if is_past(pending.until.or(found.end())) => {
                    rows.end();
                    Progress::Ended
                }
                Some(_) => Progress::Pending,
                None => Progress::Done,
            },
            (None, Place::Nowhere) => Progress::NotIn,
            (None, Place::Chunk(_) | Place::Anywhere) if is_tried => Progress::NotIn,
            (None, Place::Chunk(_) | Place::Anywhere | Place::NotYet) => waiting,
        };
        let not_yet = match progress {
            Progress::NotIn => Counted::NotIn,
            Progress::Waiting | Progress::Pending | Progress::Done | Progress::Ended => match found.kind {
                Kind::Recall => Counted::DoesNotCount,
                Kind::Callback | Kind::Notice if marked => Counted::Yes,
                Kind::Callback | Kind::Notice => Counted::NotYet,
            },
        };
        let due = found.head.as_ref().map(|head| head.due).filter(|due| *due > found.accepted_at);
        let rows = told.unwrap_or(Rows {
            counted: not_yet,
            outcome: None,
            tries: Vec::new(),
            devices: Vec::new(),
            pending: None,
        });
        Ok(TaskWhy {
            task: found.key.task,
            kind: found.kind,
            dialect: found.dialect,
            accepted_at: found.accepted_at,
            due,
            recipients: found.of,
            cancelled_at,
            progress,
            counted: rows.counted,
            outcome: rows.outcome,
            tries: rows.tries,
            devices: rows.devices,
            pending: rows.pending,
        })
    }

    async fn place(&self, found: &Found) -> Result<Place, ResultsError> {
        let Some(head) = &found.head else {
            let one = found.of.is_some_and(|of| of <= u64::try_from(MOST_RECIPIENTS).unwrap_or(u64::MAX));
            return Ok(if one { Place::Chunk(0) } else { Place::Anywhere });
        };
        match &head.extent {
            Extent::Chunks(_) => {
                let chunk = self.results.chunk_of(head, self.client).await?;
                Ok(chunk.map_or(Place::Nowhere, Place::Chunk))
            }
            Extent::Shards(shards) => {
                // Read once: a page that came between two reads would have the client, and be taken for one that has not.
                let shard = Members::shard_of(self.client, *shards);
                let Some(page) = self.results.page_of(&head.key, shard, self.client).await? else {
                    return Ok(Place::NotYet);
                };
                let otherwise = if page.last { Place::Nowhere } else { Place::NotYet };
                Ok(page.chunk_of(self.client).map_or(otherwise, Place::Chunk))
            }
        }
    }

    /// The rows that name the client. Others are read, and not sent: half a unit for 4 KB of them, a whole one if `consistent`.
    async fn rows(&self, key: &TaskKey, seq: Option<u32>, consistent: bool) -> Result<Vec<ResultRow>, ResultsError> {
        // Filtered by what stands behind a client's id in a row; ids that end alike are told apart when it is read.
        let query = self
            .chunks(key, seq)
            .consistent_read(consistent)
            .filter_expression("contains(o, :named)")
            .expression_attribute_values(":named", text(format!("{}\t", self.client)));
        all(query).await?.into_iter().map(|item| from_item(key.clone(), item)).collect()
    }

    /// Whether a chunk was tried.
    async fn is_tried(&self, key: &TaskKey, seq: u32) -> Result<bool, ResultsError> {
        let items = all(self.chunks(key, Some(seq)).projection_expression("sk")).await?;
        Ok(!items.is_empty())
    }

    /// Whether every chunk of a hook's task was tried. Where no claim tells how many it makes, fan-out's rows do; a task that it did not cut
    /// is one chunk. It writes them behind the chunks, in the same run: so they are waited for.
    async fn is_whole(&self, found: &Found) -> Result<bool, ResultsError> {
        let key = &found.key;
        let query = self
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :nonce)")
            .expression_attribute_values(":pk", text(pk(key.task)))
            .expression_attribute_values(":nonce", text(format!("{}#", key.nonce)))
            .expression_attribute_names("#at", "at")
            .projection_expression("sk, #at, chunks");
        let (mut tried, mut cut) = (BTreeMap::new(), BTreeMap::new());
        for item in all(query).await? {
            let mut parts = text_of(&item, "sk").ok_or(ResultsError::Malformed)?.split('#').skip(1);
            let (kind, number) = (parts.next(), parts.next().and_then(|number| number.parse::<u64>().ok()));
            let at = number_of(&item, "at").map(Timestamp::from_millis);
            match (kind, number.zip(at)) {
                (Some("c"), Some((seq, at))) => {
                    let first = tried.entry(seq).or_insert(at);
                    *first = at.min(*first);
                }
                (Some("f"), Some((first, at))) => {
                    cut.insert(first, (number_of(&item, "chunks").ok_or(ResultsError::Malformed)?, at));
                }
                _ => {}
            }
        }
        let there = u64::try_from(tried.len()).unwrap_or(u64::MAX);
        if let Some(of) = found.of {
            return Ok(there >= of.div_ceil(u64::try_from(MOST_RECIPIENTS).unwrap_or(u64::MAX)));
        }
        let latest = cut.values().map(|(_, at)| *at).max().or_else(|| tried.values().copied().min());
        let is_settled = latest.is_some_and(|latest| latest.plus(FAN_OUT_LIMIT) <= self.now);
        // Parts follow each other without a gap once all are cut.
        let chunks = cut.iter().try_fold(0, |next, (first, (n, _))| (*first == next).then_some(next + n));
        Ok(is_settled && chunks.is_some_and(|chunks| there >= chunks.max(1)))
    }

    /// A query of the result rows of a chunk, or of all.
    fn chunks(&self, key: &TaskKey, seq: Option<u32>) -> QueryFluentBuilder {
        let prefix = match seq {
            Some(seq) => format!("{}#c#{seq:010}#", key.nonce),
            None => format!("{}#c#", key.nonce),
        };
        self.query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :chunk)")
            .expression_attribute_values(":pk", text(pk(key.task)))
            .expression_attribute_values(":chunk", text(prefix))
    }

    fn query(&self) -> QueryFluentBuilder {
        self.results.client.query().table_name(&self.results.table)
    }
}

impl Found {
    /// From when on nothing of it is tried. A hook's message lives for a day at most; a notice may name its own end, which its rows know.
    fn end(&self) -> Option<Timestamp> {
        self.head.is_none().then(|| self.accepted_at.plus(DEFAULT_TIME_TO_LIVE))
    }

    fn of_head(head: Head) -> Self {
        Self {
            key: head.key.clone(),
            message: Some(super::super::notice::message_id(&head.key)),
            kind: Kind::Notice,
            dialect: None,
            accepted_at: head.created_at,
            of: None,
            certain: false,
            head: Some(head),
        }
    }

    /// A hook's task that is named by its number: which message it was is not known from there.
    fn of_hook(key: TaskKey) -> Self {
        let accepted_at = key.task.made_at();
        Self {
            key,
            message: None,
            kind: Kind::Callback,
            dialect: None,
            accepted_at,
            of: None,
            certain: false,
            head: None,
        }
    }
}

impl Results {
    /// The nonces of `app`'s rows under a number: one read for each nonce there is, however many rows it has.
    pub(in crate::task) async fn nonces(&self, app: &AppId, task: TaskId) -> Result<Vec<String>, ResultsError> {
        let (mut nonces, mut after) = (Vec::new(), "!".to_owned());
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk > :after")
                .expression_attribute_values(":pk", text(pk(task)))
                .expression_attribute_values(":after", text(after.as_str()))
                .limit(1)
                .send()
                .await
                .map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
            let Some(row) = answer.items().first() else { return Ok(nonces) };
            let (nonce, _) = text_of(row, "sk").and_then(|sk| sk.split_once('#')).ok_or(ResultsError::Malformed)?;
            // Heads have a letter in a nonce's place.
            if nonce.len() > 1 && text_of(row, "app") == Some(app.as_str()) {
                nonces.push(nonce.to_owned());
            }
            after = format!("{nonce}#{LAST}");
        }
    }
}

/// All pages of a query.
async fn all(query: QueryFluentBuilder) -> Result<Vec<Item>, ResultsError> {
    let items = query.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    items.map_err(|error| ResultsError::Unavailable(Box::new(error.into())))
}
