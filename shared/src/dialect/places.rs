//! Texts with places, `{{name}}`, that a message's values go into, and how long they may become.

use crate::message::Copy;

/// The most bytes, as JSON, of a body and of a value that goes into one. FCM and APNs take 4096 bytes in all, so that nothing readable
/// is lost, and a message stays far under what a queue record may hold however often it repeats its text.
pub(super) const MOST_BODY: usize = 4096;

/// The most bytes, as JSON, of one cohort's or one language's text: there are as many as the app has set.
pub(super) const MOST_COPY: usize = 1024;

/// The most bytes, as JSON, of a title and of a nickname.
pub(super) const MOST_TITLE: usize = 512;

/// The app's copy for parts of its audience, with `values` in its places.
pub(super) fn cohorts(copies: &[Copy], values: &[(&str, &str)]) -> Vec<Copy> {
    let render = |template: &String| Some(cut(&render(template, values), MOST_COPY)).filter(|text| !text.is_empty());
    let rendered = |copy: &Copy| Copy {
        weight: copy.weight,
        title: copy.title.as_ref().and_then(render),
        body: copy.body.as_ref().and_then(render),
        push: copy.push,
    };
    copies.iter().map(rendered).collect()
}

/// Puts values for `{{name}}`. Values are never looked into for places; a name that is not known stays as it is written.
pub(super) fn render(template: &str, values: &[(&str, &str)]) -> String {
    let mut rendered = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        rendered.push_str(before);
        let known = after.split_once("}}").and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(own, _)| *own == name.trim())?;
            Some((value, after))
        });
        if let Some((value, after)) = known {
            rendered.push_str(value);
            rest = after;
        } else {
            rendered.push_str("{{");
            rest = after;
        }
    }
    rendered.push_str(rest);
    rendered
}

/// `text`, or as much of it as `most` bytes of JSON hold with an ellipsis.
pub(super) fn cut(text: &str, most: usize) -> String {
    const ELLIPSIS: char = '…';
    let mut size = 0;
    let mut end = 0;
    for (index, character) in text.char_indices() {
        if size + ELLIPSIS.len_utf8() <= most {
            end = index;
        }
        size += json_size(character);
        if size > most {
            let mut short = text[..end].to_owned();
            short.push(ELLIPSIS);
            return short;
        }
    }
    text.to_owned()
}

/// The bytes of a character in a JSON string.
const fn json_size(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => character.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_never_templates() {
        let values = [("room", "{{text}}"), ("nickname", "$2 {{room}}"), ("text", "lala")];
        assert_eq!(render("{{nickname}} in {{ room }}: {{text}}", &values), "$2 {{room}} in {{text}}: lala");
    }

    #[test]
    fn an_unknown_place_stays_as_it_is_written() {
        let values = [("text", "lala")];
        assert_eq!(render("{{who}} {{ {{text}} {{text", &values), "{{who}} {{ lala {{text");
    }

    proptest! {
        #[test]
        fn a_cut_text_fits_and_begins_as_the_whole_one(text in "[a\"\n\u{1}é部]{0,40}", most in 3_usize..90) {
            let size = |text: &str| serde_json::to_string(text).unwrap().len() - 2;
            let short = cut(&text, most);
            prop_assert!(size(&short) <= most);
            if size(&text) <= most {
                prop_assert_eq!(short, text);
            } else {
                prop_assert!(text.starts_with(short.strip_suffix('…').unwrap()));
                prop_assert!(size(&short) + 9 > most, "no more is cut than must be");
            }
        }
    }
}
