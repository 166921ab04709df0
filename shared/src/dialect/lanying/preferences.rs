//! What a user says about their own push: `/user/push`, and `/limit`, `/detail`, `/nickname` below it (its server API's swagger). All
//! parameters are in the query.

use super::envelope::{Code, Failure};
use crate::call;
use crate::recipient::{PreferencesChange, QuietHours};

/// One of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Push off: `value`.
    Off,
    /// Hours without push: `no_push_start_hour`, `no_push_end_hour`.
    Limit,
    /// Hide details: `value`.
    Detail,
    /// The name that others' notifications show: `value`.
    Nickname,
}

impl Setting {
    /// The setting of the word behind `/user/push/`.
    #[must_use]
    pub fn below(word: &str) -> Option<Self> {
        match word {
            "limit" => Some(Self::Limit),
            "detail" => Some(Self::Detail),
            "nickname" => Some(Self::Nickname),
            _ => None,
        }
    }

    /// What a raw query changes.
    ///
    /// # Errors
    /// When a parameter is missing or cannot be; the failure names it and the rule.
    pub fn change(self, query: &str) -> Result<PreferencesChange, Failure> {
        let mut change = PreferencesChange::default();
        match self {
            Self::Off => change.off(flag(query)?),
            Self::Detail => change.hide(flag(query)?),
            // The same hour twice is no span, and is how an app takes its hours back: Lanying has no other word for it.
            Self::Limit => {
                change.quiet(QuietHours::from_hours(
                    hour(query, "no_push_start_hour")?,
                    hour(query, "no_push_end_hour")?,
                ));
            }
            Self::Nickname => {
                let nickname = parameter(query, "value")?;
                let nickname = Some(nickname.as_str()).filter(|nickname| !nickname.is_empty());
                change.nickname(nickname).map_err(|rule| bad(format!("value {rule}")))?;
            }
        }
        Ok(change)
    }
}

fn bad(message: impl Into<String>) -> Failure {
    Failure::new(Code::BadParameter, message)
}

fn parameter(query: &str, name: &str) -> Result<String, Failure> {
    let values = call::query_values(query, name).map_err(|rule| bad(format!("{name} in the query {rule}")))?;
    values.into_iter().next().ok_or_else(|| bad(format!("{name} is missing in the query")))
}

fn flag(query: &str) -> Result<bool, Failure> {
    match parameter(query, "value")?.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad("value is neither true nor false")),
    }
}

fn hour(query: &str, name: &str) -> Result<u8, Failure> {
    let hour = parameter(query, name)?.parse().ok().filter(|hour| *hour < 24);
    hour.ok_or_else(|| bad(format!("{name} is not a full hour from 0 to 23")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn said(say: impl FnOnce(&mut PreferencesChange)) -> Result<PreferencesChange, String> {
        let mut change = PreferencesChange::default();
        say(&mut change);
        Ok(change)
    }

    fn change(setting: Setting, query: &str) -> Result<PreferencesChange, String> {
        setting.change(query).map_err(|failure| failure.to_string())
    }

    #[test]
    fn true_switches_push_off_and_hides_details() {
        assert_eq!(change(Setting::Off, "value=true"), said(|change| change.off(true)));
        assert_eq!(change(Setting::Off, "value=false"), said(|change| change.off(false)));
        assert_eq!(change(Setting::Detail, "a=1&value=true"), said(|change| change.hide(true)));
    }

    #[test]
    fn hours_are_a_span_and_the_same_hour_twice_is_none() {
        let limit = |from, to| change(Setting::Limit, &format!("no_push_start_hour={from}&no_push_end_hour={to}"));
        assert_eq!(limit("22", "7"), said(|change| change.quiet(QuietHours::parse("22:00", "07:00").ok())));
        assert_eq!(limit("0", "0"), said(|change| change.quiet(None)));
        for wrong in ["24", "-1", "x", "", "7.5"] {
            assert_eq!(limit(wrong, "7"), Err("no_push_start_hour is not a full hour from 0 to 23".to_owned()));
        }
        let half = change(Setting::Limit, "no_push_start_hour=22");
        assert_eq!(half, Err("no_push_end_hour is missing in the query".to_owned()));
    }

    #[test]
    fn a_nickname_is_decoded_and_an_empty_one_takes_it_back() {
        assert_eq!(
            change(Setting::Nickname, "value=%E5%90%8D+1"),
            said(|change| change.nickname(Some("名 1")).unwrap())
        );
        assert_eq!(change(Setting::Nickname, "value="), said(|change| change.nickname(None).unwrap()));
        assert_eq!(change(Setting::Nickname, "value=%ff"), Err("value in the query is not UTF-8".to_owned()));
        let rule = "value holds a character that is not allowed";
        assert_eq!(change(Setting::Nickname, "value=a%07"), Err(rule.to_owned()));
        assert_eq!(change(Setting::Nickname, "nick=Ana"), Err("value is missing in the query".to_owned()));
    }

    #[test]
    fn a_flag_is_true_or_false() {
        for wrong in ["value=1", "value=", "value=True"] {
            assert_eq!(change(Setting::Off, wrong), Err("value is neither true nor false".to_owned()));
        }
        assert_eq!(change(Setting::Detail, ""), Err("value is missing in the query".to_owned()));
    }

    proptest! {
        #[test]
        fn no_query_breaks_anything(value in "[ -~]{0,12}", end in "[ -~]{0,12}") {
            for setting in [Setting::Off, Setting::Limit, Setting::Detail, Setting::Nickname] {
                let _ = setting.change(&value);
                let _ = setting.change(&format!("value={value}&no_push_start_hour={value}&no_push_end_hour={end}"));
            }
        }
    }
}
