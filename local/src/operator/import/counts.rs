//! What became of rows: counted, by outcome and reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pushbell::registry::Kept;
use serde::{Deserialize, Serialize};

use super::fields::Refusal;

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Imported,
    Kept(Kept),
    LeftOut(&'static str),
    Refused(Refusal),
    /// The tables do not take it, whatever they take of others.
    Failed,
}

/// Rows by what became of them, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Devices that the import has registered, and of a dry run those that it would.
    pub imported: u64,
    /// Rows that changed nothing, as something was there before them.
    pub kept: BTreeMap<String, u64>,
    /// Rows that are not to be pushed to.
    pub left_out: BTreeMap<String, u64>,
    /// Rows that are no device.
    pub refused: BTreeMap<String, u64>,
    /// Rows that could not be written.
    pub failed: u64,
    /// Users' documents without any token, which make no row.
    pub without: u64,
}

impl Counts {
    pub(super) fn count(&mut self, fate: &Fate) {
        let mut reason = |of: fn(&mut Self) -> &mut BTreeMap<String, u64>, text: String| {
            *of(self).entry(text).or_default() += 1;
        };
        match fate {
            Fate::Imported => self.imported += 1,
            Fate::Failed => self.failed += 1,
            Fate::Kept(why) => reason(|counts| &mut counts.kept, kept(*why).to_owned()),
            Fate::LeftOut(why) => reason(|counts| &mut counts.left_out, (*why).to_owned()),
            Fate::Refused(why) => reason(|counts| &mut counts.refused, format!("{} {}", why.field, why.reason)),
        }
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        let reasons = [&self.kept, &self.left_out, &self.refused];
        self.imported + self.failed + reasons.into_iter().map(sum).sum::<u64>()
    }

    /// The table that a person reads.
    pub fn table(&self, dry_run: bool) -> String {
        let mut table = String::new();
        let mut line = |indent: &str, name: &str, count: u64| {
            let name = format!("{indent}{name}");
            // Writing to a text does not fail.
            let _ = writeln!(table, "{name:<64}{:>10}", grouped(count));
        };
        line("", if dry_run { "would be imported" } else { "imported" }, self.imported);
        for (name, reasons) in [("kept", &self.kept), ("left out", &self.left_out), ("refused", &self.refused)] {
            line("", name, sum(reasons));
            reasons.iter().for_each(|(reason, count)| line("  ", reason, *count));
        }
        line("", "could not be written", self.failed);
        line("", "rows", self.rows());
        if self.without > 0 {
            line("", "users without a token", self.without);
        }
        table
    }
}

fn sum(reasons: &BTreeMap<String, u64>) -> u64 {
    reasons.values().sum()
}

const fn kept(why: Kept) -> &'static str {
    match why {
        Kept::SameDevice => "the client has this device already",
        Kept::OtherToken => "the client's device has another token",
        Kept::OtherOwner => "another client or device has the token",
        Kept::Full => "the client has 20 devices",
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_outcome_with_its_reasons_and_they_add_up() {
        let mut counts = Counts { imported: 1_234_567, ..Counts::default() };
        for fate in [
            Fate::Imported,
            Fate::Kept(Kept::OtherOwner),
            Fate::LeftOut("OptOut is ALL"),
            Fate::Refused(Refusal::new("token", "is missing")),
            Fate::Refused(Refusal::new("token", "is missing")),
            Fate::Failed,
        ] {
            counts.count(&fate);
        }
        assert_eq!(counts.rows(), 1_234_573);
        let table = counts.table(false);
        let squeezed: Vec<String> =
            table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            squeezed,
            [
                "imported 1,234,568",
                "kept 1",
                "another client or device has the token 1",
                "left out 1",
                "OptOut is ALL 1",
                "refused 2",
                "token is missing 2",
                "could not be written 1",
                "rows 1,234,573",
            ]
        );
        assert!(counts.table(true).starts_with("would be imported"));
    }

    #[test]
    fn thousands_stand_apart() {
        let texts = [0, 999, 1_000, 1_000_000].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,000,000"]);
    }
}
