//! What is given up when a payload is too large, in this order: the big text (the body stands in for it), the app's `data.payload` (a
//! piece of JSON is of no use to an app, so it goes whole; `pushbell_id` tells the app what to fetch), the end of the body, the end of
//! the title. Nothing else is touched: what does not fit then is not sent.

use serde_json::{Map, Value};

use crate::app::Settings;
use crate::message::{Kind, Localised, Message, Wording};

/// The most bytes of a payload. APNs refuses more (Apple, "Generating a remote notification"). FCM's limit is on "the payload data",
/// keys and values, of notification and data together (Firebase, "Message types"; error `INVALID_ARGUMENT`, "message too big"); its
/// JSON is never shorter than that.
pub(crate) const MOST_BYTES: usize = 4096;

/// The member of `data` that goes first: IMKIT's copy of the whole message.
pub(super) const FIRST_TO_GO: &str = "payload";

/// Whether no vendor has room for an app's `data`: not even without what is given up first, what some vendors are not told, and copies of
/// texts that may be cut. What is not too long by this may still be, beside the rest of the payload.
#[must_use]
pub(crate) fn is_too_long(data: &Map<String, Value>) -> bool {
    let mut sent = data.clone();
    sent.retain(|key, value| {
        let may_go = matches!(key.as_str(), FIRST_TO_GO | "title" | "body" | "badge" | "aps");
        !may_go && !key.starts_with("pushbell_") && !value.is_null()
    });
    Value::Object(sent).to_string().len() > MOST_BYTES
}

/// Whether a vendor's own set of members is longer than any payload.
#[must_use]
pub(crate) fn is_too_long_whole(set: &Map<String, Value>) -> bool {
    bytes_of(set) > MOST_BYTES
}

/// How many bytes a set of members has as JSON.
#[must_use]
pub(crate) fn bytes_of(set: &Map<String, Value>) -> usize {
    serde_json::to_string(set).map_or(usize::MAX, |json| json.len())
}

/// What may be cut: the texts of a wording, and the app's data.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Content {
    pub(super) title: Option<String>,
    pub(super) subtitle: Option<String>,
    pub(super) body: Option<String>,
    /// Longer than the body, for vendors that show long texts.
    pub(super) big: Option<String>,
    pub(super) localised: Option<Localised>,
    /// Without copies of the texts.
    pub(super) data: Map<String, Value>,
    /// The data has copies of the texts (IMKIT's form): a channel that needs them there writes them anew, so that they are the
    /// wording's, and cut when the texts are.
    pub(super) copies: bool,
    /// The reader is not to see what was written: pictures and a caller's own alert are left out as well.
    pub(super) hidden: bool,
    /// The data is the caller's for this vendor alone: all of it is sent, and nothing of ours but what tells messages apart.
    pub(super) own: bool,
}

impl Content {
    /// What a wording shows. One with its own body leaves the localised text out: the phone would show that instead. `own`: the vendor's own
    /// data, which stands in for the message's.
    pub(super) fn of(
        message: &Message,
        wording: Wording,
        settings: &Settings,
        own: Option<&Map<String, Value>>,
    ) -> Self {
        let text = &message.text;
        let own_body = match wording {
            Wording::Own => false,
            Wording::Cohort(index) => text.cohorts.get(index).is_some_and(|copy| copy.body.is_some()),
            Wording::Translation(index) => text.languages.get(index).is_some_and(|copy| copy.body.is_some()),
            Wording::Hidden(number) => return Self::hidden(message, number, settings),
        };
        let (title, body) = text.title_and_body(wording);
        let (data, copies) = own.map_or_else(|| without_copies(message), |own| (own.clone(), false));
        let big = text.big.as_deref().filter(|big| !own_body && !big.is_empty());
        // The only text is everybody's.
        let (body, big) = if body.is_none_or(str::is_empty) { (big.or(body), None) } else { (body, big) };
        Self {
            title: title.map(str::to_owned),
            subtitle: text.subtitle.clone(),
            localised: if own_body { None } else { text.localised.clone() },
            body: body.map(str::to_owned),
            big: big.map(str::to_owned),
            data,
            copies,
            hidden: false,
            own: own.is_some(),
        }
    }

    /// For who hides what was written: the app's name, and its text for that. The data loses the message too, as an app may show it from
    /// there; what it opens is found by its other members. A vendor's own data is such a message as a whole.
    fn hidden(message: &Message, number: usize, settings: &Settings) -> Self {
        let (mut data, copies) = without_copies(message);
        data.remove(FIRST_TO_GO);
        let shows = matches!(message.behaviour.kind, Kind::Alert | Kind::Silent);
        Self {
            title: settings.title.clone().filter(|_| shows),
            body: shows.then(|| settings.hidden_texts.text(number).to_owned()),
            subtitle: None,
            big: None,
            localised: None,
            data,
            copies,
            hidden: true,
            own: false,
        }
    }

    /// The picture, for who may see it.
    pub(super) fn image<'a>(&self, message: &'a Message) -> Option<&'a String> {
        message.media.image.as_ref().filter(|_| !self.hidden)
    }

    /// The attachment, for who may see it.
    pub(super) fn attachment<'a>(&self, message: &'a Message) -> Option<&'a String> {
        message.media.attachment.as_ref().filter(|_| !self.hidden)
    }

    /// Whether there is anything to show.
    pub(super) fn is_shown(&self) -> bool {
        let some = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        some(&self.title) || some(&self.body) || self.localised.is_some()
    }
}

/// The app's data without what repeats the texts, and whether anything did.
fn without_copies(message: &Message) -> (Map<String, Value>, bool) {
    let text = &message.text;
    let localises = text.localised.is_some();
    let is_copy =
        |value: &Value, text: &Option<String>| localises || text.is_some() && value.as_str() == text.as_deref();
    let mut data = message.data.clone();
    let mut copies = localises;
    data.retain(|key, value| {
        let copy = match key.as_str() {
            "title" => is_copy(value, &text.title),
            "body" => is_copy(value, &text.body),
            "loc-key" | "loc-args" | "badge" => localises,
            _ => false,
        };
        copies |= copy;
        !copy
    });
    (data, copies)
}

/// Renders `content`, shortened as far as `limit` demands; `size` says how long the result counts. `None` when nothing more can be
/// given up.
pub(super) fn fit<T>(
    mut content: Content,
    limit: usize,
    render: impl Fn(&Content) -> T,
    size: impl Fn(&T) -> usize,
) -> Option<T> {
    let fits = |content: &Content| Some(render(content)).filter(|rendered| size(rendered) <= limit);
    if let Some(whole) = fits(&content) {
        return Some(whole);
    }
    if content.big.take().is_some()
        && let Some(rendered) = fits(&content)
    {
        return Some(rendered);
    }
    if !content.own
        && content.data.remove(FIRST_TO_GO).is_some()
        && let Some(rendered) = fits(&content)
    {
        return Some(rendered);
    }
    for part in [Part::Body, Part::Title] {
        let original = content.clone();
        let mut best = None;
        // What fits with `low` bytes of text is known; what does not with `high`, too.
        let (mut low, mut high) = (0, part.length(&original));
        content = part.cut(&original, 0);
        if let Some(rendered) = fits(&content) {
            best = Some(rendered);
            while high - low > 1 {
                let middle = low.midpoint(high);
                match fits(&part.cut(&original, middle)) {
                    Some(rendered) => (low, best) = (middle, Some(rendered)),
                    None => high = middle,
                }
            }
        }
        if best.is_some() {
            return best;
        }
    }
    None
}

#[derive(Debug, Clone, Copy)]
enum Part {
    /// The body and the arguments of the localised text: both hold what was written.
    Body,
    /// The title and the subtitle.
    Title,
}

impl Part {
    fn length(self, content: &Content) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Body => {
                let args = content.localised.iter().flat_map(|text| &text.args).map(String::len).max();
                length(&content.body).max(args.unwrap_or(0))
            }
            Self::Title => length(&content.title).max(length(&content.subtitle)),
        }
    }

    fn cut(self, content: &Content, keep: usize) -> Content {
        let mut content = content.clone();
        let texts: Vec<&mut String> = match self {
            Self::Body => {
                content.body.iter_mut().chain(content.localised.iter_mut().flat_map(|text| &mut text.args)).collect()
            }
            Self::Title => content.title.iter_mut().chain(&mut content.subtitle).collect(),
        };
        for text in texts {
            shorten(text, keep);
        }
        content
    }
}

/// Cuts `text` to at most `keep` bytes and an ellipsis, between what a person takes for characters.
fn shorten(text: &mut String, keep: usize) {
    // An ellipsis is no shorter than three bytes.
    if text.len() <= keep.max('…'.len_utf8()) {
        return;
    }
    let mut end = text.floor_char_boundary(keep);
    while end > 0 && !is_boundary(&text[..end], &text[end..]) {
        end = text.floor_char_boundary(end - 1);
    }
    text.truncate(text[..end].trim_end().len());
    text.push('…');
}

/// Whether a cut here leaves no half of a cluster: accents, joined emoji, skin tones, flags. An approximation of Unicode's rules
/// (UAX 29) without their tables.
fn is_boundary(before: &str, after: &str) -> bool {
    let (Some(last), Some(next)) = (before.chars().next_back(), after.chars().next()) else { return true };
    let extends = matches!(next,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}'
        | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}');
    let is_flag = |c: char| ('\u{1f1e6}'..='\u{1f1ff}').contains(&c);
    let splits_flag = is_flag(next) && before.chars().rev().take_while(|c| is_flag(*c)).count() % 2 == 1;
    !(extends || last == '\u{200d}' || splits_flag)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn content(title: &str, body: &str, payload: Option<&str>) -> Content {
        Content {
            title: Some(title.to_owned()),
            subtitle: None,
            body: Some(body.to_owned()),
            big: None,
            localised: Some(Localised { key: "k".to_owned(), args: vec!["n".to_owned(), body.to_owned()] }),
            data: payload.map(|text| (FIRST_TO_GO.to_owned(), Value::from(text))).into_iter().collect(),
            copies: false,
            hidden: false,
            own: false,
        }
    }

    fn render(content: &Content) -> String {
        serde_json::json!({
            "title": content.title, "body": content.body, "big": content.big, "data": content.data,
            "args": content.localised.as_ref().map(|text| &text.args),
        })
        .to_string()
    }

    fn fitted(content: Content, limit: usize) -> Option<String> {
        fit(content, limit, render, String::len)
    }

    #[test]
    fn the_payload_goes_before_the_body_and_the_body_before_the_title() {
        let text = |limit| fitted(content("title", "body of the message", Some("payload")), limit).unwrap();
        let all = text(usize::MAX).len();
        assert!(text(all).contains("payload"));
        let without = text(all - 1);
        assert!(!without.contains("payload") && without.contains("body of the message"), "{without}");
        let cut = text(without.len() - 1);
        assert!(cut.contains("title") && cut.contains('…') && !cut.contains("message\""), "{cut}");
        let bare = fitted(content("a longer title", "a body", None), 71).unwrap();
        assert!(bare.contains("\"body\":\"…\"") && bare.contains("\"a l"), "{bare}");
        assert_eq!(fitted(content("title", "body", None), 20), None);
    }

    #[test]
    fn data_is_too_long_by_what_no_vendor_goes_without() {
        let data = |members: Value| members.as_object().unwrap().clone();
        let most = MOST_BYTES - r#"{"a":""}"#.len();
        let long = "x".repeat(most + 1);
        assert!(!is_too_long(&data(serde_json::json!({"a": long[1..]}))));
        for of_each in ["a", "image", "pushbel"] {
            assert!(is_too_long(&data(serde_json::json!({of_each: {"b": long}}))), "{of_each}");
        }
        for of_some in ["payload", "title", "body", "badge", "aps", "pushbell_task"] {
            assert!(!is_too_long(&data(serde_json::json!({of_some: long, "b": null}))), "{of_some}");
        }
    }

    #[test]
    fn a_big_text_goes_before_anything_is_cut() {
        let with_big = || Content {
            big: Some("a much bigger text".to_owned()),
            ..content("title", "body of it", Some("payload"))
        };
        let whole = render(&with_big());
        assert_eq!(fitted(with_big(), whole.len()).as_deref(), Some(whole.as_str()));
        let without = fitted(with_big(), whole.len() - 1);
        assert_eq!(without, Some(render(&content("title", "body of it", Some("payload")))));
    }

    #[test]
    fn a_cut_leaves_no_half_of_a_character() {
        let cut = |text: &str, keep| {
            let mut text = text.to_owned();
            shorten(&mut text, keep);
            text
        };
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc def", 4), "abc…");
        assert_eq!(cut("é", 1), "é", "an ellipsis would be longer");
        assert_eq!(cut("xe\u{301}y", 2), "x…");
        assert_eq!(cut("👩‍👩‍👧", 11), "…");
        assert_eq!(cut("a👍🏽", 5), "a…");
        assert_eq!(cut("🇩🇪🇫🇷", 12), "🇩🇪…");
    }

    proptest! {
        #[test]
        fn what_comes_out_fits_and_is_json(
            title in ".{0,60}", body in "(\\PC|[\"\\\\\n\u{1}👩🏽\u{301}]){0,400}", payload in proptest::option::of(".{0,200}"),
            limit in 60_usize..2000,
        ) {
            let before = content(&title, &body, payload.as_deref());
            let whole = render(&before);
            match fitted(before, limit) {
                Some(text) => {
                    prop_assert!(text.len() <= limit);
                    prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
                    if whole.len() <= limit {
                        prop_assert_eq!(text, whole);
                    }
                }
                // Three bytes of a text stay, and each may be escaped by six.
                None => prop_assert!(limit < render(&content("", "", None)).len() + 3 * 3 * 6),
            }
        }
    }
}
