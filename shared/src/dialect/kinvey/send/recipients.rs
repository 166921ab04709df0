//! `recipients`: users' documents, objects with an `_id`, or ids.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::tokens::{self, Import, MOST_IMPORTED};
use crate::app::KinveySettings;
use crate::dialect::kinvey::body::wrong;
use crate::dialect::kinvey::error::Failure;
use crate::dialect::recipients::{LeftOut, repeatable, text};
use crate::id::ClientId;
use crate::message::Values;
use crate::message::template::Names;
use crate::task::Target;

/// Who is to be told, and who of the list is not.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) targets: Vec<Target>,
    pub(super) accepted: usize,
    pub(super) left_out: LeftOut,
    pub(super) imports: Vec<Import>,
}

/// Sorts a list; one document alone is a list of one. An entry that cannot be told never fails the others: it is counted, and the first ones
/// are named.
pub(super) fn sort(list: &RawValue, names: &Names, settings: &KinveySettings) -> Result<Sorted, Failure> {
    let entries: Vec<&RawValue> = match list.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(list.get()).map_err(|_| wrong("recipients", "is not a list"))?,
        Some(b'{') => vec![list],
        _ => return Err(wrong("recipients", "is neither a list nor a user's document")),
    };
    let mut sorted = Sorted::default();
    let mut seen = HashSet::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        match read(entry, names, settings) {
            Ok(recipient) if seen.contains(&recipient.client) => sorted.left_out.duplicates += 1,
            Ok(recipient) => {
                sorted.imports.extend(recipient.imports);
                match recipient.filled {
                    Ok(target) => {
                        seen.insert(recipient.client);
                        sorted.targets.push(target);
                    }
                    Err((value, reason)) => sorted.left_out.skip(index, value, reason),
                }
            }
            Err((value, reason)) => sorted.left_out.skip(index, value, reason),
        }
    }
    if sorted.imports.len() > MOST_IMPORTED {
        let rule = format!(
            "have more than {MOST_IMPORTED} push tokens to register (setting kinvey.import_tokens): send them in several calls"
        );
        return Err(wrong("recipients", rule));
    }
    sorted.accepted = sorted.targets.len();
    Ok(sorted)
}

struct Recipient {
    client: ClientId,
    /// What is queued for them; or which value they lack.
    filled: Result<Target, Unusable>,
    /// Their devices are registered all the same.
    imports: Vec<Import>,
}

impl Recipient {
    fn plain(client: ClientId) -> Self {
        Self { filled: Ok(Target::Fresh(client.clone())), client, imports: Vec::new() }
    }
}

/// Of a document that no place is filled from and no token is taken from.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, rename = "_id")]
    id: Option<&'a RawValue>,
}

type Unusable = (Option<String>, String);

fn read(entry: &&RawValue, names: &Names, settings: &KinveySettings) -> Result<Recipient, Unusable> {
    if let Some(id) = text(entry) {
        return Ok(Recipient::plain(client(&id)?));
    }
    let no_user = || (None, "is neither an id nor a document with an _id".to_owned());
    if !entry.get().starts_with('{') {
        return Err(no_user());
    }
    let named: Named<'_> = serde_json::from_str(entry.get()).map_err(|_| no_user())?;
    let id = named.id.ok_or_else(no_user)?;
    let id = text(&id).ok_or_else(|| (None, "has an _id that is not a string".to_owned()))?;
    let client = client(&id)?;
    if names.is_empty() && !settings.import_tokens {
        return Ok(Recipient::plain(client));
    }
    let document: Map<String, Value> = serde_json::from_str(entry.get()).map_err(|_| no_user())?;
    let imports = if settings.import_tokens { tokens::of(&client, &document)? } else { Vec::new() };
    Ok(Recipient { filled: filled(client.clone(), &document, names), client, imports })
}

/// With the values of the document, where it says more of the user than who they are: then nothing else fills a place, and what it lacks is told
/// at once.
fn filled(client: ClientId, document: &Map<String, Value>, names: &Names) -> Result<Target, Unusable> {
    // What begins with an underscore is Kinvey's own (`_id`, `_acl`, `_kmd`, `_messaging`).
    if names.is_empty() || document.keys().all(|name| name.starts_with('_')) {
        return Ok(Target::Fresh(client));
    }
    let values =
        Values::of(document, names).map_err(|(name, error)| (None, format!("has a value {name} that {error}")))?;
    if let Some(name) = names.needed().find(|name| values.get(name).is_none()) {
        return Err((None, format!("lacks the value {name}")));
    }
    Ok(Target::With { client, values })
}

fn client(id: &str) -> Result<ClientId, Unusable> {
    ClientId::parse(id).map_err(|error| (repeatable(id, error), error.to_string()))
}
