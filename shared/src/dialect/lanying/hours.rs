//! `/push/stats/hours`, ours, in Lanying's envelope: what became of an app's messages to one client, where it has them summed by the hour.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::envelope::Failure;
use super::rates;
use crate::tally::Day;
use crate::task::{Hour, HourSums, Outcome};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The first day.
    pub from: Day,
    /// The last.
    pub to: Day,
}

impl Asked {
    /// Reads a query.
    ///
    /// # Errors
    /// When a day is missing, there twice, or none; when `to` is before `from` or the days are more than 31.
    pub fn parse(query: &str) -> Result<Self, Failure> {
        let (from, to) = rates::days(query)?;
        Ok(Self { from, to })
    }

    /// The answer's data.
    #[must_use]
    pub fn json(&self, hours: &BTreeMap<Hour, HourSums>) -> Value {
        let rows = hours.iter().map(|(hour, sums)| {
            let mut row = object(sums);
            row.insert("hour".to_owned(), json!(hour.to_string()));
            Value::Object(row)
        });
        let mut total = HourSums::default();
        hours.values().for_each(|sums| total.merge(sums));
        json!({
            "from": self.from.to_string(),
            "to": self.to.to_string(),
            "rows": rows.collect::<Vec<_>>(),
            "total": object(&total),
        })
    }
}

fn object(sums: &HourSums) -> Map<String, Value> {
    let finals = Outcome::ALL.into_iter().filter(|(outcome, ..)| outcome.is_final());
    let mut outcomes: BTreeMap<&str, u64> = finals.map(|(.., word)| (word, 0)).collect();
    let mut channels: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let mut target = 0;
    for (channel, outcome, n) in sums.outcomes() {
        target += n;
        *outcomes.entry(outcome.as_str()).or_default() += n;
        if let Some(channel) = channel {
            let [target, sent] = channels.entry(channel.as_str()).or_default();
            *target += n;
            *sent += if outcome == Outcome::Delivered { n } else { 0 };
        }
    }
    let of_channel =
        |(channel, [target, sent]): (&str, [u64; 2])| (channel.to_owned(), json!({"target": target, "sent": sent}));
    Map::from_iter([
        ("messages".to_owned(), json!(sums.messages)),
        ("counted".to_owned(), json!(sums.counted)),
        ("repeat".to_owned(), json!(sums.repeat)),
        ("uncounted".to_owned(), json!(sums.uncounted)),
        ("target".to_owned(), json!(target)),
        ("outcomes".to_owned(), json!(outcomes)),
        ("channels".to_owned(), channels.into_iter().map(of_channel).collect()),
    ])
}
