//! What is posted: the outcomes as receivers read them, and the posts that they are cut into.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use pushbell::delivery::Channel;
use pushbell::id::{AppId, digest};
use pushbell::message::Dialect;
use pushbell::task::{Deed, Excerpt, Fate, Reportable, ResultRow, TargetResult};
use pushbell::time::Timestamp;
use serde::Serialize;

/// The most outcomes of a post.
pub(crate) const MOST: usize = 100;

/// An outcome as receivers read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Told {
    /// The same whenever it is told.
    id: String,
    task: u64,
    message: String,
    dialect: Dialect,
    kind: Deed,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'static str>,
    outcome: &'static str,
    attempt: u64,
    at: String,
}

/// Some outcomes of a row, and which they are.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) excerpt: Excerpt,
    pub(crate) told: Vec<Told>,
}

impl Part {
    /// The final outcomes of `row`, the result row of `of`: all of them, or those with `numbers`.
    pub(crate) fn of(of: Reportable, row: &ResultRow, numbers: Option<Range<usize>>) -> Self {
        let fates = row.results.iter().flat_map(|result| result.fates.iter().map(move |fate| (result, fate)));
        let last = fates.filter(|(_, fate)| fate.outcome.is_final());
        let numbers = numbers.unwrap_or(0..usize::MAX);
        let some = last.skip(numbers.start).take(numbers.len());
        let told: Vec<Told> = some.map(|(result, fate)| tell(&of, result, fate)).collect();
        let numbers = numbers.start..numbers.start + told.len();
        Self { excerpt: Excerpt { of, numbers }, told }
    }

    /// Takes the first `n` outcomes out, as a part of their own.
    fn split(&mut self, n: usize) -> Self {
        let numbers = &mut self.excerpt.numbers;
        let rest = self.told.split_off(n.min(self.told.len()));
        let told = std::mem::replace(&mut self.told, rest);
        let first = numbers.start..numbers.start + told.len();
        numbers.start = first.end;
        Self { excerpt: Excerpt { of: self.excerpt.of.clone(), numbers: first }, told }
    }
}

fn tell(of: &Reportable, result: &TargetResult, fate: &Fate) -> Told {
    let device = fate.device.as_ref().map(|device| device.as_str().to_owned());
    let id = digest::<16>(&[
        of.key.task.to_string().as_bytes(),
        of.key.nonce.as_bytes(),
        of.seq.to_string().as_bytes(),
        of.attempt.get().to_string().as_bytes(),
        result.client.as_str().as_bytes(),
        device.as_deref().unwrap_or_default().as_bytes(),
    ]);
    Told {
        id: format!("out_{}", URL_SAFE_NO_PAD.encode(id)),
        task: of.key.task.get(),
        message: of.message.as_str().to_owned(),
        dialect: of.dialect,
        kind: of.kind,
        operation: of.operation.clone(),
        client: result.client.as_str().to_owned(),
        device,
        channel: fate.channel.map(Channel::as_str),
        outcome: fate.outcome.as_str(),
        attempt: of.attempt.get(),
        at: of.at.to_rfc3339(),
    }
}

/// One post's content. `R` says which records it came by.
#[derive(Debug, Clone)]
pub(crate) struct Content<R> {
    pub(crate) records: Vec<R>,
    pub(crate) parts: Vec<Part>,
}

impl<R> Content<R> {
    /// How many outcomes there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.told.len()).sum()
    }

    /// `webhook-id`: the same whenever these outcomes are posted together.
    pub(crate) fn id(&self) -> String {
        let ids: Vec<&[u8]> = self.told().map(|told| told.id.as_bytes()).collect();
        format!("msg_{}", URL_SAFE_NO_PAD.encode(digest::<16>(&ids)))
    }

    /// The body; the same, too.
    pub(crate) fn body(&self, app: &AppId) -> Bytes {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: &'static str,
            timestamp: String,
            data: Data<'a>,
        }
        #[derive(Serialize)]
        struct Data<'a> {
            app: &'a AppId,
            results: Vec<&'a Told>,
        }
        let latest = self.parts.iter().map(|part| part.excerpt.of.at).max().unwrap_or(Timestamp::from_millis(0));
        let data = Data { app, results: self.told().collect() };
        let body = Body { r#type: "push.results", timestamp: latest.to_rfc3339(), data };
        // Texts and numbers are always JSON.
        serde_json::to_vec(&body).unwrap_or_default().into()
    }

    fn told(&self) -> impl Iterator<Item = &Told> {
        self.parts.iter().flat_map(|part| &part.told)
    }
}

/// Cuts the parts of several records, each with all that it came by, into posts of up to [`MOST`] outcomes, in their order.
pub(crate) fn cut<R: Copy>(parts: impl IntoIterator<Item = (Vec<R>, Part)>) -> Vec<Content<R>> {
    let mut posts: Vec<Content<R>> = Vec::new();
    let mut room = 0;
    for (records, mut part) in parts {
        while !part.told.is_empty() {
            if room == 0 {
                posts.push(Content { records: Vec::new(), parts: Vec::new() });
                room = MOST;
            }
            let Some(post) = posts.last_mut() else { break };
            let some = part.split(room);
            room -= some.told.len();
            post.records.extend_from_slice(&records);
            post.parts.push(some);
        }
    }
    posts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use pushbell::id::{ClientId, DeviceKey, MessageId, TaskId};
    use pushbell::task::{Attempt, Outcome, Tally, TaskKey};
    use serde_json::{Value, json};

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_767_225_600_500);

    fn reportable(seq: u32) -> Reportable {
        Reportable {
            app: AppId::parse("demo").unwrap(),
            key: TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() },
            seq,
            attempt: Attempt::FIRST,
            dialect: Dialect::Imkit,
            kind: Deed::Push,
            message: MessageId::parse("m1").unwrap(),
            operation: None,
            at: AT,
        }
    }

    /// Two devices of each client, the second one pending.
    fn row(of: &Reportable, clients: usize) -> ResultRow {
        let result = |n: usize| TargetResult {
            client: ClientId::parse(format!("c{n}")).unwrap(),
            fates: vec![
                Fate::of_device(DeviceKey::of("fcm", &n.to_string()), Some(Channel::Fcm), Outcome::Delivered),
                Fate::of_device(DeviceKey::of("ios", &n.to_string()), Some(Channel::Sns), Outcome::Pending),
            ],
            recount: None,
        };
        ResultRow {
            key: of.key.clone(),
            app: of.app.clone(),
            seq: of.seq,
            attempt: of.attempt,
            at: of.at,
            tally: Tally::default(),
            results: (0..clients).map(result).collect(),
            leftovers: None,
            given_up: Vec::new(),
            taken_back: BTreeMap::new(),
            missing: BTreeMap::new(),
        }
    }

    fn part(seq: u32, clients: usize) -> Part {
        let of = reportable(seq);
        let row = row(&of, clients);
        Part::of(of, &row, None)
    }

    #[test]
    fn what_is_told_is_who_what_and_when_and_nothing_that_is_pending() {
        let posts = cut([(vec![0], part(0, 1))]);
        let body: Value = serde_json::from_slice(&posts[0].body(&AppId::parse("demo").unwrap())).unwrap();
        let id = body["data"]["results"][0]["id"].clone();
        assert!(id.as_str().unwrap().starts_with("out_"));
        let device = DeviceKey::of("fcm", "0");
        assert_eq!(
            body,
            json!({
                "type": "push.results",
                "timestamp": "2026-01-01T00:00:00.5Z",
                "data": {"app": "demo", "results": [{
                    "id": id, "task": 7, "message": "m1", "dialect": "imkit", "kind": "push", "client": "c0",
                    "device": device.as_str(), "channel": "fcm", "outcome": "delivered", "attempt": 0, "at": "2026-01-01T00:00:00.5Z"
                }]}
            })
        );
    }

    #[test]
    fn a_recipient_without_a_device_has_an_outcome_too() {
        let of = reportable(0);
        let mut row = row(&of, 1);
        row.results[0].fates = vec![Fate::of_recipient(Outcome::Muted)];
        let told = serde_json::to_value(&Part::of(of, &row, None).told).unwrap();
        assert_eq!(told[0]["outcome"], "muted");
        assert!(told[0].get("device").is_none() && told[0].get("channel").is_none());
    }

    #[test]
    fn records_share_posts_of_a_hundred_and_each_outcome_is_in_one() {
        let posts =
            cut([(vec![0], part(0, 30)), (vec![1, 4], part(1, 250)), (vec![2], part(2, 0)), (vec![3], part(3, 20))]);
        assert_eq!(posts.iter().map(Content::len).collect::<Vec<_>>(), [100, 100, 100]);
        assert_eq!(
            posts.iter().map(|post| post.records.clone()).collect::<Vec<_>>(),
            [vec![0, 1, 4], vec![1, 4], vec![1, 4, 3]]
        );
        let ids: BTreeSet<&str> = posts.iter().flat_map(Content::told).map(|told| told.id.as_str()).collect();
        assert_eq!(ids.len(), 300);
        assert_eq!(posts.iter().map(Content::id).collect::<BTreeSet<_>>().len(), 3);
    }

    #[test]
    fn a_post_that_is_made_again_of_its_excerpts_is_the_same() {
        let app = AppId::parse("demo").unwrap();
        for post in cut([(vec![0], part(0, 30)), (vec![1], part(1, 250))]) {
            let again = post.parts.iter().map(|part| {
                let of = part.excerpt.of.clone();
                let row = row(&of, if of.seq == 0 { 30 } else { 250 });
                Part::of(of, &row, Some(part.excerpt.numbers.clone()))
            });
            let again = Content { records: vec![9], parts: again.collect() };
            assert_eq!((again.id(), again.body(&app)), (post.id(), post.body(&app)));
        }
    }
}
