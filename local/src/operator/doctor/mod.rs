//! `doctor`: whether a bundle and its apps are set up as they should be. It changes nothing and reaches no phone.
//!
//! Each look has one finding at least, of what is well too: what is not in the list was not looked at.

mod app;
mod bundle;
mod documents;
mod ios;
mod reach;

use std::fmt;

use clap::Args;
use futures_util::{StreamExt as _, stream};
use pushbell::id::AppId;
use pushbell::time::Timestamp;
use serde_json::{Value, json};

use super::app::{DocumentError, Documents};
use super::{Deployment, Where};

/// Apps that are looked at at once.
const AT_ONCE: usize = 4;

/// `doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// The app; without it the bundle and all apps.
    #[arg(value_parser = super::app_id)]
    pub app: Option<AppId>,
    /// Warnings count as failures, for the exit code.
    #[arg(long)]
    pub strict: bool,
    /// The answer as JSON.
    #[arg(long)]
    pub json: bool,
    /// Of which bundle.
    #[command(flatten)]
    pub place: Where,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Pushes go out, and something should be done.
    Warn,
    /// Something does not work.
    Fail,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// What was seen of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Of what: `bundle`, `app acme`.
    pub of: String,
    /// What was seen. No secret is in it.
    pub seen: String,
    /// What to do about it; of what is well there is none.
    pub fix: Option<String>,
}

impl Finding {
    /// A line, and what to do under it.
    pub fn text(&self) -> String {
        let Self { level, of, seen, fix } = self;
        let line = format!("{level:<5} {of}: {seen}", level = level.to_string());
        match fix {
            Some(fix) => format!("{line}\n      -> {fix}"),
            None => line,
        }
    }
}

/// What was seen, in the order in which it was looked at.
#[derive(Debug, Default)]
pub struct Report {
    /// One after the other.
    pub findings: Vec<Finding>,
}

/// A clock, which is asked where its time is used: a look takes minutes, and what is signed by its beginning, or held against an answer, is
/// false by then.
pub type Clock<'a> = &'a dyn Fn() -> Timestamp;

/// The app that is looked at.
#[derive(Clone, Copy)]
struct One<'a> {
    deployment: &'a Deployment,
    app: &'a AppId,
    clock: Clock<'a>,
}

impl One<'_> {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// `app <does> <app> <options>`, as it is typed to have it done here.
    fn command(&self, does: &str, options: &str) -> String {
        let space = if options.is_empty() { "" } else { " " };
        format!("app {does} {}{space}{options}{}", self.app, self.deployment.place)
    }
}

/// Findings about one thing.
struct Findings {
    of: String,
    all: Vec<Finding>,
}

impl Findings {
    fn of(of: impl Into<String>) -> Self {
        Self { of: of.into(), all: Vec::new() }
    }

    fn add(&mut self, level: Level, seen: String, fix: Option<String>) {
        self.all.push(Finding { level, of: self.of.clone(), seen, fix });
    }

    fn ok(&mut self, seen: impl Into<String>) {
        self.add(Level::Ok, seen.into(), None);
    }

    fn warn(&mut self, seen: impl Into<String>, fix: impl Into<String>) {
        self.add(Level::Warn, seen.into(), Some(fix.into()));
    }

    fn fail(&mut self, seen: impl Into<String>, fix: impl Into<String>) {
        self.add(Level::Fail, seen.into(), Some(fix.into()));
    }

    /// A vendor does not take credentials, or could not be asked about them.
    fn trouble(&mut self, vendor: &str, is_passing: bool, trouble: &str) {
        let (seen, fix) = documents::halves(trouble);
        match is_passing {
            true => self.warn(format!("{vendor} could not be asked: {seen}"), fix),
            false => self.fail(format!("{vendor}: {seen}"), fix),
        }
    }
}

impl Report {
    /// The worst of it.
    pub fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    /// How many are of this level.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    /// How many there are of each level.
    pub fn sum(&self) -> String {
        format!(
            "{} ok, {} to be looked at, {} that do not work.",
            self.count(Level::Ok),
            self.count(Level::Warn),
            self.count(Level::Fail)
        )
    }

    /// All of it for machines.
    pub fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({ "level": finding.level.to_string(), "of": finding.of, "seen": finding.seen, "fix": finding.fix })
            })
            .collect();
        json!({ "worst": self.worst().to_string(), "findings": findings })
    }
}

/// Looks at the bundle and at one app, or at all of them. `clock` is this machine's. Findings are `told` as they are made, and in their
/// order.
pub async fn run(
    deployment: &Deployment,
    wanted: Option<&AppId>,
    clock: Clock<'_>,
    mut told: impl FnMut(&[Finding]),
) -> Result<Report, DocumentError> {
    let mut report = Report::default();
    let mut add = |found: Vec<Finding>| {
        told(&found);
        report.findings.extend(found);
    };
    let documents = Documents::new(deployment)?;
    let mut bundle = Findings::of(format!("stack {}", deployment.stack));
    bundle::look(deployment, &mut bundle).await;
    add(std::mem::take(&mut bundle.all));
    let is_safe = reach::api(deployment, clock, &mut bundle).await;
    add(bundle.all);
    let mut of_apps = Findings::of("apps");
    let place = &deployment.place;
    let apps = match wanted {
        Some(app) => vec![app.clone()],
        None => match documents.list().await {
            Ok(listed) if listed.is_empty() => {
                of_apps.warn(
                    "there is none",
                    format!("`app add my-app{place}` makes one of that name; one that was made minutes ago may not be listed yet: name it"),
                );
                Vec::new()
            }
            Ok(listed) => listed.into_keys().collect(),
            Err(error) => {
                of_apps.warn(error.to_string(), format!("name the app: `doctor my-app{place}`"));
                Vec::new()
            }
        },
    };
    add(of_apps.all);
    let looks = apps.iter().map(|app| app::look(One { deployment, app, clock }, &documents, is_safe));
    let mut looks = stream::iter(looks).buffered(AT_ONCE);
    while let Some(found) = looks.next().await {
        add(found);
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
