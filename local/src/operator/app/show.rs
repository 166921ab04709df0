//! What an app is set up with, without its secrets.

use pushbell::id::AppId;
use pushbell::time::Timestamp;
use serde_json::{Value, json};

use super::super::Deployment;
use super::AppCommandError;
use super::documents::{APNS, Documents, SECRETS};
use super::secrets::{self, Kind};

pub(super) async fn list(deployment: &Deployment, as_json: bool) -> Result<String, AppCommandError> {
    let apps = Documents::new(deployment)?.list().await?;
    if as_json {
        let apps: Vec<Value> =
            apps.iter().map(|(app, documents)| json!({ "app": app.as_str(), "documents": documents })).collect();
        return Ok(json!({ "stage": deployment.env.stage(), "apps": apps }).to_string());
    }
    if apps.is_empty() {
        return Ok(format!("The stage {} has no apps. `app add <name>` makes one.", deployment.env.stage()));
    }
    let lines = apps.iter().map(|(app, documents)| {
        let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
        format!("{app}: {}", documents.join(", "))
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

pub(super) async fn show(deployment: &Deployment, app: &AppId, as_json: bool) -> Result<String, AppCommandError> {
    let documents = Documents::new(deployment)?;
    let mut held = json!({});
    for name in SECRETS {
        held[name] = documents.secret(app, name).await?.unwrap_or(Value::Null);
    }
    let settings = documents.settings(app).await?.unwrap_or(Value::Null);
    if settings.is_null() && SECRETS.iter().all(|name| held[*name].is_null()) {
        return Err(AppCommandError::Unknown(app.clone()));
    }
    let shown = shown(deployment, app, &held, settings);
    Ok(if as_json { shown.to_string() } else { text(&shown) })
}

/// All that is no secret.
fn shown(deployment: &Deployment, app: &AppId, held: &Value, settings: Value) -> Value {
    let now = Timestamp::now().as_millis();
    let mut counted = json!({});
    for kind in Kind::ALL {
        let (document, list) = kind.place();
        let entries = held[document][list].as_array().map(Vec::as_slice).unwrap_or_default();
        let ends: Vec<Option<u64>> = entries.iter().map(|entry| secrets::ends(kind, entry)).collect();
        if ends.is_empty() {
            continue;
        }
        let until = ends.iter().flatten().filter(|end| now < **end);
        counted[list] = json!({
            "for_good": ends.iter().filter(|end| end.is_none()).count(),
            "until": until.map(|end| Timestamp::from_millis(*end).to_rfc3339()).collect::<Vec<_>>(),
            "over": ends.iter().flatten().filter(|end| **end <= now).count(),
        });
    }
    let account = &held["vendors"]["fcm"]["service_account"];
    let key = |service: &str| {
        let document = &held[APNS][service];
        if document.is_null() {
            return Value::Null;
        }
        json!({ "key_id": document["key_id"], "team_id": document["team_id"], "topic": document["topic"], "by": if document["key"].is_null() { "certificate" } else { "key" } })
    };
    json!({
        "app": app.as_str(),
        "stage": deployment.env.stage(),
        "hooks": format!("{}/hooks/{app}/<secret>/imkit, openim, tencent, badges", deployment.url),
        "secrets": counted,
        "hook_sources": held["callers"]["hook_sources"],
        "fcm": { "project_id": account["project_id"], "client_email": account["client_email"], "private_key_id": account["private_key_id"] },
        "apns": { "production": key("production"), "sandbox": key("sandbox") },
        "settings": settings,
    })
}

fn text(shown: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines = vec![format!("The app {} in the stage {}", word(&shown["app"]), word(&shown["stage"]))];
    lines.push(format!("  hooks: {}", word(&shown["hooks"])));
    for (list, counts) in shown["secrets"].as_object().into_iter().flatten() {
        let mut line = format!("  {list}: {} for good", counts["for_good"]);
        for until in counts["until"].as_array().into_iter().flatten() {
            line.push_str(&format!(", one until {}", word(until)));
        }
        if counts["over"] != 0 {
            line.push_str(&format!(", {} over", counts["over"]));
        }
        lines.push(line);
    }
    match &shown["fcm"] {
        fcm if fcm["project_id"].is_null() => lines.push("  FCM: not set up".to_owned()),
        fcm => lines.push(format!("  FCM: project {}, {}", word(&fcm["project_id"]), word(&fcm["client_email"]))),
    }
    for service in ["production", "sandbox"] {
        let apns = &shown["apns"][service];
        if apns.is_null() {
            continue;
        }
        lines.push(match apns["by"].as_str() {
            Some("key") => format!(
                "  APNs ({service}): key {} of the team {}, for {}",
                word(&apns["key_id"]),
                word(&apns["team_id"]),
                word(&apns["topic"])
            ),
            Some(_) | None => format!("  APNs ({service}): a certificate"),
        });
    }
    let settings = serde_json::to_string_pretty(&shown["settings"]).unwrap_or_default();
    lines.push(format!("  settings: {}", settings.replace('\n', "\n  ")));
    lines.join("\n")
}
