//! From nothing to a notification, with what `app add` prints, pasted as it is.

use std::process::Stdio;

use clap::Parser as _;
use pushbell::time::Timestamp;
use pushbell_local::cli::{Cli, Command};
use pushbell_local::operator::{Deployment, Where, app};
use pushbell_local::phones::{Channel, View};
use pushbell_local::stack::Options;
use serde_json::{Value, json};

use crate::bell::Bell;

/// The line that begins with `label`, without it.
#[track_caller]
fn line<'a>(told: &'a str, label: &str) -> &'a str {
    let found = told.lines().find_map(|line| line.trim_start().strip_prefix(label));
    found.unwrap_or_else(|| panic!("{label} in {told}"))
}

#[tokio::test]
async fn the_printed_lines_work_as_they_are() {
    let files = tempfile::tempdir().unwrap();
    let apps = files.path().join("apps");
    std::fs::create_dir(&apps).unwrap();
    let bell = Bell::start_with(Options { apps, ..Options::test() }).await;

    // What Google and Apple give a team.
    let account = bell.caller.post("/_local/vendors/fcm/accounts", &[], &json!({ "project_id": "acme-chat" })).await;
    let key = json!({ "team_id": "TEAM123456", "topics": ["com.example.acme"] });
    let key = bell.caller.post("/_local/vendors/apns/keys", &[], &key).await.json();
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("service-account.json"), &account.text).unwrap();
    std::fs::write(path("AuthKey.p8"), key["key"].as_str().unwrap()).unwrap();

    let (url, account, p8) = (bell.stack.url(), path("service-account.json"), path("AuthKey.p8"));
    let typed = [
        "pushbell",
        "app",
        "add",
        "acme",
        "--fcm",
        &account,
        "--apns",
        &p8,
        "--key-id",
        key["key_id"].as_str().unwrap(),
        "--team",
        "TEAM123456",
        "--topic",
        "com.example.acme",
        "--tencent",
        "1400000077",
        "--openim",
        "deliver",
        "--url",
        &url,
    ];
    let Some(Command::App(asked)) = Cli::parse_from(typed).command else { panic!("the command `app`") };
    let place = Where { url: Some(url.clone()), ..Where::default() };
    let deployment = Deployment::find(&place).await.unwrap();
    let told = app::run(&deployment, &asked.command).await.unwrap().text;
    let at = |address: &str| address.strip_prefix(url.as_str()).expect("an address of the stack").to_owned();

    // Kinvey: an Android phone.
    let (key, secret) = (line(&told, "app key: "), line(&told, "master secret: "));
    let basic = format!("Basic {}", encoded(&format!("{key}:{secret}")));
    let phone = json!({ "platform": "android", "deviceId": "fMx1-acme:APA91bFAKE", "userId": "aaa" });
    let answer = bell.caller.post(&format!("/push/{key}/register-device"), &[("authorization", &basic)], &phone).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));

    // IMKIT's own call: an iPhone.
    let api_key = line(&told, "IM-API-KEY: ");
    let phone = json!({ "type": "ios", "token": "fa4e".repeat(16), "deviceId": "iphone", "clientId": "bbb" });
    let answer = bell.caller.post("/me/subscribe", &[("im-api-key", api_key)], &phone).await;
    assert_eq!((answer.status, &answer.json()["RC"]), (200, &json!(0)));

    // IMKIT: PUSH_GENERIC, then BADGE.
    let message = json!({
        "_id": "m1", "messageType": "text", "message": "lala", "room": "r1", "roomName": "Room", "sender": { "_id": "s", "nickname": "S" },
        "pushToClients": ["aaa", "bbb"],
    });
    let answer = bell.caller.post(&at(line(&told, "PUSH_GENERIC=")), &[], &message).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(2)));
    bell.settled().await;
    for (channel, token) in [(Channel::Fcm, "fMx1-acme:APA91bFAKE".to_owned()), (Channel::Sns, "fa4e".repeat(16))] {
        let phones = bell.stack.phones.list(View::Received, Some(&token)).unwrap();
        let [phone] = phones.as_slice() else { panic!("one phone: {phones:?}") };
        assert_eq!((phone.channel, phone.notifications.len()), (channel, 1));
    }
    let badge = bell.caller.get(&format!("{}/aaa", at(line(&told, "BADGE="))), &[]).await;
    assert_eq!(badge.status, 200, "{badge:?}");
    assert!(badge.text.contains('1'), "{badge:?}");

    // OpenIM: the block as YAML, as config/webhooks.yml has it.
    let begin = told.find("    url: ").expect("the block of webhooks.yml");
    let block: String =
        told[begin..].lines().take_while(|line| !line.is_empty()).map(|line| format!("{}\n", &line[4..])).collect();
    let webhooks: Value = serde_yaml_ng::from_str(&block).unwrap();
    assert_eq!(webhooks["beforeOfflinePush"], json!({ "enable": true, "timeout": 5, "failedContinue": true }));
    let command = "callbackBeforeOfflinePushCommand";
    let hook = format!("{}/{command}", at(webhooks["url"].as_str().unwrap()));
    let push = json!({
        "callbackCommand": command, "userIDList": ["aaa"], "clientMsgID": "m2", "sendID": "sss", "groupID": "g", "contentType": 101, "sessionType": 3,
        "content": "{\"content\": \"gate 4 is open\"}",
    });
    // On a slow machine the first hooks are answered before the app's documents are read.
    let mut online = push.clone();
    online["callbackCommand"] = json!("callbackBeforeOnlinePushCommand");
    while bell.caller.post(&hook, &[], &online).await.json()["errMsg"] == "unavailable" {}
    let answer = bell.caller.post(&hook, &[("operationid", "1")], &push).await.json();
    // So OpenIM is told that the push is taken over.
    assert_eq!((&answer["errMsg"], &answer["nextCode"]), (&json!("handled"), &json!(1)), "{answer}");
    bell.settled().await;
    let phones = bell.stack.phones.list(View::Received, Some("fMx1-acme:APA91bFAKE")).unwrap();
    assert_eq!(phones[0].notifications.len(), 2);

    // Tencent: address and token.
    let (hook, token) = (at(line(&told, "URL: ")), line(&told, "Token: "));
    let time = Timestamp::now().as_secs();
    let sign = sha256(&format!("{token}{time}"));
    let events = json!({ "Events": [{
        "CallbackCommand": "Push.OfflinePush", "EventType": 2, "EventTime": time, "From_Account": "ana", "To_Account": "cy", "PushPlatform": 1, "PushStage": 1,
        "GroupID": "@TGS#2DEMO77", "MsgSeq": 512, "MsgTime": time, "PushID": "69560c00_b60a_200001_78", "ErrCode": 0, "ErrInfo": "",
    }] });
    let query =
        format!("SdkAppid=1400000077&CallbackCommand=Push.OfflinePush&contenttype=json&Sign={sign}&RequestTime={time}");
    let tell = async || bell.caller.post(&format!("{hook}?{query}"), &[], &events).await;
    let mut answer = tell().await;
    while answer.status == 503 {
        answer = tell().await;
    }
    assert_eq!((answer.status, &answer.json()["ActionStatus"]), (200, &json!("OK")), "{answer:?}");

    // Lanying: the printed admin's token.
    let admin =
        told.lines().find(|line| line.contains("access-token of an admin")).unwrap().rsplit(' ').next().unwrap();
    let headers = [("app_id", line(&told, "app_id: ")), ("access-token", admin)];
    let notice = json!({ "audience": { "user_id": ["aaa"] }, "message": { "title": "t", "body": "b" } });
    let answer = bell.caller.post("/push/notify", &headers, &notice).await;
    assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(200)), "{answer:?}");
}

fn encoded(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn sha256(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Secrets are shown once. Where nobody could read them, the command has failed, and says how to have others.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_could_not_be_shown_are_a_failure() {
    let files = tempfile::tempdir().unwrap();
    let bell = Bell::start_with(Options { apps: files.path().to_owned(), ..Options::test() }).await;
    let url = bell.stack.url();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = tokio::process::Command::new(crate::bell::binaries().join("pushbell"));
    command.args(["app", "add", "acme", "--json", "--url", &url]).stdout(full).stderr(Stdio::piped());
    let ended = command.spawn().unwrap().wait_with_output().await.unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    let next = format!("standard output takes nothing. Make others: `app rotate acme --url {url}`, ");
    assert!(told.starts_with("pushbell: the new secrets of acme hold") && told.contains(&next), "{told}");
}
