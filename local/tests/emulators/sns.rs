//! SNS, through its SDK client.

use std::collections::HashMap;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::types::MessageAttributeValue;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::{Channel, Notification, View};
use pushbell_local::vendors::IssuedKey;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::stack::{Stack, code};

const TOKEN: &str = "a1b2c3d4";

/// An application whose key Apple knows.
async fn application(stack: &Stack, platform: &str) -> String {
    let issued = stack.vendors.apple().issue("TEAM123456", &["com.example.app".to_owned()]).unwrap();
    create(&stack.sns(), platform, &token(&issued)).await.unwrap()
}

type Attributes = HashMap<String, String>;

/// The attributes of an application that sends with this signing key.
fn token(key: &IssuedKey) -> Attributes {
    let pairs = [
        ("PlatformCredential", key.key.as_str()),
        ("PlatformPrincipal", &key.key_id),
        ("ApplePlatformTeamID", &key.team_id),
        ("ApplePlatformBundleID", "com.example.app"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// The attributes of an application that sends with a certificate that ends in this year.
fn certificate(pair: &KeyPair, ends: i32) -> Attributes {
    let mut params = CertificateParams::default();
    params.not_after = date_time_ymd(ends, 1, 1);
    let certificate = params.self_signed(pair).unwrap().pem();
    [("PlatformCredential".to_owned(), pair.serialize_pem()), ("PlatformPrincipal".to_owned(), certificate)].into()
}

/// The ARN, or why there is none.
async fn create(client: &Client, platform: &str, attributes: &Attributes) -> Result<String, String> {
    let call = client.create_platform_application().name("demo").platform(platform);
    match call.set_attributes(Some(attributes.clone())).send().await {
        Ok(made) => Ok(made.platform_application_arn.unwrap()),
        Err(error) => Err(format!("{}: {}", code(&error), error.message().unwrap_or_default())),
    }
}

async fn attributes(client: &Client, application: &str) -> Attributes {
    let found = client.get_platform_application_attributes().platform_application_arn(application).send().await;
    found.unwrap().attributes.unwrap()
}

async fn endpoint(client: &Client, application: &str, token: &str) -> String {
    client
        .create_platform_endpoint()
        .platform_application_arn(application)
        .token(token)
        .send()
        .await
        .unwrap()
        .endpoint_arn
        .unwrap()
}

fn envelope(platform: &str, payload: &Value) -> String {
    json!({"default": "text", platform: payload.to_string()}).to_string()
}

fn attribute(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

async fn publish(client: &Client, target: &str, message: &str) -> Result<String, (String, String)> {
    let sent = client.publish().target_arn(target).message(message).message_structure("json").send().await;
    match sent {
        Ok(sent) => Ok(sent.message_id.unwrap()),
        Err(error) => {
            let error = error.as_service_error().unwrap();
            Err((error.code().unwrap().to_owned(), error.message().unwrap().to_owned()))
        }
    }
}

fn received(stack: &Stack, token: &str) -> Vec<Notification> {
    stack.phones.notifications(Channel::Sns, token, View::Received).unwrap()
}

#[tokio::test]
async fn a_publish_lands_on_the_phone_of_the_endpoint_s_token() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let app = application(&stack, "APNS").await;
    assert_eq!(app, "arn:aws:sns:us-east-1:000000000000:app/APNS/demo");
    let arn = endpoint(&client, &app, TOKEN).await;
    assert!(arn.starts_with("arn:aws:sns:us-east-1:000000000000:endpoint/APNS/demo/"));
    assert_eq!(arn.rsplit('/').next().unwrap().len(), 36);
    let payload = json!({
        "aps": {"alert": {"title": "Room <1>", "body": "SSS: \"lala\" & so"}, "badge": 2, "sound": "default"},
        "room": "demo-room",
    });
    for _ in 0..2 {
        client
            .publish()
            .target_arn(&arn)
            .message(envelope("APNS", &payload))
            .message_structure("json")
            .message_attributes("AWS.SNS.MOBILE.APNS.PUSH_TYPE", attribute("alert"))
            .message_attributes("AWS.SNS.MOBILE.APNS.PRIORITY", attribute("10"))
            .message_attributes("AWS.SNS.MOBILE.APNS.COLLAPSE_ID", attribute("m1"))
            .message_attributes("AWS.SNS.MOBILE.APNS.TTL", attribute("3600"))
            .send()
            .await
            .unwrap();
    }
    let shown = received(&stack, TOKEN);
    assert_eq!(shown.len(), 1, "the same collapse id shows once");
    assert_eq!(shown[0].title.as_deref(), Some("Room <1>"));
    assert_eq!(shown[0].body.as_deref(), Some("SSS: \"lala\" & so"));
    assert_eq!(shown[0].badge, Some(2));
    assert_eq!(shown[0].collapse_id.as_deref(), Some("m1"));
    assert_eq!(shown[0].payload, payload);
    let raw = stack.phones.notifications(Channel::Sns, TOKEN, View::Raw).unwrap();
    assert_eq!(raw.len(), 2);
}

#[tokio::test]
async fn a_background_push_is_silent() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let arn = endpoint(&client, &application(&stack, "APNS_SANDBOX").await, TOKEN).await;
    client
        .publish()
        .target_arn(&arn)
        .message(envelope("APNS_SANDBOX", &json!({"aps": {"content-available": 1}, "pushbell_id": "x"})))
        .message_structure("json")
        .message_attributes("AWS.SNS.MOBILE.APNS_SANDBOX.PUSH_TYPE", attribute("background"))
        .send()
        .await
        .unwrap();
    assert!(received(&stack, TOKEN)[0].silent);
}

#[tokio::test]
async fn the_same_token_with_the_same_attributes_is_the_same_endpoint() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let app = application(&stack, "APNS").await;
    let create = |token: &str, data: Option<&str>, enabled: Option<&str>| {
        client
            .create_platform_endpoint()
            .platform_application_arn(&app)
            .token(token)
            .set_custom_user_data(data.map(str::to_owned))
            .set_attributes(enabled.map(|value| HashMap::from([("Enabled".to_owned(), value.to_owned())])))
            .send()
    };
    let first = create(TOKEN, Some("one"), None).await.unwrap().endpoint_arn.unwrap();
    for again in [create(TOKEN, Some("one"), Some("true")), create("A1B2C3D4", None, None)] {
        assert_eq!(again.await.unwrap().endpoint_arn.unwrap(), first);
    }
    for different in [create(TOKEN, Some("two"), None), create(TOKEN, None, Some("false"))] {
        let error = different.await.unwrap_err().into_service_error();
        assert!(error.is_invalid_parameter_exception());
        let expected = format!(
            "Invalid parameter: Token Reason: Endpoint {first} already exists with the same Token, but different attributes."
        );
        assert_eq!(error.message().unwrap(), expected);
    }
    assert_eq!(stack.sns_state.endpoints(&app).unwrap(), 1);
    let error = create("", None, None).await.unwrap_err();
    assert_eq!(code(&error), "InvalidParameter");
    let error = create("ff", Some(&"x".repeat(2049)), None).await.unwrap_err();
    assert_eq!(code(&error), "InvalidParameter");
}

#[tokio::test]
async fn an_apns_token_comes_back_in_lower_case() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let arn = endpoint(&client, &application(&stack, "APNS").await, "ABCDEF01").await;
    let found = client.get_endpoint_attributes().endpoint_arn(&arn).send().await.unwrap();
    let attributes = found.attributes.unwrap();
    assert_eq!(attributes["Token"], "abcdef01");
    assert_eq!(attributes["Enabled"], "true");
}

#[tokio::test]
async fn a_disabled_endpoint_refuses_until_it_is_enabled() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let app = application(&stack, "APNS").await;
    let arn = endpoint(&client, &app, TOKEN).await;
    let set =
        |name: &str, value: &str| client.set_endpoint_attributes().endpoint_arn(&arn).attributes(name, value).send();
    set("Enabled", "false").await.unwrap();
    let message = envelope("APNS", &json!({"aps": {"alert": "x"}}));
    let sent = client.publish().target_arn(&arn).message(&message).message_structure("json").send().await;
    assert!(sent.unwrap_err().as_service_error().unwrap().is_endpoint_disabled_exception());
    assert_eq!(endpoint(&client, &app, TOKEN).await, arn, "creating it does not enable it");
    assert_eq!(publish(&client, &arn, &message).await.unwrap_err().0, "EndpointDisabled");
    set("Enabled", "true").await.unwrap();
    publish(&client, &arn, &message).await.unwrap();
}

#[tokio::test]
async fn a_deleted_endpoint_is_an_invalid_parameter_of_a_publish_and_not_found_otherwise() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let arn = endpoint(&client, &application(&stack, "APNS").await, TOKEN).await;
    for _ in 0..2 {
        client.delete_endpoint().endpoint_arn(&arn).send().await.unwrap();
    }
    let (code, text) = publish(&client, &arn, &envelope("APNS", &json!({"aps": {}}))).await.unwrap_err();
    assert_eq!(code, "InvalidParameter");
    assert_eq!(text, "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified");
    let error = client.get_endpoint_attributes().endpoint_arn(&arn).send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_not_found_exception());
    let error = client.set_endpoint_attributes().endpoint_arn(&arn).attributes("Enabled", "true").send().await;
    assert!(error.unwrap_err().as_service_error().unwrap().is_not_found_exception());
}

#[tokio::test]
async fn a_dead_token_switches_its_endpoint_off_after_the_publish() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let arn = endpoint(&client, &application(&stack, "APNS").await, TOKEN).await;
    stack.phones.set_dead(Channel::Sns, TOKEN, true).unwrap();
    let message = envelope("APNS", &json!({"aps": {"alert": "x"}}));
    publish(&client, &arn, &message).await.unwrap();
    assert!(received(&stack, TOKEN).is_empty());
    assert_eq!(publish(&client, &arn, &message).await.unwrap_err().0, "EndpointDisabled");
}

#[tokio::test]
async fn a_message_for_platforms_must_have_a_default_and_parse() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let arn = endpoint(&client, &application(&stack, "APNS").await, TOKEN).await;
    for (message, reason) in [
        (r#"{"APNS":"{}"}"#, "No default entry in JSON message body"),
        (r#"{"default":1,"APNS":"{}"}"#, "No default entry in JSON message body"),
        (r#"{"default":"x""#, "JSON message body failed to parse"),
        (r#"["default"]"#, "JSON message body failed to parse"),
        (r#"{"default":"x","default":"y"}"#, "JSON message body failed to parse"),
    ] {
        let (code, text) = publish(&client, &arn, message).await.unwrap_err();
        assert_eq!(code, "InvalidParameter");
        assert_eq!(text, format!("Invalid parameter: Message Structure - {reason}"), "{message}");
    }
    // What is no string is skipped, so the default goes out.
    publish(&client, &arn, r#"{"default":"plain","APNS":{"aps":{}},"OTHER":"x"}"#).await.unwrap();
    assert_eq!(received(&stack, TOKEN)[0].body.as_deref(), Some("plain"));
}

#[tokio::test]
async fn a_payload_has_4096_bytes_and_an_envelope_256_kib() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let arn = endpoint(&client, &application(&stack, "APNS").await, TOKEN).await;
    let payload = |bytes: usize| {
        let empty = json!({"aps": {"alert": ""}}).to_string().len();
        json!({"aps": {"alert": "x".repeat(bytes - empty)}})
    };
    publish(&client, &arn, &envelope("APNS", &payload(4096))).await.unwrap();
    let error = publish(&client, &arn, &envelope("APNS", &payload(4097))).await.unwrap_err();
    assert_eq!(error.0, "InvalidParameter");
    let padded = |bytes: usize| {
        let empty = json!({"default": ""}).to_string().len();
        json!({"default": "x".repeat(bytes - empty)}).to_string()
    };
    let long = json!({"default": "x", "APNS": "{\"aps\":{}}", "ADM": "x".repeat(262_000)}).to_string();
    publish(&client, &arn, &long).await.unwrap();
    let error = publish(&client, &arn, &padded(262_145)).await.unwrap_err();
    assert_eq!(error, ("InvalidParameter".to_owned(), "Invalid parameter: Message too long".to_owned()));
    let error = publish(&client, &arn, r#"{"default":"x","APNS":"no json"}"#).await.unwrap_err();
    assert_eq!(error.0, "InvalidParameter");
}

#[tokio::test]
async fn a_bad_message_attribute_is_refused() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let arn = endpoint(&client, &application(&stack, "APNS").await, TOKEN).await;
    let long = "x".repeat(65);
    for (name, value) in
        [("TTL", "-1"), ("TTL", "soon"), ("PUSH_TYPE", "loud"), ("PRIORITY", "7"), ("COLLAPSE_ID", long.as_str())]
    {
        let error = client
            .publish()
            .target_arn(&arn)
            .message("x")
            .message_attributes(format!("AWS.SNS.MOBILE.APNS.{name}"), attribute(value))
            .send()
            .await
            .unwrap_err();
        assert_eq!(code(&error), "InvalidParameter", "{name} {value}");
    }
    assert!(received(&stack, TOKEN).is_empty());
}

#[tokio::test]
async fn a_gcm_endpoint_takes_the_v1_message() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let arn = endpoint(&client, &application(&stack, "GCM").await, "Android-Token").await;
    let payload = json!({"fcmV1Message": {"validate_only": false, "message": {
        "notification": {"title": "T", "body": "B"},
        "android": {"notification": {"tag": "m1", "notification_count": 4}},
    }}});
    publish(&client, &arn, &envelope("GCM", &payload)).await.unwrap();
    let shown = received(&stack, "Android-Token");
    assert_eq!((shown[0].title.as_deref(), shown[0].badge), (Some("T"), Some(4)));
    assert_eq!(shown[0].collapse_id.as_deref(), Some("m1"));
}

#[tokio::test]
async fn endpoints_are_listed_a_hundred_to_a_page() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let app = application(&stack, "APNS").await;
    for n in 0..205 {
        endpoint(&client, &app, &format!("{n:08x}")).await;
    }
    let mut tokens = Vec::new();
    let mut pages = Vec::new();
    let mut next = None;
    loop {
        let page = client
            .list_endpoints_by_platform_application()
            .platform_application_arn(&app)
            .set_next_token(next)
            .send()
            .await
            .unwrap();
        pages.push(page.endpoints().len());
        tokens.extend(page.endpoints().iter().map(|one| one.attributes().unwrap()["Token"].clone()));
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(pages, [100, 100, 5]);
    tokens.dedup();
    assert_eq!(tokens.len(), 205);
    let missing = format!("{app}-none");
    let error =
        client.list_endpoints_by_platform_application().platform_application_arn(missing).send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_not_found_exception());
}

#[tokio::test]
async fn an_application_that_is_disabled_or_gone_refuses() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let app = application(&stack, "APNS").await;
    assert_eq!(stack.sns_state.ensure_application("APNS", "demo").unwrap(), app);
    let arn = endpoint(&client, &app, TOKEN).await;
    assert_eq!(attributes(&client, &app).await["Enabled"], "true");
    client
        .set_platform_application_attributes()
        .platform_application_arn(&app)
        .attributes("Enabled", "false")
        .send()
        .await
        .unwrap();
    let message = envelope("APNS", &json!({"aps": {"alert": "x"}}));
    assert_eq!(publish(&client, &arn, &message).await.unwrap_err().0, "PlatformApplicationDisabled");
    let listed = client.list_platform_applications().send().await.unwrap();
    assert_eq!(listed.platform_applications()[0].platform_application_arn(), Some(app.as_str()));
    client.delete_platform_application().platform_application_arn(&app).send().await.unwrap();
    let create = client.create_platform_endpoint().platform_application_arn(&app).token(TOKEN).send().await;
    assert!(create.unwrap_err().as_service_error().unwrap().is_not_found_exception());
    let error = client.create_platform_application().name("x").platform("FCM").send().await.unwrap_err();
    assert_eq!(code(&error), "InvalidParameter");
}

#[tokio::test]
async fn faults_are_those_of_sns_and_find_the_token_behind_an_endpoint() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let app = application(&stack, "APNS").await;
    let arn = endpoint(&client, &app, TOKEN).await;
    let other = endpoint(&client, &app, "ffff").await;
    let message = envelope("APNS", &json!({"aps": {"alert": "x"}}));
    for (effect, expected) in [
        (Effect::Throttle, "ThrottlingException"),
        (Effect::Error500, "InternalError"),
        (Effect::Error503, "ServiceUnavailable"),
        (Effect::Refuse, "AuthorizationError"),
        (Effect::Unregistered, "EndpointDisabled"),
    ] {
        stack.faults.add(Rule::new(Target::Sns, effect).token(TOKEN).times(1)).unwrap();
        publish(&client, &other, &message).await.unwrap();
        assert_eq!(publish(&client, &arn, &message).await.unwrap_err().0, expected);
    }
}

#[tokio::test]
async fn credentials_are_never_shown_and_what_else_was_given_is() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let shown = |attributes: &Attributes| {
        let mut names: Vec<_> = attributes.keys().cloned().collect();
        names.sort();
        names
    };
    let app = application(&stack, "APNS").await;
    let by_key = attributes(&client, &app).await;
    assert_eq!(shown(&by_key), ["ApplePlatformBundleID", "ApplePlatformTeamID", "Enabled"]);
    assert_eq!(by_key["ApplePlatformTeamID"], "TEAM123456");
    let mut given = certificate(&KeyPair::generate().unwrap(), 2090);
    given.insert("EventDeliveryFailure".to_owned(), "arn:aws:sns:us-east-1:000000000000:topic".to_owned());
    let app = create(&client, "APNS_SANDBOX", &given).await.unwrap();
    let by_certificate = attributes(&client, &app).await;
    assert_eq!(shown(&by_certificate), ["AppleCertificateExpirationDate", "Enabled", "EventDeliveryFailure"]);
    assert_eq!(by_certificate["AppleCertificateExpirationDate"], "2090-01-01T00:00:00Z");
}

#[tokio::test]
async fn credentials_that_cannot_be_apple_s_are_refused() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let good = token(&stack.vendors.apple().issue("TEAM123456", &[]).unwrap());
    let with = |name: &str, value: &str| {
        let mut changed = good.clone();
        changed.insert(name.to_owned(), value.to_owned());
        changed
    };
    let without = |name: &str| {
        let mut changed = good.clone();
        changed.remove(name);
        changed
    };
    let pair = KeyPair::generate().unwrap();
    let mut of_another = certificate(&pair, 2090);
    of_another.insert("PlatformCredential".to_owned(), KeyPair::generate().unwrap().serialize_pem());
    let bad = "InvalidParameter: Invalid parameter: Attributes Reason: Platform credentials are invalid";
    for (attributes, says) in [
        (with("PlatformCredential", "s3cret"), bad),
        (without("ApplePlatformTeamID"), bad),
        (without("ApplePlatformBundleID"), bad),
        (with("PlatformPrincipal", "-----BEGIN CERTIFICATE-----"), bad),
        (certificate(&pair, 2020), bad),
        (of_another, bad),
        (without("PlatformPrincipal"), "PlatformCredential attribute provided without PlatformPrincipal"),
        (without("PlatformCredential"), "PlatformPrincipal attribute provided without PlatformCredential"),
        (HashMap::new(), "ValidationError: 1 validation error detected: Value null at 'attributes'"),
    ] {
        let told = create(&client, "APNS", &attributes).await.unwrap_err();
        assert!(told.contains(says), "{told}");
    }
}

#[tokio::test]
async fn an_application_made_again_is_the_same_one_and_with_other_attributes_none() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let key = token(&stack.vendors.apple().issue("TEAM123456", &[]).unwrap());
    let app = create(&client, "APNS", &key).await.unwrap();
    assert_eq!(create(&client, "APNS", &key).await.unwrap(), app);
    let other_key = token(&stack.vendors.apple().issue("TEAM123456", &[]).unwrap());
    let mut other_app = key.clone();
    other_app.insert("ApplePlatformBundleID".to_owned(), "com.example.other".to_owned());
    for other in [other_key, other_app, certificate(&KeyPair::generate().unwrap(), 2090)] {
        let told = create(&client, "APNS", &other).await.unwrap_err();
        assert!(told.contains("already exists with different attributes"), "{told}");
    }
    assert_eq!(attributes(&client, &app).await["ApplePlatformBundleID"], "com.example.app");
}

#[tokio::test]
async fn an_application_of_the_settings_sends_without_credentials_and_takes_the_first_it_is_given() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let app = stack.sns_state.ensure_application("APNS", "demo").unwrap();
    let arn = endpoint(&client, &app, TOKEN).await;
    let message = envelope("APNS", &json!({"aps": {"alert": "x"}}));
    publish(&client, &arn, &message).await.unwrap();
    assert_eq!(stack.phones.list(View::Raw, Some(TOKEN)).unwrap()[0].notifications.len(), 1);
    assert_eq!(application(&stack, "APNS").await, app);
    assert_eq!(attributes(&client, &app).await["ApplePlatformBundleID"], "com.example.app");
}

#[tokio::test]
async fn an_application_whose_key_was_revoked_accepts_one_publish_more_and_is_off_until_it_has_another() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let apple = stack.vendors.apple();
    let topics = ["com.example.app".to_owned()];
    let key = apple.issue("TEAM123456", &topics).unwrap();
    let app = create(&client, "APNS", &token(&key)).await.unwrap();
    let arn = endpoint(&client, &app, TOKEN).await;
    let message = envelope("APNS", &json!({"aps": {"alert": "x"}}));
    let arrived = || stack.phones.list(View::Raw, Some(TOKEN)).unwrap()[0].notifications.len();
    publish(&client, &arn, &message).await.unwrap();
    assert!(apple.revoke(&key.key_id));
    publish(&client, &arn, &message).await.unwrap();
    assert_eq!(publish(&client, &arn, &message).await.unwrap_err().0, "PlatformApplicationDisabled");
    assert_eq!((attributes(&client, &app).await["Enabled"].as_str(), arrived()), ("false", 1));

    let mut new = token(&apple.issue("TEAM123456", &topics).unwrap());
    // Team and app are those that are there.
    new.retain(|name, _| name.starts_with("Platform"));
    new.insert("Enabled".to_owned(), "true".to_owned());
    let set = client.set_platform_application_attributes().platform_application_arn(&app);
    set.set_attributes(Some(new)).send().await.unwrap();
    publish(&client, &arn, &message).await.unwrap();
    assert_eq!((attributes(&client, &app).await["Enabled"].as_str(), arrived()), ("true", 2));
}

#[tokio::test]
async fn a_key_takes_the_place_of_a_certificate() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let app = create(&client, "APNS", &certificate(&KeyPair::generate().unwrap(), 2090)).await.unwrap();
    let key = token(&stack.vendors.apple().issue("TEAM123456", &["com.example.app".to_owned()]).unwrap());
    let set = |attributes: Attributes| {
        let call = client.set_platform_application_attributes().platform_application_arn(&app);
        call.set_attributes(Some(attributes)).send()
    };
    let alone = |name: &str| key.clone().into_iter().filter(|(key, _)| key == name).collect();
    let refused = set(alone("PlatformCredential")).await.unwrap_err();
    assert_eq!(code(&refused), "InvalidParameter");
    assert!(attributes(&client, &app).await.contains_key("AppleCertificateExpirationDate"));
    set(key.clone()).await.unwrap();
    assert!(!attributes(&client, &app).await.contains_key("AppleCertificateExpirationDate"));
    let arn = endpoint(&client, &app, TOKEN).await;
    let message = envelope("APNS", &json!({"aps": {"alert": "x"}}));
    for _ in 0..2 {
        publish(&client, &arn, &message).await.unwrap();
    }
}

#[tokio::test]
async fn an_application_whose_certificate_is_over_accepts_one_publish_more_and_is_off() {
    let stack = Stack::start().await;
    let client = stack.sns();
    let app = create(&client, "APNS", &certificate(&KeyPair::generate().unwrap(), 2090)).await.unwrap();
    let arn = endpoint(&client, &app, TOKEN).await;
    let message = envelope("APNS", &json!({"aps": {"alert": "x"}}));
    for _ in 0..2 {
        publish(&client, &arn, &message).await.unwrap();
    }
    stack.queues.advance(std::time::Duration::from_secs(100 * 365 * 24 * 60 * 60)).unwrap();
    publish(&client, &arn, &message).await.unwrap();
    assert_eq!(publish(&client, &arn, &message).await.unwrap_err().0, "PlatformApplicationDisabled");
}

#[tokio::test]
async fn a_topic_tells_who_is_subscribed_and_who_has_not_confirmed_it() {
    let stack = Stack::start().await;
    let (client, sns) = (stack.sns(), &stack.sns_state);
    let topic = "arn:aws:sns:us-east-1:000000000000:alarms";
    let missing = client.list_subscriptions_by_topic().topic_arn(topic).send().await.unwrap_err();
    assert_eq!(code(&missing), "NotFound");
    sns.ensure_topic(topic);
    let none = client.list_subscriptions_by_topic().topic_arn(topic).send().await.unwrap();
    assert!(none.subscriptions().is_empty());
    sns.subscribe_mail(topic, "ops@example.com", false);
    for n in 0..100 {
        sns.subscribe_mail(topic, &format!("{n}@example.com"), true);
    }
    let all = client.list_subscriptions_by_topic().topic_arn(topic).into_paginator().items().send();
    let all = all.collect::<Result<Vec<_>, _>>().await.unwrap();
    assert_eq!(all.len(), 101);
    assert_eq!((all[0].endpoint(), all[0].subscription_arn()), (Some("ops@example.com"), Some("PendingConfirmation")));
    assert!(all[1..].iter().all(|one| one.subscription_arn().is_some_and(|arn| arn.starts_with(topic))));
}
