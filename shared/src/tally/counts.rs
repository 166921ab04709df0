//! Counts of events, and how a row of counters spells them.
//!
//! | attribute | what |
//! |---|---|
//! | `c<vendor><stage><class>` | events; vendor and stage as digits, the class as its letter |
//! | `x<vendor>.<stage>.<code>` | events with this code of the vendor's own |
//! | `i<vendor>.<code>` | what the vendor said to the code, the first time |

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Class, Event, Stage, Vendor};

/// How often a vendor's own code came, and what the vendor said to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Code {
    /// Events.
    pub n: u64,
    /// The first that was said; empty when nothing was.
    pub info: String,
}

/// Counts of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    by: BTreeMap<(Vendor, Stage, Class), u64>,
    codes: BTreeMap<(Vendor, Stage, i64), Code>,
}

impl Counts {
    /// Counts one event.
    pub fn add(&mut self, event: &Event) {
        let (vendor, stage) = (event.vendor, event.stage);
        *self.by.entry((vendor, stage, Class::of(vendor, stage, event.code))).or_default() += 1;
        if event.code != 0 {
            let code = self.codes.entry((vendor, stage, event.code)).or_default();
            code.n += 1;
            if code.info.is_empty() {
                code.info.clone_from(&event.info);
            }
        }
    }

    /// Adds what others have counted.
    pub fn merge(&mut self, other: &Self) {
        for (of, n) in &other.by {
            *self.by.entry(*of).or_default() += n;
        }
        for (of, code) in &other.codes {
            let own = self.codes.entry(*of).or_default();
            own.n += code.n;
            if own.info.is_empty() {
                own.info.clone_from(&code.info);
            }
        }
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by.is_empty()
    }

    /// Events, by vendor, stage and class. Without zeros.
    pub fn by(&self) -> impl Iterator<Item = (Vendor, Stage, Class, u64)> {
        self.by.iter().map(|((vendor, stage, class), n)| (*vendor, *stage, *class, *n))
    }

    /// The vendors' own codes, but for 0.
    pub fn codes(&self) -> impl Iterator<Item = (Vendor, Stage, i64, &Code)> {
        self.codes.iter().map(|((vendor, stage, code), counted)| (*vendor, *stage, *code, counted))
    }

    /// Attributes to add to, with how much.
    pub(super) fn additions(&self) -> impl Iterator<Item = (String, u64)> {
        let counters = self
            .by()
            .map(|(vendor, stage, class, n)| (format!("c{}{}{}", vendor.number(), stage.number(), class.letter()), n));
        let codes = self.codes().map(|(vendor, stage, code, counted)| {
            (format!("x{}.{}.{code}", vendor.number(), stage.number()), counted.n)
        });
        counters.chain(codes)
    }

    /// Attributes to set where they are not, with what was said.
    pub(super) fn sayings(&self) -> impl Iterator<Item = (String, &str)> {
        let said = self.codes().filter(|(.., counted)| !counted.info.is_empty());
        let by_code: BTreeMap<(Vendor, i64), &str> =
            said.map(|(vendor, _, code, counted)| ((vendor, code), counted.info.as_str())).collect();
        by_code.into_iter().map(|((vendor, code), info)| (format!("i{}.{code}", vendor.number()), info))
    }

    /// What a row of counters says. What is no counter of ours is passed over.
    pub(super) fn from_item(item: &HashMap<String, AttributeValue>) -> Self {
        let mut counts = Self::default();
        for (name, value) in item {
            let Some(n) = value.as_n().ok().and_then(|n| n.parse().ok()) else { continue };
            if let Some(of) = name.strip_prefix('c').and_then(counter) {
                counts.by.insert(of, n);
            } else if let Some((vendor, stage, code)) = name.strip_prefix('x').and_then(code) {
                let said = item.get(&format!("i{}.{code}", vendor.number())).and_then(|said| said.as_s().ok());
                counts.codes.insert((vendor, stage, code), Code { n, info: said.cloned().unwrap_or_default() });
            }
        }
        counts
    }
}

fn counter(text: &str) -> Option<(Vendor, Stage, Class)> {
    let mut letters = text.chars();
    let mut digit = || letters.next()?.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
    let (vendor, stage) = (Vendor::from_number(digit()?)?, Stage::from_number(digit()?)?);
    let class = Class::from_letter(letters.next()?)?;
    letters.next().is_none().then_some((vendor, stage, class))
}

fn code(text: &str) -> Option<(Vendor, Stage, i64)> {
    let mut parts = text.splitn(3, '.');
    let vendor = Vendor::from_number(parts.next()?.parse().ok()?)?;
    let stage = Stage::from_number(parts.next()?.parse().ok()?)?;
    Some((vendor, stage, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::About;
    use super::*;
    use crate::aws::{number, text};
    use crate::time::Timestamp;

    fn event(vendor: Vendor, stage: Stage, code: i64, info: &str) -> Event {
        let (key, about) = (String::new(), About::Push(String::new()));
        Event { key, about, vendor, stage, code, info: info.to_owned(), at: Timestamp::from_millis(0) }
    }

    #[test]
    fn counts_survive_their_row() {
        let mut counts = Counts::default();
        for one in [
            event(Vendor::Honor, Stage::Clicked, 0, "OK"),
            event(Vendor::Apns, Stage::Sent, 410, ""),
            event(Vendor::Apns, Stage::Sent, 410, "Unregistered"),
            event(Vendor::Unknown, Stage::Sent, -1, "x"),
            event(Vendor::Unknown, Stage::Delivered, i64::MIN, "y"),
        ] {
            counts.add(&one);
        }
        let mut item: HashMap<String, AttributeValue> = counts.additions().map(|(name, n)| (name, number(n))).collect();
        item.extend(counts.sayings().map(|(name, said)| (name, text(said))));
        assert_eq!(item["x1.1.410"], number(2));
        assert_eq!(item["i1.410"], text("Unregistered"));
        for (other, value) in
            [("ttl", number(7)), ("c", number(7)), ("c91o", number(7)), ("c11oo", number(7)), ("x1.1.", number(7))]
        {
            item.insert(other.to_owned(), value);
        }
        assert_eq!(Counts::from_item(&item), counts);
        let mut twice = counts.clone();
        twice.merge(&counts);
        assert!(twice.by().zip(counts.by()).all(|(two, one)| two.3 == 2 * one.3));
        assert!(twice.codes().zip(counts.codes()).all(|(two, one)| two.3.n == 2 * one.3.n && two.3.info == one.3.info));
    }
}
