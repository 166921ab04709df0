//! Language tags, and the best of several for a reader.

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
