//! New secrets beside the old ones, which end by themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use pushbell::time::Timestamp;
use serde_json::Value;

use super::super::{Deployment, causes};
use super::documents::Documents;
use super::paste::Paste;
use super::secrets::{Kind, is_hmac};
use super::{AppCommandError, Rotate, Told};

pub(super) async fn run(deployment: &Deployment, rotate: &Rotate) -> Result<Told, AppCommandError> {
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
    let tencent = documents.settings(app).await?.and_then(|settings| settings["tencent"]["sdk_app_id"].as_u64());
    let mut shown = Vec::new();
    let mut is_first_for_tencent = false;
    for kind in Kind::ALL {
        let (document, list) = kind.place();
        let entries = held.get(document).and_then(|held| held[list].as_array());
        // Who has public keys only is given no shared one.
        let is_ours = |entry: &Value| kind != Kind::UserKey || is_hmac(entry);
        let has = entries.is_some_and(|entries| entries.iter().any(is_ours));
        // What is asked for by name is made where there was none. Without a name all that the app has, but for what is built into apps that
        // people have on their phones: that cannot be replaced within a day.
        let is_wanted = match rotate.only.as_slice() {
            [] => has && kind != Kind::AppSecret,
            only => only.contains(&kind),
        };
        if !is_wanted {
            continue;
        }
        is_first_for_tencent |= kind == Kind::Tencent && !has;
        let fresh = kind.fresh(app)?;
        let document = held.entry(document).or_insert_with(|| serde_json::json!({}));
        document[list] = kind.rotated(&document[list], &fresh, keep, now);
        shown.push((kind, fresh));
    }
    // What is written is shown, whatever happens to the rest: nobody else has it.
    let mut failed = None;
    for (name, document) in &held {
        let is_changed = |shown: &[(Kind, String)]| shown.iter().any(|(kind, _)| kind.place().0 == *name);
        if is_changed(&shown)
            && let Err(error) = documents.put_secret(app, name, document).await
        {
            shown.retain(|(kind, _)| kind.place().0 != *name);
            failed = Some(error);
        }
    }
    if let Some(error) = failed.take_if(|_| shown.is_empty()) {
        return Err(error.into());
    }
    let paste = Paste { url: &deployment.url, app, secrets: &shown, tencent, admin_token: None };
    let told = |text, is_complete| Told { text, is_complete, secrets_of: Some(app.clone()) };
    if rotate.json {
        let mut json = paste.json();
        json["failed"] = failed.as_ref().map_or(Value::Null, |error| causes(error).into());
        return Ok(told(json.to_string(), failed.is_none()));
    }
    let ends = match rotate.keep {
        0 => "The old ones end now; functions keep documents for five minutes.".to_owned(),
        _ => format!("The old ones are valid until {}.", now.plus(keep).to_rfc3339()),
    };
    let is_shown = shown.iter().any(|(kind, _)| *kind == Kind::Tencent);
    let tencent = if is_first_for_tencent && is_shown {
        " Tencent's callbacks were not signed so far: within five minutes those without a signature are refused, and Tencent asks once. Paste \
         the token into its console now."
    } else {
        ""
    };
    let trouble =
        failed.as_ref().map(|error| format!("NOT ALL WAS DONE: {}. Run it again with --only.\n\n", causes(error)));
    let names: Vec<&str> = shown.iter().map(|(kind, _)| kind.name()).collect();
    let text = format!(
        "{}New for {app}: {}. {ends} The new ones hold within five minutes, and are shown this once.{tencent}\n\n{}",
        trouble.unwrap_or_default(),
        names.join(", "),
        paste.text()
    );
    Ok(told(text, failed.is_none()))
}
