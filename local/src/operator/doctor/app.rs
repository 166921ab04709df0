//! One app: its callers, its vendors, its settings, and whether they fit together.

use pushbell::app::FcmVendor;
use serde_json::Value;

use super::super::app::{Documents, Kind, first_valid};
use super::super::vendors::{self, ApnsDocument};
use super::{Finding, Findings, One, documents, ios, reach};

/// The options that give a signing key of Apple's.
pub(super) const SIGNING_KEY: &str = "--apns AuthKey.p8 --key-id … --team … --topic …";

pub(super) async fn look(one: One<'_>, all: &Documents<'_>, is_safe: bool) -> Vec<Finding> {
    let One { deployment, app, .. } = one;
    let mut findings = Findings::of(format!("app {app}"));
    let held = match documents::read(all, app, &mut findings).await {
        Some(held) => held,
        None => return findings.all,
    };
    if held.callers.is_null() && !held.unreadable.contains(&"callers") {
        let rest = [&held.vendors, &held.results, &held.apns, &held.settings];
        if held.unreadable.is_empty() && rest.into_iter().all(Value::is_null) {
            findings.fail(
                "there is no such app here",
                format!("`{}` makes it; another stage is named by --stage", one.command("add", "")),
            );
            return findings.all;
        }
        findings.fail(
            "it has no `callers` document, so nobody can call in its name",
            format!(
                "if it was deleted within the last week, restore it (`aws secretsmanager restore-secret`); else `{}` makes one",
                one.command("add", "")
            ),
        );
    }
    documents::secrets(one, &held, &mut findings);
    let sources = held.callers["hook_sources"].as_array().map_or(0, Vec::len);
    if let Some(secret) = first_valid(Kind::Hook, &held.callers, one.now()).filter(|_| is_safe) {
        reach::imkit(one, &secret, sources, &mut findings).await;
        if let Some(sdk_app_id) = held.settings["tencent"]["sdk_app_id"].as_u64() {
            let token = first_valid(Kind::Tencent, &held.callers, one.now());
            reach::tencent(one, &secret, sdk_app_id, token.as_deref(), &mut findings).await;
        }
    }
    fcm(one, &held.vendors, &mut findings).await;
    // One that cannot be read is told of already.
    let apns = ApnsDocument::parse(&held.apns.to_string()).unwrap_or_default();
    ios::look(one, &held.settings, &apns, &mut findings).await;
    let is_read = |name: &str| !held.unreadable.contains(&name);
    if is_read("vendors")
        && is_read("settings")
        && held.vendors["fcm"].is_null()
        && held.settings["sns"]["apns"].is_null()
        && held.settings["sns"]["apns_sandbox"].is_null()
    {
        findings.warn(
            "it has no vendor: nobody's phone is reached",
            format!("`{}`", one.command("update", &format!("--fcm service-account.json {SIGNING_KEY}"))),
        );
    }
    results(one, &held, &mut findings);
    triggers(one, &held.settings, &mut findings);
    if let Some(url) = held.callers["verify_url"].as_str() {
        match reach::anybody(deployment, url).await {
            Ok(()) => findings.ok("`verify_url` is reached"),
            Err(reason) => findings.fail(
                format!("`verify_url` is not reached: {reason}"),
                "Kinvey's users cannot sign in to register a phone; correct it in `callers`",
            ),
        }
    }
    findings.all
}

async fn fcm(one: One<'_>, held: &Value, findings: &mut Findings) {
    let fcm = &held["fcm"];
    if fcm.is_null() {
        return;
    }
    // A document that the functions cannot read is told of already.
    let Ok(vendor) = serde_json::from_value::<FcmVendor>(fcm.clone()) else { return };
    match vendors::fcm(&one.deployment.http, &vendor, one.now()).await {
        Ok(()) => {
            findings.ok(format!("FCM takes the service account of the project {}", vendor.service_account.project_id))
        }
        Err(trouble) => findings.trouble("FCM", trouble.is_passing(), &trouble.to_string()),
    }
}

fn results(one: One<'_>, held: &documents::Held, findings: &mut Findings) {
    let Some(url) = held.settings["results"]["url"].as_str() else { return };
    if first_valid(Kind::Results, &held.results, one.now()).is_none() {
        return findings.fail(
            "outcomes are to be posted, and there is no valid key to sign them with: they wait, and are given up after three days",
            format!("`{}` makes one: docs/results.md", one.command("rotate", "--only results")),
        );
    }
    if url.starts_with("http://") && !one.deployment.is_local() {
        return findings.warn("outcomes are posted without TLS", "give `results.url` an https address");
    }
    findings.ok("outcomes are signed and posted");
}

/// Whether rules that wait for tables and buses can hear of them.
fn triggers(one: One<'_>, settings: &Value, findings: &mut Findings) {
    let One { deployment, app, .. } = one;
    let rules = settings["triggers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (of_tables, of_buses) =
        (|rule: &&Value| !rule["on"]["table"].is_null(), |rule: &&Value| !rule["on"]["source"].is_null());
    let (tables, buses) = (rules.iter().filter(of_tables).count(), rules.iter().filter(of_buses).count());
    if tables + buses == 0 {
        return;
    }
    let parameter = |name: &str| deployment.parameters.get(name).map(String::as_str).unwrap_or_default();
    if !parameter("TriggerApps").split(',').any(|name| name.trim() == app.as_str()) {
        return findings.fail(
            format!("{} rules wait for tables or buses, and TriggerApps does not name the app", tables + buses),
            format!("deploy with {app} in TriggerApps: docs/triggers.md"),
        );
    }
    // On this machine events are handed over by hand.
    if deployment.is_local() {
        return findings.ok(format!("{} rules hear of tables and buses", tables + buses));
    }
    if tables > 0 && parameter("TriggerStreamArn").is_empty() {
        return findings.warn(
            format!("{tables} rules wait for a table, and TriggerStreamArn is empty"),
            "deploy with the ARN of its stream, or have your own function hand its batches over: docs/triggers.md",
        );
    }
    if buses > 0 && (parameter("TriggerEventBus").is_empty() || parameter("TriggerEventSource").is_empty()) {
        return findings.warn(
            format!("{buses} rules wait for a bus, and TriggerEventBus or TriggerEventSource is empty"),
            "deploy with both: docs/triggers.md",
        );
    }
    findings.ok(format!("{} rules hear of tables and buses", tables + buses));
}
