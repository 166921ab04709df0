#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::error::Error as _;

use serde_json::{Value, json};

use super::super::ward::{TOPIC, Ward, acme};
use super::{AppCommandError, Documents};

fn document(ward: &Ward, name: &str) -> Value {
    let path = ward.path(&format!("apps/acme/{name}.json"));
    std::fs::read_to_string(path).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn a_new_app_has_documents_secrets_and_an_application() {
    let ward = Ward::with_acme().await;
    let callers = document(&ward, "callers");
    for list in ["hook_secrets", "api_keys", "master_secrets", "app_secrets", "tencent_tokens"] {
        assert!(callers[list][0].as_str().is_some_and(|secret| secret.len() >= 43), "{list}");
    }
    assert_eq!(document(&ward, "apns")["production"]["topic"], TOPIC);
    assert_eq!(document(&ward, "results")["keys"].as_array().unwrap().len(), 1);
    let settings = document(&ward, "settings");
    assert_eq!(settings["sns"]["apns"], "arn:aws:sns:us-east-1:000000000000:app/APNS/acme_local");
    assert_eq!(settings["sns"]["environment"], "production");
    assert_eq!(settings["tencent"]["sdk_app_id"], 1_400_000_077u64);
    // The vendors have another port at the next start.
    let account = document(&ward, "vendors")["fcm"].clone();
    assert_eq!(
        (&account["endpoint"], &account["service_account"]["token_uri"]),
        (&json!("${VENDORS}"), &json!("${VENDORS}/token"))
    );
}

#[tokio::test]
async fn an_app_that_is_there_is_left_as_it_is() {
    let ward = Ward::with_acme().await;
    let before = document(&ward, "callers");
    let error = ward.add(&[]).await.unwrap_err();
    assert!(matches!(error, AppCommandError::Exists(_)), "{error}");
    assert_eq!(document(&ward, "callers"), before);
}

#[tokio::test]
async fn what_a_vendor_does_not_take_leaves_nothing_behind() {
    let ward = Ward::empty().await;
    ward.control("DELETE", &format!("vendors/apns/keys/{}", ward.key_id), &json!({})).await;
    let error = ward.add(&[]).await.unwrap_err();
    assert_eq!(error.to_string(), "APNs does not take these credentials, so nothing was changed");
    assert!(error.source().unwrap().to_string().starts_with("Apple does not know the key"));
    assert!(!std::path::Path::new(&ward.path("apps/acme")).exists());
    assert_eq!(ward.app(&["list"]).await.unwrap(), "The stage local has no apps. `app add <name>` makes one.");
}

#[tokio::test]
async fn a_vendor_that_cannot_be_asked_is_told_as_such_and_can_be_done_without() {
    use crate::faults::{Effect, Rule, Target};
    let ward = Ward::with_acme().await;
    let account = ward.control("POST", "vendors/fcm/accounts", &json!({ "project_id": "acme-two" })).await;
    let path = ward.write("two.json", &account.to_string());
    let before = document(&ward, "vendors");
    for (target, effect) in
        [(Target::Fcm, Effect::Unavailable { retry_after: 1 }), (Target::Oauth, Effect::Error429 { retry_after: 1 })]
    {
        ward.stack.aws.faults.replace(vec![Rule::new(target, effect)]).unwrap();
        let error = ward.app(&["update", "acme", "--fcm", &path]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "FCM could not be asked whether it takes these credentials (--untried registers them all the same), so nothing was changed"
        );
    }
    assert_eq!(document(&ward, "vendors"), before);
    let told = ward.app(&["update", "acme", "--fcm", &path, "--untried"]).await.unwrap();
    assert!(
        told.starts_with("NOT TRIED: the service account of the project acme-two. Google was asked too often"),
        "{told}"
    );
    assert!(told.contains(&format!("`doctor acme --url {}` tries it", ward.stack.url())), "{told}");
    assert_eq!(document(&ward, "vendors")["fcm"]["service_account"]["project_id"], "acme-two");
    ward.app(&["remove", "acme", "--yes"]).await.unwrap();
    let told: Value = serde_json::from_str(&ward.add(&["--untried", "--json"]).await.unwrap()).unwrap();
    assert_eq!(told["untried"], json!(["fcm"]));
    // What is refused stays refused.
    ward.stack.aws.faults.clear();
    let email = account["client_email"].as_str().unwrap();
    ward.control("DELETE", &format!("vendors/fcm/accounts/{email}"), &json!({})).await;
    let error = ward.app(&["update", "acme", "--fcm", &path, "--untried"]).await.unwrap_err();
    assert!(matches!(error, AppCommandError::Fcm(_)), "{error}");
}

#[tokio::test]
async fn apple_that_is_not_reached_is_told_as_such_and_can_be_done_without() {
    use clap::Parser as _;
    let ward = Ward::empty().await;
    let (_held, free) = crate::operator::ward::nobody();
    let mut deployment = ward.deployment().await;
    deployment.vendors = Some(format!("http://{free}"));
    let run = async |more: &str| {
        let key = ward.path("AuthKey.p8");
        let team = super::super::ward::TEAM;
        let line =
            format!("pushbell app add acme --apns {key} --key-id {} --team {team} --topic {TOPIC}{more}", ward.key_id);
        let command = crate::cli::Cli::parse_from(line.split(' ')).command;
        let Some(crate::cli::Command::App(asked)) = command else { panic!("the command `app`") };
        super::run(&deployment, &asked.command).await
    };
    let error = run("").await.unwrap_err();
    assert!(matches!(error, AppCommandError::ApnsUnasked(_)), "{error}");
    assert!(error.to_string().starts_with("APNs could not be asked whether it takes these credentials"), "{error}");
    let told = run(" --untried").await.unwrap().text;
    assert!(told.contains(&format!("- NOT TRIED: the signing key. {free} does not answer; see ")), "{told}");
    assert_eq!(document(&ward, "apns")["production"]["topic"], TOPIC);
}

#[tokio::test]
async fn a_command_that_broke_off_is_run_again() {
    let ward = Ward::with_acme().await;
    // As if it had ended before the last document, by which an app begins to exist.
    std::fs::remove_file(ward.path("apps/acme/callers.json")).unwrap();
    ward.add(&[]).await.unwrap();
    assert!(!document(&ward, "callers").is_null());
}

async fn application(ward: &Ward, bundle: &str) -> String {
    let deployment = ward.deployment().await;
    let sns = aws_sdk_sns::Client::new(&deployment.config);
    let key = json!({ "team_id": "TEAM999999", "topics": [bundle] });
    let key = ward.control("POST", "vendors/apns/keys", &key).await;
    let left = sns.create_platform_application().name("acme_local").platform("APNS");
    let left = left.attributes("PlatformCredential", key["key"].as_str().unwrap());
    let left = left.attributes("PlatformPrincipal", key["key_id"].as_str().unwrap());
    let left = left.attributes("ApplePlatformTeamID", "TEAM999999").attributes("ApplePlatformBundleID", bundle);
    left.send().await.unwrap().platform_application_arn().unwrap().to_owned()
}

#[tokio::test]
async fn an_application_that_was_left_behind_is_taken_and_another_apps_is_not() {
    let ward = Ward::empty().await;
    let arn = application(&ward, TOPIC).await;
    ward.add(&[]).await.unwrap();
    assert_eq!(document(&ward, "settings")["sns"]["apns"], arn.as_str());
    let sns = aws_sdk_sns::Client::new(&ward.deployment().await.config);
    let got = sns.get_platform_application_attributes().platform_application_arn(&arn).send().await.unwrap();
    assert_eq!(got.attributes().unwrap()["ApplePlatformTeamID"], super::super::ward::TEAM);

    let ward = Ward::empty().await;
    application(&ward, "com.example.other").await;
    let error = ward.add(&[]).await.unwrap_err();
    assert!(matches!(error, AppCommandError::Application(_)), "{error}");
    assert!(document(&ward, "callers").is_null());
}

#[tokio::test]
async fn an_application_that_is_gone_is_made_anew() {
    let ward = Ward::with_acme().await;
    let sns = aws_sdk_sns::Client::new(&ward.deployment().await.config);
    let arn = "arn:aws:sns:us-east-1:000000000000:app/APNS/acme_local";
    sns.delete_platform_application().platform_application_arn(arn).send().await.unwrap();
    let key = ward.path("AuthKey.p8");
    let line = [
        "update",
        "acme",
        "--apns",
        &key,
        "--key-id",
        &ward.key_id,
        "--team",
        super::super::ward::TEAM,
        "--topic",
        TOPIC,
    ];
    ward.app(&line).await.unwrap();
    sns.get_platform_application_attributes().platform_application_arn(arn).send().await.unwrap();
}

#[tokio::test]
async fn secrets_of_the_system_that_an_app_comes_from_stay_valid_beside_the_fresh_ones() {
    let ward = Ward::empty().await;
    let kept =
        ward.write("kinvey.json", r#"{"master_secrets": ["of-kinveys-console"], "hook_sources": ["127.0.0.1"]}"#);
    let told = ward.add(&["--callers", &kept]).await.unwrap();
    assert!(!told.contains("of-kinveys-console"));
    let callers = document(&ward, "callers");
    assert_eq!(callers["master_secrets"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&callers["master_secrets"][1], &callers["hook_sources"]),
        (&json!("of-kinveys-console"), &json!(["127.0.0.1"]))
    );
    let wrong = ward.write("wrong.json", r#"{"master": ["s3cret"]}"#);
    let error = ward.app(&["add", "other", "--callers", &wrong]).await.unwrap_err();
    let told = format!("{error}: {}", error.source().unwrap());
    assert!(told.contains("wrong.json cannot be used") && !told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn a_key_of_outcomes_that_somebody_else_was_shown_stays_valid() {
    let ward = Ward::empty().await;
    let results = ["--results", "https://api.example.net/outcomes"];
    ward.add(&results).await.unwrap();
    let theirs = document(&ward, "results")["keys"][0].clone();
    // As if they were about to write `callers`.
    std::fs::remove_file(ward.path("apps/acme/callers.json")).unwrap();
    let told = ward.add(&results).await.unwrap();
    let keys = document(&ward, "results")["keys"].clone();
    assert_eq!((keys.as_array().map(Vec::len), &keys[1]), (Some(2), &theirs));
    let own = keys[0].as_str().or_else(|| keys[0]["key"].as_str()).or_else(|| keys[0]["value"].as_str());
    assert!(told.contains(own.unwrap()), "{told}");
}

#[tokio::test]
async fn settings_that_were_put_first_stay() {
    let ward = Ward::empty().await;
    let given = json!({ "zone": "Europe/Berlin", "openim": { "always_list": true } });
    ward.edit("settings", |settings| *settings = given).await;
    let told = ward.add(&["--title", "Acme", "--openim", "deliver"]).await.unwrap();
    assert!(told.contains(&format!("`doctor acme --url {}`", ward.stack.url())), "{told}");
    let settings = document(&ward, "settings");
    assert_eq!((&settings["zone"], &settings["title"]), (&json!("Europe/Berlin"), &json!("Acme")));
    assert_eq!(settings["openim"], json!({ "always_list": true, "mode": "deliver" }));
}

#[tokio::test]
async fn settings_that_somebody_else_changed_meanwhile_stay_as_they_left_them() {
    let ward = Ward::empty().await;
    let deployment = ward.deployment().await;
    let documents = Documents::new(&deployment).unwrap();
    // None are there, then some are.
    for zone in ["Europe/Berlin", "Asia/Tokyo"] {
        let mut late = documents.settings_to_change(&acme()).await.unwrap();
        let mut first = documents.settings_to_change(&acme()).await.unwrap();
        first.value["zone"] = json!(zone);
        documents.put_settings(&acme(), &first).await.unwrap();
        late.value["title"] = json!("Acme");
        let error = documents.put_settings(&acme(), &late).await.unwrap_err();
        assert!(matches!(error, super::DocumentError::SettingsChanged(_)), "{error}");
        assert_eq!(documents.settings(&acme()).await.unwrap(), Some(json!({ "zone": zone })));
    }
}

#[tokio::test]
async fn devices_that_do_not_say_stay_of_the_service_that_they_are_of() {
    let ward = Ward::with_acme().await;
    let key = ward.path("AuthKey.p8");
    let team = super::super::ward::TEAM;
    let line =
        ["update", "acme", "--apns", &key, "--key-id", &ward.key_id, "--team", team, "--topic", TOPIC, "--sandbox"];
    let told = ward.app(&line).await.unwrap();
    assert!(told.contains("Devices that do not say are of \"production\"."), "{told}");
    let settings = document(&ward, "settings");
    assert_eq!(settings["sns"]["environment"], "production");
    assert_eq!(settings["sns"]["apns_sandbox"], "arn:aws:sns:us-east-1:000000000000:app/APNS_SANDBOX/acme_local");
}

#[tokio::test]
async fn a_removed_app_can_be_made_again_with_other_secrets() {
    let ward = Ward::with_acme().await;
    let old = document(&ward, "callers")["hook_secrets"][0].clone();
    ward.app(&["remove", "acme", "--yes"]).await.unwrap();
    assert!(document(&ward, "callers").is_null());
    ward.add(&[]).await.unwrap();
    let new = document(&ward, "callers")["hook_secrets"].clone();
    assert_eq!(new.as_array().map(Vec::len), Some(1));
    assert_ne!(new[0], old);
}

#[tokio::test]
async fn an_application_of_other_hands_outlives_the_app() {
    let ward = Ward::with_acme().await;
    ward.edit("settings", |settings| {
        settings["sns"] = json!({ "apns": "arn:aws:sns:us-east-1:000000000000:app/APNS/demo" })
    })
    .await;
    let told = ward.app(&["remove", "acme", "--yes"]).await.unwrap();
    assert!(told.contains("app/APNS/demo stays: it was not made by `app add`"), "{told}");
}

#[tokio::test]
async fn files_that_are_something_else_are_named() {
    let ward = Ward::empty().await;
    let services = ward.write("google-services.json", r#"{"project_info": {"project_id": "acme-chat"}}"#);
    let error = ward.app(&["add", "acme", "--fcm", &services]).await.unwrap_err().to_string();
    assert!(error.contains("is the file that the Android app is built with"), "{error}");
    let half = ward.write("half.json", r#"{"project_id": "acme-chat", "client_email": "a@b"}"#);
    let error = ward.app(&["add", "acme", "--fcm", &half]).await.unwrap_err().to_string();
    assert!(error.contains("has no private_key"), "{error}");
    let error = ward.app(&["add", "acme", "--fcm", &ward.path("nowhere.json")]).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot read "), "{error}");
    let ids = ["--key-id", "ABC123DEFG", "--team", "TEAM123456", "--topic", TOPIC];
    let error = ward.app(&[&["add", "acme", "--apns", &half], &ids[..]].concat()).await.unwrap_err().to_string();
    assert!(error.contains("half.json has no such PEM block; --apns takes a signing key"), "{error}");
    let line = ["add", "acme", "--apns-certificate", &half, "--apns-private-key", &half];
    let error = ward.app(&line).await.unwrap_err().to_string();
    assert!(
        error.contains("`openssl pkcs12 -legacy -in apns.p12 -nodes -out apns.pem` (without -legacy on"),
        "{error}"
    );
    // Google's key is an RSA one.
    let google = ward.write("google.pem", ward.account["private_key"].as_str().unwrap());
    let error = ward.app(&[&["add", "acme", "--apns", &google], &ids[..]].concat()).await.unwrap_err();
    assert!(error.source().unwrap().to_string().starts_with("key is no signing key of Apple's"), "{error}");
    let key = ward.path("AuthKey.p8");
    let line = ["add", "acme", "--apns", &key, "--key-id", "short", "--team", "TEAM123456", "--topic", TOPIC];
    let error = ward.app(&line).await.unwrap_err().to_string();
    assert!(error.contains("key_id is ten capital letters and digits"), "{error}");
}

#[tokio::test]
async fn a_development_build_has_apples_sandbox() {
    let ward = Ward::empty().await;
    ward.add(&["--sandbox"]).await.unwrap();
    let settings = document(&ward, "settings");
    assert_eq!(settings["sns"]["apns_sandbox"], "arn:aws:sns:us-east-1:000000000000:app/APNS_SANDBOX/acme_local");
    assert_eq!((&settings["sns"]["apns"], &settings["sns"]["environment"]), (&Value::Null, &json!("sandbox")));
}

#[tokio::test]
async fn other_credentials_take_the_place_of_the_old_ones_and_leave_the_rest() {
    let ward = Ward::with_acme().await;
    let account = ward.control("POST", "vendors/fcm/accounts", &json!({ "project_id": "acme-two" })).await;
    let path = ward.write("two.json", &account.to_string());
    let told = ward.app(&["update", "acme", "--fcm", &path]).await.unwrap();
    assert!(told.starts_with("FCM takes the service account of the project acme-two."), "{told}");
    assert_eq!(document(&ward, "vendors")["fcm"]["service_account"]["project_id"], "acme-two");
    assert_eq!(document(&ward, "settings")["tencent"]["sdk_app_id"], 1_400_000_077u64);
    assert!(matches!(ward.app(&["update", "acme"]).await, Err(AppCommandError::NothingGiven)));
    assert!(matches!(ward.app(&["update", "nobody", "--fcm", &path]).await, Err(AppCommandError::Unknown(_))));
}

#[tokio::test]
async fn rotated_secrets_are_shown_once_and_the_old_ones_last_a_day() {
    let ward = Ward::with_acme().await;
    let old = document(&ward, "callers")["hook_secrets"][0].as_str().unwrap().to_owned();
    let told = ward.app(&["rotate", "acme", "--only", "hook,results"]).await.unwrap();
    let callers = document(&ward, "callers");
    let new = callers["hook_secrets"][0].as_str().unwrap();
    assert!(new != old && told.contains(&format!("/hooks/acme/{new}/imkit")) && !told.contains(&old));
    assert_eq!(callers["hook_secrets"][1]["value"], old.as_str());
    let day_ahead = pushbell::time::Timestamp::now().as_millis() + 86_400_000;
    assert!(callers["hook_secrets"][1]["until"].as_u64().unwrap().abs_diff(day_ahead) < 60_000);
    assert_eq!(callers["master_secrets"].as_array().unwrap().len(), 1);
    assert_eq!(document(&ward, "results")["keys"].as_array().unwrap().len(), 2);
    // Without a name all that the app has.
    ward.app(&["rotate", "acme", "--keep", "0"]).await.unwrap();
    let callers = document(&ward, "callers");
    assert_eq!(callers["master_secrets"].as_array().unwrap().len(), 2);
    assert!(matches!(ward.app(&["rotate", "nobody"]).await, Err(AppCommandError::Unknown(_))));
}

/// A new secret that is not shown holds, and nobody has it.
#[tokio::test]
async fn whatever_is_rotated_alone_is_shown() {
    use clap::ValueEnum as _;
    let ward = Ward::empty().await;
    ward.add(&[]).await.unwrap();
    for kind in super::Kind::value_variants() {
        let name = kind.to_possible_value().unwrap().get_name().to_owned();
        let told = ward.app(&["rotate", "acme", "--only", &name]).await.unwrap();
        let (place, list) = kind.place();
        let fresh = document(&ward, place)[list][0].clone();
        let secret = fresh.as_str().or_else(|| fresh["key"].as_str()).or_else(|| fresh["value"].as_str());
        let secret = secret.unwrap_or_else(|| panic!("{fresh}"));
        assert!(told.contains(secret), "{name}: {told}");
    }
}

#[tokio::test]
async fn who_has_public_keys_only_is_given_no_shared_one_and_app_secrets_stay() {
    let ward = Ward::with_acme().await;
    ward.edit("callers", |callers| callers["user_keys"] = json!([{ "alg": "ES256", "key": "pem" }])).await;
    let before = document(&ward, "callers");
    let told: Value = serde_json::from_str(&ward.app(&["rotate", "acme", "--json"]).await.unwrap()).unwrap();
    let after = document(&ward, "callers");
    assert_eq!((&after["user_keys"], &after["app_secrets"]), (&before["user_keys"], &before["app_secrets"]));
    assert_ne!(after["hook_secrets"], before["hook_secrets"]);
    assert_eq!((&told["failed"], &told["secrets"]["user_keys"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_rotation_that_half_failed_shows_what_was_written_and_what_was_not() {
    use crate::faults::{Effect, Rule, Target};
    let ward = Ward::with_acme().await;
    let rule = Rule::new(Target::Secrets, Effect::Refuse).action("PutSecretValue").body_contains("acme/results");
    ward.stack.aws.faults.add(rule).unwrap();
    let told = ward.told(&["rotate", "acme"]).await.unwrap();
    assert!(!told.is_complete && told.secrets_of == Some(acme()));
    let told = told.text;
    assert!(
        told.starts_with("NOT ALL WAS DONE: Secrets Manager did not write pushbell/local/apps/acme/results"),
        "{told}"
    );
    let hook = document(&ward, "callers")["hook_secrets"][0].as_str().unwrap().to_owned();
    assert!(told.contains(&hook) && !told.contains("whsec_"), "{told}");
}

#[tokio::test]
async fn who_may_only_replace_secrets_can_rotate() {
    use crate::faults::{Effect, Rule, Target};
    let ward = Ward::with_acme().await;
    ward.stack.aws.faults.add(Rule::new(Target::Secrets, Effect::Refuse).action("CreateSecret")).unwrap();
    assert!(ward.told(&["rotate", "acme"]).await.unwrap().is_complete);
}

#[tokio::test]
async fn a_first_token_of_tencents_comes_with_a_word_of_haste() {
    let ward = Ward::empty().await;
    ward.add(&["--tencent", "1400000077"]).await.unwrap();
    let told = ward.app(&["rotate", "acme", "--only", "tencent"]).await.unwrap();
    assert!(!told.contains("were not signed so far"), "{told}");
    ward.edit("callers", |callers| callers["tencent_tokens"] = json!([])).await;
    let told = ward.app(&["rotate", "acme", "--only", "tencent"]).await.unwrap();
    assert!(told.contains("Tencent's callbacks were not signed so far"), "{told}");
    let token = document(&ward, "callers")["tencent_tokens"][0].as_str().unwrap().to_owned();
    assert!(told.ends_with(&format!("switch authentication on\n\n    Token: {token}")), "{told}");
}

#[tokio::test]
async fn what_was_deleted_is_not_valid_again_in_silence() {
    use crate::faults::{Effect, Rule, Target};
    let ward = Ward::with_acme().await;
    ward.app(&["remove", "acme", "--yes"]).await.unwrap();
    let faults = &ward.stack.aws.faults;
    let refuse = |action: &str| Rule::new(Target::Secrets, Effect::Refuse).action(action).body_contains("acme/callers");
    let put = faults.add(refuse("PutSecretValue")).unwrap();
    let error = ward.add(&[]).await.unwrap_err();
    assert!(error.to_string().starts_with("Secrets Manager did not write pushbell/local/apps/acme/callers"), "{error}");
    assert!(document(&ward, "callers").is_null(), "deleted again");
    let delete = faults.add(refuse("DeleteSecret")).unwrap();
    let error = ward.add(&[]).await.unwrap_err().to_string();
    let next = format!("what it held is valid again; run `app remove acme --yes --url {}`", ward.stack.url());
    assert!(error.ends_with(&next), "{error}");
    faults.remove(put);
    faults.remove(delete);
    ward.app(&["remove", "acme", "--yes"]).await.unwrap();
    ward.add(&[]).await.unwrap();
}

#[tokio::test]
async fn a_removal_that_breaks_off_names_what_is_gone() {
    use crate::faults::{Effect, Rule, Target};
    let ward = Ward::with_acme().await;
    let faults = &ward.stack.aws.faults;
    let rule = Rule::new(Target::Secrets, Effect::Refuse).action("DeleteSecret").body_contains("acme/results");
    let rule = faults.add(rule).unwrap();
    let error = ward.told(&["remove", "acme", "--yes"]).await.unwrap_err();
    let url = ward.stack.url();
    assert_eq!(
        error.to_string(),
        format!("gone of acme so far: callers, vendors; run `app remove acme --yes --url {url}` again for the rest")
    );
    assert!(error.source().unwrap().to_string().starts_with("Secrets Manager did not delete"));
    faults.remove(rule);
    let rule = faults.add(Rule::new(Target::Sns, Effect::Refuse).action("DeletePlatformApplication")).unwrap();
    let told = ward.told(&["remove", "acme", "--yes"]).await.unwrap();
    let rest = format!("The settings stay, so that `app remove acme --yes --url {url}` does the rest.");
    assert!(!told.is_complete && told.text.contains("\nNOT REMOVED: ") && told.text.ends_with(&rest), "{told:?}");
    faults.remove(rule);
    let told = ward.told(&["remove", "acme", "--yes"]).await.unwrap();
    let what = "Removed of acme: arn:aws:sns:us-east-1:000000000000:app/APNS/acme_local, settings.";
    assert!(told.is_complete && told.text.starts_with(what), "{told:?}");
}

#[tokio::test]
async fn what_is_shown_of_an_app_is_no_secret() {
    let ward = Ward::with_acme().await;
    let shown = ward.app(&["show", "acme"]).await.unwrap();
    for line in
        ["  hook_secrets: 1 for good", "  FCM: project acme-chat", "of the team TEAM123456, for com.example.acme"]
    {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let both = format!("{shown}{}", ward.app(&["show", "acme", "--json"]).await.unwrap());
    let callers = document(&ward, "callers");
    for list in ["hook_secrets", "api_keys", "master_secrets", "app_secrets", "tencent_tokens"] {
        assert!(!both.contains(callers[list][0].as_str().unwrap()), "{list}");
    }
    assert!(!both.contains("PRIVATE KEY") && !both.contains("whsec_"));
    assert_eq!(ward.app(&["list"]).await.unwrap(), "acme: apns, callers, results, vendors");
}

#[tokio::test]
async fn an_app_is_removed_when_that_is_said_twice() {
    let ward = Ward::with_acme().await;
    let told = ward.app(&["remove", "acme"]).await.unwrap();
    assert!(told.contains("Pass --yes to do it") && !document(&ward, "callers").is_null(), "{told}");
    let told = ward.app(&["remove", "acme", "--yes"]).await.unwrap();
    let what = "Removed of acme: callers, vendors, results, apns, arn:aws:sns:us-east-1:000000000000:app/APNS/acme_local, settings.";
    assert!(told.starts_with(what), "{told}");
    let deployment = ward.deployment().await;
    let documents = Documents::new(&deployment).unwrap();
    assert_eq!(documents.settings(&acme()).await.unwrap(), None);
    assert!(documents.list().await.unwrap().is_empty());
    assert!(matches!(ward.app(&["remove", "acme"]).await, Err(AppCommandError::Unknown(_))));
}

#[tokio::test]
async fn a_name_that_is_no_apps_is_refused_by_the_command_line() {
    use clap::Parser as _;
    for name in ["..", ".hidden", "a/b", ""] {
        assert!(crate::cli::Cli::try_parse_from(["pushbell", "app", "show", name]).is_err(), "{name}");
    }
}
