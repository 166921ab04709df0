//! From a call to its answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use pushbell::app::{OnError, OpenimMode, Settings};
use pushbell::auth::hook;
use pushbell::call;
use pushbell::dialect::openim::answer::{Answer, Code};
use pushbell::dialect::openim::callback::{Callback, Received};
use pushbell::dialect::openim::command::{Command, Stage};
use pushbell::filter::{self, About, Filter, Rule, Tally};
use pushbell::id::{AppId, ClientId, TaskId};
use pushbell::telemetry::metrics::{self, Metric, Of};
use tokio::time::Instant;

use crate::trouble::Trouble;
use crate::{Call, State};

/// How long the app's documents may take where they are not known yet: the app's own deadline stands in them.
const DOCUMENTS: Duration = Duration::from_millis(900);
/// What of an app's deadline is left for the answer itself.
const SPARE: u32 = 10;

/// An answer, and what the log says of it.
pub(crate) struct Verdict {
    pub(crate) answer: Answer,
    pub(crate) end: End,
    /// Why the call, or a part of it, was not judged.
    pub(crate) trouble: Option<Trouble>,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) enum End {
    /// Nothing was judged.
    Unjudged,
    /// Another of OpenIM's webhooks.
    Ignored,
    /// The push goes on as it is.
    Allowed,
    /// A rule on its content keeps the push from everybody.
    Refused(Rule),
    /// The recipients' rules were applied.
    Filtered(Filtered),
    /// We deliver.
    TakenOver(Vec<TaskId>),
}

/// What the recipients' rules came to.
#[derive(Debug, Default)]
pub(crate) struct Filtered {
    pub(crate) asked: usize,
    pub(crate) kept: usize,
    pub(crate) removed: Tally,
    /// Recipients who are kept although their preferences are not known.
    pub(crate) unread: usize,
    /// Recipients who are not, for that reason.
    pub(crate) lost: usize,
    /// Recipients among those kept who hide content.
    pub(crate) hiding: usize,
    pub(crate) rewritten: bool,
}

impl End {
    /// The word in logs.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Unjudged => "unjudged",
            Self::Ignored => "ignored",
            Self::Allowed => "allowed",
            Self::Refused(_) => "refused",
            Self::Filtered(_) => "filtered",
            Self::TakenOver(_) => "taken_over",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unjudged | Self::Ignored | Self::Allowed => Ok(()),
            Self::Refused(rule) => write!(f, "{rule}"),
            Self::Filtered(Filtered { asked, kept, removed, unread, lost, hiding: _, rewritten }) => {
                write!(f, "asked: {asked}, kept: {kept}, unread: {unread}, lost: {lost}, rewritten: {rewritten}")?;
                if removed.is_empty() { Ok(()) } else { write!(f, ", {removed}") }
            }
            Self::TakenOver(tasks) if tasks.is_empty() => f.write_str("nothing of it is for phones"),
            Self::TakenOver(tasks) => {
                let tasks: Vec<String> = tasks.iter().map(|task| task.get().to_string()).collect();
                write!(f, "tasks: {}", tasks.join(" "))
            }
        }
    }
}

/// What is known once a caller has shown the app's secret.
pub(crate) struct Case<'a> {
    pub(crate) app: &'a AppId,
    pub(crate) settings: &'a Settings,
    pub(crate) command: Command,
    pub(crate) stage: Stage,
    /// When the answer has to be ready.
    pub(crate) until: Instant,
}

impl Verdict {
    pub(crate) const fn of(answer: Answer, end: End) -> Self {
        Self { answer, end, trouble: None }
    }

    /// Nobody is refused anything for a secret that is wrong: the push goes on, and the answer tells why it was not judged.
    fn unadmitted(trouble: Trouble) -> Self {
        let answer = Answer::allow_although(trouble.code(), trouble.to_string());
        Self { answer, end: End::Unjudged, trouble: Some(trouble) }
    }
}

impl Case<'_> {
    /// Nothing can be judged: the push goes on before live delivery, and else as the app wants it.
    /// `callback`: the call, where it could be read.
    pub(crate) fn on_error(&self, callback: Option<&Callback>, trouble: Trouble) -> Verdict {
        let denies = !self.stage.is_online() && self.settings.openim.on_error == OnError::Deny;
        let answer = if denies {
            Answer::deny(self.command, trouble.code(), trouble.to_string())
        } else {
            let answer = Answer::allow_although(trouble.code(), trouble.to_string());
            match callback.filter(|_| self.settings.openim.always_list) {
                Some(callback) => answer.list(callback.session, callback.clients.clone()),
                None => answer,
            }
        };
        Verdict { answer, end: End::Unjudged, trouble: Some(trouble) }
    }

    /// Whose nickname is to be read: the sender's, where a text may say it that is not the server's own.
    pub(crate) fn sender(&self, callback: &Callback) -> Option<ClientId> {
        let is_worded = callback.is_worded() && self.settings.openim.copies.is_empty();
        if is_worded || callback.content.sender.is_some() {
            return None;
        }
        ClientId::parse(callback.sender.as_deref()?).ok()
    }

    /// A rule keeps the push from everybody.
    fn refuse(&self, rule: Rule) -> Verdict {
        Verdict::of(Answer::deny(self.command, Code::of(rule), rule.as_str()), End::Refused(rule))
    }
}

/// Judges one call.
pub(crate) async fn judge(state: &State, call: &Call<'_>, body: Result<Received<'_>, Trouble>) -> Verdict {
    let Some(app) = &call.app else { return Verdict::unadmitted(Trouble::UnknownApp) };
    let settings = match admit(state, call, app).await {
        Ok(settings) => settings,
        Err(trouble) => return Verdict::unadmitted(trouble),
    };
    let Some(command) = call.command else {
        let answer = Answer::allow().detail("the command is none of OpenIM's push hooks");
        return Verdict::of(answer, End::Ignored);
    };
    let deadline = settings.openim.deadline;
    let case = Case {
        app,
        settings: &settings,
        command,
        stage: command.stage(settings.openim.before_push),
        until: call.begun + (deadline - deadline / SPARE),
    };
    let header = call.operation.as_deref();
    let read = body.and_then(|body| Callback::read(&body, header).map_err(Trouble::Callback));
    let callback = match read {
        Ok(callback) => callback,
        Err(trouble) => return case.on_error(None, trouble),
    };
    let filter = match state.filters.of(app, &settings) {
        Ok(filter) => filter,
        Err(error) => return case.on_error(Some(&callback), Trouble::Words(error)),
    };
    // What was delivered before its sender was blocked can be taken back after it.
    let takes_back = settings.openim.mode == OpenimMode::Deliver && callback.content.revoked.is_some();
    let passes = takes_back && !case.stage.is_online();
    if let Some(rule) = content(&case, &filter, &callback).filter(|_| !passes) {
        metrics::count(Metric::FilterRemoved, Of::Rule(app, rule), callback.clients.len().max(1) as u64);
        return case.refuse(rule);
    }
    if case.stage.is_online() || callback.clients.is_empty() {
        return Verdict::of(Answer::allow().detail(callback.omission().unwrap_or_default()), End::Allowed);
    }
    match settings.openim.mode {
        OpenimMode::Filter => case.narrow(state, call, &filter, callback).await,
        OpenimMode::Deliver => case.take_over(state, call, &filter, callback).await,
    }
}

/// Whether the caller shows the app's secret; the app's settings if they do.
async fn admit(state: &State, call: &Call<'_>, app: &AppId) -> Result<Arc<Settings>, Trouble> {
    let left = || DOCUMENTS.saturating_sub(call.begun.elapsed());
    let callers = state.callers.get_within(app, left());
    let callers = if state.callers.is_stale(app) {
        // Both grow old together: what this brings, or keeps as it was, is found below. Else nothing is read for a stranger.
        join(callers, state.settings.get_within(app, left())).await.0
    } else {
        callers.await
    };
    let callers = callers.map_err(Trouble::App)?.ok_or(Trouble::UnknownApp)?;
    let secret = call::path_parameter(call.request, "secret");
    hook::check(&callers, &secret, call::source(call.request), call.now).map_err(Trouble::Hook)?;
    state.settings.get_within(app, left()).await.map_err(Trouble::App)
}

/// The app's rules on what a message says.
fn content(case: &Case<'_>, filter: &Filter, callback: &Callback) -> Option<Rule> {
    let stage = if case.stage.is_online() { filter::Stage::Online } else { filter::Stage::Offline };
    filter.content(&About {
        stage,
        kind: &callback.content_type.to_string(),
        sender: callback.sender.as_deref().unwrap_or_default(),
        group: callback.group.as_deref(),
        texts: &callback.texts(),
    })
}
