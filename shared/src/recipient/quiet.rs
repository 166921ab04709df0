//! Quiet hours: a span of the client's own day, and the zone whose clocks tell it.

use std::fmt;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Minutes of a day, as clocks on the wall show it.
const DAY: u16 = 24 * 60;

/// Why quiet hours are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuietHoursError {
    /// `from` is not `HH:MM` from 00:00 to 23:59.
    #[error("from is not a time like \"22:00\"")]
    From,
    /// `to` is not such a time.
    #[error("to is not a time like \"22:00\"")]
    To,
    /// They would be no time, or the whole day: nobody can tell which is meant.
    #[error("from and to are the same time")]
    Same,
}

/// A span of every day, from a minute to another, which is no longer in it; over midnight when it ends before it begins.
///
/// Clocks on the wall decide: where they are put forward over its beginning it begins there, and an hour that comes twice is judged
/// twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: u16,
    to: u16,
}

impl QuietHours {
    /// The hours between two times like `22:00`.
    ///
    /// # Errors
    /// When one of them is no such time, or they are the same.
    pub fn parse(from: &str, to: &str) -> Result<Self, QuietHoursError> {
        let (from, to) = (minute(from).ok_or(QuietHoursError::From)?, minute(to).ok_or(QuietHoursError::To)?);
        Self::between(from, to).ok_or(QuietHoursError::Same)
    }

    /// The span between two full hours, 0 to 23; `None` when they are the same or no hours.
    #[must_use]
    pub fn from_hours(from: u8, to: u8) -> Option<Self> {
        Self::between(u16::from(from) * 60, u16::from(to) * 60)
    }

    fn between(from: u16, to: u16) -> Option<Self> {
        (from != to && from < DAY && to < DAY).then_some(Self { from, to })
    }

    /// As the table holds it: one number.
    #[must_use]
    pub fn to_number(self) -> u32 {
        u32::from(self.from) * u32::from(DAY) + u32::from(self.to)
    }

    /// The span that a number in the table stands for; `None` when it stands for none.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        let (from, to) = (number / u32::from(DAY), number % u32::from(DAY));
        Self::between(u16::try_from(from).ok()?, u16::try_from(to).ok()?)
    }

    /// When it begins, as `22:00`.
    #[must_use]
    pub fn from(self) -> String {
        shown(self.from)
    }

    /// When it ends, as `07:00`.
    #[must_use]
    pub fn to(self) -> String {
        shown(self.to)
    }

    /// Whether it is quiet at `now` in `zone`.
    #[must_use]
    pub fn hold_at(self, zone: &Zone, now: Timestamp) -> bool {
        let minute = zone.minute_of_day(now);
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, below: u16| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten().filter(|number| *number < below)
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

fn shown(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Why a text is not a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an IANA time zone like \"Europe/Berlin\"")]
pub struct ZoneError;

/// An IANA time zone.
///
/// The table holds its name. One that this release does not know, as another release had other zones, counts as UTC.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(String);

impl Zone {
    /// The zone of a name, in whatever case it is written. A name that the database holds for an older one stays as it is.
    ///
    /// # Errors
    /// When there is no zone of that name.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        let zone = known(name).ok_or(ZoneError)?;
        zone.iana_name().map(|name| Self(name.to_owned())).ok_or(ZoneError)
    }

    pub(super) fn from_attribute(name: String) -> Self {
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn minute_of_day(&self, now: Timestamp) -> u16 {
        let zone = known(&self.0).unwrap_or(TimeZone::UTC);
        let at = i64::try_from(now.as_millis()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let time = zone.to_datetime(at.unwrap_or(jiff::Timestamp::MAX)).time();
        u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
    }
}

/// The zone, from the database in this binary: a Lambda image need not have one.
fn known(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown())
}

impl Default for Zone {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(name: String) -> Result<Self, ZoneError> {
        Self::parse(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    fn held(from: &str, to: &str, zone: &str, times: &[&str]) -> Vec<bool> {
        let hours = QuietHours::parse(from, to).unwrap();
        let zone = Zone::parse(zone).unwrap();
        times.iter().map(|time| hours.hold_at(&zone, at(time))).collect()
    }

    #[test]
    fn the_first_minute_is_quiet_and_the_last_is_not() {
        let day = ["2026-01-10T12:59:59Z", "2026-01-10T13:00:00Z", "2026-01-10T13:59:59Z", "2026-01-10T14:00:00Z"];
        assert_eq!(held("13:00", "14:00", "UTC", &day), [false, true, true, false]);
    }

    #[test]
    fn a_span_that_ends_before_it_begins_goes_over_midnight() {
        let night = ["2026-01-10T21:59:00Z", "2026-01-10T22:00:00Z", "2026-01-11T00:00:00Z", "2026-01-11T06:59:00Z"];
        assert_eq!(held("22:00", "07:00", "UTC", &night), [false, true, true, true]);
        assert_eq!(held("22:00", "07:00", "UTC", &["2026-01-11T07:00:00Z", "2026-01-11T12:00:00Z"]), [false, false]);
        assert_eq!(held("22:00", "00:00", "UTC", &["2026-01-10T23:59:00Z", "2026-01-11T00:00:00Z"]), [true, false]);
    }

    #[test]
    fn summer_time_moves_the_span_by_an_hour_of_utc() {
        // Berlin: UTC+1, and UTC+2 from 2026-03-29 01:00 UTC to 2026-10-25 01:00 UTC.
        let winter = ["2026-03-28T05:59:00Z", "2026-03-28T06:00:00Z"];
        assert_eq!(held("22:00", "07:00", "Europe/Berlin", &winter), [true, false]);
        let summer = ["2026-03-29T04:59:00Z", "2026-03-29T05:00:00Z"];
        assert_eq!(held("22:00", "07:00", "Europe/Berlin", &summer), [true, false]);
        let autumn = ["2026-10-25T05:59:00Z", "2026-10-25T06:00:00Z"];
        assert_eq!(held("22:00", "07:00", "Europe/Berlin", &autumn), [true, false]);
    }

    #[test]
    fn an_hour_that_is_left_out_begins_the_span_where_clocks_go_on() {
        // 02:00 to 03:00 does not exist on this day.
        let times = ["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T01:59:00Z", "2026-03-29T02:00:00Z"];
        assert_eq!(held("02:30", "04:00", "Europe/Berlin", &times), [false, true, true, false]);
        assert_eq!(held("02:00", "03:00", "Europe/Berlin", &times), [false; 4]);
    }

    #[test]
    fn an_hour_that_comes_twice_is_quiet_twice() {
        let times = ["2026-10-25T00:29:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"];
        assert_eq!(held("02:30", "04:00", "Europe/Berlin", &times), [false, true, false, true]);
        assert_eq!(held("02:00", "03:00", "Europe/Berlin", &times), [true; 4]);
        assert_eq!(held("02:00", "03:00", "Europe/Berlin", &["2026-10-25T02:00:00Z"]), [false]);
    }

    #[test]
    fn zones_need_not_be_whole_hours_from_utc() {
        assert_eq!(
            held("22:00", "07:00", "Asia/Kolkata", &["2026-01-10T16:29:00Z", "2026-01-10T16:30:00Z"]),
            [false, true]
        );
        assert_eq!(
            held("22:00", "07:00", "Asia/Kathmandu", &["2026-01-10T16:14:00Z", "2026-01-10T16:15:00Z"]),
            [false, true]
        );
    }

    #[test]
    fn a_zone_that_crossed_the_date_line_is_told_by_the_time_of_the_message() {
        // Apia was at UTC-10 until it left 2011-12-30 out, then at UTC+14.
        let times = ["2011-12-30T09:59:00Z", "2011-12-30T10:00:00Z", "2011-12-30T16:59:00Z", "2011-12-30T17:00:00Z"];
        assert_eq!(held("00:00", "07:00", "Pacific/Apia", &times), [false, true, true, false]);
        assert_eq!(
            held("00:00", "07:00", "Pacific/Apia", &["2026-01-10T10:59:00Z", "2026-01-10T11:00:00Z"]),
            [false, true]
        );
    }

    #[test]
    fn a_zone_that_this_release_does_not_know_counts_as_utc() {
        let hours = QuietHours::parse("22:00", "07:00").unwrap();
        let gone = Zone::from_attribute("Atlantis/Capital".to_owned());
        assert!(hours.hold_at(&gone, at("2026-01-10T22:00:00Z")));
        assert!(!hours.hold_at(&gone, at("2026-01-10T12:00:00Z")));
    }

    #[test]
    fn a_zone_has_a_name_in_the_database_or_is_refused() {
        assert_eq!(Zone::parse("europe/berlin").unwrap().as_str(), "Europe/Berlin");
        assert_eq!(Zone::parse("Asia/Calcutta").unwrap().as_str(), "Asia/Calcutta");
        assert_eq!(Zone::parse("utc").unwrap(), Zone::default());
        for wrong in ["", "Europe/Bärlin", "+01:00", "Etc/Unknown", "CET-1CEST", "Europe"] {
            assert_eq!(Zone::parse(wrong), Err(ZoneError), "{wrong}");
        }
        assert!(serde_json::from_str::<Zone>("\"Mars/Olympus\"").is_err());
        assert_eq!(serde_json::to_string(&Zone::parse("Europe/Berlin").unwrap()).unwrap(), "\"Europe/Berlin\"");
    }

    #[test]
    fn times_are_two_digits_a_colon_and_two_digits() {
        assert_eq!(QuietHours::parse("00:00", "23:59").unwrap().to(), "23:59");
        for wrong in ["24:00", "12:60", "7:00", "07:0", "0700", "+7:00", "07:00:00", "", "٠٧:٠٠"] {
            assert_eq!(QuietHours::parse(wrong, "07:00"), Err(QuietHoursError::From), "{wrong}");
            assert_eq!(QuietHours::parse("07:00", wrong), Err(QuietHoursError::To), "{wrong}");
        }
        assert_eq!(QuietHours::parse("07:00", "07:00"), Err(QuietHoursError::Same));
        assert_eq!(QuietHours::from_hours(22, 7), QuietHours::parse("22:00", "07:00").ok());
        assert_eq!((QuietHours::from_hours(24, 7), QuietHours::from_hours(7, 7)), (None, None));
    }

    #[test]
    fn a_span_survives_its_number() {
        let hours = QuietHours::parse("22:15", "07:45").unwrap();
        assert_eq!(QuietHours::from_number(hours.to_number()), Some(hours));
        assert_eq!((hours.from(), hours.to()), ("22:15".to_owned(), "07:45".to_owned()));
        for wrong in [0, 1440 * 1440, u32::MAX, 7 * 1440 + 7] {
            assert_eq!(QuietHours::from_number(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_minute_is_quiet_or_not_as_a_clock_hand_goes(from in 0_u16..DAY, length in 1_u16..DAY, passed in 0_u16..DAY) {
            let to = (from + length) % DAY;
            let hours = QuietHours::parse(&shown(from), &shown(to)).unwrap();
            prop_assert_eq!(QuietHours::from_number(hours.to_number()), Some(hours));
            let midnight = at("2026-01-10T00:00:00Z");
            let now = midnight.plus(std::time::Duration::from_secs(60 * u64::from((from + passed) % DAY)));
            prop_assert_eq!(hours.hold_at(&Zone::default(), now), passed < length);
        }

        #[test]
        fn no_text_and_no_time_breaks_anything(text in ".{0,12}", number in any::<u32>(), ms in any::<u64>()) {
            let _ = QuietHours::parse(&text, "07:00");
            let zone = Zone::parse(&text).unwrap_or_else(|_| Zone::from_attribute(text));
            if let Some(hours) = QuietHours::from_number(number) {
                let _ = hours.hold_at(&zone, Timestamp::from_millis(ms));
            }
        }
    }
}
