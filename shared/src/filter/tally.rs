//! What the rules have removed, for the answer, the log and the counts.

use std::fmt;

use super::Rule;
use crate::id::AppId;
use crate::telemetry::metrics::{Metric, Of, count};

/// How many recipients were removed, by rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally([u32; Rule::ALL.len()]);

impl Tally {
    /// One recipient was removed by `rule`.
    pub const fn add(&mut self, rule: Rule) {
        let held = &mut self.0[rule as usize];
        *held = held.saturating_add(1);
    }

    /// Recipients that `rule` has removed.
    #[must_use]
    pub const fn of(&self, rule: Rule) -> u32 {
        self.0[rule as usize]
    }

    /// Recipients that were removed.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.0.iter().copied().fold(0, u32::saturating_add)
    }

    /// Whether nobody was removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// The rules that have removed somebody, in the order of [`Rule::ALL`], and how many.
    pub fn rules(&self) -> impl Iterator<Item = (Rule, u32)> + '_ {
        Rule::ALL.into_iter().map(|rule| (rule, self.of(rule))).filter(|(_, removed)| *removed > 0)
    }

    /// Counts them for `app`: [`Metric::FilterRemoved`], by rule.
    pub fn count(&self, app: &AppId) {
        for (rule, removed) in self.rules() {
            count(Metric::FilterRemoved, Of::Rule(app, rule), u64::from(removed));
        }
    }

    /// The rule that has removed everybody who was removed; `None` when several have, or none.
    #[must_use]
    pub fn only_rule(&self) -> Option<Rule> {
        let mut rules = self.rules();
        let (rule, _) = rules.next()?;
        rules.next().is_none().then_some(rule)
    }
}

impl Extend<Rule> for Tally {
    fn extend<I: IntoIterator<Item = Rule>>(&mut self, rules: I) {
        rules.into_iter().for_each(|rule| self.add(rule));
    }
}

/// `push_off: 2, room_muted: 1`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (rule, removed)) in self.rules().enumerate() {
            write!(f, "{}{rule}: {removed}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::telemetry::metrics::captured;

    #[test]
    fn a_tally_says_each_rule_with_its_number_in_the_rules_order() {
        let mut tally = Tally::default();
        assert!(tally.is_empty());
        assert_eq!((tally.to_string().as_str(), tally.only_rule()), ("", None));
        tally.add(Rule::RoomMuted);
        assert_eq!(tally.only_rule(), Some(Rule::RoomMuted));
        tally.extend([Rule::PushOff, Rule::PushOff]);
        assert_eq!(tally.to_string(), "push_off: 2, room_muted: 1");
        assert_eq!((tally.total(), tally.of(Rule::PushOff), tally.only_rule()), (3, 2, None));
    }

    #[tokio::test]
    async fn a_tally_is_counted_by_rule() {
        let mut tally = Tally::default();
        tally.extend([Rule::SenderMuted, Rule::PushOff, Rule::PushOff]);
        let ((), lines) = captured(async { tally.count(&AppId::parse("demo").unwrap()) }).await;
        let read: Vec<_> = lines.iter().map(|line| (line["rule"].as_str(), line["filter_removed"].as_u64())).collect();
        assert_eq!(read, [(Some("push_off"), Some(2)), (Some("sender_muted"), Some(1))]);
    }
}
