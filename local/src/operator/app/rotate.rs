//! New secrets beside the old ones, which end by themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use pushbell::time::Timestamp;
use serde_json::Value;

use super::super::Deployment;
use super::documents::Documents;
use super::paste::Paste;
use super::secrets::Kind;
use super::{AppCommandError, Rotate};

pub(super) async fn run(deployment: &Deployment, rotate: &Rotate) -> Result<String, AppCommandError> {
    let documents = Documents::new(deployment)?;
    let app = &rotate.app;
    let now = Timestamp::now();
    let keep = Duration::from_secs(u64::from(rotate.keep) * 60 * 60);
    let mut held: BTreeMap<&'static str, Value> = BTreeMap::new();
    for name in ["callers", "results"] {
        if let Some(document) = documents.secret(app, name).await? {
            held.insert(name, document);
        }
    }
    if !held.contains_key("callers") {
        return Err(AppCommandError::Unknown(app.clone()));
    }
    let mut shown = Vec::new();
    for kind in Kind::ALL {
        let (document, list) = kind.place();
        let has = held.get(document).is_some_and(|held| held[list].as_array().is_some_and(|list| !list.is_empty()));
        // What is asked for by name is made where there was none; without a name only what the app has.
        if if rotate.only.is_empty() { !has } else { !rotate.only.contains(&kind) } {
            continue;
        }
        let fresh = kind.fresh(app)?;
        let document = held.entry(document).or_insert_with(|| serde_json::json!({}));
        document[list] = kind.rotated(&document[list], &fresh, keep, now);
        shown.push((kind, fresh));
    }
    for (name, document) in &held {
        if shown.iter().any(|(kind, _)| kind.place().0 == *name) {
            documents.put_secret(app, name, document).await?;
        }
    }
    let tencent = documents.settings(app).await?.and_then(|settings| settings["tencent"]["sdk_app_id"].as_u64());
    let paste = Paste { url: &deployment.url, app, secrets: &shown, tencent, admin_token: None };
    if rotate.json {
        return Ok(paste.json().to_string());
    }
    let ends = match rotate.keep {
        0 => "The old ones end now; functions keep documents for five minutes.".to_owned(),
        _ => format!("The old ones are valid until {}.", now.plus(keep).to_rfc3339()),
    };
    let names: Vec<&str> = shown.iter().map(|(kind, _)| kind.name()).collect();
    Ok(format!(
        "New for {app}: {}. {ends} The new ones hold within five minutes, and are shown this once.\n\n{}",
        names.join(", "),
        paste.text()
    ))
}
