//! Log events that count.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::{Metric, Of, count};
use crate::delivery::Channel;
use crate::id::AppId;

/// Counts the events that have a `metric` field, whatever the log level.
pub(in crate::telemetry) struct Events;

impl Events {
    /// The layer, which is asked about no other event.
    pub(in crate::telemetry) fn layer<S>() -> impl Layer<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let counting: FilterFn =
            filter_fn(has_metric as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::INFO);
        Self.with_filter(counting)
    }
}

fn has_metric(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.fields().field("metric").is_some()
}

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said { metric: None, app: None, channel: None, count: 1 };
        event.record(&mut said);
        if let Some(metric) = said.metric {
            let of = match (&said.app, said.channel) {
                (Some(app), Some(channel)) => Of::Channel(app, channel),
                (Some(app), None) => Of::App(app),
                (None, _) => Of::Everything,
            };
            count(metric, of, said.count);
        }
    }
}

struct Said {
    metric: Option<Metric>,
    app: Option<AppId>,
    channel: Option<Channel>,
    count: u64,
}

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "count" {
            self.count = value;
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record_u64(field, u64::try_from(value).unwrap_or_default());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "metric" => self.metric = Metric::from_word(value),
            "app" => self.app = AppId::parse(value).ok(),
            "channel" => self.channel = channel(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // `%app` comes here. Anything else may be long, and is not looked at.
        if field.name() == "app" {
            self.app = AppId::parse(format!("{value:?}")).ok();
        }
    }
}

fn channel(word: &str) -> Option<Channel> {
    Channel::every().into_iter().find(|channel| channel.as_str() == word)
}
