//! The numbers of one invocation.

use std::time::Duration;

use super::Of;
use super::metric::{Kind, Metric, Shape};
use super::spread::Spread;
use crate::delivery::{Channel, Class};
use crate::filter::Rule;
use crate::id::AppId;
use crate::tally::{self, Stage, Vendor};

/// The most apps that one invocation tells apart; the rest count together. A line each is a metric each.
const MOST_APPS: usize = 50;
/// The name that the rest have. No app can bear it.
const OTHER_APPS: &str = "~other";

/// What one line holds.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) shape: Shape,
    pub(super) app: Option<String>,
    pub(super) channel: Option<Channel>,
    pub(super) class: Option<&'static str>,
    pub(super) rule: Option<Rule>,
    pub(super) report: Option<(Vendor, Stage)>,
    pub(super) values: Vec<(Metric, Number)>,
}

#[derive(Debug)]
pub(super) enum Number {
    One(u64),
    Spread(Spread),
}

/// The numbers of one invocation, by line.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    groups: Vec<Group>,
}

impl Recorder {
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(super) fn add(&mut self, metric: Metric, of: Of<'_>, n: u64) {
        if n == 0 {
            return;
        }
        let (app, channel, rule) = match of {
            Of::Everything => (None, None, None),
            Of::App(app) => (Some(app), None, None),
            Of::Channel(app, channel) => (Some(app), Some(channel), None),
            Of::Rule(app, rule) => (Some(app), None, Some(rule)),
        };
        self.group(metric.shape(), app, channel, None, (rule, None)).add(metric, n);
    }

    pub(super) fn sent(&mut self, app: &AppId, channel: Channel, class: Class, took: Option<Duration>) {
        let group = self.group(Shape::Send, Some(app), Some(channel), Some(class.as_str()), (None, None));
        group.add(Metric::Sends, 1);
        if let Some(took) = took {
            group.add(Metric::TimeToVendor, u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        }
        if class != Class::DeadToken {
            group.add(Metric::Success, if class == Class::Delivered { 100 } else { 0 });
        }
        match class {
            Class::Misconfigured | Class::Unauthorized => self.add(Metric::Misconfigured, Of::App(app), 1),
            Class::QuotaUntil(_) => self.add(Metric::QuotaPause, Of::Channel(app, channel), 1),
            Class::Delivered
            | Class::DeadToken
            | Class::Retry { .. }
            | Class::Throttled { .. }
            | Class::BadMessage
            | Class::Unrecognised => {}
        }
    }

    pub(super) fn reported(&mut self, app: &AppId, of: (Vendor, Stage), class: tally::Class, n: u64) {
        if n == 0 {
            return;
        }
        let group = self.group(Shape::Report, Some(app), None, Some(class.as_str()), (None, Some(of)));
        group.add(Metric::PushResults, n);
    }

    fn group(
        &mut self,
        shape: Shape,
        app: Option<&AppId>,
        channel: Option<Channel>,
        class: Option<&'static str>,
        (rule, report): (Option<Rule>, Option<(Vendor, Stage)>),
    ) -> &mut Group {
        let app = app.map(|app| self.name_of(app));
        let found = self.groups.iter().position(|group| {
            group.shape == shape
                && group.app.as_deref() == app
                && (group.channel, group.class, group.rule, group.report) == (channel, class, rule, report)
        });
        let at = found.unwrap_or_else(|| {
            let (app, values) = (app.map(str::to_owned), Vec::new());
            self.groups.push(Group { shape, app, channel, class, rule, report, values });
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }

    fn name_of<'a>(&self, app: &'a AppId) -> &'a str {
        let mut known: Vec<&str> = Vec::new();
        for name in self.groups.iter().filter_map(|group| group.app.as_deref()) {
            if name == app.as_str() {
                return app.as_str();
            }
            if !known.contains(&name) {
                known.push(name);
            }
        }
        if known.len() < MOST_APPS { app.as_str() } else { OTHER_APPS }
    }
}

impl Group {
    fn add(&mut self, metric: Metric, n: u64) {
        let at = self.values.iter().position(|(own, _)| *own == metric).unwrap_or_else(|| {
            let empty = match metric.kind() {
                Kind::Count | Kind::Greatest => Number::One(0),
                Kind::Spread => Number::Spread(Spread::default()),
            };
            self.values.push((metric, empty));
            self.values.len() - 1
        });
        match (&mut self.values[at].1, metric.kind()) {
            (Number::Spread(spread), _) => spread.add(n),
            (Number::One(sum), Kind::Greatest) => *sum = (*sum).max(n),
            (Number::One(sum), Kind::Count | Kind::Spread) => *sum = sum.saturating_add(n),
        }
    }
}
