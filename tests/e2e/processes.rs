//! The real function binaries on an emulated Lambda Runtime API.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushbell_local::phones::Channel;
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::Options;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::bell::{Bell, Caller, binaries, processes, text_message};

fn options() -> Options {
    Options { processes: Some(processes(2, Output::Hidden)), ..Options::test() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_binaries_do_the_main_job() {
    let bell = Bell::start_with(options()).await;
    bell.caller.register("aaa", "ios", "a1b2c3").await;
    bell.caller.register("bbb", "android", "fcm-bbb").await;
    let clients: Vec<String> = (0..150).map(|n| format!("c{n}")).collect();
    let mut names: Vec<&str> = clients.iter().map(String::as_str).collect();
    names.extend(["aaa", "bbb"]);
    let answer = bell.caller.imkit(&text_message("m1", &names)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    bell.stack.phones.wait_for(Channel::Sns, "a1b2c3", 1).await.unwrap();
    bell.stack.phones.wait_for(Channel::Fcm, "fcm-bbb", 1).await.unwrap();
    bell.settled().await;
    assert_eq!(bell.iphone("a1b2c3")[0].badge, Some(1));
    bell.stack.tick("retry").await.unwrap().unwrap();
    bell.stack.stop().await;
}

/// Reads to the end, so that the process is never held up by a full pipe.
async fn collect(mut from: impl AsyncRead + Unpin, into: Arc<Mutex<String>>) {
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut chunk).await {
        into.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..n]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_secret_or_text_reaches_a_log() {
    let mut child = Command::new(binaries().join("pushbell"))
        .args(["--listen", "127.0.0.1:0", "--processes"])
        .env("AWS_LAMBDA_LOG_LEVEL", "TRACE")
        .env("RUST_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let readers = [
        tokio::spawn(collect(child.stdout.take().unwrap(), Arc::clone(&log))),
        tokio::spawn(collect(child.stderr.take().unwrap(), Arc::clone(&log))),
    ];
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    let url = loop {
        clock.tick().await;
        let so_far = log.lock().unwrap().clone();
        if let Some(url) = so_far.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:"))
            && so_far.contains("/phones")
        {
            break url.trim_end_matches('/').to_owned();
        }
    };
    // What it says at its start is for the person who started it: the demo app's credentials are printed on purpose.
    let greeting = log.lock().unwrap().len();
    let caller = Caller::new(url);
    caller.register("aaa", "ios", "5ec2e77042").await;
    caller.register("aaa", "android", "fcm-5ec2e7-token").await;
    let mut body = text_message("m1", &["aaa"]);
    body["message"] = serde_json::json!("a very private text");
    assert_eq!(caller.imkit(&body).await.status, 200);
    while caller.get("/phones", &[]).await.json().as_array().map_or(0, Vec::len) < 2 {
        clock.tick().await;
    }
    // OpenIM's way, delivered by us; 101 recipients go through every function.
    let phone = r#"{"platform": "android", "deviceId": "fcm-5ec2e7-other", "userId": "openim-5ec2e7"}"#;
    let headers = [("authorization", "Basic ZGVtby1kZWxpdmVyOmRlbW8tbWFzdGVy"), ("content-type", "application/json")];
    assert_eq!(caller.send("POST", "/push/demo-deliver/register-device", &headers, phone).await.status, 204);
    let clients: Vec<String> = (0..100).map(|n| format!("c{n}")).chain(["openim-5ec2e7".to_owned()]).collect();
    let hook = serde_json::json!({
        "callbackCommand": "callbackBeforeOfflinePushCommand", "userIDList": clients, "clientMsgID": "m-5ec2e7",
        "sendID": "sender-5ec2e7", "groupID": "group-5ec2e7", "contentType": 101, "sessionType": 3,
        "content": r#"{"content":"a very private text"}"#
    });
    let operation = [("operationID", "operation-1767225600123")];
    let answer = caller.post("/hooks/demo-deliver/demo-secret/openim", &operation, &hook).await;
    assert_eq!(answer.json()["errCode"], 5001, "{}", answer.text);
    while caller.get("/phones", &[]).await.json().as_array().map_or(0, Vec::len) < 3 {
        clock.tick().await;
    }
    // Lanying's way; and the app's own credential is read.
    let admin = crate::notify::token("demo", "admin", "console");
    let lanying = [("app_id", "demo"), ("access-token", admin.as_str())];
    let push = serde_json::json!({
        "audience": {"alias": ["alias-5ec2e7"]}, "setting": {"request_id": "request-5ec2e7"},
        "message": {"title": "a very private text", "ext": {"key-5ec2e7": 1}},
    });
    for push in [&push, &serde_json::json!({"audience": {"tag": ["tag-5ec2e7\n"]}, "message": {"body": "x"}})] {
        assert_eq!(caller.post("/push/notify", &lanying, push).await.status, 200);
    }
    let certificate = caller.get("/push/certificate?provider=7", &lanying).await;
    assert!(certificate.text.contains("PRIVATE KEY"), "{}", certificate.text);
    caller.post("/hooks/demo-deliver/wrong-but-private/openim", &operation, &hook).await;
    caller.post("/hooks/demo/wrong-but-private/imkit", &[], &body).await;
    // Ctrl-C, so that everything that was to be written is written.
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    let end = child.wait().await.unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
    let log = log.lock().unwrap()[greeting..].to_owned();
    assert!(log.contains("chunk"), "the functions' logs are in it: {log}");
    for message in ["\"hook answered\"", "\"cut\"", "\"chunk\""] {
        let line = log.lines().find(|line| line.contains(message) && line.contains("operation-1767225600123"));
        assert!(line.is_some(), "{message:?} does not say for which operation: {log}");
    }
    let secrets = ["demo-secret", "wrong-but-private", "demo-master", "PRIVATE KEY", admin.as_str()];
    for private in secrets.into_iter().chain(["5ec2e7", "a very private text"]) {
        let place = log.lines().find(|line| line.contains(private));
        assert_eq!(place, None, "{private} is in the log");
    }
    assert!(end.success(), "Ctrl-C ends it cleanly: {end:?}");
}
