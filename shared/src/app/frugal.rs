//! What an app does without, to pay less.

use serde::Deserialize;

/// What an app does without for a chat message that counts and is for one client, to pay less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrugalSettings {
    /// Whether its callback is claimed before it is queued: a write unit.
    pub claims: bool,
    /// Where its end is noted.
    pub stats: Stats,
}

impl Default for FrugalSettings {
    fn default() -> Self {
        Self { claims: true, stats: Stats::default() }
    }
}

/// Where the end of a message is noted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stats {
    /// In a row of its task: a write unit.
    #[default]
    Task,
    /// In the sums of the app's hour, where all went well: a share of a write unit.
    Hour,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_message_has_its_claim_and_its_row_unless_the_app_says_otherwise() {
        let settings = |text: &str| serde_json::from_str::<FrugalSettings>(text);
        assert_eq!(settings("{}").unwrap(), FrugalSettings { claims: true, stats: Stats::Task });
        let frugal = settings(r#"{"claims": false, "stats": "hour"}"#).unwrap();
        assert_eq!(frugal, FrugalSettings { claims: false, stats: Stats::Hour });
        assert!(settings(r#"{"stats": "day"}"#).is_err() && settings(r#"{"claim": false}"#).is_err());
    }
}
