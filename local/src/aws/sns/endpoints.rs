//! Platform applications and endpoints as rows.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::super::{ACCOUNT, REGION};
use super::credentials::{self, CREDENTIAL, PRINCIPAL};
use crate::store::random_id;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS sns_applications (
  seq INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1, attributes TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sns_endpoints (
  seq INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, application TEXT NOT NULL, token TEXT NOT NULL,
  token_key TEXT NOT NULL, user_data TEXT NOT NULL, enabled INTEGER NOT NULL, UNIQUE (application, token_key)
) STRICT;
";

pub(super) const PLATFORMS: [&str; 9] =
    ["ADM", "APNS", "APNS_SANDBOX", "APNS_VOIP", "APNS_VOIP_SANDBOX", "BAIDU", "GCM", "MPNS", "WNS"];

/// Attributes that go in and never come out.
const SECRET: [&str; 2] = [CREDENTIAL, PRINCIPAL];

/// Attributes by name, in the order they were given.
type Entries = Vec<(String, String)>;

pub(super) struct Endpoint {
    pub(super) arn: String,
    pub(super) application: String,
    /// As the app gave it.
    pub(super) token: String,
    pub(super) user_data: String,
    pub(super) enabled: bool,
}

impl Endpoint {
    pub(super) fn attributes(&self) -> Entries {
        let mut attributes = vec![
            ("Enabled".to_owned(), self.enabled.to_string()),
            ("Token".to_owned(), token_key(&self.application, &self.token)),
        ];
        if !self.user_data.is_empty() {
            attributes.push(("CustomUserData".to_owned(), self.user_data.clone()));
        }
        attributes
    }

    pub(super) fn platform(&self) -> &str {
        platform(&self.application)
    }
}

/// An application or endpoint in a list.
pub(super) struct Listed {
    pub(super) seq: i64,
    pub(super) arn: String,
    pub(super) attributes: Entries,
}

pub(super) fn application_arn(platform: &str, name: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:app/{platform}/{name}")
}

/// The platform in an application's ARN.
pub(super) fn platform(application: &str) -> &str {
    application.rsplit('/').nth(1).unwrap_or_default()
}

pub(super) fn is_apns(application: &str) -> bool {
    platform(application).starts_with("APNS")
}

/// The token as SNS keeps it: APNs' hexadecimal ones in lower case.
fn token_key(application: &str, token: &str) -> String {
    if is_apns(application) && token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return token.to_ascii_lowercase();
    }
    token.to_owned()
}

pub(super) fn create_application(
    tx: &Transaction<'_>,
    arn: &str,
    attributes: &[(String, String)],
) -> rusqlite::Result<()> {
    tx.execute("INSERT INTO sns_applications (arn, attributes) VALUES (?1, '[]') ON CONFLICT DO NOTHING", [arn])?;
    set_application(tx, arn, attributes)?;
    Ok(())
}

/// Sets these attributes and leaves the others; an empty one is taken away. False when there is no such application.
pub(super) fn set_application(
    tx: &Transaction<'_>,
    arn: &str,
    attributes: &[(String, String)],
) -> rusqlite::Result<bool> {
    let kept: Option<(bool, String)> = tx
        .query_row("SELECT enabled, attributes FROM sns_applications WHERE arn = ?1", [arn], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((mut enabled, kept)) = kept else {
        return Ok(false);
    };
    let mut kept: Entries = serde_json::from_str(&kept).unwrap_or_default();
    for (name, value) in attributes {
        if SECRET.contains(&name.as_str()) {
            continue;
        }
        if name == "Enabled" {
            enabled = value.eq_ignore_ascii_case("true");
            continue;
        }
        kept.retain(|(key, _)| key != name);
        if !value.is_empty() {
            kept.push((name.clone(), value.clone()));
        }
    }
    tx.execute(
        "UPDATE sns_applications SET enabled = ?2, attributes = ?3 WHERE arn = ?1",
        params![arn, enabled, serde_json::to_string(&kept).unwrap_or_default()],
    )?;
    Ok(true)
}

pub(super) fn delete_application(tx: &Transaction<'_>, arn: &str) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM sns_endpoints WHERE application = ?1", [arn])?;
    credentials::forget(tx, arn)?;
    tx.execute("DELETE FROM sns_applications WHERE arn = ?1", [arn])?;
    Ok(())
}

fn shown_attributes(enabled: bool, attributes: &str) -> Entries {
    let mut shown: Entries = serde_json::from_str(attributes).unwrap_or_default();
    shown.push(("Enabled".to_owned(), enabled.to_string()));
    shown
}

/// None when there is no such application.
pub(super) fn application_attributes(db: &Connection, arn: &str) -> rusqlite::Result<Option<Entries>> {
    db.prepare_cached("SELECT enabled, attributes FROM sns_applications WHERE arn = ?1")?
        .query_row([arn], |row| {
            let attributes: String = row.get(1)?;
            Ok(shown_attributes(row.get(0)?, &attributes))
        })
        .optional()
}

pub(super) fn applications(db: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<Listed>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    db.prepare_cached(
        "SELECT seq, arn, enabled, attributes FROM sns_applications WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?
    .query_map([after, limit], |row| {
        let attributes: String = row.get(3)?;
        Ok(Listed { seq: row.get(0)?, arn: row.get(1)?, attributes: shown_attributes(row.get(2)?, &attributes) })
    })?
    .collect()
}

const COLUMNS: &str = "arn, application, token, user_data, enabled";

fn endpoint(row: &rusqlite::Row<'_>) -> rusqlite::Result<Endpoint> {
    Ok(Endpoint {
        arn: row.get(0)?,
        application: row.get(1)?,
        token: row.get(2)?,
        user_data: row.get(3)?,
        enabled: row.get(4)?,
    })
}

pub(super) fn find(db: &Connection, arn: &str) -> rusqlite::Result<Option<Endpoint>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM sns_endpoints WHERE arn = ?1"))?
        .query_row([arn], endpoint)
        .optional()
}

pub(super) fn by_token(db: &Connection, application: &str, token: &str) -> rusqlite::Result<Option<Endpoint>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM sns_endpoints WHERE application = ?1 AND token_key = ?2"))?
        .query_row([application, &token_key(application, token)], endpoint)
        .optional()
}

pub(super) fn create(
    tx: &Transaction<'_>,
    application: &str,
    token: &str,
    user_data: &str,
    enabled: bool,
) -> rusqlite::Result<String> {
    let arn = format!("{}/{}", application.replacen(":app/", ":endpoint/", 1), random_id());
    tx.execute(
        "INSERT INTO sns_endpoints (arn, application, token, token_key, user_data, enabled)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![arn, application, token, token_key(application, token), user_data, enabled],
    )?;
    Ok(arn)
}

pub(super) fn update(tx: &Transaction<'_>, endpoint: &Endpoint) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE sns_endpoints SET token = ?2, token_key = ?3, user_data = ?4, enabled = ?5 WHERE arn = ?1",
        params![
            endpoint.arn,
            endpoint.token,
            token_key(&endpoint.application, &endpoint.token),
            endpoint.user_data,
            endpoint.enabled
        ],
    )?;
    Ok(())
}

pub(super) fn set_enabled(tx: &Transaction<'_>, arn: &str, enabled: bool) -> rusqlite::Result<bool> {
    let changed = tx.execute("UPDATE sns_endpoints SET enabled = ?2 WHERE arn = ?1", params![arn, enabled])?;
    Ok(changed > 0)
}

pub(super) fn of_application(
    db: &Connection,
    application: &str,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Listed>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    db.prepare_cached(&format!(
        "SELECT {COLUMNS}, seq FROM sns_endpoints WHERE application = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
    ))?
    .query_map(params![application, after, limit], |row| {
        let found = endpoint(row)?;
        Ok(Listed { seq: row.get(5)?, attributes: found.attributes(), arn: found.arn })
    })?
    .collect()
}
