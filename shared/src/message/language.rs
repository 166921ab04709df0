//! Language tags, and the best of several for a reader.

use serde::{Deserialize as _, Deserializer};

/// Which of `available` somebody reads who asks for `wanted`: the same tag; else the longest one that `wanted` begins with (RFC 4647,
/// "lookup": `zh-Hant-TW`, `zh-Hant`, `zh`); else the first of the same language. Letters may be of either case, and `_` stands for
/// `-`, as Android and Java spell it.
#[must_use]
pub fn pick<'a>(available: impl IntoIterator<Item = &'a str>, wanted: &str) -> Option<usize> {
    let wanted: Vec<&str> = subtags(wanted).collect();
    let language = *wanted.first()?;
    let mut best: Option<(usize, usize)> = None;
    for (index, tag) in available.into_iter().enumerate() {
        let count = subtags(tag).count();
        let same = subtags(tag).zip(&wanted).take_while(|(own, other)| own.eq_ignore_ascii_case(other)).count();
        // A tag that says more than is asked for, or something else, counts less than any that does not.
        let rank = match same {
            0 => continue,
            _ if same == count => count + 1,
            _ => 1,
        };
        debug_assert!(subtags(tag).next().is_some_and(|first| first.eq_ignore_ascii_case(language)));
        if best.is_none_or(|(other, _)| rank > other) {
            best = Some((rank, index));
        }
    }
    best.map(|(_, index)| index)
}

/// Whether a text is a well-formed language tag (RFC 5646, 2.1) that names a language. Grandfathered tags are not.
#[must_use]
pub fn is_tag(tag: &str) -> bool {
    fn skip(rest: &mut &[&str], most: usize, rule: impl Fn(&str) -> bool) -> usize {
        let n = rest.iter().take(most).take_while(|part| rule(part)).count();
        *rest = &rest[n..];
        n
    }
    let alpha = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let alphanumeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let parts: Vec<&str> = tag.split('-').collect();
    let Some((language, mut rest)) = parts.split_first().map(|(first, rest)| (*first, rest)) else { return false };
    if !alpha(language) || !(2..=8).contains(&language.len()) {
        return false;
    }
    if language.len() <= 3 {
        skip(&mut rest, 3, |part| part.len() == 3 && alpha(part));
    }
    skip(&mut rest, 1, |part| part.len() == 4 && alpha(part));
    skip(&mut rest, 1, |part| part.len() == 2 && alpha(part) || part.len() == 3 && digits(part));
    skip(&mut rest, usize::MAX, |part| {
        alphanumeric(part) && ((5..=8).contains(&part.len()) || part.len() == 4 && digits(&part[..1]))
    });
    let singleton = |part: &str| part.len() == 1 && alphanumeric(part) && !part.eq_ignore_ascii_case("x");
    while skip(&mut rest, 1, singleton) == 1 {
        if skip(&mut rest, usize::MAX, |part| (2..=8).contains(&part.len()) && alphanumeric(part)) == 0 {
            return false;
        }
    }
    if skip(&mut rest, 1, |part| part.eq_ignore_ascii_case("x")) == 1
        && skip(&mut rest, usize::MAX, |part| (1..=8).contains(&part.len()) && alphanumeric(part)) == 0
    {
        return false;
    }
    rest.is_empty()
}

/// A setting that is a language tag, or none.
///
/// # Errors
/// When it is another text.
pub(crate) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let tag = Option::<String>::deserialize(deserializer)?;
    match tag.as_deref().is_none_or(is_tag) {
        true => Ok(tag),
        false => Err(serde::de::Error::custom("language is a BCP 47 tag like \"de\" or \"zh-Hant\"")),
    }
}

fn subtags(tag: &str) -> impl Iterator<Item = &str> {
    tag.split(['-', '_']).filter(|subtag| !subtag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_is_read() {
        let tags = ["en", "zh-Hant", "zh", "pt-BR", "de-AT"];
        let read = |wanted| pick(tags, wanted).map(|index| tags[index]);
        assert_eq!(read("en"), Some("en"));
        assert_eq!(read("EN_gb"), Some("en"));
        assert_eq!(read("zh-Hant-TW"), Some("zh-Hant"));
        assert_eq!(read("zh-CN"), Some("zh"));
        assert_eq!(read("zh_hant"), Some("zh-Hant"));
        assert_eq!(read("pt"), Some("pt-BR"));
        assert_eq!(read("de-CH"), Some("de-AT"));
        assert_eq!(read("fr"), None);
        assert_eq!(read(""), None);
        assert_eq!(read("e"), None);
    }
}
