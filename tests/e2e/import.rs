//! Devices that another system knew: imported by the operator's command, pushed to, and registered again by their apps.

use std::path::Path;

use pushbell::delivery::sns::Endpoints;
use pushbell::id::{AppId, Token};
use pushbell_local::operator::import::{self, Format, Import, Outcome};
use pushbell_local::operator::{Deployment, Where};
use serde_json::{Value, json};

use crate::bell::{API_KEY, Bell, MASTER, text_message};

const APPLICATION: &str = "arn:aws:sns:us-east-1:000000000000:app/APNS/demo";

impl Bell {
    async fn imports(&self, from: Format, content: &str) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("input");
        std::fs::write(&file, content).unwrap();
        self.imports_file(from, &file).await
    }

    async fn imports_file(&self, from: Format, file: &Path) -> Outcome {
        let place = Where { url: Some(self.stack.url()), ..Where::default() };
        let deployment = Deployment::find(&place).await.unwrap();
        let app = AppId::parse("demo").unwrap();
        let args = Import { file: file.to_owned(), app, from, dry_run: false, concurrency: 16, place };
        import::run(&deployment, &args, &mut Vec::new()).await.unwrap()
    }

    async fn devices(&self, user: &str) -> Vec<Value> {
        let answer = self.caller.get(&format!("/push/demo/devices?userId={user}"), &[MASTER]).await;
        answer.json()["_messaging"]["pushTokens"].as_array().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_iphone_is_pushed_to_by_the_endpoint_that_it_had_and_an_android_phone_by_fcm() {
    let bell = Bell::start().await;
    let endpoint = Endpoints::new(&bell.operator()).create(APPLICATION, &Token::parse("0a01").unwrap()).await.unwrap();
    let arn = Endpoints::arn(APPLICATION, &endpoint).unwrap();
    let foreign = arn.replace("000000000000", "123456789012");
    let documents = json!([{"_id": "joe", "_messaging": {"pushTokens": [
        {"token": "a1", "platform": "android", "arn": null},
        {"token": "0a01", "platform": "ios", "arn": arn},
    ]}}, {"_id": "ann", "_messaging": {"pushTokens": [{"token": "0a02", "platform": "ios", "arn": foreign}]}}]);
    let outcome = bell.imports(Format::Kinvey, &documents.to_string()).await;
    assert_eq!((outcome.counts.imported, outcome.exit_code()), (3, 0));
    let of_joe = bell.devices("joe").await;
    assert!(of_joe.iter().any(|device| device["arn"] == json!(arn)), "{of_joe:?}");

    bell.stack.aws.calls.start();
    bell.caller.imkit(&text_message("m1", &["joe"])).await;
    bell.drained().await;
    let made = bell.stack.aws.calls.made();
    assert!(!made.keys().any(|call| call.contains("CreatePlatformEndpoint")), "{made:?}");
    assert_eq!((bell.iphone("0a01").len(), bell.android("a1").len()), (1, 1));
    // The first push to it makes an endpoint of the app's own.
    bell.caller.imkit(&text_message("m2", &["ann"])).await;
    bell.drained().await;
    assert_eq!(bell.iphone("0a02").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_device_that_its_app_registers_is_still_one_device() {
    let bell = Bell::start().await;
    let line = |value: Value| format!("{value}\n");
    let kinvey = json!({"_id": "joe", "_messaging": {"pushTokens": [{"token": "0AB1", "platform": "ios"}]}});
    let plain = json!({"client": "ann", "token": "a2", "platform": "android"});
    let pinpoint = json!({"ChannelType": "APNS", "Address": "0AB3", "User": {"UserId": "bob"}});
    let openim = json!({"userID": "eve", "platformID": 1, "fcmToken": "a4"});
    let imkit = |token: &str| json!({"type": "fcm", "token": token, "deviceId": "d5", "clientId": "max"});
    bell.imports(Format::Kinvey, &line(kinvey)).await;
    bell.imports(Format::Plain, &line(plain)).await;
    bell.imports(Format::Pinpoint, &line(pinpoint)).await;
    bell.imports(Format::Openim, &line(openim)).await;
    bell.imports(Format::Imkit, &line(imkit("a5"))).await;
    for (user, platform, token) in
        [("joe", "ios", "0ab1"), ("ann", "android", "a2"), ("bob", "ios", "0ab3"), ("eve", "android", "a4")]
    {
        assert_eq!(bell.devices(user).await.len(), 1, "{user}, imported");
        bell.caller.register(user, platform, token).await;
        let devices = bell.devices(user).await;
        assert_eq!(devices.len(), 1, "{user}: {devices:?}");
    }
    // The same installation with the token that it has by now.
    let answer = bell.caller.post("/me/subscribe", &[API_KEY], &imkit("a6")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let devices = bell.devices("max").await;
    assert_eq!((devices.len(), &devices[0]["token"]), (1, &json!("a6")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_reports_on_its_output_and_exits_as_its_page_says() {
    let bell = Bell::start().await;
    let folder = tempfile::tempdir().unwrap();
    let good = json!({"client": "joe", "token": "a-token-of-joe", "platform": "android"});
    let command = async |content: String| {
        let file = folder.path().join("input");
        std::fs::write(&file, content).unwrap();
        let _ = std::fs::remove_file(folder.path().join("input.progress"));
        let mut command = tokio::process::Command::new(crate::bell::binaries().join("pushbell"));
        command.arg("import").arg(file).args(["--app", "demo", "--from", "plain", "--url", &bell.stack.url()]);
        let output = command.output().await.unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap())
    };
    let (code, told) = command(format!("{good}\n")).await;
    assert!(code == Some(0) && told.starts_with("imported "), "{told}");
    let (code, told) = command(format!("{good}\n{{}}\n")).await;
    assert!(code == Some(3) && told.contains("client is missing") && !told.contains("a-token"), "{told}");
    let (code, told) = command(format!("[{good}, a-token-of-ann")).await;
    assert!(code == Some(1) && told.contains("the file is cut off") && !told.contains("a-token"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_devices_are_everybody_too_and_a_phone_stays_with_who_registered_it_since() {
    let bell = Bell::start().await;
    bell.caller.register("new-owner", "android", "moved").await;
    let lines = ["a1", "moved"]
        .map(|token| format!("{}\n", json!({"client": format!("of-{token}"), "token": token, "platform": "android"})));
    let outcome = bell.imports(Format::Plain, &lines.concat()).await;
    assert_eq!((outcome.counts.imported, outcome.counts.kept.values().sum::<u64>()), (1, 1));
    let body = json!({"messageContent": {"androidPayload": {"message": "to all"}}});
    let answer = bell.caller.post("/push/demo/sendBroadcast", &[MASTER, ("x-kinvey-api-version", "3")], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    bell.drained().await;
    assert_eq!((bell.android("a1").len(), bell.android("moved").len()), (1, 1));
    assert!(bell.devices("of-moved").await.is_empty());
}
