//! Phones and pushes as rows: what arrives, what replaces what, what is kept for a phone that is off.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Channel, Lifetime, Notification, Push, View};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS phones (
  id INTEGER PRIMARY KEY, channel TEXT NOT NULL, token TEXT NOT NULL, online INTEGER NOT NULL DEFAULT 1,
  dead INTEGER NOT NULL DEFAULT 0, UNIQUE (channel, token)
) STRICT;
CREATE TABLE IF NOT EXISTS pushes (
  id INTEGER PRIMARY KEY, phone INTEGER NOT NULL, state TEXT NOT NULL, apns INTEGER NOT NULL, app TEXT NOT NULL,
  title TEXT, body TEXT, badge INTEGER, sound TEXT, silent INTEGER NOT NULL, collapse_id TEXT,
  collapse_key TEXT, expires INTEGER, payload TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS pushes_by_phone ON pushes (phone, state, collapse_id);
";

/// FCM keeps so many collapse keys for a phone that is off.
const KEPT_KEYS: usize = 4;
/// FCM keeps so many messages without a collapse key for a phone that is off.
const KEPT_OTHERS: usize = 100;

/// The columns that [`notification`] reads, first in their row.
pub(super) const NOTIFICATION: &str =
    "n.state, n.title, n.body, n.badge, n.sound, n.silent, n.collapse_id, n.payload, n.at";

/// A notification, unless the view leaves it out.
pub(super) fn notification(row: &rusqlite::Row<'_>, view: View) -> rusqlite::Result<Option<Notification>> {
    let state: String = row.get(0)?;
    let silent: bool = row.get(5)?;
    let seen = match view {
        View::Shown => state == "received" && !silent,
        View::Received => state == "received",
        View::Raw => true,
    };
    if !seen {
        return Ok(None);
    }
    let payload: String = row.get(7)?;
    Ok(Some(Notification {
        title: row.get(1)?,
        body: row.get(2)?,
        badge: row.get(3)?,
        sound: row.get(4)?,
        silent,
        collapse_id: row.get(6)?,
        payload: serde_json::from_str(&payload).unwrap_or_default(),
        at: row.get(8)?,
        state: Some(state).filter(|_| view == View::Raw),
    }))
}

pub(super) struct Row {
    pub(super) id: i64,
    pub(super) online: bool,
    pub(super) dead: bool,
}

pub(super) fn find(db: &Connection, channel: Channel, token: &str) -> rusqlite::Result<Option<Row>> {
    db.prepare_cached("SELECT id, online, dead FROM phones WHERE channel = ?1 AND token = ?2")?
        .query_row(params![channel.name(), token], |row| {
            Ok(Row { id: row.get(0)?, online: row.get(1)?, dead: row.get(2)? })
        })
        .optional()
}

pub(super) fn phone(tx: &Transaction<'_>, channel: Channel, token: &str) -> rusqlite::Result<Row> {
    if let Some(found) = find(tx, channel, token)? {
        return Ok(found);
    }
    tx.prepare_cached("INSERT INTO phones (channel, token) VALUES (?1, ?2)")?
        .execute(params![channel.name(), token])?;
    Ok(Row { id: tx.last_insert_rowid(), online: true, dead: false })
}

pub(super) fn insert(tx: &Transaction<'_>, phone: i64, push: &Push, state: &str, now: i64) -> rusqlite::Result<()> {
    if state == "received" && !push.silent {
        replace(tx, phone, push.collapse_id.as_deref())?;
    }
    let expires = match push.lifetime {
        Lifetime::NowOrNever => Some(now),
        Lifetime::Seconds(seconds) => Some(now + seconds.saturating_mul(1000)),
        Lifetime::Unlimited => None,
    };
    tx.prepare_cached(
        "INSERT INTO pushes (phone, state, apns, app, title, body, badge, sound, silent, collapse_id, collapse_key,
           expires, payload, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        phone,
        state,
        push.apns,
        push.app,
        push.title,
        push.body,
        push.badge,
        push.sound,
        push.silent,
        push.collapse_id,
        push.collapse_key,
        expires,
        push.payload.to_string(),
        now,
    ])?;
    Ok(())
}

/// Takes the notification that has this tag or collapse id off the screen.
fn replace(tx: &Transaction<'_>, phone: i64, collapse_id: Option<&str>) -> rusqlite::Result<()> {
    if let Some(collapse_id) = collapse_id {
        tx.prepare_cached(
            "UPDATE pushes SET state = 'replaced'
             WHERE phone = ?1 AND state = 'received' AND collapse_id = ?2 AND silent = 0",
        )?
        .execute(params![phone, collapse_id])?;
    }
    Ok(())
}

fn drop_push(tx: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE pushes SET state = 'dropped' WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Keeps a push for a phone that is off, and drops what the vendor drops for it.
pub(super) fn keep_for_later(tx: &Transaction<'_>, phone: i64, push: &Push, now: i64) -> rusqlite::Result<()> {
    if push.lifetime == Lifetime::NowOrNever {
        return insert(tx, phone, push, "dropped", now);
    }
    let kept: Vec<(i64, bool, String, Option<String>)> = tx
        .prepare_cached(
            "SELECT id, apns, app, collapse_key FROM pushes WHERE phone = ?1 AND state = 'stored' ORDER BY id",
        )?
        .query_map([phone], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let same_app = kept.iter().filter(|(_, apns, app, _)| *apns == push.apns && *app == push.app);
    let mut state = "stored";
    if push.apns {
        for (id, ..) in same_app {
            drop_push(tx, *id)?;
        }
    } else if let Some(collapse_key) = &push.collapse_key {
        let mut keys = Vec::new();
        for (id, _, _, key) in same_app {
            match key {
                Some(key) if key == collapse_key => drop_push(tx, *id)?,
                Some(_) => keys.push(*id),
                None => {}
            }
        }
        // FCM does not say which of five keys it forgets; here it is the one kept longest.
        for id in keys.iter().rev().skip(KEPT_KEYS - 1) {
            drop_push(tx, *id)?;
        }
    } else {
        let others: Vec<i64> = same_app.filter(|(_, _, _, key)| key.is_none()).map(|(id, ..)| *id).collect();
        if others.len() >= KEPT_OTHERS {
            for id in others {
                drop_push(tx, id)?;
            }
            state = "dropped";
        }
    }
    insert(tx, phone, push, state, now)
}

/// Lets a phone that is on again receive what was kept for it.
pub(super) fn arrive(tx: &Transaction<'_>, phone: i64, now: i64) -> rusqlite::Result<()> {
    let kept: Vec<(i64, Option<String>, bool, Option<i64>)> = tx
        .prepare_cached(
            "SELECT id, collapse_id, silent, expires FROM pushes WHERE phone = ?1 AND state = 'stored' ORDER BY id",
        )?
        .query_map([phone], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, collapse_id, silent, expires) in kept {
        if expires.is_some_and(|expires| expires <= now) {
            drop_push(tx, id)?;
            continue;
        }
        if !silent {
            replace(tx, phone, collapse_id.as_deref())?;
        }
        tx.prepare_cached("UPDATE pushes SET state = 'received' WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}
