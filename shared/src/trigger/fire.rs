//! From an event to tasks.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::audience::RuleError;
use super::event::Event;
use super::rule::Rule;
use crate::app::Settings;
use crate::id::{AppId, TaskId, digest};
use crate::message::Dialect;
use crate::task::{Accepted, Intake, Notice, SubmitError};
use crate::telemetry::metrics::{self, Metric, Of};
use crate::time::Timestamp;

/// What an app's rules made of an event. Of a rule that does not match nothing is said.
#[derive(Debug, Default)]
pub struct Fired {
    /// The rules that pushed.
    pub triggered: Vec<Triggered>,
    /// The rules that matched and cannot push.
    pub refused: Vec<Refused>,
    /// The rules whose pushes are not safely queued. The same event may come again: with an id, who has pushed does not push anew.
    pub unqueued: Vec<Unqueued>,
}

/// A push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triggered {
    /// The rule's name.
    pub rule: String,
    /// The push's number.
    pub task: TaskId,
    /// It was made before, for the same event.
    pub repeated: bool,
}

/// A rule that cannot use the event, now or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The rule's name.
    pub rule: String,
    /// Names fields and rules, never a value.
    pub error: RuleError,
}

/// A push that was not queued.
#[derive(Debug)]
pub struct Unqueued {
    /// The rule's name.
    pub rule: String,
    /// Why.
    pub error: SubmitError,
}

impl Fired {
    /// Whether no rule matched.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.triggered.is_empty() && self.refused.is_empty() && self.unqueued.is_empty()
    }

    /// `{"triggered": [{"rule", "task"}], "refused": [{"rule", "error"}]}`; a push that was made before is `"repeated": true`.
    #[must_use]
    pub fn answer(&self) -> Value {
        let triggered = self.triggered.iter().map(|Triggered { rule, task, repeated }| {
            let mut one = json!({"rule": rule, "task": task});
            if *repeated {
                one["repeated"] = json!(true);
            }
            one
        });
        let refused =
            self.refused.iter().map(|Refused { rule, error }| json!({"rule": rule, "error": error.to_string()}));
        json!({"triggered": triggered.collect::<Vec<_>>(), "refused": refused.collect::<Vec<_>>()})
    }
}

enum Failed {
    Refused(RuleError),
    Unqueued(SubmitError),
}

/// Has each rule of `app` that matches `event` push once for the event's id. What one rule cannot do does not hold up the others.
pub async fn fire(intake: &Intake, settings: &Settings, app: &AppId, event: &Event<'_>, now: Timestamp) -> Fired {
    let mut fired = Fired::default();
    for rule in settings.triggers.iter().filter(|rule| rule.matches(event.kind, event.document)) {
        let name = rule.name.clone();
        match push(intake, app, rule, event, now).await {
            Ok(Accepted { task, repeated, due: _ }) => {
                metrics::count(Metric::Triggered, Of::Everything, u64::from(!repeated));
                fired.triggered.push(Triggered { rule: name, task, repeated });
            }
            Err(Failed::Refused(error)) => {
                tracing::warn!(app = %app, rule = name, error = %error, metric = "trigger_refused", "a rule cannot use an event");
                fired.refused.push(Refused { rule: name, error });
            }
            Err(Failed::Unqueued(error)) => fired.unqueued.push(Unqueued { rule: name, error }),
        }
    }
    fired
}

async fn push(
    intake: &Intake,
    app: &AppId,
    rule: &Rule,
    event: &Event<'_>,
    now: Timestamp,
) -> Result<Accepted, Failed> {
    let whom = rule.audience.whom(event.document).map_err(Failed::Refused)?;
    let made = rule.content.make(event.document).map_err(Failed::Refused)?;
    let due = rule.delay.map(|delay| now.plus(delay));
    let notice = Notice {
        app: app.clone(),
        dialect: Dialect::Pushbell,
        whom,
        request: request(rule, event),
        due,
        online_only: false,
    };
    let message = |id| made.message(app.clone(), id, due.unwrap_or(now));
    let accepted = intake.notify(notice, message, now).await;
    accepted.map_err(|error| RuleError::of(error).map_or_else(Failed::Unqueued, Failed::Refused))
}

/// The same for the same event, however long its id is.
fn request(rule: &Rule, event: &Event<'_>) -> Option<String> {
    let [source, name, detail] = event.kind.parts();
    let parts = [source, name, detail, event.id.filter(|id| !id.is_empty())?];
    let digest = URL_SAFE_NO_PAD.encode(digest::<18>(&parts.map(str::as_bytes)));
    Some(format!("trigger#{}#{digest}", rule.name))
}
