//! The sample events are read as what they are: each command, each release, each kind of message.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::callback::{Callback, Received};
use super::command::{Command, Stage};
use super::compose;
use crate::app::{BeforePushStage, Settings};
use crate::id::{AppId, ClientId};
use crate::message::{Badge, Kind, Message, Source};
use crate::time::Timestamp;

struct Sample {
    event: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/before-push")
}

impl Sample {
    fn new(name: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        Self { event: serde_json::from_str(&text).unwrap() }
    }

    fn received(&self) -> Received<'_> {
        Received::new(self.event["body"].as_str().unwrap().as_bytes()).unwrap()
    }

    fn command(&self) -> Option<Command> {
        let path = self.event["pathParameters"]["command"].as_str();
        let query = &self.event["queryStringParameters"];
        let (command, callback_command) = (query["command"].as_str(), query["callbackCommand"].as_str());
        let (body, received) = (self.received().command(), Command::find([None, path, command, callback_command]));
        assert_eq!(received, Command::find([body.as_deref(), None, None, None]), "address and body agree");
        received
    }

    fn callback(&self) -> Callback {
        Callback::read(&self.received(), self.event["headers"]["operationid"].as_str()).unwrap()
    }

    fn tasks(&self) -> Vec<(Message, Vec<String>)> {
        let app = AppId::parse("demo").unwrap();
        let tasks = compose::tasks(&app, &Settings::default(), &self.callback(), Timestamp::from_millis(0)).unwrap();
        tasks.into_iter().map(|(message, clients)| (message, clients.into_iter().map(String::from).collect())).collect()
    }
}

/// Name, stage, whether a denial is spelt for 3.7, recipients, conversation.
type Row = (&'static str, Stage, bool, &'static [&'static str], Option<&'static str>);

const SAMPLES: [Row; 17] = [
    ("page-example", Stage::Offline, true, &["user123", "user456"], Some("g_group123")),
    ("v2.3-offline", Stage::Offline, false, &["aaa"], Some("si_aaa_sss")),
    ("v2.3-revoke", Stage::Offline, false, &["aaa"], Some("si_aaa_sss")),
    ("v2.3-super-group-online", Stage::GroupOnline, false, &[], Some("sg_demo-group")),
    ("v3.4-offline", Stage::Offline, false, &["aaa", "bbb"], Some("sg_demo-group")),
    ("v3.4-offline-single", Stage::Offline, false, &["aaa"], Some("si_aaa_sss")),
    ("v3.6-offline", Stage::Offline, false, &["aaa", "bbb"], Some("sg_demo-group")),
    ("v3.8-call", Stage::Offline, true, &["aaa"], Some("si_aaa_sss")),
    ("v3.8-dismissed", Stage::Offline, true, &["aaa", "bbb"], Some("sg_demo-group")),
    ("v3.8-group-online", Stage::GroupOnline, true, &[], Some("sg_demo-group")),
    ("v3.8-kicked", Stage::Offline, true, &["aaa", "bbb"], Some("sg_demo-group")),
    ("v3.8-null-lists", Stage::Offline, true, &[], None),
    ("v3.8-offline-group", Stage::Offline, true, &["aaa", "bbb"], Some("sg_demo-group")),
    ("v3.8-offline-single", Stage::Offline, true, &["aaa"], Some("si_aaa_sss")),
    ("v3.8-online-single", Stage::Online, true, &["aaa"], Some("si_aaa_sss")),
    ("v3.8-quit", Stage::Offline, true, &["aaa", "bbb"], Some("sg_demo-group")),
    ("v3.8-revoke", Stage::Offline, true, &["aaa", "bbb"], Some("sg_demo-group")),
];

#[test]
fn every_sample_is_read_as_what_it_is() {
    for (name, stage, has_before, clients, conversation) in SAMPLES {
        let sample = Sample::new(name);
        let command = sample.command().unwrap();
        assert_eq!((command.stage(BeforePushStage::Offline), command.has_before()), (stage, has_before), "{name}");
        let callback = sample.callback();
        assert_eq!(callback.clients.iter().map(ClientId::as_str).collect::<Vec<_>>(), clients, "{name}");
        assert_eq!(callback.conversation().as_deref(), conversation, "{name}");
        assert!(callback.operation.is_some() && callback.message.is_some(), "{name}");
        assert!(callback.left_out.skipped.is_empty(), "{name}");
    }
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let known: BTreeSet<String> = SAMPLES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert!(files.is_superset(&known));
}

#[test]
fn the_pages_own_example_is_delivered_as_it_says() {
    let tasks = Sample::new("page-example").tasks();
    let [(message, clients)] = tasks.as_slice() else { panic!("one message") };
    assert_eq!(clients, &["user123", "user456"]);
    assert_eq!(message.text.title.as_deref(), Some("New Message"));
    assert_eq!(message.text.body.as_deref(), Some("You have a new message"));
    assert_eq!(message.data["ex"], "Extra push info");
    assert_eq!(message.data["signalInfo"], "Signal data");
    assert_eq!(message.origin.operation.as_deref(), Some("1646445464564"));
}

/// Kind, badge, body, clients.
type Task<'a> = (Kind, &'a Badge, Option<&'a str>, &'a [&'a str]);

#[test]
fn every_offline_sample_is_delivered_in_words_that_people_read() {
    let add = Badge::Add { n: 1, source: Source::Room };
    let expected: [(&str, &[Task<'_>]); 10] = [
        ("v2.3-offline", &[(Kind::Alert, &add, Some("lunch at noon?"), &["aaa"])]),
        ("v3.4-offline", &[(Kind::Alert, &add, Some("Sss: gate 4 is open"), &["aaa", "bbb"])]),
        ("v3.4-offline-single", &[(Kind::Alert, &add, Some("You received a voice message"), &["aaa"])]),
        ("v3.6-offline", &[(Kind::Alert, &add, Some("@Bbb look at this"), &["aaa", "bbb"])]),
        ("v3.8-offline-single", &[(Kind::Alert, &add, Some("You received a picture"), &["aaa"])]),
        ("v3.8-call", &[(Kind::Alert, &Badge::Keep, Some("Someone is calling"), &["aaa"])]),
        (
            "v3.8-quit",
            &[
                (Kind::Badge, &Badge::Clear, None, &["ccc"]),
                (Kind::Alert, &Badge::Keep, Some("Ccc left the group"), &["aaa", "bbb"]),
            ],
        ),
        (
            "v3.8-kicked",
            &[
                (Kind::Badge, &Badge::Clear, None, &["ccc"]),
                (Kind::Alert, &Badge::Clear, Some("Sss removed you from the group"), &["bbb"]),
                (Kind::Alert, &Badge::Keep, Some("Sss removed Bbb, Ccc"), &["aaa"]),
            ],
        ),
        ("v3.8-dismissed", &[(Kind::Alert, &Badge::Clear, Some("Sss dissolved the group"), &["aaa", "bbb"])]),
        ("v3.8-revoke", &[(Kind::Withdraw, &Badge::Keep, None, &["aaa", "bbb"])]),
    ];
    for (name, expected) in expected {
        let tasks = Sample::new(name).tasks();
        let found: Vec<(Kind, &Badge, Option<&str>, Vec<&str>)> = tasks
            .iter()
            .map(|(message, clients)| {
                let clients = clients.iter().map(String::as_str).collect();
                (message.behaviour.kind, &message.badge, message.text.body.as_deref(), clients)
            })
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(kind, badge, body, clients)| (*kind, *badge, *body, clients.to_vec())).collect();
        assert_eq!(found, expected, "{name}");
    }
    assert!(Sample::new("v3.8-null-lists").tasks().is_empty(), "nobody to tell");
}

#[test]
fn a_revoke_names_the_message_that_was_delivered() {
    for (delivered, withdrawn) in [("v3.8-offline-group", "v3.8-revoke"), ("v2.3-offline", "v2.3-revoke")] {
        let (delivered, withdrawn) = (Sample::new(delivered).tasks(), Sample::new(withdrawn).tasks());
        assert_eq!(withdrawn[0].0.behaviour.kind, Kind::Withdraw);
        assert_eq!(withdrawn[0].0.origin.message, delivered[0].0.origin.message);
    }
}

#[test]
fn another_webhook_of_the_server_is_no_push_hook() {
    assert_eq!(Sample::new("v3.8-other-webhook").command(), None);
}
