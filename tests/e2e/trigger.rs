//! Pushes that follow a change in data: the page's example, from a table and from a bus.

use pushbell::id::{AppId, ClientId};
use pushbell::recipient::{AttributesChange, Recipients};
use pushbell::registry::Registry;
use pushbell::time::Timestamp;
use pushbell_local::faults::{Effect, Rule, Target};
use serde_json::{Value, json};

use crate::bell::{Answer, Bell, MASTER, workspace};

const INVOKE: &str = "/_local/functions/trigger/invoke";
/// Three people, their phones and their teams.
const FANS: [(&str, &str, &str, &str); 3] = [
    ("u1", "phone-joe", "Joe", "Boston Red Sox"),
    ("u2", "phone-ann", "Ann", "Boston Red Sox"),
    ("u3", "phone-bob", "Bob", "New York Yankees"),
];

fn sample(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(workspace().join("events/trigger").join(name)).unwrap()).unwrap()
}

async fn with_fans(bell: &Bell) {
    let env = bell.operator();
    let (recipients, registry) = (Recipients::new(&env).unwrap(), Registry::new(&env).unwrap());
    let app = AppId::parse("demo").unwrap();
    let indexed = serde_json::from_value(json!({"indexed": ["favoriteTeam"]})).unwrap();
    for (client, phone, name, team) in FANS {
        bell.caller.register(client, "android", phone).await;
        let client = ClientId::parse(client).unwrap();
        let mut change = AttributesChange::default();
        change.say("givenName", &json!(name)).unwrap();
        change.say("favoriteTeam", &json!(team)).unwrap();
        recipients.change_attributes(&app, &client, &change).await.unwrap();
        registry.index_attributes(&app, &client, &indexed, Timestamp::now()).await.unwrap();
    }
}

impl Bell {
    /// Hands an event to `trigger`, as AWS would.
    async fn happens(&self, event: &Value) -> Answer {
        self.caller.post(INVOKE, &[], event).await
    }

    /// How many notifications of a team that won each of the fans' phones shows.
    async fn cheers(&self) -> Vec<usize> {
        self.drained().await;
        let won = |body: &str| body.ends_with(" just won!");
        let of =
            |phone: &str| self.android(phone).iter().filter(|shown| shown.body.as_deref().is_some_and(won)).count();
        FANS.iter().map(|(_, phone, _, _)| of(phone)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_table_notifies_everybody_whose_team_it_is_once() {
    let bell = Bell::start().await;
    with_fans(&bell).await;
    let batch = sample("stream.json");
    for _ in 0..2 {
        let answer = bell.happens(&batch).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"batchItemFailures": []})));
        assert_eq!(bell.cheers().await, [1, 1, 0]);
    }
    assert_eq!(bell.stack.phones.accepted(), 2, "nothing was sent twice and replaced");
    // The same game changes in another field, and a game is deleted: the rule asks for neither.
    let mut other = batch;
    other["Records"][0]["eventID"] = json!("another");
    other["Records"][0]["dynamodb"]["OldImage"]["state"] = json!({"S": "final"});
    bell.happens(&other).await;
    assert_eq!(bell.cheers().await, [1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_bus_notifies_everybody_whose_team_it_is_once() {
    let bell = Bell::start().await;
    with_fans(&bell).await;
    let event = sample("eventbridge.json");
    for _ in 0..2 {
        let answer = bell.happens(&event).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "null"));
        assert_eq!(bell.cheers().await, [1, 1, 0]);
    }
    assert_eq!(bell.stack.phones.accepted(), 2);
    let mut next = event;
    (next["id"], next["detail"]["winningTeam"]) = (json!("another"), json!("New York Yankees"));
    bell.happens(&next).await;
    assert_eq!(bell.cheers().await, [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_queued_comes_again_from_that_record_on_and_pushes_once() {
    let bell = Bell::start().await;
    with_fans(&bell).await;
    let mut batch = sample("stream.json");
    let (first, mut second) = (batch["Records"][0].clone(), batch["Records"][0].clone());
    (second["eventID"], second["dynamodb"]["SequenceNumber"]) = (json!("second"), json!("7"));
    second["dynamodb"]["NewImage"]["winningTeam"] = json!({"S": "New York Yankees"});
    batch["Records"] = json!([first, second]);
    for target in [Target::Dynamodb, Target::Sqs] {
        bell.fault(Rule::new(target, Effect::Refuse).caller("trigger"));
    }
    let (event, sequence) = (sample("eventbridge.json"), &batch["Records"][0]["dynamodb"]["SequenceNumber"]);
    let answer = bell.happens(&batch).await.json();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": sequence}]}));
    let failed = bell.happens(&event).await;
    assert_eq!((failed.status, failed.json()), (502, json!({"message": "the function failed"})));
    bell.stack.aws.faults.clear();

    assert_eq!(bell.happens(&batch).await.json(), json!({"batchItemFailures": []}));
    assert_eq!(bell.happens(&event).await.status, 200);
    assert_eq!(bell.cheers().await, [2, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_not_there_is_not_invoked() {
    let bell = Bell::start().await;
    let answer = bell.caller.post("/_local/functions/nobody/invoke", &[], &json!({})).await;
    assert_eq!((answer.status, answer.json()["message"].as_str()), (404, Some("there is no function nobody")));
    // No app's rules are about what is no event; it does not come again.
    assert_eq!(bell.happens(&json!({"detail": 1})).await.text, "null");
}

const EVENT: &str = "/push/demo/events/winningTeam";

impl Bell {
    /// The app's server posts an event.
    async fn posts(&self, headers: &[(&str, &str)], event: &Value) -> Value {
        let headers: Vec<_> = headers.iter().copied().chain([MASTER]).collect();
        let answer = self.caller.post(EVENT, &headers, event).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// What each of the fans' phones shows, the newest first.
    async fn read_by_fans(&self) -> Vec<Vec<String>> {
        self.drained().await;
        let of = |phone: &str| self.android(phone).into_iter().filter_map(|shown| shown.body).collect();
        FANS.iter().map(|(_, phone, _, _)| of(phone)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_event_notifies_everybody_whose_team_it_is_each_by_name_and_once() {
    let bell = Bell::start().await;
    with_fans(&bell).await;
    let event = json!({"winningTeam": "Boston Red Sox"});
    let told = bell.posts(&[], &event).await;
    assert_eq!((&told["event"], &told["refused"]), (&json!("winningTeam"), &json!([])));
    let task = &told["triggered"][0]["task"];
    assert_eq!(told["triggered"], json!([{"rule": "winning-team", "task": task}]));
    let (joe, ann) = ("Joe, the Boston Red Sox just won!", "Ann, the Boston Red Sox just won!");
    assert_eq!(bell.read_by_fans().await, [vec![joe], vec![ann], vec![]]);
    assert_eq!(bell.outcomes(task).await, [("delivered".to_owned(), 2)].into());

    // With a name it is the same event, however often it comes.
    let named = json!({"_id": "game-771", "winningTeam": "New York Yankees"});
    let first = bell.posts(&[], &named).await;
    assert_eq!(bell.read_by_fans().await[2], ["Bob, the New York Yankees just won!"]);
    let again = bell.posts(&[], &named).await;
    assert_eq!(
        (&again["triggered"][0]["task"], &again["triggered"][0]["repeated"]),
        (&first["triggered"][0]["task"], &json!(true))
    );
    let keyed = async || bell.posts(&[("idempotency-key", "k1")], &json!({"winningTeam": "Toronto Blue Jays"})).await;
    let (one, two) = (keyed().await, keyed().await);
    assert_eq!(
        (&two["triggered"][0]["task"], &two["triggered"][0]["repeated"]),
        (&one["triggered"][0]["task"], &json!(true))
    );
    // The same entity, saved again as something else.
    let mut saved = named;
    saved["winningTeam"] = json!("Toronto Blue Jays");
    assert_eq!(bell.posts(&[], &saved).await["triggered"][0].get("repeated"), None);
    bell.drained().await;
    assert_eq!(bell.stack.phones.accepted(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_an_event_is_data_and_what_a_client_lacks_is_told_by_name() {
    let bell = Bell::start().await;
    with_fans(&bell).await;
    let app = AppId::parse("demo").unwrap();
    let recipients = Recipients::new(&bell.operator()).unwrap();
    let mut change = AttributesChange::default();
    change.say("givenName", &Value::Null).unwrap();
    change.say("favoriteTeam", &json!("{{givenName}}")).unwrap();
    let (ann, indexed) =
        (ClientId::parse("u2").unwrap(), serde_json::from_value(json!({"indexed": ["favoriteTeam"]})).unwrap());
    recipients.change_attributes(&app, &ann, &change).await.unwrap();
    Registry::new(&bell.operator()).unwrap().index_attributes(&app, &ann, &indexed, Timestamp::now()).await.unwrap();
    change.say("givenName", &json!("Joe")).unwrap();
    let joe = ClientId::parse("u1").unwrap();
    recipients.change_attributes(&app, &joe, &change).await.unwrap();
    Registry::new(&bell.operator()).unwrap().index_attributes(&app, &joe, &indexed, Timestamp::now()).await.unwrap();

    let told = bell.posts(&[], &json!({"winningTeam": "{{givenName}}"})).await;
    assert_eq!(bell.read_by_fans().await, [vec!["Joe, the {{givenName}} just won!"], vec![], vec![]]);
    let task = &told["triggered"][0]["task"];
    let answer = bell.caller.get(&format!("/push/demo/tasks/{task}"), &[MASTER]).await.json();
    assert_eq!(answer["outcomes"], json!({"delivered": 1, "missing_value": 1}));
    assert_eq!(answer["missing_values"], json!({"givenName": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_rule_cannot_use_is_told_and_one_that_cannot_be_queued_may_come_again() {
    let bell = Bell::start().await;
    with_fans(&bell).await;
    let told = bell.posts(&[], &json!({"winningTeam": ["Boston Red Sox"]})).await;
    assert_eq!((&told["triggered"], &told["refused"][0]["rule"]), (&json!([]), &json!("winning-team")), "{told}");
    let nothing = bell.caller.post("/push/demo/events/nobodyAsks", &[MASTER], &json!({"a": 1})).await.json();
    assert_eq!(nothing, json!({"event": "nobodyAsks", "triggered": [], "refused": []}));
    let user = format!("Kinvey {}", crate::notify::token("demo", "user", "u1"));
    let event = json!({"_id": "e1", "winningTeam": "Boston Red Sox"});
    let refused = bell.caller.post(EVENT, &[("authorization", &user)], &event).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("InsufficientCredentials")));
    for target in [Target::Dynamodb, Target::Sqs] {
        bell.fault(Rule::new(target, Effect::Refuse).caller("notify"));
    }
    let trouble = bell.caller.post(EVENT, &[MASTER], &event).await;
    assert_eq!(
        (trouble.status, &trouble.json()["error"]),
        (503, &json!("KinveyInternalErrorRetry")),
        "{}",
        trouble.text
    );
    bell.stack.aws.faults.clear();
    bell.posts(&[], &event).await;
    assert_eq!(bell.read_by_fans().await.concat().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_which_some_rules_have_pushed_invites_a_repeat_only_if_it_has_a_name() {
    let bell = Bell::start().await;
    bell.caller.register("u1", "android", "phone-joe").await;
    let rule = |name: &str| json!({"name": name, "on": {"event": "winningTeam"}, "audience": {"all": true}, "message": {"text": format!("{name} rule")}});
    bell.stack.put_settings("demo", &json!({"triggers": [rule("first"), rule("second")]})).await.unwrap();
    for target in [Target::Dynamodb, Target::Sqs] {
        bell.fault(Rule::new(target, Effect::Refuse).caller("notify").body_contains("second rule"));
    }
    let told = bell.posts(&[], &json!({"winningTeam": "Boston Red Sox"})).await;
    assert_eq!((&told["triggered"][0]["rule"], told["triggered"].as_array().unwrap().len()), (&json!("first"), 1));
    let refused = json!([{"rule": "second", "error": "the push could not be queued, and others of this event were"}]);
    assert_eq!(told["refused"], refused);
    let named = json!({"_id": "e1", "winningTeam": "Boston Red Sox"});
    assert_eq!(bell.caller.post(EVENT, &[MASTER], &named).await.status, 503);
    bell.stack.aws.faults.clear();
    assert_eq!(bell.posts(&[], &named).await["triggered"].as_array().unwrap().len(), 2);
    bell.drained().await;
    let mut read: Vec<String> = bell.android("phone-joe").into_iter().filter_map(|shown| shown.body).collect();
    read.sort_unstable();
    assert_eq!(read, ["first rule", "first rule", "second rule"]);
}
