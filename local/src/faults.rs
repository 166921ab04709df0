//! Faults on demand: rules that say which calls go wrong, how, how often and how many times.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The seed of a stack that was given none, so that two runs with the same calls fail alike.
const DEFAULT_SEED: u64 = 0x5eed_0001;

/// The emulated service a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The tables.
    Dynamodb,
    /// The queues, over HTTP only: the stack's own pollers are not touched.
    Sqs,
    /// The platform endpoints.
    Sns,
    /// FCM's send call.
    Fcm,
    /// The token endpoint of FCM's service accounts.
    Oauth,
    /// The secrets.
    Secrets,
    /// What hands the queues' records to the functions. Its one call is `receive`, of a queue (`table`).
    Mapping,
}

/// What a call must look like for a rule to fire; every given part must fit, and nothing given fits every call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// The service's own name of the call: `UpdateItem`, `SendMessageBatch`, `Publish`, `send`, `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The token of the device (FCM, SNS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The table, or the queue. A call over several tables fits when one of them does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Text found in the body as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// The function that calls (AWS only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The service says that it is called too fast, in its own words.
    Throttle,
    /// DynamoDB: `TransactionConflictException`, or a cancelled transaction with that reason.
    Conflict,
    /// The service's internal error, nothing done.
    Error500,
    /// The service is away, nothing done.
    Error503,
    /// FCM and OAuth: 503 with `Retry-After` in seconds.
    Unavailable {
        /// Seconds.
        retry_after: u64,
    },
    /// FCM and OAuth: 429 with `Retry-After` in seconds.
    Error429 {
        /// Seconds.
        retry_after: u64,
    },
    /// FCM: the token is gone (404). SNS: the endpoint is disabled.
    Unregistered,
    /// The call is held until the rules are cleared, then goes its way; or until the client goes.
    Hang,
    /// The connection ends without an answer, nothing done.
    Cut,
    /// The call is done, then the connection ends without an answer.
    LoseAnswer,
    /// The call is done, then answered by the internal error.
    LoseAnswer500,
    /// The service denies the call for good; clients do not retry it.
    Refuse,
    /// The call waits. Several such rules add up, and another rule may fire after them.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The last `n` entries of an SQS batch fail; of a `BatchWriteItem` they come back unprocessed.
    FailEntries {
        /// How many.
        n: usize,
    },
    /// Nothing: the call goes its way, and rules behind this one are not looked at.
    Pass,
    /// DynamoDB: the call is done with `to` in the place of `from` in its body: with a condition that lacks a clause, say. A value that no
    /// expression names any more is refused, so `to` has to name what `from` named. Calls without `from` go their way.
    Rewrite {
        /// As it stands in the JSON.
        from: String,
        /// What is done instead.
        to: String,
    },
    /// DynamoDB: a `GetItem` is answered with what the item was after its last `UpdateItem`, whatever was changed by transactions since.
    Stale,
    /// Mapping: the records are handed to two invocations at once.
    Duplicate,
    /// Mapping: the records are worked off and not deleted, so they come again when their visibility timeout is over.
    KeepRecords,
    /// Mapping: the record that has waited shortest comes first.
    Reverse,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The service.
    pub target: Target,
    /// Which of its calls.
    #[serde(rename = "match", default)]
    pub matching: Match,
    /// What happens to them.
    #[serde(rename = "do")]
    pub effect: Effect,
    /// After firing so often the rule is spent; without it, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// The share of the fitting calls that it fires for, 0 to 1; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

/// A rule that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The rate is not between 0 and 1.
    #[error("the rate of a fault is a number from 0 to 1")]
    Rate,
    /// The service has no such failure.
    #[error("this service has no such failure")]
    Effect,
}

impl Rule {
    /// A rule for every call of a service.
    pub fn new(target: Target, effect: Effect) -> Self {
        Self { target, matching: Match::default(), effect, times: None, rate: None }
    }

    /// Only for this call.
    #[must_use]
    pub fn action(mut self, action: &str) -> Self {
        self.matching.action = Some(action.to_owned());
        self
    }

    /// Only for this device token.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.matching.token = Some(token.to_owned());
        self
    }

    /// Only for this table or queue.
    #[must_use]
    pub fn table(mut self, table: &str) -> Self {
        self.matching.table = Some(table.to_owned());
        self
    }

    /// Only for bodies with this text.
    #[must_use]
    pub fn body_contains(mut self, text: &str) -> Self {
        self.matching.body_contains = Some(text.to_owned());
        self
    }

    /// Only for calls of this function.
    #[must_use]
    pub fn caller(mut self, function: &str) -> Self {
        self.matching.caller = Some(function.to_owned());
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Only for this share of the calls, 0 to 1.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Whether the rule means something.
    pub fn check(&self) -> Result<(), RuleError> {
        if self.rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
            return Err(RuleError::Rate);
        }
        let known = match self.effect {
            Effect::Pass => true,
            Effect::Duplicate | Effect::KeepRecords | Effect::Reverse => self.target == Target::Mapping,
            Effect::Rewrite { .. } | Effect::Stale => self.target == Target::Dynamodb,
            Effect::Throttle
            | Effect::Error500
            | Effect::Error503
            | Effect::Hang
            | Effect::Cut
            | Effect::LoseAnswer
            | Effect::LoseAnswer500
            | Effect::Refuse
            | Effect::Delay { .. } => self.target != Target::Mapping,
            Effect::Conflict => self.target == Target::Dynamodb,
            Effect::Unavailable { .. } | Effect::Error429 { .. } => {
                matches!(self.target, Target::Fcm | Target::Oauth)
            }
            Effect::Unregistered => matches!(self.target, Target::Fcm | Target::Sns),
            Effect::FailEntries { .. } => matches!(self.target, Target::Sqs | Target::Dynamodb),
        };
        if known { Ok(()) } else { Err(RuleError::Effect) }
    }
}

/// A rule and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleState {
    /// Its name for [`Faults::remove`].
    pub id: u64,
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// How often it has fired.
    pub fired: u64,
}

/// A call, as the rules see it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Call<'a> {
    pub(crate) action: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) tables: &'a [&'a str],
    pub(crate) body: &'a [u8],
    pub(crate) caller: Option<&'a str>,
}

/// The rules of a stack; clones share them.
#[derive(Clone)]
pub struct Faults(Arc<Inner>);

struct Inner {
    rules: Mutex<Rules>,
    /// Counts the times the rules were cleared: what hangs waits for the next one.
    cleared: watch::Sender<u64>,
}

struct Rules {
    list: Vec<RuleState>,
    next: u64,
    random: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self::seeded(DEFAULT_SEED)
    }
}

impl Faults {
    /// No rules yet; rates draw from a generator that starts at `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Inner {
            rules: Mutex::new(Rules { list: Vec::new(), next: 1, random: seed }),
            cleared: watch::Sender::new(0),
        }))
    }

    /// Has rates draw from a generator that starts at `seed`, from now on.
    pub fn reseed(&self, seed: u64) {
        self.rules().random = seed;
    }

    /// Adds a rule behind those that are there, and gives its id.
    pub fn add(&self, rule: Rule) -> Result<u64, RuleError> {
        rule.check()?;
        let mut rules = self.rules();
        let id = rules.next;
        rules.next += 1;
        rules.list.push(RuleState { id, rule, fired: 0 });
        Ok(id)
    }

    /// Puts these rules in the place of all others, or none of them when one cannot be taken. Lets go what hangs.
    pub fn replace(&self, list: Vec<Rule>) -> Result<(), RuleError> {
        list.iter().try_for_each(Rule::check)?;
        let mut rules = self.rules();
        rules.list.clear();
        for rule in list {
            let id = rules.next;
            rules.next += 1;
            rules.list.push(RuleState { id, rule, fired: 0 });
        }
        self.release();
        Ok(())
    }

    /// Takes one rule away; false when it is not there. Lets go what hangs when it made calls hang.
    pub fn remove(&self, id: u64) -> bool {
        let mut rules = self.rules();
        let Some(at) = rules.list.iter().position(|state| state.id == id) else {
            return false;
        };
        let gone = rules.list.remove(at);
        if gone.rule.effect == Effect::Hang {
            self.release();
        }
        true
    }

    /// Takes all rules away and lets go what hangs.
    pub fn clear(&self) {
        self.rules().list.clear();
        self.release();
    }

    /// The rules in their order, with how often each has fired.
    pub fn list(&self) -> Vec<RuleState> {
        self.rules().list.clone()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules().list.is_empty()
    }

    /// Whether a rule reads the past, so that it has to be kept.
    pub(crate) fn has_stale(&self) -> bool {
        self.rules().list.iter().any(|state| state.rule.effect == Effect::Stale)
    }

    /// How often a rule has fired; 0 for one that is not there.
    pub fn fired(&self, id: u64) -> u64 {
        self.rules().list.iter().find(|state| state.id == id).map_or(0, |state| state.fired)
    }

    /// Sits out the delays and hangs this call meets, and gives what else is to happen to it.
    pub(crate) async fn meet(&self, target: Target, call: Call<'_>) -> Option<Effect> {
        // Before the decision, so that a clear that comes right after it is seen.
        let mut cleared = self.0.cleared.subscribe();
        let (delay, effect) = self.decide(target, call);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match effect {
            Some(Effect::Hang) => {
                let _ = cleared.changed().await;
                None
            }
            other => other,
        }
    }

    /// Whether one of the `wanted` effects happens to a receive of `queue`. Rules of other effects are left alone.
    pub(crate) fn on_receive(&self, queue: &str, wanted: &[Effect]) -> Option<Effect> {
        if self.is_empty() {
            return None;
        }
        let call = Call { action: "receive", tables: &[queue], ..Call::default() };
        self.decide_among(Target::Mapping, call, |effect| wanted.contains(effect)).1
    }

    fn decide(&self, target: Target, call: Call<'_>) -> (Duration, Option<Effect>) {
        self.decide_among(target, call, |_| true)
    }

    fn decide_among(
        &self,
        target: Target,
        call: Call<'_>,
        wanted: impl Fn(&Effect) -> bool,
    ) -> (Duration, Option<Effect>) {
        let mut delay = Duration::ZERO;
        let mut rules = self.rules();
        let Rules { list, random, .. } = &mut *rules;
        for state in list.iter_mut() {
            let spent = state.rule.times.is_some_and(|times| state.fired >= times);
            if state.rule.target != target || spent || !wanted(&state.rule.effect) || !fits(&state.rule.matching, call)
            {
                continue;
            }
            if let Effect::Rewrite { from, .. } = &state.rule.effect
                && !contains(call.body, from.as_bytes())
            {
                continue;
            }
            if state.rule.rate.is_some_and(|rate| draw(random) >= rate) {
                continue;
            }
            state.fired += 1;
            let effect = state.rule.effect.clone();
            let Effect::Delay { ms } = effect else {
                return (delay, Some(effect).filter(|effect| *effect != Effect::Pass));
            };
            delay += Duration::from_millis(ms);
        }
        (delay, None)
    }

    fn release(&self) {
        self.0.cleared.send_modify(|times| *times += 1);
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fits(matching: &Match, call: Call<'_>) -> bool {
    let Match { action, token, table, body_contains, caller } = matching;
    action.as_deref().is_none_or(|action| action == call.action)
        && token.as_deref().is_none_or(|token| call.token == Some(token))
        && table.as_deref().is_none_or(|table| call.tables.contains(&table))
        && caller.as_deref().is_none_or(|caller| call.caller == Some(caller))
        && body_contains.as_deref().is_none_or(|text| contains(call.body, text.as_bytes()))
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// SplitMix64 (Steele, Lea, Flood 2014), as a number from 0 up to 1.
fn draw(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let top = u32::try_from(mixed >> 32).unwrap_or(u32::MAX);
    f64::from(top) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn call(action: &str) -> Call<'_> {
        Call { action, ..Call::default() }
    }

    #[test]
    fn a_rule_is_read_from_the_json_that_the_stack_takes() {
        let rule: Rule = serde_json::from_str(
            r#"{"target":"fcm","match":{"token":"t1"},"do":{"error429":{"retry_after":7}},"times":2,"rate":0.5}"#,
        )
        .unwrap();
        let expected = Rule::new(Target::Fcm, Effect::Error429 { retry_after: 7 }).token("t1").times(2).rate(0.5);
        assert_eq!(rule, expected);
        let plain: Rule = serde_json::from_str(r#"{"target":"dynamodb","do":"lose_answer500"}"#).unwrap();
        assert_eq!(plain.effect, Effect::LoseAnswer500);
    }

    #[test]
    fn a_rule_without_meaning_is_refused_and_nothing_is_replaced() {
        let faults = Faults::default();
        faults.add(Rule::new(Target::Sqs, Effect::Cut)).unwrap();
        let bad = Rule::new(Target::Sqs, Effect::Conflict);
        assert_eq!(faults.replace(vec![bad]), Err(RuleError::Effect));
        let bad = Rule::new(Target::Fcm, Effect::Cut).rate(1.5);
        assert_eq!(faults.add(bad), Err(RuleError::Rate));
        assert_eq!(faults.list().len(), 1);
    }

    #[tokio::test]
    async fn a_rule_fires_as_often_as_it_says_and_is_counted() {
        let faults = Faults::default();
        let rule = Rule::new(Target::Sns, Effect::Throttle).action("Publish").times(2);
        let id = faults.add(rule).unwrap();
        assert_eq!(faults.meet(Target::Sns, call("Other")).await, None);
        assert_eq!(faults.meet(Target::Sqs, call("Publish")).await, None);
        for _ in 0..2 {
            let met = faults.meet(Target::Sns, call("Publish")).await;
            assert_eq!(met, Some(Effect::Throttle));
        }
        assert_eq!(faults.meet(Target::Sns, call("Publish")).await, None);
        assert_eq!(faults.fired(id), 2);
    }

    #[tokio::test]
    async fn a_call_that_passes_meets_no_later_rule_and_one_without_the_text_is_not_rewritten() {
        let faults = Faults::default();
        let rewrite = Effect::Rewrite { from: "a < b".to_owned(), to: "a = a".to_owned() };
        faults.add(Rule::new(Target::Dynamodb, Effect::Pass).caller("retry")).unwrap();
        faults.add(Rule::new(Target::Dynamodb, rewrite.clone())).unwrap();
        let mut seen = Call { body: b"if a < b", ..Call::default() };
        assert_eq!(faults.meet(Target::Dynamodb, seen).await, Some(rewrite));
        seen.caller = Some("retry");
        assert_eq!(faults.meet(Target::Dynamodb, seen).await, None);
        let other = Call { body: b"if a > b", ..Call::default() };
        assert_eq!(faults.meet(Target::Dynamodb, other).await, None);
    }

    #[tokio::test]
    async fn every_part_of_a_match_must_fit() {
        let faults = Faults::default();
        let rule = Rule::new(Target::Dynamodb, Effect::Cut).table("tasks").body_contains("aaa");
        faults.add(rule).unwrap();
        let mut seen = Call { tables: &["registry", "tasks"], body: b"{\"k\":\"bbb\"}", ..Call::default() };
        assert_eq!(faults.meet(Target::Dynamodb, seen).await, None);
        seen.body = b"{\"k\":\"aaa\"}";
        assert_eq!(faults.meet(Target::Dynamodb, seen).await, Some(Effect::Cut));
        seen.tables = &["registry"];
        assert_eq!(faults.meet(Target::Dynamodb, seen).await, None);
    }

    #[tokio::test]
    async fn a_rate_is_the_same_share_in_every_run_with_one_seed() {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let faults = Faults::seeded(42);
            faults.add(Rule::new(Target::Fcm, Effect::Error503).rate(0.1)).unwrap();
            let mut fired = Vec::new();
            for _ in 0..1000 {
                fired.push(faults.meet(Target::Fcm, call("send")).await.is_some());
            }
            runs.push(fired);
        }
        assert_eq!(runs[0], runs[1]);
        let share = runs[0].iter().filter(|fired| **fired).count();
        assert!((60..140).contains(&share), "{share} of 1000");
    }

    #[tokio::test]
    async fn what_hangs_goes_on_once_the_rules_are_cleared() {
        let faults = Faults::default();
        faults.add(Rule::new(Target::Fcm, Effect::Hang)).unwrap();
        let held = faults.clone();
        let mut task = tokio::spawn(async move { held.meet(Target::Fcm, Call::default()).await });
        let early = tokio::time::timeout(Duration::from_millis(20), &mut task).await;
        assert!(early.is_err(), "the call did not hang");
        faults.clear();
        assert_eq!(task.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn delays_add_up_and_another_rule_may_follow_them() {
        let faults = Faults::default();
        for rule in [
            Rule::new(Target::Sqs, Effect::Delay { ms: 300 }),
            Rule::new(Target::Sqs, Effect::Delay { ms: 200 }),
            Rule::new(Target::Sqs, Effect::Refuse),
        ] {
            faults.add(rule).unwrap();
        }
        let begun = tokio::time::Instant::now();
        let met = faults.meet(Target::Sqs, Call::default()).await;
        assert_eq!(met, Some(Effect::Refuse));
        assert_eq!(begun.elapsed(), Duration::from_millis(500));
    }
}
