//! Rules as settings write them, and what they make of events. SQS is not there, so records rest in the deferred table.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use serde_json::{Map, Value, json};

use super::*;
use crate::app::{Settings, check};
use crate::id::{AppId, AttributeKey};
use crate::task::{Intake, SubmitError};
use crate::telemetry::metrics;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value} is no object") };
    object
}

/// A rule on event `winningTeam` for everybody, with these fields instead of its own.
fn rule(name: &str, fields: Value) -> Value {
    let mut rule = object(json!({
        "name": name, "on": {"event": "winningTeam"}, "audience": {"all": true},
        "message": {"text": "{{givenName|You}}, the {{winningTeam}} just won!"},
    }));
    rule.extend(object(fields));
    Value::Object(rule)
}

fn settings(rules: &[Value]) -> Settings {
    serde_json::from_value(json!({"attributes": {"indexed": ["favoriteTeam"]}, "triggers": rules})).unwrap()
}

fn told(rules: Value) -> String {
    check("settings", &json!({"triggers": rules}).to_string()).unwrap_err().to_string()
}

/// The rule that is told of one rule's fields.
fn wrong(fields: Value) -> String {
    let told = told(json!([rule("r1", fields)]));
    told.split_once(": trigger r1: ").unwrap_or_else(|| panic!("{told}")).1.to_owned()
}

struct Stage {
    intake: Intake,
    client: Client,
}

async fn stage() -> Stage {
    let (env, client) = crate::test_tables::start().await;
    Stage { intake: Intake::new(&env).unwrap(), client }
}

impl Stage {
    async fn posted(&self, settings: &Settings, id: Option<&str>, document: Value) -> Fired {
        self.fired(settings, Kind::Posted("winningTeam"), id, document).await
    }

    async fn fired(&self, settings: &Settings, kind: Kind<'_>, id: Option<&str>, document: Value) -> Fired {
        let document = object(document);
        fire(&self.intake, settings, &app(), &Event { kind, id, document: &document }, NOW).await
    }

    async fn records(&self) -> Vec<Value> {
        let rows = self.client.scan().table_name("deferred").send().await.unwrap().items.unwrap_or_default();
        let bodies = rows
            .iter()
            .filter_map(|row| row.values().find_map(|value| value.as_s().ok().filter(|text| text.starts_with('{'))));
        bodies.map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    async fn only(&self) -> Value {
        let mut records = self.records().await;
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }
}

fn red_sox() -> Value {
    json!({"winningTeam": "Boston Red Sox"})
}

#[test]
fn a_mistake_in_a_rule_is_told_with_the_rule_and_the_field() {
    assert_eq!(wrong(json!({"on": {}})).split(" at line").next().unwrap(), "on has none of event, table and source");
    for (fields, rule) in [
        (json!({"on": {"event": "a b"}}), "on.event is not 1 to 64 letters, digits, -, _ or ."),
        (json!({"on": {"event": "a", "table": "t"}}), "on.table is not known"),
        (json!({"on": {"table": "t", "changes": ["upsert"]}}), "on.changes is no list of insert, modify and remove"),
        (json!({"on": {"table": "t", "changes": []}}), "on.changes is no list of insert, modify and remove"),
        (json!({"on": null}), "on is missing"),
        (json!({"match": {"league": "mlb"}}), "match.league is neither a list nor an object"),
        (json!({"match": {"a": {"b": [{"regex": "x"}]}}}), "match.a.b has an operator that is not known: regex"),
        (json!({"audience": {}}), "audience has not one field"),
        (json!({"audience": {"all": false}}), "audience.all is not true"),
        (json!({"audience": {"all": true, "tag": "t"}}), "audience has not one field"),
        (json!({"audience": {"team": "t"}}), "audience.team is none of all, ids, tag, alias and attribute"),
        (json!({"audience": {"tag": "{{team"}}), "audience.tag has a {{ that is not closed"),
        (json!({"audience": {"ids": ["a"]}}), "audience.ids is not a text"),
        (json!({"message": {}}), "message has none of title, text, data, badge, ios_aps and android_payload"),
        (json!({"message": {"text": "{{}}"}}), "message.text has a place without a name"),
        (json!({"message": {"text": ""}}), "message.text is empty"),
        (json!({"message": {"data": {"a": ["{{b"]}}}), "message.data.a[0] has a {{ that is not closed"),
        (json!({"message": {"data": {"a": "x".repeat(4096)}}}), "message.data is longer than 4096 bytes as JSON"),
        (json!({"message": {"text": "x".repeat(4097)}}), "message.text is longer than 4096 bytes"),
        (json!({"message": {"text": "t", "ttl_s": 0}}), "message.ttl_s is no number from 1 to 2419200"),
        (json!({"message": {"text": "t", "body": "b"}}), "message.body is not known"),
        (
            json!({"message": {"text": "t", "badge": 1}}),
            "message.badge is none of \"none\", \"keep\" and an object with add and source",
        ),
        (json!({"message": {"badge": {"add": 1}}}), "message.badge.source is missing"),
        (
            json!({"message": {"badge": {"add": 1, "source": "rooms"}}}),
            "message.badge.source is one of clientId, total, rooms, which are no sources",
        ),
        (json!({"message": {"badge": {"add": 0, "source": "s"}}}), "message.badge.add is no number from 1 to 999999"),
        (json!({"delay_s": -1}), "delay_s is no number from 0 to 2592000"),
        (json!({"when": "now"}), "when is not known"),
    ] {
        let read = serde_json::from_value::<Triggers>(json!([rule_of(&fields)])).unwrap_err().to_string();
        assert_eq!(read, format!("trigger r1: {rule}"));
    }
}

fn rule_of(fields: &Value) -> Value {
    rule("r1", fields.clone())
}

#[test]
fn rules_have_names_of_their_own_and_are_at_most_fifty() {
    assert!(told(json!([{"on": {}}])).contains("triggers[0]: name is missing"));
    assert!(told(json!([rule("a", json!({})), rule("a b", json!({}))])).contains("triggers[1]: name is not 1 to 64"));
    assert!(told(json!([rule("a", json!({})), rule("a", json!({}))])).contains("trigger a is there twice"));
    assert!(told(json!(["a"])).contains("triggers[0] is no object"));
    let many = |n: usize| (0..n).map(|n| rule(&format!("r{n}"), json!({}))).collect::<Vec<_>>();
    assert!(told(json!(many(51))).contains("triggers are at most 50"));
    check("settings", &json!({"triggers": many(50)}).to_string()).unwrap();
    assert_eq!(Settings::default().triggers, Triggers::default());
}

#[test]
fn a_mistake_in_the_settings_shows_no_value() {
    let told = told(json!([rule("r1", json!({"message": {"text": 5, "sound": "s3cret"}}))]));
    assert!(told.ends_with(": trigger r1: message.text is not a text"), "{told}");
}

#[test]
fn an_audience_by_an_attribute_that_is_not_indexed_is_no_setting() {
    let by_team = rule("r1", json!({"audience": {"attribute": {"favoriteTeam": "{{winningTeam}}"}}}));
    let rules: Triggers = serde_json::from_value(json!([by_team])).unwrap();
    rules.check(|name| name == "favoriteTeam").unwrap();
    let error = rules.check(|_| false).unwrap_err();
    assert_eq!(error, "trigger r1: audience.attribute.favoriteTeam is not in attributes.indexed");
    assert!(
        wrong(json!({"audience": {"attribute": {"favoriteTeam": "x"}}})).ends_with(" is not in attributes.indexed")
    );
}

#[tokio::test]
async fn only_what_the_templates_name_travels_and_recipients_fill_the_rest() {
    let stage = stage().await;
    let settings = settings(&[rule("r1", json!({}))]);
    let mut event = red_sox();
    event["secret"] = json!("{{givenName}}");
    let fired = stage.posted(&settings, Some("e1"), event).await;
    assert_eq!((fired.triggered.len(), fired.refused.len()), (1, 0));
    let record = stage.only().await;
    assert_eq!(record["members"], "all");
    let message = &record["message"];
    assert_eq!(message["origin"]["dialect"], "pushbell");
    assert_eq!(message["text"]["body"], "{{givenName|You}}, the {{winningTeam}} just won!", "deliver fills it");
    assert_eq!(message["values"], json!({"winningTeam": "Boston Red Sox"}));
    assert!(!record.to_string().contains("secret"));
}

#[tokio::test]
async fn every_part_of_a_message_is_taken() {
    let stage = stage().await;
    let message = json!({
        "title": "{{league}}", "text": "t", "sound": "horn.caf", "data": {"team": "{{winningTeam}}"},
        "badge": {"add": 2, "source": "games"}, "ttl_s": 600, "collapse": "game-{{game}}",
        "ios_aps": {"alert": "{{winningTeam}}"}, "ios_extras": {"game": "{{game}}"}, "android_payload": {"m": "{{game}}"},
    });
    let rule = rule("r1", json!({"message": message, "delay_s": 60}));
    stage.posted(&settings(&[rule]), None, json!({"winningTeam": "Sox", "league": "mlb", "game": 7})).await;
    let record = stage.only().await;
    let begin = NOW.plus(Duration::from_secs(60));
    assert_eq!(record["claimed_at"], begin.as_millis());
    let message = &record["message"];
    assert_eq!(message["values"], json!({"winningTeam": "Sox", "league": "mlb", "game": "7"}));
    assert_eq!(message["text"], json!({"title": "{{league}}", "body": "t"}));
    assert_eq!(message["badge"], json!({"add": {"n": 2, "source": {"named": "games"}}}));
    let expires = begin.plus(Duration::from_secs(600)).as_millis();
    let behaviour = json!({"sound": "horn.caf", "expires_at": expires, "collapse": "game-7"});
    assert_eq!(message["behaviour"], behaviour);
    assert_eq!(message["data"], json!({"team": "{{winningTeam}}"}));
    assert_eq!(
        message["vendors"],
        json!({
            "ios": {"aps": {"alert": "{{winningTeam}}"}, "data": {"game": "{{game}}"}},
            "android": {"data": {"m": "{{game}}"}, "data_only": {}},
        })
    );
}

#[tokio::test]
async fn a_message_without_a_word_is_a_badge() {
    let stage = stage().await;
    let rule = rule("r1", json!({"message": {"badge": "keep"}}));
    stage.posted(&settings(&[rule]), None, red_sox()).await;
    assert_eq!(stage.only().await["message"]["behaviour"]["kind"], "badge");
}

#[tokio::test]
async fn the_same_event_pushes_once_for_each_rule_however_often_it_comes() {
    let stage = stage().await;
    let settings = settings(&[rule("r1", json!({})), rule("r2", json!({}))]);
    let long = "e".repeat(5000);
    let first = stage.posted(&settings, Some(&long), red_sox()).await;
    assert!(first.triggered.iter().all(|triggered| !triggered.repeated));
    assert_ne!(first.triggered[0].task, first.triggered[1].task);
    let again = stage.posted(&settings, Some(&long), json!({"winningTeam": "Kansas City Royals"})).await;
    let tasks = |fired: &Fired| fired.triggered.iter().map(|one| (one.rule.clone(), one.task)).collect::<Vec<_>>();
    assert_eq!(tasks(&first), tasks(&again));
    assert!(again.triggered.iter().all(|triggered| triggered.repeated));
    assert_eq!(
        again.answer()["triggered"][0],
        json!({"rule": "r1", "task": first.triggered[0].task, "repeated": true})
    );
    // What is known to be in the queue is not queued again: a stream hands a batch over until all of it is taken.
    assert_eq!(stage.records().await.len(), 2);
    let other = stage.posted(&settings, Some("e2"), red_sox()).await;
    assert!(other.triggered.iter().all(|triggered| !triggered.repeated));
    for id in [None, None, Some(""), Some("")] {
        let unnamed = stage.posted(&settings, id, red_sox()).await;
        assert!(unnamed.triggered.iter().all(|triggered| !triggered.repeated), "a call of its own");
    }
}

#[tokio::test]
async fn an_id_of_one_source_is_not_that_of_another() {
    let stage = stage().await;
    let bus = rule("bus", json!({"on": {"source": "com.example.scores"}}));
    let settings = settings(&[bus]);
    for (detail_type, repeated) in [("GameOver", false), ("Rain", false), ("GameOver", true)] {
        let kind = Kind::Bus { source: "com.example.scores", detail_type };
        let fired = stage.fired(&settings, kind, Some("e1"), red_sox()).await;
        assert_eq!(fired.triggered[0].repeated, repeated, "{detail_type}");
    }
}

#[tokio::test]
async fn a_rule_is_about_its_own_kind_of_event_and_its_fields() {
    let stage = stage().await;
    let rules = [
        rule("posted", json!({"match": {"winningTeam": [{"prefix": "Boston"}]}})),
        rule("changed", json!({"on": {"table": "scores", "changes": ["insert", "modify"]}})),
        rule("any-change", json!({"on": {"table": "scores"}})),
        rule("over", json!({"on": {"source": "com.example.scores", "detail_type": "GameOver"}})),
        rule("bus", json!({"on": {"source": "com.example.scores"}})),
    ];
    let settings = settings(&rules);
    let changed = |table, change| Kind::Changed { table, change };
    let bus = |source, detail_type| Kind::Bus { source, detail_type };
    for (kind, expected) in [
        (Kind::Posted("winningTeam"), &["posted"][..]),
        (Kind::Posted("losingTeam"), &[]),
        (changed("scores", Change::Insert), &["changed", "any-change"]),
        (changed("scores", Change::Remove), &["any-change"]),
        (changed("players", Change::Insert), &[]),
        (bus("com.example.scores", "GameOver"), &["over", "bus"]),
        (bus("com.example.scores", "Rain"), &["bus"]),
        (bus("com.example", "GameOver"), &[]),
    ] {
        let fired = stage.fired(&settings, kind, None, red_sox()).await;
        assert_eq!(fired.triggered.iter().map(|one| one.rule.as_str()).collect::<Vec<_>>(), expected, "{kind:?}");
        assert_eq!(fired.is_nothing(), expected.is_empty());
    }
    assert!(stage.posted(&settings, None, json!({"winningTeam": "Royals"})).await.is_nothing());
}

#[tokio::test]
async fn an_audience_is_named_by_the_event() {
    for (audience, event, expected) in [
        (json!({"tag": "team-{{winningTeam}}"}), red_sox(), json!({"tags": ["team-Boston Red Sox"]})),
        (json!({"alias": "{{player.alias}}"}), json!({"player": {"alias": "joe"}}), json!({"aliases": ["joe"]})),
        (
            json!({"attribute": {"favoriteTeam": "{{winningTeam}}"}}),
            red_sox(),
            json!({"attributes": [AttributeKey::of("favoriteTeam", "Boston Red Sox")]}),
        ),
        (json!({"ids": "winners"}), json!({"winners": ["b", 7, "a", "b"]}), json!(["7", "a", "b"])),
        (json!({"ids": "game.winner"}), json!({"game": {"winner": "a"}}), json!(["a"])),
    ] {
        let stage = stage().await;
        let rule = rule("r1", json!({"audience": audience, "message": {"text": "t"}}));
        assert_eq!(stage.posted(&settings(&[rule]), None, event).await.refused, []);
        let record = stage.only().await;
        let whom = if record["members"].is_null() { &record["to"] } else { &record["members"] };
        assert_eq!(*whom, expected);
    }
}

#[tokio::test]
async fn what_one_rule_cannot_do_is_told_and_does_not_hold_up_the_others() {
    let stage = stage().await;
    let by = |name: &str, audience: Value| rule(name, json!({"audience": audience, "message": {"text": "t"}}));
    let rules = [
        by("missing", json!({"tag": "{{team}}"})),
        by("long", json!({"tag": "{{text}}"})),
        by("kind", json!({"alias": "{{list}}"})),
        by("nobody", json!({"ids": "nobody"})),
        by("no-ids", json!({"ids": "team"})),
        by("flag", json!({"ids": "flag"})),
        by("control", json!({"ids": "control"})),
        rule("value", json!({"message": {"text": "{{list}}"}})),
        rule("collapse", json!({"message": {"text": "t", "collapse": "{{team}}"}})),
        by("good", json!({"ids": "winner"})),
    ];
    let event = json!({
        "winner": "a", "text": "x".repeat(65), "list": ["a"], "nobody": [], "flag": true, "control": "a\u{1}",
    });
    let (fired, lines) = metrics::captured(stage.posted(&settings(&rules), Some("e1"), event)).await;
    let errors: Vec<(&str, String)> =
        fired.refused.iter().map(|refused| (refused.rule.as_str(), refused.error.to_string())).collect();
    let expected = [
        ("missing", "audience.tag: the value team is missing"),
        ("long", "audience.tag is longer than 64 bytes"),
        ("kind", "audience.alias: the value list is neither a text nor a number nor a boolean"),
        ("nobody", "audience.ids: the field nobody names nobody"),
        ("no-ids", "audience.ids: the field team is missing"),
        ("flag", "audience.ids: the field flag is neither a text nor a number nor a list of them"),
        ("control", "audience.ids: an id holds a character that is not allowed"),
        ("value", "message: the value list is neither a text nor a number nor a boolean"),
        ("collapse", "message.collapse: the value team is missing"),
    ];
    assert_eq!(errors, expected.map(|(rule, error)| (rule, error.to_owned())));
    assert_eq!(fired.triggered.len(), 1);
    let answer = fired.answer();
    assert_eq!(answer["triggered"], json!([{"rule": "good", "task": fired.triggered[0].task}]));
    assert_eq!(answer["refused"][3], json!({"rule": "nobody", "error": "audience.ids: the field nobody names nobody"}));
    let number = |name: &str| lines.iter().filter_map(|line| line[name].as_u64()).max();
    assert_eq!((number("trigger_refused"), number("triggered")), (Some(9), Some(1)));
}

#[tokio::test]
async fn a_list_of_too_many_ids_is_refused() {
    let stage = stage().await;
    let rule = rule("r1", json!({"audience": {"ids": "ids"}, "message": {"text": "t"}}));
    let event = json!({"ids": (0..10_001).collect::<Vec<_>>()});
    let fired = stage.posted(&settings(&[rule]), None, event).await;
    assert_eq!(fired.refused[0].error.to_string(), "audience.ids: the field ids names more than 10000");
}

#[tokio::test]
async fn what_is_not_safely_queued_is_trouble_and_no_refusal() {
    let stage = stage().await;
    let settings = settings(&[rule("r1", json!({}))]);
    stage.client.delete_table().table_name("deferred").send().await.unwrap();
    let fired = stage.posted(&settings, Some("e1"), red_sox()).await;
    assert!(fired.triggered.is_empty() && fired.refused.is_empty() && !fired.is_nothing());
    assert!(matches!(fired.unqueued[0].error, SubmitError::Queue(_)));
    crate::test_tables::create(&stage.client, "deferred", &["pk", "sk"]).await;
    let again = stage.posted(&settings, Some("e1"), red_sox()).await;
    assert_eq!(again.triggered.len(), 1, "it pushes when it comes again");
    assert_eq!(stage.records().await.len(), 1);
}

#[tokio::test]
async fn what_is_said_to_one_kind_of_phone_alone_is_for_no_other() {
    let only = async |message: Value| {
        let stage = stage().await;
        stage.posted(&settings(&[rule("r1", json!({"message": message}))]), None, red_sox()).await;
        stage.only().await["message"]["roads"]["only"].clone()
    };
    assert_eq!(only(json!({"ios_aps": {"alert": "a"}})).await, "apple");
    assert_eq!(only(json!({"android_payload": {"message": "m"}})).await, "android");
    for everybody in [
        json!({"ios_aps": {"alert": "a"}, "android_payload": {"message": "m"}}),
        json!({"ios_aps": {"alert": "a"}, "text": "t"}),
    ] {
        assert_eq!(only(everybody).await, Value::Null);
    }
}

#[test]
fn what_apple_s_phones_get_is_limited_together() {
    let half = "x".repeat(2100);
    let fields = json!({"message": {"ios_aps": {"alert": half}, "ios_extras": {"a": half}}});
    assert_eq!(wrong(fields), "message.ios_aps is longer than 4096 bytes as JSON, with ios_extras");
}
