//! `audience`: "all", or an object with one of four lists.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::body::{Fields, bad};
use super::super::envelope::{Code, Failure};
use crate::id::{Alias, AppId, ClientId, DeviceKey, Tag};
use crate::registry::PushToken;
use crate::task::{Members, Target, Whom};

/// The most entries of a list.
const MOST: usize = 500;
const KINDS: [&str; 4] = ["tag", "alias", "user_id", "push_token"];

pub(super) fn whom(fields: &mut Fields, app: &AppId) -> Result<Whom, Failure> {
    match fields.given("audience") {
        None => return Err(fields.wrong("audience", "is missing")),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("all") => return Ok(Whom::Members(Members::All)),
        Some(Value::Object(_)) => {}
        Some(_) => return Err(fields.wrong("audience", "is neither \"all\" nor an object")),
    }
    let audience = fields.below("audience")?;
    let mut given = KINDS.into_iter().filter(|kind| audience.given(kind).is_some());
    let kind = given.next().ok_or_else(|| bad("audience has none of tag, alias, user_id and push_token"))?;
    if let Some(other) = given.next() {
        return Err(bad(format!("audience has both {kind} and {other}")));
    }
    let list = audience.list(kind)?.unwrap_or_default();
    if list.is_empty() {
        return Err(audience.wrong(kind, "is empty"));
    }
    if list.len() > MOST {
        let rule = format!("has more than {MOST} entries");
        return Err(Failure::new(Code::TooManyTargets, format!("{} {rule}", audience.name(kind))));
    }
    let named = audience.name(kind);
    let entries = || list.iter().enumerate().map(|(index, entry)| Entry { of: &named, index, entry });
    Ok(match kind {
        "tag" => Whom::Members(Members::Tags(distinct(entries().map(|entry| entry.parsed(Tag::parse)))?)),
        "alias" => Whom::Members(Members::Aliases(distinct(entries().map(|entry| entry.parsed(Alias::parse)))?)),
        "user_id" => {
            let clients = distinct(entries().map(|entry| entry.user()))?;
            Whom::Targets(clients.into_iter().map(Target::Fresh).collect())
        }
        _ => {
            let mut devices: BTreeMap<ClientId, BTreeSet<DeviceKey>> = BTreeMap::new();
            for entry in entries() {
                let token = entry.push_token(app)?;
                devices.entry(token.client).or_default().insert(token.device);
            }
            let chosen = |(client, only): (_, BTreeSet<_>)| Target::Chosen { client, only: only.into_iter().collect() };
            Whom::Targets(devices.into_iter().map(chosen).collect())
        }
    })
}

fn distinct<T: Ord>(entries: impl Iterator<Item = Result<T, Failure>>) -> Result<Vec<T>, Failure> {
    let distinct: BTreeSet<T> = entries.collect::<Result<_, _>>()?;
    Ok(distinct.into_iter().collect())
}

/// An entry of a list.
struct Entry<'a> {
    of: &'a str,
    index: usize,
    entry: &'a Value,
}

impl<'a> Entry<'a> {
    fn wrong(&self, rule: impl std::fmt::Display) -> Failure {
        bad(format!("entry {} of {} {rule}", self.index, self.of))
    }

    fn text(&self) -> Result<&'a str, Failure> {
        self.entry.as_str().ok_or_else(|| self.wrong("is not a text"))
    }

    fn parsed<T, E: std::fmt::Display>(&self, parse: impl Fn(&'a str) -> Result<T, E>) -> Result<T, Failure> {
        parse(self.text()?).map_err(|rule| self.wrong(rule))
    }

    /// Lanying's ids are numbers (int64); an app of ours may have others.
    fn user(&self) -> Result<ClientId, Failure> {
        let id = match (self.entry.as_i64(), self.entry.as_str()) {
            (Some(number), _) => number.to_string(),
            (None, Some(text)) => text.to_owned(),
            (None, None) => return Err(self.wrong("is neither a whole number nor a text")),
        };
        ClientId::parse(id).map_err(|rule| self.wrong(rule))
    }

    fn push_token(&self, app: &AppId) -> Result<PushToken, Failure> {
        PushToken::parse(app, self.text()?).ok_or_else(|| self.wrong("is no push token of this app"))
    }
}
