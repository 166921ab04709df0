//! A payload that is rendered once for many devices: text with places that stay open for what a recipient adds.

use std::fmt::Write as _;
use std::time::Duration;

use crate::message::DEFAULT_TIME_TO_LIVE;
use crate::time::Timestamp;

/// No vendor keeps a message for longer (FCM: four weeks).
const LONGEST_LIFE: Duration = Duration::from_secs(28 * 24 * 60 * 60);

/// What goes into an open place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Nothing,
    Token,
    Badge,
    /// Seconds from now.
    TimeToLive,
    /// Seconds since 1970.
    Expiry,
    /// `APNS` or `APNS_SANDBOX`.
    Platform,
}

/// For whom a piece is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// Not for recipients who are told in silence.
    Loud,
    /// For those.
    Silent,
    /// For recipients whose badge is told.
    Badge,
    /// For the others.
    NoBadge,
}

/// What one device adds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values<'a> {
    pub(super) token: &'a str,
    pub(super) badge: Option<u32>,
    pub(super) silent: bool,
    pub(super) time_to_live: u64,
    pub(super) expiry: u64,
    pub(super) platform: &'a str,
}

/// How long a vendor is to keep a message for a phone that is not there. Zero: now or never.
pub(super) fn time_left(expires_at: Option<Timestamp>, now: Timestamp) -> Duration {
    expires_at.map_or(DEFAULT_TIME_TO_LIVE, |end| end.since(now)).min(LONGEST_LIFE)
}

impl When {
    fn holds(self, values: &Values<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Loud => !values.silent,
            Self::Silent => values.silent,
            Self::Badge => values.badge.is_some(),
            Self::NoBadge => values.badge.is_none(),
        }
    }
}

impl Fill {
    /// The most bytes that it takes. A token is not part of any payload that has a limit.
    const fn longest(self) -> usize {
        match self {
            Self::Nothing | Self::Token => 0,
            Self::Badge | Self::TimeToLive => 10,
            Self::Expiry | Self::Platform => 12,
        }
    }

    fn write(self, out: &mut String, values: &Values<'_>) {
        // Writing into memory cannot fail.
        let _ = match self {
            Self::Nothing => Ok(()),
            Self::Token => {
                for character in values.token.chars() {
                    // A token is printable ASCII: two characters to escape.
                    if matches!(character, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(character);
                }
                Ok(())
            }
            Self::Badge => write!(out, "{}", values.badge.unwrap_or_default()),
            Self::TimeToLive => write!(out, "{}", values.time_to_live),
            Self::Expiry => write!(out, "{}", values.expiry),
            Self::Platform => out.write_str(values.platform),
        };
    }
}

/// The text up to `end`, from where the last piece ended, and what follows it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    end: usize,
    when: When,
    fill: Fill,
}

/// JSON, or a part of it, with open places. The text behind the last piece is always there.
#[derive(Debug, Clone, Default)]
pub(super) struct Template {
    text: String,
    pieces: Vec<Piece>,
}

impl Template {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), pieces: Vec::new() }
    }

    /// Adds text as it is.
    pub(super) fn raw(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a JSON string.
    pub(super) fn string(&mut self, value: &str) -> &mut Self {
        self.json(value)
    }

    /// Adds any value as JSON.
    pub(super) fn json(&mut self, value: impl serde::Serialize) -> &mut Self {
        // Texts, lists of them and trees with text keys always serialise.
        self.text.push_str(&serde_json::to_string(&value).unwrap_or_default());
        self
    }

    /// Adds a member to the object that was begun last. Not behind a first member that is there for some recipients only.
    pub(super) fn member(&mut self, name: &str, value: impl serde::Serialize) -> &mut Self {
        self.name(name).json(value)
    }

    /// Adds a member's name; its value follows.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        if !self.text.ends_with('{') {
            self.raw(",");
        }
        self.string(name).raw(":")
    }

    /// Adds a member where there is a value.
    pub(super) fn member_if(&mut self, name: &str, value: Option<impl serde::Serialize>) -> &mut Self {
        if let Some(value) = value {
            self.member(name, value);
        }
        self
    }

    /// Leaves a place open.
    pub(super) fn fill(&mut self, fill: Fill) -> &mut Self {
        self.pieces.push(Piece { end: self.text.len(), when: When::Always, fill });
        self
    }

    /// Adds text for some recipients only, and an open place behind it.
    pub(super) fn when(&mut self, when: When, text: &str, fill: Fill) -> &mut Self {
        self.fill(Fill::Nothing);
        self.text.push_str(text);
        self.pieces.push(Piece { end: self.text.len(), when, fill });
        self
    }

    /// Adds a template without open places for some recipients only.
    pub(super) fn when_template(&mut self, when: When, other: &Self) -> &mut Self {
        self.when(when, &other.text, Fill::Nothing)
    }

    pub(super) fn append(&mut self, other: &Self) -> &mut Self {
        self.fill(Fill::Nothing);
        let base = self.text.len();
        self.text.push_str(&other.text);
        self.pieces.extend(other.pieces.iter().map(|piece| Piece { end: base + piece.end, ..*piece }));
        self
    }

    /// The same as the inside of a JSON string. What fills the places needs no escape, tokens aside.
    pub(super) fn escaped(&self) -> Self {
        let mut out = Self::default();
        let mut start = 0;
        for piece in &self.pieces {
            out.escape(&self.text[start..piece.end]);
            out.pieces.push(Piece { end: out.text.len(), ..*piece });
            start = piece.end;
        }
        out.escape(&self.text[start..]);
        out
    }

    fn escape(&mut self, text: &str) {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        self.text.push_str(quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default());
    }

    /// The most bytes that it takes for any recipient, tokens aside.
    pub(super) fn longest(&self) -> usize {
        self.text.len() + self.pieces.iter().map(|piece| piece.fill.longest()).sum::<usize>()
    }

    /// One device's payload, in one buffer.
    pub(super) fn render(&self, values: &Values<'_>) -> String {
        let mut out = String::with_capacity(self.longest() + values.token.len());
        let mut start = 0;
        for piece in &self.pieces {
            if piece.when.holds(values) {
                out.push_str(&self.text[start..piece.end]);
                piece.fill.write(&mut out, values);
            }
            start = piece.end;
        }
        out.push_str(&self.text[start..]);
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_are_filled_and_pieces_are_there_for_whom_they_are_meant() {
        let mut template = Template::new("{\"t\":\"");
        template.fill(Fill::Token).raw("\"").when(When::Badge, ",\"b\":", Fill::Badge);
        template.when(When::Loud, ",\"s\":1", Fill::Nothing).when(When::NoBadge, ",\"n\":1", Fill::Nothing);
        template.member("x", "y\"").raw("}");
        let values = Values { token: "a\"b\\c", badge: Some(7), ..Values::default() };
        assert_eq!(template.render(&values), r#"{"t":"a\"b\\c","b":7,"s":1,"x":"y\""}"#);
        let silent = Values { token: "a", silent: true, ..Values::default() };
        assert_eq!(template.render(&silent), r#"{"t":"a","n":1,"x":"y\""}"#);
    }

    #[test]
    fn an_escaped_template_is_the_inside_of_a_string() {
        let mut inner = Template::new("\"\\\u{1}é");
        inner.when(When::Badge, "\"b\":", Fill::Badge).raw("\"");
        let mut outer = Template::new("\"");
        outer.append(&inner.escaped()).raw("\"");
        let values = Values { badge: Some(3), ..Values::default() };
        let decoded: String = serde_json::from_str(&outer.render(&values)).unwrap();
        assert_eq!(decoded, inner.render(&values));
    }

    #[test]
    fn no_payload_is_longer_than_the_longest() {
        let mut template = Template::new("a");
        template.fill(Fill::Badge).fill(Fill::TimeToLive).fill(Fill::Expiry).fill(Fill::Platform);
        let values = Values {
            badge: Some(u32::MAX),
            time_to_live: 2_419_200,
            expiry: 99_999_999_999,
            platform: "APNS_SANDBOX",
            ..Values::default()
        };
        assert!(template.render(&values).len() <= template.longest());
    }
}
