//! Audiences, walked page by page: who is in them once, whoever fails meanwhile, and who is not.

use std::time::Duration;

use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::{Channel, View};
use serde_json::{Value, json};

use crate::bell::Bell;

const RETURNS: Duration = Duration::from_secs(400);

fn token() -> String {
    pushbell::auth::jwt::sign_hs256(
        b"demo-user-key-0123456789abcdef0123456789ab",
        &json!({"app": "demo", "sub": "console", "role": "admin", "exp": 4_000_000_000_u64}),
    )
}

impl Bell {
    async fn admin(&self, path: &str, user: Option<&str>, body: &Value) -> Value {
        let token = token();
        let mut headers = vec![("app_id", "demo"), ("access-token", token.as_str())];
        headers.extend(user.map(|user| ("user_id", user)));
        let answer = self.caller.post(path, &headers, body).await.json();
        assert_eq!(answer["code"], 200, "{answer}");
        answer["data"].clone()
    }

    async fn tag(&self, client: &str, tags: &[&str]) {
        self.admin("/user/push/tag", Some(client), &json!({"tags": tags})).await;
    }

    async fn notify(&self, audience: Value) -> Value {
        let body = json!({"audience": audience, "message": {"title": "Bell", "body": "ding"}});
        self.admin("/push/notify", None, &body).await["task_id"].clone()
    }

    /// Clients named `u<n>` with one device, or two, or five.
    async fn crowd(&self, clients: usize) -> Vec<String> {
        let mut tokens = Vec::new();
        for client in 0..clients {
            for device in 0..[1, 2, 1, 5, 1][client % 5] {
                let token = format!("fcm-{client:04}-{device}");
                self.caller.register(&format!("u{client:04}"), "android", &token).await;
                tokens.push(token);
            }
        }
        tokens
    }

    /// How often a phone was sent something at all.
    fn sent(&self, token: &str) -> usize {
        self.stack.phones.notifications(Channel::Fcm, token, View::Raw).expect("the phones answer").len()
    }

    /// Works everything off; what failed comes back when its visibility timeout is over. Time passes while nobody works.
    async fn worked_off(&self) {
        const QUEUES: [&str; 2] = ["FanOutQueue", "DeliverQueue"];
        let queues = &self.stack.aws.queues;
        loop {
            self.stack.quiet().await.expect("the queues answer");
            QUEUES.iter().for_each(|queue| queues.pause(queue, true));
            self.stack.quiet().await.expect("the queues answer");
            self.stack.tick("retry").await.expect("a schedule").expect("what is due is handed on");
            let depths = QUEUES.map(|queue| queues.depth(queue).expect("a queue of the template"));
            let left = depths.iter().map(|depth| depth.visible + depth.in_flight + depth.delayed).sum::<u64>();
            queues.advance(RETURNS).expect("the queues answer");
            QUEUES.iter().for_each(|queue| queues.pause(queue, false));
            if left == 0 {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_every_device_of_then() {
    let bell = Bell::start().await;
    let tokens = bell.crowd(260).await;
    let task = bell.notify(json!("all")).await;
    bell.caller.register("late", "android", "fcm-late").await;
    bell.drained().await;
    for token in &tokens {
        assert_eq!(bell.sent(token), 1, "{token}");
    }
    assert_eq!(bell.sent("fcm-late"), 0, "registered after the notice");
    assert_eq!(bell.outcomes(&task).await, [("delivered".to_owned(), tokens.len() as i64)].into());
    assert_eq!(bell.badge("u0003").await, 1, "five devices, counted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_several_of_the_tags_or_aliases_is_told_once() {
    let bell = Bell::start().await;
    let tokens = bell.crowd(10).await;
    for client in 0..10 {
        let name = format!("u{client:04}");
        let tags: &[&str] = match client {
            0..=3 => &["a", "b"],
            4..=6 => &["b"],
            _ => &["c", "a#1"],
        };
        bell.tag(&name, tags).await;
        bell.admin("/user/push/alias", Some(&name), &json!({"alias": format!("alias-{client}")})).await;
    }
    let of = |clients: std::ops::Range<usize>| {
        let prefixes: Vec<String> = clients.map(|client| format!("fcm-{client:04}-")).collect();
        tokens
            .iter()
            .filter(|token| prefixes.iter().any(|prefix| token.starts_with(prefix)))
            .cloned()
            .collect::<Vec<_>>()
    };
    for (audience, there) in [
        (json!({"tag": ["a", "b", "a", "nobody's"]}), of(0..7)),
        (json!({"tag": ["a#1"]}), of(7..10)),
        (json!({"alias": ["alias-2", "alias-9", "nobody's"]}), [of(2..3), of(9..10)].concat()),
        (json!({"tag": ["nobody's"]}), Vec::new()),
    ] {
        bell.stack.phones.clear().unwrap();
        let task = bell.notify(audience.clone()).await;
        bell.drained().await;
        for token in &tokens {
            assert_eq!(bell.sent(token), usize::from(there.contains(token)), "{audience}: {token}");
        }
        assert_eq!(bell.outcomes(&task).await.values().sum::<i64>(), there.len() as i64, "{audience}");
    }
}

/// Whatever call of `fan-out` is refused, the record comes again and goes on where it was: everybody is told once, and the sums add up.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_that_fails_at_any_call_is_gone_on_with() {
    let bell = Bell::start().await;
    let tokens = bell.crowd(30).await;
    for client in 0..30 {
        bell.tag(&format!("u{client:04}"), &["t"]).await;
    }
    let kinds = [(Target::Dynamodb, Effect::Refuse), (Target::Sqs, Effect::Refuse), (Target::Sqs, Effect::LoseAnswer)];
    for (target, effect) in kinds {
        for nth in 0.. {
            bell.stack.aws.faults.replace(Vec::new()).unwrap();
            if nth > 0 {
                bell.fault(Rule::new(target, Effect::Pass).caller("fan-out").times(nth));
            }
            let fault = bell.fault(Rule::new(target, effect.clone()).caller("fan-out").times(1));
            bell.stack.phones.clear().unwrap();
            let task = bell.notify(json!({"tag": ["t"]})).await;
            bell.worked_off().await;
            for token in &tokens {
                // Two copies that two invocations have at once are sent twice, and shown once.
                assert_eq!(bell.android(token).len(), 1, "{target:?} {effect:?} at call {nth}: {token}");
            }
            let sums = [("delivered".to_owned(), tokens.len() as i64)].into();
            assert_eq!(bell.outcomes(&task).await, sums, "{target:?} {effect:?} at call {nth}");
            let fired = bell.stack.aws.faults.list().iter().any(|rule| rule.id == fault && rule.fired > 0);
            if !fired {
                // There are no more calls to refuse.
                assert!(nth > 4, "a walk of four shards makes more calls than {nth}");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_that_comes_twice_tells_nobody_twice() {
    let bell = Bell::start().await;
    let tokens = bell.crowd(130).await;
    bell.stack.aws.queues.pause("DeliverQueue", true);
    let twice = Rule::new(Target::Mapping, Effect::Duplicate).table("FanOutQueue");
    bell.fault(twice);
    let task = bell.notify(json!("all")).await;
    let queues = &bell.stack.aws.queues;
    bell.until(|| queues.depth("FanOutQueue").is_ok_and(|depth| depth.visible + depth.in_flight == 0)).await;
    bell.stack.aws.queues.pause("DeliverQueue", false);
    bell.drained().await;
    let shown = |token: &str| bell.android(token).len();
    for token in &tokens {
        assert_eq!(shown(token), 1, "{token}");
    }
    assert_eq!(bell.outcomes(&task).await, [("delivered".to_owned(), tokens.len() as i64)].into());
    assert_eq!(bell.badge("u0001").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_before_it_is_cut_is_not_sent() {
    let bell = Bell::start().await;
    let tokens = bell.crowd(20).await;
    bell.stack.aws.queues.pause("FanOutQueue", true);
    let task = bell.notify(json!("all")).await;
    bell.admin("/push/task/cancel", None, &json!({"task_id": task})).await;
    bell.stack.aws.queues.pause("FanOutQueue", false);
    bell.drained().await;
    assert!(tokens.iter().all(|token| bell.sent(token) == 0));

    bell.stack.aws.queues.pause("DeliverQueue", true);
    let task = bell.notify(json!("all")).await;
    let queues = &bell.stack.aws.queues;
    bell.until(|| queues.depth("FanOutQueue").is_ok_and(|depth| depth.visible + depth.in_flight == 0)).await;
    bell.admin("/push/task/cancel", None, &json!({"task_id": task})).await;
    bell.stack.aws.queues.pause("DeliverQueue", false);
    bell.drained().await;
    assert!(tokens.iter().all(|token| bell.sent(token) == 0));
    assert_eq!(bell.outcomes(&task).await, [("cancelled".to_owned(), tokens.len() as i64)].into());
    assert_eq!(bell.badge("u0001").await, 0);
}
