//! Queues and messages as rows: which messages a receive takes, and what becomes of them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Depth, Order, QueueSpec, Received, Redrive};
use crate::store::random_hex;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS queues (
  name TEXT PRIMARY KEY, visibility INTEGER NOT NULL, delay INTEGER NOT NULL, retention INTEGER NOT NULL,
  max_bytes INTEGER NOT NULL, wait INTEGER NOT NULL, dead_letter TEXT, max_receives INTEGER,
  created INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS messages (
  id INTEGER PRIMARY KEY, queue TEXT NOT NULL, message_id TEXT NOT NULL, body TEXT NOT NULL,
  attributes TEXT NOT NULL, grp TEXT NOT NULL, trace TEXT, sent INTEGER NOT NULL, visible INTEGER NOT NULL,
  expires INTEGER NOT NULL, receives INTEGER NOT NULL DEFAULT 0, first_received INTEGER,
  in_flight INTEGER NOT NULL DEFAULT 0, receipt TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS messages_by_group ON messages (queue, grp, in_flight, visible);
CREATE INDEX IF NOT EXISTS messages_by_time ON messages (queue, visible);
";

#[derive(Default)]
pub(super) struct Taken {
    pub(super) received: Vec<Received>,
    /// The dead-letter queue that a message went to.
    pub(super) moved_to: Option<String>,
    /// A message left the queue.
    pub(super) gone: bool,
}

/// Chooses visible messages, one after the other from the group that has the fewest in flight, then the oldest.
pub(super) fn pick(
    tx: &Transaction<'_>,
    queue: &str,
    max: usize,
    now: i64,
    order: Order,
) -> rusqlite::Result<Vec<i64>> {
    struct Group {
        busy: i64,
        /// Due time and id, the latest due first.
        waiting: Vec<(i64, i64)>,
    }
    let groups: Vec<String> = tx
        .prepare_cached(
            "WITH RECURSIVE g (name) AS (
               SELECT min(grp) FROM messages WHERE queue = ?1
               UNION ALL
               SELECT (SELECT min(grp) FROM messages WHERE queue = ?1 AND grp > g.name) FROM g WHERE g.name IS NOT NULL
             ) SELECT name FROM g WHERE name IS NOT NULL",
        )?
        .query_map([queue], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let by = match order {
        Order::Forward => "visible",
        Order::Reverse => "visible DESC",
    };
    let mut waiting = tx.prepare_cached(&format!(
        "SELECT visible, id FROM messages WHERE queue = ?1 AND grp = ?2 AND in_flight = ?3 AND visible <= ?4
         ORDER BY {by} LIMIT ?5",
    ))?;
    let mut busy = tx.prepare_cached(
        "SELECT count(*) FROM messages WHERE queue = ?1 AND grp = ?2 AND in_flight = 1 AND visible > ?3",
    )?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let mut fair = Vec::with_capacity(groups.len());
    for group in &groups {
        let mut found = Vec::new();
        for in_flight in [0, 1] {
            let rows = waiting
                .query_map(params![queue, group, in_flight, now, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
            for row in rows {
                found.push(row?);
            }
        }
        if found.is_empty() {
            continue;
        }
        match order {
            Order::Forward => found.sort_unstable_by(|a: &(i64, i64), b| b.cmp(a)),
            Order::Reverse => found.sort_unstable(),
        }
        let busy = if groups.len() == 1 { 0 } else { busy.query_row(params![queue, group, now], |row| row.get(0))? };
        fair.push(Group { busy, waiting: found });
    }
    let mut picked = Vec::with_capacity(max);
    while picked.len() < max {
        let next = fair
            .iter_mut()
            .filter(|group| !group.waiting.is_empty())
            .min_by_key(|group| (group.busy, group.waiting.last().copied()));
        let Some(group) = next else { break };
        group.busy += 1;
        picked.extend(group.waiting.pop().map(|(_, id)| id));
    }
    Ok(picked)
}

/// `now` is the machine's time and the queue's. Receives one message; or drops it when its retention is over; or moves it when it was received too often.
pub(super) fn take_one(
    tx: &Transaction<'_>,
    queue: &QueueSpec,
    id: i64,
    (now, stamp): (i64, i64),
    until: i64,
    taken: &mut Taken,
) -> rusqlite::Result<()> {
    let (expires, receives): (i64, u32) = tx
        .prepare_cached("SELECT expires, receives FROM messages WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if expires <= now {
        tx.execute("DELETE FROM messages WHERE id = ?1", [id])?;
        taken.gone = true;
        return Ok(());
    }
    let redrive = queue.redrive.as_ref();
    if let Some(redrive) = redrive.filter(|redrive| receives >= redrive.max_receives)
        && let Some(dead_letter) = spec(tx, &redrive.queue)?
    {
        // The time it was sent stays: the dead-letter queue's retention counts from there.
        tx.execute(
            "UPDATE messages SET queue = ?2, in_flight = 0, visible = ?3, receipt = NULL, expires = sent + ?4 WHERE id = ?1",
            params![id, dead_letter.name, now, millis(dead_letter.retention)],
        )?;
        taken.moved_to = Some(dead_letter.name);
        taken.gone = true;
        return Ok(());
    }
    let nonce = random_hex::<12>();
    let received = tx
        .prepare_cached(
            "UPDATE messages SET in_flight = 1, receives = receives + 1, visible = ?2, receipt = ?3,
               first_received = coalesce(first_received, ?4) WHERE id = ?1
             RETURNING message_id, body, attributes, sent, first_received, receives, grp, trace",
        )?
        .query_row(params![id, until, nonce, stamp], |row| {
            let attributes: String = row.get(2)?;
            let group: String = row.get(6)?;
            Ok(Received {
                message_id: row.get(0)?,
                receipt: URL_SAFE_NO_PAD.encode(format!("{}/{id}/{nonce}", queue.name)),
                body: row.get(1)?,
                attributes: serde_json::from_str(&attributes).unwrap_or_default(),
                sent_ms: row.get(3)?,
                first_received_ms: row.get(4)?,
                receives: row.get(5)?,
                group: Some(group).filter(|group| !group.is_empty()),
                trace: row.get(7)?,
            })
        })?;
    taken.received.push(received);
    Ok(())
}

pub(super) fn spec(db: &Connection, queue: &str) -> rusqlite::Result<Option<QueueSpec>> {
    db.prepare_cached(
        "SELECT visibility, delay, retention, max_bytes, wait, dead_letter, max_receives FROM queues WHERE name = ?1",
    )?
    .query_row([queue], |row| {
        let dead_letter: Option<String> = row.get(5)?;
        let max_receives: Option<u32> = row.get(6)?;
        let max_bytes: i64 = row.get(3)?;
        Ok(QueueSpec {
            name: queue.to_owned(),
            visibility: duration(row.get(0)?),
            delay: duration(row.get(1)?),
            retention: duration(row.get(2)?),
            max_bytes: usize::try_from(max_bytes).unwrap_or_default(),
            wait: duration(row.get(4)?),
            redrive: dead_letter.zip(max_receives).map(|(queue, max_receives)| Redrive { queue, max_receives }),
        })
    })
    .optional()
}

pub(super) fn depth(db: &Connection, queue: &str, now: i64) -> rusqlite::Result<Depth> {
    let mut depth = Depth::default();
    let mut counts = db.prepare_cached(
        "SELECT in_flight, visible <= ?2, count(*) FROM messages WHERE queue = ?1 AND expires > ?2 GROUP BY 1, 2",
    )?;
    let rows = counts.query_map(params![queue, now], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (in_flight, due, count): (bool, bool, i64) = row?;
        let count = u64::try_from(count).unwrap_or_default();
        match (in_flight, due) {
            (_, true) => depth.visible += count,
            (true, false) => depth.in_flight += count,
            (false, false) => depth.delayed += count,
        }
    }
    Ok(depth)
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
