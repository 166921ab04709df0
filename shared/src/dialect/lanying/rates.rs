//! `/push/stats`, ours, in Lanying's envelope: how many pushes were sent, came and were tapped, as vendors report it. And what was reported of
//! single pushes, for `/push/task/detail`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::body::bad;
use super::envelope::Failure;
use crate::call;
use crate::tally::{Class, Counts, Day, Stage, Vendor};

/// The most days of a call.
pub const MOST_DAYS: u64 = 31;

/// What the rows of an answer are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Days, those without an event too.
    Day,
    /// Vendors that reported something.
    Vendor,
    /// Classes of what was reported.
    Class,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Vendor => "vendor",
            Self::Class => "class",
        }
    }
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In the envelope.
    Json,
    /// RFC 4180, without it.
    Csv,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The first day.
    pub from: Day,
    /// The last.
    pub to: Day,
    /// What the rows are of.
    pub by: By,
    /// How they are written.
    pub form: Form,
}

impl Asked {
    /// Reads a query. `accept` is the header of that name; the parameter `format` counts before it.
    ///
    /// # Errors
    /// When a parameter is missing, there twice, or none of its values; when `to` is before `from` or the days are more than 31.
    pub fn parse(query: &str, accept: Option<&str>) -> Result<Self, Failure> {
        let (from, to) = days(query)?;
        let by = match one(query, "by")?.as_deref() {
            None | Some("day") => By::Day,
            Some("vendor") => By::Vendor,
            Some("class") => By::Class,
            Some(_) => return Err(bad("by is not day, vendor or class")),
        };
        let form = match one(query, "format")?.as_deref() {
            Some("json") => Form::Json,
            Some("csv") => Form::Csv,
            Some(_) => return Err(bad("format is not json or csv")),
            None if accept.is_some_and(|accept| accept.trim_start().starts_with("text/csv")) => Form::Csv,
            None => Form::Json,
        };
        Ok(Self { from, to, by, form })
    }
}

/// The first and the last day that a query names.
pub(super) fn days(query: &str) -> Result<(Day, Day), Failure> {
    let day = |name: &str| {
        let text = one(query, name)?.ok_or_else(|| bad(format!("{name} is missing")))?;
        Day::parse(&text).ok_or_else(|| bad(format!("{name} is no day like 2026-01-31")))
    };
    let (from, to) = (day("from")?, day("to")?);
    if to < from {
        return Err(bad("to is before from"));
    }
    if to.since(from) >= MOST_DAYS {
        return Err(bad("from and to are more than 31 days"));
    }
    Ok((from, to))
}

/// A parameter's value; `None` when it is absent.
fn one(query: &str, name: &str) -> Result<Option<String>, Failure> {
    let mut values = call::query_values(query, name).map_err(|_| bad(format!("{name} is not UTF-8")))?;
    let value = values.pop();
    if !values.is_empty() {
        return Err(bad(format!("{name} is there twice")));
    }
    Ok(value)
}

/// What became of pushes, in sums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sums {
    sent: u64,
    delivered: u64,
    clicked: u64,
    /// At whatever stage.
    failed: BTreeMap<Class, u64>,
    /// Of these, those that the vendor did not take.
    unsent: u64,
}

impl Sums {
    fn of<'c>(counts: impl IntoIterator<Item = &'c Counts>) -> Self {
        let mut sums = Self::default();
        counts.into_iter().flat_map(Counts::by).for_each(|(_, stage, class, n)| sums.add(stage, class, n));
        sums
    }

    fn add(&mut self, stage: Stage, class: Class, n: u64) {
        if class != Class::Ok {
            *self.failed.entry(class).or_default() += n;
            if stage == Stage::Sent {
                self.unsent += n;
            }
            return;
        }
        match stage {
            Stage::Sent => self.sent += n,
            Stage::Delivered => self.delivered += n,
            Stage::Clicked => self.clicked += n,
        }
    }

    fn failed(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Of what was handed to a vendor, what it took; of that, what came; of that, what was tapped. `None` where there was nothing.
    fn rates(&self) -> [(&'static str, Option<f64>); 3] {
        [
            ("sent_rate", rate(self.sent, self.sent + self.unsent)),
            ("delivered_rate", rate(self.delivered, self.sent)),
            ("clicked_rate", rate(self.clicked, self.delivered)),
        ]
    }

    fn write(&self, object: &mut Map<String, Value>) {
        for (name, n) in [("sent", self.sent), ("delivered", self.delivered), ("clicked", self.clicked)] {
            object.insert(name.to_owned(), json!(n));
        }
        object.insert("failed".to_owned(), json!(self.failed()));
        let by_class: Map<_, _> =
            failures().map(|class| (class.as_str().to_owned(), json!(self.failures(class)))).collect();
        object.insert("failed_by_class".to_owned(), Value::Object(by_class));
    }

    fn write_rates(&self, object: &mut Map<String, Value>) {
        for (name, rate) in self.rates() {
            object.insert(name.to_owned(), json!(rate));
        }
    }

    fn failures(&self, class: Class) -> u64 {
        self.failed.get(&class).copied().unwrap_or_default()
    }
}

/// Four decimals: what more there is says nothing.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(of: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (of as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

fn failures() -> impl Iterator<Item = Class> {
    Class::ALL.into_iter().map(|(class, ..)| class).filter(|class| *class != Class::Ok)
}

/// The sums of each vendor that reported something.
fn by_vendor<'c>(counts: impl IntoIterator<Item = &'c Counts>) -> BTreeMap<Vendor, Sums> {
    let mut sums: BTreeMap<Vendor, Sums> = BTreeMap::new();
    for (vendor, stage, class, n) in counts.into_iter().flat_map(Counts::by) {
        sums.entry(vendor).or_default().add(stage, class, n);
    }
    sums
}

/// The vendors' own codes, as they came.
fn codes(counts: &Counts) -> Vec<Value> {
    let object = |(vendor, stage, code, counted): (Vendor, Stage, i64, &crate::tally::Code)| {
        json!({
            "vendor": vendor.as_str(),
            "push_platform": vendor.number(),
            "stage": stage.as_str(),
            "push_stage": stage.number(),
            "class": Class::of(vendor, stage, code).as_str(),
            "err_code": code,
            "err_info": counted.info,
            "count": counted.n,
        })
    };
    counts.codes().map(object).collect()
}

/// What the answer says of one push or task of Tencent's; of one that nothing was reported of, zeros.
#[must_use]
pub fn object_of(id: &str, counts: Option<&Counts>) -> Value {
    let mut object = Map::from_iter([("push_id".to_owned(), json!(id)), ("found".to_owned(), json!(counts.is_some()))]);
    Sums::of(counts).write(&mut object);
    let vendors = by_vendor(counts).into_iter().map(|(vendor, sums)| {
        let mut object = Map::new();
        sums.write(&mut object);
        (vendor.as_str().to_owned(), Value::Object(object))
    });
    object.insert("vendors".to_owned(), Value::Object(vendors.collect()));
    object.insert("codes".to_owned(), json!(counts.map(codes).unwrap_or_default()));
    Value::Object(object)
}

/// A row of the answer: its name, and its sums. Of a class only the three stages are told.
struct Row {
    name: String,
    sums: Sums,
}

impl Asked {
    fn rows(&self, days: &BTreeMap<Day, Counts>) -> Vec<Row> {
        match self.by {
            By::Day => {
                let row = |day: Day| Row { name: day.to_string(), sums: Sums::of(days.get(&day)) };
                self.from.to(self.to).map(row).collect()
            }
            By::Vendor => {
                let row = |(vendor, sums): (Vendor, Sums)| Row { name: vendor.as_str().to_owned(), sums };
                by_vendor(days.values()).into_iter().map(row).collect()
            }
            By::Class => {
                let mut rows: BTreeMap<Class, Sums> = BTreeMap::new();
                for (_, stage, class, n) in days.values().flat_map(Counts::by) {
                    // Of this class alone it is what came to the stage.
                    rows.entry(class).or_default().add(stage, Class::Ok, n);
                }
                let row = |(class, sums): (Class, Sums)| Row { name: class.as_str().to_owned(), sums };
                rows.into_iter().map(row).collect()
            }
        }
    }

    /// The answer's data.
    #[must_use]
    pub fn json(&self, days: &BTreeMap<Day, Counts>) -> Value {
        let rows: Vec<Value> = self.rows(days).iter().map(|row| self.object(row)).collect();
        let mut total = Map::new();
        let sums = Sums::of(days.values());
        sums.write(&mut total);
        sums.write_rates(&mut total);
        let mut all = Counts::default();
        days.values().for_each(|counts| all.merge(counts));
        json!({
            "from": self.from.to_string(),
            "to": self.to.to_string(),
            "by": self.by.as_str(),
            "rows": rows,
            "total": total,
            "codes": codes(&all),
        })
    }

    fn object(&self, Row { name, sums }: &Row) -> Value {
        let mut object = Map::from_iter([(self.by.as_str().to_owned(), json!(name))]);
        match self.by {
            By::Day | By::Vendor => {
                sums.write(&mut object);
                sums.write_rates(&mut object);
            }
            By::Class => {
                for (stage, n) in [("sent", sums.sent), ("delivered", sums.delivered), ("clicked", sums.clicked)] {
                    object.insert(stage.to_owned(), json!(n));
                }
            }
        }
        Value::Object(object)
    }

    /// The same rows as lines. A rate of nothing is empty.
    #[must_use]
    pub fn csv(&self, days: &BTreeMap<Day, Counts>) -> String {
        let mut names: Vec<&str> = vec![self.by.as_str(), "sent", "delivered", "clicked"];
        if self.by != By::Class {
            names.push("failed");
            names.extend(failures().map(Class::as_str));
            names.extend(Sums::default().rates().map(|(name, _)| name));
        }
        let mut text = names.join(",");
        text.push_str("\r\n");
        for Row { name, sums } in self.rows(days) {
            let mut cells = vec![name];
            cells.extend([sums.sent, sums.delivered, sums.clicked].map(|n| n.to_string()));
            if self.by != By::Class {
                cells.push(sums.failed().to_string());
                cells.extend(failures().map(|class| sums.failures(class).to_string()));
                cells.extend(sums.rates().map(|(_, rate)| rate.map(|rate| rate.to_string()).unwrap_or_default()));
            }
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        text
    }
}

#[cfg(test)]
mod tests;
