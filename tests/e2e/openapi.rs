//! `docs/openapi.yaml` against the template and the stack: what is described is what is routed, and what is answered is what is
//! described.

pub mod description;

use std::collections::BTreeSet;

use pushbell::delivery::Channel;
use pushbell::dialect::kinvey::error::Kind;
use pushbell::dialect::lanying::notify::Push;
use pushbell::dialect::openim::answer::Code;
use pushbell::id::AppId;
use pushbell::task::Outcome;
use pushbell::time::Timestamp;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::gateway::routes::Router;
use pushbell_local::template::Template;
use serde_json::{Value, json};

use crate::bell::{Answer, Bell, MASTER, workspace};
use description::{Description, Example, Operation};

/// What a client can send beside `QUERY` and `TRACE`.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What a scheme's credential is for the demo app; the user is the one of the examples.
fn credential(scheme: &str) -> String {
    let token = |role: &str| {
        pushbell::auth::jwt::sign_hs256(
            b"demo-user-key-0123456789abcdef0123456789ab",
            &json!({"app": "demo", "sub": "aaa", "role": role, "exp": 4_000_000_000_u64}),
        )
    };
    match scheme {
        "ImkitApiKey" => "demo.demo-api-key".to_owned(),
        "ImkitToken" | "ImkitOlderToken" => token("user"),
        "KinveyBasic" => MASTER.1.replace("Basic ", ""),
        "KinveySession" => format!("Kinvey {}", token("user")),
        "LanyingApp" => "demo".to_owned(),
        "LanyingToken" => token("admin"),
        other => panic!("say here what the demo app's {other} is"),
    }
}

/// With a signature of now, where the address has one.
fn signed(address: String) -> String {
    match address.split_once("&Sign=") {
        Some((unsigned, _)) => crate::tencent::signed(unsigned, Timestamp::now().as_secs()),
        None => address,
    }
}

struct Tested {
    bell: Bell,
    description: Description,
}

impl Tested {
    async fn start() -> Self {
        Self { bell: Bell::start().await, description: Description::read() }
    }

    /// Sends an example as one of those who may call.
    async fn send(&self, operation: &Operation<'_>, example: &Example, schemes: &[String]) -> Answer {
        let credentials = schemes.iter().map(|scheme| self.description.header(scheme, &credential(scheme)));
        self.call(operation, example, &credentials.collect::<Vec<_>>()).await
    }

    async fn call(&self, operation: &Operation<'_>, example: &Example, credentials: &[(String, String)]) -> Answer {
        let path = signed(self.description.filled(operation.path, Some(operation)));
        let body = example.body.as_ref().map(Value::to_string).unwrap_or_default();
        let mut headers = vec![("content-type", "application/json")];
        if body.is_empty() {
            headers.clear();
        }
        let others = example.headers.iter().chain(credentials);
        headers.extend(others.map(|(name, value)| (name.as_str(), value.as_str())));
        self.bell.caller.send(&operation.method, &path, &headers, body).await
    }

    #[track_caller]
    fn check(&self, operation: &Operation<'_>, what: &str, answer: &Answer) {
        let Operation { path, method, .. } = operation;
        self.description.check(operation, answer).unwrap_or_else(|error| panic!("{method} {path}, {what}: {error}"));
    }
}

#[test]
fn every_route_of_the_template_is_described_and_nothing_else() {
    let template = Template::read(&workspace().join("template.yaml")).unwrap();
    let routes = template.functions.into_iter().flat_map(|function| function.routes);
    let routes: Vec<_> = routes.map(|route| (route.clone(), route.key().to_owned())).collect();
    let routed: BTreeSet<String> = routes.iter().map(|(_, key)| key.clone()).collect();
    let router = Router::new(routes);
    let description = Description::read();
    let mut described = BTreeSet::new();
    for (path, _) in description.paths() {
        let address = description.filled(path, None);
        let matched = router.find("GET", address.split('?').next().unwrap());
        let key = matched.unwrap_or_else(|| panic!("{path} is described, and not in the template")).target;
        let (method, route) = key.split_once(' ').unwrap();
        assert_eq!(method, "ANY", "{key}");
        // What stands for a word may be described word by word.
        assert!(path == route || route.ends_with('}'), "{path} is described, and {route} is in the template");
        described.insert(key.clone());
    }
    assert_eq!(described, routed, "routes of the template (right) that are described (left)");
}

#[test]
fn older_readers_of_yaml_find_texts_where_there_are_texts() {
    let told = Description::ambiguous("- Off\na: { on: 1, 'no': 2 }\nno:\n- \"y\"\nb: [yes, n]\nc: true\ntrue: c\n");
    let words: Vec<&str> = told.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(words, ["Off", "on", "no", "yes", "n", "true"]);
    assert_eq!(Description::ambiguous(&Description::text()), []);
}

#[test]
fn a_push_is_described_as_it_is_taken() {
    let description = Description::read();
    let schema = description.get("/components/schemas/LanyingPush");
    let (app, now) = (AppId::parse("demo").unwrap(), Timestamp::now());
    let plain = json!({"audience": "all", "message": {"body": "b"}});
    let check = |at: &str, value: Value, taken: bool| {
        let mut push = plain.clone();
        let (above, name) = at.rsplit_once('/').unwrap();
        for missing in ["/setting", "/message/vivo"].into_iter().filter(|missing| above == *missing) {
            let (above, name) = missing.rsplit_once('/').unwrap();
            push.pointer_mut(above).unwrap()[name] = json!({});
        }
        push.pointer_mut(above).unwrap()[name] = value;
        let parsed = Push::parse(Ok(push.to_string().as_bytes()), &app, now);
        assert_eq!(parsed.is_ok(), taken, "{push}: {parsed:?}");
        let valid = description.valid(schema, &push);
        assert_eq!(valid.is_ok(), taken, "{push}: {valid:?}");
    };
    let blocks = ["ios", "android", "fcm", "huawei", "xiaomi", "oppo", "vivo", "flyme", "honor"];
    let blocks = blocks.map(|block| format!("/message/{block}"));
    let fields = ["/setting", "/message/ext", "/message/show_begin_time", "/message/show_end_time", "/message/badge"];
    let more = ["/setting/ospush_sequence", "/setting/distribution_strategy", "/setting/request_id", "/message/type"];
    let last = ["/message/vivo/push_mode", "/message/vivo/classification", "/message/vivo/click_action"];
    for field in fields.into_iter().chain(more).chain(last).chain(blocks.iter().map(String::as_str)) {
        for blank in [json!(null), json!("")] {
            check(field, blank, true);
        }
        check(field, json!(true), false);
    }
    for (at, value) in [
        ("/message/badge", json!(7)),
        ("/message/badge", json!("+7")),
        ("/message/badge", json!("0000007")),
        ("/message/type", json!("CMD")),
        ("/message/vivo/click_action", json!("Open_App")),
        ("/message/vivo/push_mode", json!(1)),
        ("/message/xiaomi", json!({"badge_class": 5})),
        ("/message/ios", json!({"content_available": "", "mutable_content": null})),
        ("/message/show_end_time", json!(0)),
        ("/setting/distribution_strategy", json!("Mxpush_only")),
        ("/setting/ospush_sequence", json!(["flyme", "HONOR", "Ups"])),
        ("/setting/ospush_sequence", json!([])),
        ("/audience", json!("All")),
        ("/audience", json!({"tag": ["a"], "alias": "", "user_id": null})),
        ("/audience", json!({"user_id": [1, "u"]})),
    ] {
        check(at, value, true);
    }
    for (at, value) in [
        ("/message/badge", json!(1_000_000)),
        ("/message/badge", json!(-1)),
        ("/message/type", json!("voice")),
        ("/message/vivo/push_mode", json!(2)),
        ("/message/huawei", json!({"badge_class": 5})),
        ("/message/ios", json!({"content_available": "yes"})),
        ("/message", json!({})),
        ("/setting/ospush_sequence", json!(["apns"])),
        ("/audience", json!("everybody")),
        ("/audience", json!({})),
        ("/audience", json!({"tag": ["a"], "alias": ["b"]})),
        ("/audience", json!({"tag": ["a"], "alias": []})),
    ] {
        check(at, value, false);
    }
}

#[test]
fn the_examples_are_what_their_schemas_say() {
    let description = Description::read();
    for operation in description.operations() {
        for example in description.examples(&operation) {
            let Some(body) = example.body.filter(|_| (200..300).contains(&example.status)) else { continue };
            // Read on or passed over: what OpenIM's hooks are sent is never refused.
            if example.name == "unreadable" {
                continue;
            }
            let valid = description.valid(description.request_schema(&operation), &body);
            valid.unwrap_or_else(|error| panic!("{} {}, {}: {error}", operation.method, operation.path, example.name));
        }
    }
    for parameter in description.all_parameters() {
        if let Some(example) = parameter.get("example") {
            let valid = description.valid(&parameter["schema"], example);
            valid.unwrap_or_else(|error| panic!("{}: {error}", parameter["name"]));
        }
    }
    let mut examples = 0;
    for content in
        description.all_responses().into_iter().filter_map(|response| response.pointer("/content/application~1json"))
    {
        for (name, example) in content["examples"].as_object().into_iter().flatten() {
            let valid = description.valid(&content["schema"], &example["value"]);
            valid.unwrap_or_else(|error| panic!("the answer {name}: {error}"));
            examples += 1;
        }
    }
    assert!(examples > 10);
}

#[test]
fn the_words_of_the_code_are_those_of_the_description() {
    let description = Description::read();
    assert_eq!(description.get("/info/version"), env!("CARGO_PKG_VERSION"));

    let openim = description.get("/components/schemas/OpenimAnswer/properties");
    let numbers: Vec<Value> = std::iter::once(0).chain(Code::ALL.map(Code::number)).map(Value::from).collect();
    assert_eq!(openim["errCode"]["enum"], Value::Array(numbers));
    let words: Vec<Value> = std::iter::once("").chain(Code::ALL.map(Code::as_str)).map(Value::from).collect();
    assert_eq!(openim["errMsg"]["enum"], Value::Array(words));

    let told = description.get("/components/schemas/PushResult/properties");
    let outcomes = Outcome::ALL.iter().filter(|(outcome, ..)| outcome.is_final()).map(|(.., word)| Value::from(*word));
    assert_eq!(told["outcome"]["enum"], outcomes.collect::<Value>());
    let described = |word: &str| told["channel"]["enum"].as_array().unwrap().contains(&word.into());
    assert!(Channel::every().into_iter().all(|channel| described(channel.as_str())));

    // Every name with its status by some call of Kinvey's; and no call names another.
    let operations = description.operations();
    let kinvey = operations.iter().filter(|operation| operation.value["tags"][0] == "Kinvey");
    let mut failures: Vec<(u16, &Value)> = kinvey.flat_map(|operation| description.responses(operation)).collect();
    failures.push((405, description.get("/components/responses/KinveyMethodNotAllowed")));
    let takes = |response: &Value, error: &Value| {
        let schema = response.pointer("/content/application~1json/schema");
        schema.is_some_and(|schema| description.valid(schema, error).is_ok())
    };
    for (kind, name, status, text) in Kind::ALL {
        let error = json!({"error": name, "description": text, "debug": "x"});
        let of_status = |(own, _): &&(u16, &Value)| *own == status.as_u16();
        assert!(failures.iter().filter(of_status).any(|(_, response)| takes(response, &error)), "{kind:?}");
        let others = failures.iter().filter(|failure| !of_status(failure));
        assert!(others.into_iter().all(|(_, response)| !takes(response, &error)), "{kind:?}");
    }
    let stranger = json!({"error": "SomethingElse", "description": "x", "debug": "x"});
    assert!(failures.iter().all(|(_, response)| !takes(response, &stranger)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_answered_as_described() {
    let tested = Tested::start().await;
    for operation in tested.description.operations() {
        for example in tested.description.examples(&operation) {
            let callers = tested.description.callers(&operation);
            for (n, schemes) in callers.iter().enumerate() {
                let answer = tested.send(&operation, &example, schemes).await;
                let what = format!("{} as {schemes:?}", example.name);
                tested.check(&operation, &what, &answer);
                assert_ne!(answer.status, 401, "{what}: {}", answer.text);
                // The first of those who may call may do so for anybody.
                if n == 0 {
                    assert_eq!(answer.status, example.status, "{what}: {}", answer.text);
                    // Lanying's envelope tells by its code what HTTP's status does not.
                    let code = if answer.text.starts_with('{') { answer.json()["code"].as_u64() } else { None };
                    let code = code.unwrap_or(example.code);
                    assert_eq!(code, example.code, "{} {}, {what}: {}", operation.method, operation.path, answer.text);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_there_is_told_and_taken_back_as_described() {
    let tested = Tested::start().await;
    let operations = tested.description.operations();
    let operation = |id: &str| operations.iter().find(|operation| operation.value["operationId"] == id).unwrap();
    // What is pushed lacks a value for one of two.
    let kinvey = json!({"recipients": ["aaa", {"_id": "bbb", "name": "Bo"}], "messageContent": "Hi {{name}}"});
    let imkit = json!({"clients": ["aaa", "bbb"], "payload": {"alert": "lala"}});
    tested.bell.caller.register("aaa", "android", "a1").await;
    for (push, body, task, tell, cancel) in [
        ("sendMessage", kinvey, "/task_id", "kinveyTask", "kinveyCancel"),
        ("pushToClients", imkit, "/result/task_id", "imkitTask", "imkitCancel"),
    ] {
        let push = operation(push);
        let example = Example { body: Some(body), ..tested.description.examples(push)[0].clone() };
        let taken = tested.send(push, &example, &tested.description.callers(push)[0]).await;
        let task = taken.json().pointer(task).unwrap().to_string();
        let call = async |id: &str| {
            let operation = operation(id);
            let (scheme, unknown) = (&tested.description.callers(operation)[0][0], "258943057100801");
            let address = tested.description.filled(operation.path, Some(operation)).replace(unknown, &task);
            let (name, value) = tested.description.header(scheme, &credential(scheme));
            let credentials = [(name.as_str(), value.as_str())];
            let answer = tested.bell.caller.send(&operation.method, &address, &credentials, "").await;
            tested.check(operation, "a task that is there", &answer);
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.text
        };
        call(tell).await;
        tested.bell.drained().await;
        let told = call(tell).await;
        assert!(told.contains("no_device"), "{told}");
        assert_eq!(told.contains("missing_values"), push.value["tags"][0] == "Kinvey", "{told}");
        call(cancel).await;
        call(tell).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_described_is_refused() {
    let Tested { bell, description } = Tested::start().await;
    for (path, item) in description.paths() {
        let address = description.filled(path, None);
        let taken: BTreeSet<&str> =
            METHODS.into_iter().filter(|method| item.get(method.to_lowercase()).is_some()).collect();
        for method in METHODS {
            let answer = bell.caller.send(method, &address, &[], "").await;
            if taken.contains(method) {
                assert_ne!(answer.status, 405, "{method} {path}");
                continue;
            }
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text);
            let fits = description.fits(description.other_methods(item), &answer);
            fits.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
            let allowed = answer.headers["allow"].to_str().unwrap().split(", ").collect::<BTreeSet<_>>();
            assert_eq!(allowed, taken, "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_answered_as_described() {
    let tested = Tested::start().await;
    for operation in tested.description.operations() {
        let example = &tested.description.examples(&operation)[0];
        for schemes in tested.description.callers(&operation) {
            if schemes.is_empty() {
                continue;
            }
            let wrong =
                schemes.iter().map(|scheme| tested.description.header(scheme, "demo.wrong")).collect::<Vec<_>>();
            for credentials in [wrong.as_slice(), &[]] {
                let answer = tested.call(&operation, example, credentials).await;
                tested.check(&operation, "a stranger", &answer);
                let refused = answer.status == 401 || answer.json()["code"].as_u64().is_some_and(|code| code >= 10_000);
                assert!(refused, "{} {}: {}", operation.method, operation.path, answer.text);
            }
        }
        let address = tested.description.filled(operation.path, Some(&operation));
        let others = [("demo-secret", "wrong", 401), ("/demo/", "/nobody/", 404), ("demo-secret", "a%2Fb%2Fc", 404)];
        for (own, other, status) in others.into_iter().filter(|(own, _, _)| address.contains(own)) {
            let address = address.replacen(own, other, 1);
            let answer = tested.bell.caller.send(&operation.method, &address, &[], "{}").await;
            tested.check(&operation, &address, &answer);
            // OpenIM is never refused.
            assert!(answer.status == status || answer.json()["nextCode"] == 0, "{address}: {}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_is_answered_as_described() {
    let tested = Tested::start().await;
    let long = "x".repeat(pushbell::call::MOST_BODY);
    for operation in tested.description.operations() {
        if operation.value.get("requestBody").is_none() {
            continue;
        }
        let example = Example { body: Some(json!(long)), ..tested.description.examples(&operation)[0].clone() };
        let schemes = &tested.description.callers(&operation)[0];
        let answer = tested.send(&operation, &example, schemes).await;
        tested.check(&operation, "too long", &answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_tables_is_answered_as_described() {
    let tested = Tested::start().await;
    tested.bell.fault(Rule::new(Target::Dynamodb, Effect::Refuse));
    tested.bell.fault(Rule::new(Target::Sqs, Effect::Refuse));
    for operation in tested.description.operations() {
        // What is taken and says most is looked at furthest.
        let length = |example: &Example| example.body.as_ref().map(|body| body.to_string().len());
        let examples = tested.description.examples(&operation).into_iter();
        let example = examples.max_by_key(|example| (example.status < 300, length(example))).unwrap();
        let schemes = &tested.description.callers(&operation)[0];
        let answer = tested.send(&operation, &example, schemes).await;
        tested.check(&operation, "in trouble", &answer);
        let later = tested.description.responses(&operation).any(|(status, _)| status == 503);
        assert_eq!(answer.status == 503, later, "{} {}: {}", operation.method, operation.path, answer.text);
    }
}
