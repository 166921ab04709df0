//! What goes wrong: rules for the emulated services, and processes that are killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::Phones;
use pushbell_local::vendors::Vendors;
use tokio::task::JoinHandle;

use crate::stats;

/// A guard of the product, which the campaign can take away outside the product's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Guard {
    /// A message's mark keeps it from being counted twice.
    Mark,
    /// What was claimed before the marks that are forgotten is not counted.
    Trimmed,
    /// A callback that comes twice is one task.
    Claim,
    /// A record that comes twice finds its result row, and sends nothing.
    ResultRow,
    /// A token that was registered just now is not deleted.
    DeadToken,
    /// A retry sends to the tokens that the client has now.
    TokenReRead,
}

impl Guard {
    /// The rules that take it away.
    pub(super) fn removed(self) -> Vec<Rule> {
        let rewrite = |from: &str, to: &str| {
            Rule::new(Target::Dynamodb, Effect::Rewrite { from: from.to_owned(), to: to.to_owned() })
        };
        match self {
            Self::Mark => vec![rewrite(
                "NOT contains(m0, :m) AND NOT contains(m1, :m)",
                "(NOT contains(m0, :m) OR contains(m0, :m))",
            )],
            Self::Trimmed => vec![rewrite("OR trimmed < :c)", "OR trimmed < :c OR trimmed >= :c)")],
            Self::Claim => vec![rewrite(
                "attribute_not_exists(pk) OR #ttl < :now",
                "attribute_not_exists(pk) OR attribute_exists(pk) OR #ttl < :now",
            )],
            Self::ResultRow => vec![
                rewrite("\"attribute_not_exists(pk)\"", "\"attribute_not_exists(pk) OR attribute_exists(pk)\""),
                // No row of a chunk's attempt is ever found under this key.
                rewrite("#c#", "#y#").action("GetItem").caller("deliver"),
            ],
            Self::DeadToken => vec![rewrite("#d.#a < :before", "(#d.#a < :before OR #d.#a >= :before)")],
            Self::TokenReRead => {
                vec![Rule::new(Target::Dynamodb, Effect::Stale).action("GetItem").caller("deliver")]
            }
        }
    }
}

/// Everything at once, each now and then.
pub(super) fn everything() -> Vec<Rule> {
    let aws = |target, effect, rate| Rule::new(target, effect).rate(rate);
    let (dynamodb, sqs, sns) = (Target::Dynamodb, Target::Sqs, Target::Sns);
    let (fcm, oauth, mapping) = (Target::Fcm, Target::Oauth, Target::Mapping);
    vec![
        aws(mapping, Effect::Duplicate, 0.04),
        aws(mapping, Effect::KeepRecords, 0.04),
        aws(mapping, Effect::Reverse, 0.5),
        // A claim that the table refuses three times over is done without, by design, and a repeat is a second task then. The campaign
        // judges repeats, so claims fail less often.
        aws(dynamodb, Effect::LoseAnswer, 0.02).action("PutItem").body_contains("\"c#demo"),
        aws(dynamodb, Effect::Throttle, 0.02).action("PutItem").body_contains("\"c#demo"),
        Rule::new(dynamodb, Effect::Pass).action("PutItem").body_contains("\"c#demo"),
        aws(dynamodb, Effect::Throttle, 0.03),
        aws(dynamodb, Effect::Conflict, 0.03),
        aws(dynamodb, Effect::LoseAnswer, 0.02),
        aws(dynamodb, Effect::LoseAnswer500, 0.01),
        aws(dynamodb, Effect::Error500, 0.01),
        // Between a claim and its record: time to die.
        aws(sqs, Effect::Delay { ms: 150 }, 0.05).caller("generic-push"),
        aws(sqs, Effect::Refuse, 0.04),
        aws(sqs, Effect::Error503, 0.02),
        aws(sqs, Effect::LoseAnswer, 0.03),
        aws(sqs, Effect::FailEntries { n: 3 }, 0.2).action("SendMessageBatch"),
        aws(sns, Effect::Error500, 0.03),
        aws(sns, Effect::Error503, 0.02),
        aws(sns, Effect::Throttle, 0.03),
        aws(sns, Effect::LoseAnswer, 0.02),
        aws(sns, Effect::Cut, 0.01),
        aws(fcm, Effect::Error503, 0.03),
        aws(fcm, Effect::Error500, 0.02),
        aws(fcm, Effect::Error429 { retry_after: 30 }, 0.02),
        aws(fcm, Effect::LoseAnswer500, 0.02),
        // Both end a connection with everybody else's requests on it.
        aws(fcm, Effect::Cut, 0.001),
        aws(fcm, Effect::LoseAnswer, 0.001),
        // Longer than a send may last.
        aws(fcm, Effect::Delay { ms: 6_000 }, 0.0005),
        aws(oauth, Effect::Error503, 0.1),
        aws(oauth, Effect::Error429 { retry_after: 10 }, 0.05),
        aws(oauth, Effect::Cut, 0.05),
        aws(Target::Secrets, Effect::Throttle, 0.05),
    ]
}

/// How long nothing is pushed before something is killed all the same.
const QUIET: Duration = Duration::from_secs(3);

/// Kills a process of the functions now and then, and takes the access tokens away, until it is dropped.
pub(super) struct Killer(JoinHandle<()>);

impl Killer {
    /// `pushes`: how many are accepted between two kills, in the mean. Work, not time: on a busy machine as much gets done between them.
    /// `expire`: an access token may be taken away. A worker whose fresh token is refused within half a minute calls the account out of
    /// order, so somebody lets more time pass than that before it is said again.
    pub(super) fn start(
        mut random: fastrand::Rng,
        pushes: u64,
        phones: Phones,
        vendors: Vendors,
        expire: Arc<AtomicBool>,
    ) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let next = phones.accepted() + random.u64(1..=2 * pushes);
                // Where nothing is pushed something is killed, too: a claim, a cut, a record that fails.
                let _ = tokio::time::timeout(QUIET, phones.wait_until_accepted(next)).await;
                if random.bool() && expire.swap(false, Ordering::Relaxed) {
                    vendors.revoke_tokens();
                }
                let victim = match random.u8(..18) {
                    0..=10 => "deliver",
                    11..=14 => "fan-out",
                    15..=16 => "generic-push",
                    _ => "devices",
                };
                kill_one(victim, &mut random).await;
            }
        }))
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends one of a function's processes, which are this process's children, with SIGKILL.
async fn kill_one(function: &str, random: &mut fastrand::Rng) {
    if let Some(pid) = random.choice(stats::children(function)) {
        // It may have ended by itself meanwhile.
        let _ = tokio::process::Command::new("kill").args(["-9", &pid.to_string()]).status().await;
    }
}
