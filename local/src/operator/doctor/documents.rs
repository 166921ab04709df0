//! An app's documents: whether the functions can read them, and whether their secrets are valid, long enough and not about to end.

use pushbell::id::AppId;
use pushbell::time::Timestamp;
use serde_json::Value;

use super::super::app::{APNS, DocumentError, Documents, Kind, ends, value};
use super::super::vendors::ApnsDocument;
use super::{Findings, One};

/// Shorter ones can be guessed.
const SHORTEST: usize = 20;

const SETTINGS: &str = "settings";

/// What an app has; null where there is none, and where it cannot be read.
pub(super) struct Held {
    pub(super) callers: Value,
    pub(super) vendors: Value,
    pub(super) results: Value,
    pub(super) apns: Value,
    pub(super) settings: Value,
    /// What is there and cannot be read.
    pub(super) unreadable: Vec<&'static str>,
}

/// Reads them. `None` when AWS did not answer, which is among the findings then.
pub(super) async fn read(documents: &Documents<'_>, app: &AppId, findings: &mut Findings) -> Option<Held> {
    let mut held = [const { Value::Null }; 5];
    let mut wrong = Vec::new();
    for (slot, name) in held.iter_mut().zip(["callers", "vendors", "results", APNS, SETTINGS]) {
        let read = match name {
            SETTINGS => documents.settings(app).await,
            _ => documents.secret(app, name).await,
        };
        let checked = match read {
            Ok(None) => continue,
            Ok(Some(document)) => checked(name, document),
            Err(error @ DocumentError::Json { .. }) => Err(error.to_string()),
            Err(error) => {
                findings.fail(
                    error.to_string(),
                    "see that the registry table is there, that your own rights reach it and the stage's secrets, and try again",
                );
                return None;
            }
        };
        match checked {
            Ok(document) => {
                findings.ok(format!("`{name}` is read"));
                *slot = document;
            }
            Err(reason) => {
                unreadable(name, &reason, findings);
                wrong.push(name);
            }
        }
    }
    let [callers, vendors, results, apns, settings] = held;
    Some(Held { callers, vendors, results, apns, settings, unreadable: wrong })
}

/// The document, if the functions can read it; why not, if not.
fn checked(name: &'static str, document: Value) -> Result<Value, String> {
    let text = document.to_string();
    match name {
        APNS => ApnsDocument::parse(&text).map(|_| document).map_err(|error| error.to_string()),
        _ => pushbell::app::check(name, &text).map(|()| document).map_err(|error| error.to_string()),
    }
}

fn unreadable(name: &str, reason: &str, findings: &mut Findings) {
    let means = match name {
        "callers" => "all calls are answered 503",
        "vendors" => "its pushes fail until it is mended",
        "results" => "its outcomes wait",
        "settings" => "its calls are answered 503, and its pushes fail",
        _ => "its credentials at Apple cannot be tried",
    };
    findings.fail(
        format!("`{name}` cannot be read, and {means}: {reason}"),
        "correct it: docs/apps.md; records that fail meanwhile come again for half an hour",
    );
}

/// Each kind of secret.
pub(super) fn secrets(one: One<'_>, held: &Held, findings: &mut Findings) {
    let rotate = |kind: Kind| one.command("rotate", &format!("--only {}", word(kind)));
    let now = one.now();
    let mut is_well = true;
    for kind in Kind::ALL {
        let (document, list) = kind.place();
        let document = if document == "results" { &held.results } else { &held.callers };
        let entries = document[list].as_array().map(Vec::as_slice).unwrap_or_default();
        if entries.is_empty() {
            continue;
        }
        let valid: Vec<&Value> =
            entries.iter().filter(|entry| ends(kind, entry).is_none_or(|end| now.as_millis() < end)).collect();
        let name = kind.name();
        if valid.is_empty() {
            findings.fail(format!("every {name} is over: calls with it are refused"), format!("`{}`", rotate(kind)));
            is_well = false;
            continue;
        }
        if let Some(last) =
            valid.iter().map(|entry| ends(kind, entry)).try_fold(0, |last, end| end.map(|end| last.max(end)))
        {
            findings.warn(
                format!("the last {name} ends at {}", Timestamp::from_millis(last).to_rfc3339()),
                format!("`{}` before that", rotate(kind)),
            );
            is_well = false;
        }
        if kind == Kind::UserKey {
            is_well &= user_keys(&valid, &rotate(kind), findings);
        } else if valid
            .iter()
            .filter_map(|entry| value(kind, entry))
            .any(|secret| secret.len() < SHORTEST && kind != Kind::Tencent)
        {
            findings.warn(
                format!("{} {name} has less than {SHORTEST} characters: it can be guessed", article(name)),
                format!("`{}`", rotate(kind)),
            );
            is_well = false;
        }
    }
    let is_read = |name: &str| !held.unreadable.contains(&name);
    let has = |kind: Kind| held.callers[kind.place().1].as_array().is_some_and(|list| !list.is_empty());
    if !held.callers.is_null() && !has(Kind::Hook) {
        findings.warn("it has no hook secret: chat servers cannot call", format!("`{}` makes one", rotate(Kind::Hook)));
        is_well = false;
    }
    let tencent = !held.settings["tencent"]["sdk_app_id"].is_null();
    if tencent && !held.callers.is_null() && !has(Kind::Tencent) {
        findings.warn(
            "Tencent's callbacks are taken without a signature: whoever has the address can make results up",
            format!("`{}`, and put the token into Tencent's console: docs/tencent.md", rotate(Kind::Tencent)),
        );
        is_well = false;
    } else if has(Kind::Tencent) && !tencent && is_read(SETTINGS) {
        findings.warn(
            "there is a token for Tencent, and no `tencent.sdk_app_id` in the settings: its callbacks are refused",
            "put the app's SdkAppid into the settings: docs/tencent.md",
        );
        is_well = false;
    }
    if is_well && !held.callers.is_null() {
        findings.ok("its secrets are valid");
    }
}

/// HMAC keys that are too short verify nothing.
fn user_keys(valid: &[&Value], rotate: &str, findings: &mut Findings) -> bool {
    let mut is_well = true;
    for entry in valid {
        let least = match entry["alg"].as_str() {
            Some("HS256") => 32,
            Some("HS384") => 48,
            Some("HS512") => 64,
            Some(_) | None => 0,
        };
        if value(Kind::UserKey, entry).is_some_and(|key| key.len() < least) {
            findings.fail(
                format!(
                    "a {} key of user tokens has less than {least} bytes: no token is verified with it",
                    entry["alg"].as_str().unwrap_or_default()
                ),
                format!("`{rotate}`, and sign with the new one"),
            );
            is_well = false;
        }
    }
    is_well
}

fn article(name: &str) -> &'static str {
    if name.starts_with('A') { "an" } else { "a" }
}

fn word(kind: Kind) -> String {
    use clap::ValueEnum as _;
    kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// What is wrong, and what to do: the two halves of a vendor's trouble.
pub(super) fn halves(trouble: &str) -> (String, String) {
    match trouble.split_once("; ") {
        Some((seen, fix)) => (seen.to_owned(), fix.to_owned()),
        None => (trouble.to_owned(), "see what the vendor's console says".to_owned()),
    }
}
