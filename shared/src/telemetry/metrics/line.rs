//! Lines in CloudWatch's embedded metric format.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::borrow::Cow;
use std::time::SystemTime;

use metrique_writer_core::config::EntryDimensions;
use metrique_writer_core::format::Format as _;
use metrique_writer_core::stream::IoStreamError;
use metrique_writer_core::value::FlagConstructor as _;
use metrique_writer_core::{Entry, EntryWriter, MetricFlags, Observation, Value, ValueWriter};
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective, NoMetricCtor};

use super::metric::{Metric, Shape};
use super::recorder::{Group, Number};
use crate::time::Timestamp;

/// The metrics' namespace.
pub const NAMESPACE: &str = "Pushbell";

/// What a process writes all its lines with.
pub(super) struct Lines {
    stage: String,
    level: Option<&'static str>,
    sends: Emf,
    others: Emf,
}

impl Lines {
    /// `by_app`: whether ordinary sends are a metric of each app. `level`: the application log level, where it is above `INFO`.
    ///
    /// Lambda takes lines that are JSON as they are (monitoring-cloudwatchlogs-logformat: nothing is encoded twice), but in its JSON log
    /// format it drops what is below the application log level, and takes a line that has no `level` and RFC 3339 `timestamp` for `INFO`
    /// (monitoring-cloudwatchlogs-log-level). So where `INFO` does not pass, a line says the level that does.
    pub(super) fn new(stage: String, by_app: bool, level: Option<&'static str>) -> Self {
        let sets = Shape::Send.dimensions().iter().filter(|set| by_app || !set.contains(&"app"));
        let sends =
            Emf::builder(NAMESPACE.to_owned(), sets.map(|set| set.iter().map(|&name| name.into()).collect()).collect())
                // Dimensions of their own: with those of the sends they would be metrics of each app and class. CloudWatch passes over what is
                // declared and not there.
                .directive(MetricDirective {
                    dimensions: Shape::Vendor.dimensions().iter().map(|set| set.to_vec()).collect(),
                    metrics: [Metric::TimeToVendor, Metric::Success]
                        .map(|metric| MetricDefinition {
                            name: metric.as_str(),
                            unit: metric.unit(),
                            storage_resolution: None,
                        })
                        .to_vec(),
                    namespace: NAMESPACE,
                })
                .build();
        let others = Emf::builder(NAMESPACE.to_owned(), vec![Vec::new()]).build();
        Self { stage, level, sends, others }
    }

    /// Appends the line of `group` to `out`.
    pub(super) fn write(&mut self, group: &Group, now: Timestamp, out: &mut Vec<u8>) -> Result<(), IoStreamError> {
        let line = Line { stage: &self.stage, level: self.level, now, group };
        if group.shape == Shape::Send { self.sends.format(&line, out) } else { self.others.format(&line, out) }
    }
}

struct Line<'l> {
    stage: &'l str,
    level: Option<&'static str>,
    now: Timestamp,
    group: &'l Group,
}

type Names = Cow<'static, [Cow<'static, str>]>;
const STAGE: Names = Cow::Borrowed(&[Cow::Borrowed("stage")]);
const APP: Names = Cow::Borrowed(&[Cow::Borrowed("stage"), Cow::Borrowed("app")]);
const CHANNEL: Names = Cow::Borrowed(&[Cow::Borrowed("stage"), Cow::Borrowed("channel")]);
const APP_CHANNEL: Names = Cow::Borrowed(&[Cow::Borrowed("stage"), Cow::Borrowed("app"), Cow::Borrowed("channel")]);
const RULE: Names = Cow::Borrowed(&[Cow::Borrowed("stage"), Cow::Borrowed("rule")]);

const REPORT: Names = Cow::Borrowed(&[
    Cow::Borrowed("stage"),
    Cow::Borrowed("vendor"),
    Cow::Borrowed("push_stage"),
    Cow::Borrowed("class"),
]);

static BY_STAGE: EntryDimensions = EntryDimensions::new_static(&[STAGE]);
static BY_APP: EntryDimensions = EntryDimensions::new_static(&[STAGE, APP]);
static BY_CHANNEL: EntryDimensions = EntryDimensions::new_static(&[STAGE, CHANNEL, APP_CHANNEL]);
static BY_RULE: EntryDimensions = EntryDimensions::new_static(&[RULE]);
static BY_REPORT: EntryDimensions = EntryDimensions::new_static(&[REPORT]);

impl Entry for Line<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.timestamp(SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(self.now.as_millis()));
        let Group { shape, app, channel, class, rule, report, values } = self.group;
        match (shape, app, channel) {
            (Shape::Send | Shape::Vendor, _, _) => {}
            (Shape::Channel, Some(_), Some(_)) => writer.config(&BY_CHANNEL),
            (Shape::App | Shape::Channel, Some(_), _) => writer.config(&BY_APP),
            (Shape::Rule, _, _) if rule.is_some() => writer.config(&BY_RULE),
            (Shape::Report, _, _) => writer.config(&BY_REPORT),
            (Shape::Whole | Shape::App | Shape::Channel | Shape::Rule, _, _) => writer.config(&BY_STAGE),
        }
        if let Some(level) = self.level {
            writer.value("level", level);
            writer.value("timestamp", &self.now.to_rfc3339());
        }
        writer.value("stage", self.stage);
        if let Some(app) = app {
            writer.value("app", app.as_str());
        }
        if let Some(channel) = channel {
            writer.value("channel", channel.as_str());
        }
        if let Some(class) = class {
            writer.value("class", *class);
        }
        if let Some(rule) = rule {
            writer.value("rule", rule.as_str());
        }
        if let Some((vendor, stage)) = report {
            writer.value("vendor", vendor.as_str());
            writer.value("push_stage", stage.as_str());
        }
        for (metric, number) in values {
            writer.value(metric.as_str(), &Written(*metric, number));
        }
    }
}

struct Written<'n>(Metric, &'n Number);

impl Value for Written<'_> {
    fn write(&self, writer: impl ValueWriter) {
        let Self(metric, number) = self;
        // Declared by the directive of its own.
        let flags = if metric.shape() == Shape::Vendor { NoMetricCtor::construct() } else { MetricFlags::empty() };
        match number {
            Number::One(n) => writer.metric([Observation::Unsigned(*n)], metric.unit(), [], flags),
            Number::Spread(spread) => writer.metric(spread.observations(), metric.unit(), [], flags),
        }
    }
}
