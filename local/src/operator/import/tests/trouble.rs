//! Tables that do not take what they are given, files and apps that are not there, and people who were there before.

use std::error::Error as _;

use serde_json::json;

use crate::faults::{Effect, Rule, Target};

use super::*;

impl Bench {
    fn fault(&self, rule: Rule) {
        self.stack.aws.faults.add(rule).unwrap();
    }
}

#[tokio::test]
async fn a_throttled_row_is_tried_again_until_it_is_in() {
    let bench = Bench::start().await;
    for action in ["TransactWriteItems", "GetItem"] {
        bench.fault(Rule::new(Target::Dynamodb, Effect::Throttle).action(action).rate(0.3));
    }
    bench.fault(Rule::new(Target::Dynamodb, Effect::Conflict).action("TransactWriteItems").rate(0.2));
    let file = bench.input("plain.csv", plain(100));
    // Documents are read by the functions' own client, before the first row.
    let outcome = bench.import(&file, Format::Plain).await.unwrap();
    assert_eq!(sums(&outcome.counts), [90, 0, 0, 10, 0]);
}

#[tokio::test]
async fn an_import_stops_when_nothing_works_for_long_and_goes_on_where_it_stopped() {
    let bench = Bench::start().await;
    let file = bench.input("plain.csv", plain(100));
    let throttled = Rule::new(Target::Dynamodb, Effect::Throttle);
    bench.fault(throttled.action("TransactWriteItems").body_contains("token-60"));
    let patience = Patience { limit: Duration::ZERO, ..hasty().patience };
    let one_by_one = Import { concurrency: 1, ..of(&file, Format::Plain) };
    let stopped = bench.import_as(&one_by_one, Pace { patience, ..hasty() }).await.unwrap_err();
    assert!(stopped.to_string().contains("run the same command again to go on"), "{stopped}");
    assert!(stopped.source().unwrap().to_string().starts_with("nothing could be written for"));
    bench.stack.aws.faults.clear();
    let outcome = bench.import(&file, Format::Plain).await.unwrap();
    assert_eq!(sums(&outcome.counts), [90, 0, 0, 10, 0]);
}

#[tokio::test]
async fn an_import_that_is_denied_stops_at_once() {
    let bench = Bench::start().await;
    bench.fault(Rule::new(Target::Dynamodb, Effect::Refuse).action("TransactWriteItems"));
    let stopped = bench.import(&bench.input("plain.csv", plain(20)), Format::Plain).await.unwrap_err();
    assert_eq!(stopped.source().unwrap().to_string(), "DynamoDB refuses: AccessDeniedException");
}

#[tokio::test]
async fn a_row_that_the_tables_never_take_is_told_and_the_others_are_in() {
    let bench = Bench::start().await;
    // Nothing that an item may hold.
    let broken = Effect::Rewrite { from: r#"{"S":"token-7"}"#.to_owned(), to: r#"{"N":"none"}"#.to_owned() };
    bench.fault(Rule::new(Target::Dynamodb, broken).action("TransactWriteItems"));
    let file = bench.input("plain.csv", plain(20));
    let outcome = bench.import(&file, Format::Plain).await.unwrap();
    assert_eq!((sums(&outcome.counts), outcome.exit_code()), ([17, 0, 0, 2, 1], 1));
    assert!(bench.refused(&file).contains(&"9,line,could not be written".to_owned()));
}

#[tokio::test]
async fn an_unknown_app_is_told_before_anything_is_read() {
    let bench = Bench::start().await;
    let nowhere = Import { app: AppId::parse("nobody").unwrap(), ..of(&bench.path("no file"), Format::Plain) };
    let error = bench.import_as(&nowhere, hasty()).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no app nobody in pushbell-local: it has no callers document");
}

#[tokio::test]
async fn a_file_that_is_not_usable_is_told_with_what_is_wrong() {
    let bench = Bench::start().await;
    let told = async |content: &str, from: Format| {
        let file = bench.input("input", content);
        let error = bench.import(&file, from).await.unwrap_err().to_string();
        assert!(!beside(&file, ".refused.csv").exists());
        error.strip_prefix(&format!("{}: ", file.display())).unwrap().to_owned()
    };
    assert_eq!(told("client,platform\nx,ios\n", Format::Plain).await, "the header has no column token");
    assert_eq!(told("Id,Address\n", Format::Pinpoint).await, "the header has no column ChannelType");
    assert_eq!(told("_id\nx\n", Format::Kinvey).await, "users' documents are JSON, and this file is not");
    assert_eq!(told("{\"client\": \n", Format::Plain).await, "line 1 is not JSON");
    let missing = bench.import(&bench.path("no file"), Format::Plain).await.unwrap_err();
    assert_eq!(missing.to_string(), format!("{} cannot be read", bench.path("no file").display()));
}

#[tokio::test]
async fn what_is_before_the_place_where_a_file_breaks_is_in() {
    let bench = Bench::start().await;
    let row = |n: u32| json!({"client": format!("c{n}"), "token": format!("t{n}"), "platform": "android"});
    let file = bench.input("cut.json", format!("[{},\n{},\n{{\"client", row(1), row(2)));
    let error = bench.import(&file, Format::Plain).await.unwrap_err().to_string();
    assert!(error.ends_with("the array that begins in line 1 does not end: the file is cut off"), "{error}");
    assert_eq!((bench.devices("c1").await.len(), bench.devices("c2").await.len()), (1, 1));
}

#[tokio::test]
async fn who_has_a_token_already_keeps_it() {
    let bench = Bench::start().await;
    let registry = Registry::new(&bench.deployment.env).unwrap();
    let (app, owner) = (AppId::parse("demo").unwrap(), ClientId::parse("owner").unwrap());
    let held = Device {
        key: DeviceKey::of("android", "theirs"),
        channel: pushbell::delivery::Channel::Fcm,
        token: pushbell::id::Token::parse("token-0").unwrap(),
        endpoint: None,
        sandbox: false,
        registered_at: Timestamp::from_millis(1),
        framework: None,
        locale: None,
    };
    registry.register(&app, &owner, held.clone()).await.unwrap();
    let outcome = bench.import(&bench.input("plain.csv", plain(10)), Format::Plain).await.unwrap();
    assert_eq!(sums(&outcome.counts), [8, 1, 0, 1, 0]);
    assert_eq!(outcome.counts.kept["another client or device has the token"], 1);
    assert_eq!(bench.devices("owner").await, [held]);
    assert_eq!(bench.devices("client-0").await.len(), 1);
}
