#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn words(entries: &[&str]) -> Words {
    Words::new(entries).unwrap()
}

fn masks(entry: &str, text: &str, masked: &str) {
    let words = words(&[entry]);
    assert_eq!(words.mask(text), masked, "{entry} in {text}");
    assert_eq!(words.find(text), text != masked, "{entry} in {text}");
}

#[test]
fn an_entry_is_a_whole_word_unless_a_star_says_that_it_goes_on() {
    for (entry, found, not) in [
        ("cat", &["cat", "a cat!", "CAT", "(cat)", "_cat_", "cat's"][..], &["cats", "concat", "cat1", "cät"][..]),
        ("cat*", &["cat", "cats", "a category"], &["concat", "concats"]),
        ("*cat", &["cat", "concat"], &["cats", "concats"]),
        ("*cat*", &["cat", "cats", "concat", "concatenate"], &["ca t", "c4t"]),
        ("$$$", &["$$$", "a$$$b"], &["$$"]),
    ] {
        let words = words(&[entry]);
        for text in found {
            assert!(words.find(text), "{entry} is in {text}");
        }
        for text in not {
            assert!(!words.find(text), "{entry} is not in {text}");
        }
    }
}

#[test]
fn an_entry_that_is_there_with_other_ends_matches_by_each_of_them() {
    let words = words(&["*cat", "cat*"]);
    assert!(words.find("concat") && words.find("cats"));
    assert!(!words.find("concats"));
}

#[test]
fn case_width_and_composition_make_no_difference() {
    masks("straße", "die STRASSE, die straẞe", "die *******, die ******");
    masks("strasse", "Straße", "******");
    masks("ΣΊΣΥΦΟΣ", "σίσυφος", "*******");
    masks("ｂａｄ", "bad", "***");
    masks("bad", "Ｂａｄ 𝖇𝖆𝖉 ⓑⓐⓓ", "*** *** ***");
    masks("café", "cafe\u{301}", "****");
    masks("cafe\u{301}", "CAFÉ", "****");
    masks("e\u{323}\u{301}x", "e\u{301}\u{323}x", "**");
    masks("α\u{301}\u{345}", "α\u{345}\u{301}", "**");
    masks("é\u{323}", "e\u{301}\u{323}", "*");
    masks("a¨\u{301}", "a΅", "**");
    masks("fine", "ﬁne", "***");
    masks("ガ", "ｶﾞ", "*");
    masks("SIK", "sık", "***");
    masks("istanbul", "İSTANBUL, I\u{307}stanbul", "********, ********");
}

#[test]
fn a_folded_text_is_not_folded_further() {
    // Beyond, nothing is assigned but what shows nothing.
    for c in char::MIN..='\u{3FFFF}' {
        let once = Folded::of(&format!("a{c}")).text;
        assert_eq!(Folded::of(&once).text, once, "U+{:04X}", u32::from(c));
    }
}

#[test]
fn what_shows_nothing_hides_nothing() {
    masks("bad", "b\u{200B}a\u{AD}d", "***");
    masks("bad", "a \u{2067}b\u{200D}ad\u{2069} one", "a \u{2067}***\u{2069} one");
    masks("b\u{200B}ad", "bad", "***");
    masks("❤", "I ❤\u{FE0F} you", "I * you");
    masks("👍", "👍🏽!", "*!");
    masks("don't", "I don’t", "I *****");
}

#[test]
fn a_character_is_matched_whole_and_masked_whole() {
    masks("cafe*", "café", "café");
    masks("*e*", "é e\u{301}", "é e\u{301}");
    masks("*as*", "Straße", "******");
    masks("가*", "각", "각");
    masks("가", "\u{1100}\u{1161}\u{11A8}", "\u{1100}\u{1161}\u{11A8}");
    masks("*น*", "นำ", "นำ");
    masks("क*", "कि", "कि");
    masks("*é*", "xe\u{301}y", "***");
}

#[test]
fn scripts_without_spaces_need_no_boundary() {
    masks("坏话", "他说坏话了", "他说**了");
    masks("word", "中文word中文", "中文****中文");
    masks("バカ", "このバカめ", "この**め");
    masks("バカ", "ﾊﾞｶ", "**");
    masks("바보", "바보야", "**야");
    masks("바보", "\u{1107}\u{1161}\u{1107}\u{1169}", "**");
    masks("ㅅㅂ", "아 ㅅㅂ 것밖", "아 ** 것밖");
    masks("ㅗ", "ㅗㅗ 고", "** 고");
    masks("คำ", "มีคำนี้", "มี**นี้");
    masks("ໝາ", "ກໝາກ", "ກ**ກ");
}

#[test]
fn white_space_in_a_phrase_is_any_run_of_it_and_stays() {
    masks("bad  words", "some BAD \u{200B}\n\u{3000}Words here", "some *** \n\u{3000}***** here");
    masks(" bad\twords ", "bad words", "*** *****");
    masks("bad words", "badwords", "badwords");
    masks("bad words", "bad wordsmith", "bad wordsmith");
}

#[test]
fn of_overlapping_matches_everything_is_masked() {
    let words = words(&["*abcd*", "*cdef*", "*cd*", "*xx*"]);
    assert_eq!(words.mask("-abcdef-"), "-******-");
    assert_eq!(words.mask("abcd-cdef"), "****-****");
    assert_eq!(words.mask("xxxxx"), "*****");
}

#[test]
fn a_star_stands_for_the_rest_of_the_word_and_no_further() {
    masks("damn*", "Damnation! A goddamn.", "*********! A goddamn.");
    masks("*damn", "Damn! goddamn", "****! *******");
    masks("*damn*", "goddamnit, xdamn-it", "*********, *****-it");
    masks("bad word*", "bad words in bad wordings, badly", "*** ***** in *** ********, badly");
    masks("*坏*", "他说坏话了", "他说*话了");
    masks("*坏*", "abc坏def", "abc*def");
    masks("*é*", "cafe\u{301}s", "*****");
}

#[test]
fn an_empty_list_finds_nothing() {
    let none = Words::new::<&str>(&[]).unwrap();
    assert!(none.is_empty() && !none.find("anything") && none.mask("anything") == "anything");
    assert!(!words(&["a"]).is_empty());
}

#[test]
fn an_entry_that_could_not_be_meant_is_named_by_its_place() {
    for entry in ["", "*", "**", " ", "* *", "\u{200B}", "*\u{AD}*", "🏽"] {
        assert_eq!(check(entry), Err(EntryError::Empty), "{entry}");
    }
    for entry in ["a*b", "***", "**a", "a＊", "a*b*"] {
        assert_eq!(check(entry), Err(EntryError::StarInside), "{entry}");
    }
    assert_eq!(check("\u{301}a"), Err(EntryError::MarkFirst));
    assert_eq!(check(&"a".repeat(129)), Err(EntryError::TooLong));
    assert_eq!(check(&"a".repeat(128)), Ok(()));
    assert!(matches!(Words::new(&vec!["a"; 10_001]), Err(WordsError::TooMany)));
    let error = Words::new(&["fine", "a*b"]).unwrap_err();
    assert_eq!(error.to_string(), "entry 1 has a star that is not at an end");
}

/// Text as people and their phones write it: any character, and many of those that fold, join, stack or show nothing.
fn any_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        3 => proptest::char::range('a', 'e'),
        1 => proptest::sample::select(
            "ABÀÉßẞſıİΣςﬁǰ½㎏﷼🄰ⓐａ＊* \t\u{3000}\u{A0}-'’\u{301}\u{323}\u{345}\u{20E3}\u{FE0F}\u{200B}\u{200D}\u{AD}\u{202E}\u{2069}\
             각가ㅗㅅ\u{1100}\u{1161}\u{11A8}ｶﾞガ坏話คำนี้ໝกि👍🏽👩❤´¨\u{0}"
                .chars()
                .collect::<Vec<char>>()
        ),
        1 => any::<char>(),
    ];
    proptest::collection::vec(character, 0..24).prop_map(String::from_iter)
}

/// What is shown of a text: without what a mask may swallow.
fn shown(text: &str) -> Vec<char> {
    text.chars().filter(|c| *c != '*').collect()
}

/// Whether `kept` is left of `whole` when some are taken out.
fn is_left_of(kept: &[char], whole: &[char]) -> bool {
    let mut rest = whole.iter();
    kept.iter().all(|c| rest.any(|of| of == c))
}

/// The rule, said plainly, for texts of small ASCII letters and spaces.
fn plainly(entries: &[String], text: &str) -> String {
    let mut hit = vec![false; text.len()];
    for entry in entries {
        let word = entry.trim_matches('*');
        for (at, _) in text.match_indices(word).chain((0..text.len()).filter_map(|at| {
            // `match_indices` passes over overlapping ones.
            text[at..].starts_with(word).then_some((at, word))
        })) {
            let (before, after) = (&text[..at], &text[at + word.len()..]);
            let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase());
            let left = entry.starts_with('*') || !letter(before.chars().last());
            let right = entry.ends_with('*') || !letter(after.chars().next());
            if left && right {
                let letters = |text: &str| text.chars().take_while(|c| c.is_ascii_lowercase()).count();
                let backwards = before.chars().rev().collect::<String>();
                let from = if entry.starts_with('*') { at - letters(&backwards) } else { at };
                let to = at + word.len() + if entry.ends_with('*') { letters(after) } else { 0 };
                hit[from..to].fill(true);
            }
        }
    }
    text.char_indices().map(|(at, c)| if hit[at] { '*' } else { c }).collect()
}

proptest! {
    #[test]
    fn a_list_matches_as_its_entries_would_one_by_one(
        entries in proptest::collection::vec("[*]?[ab]{1,3}[*]?", 1..6), text in "[abc ]{0,16}",
    ) {
        let words = Words::new(&entries).unwrap();
        let plain = plainly(&entries, &text);
        prop_assert_eq!(words.find(&text), plain != text);
        prop_assert_eq!(words.mask(&text), plain);
    }

    #[test]
    fn a_text_is_changed_if_something_is_found_and_nothing_but_that_is_taken_out(
        entries in proptest::collection::vec(any_text(), 0..8), text in any_text(),
    ) {
        let entries: Vec<&str> = entries.iter().map(String::as_str).filter(|entry| check(entry).is_ok()).collect();
        let words = words(&entries);
        let masked = words.mask(&text);
        prop_assert_eq!(words.find(&text), masked != text);
        prop_assert!(is_left_of(&shown(&masked), &shown(&text)));
        prop_assert!(masked.chars().count() <= text.chars().count());
    }

    #[test]
    fn what_stands_around_a_word_stays_as_it_is(before in any_text(), after in any_text()) {
        // Letters that nothing else folds to, and nothing joins.
        let words = words(&["ϗϗ"]);
        prop_assume!(!words.find(&before) && !words.find(&after));
        prop_assume!(!before.ends_with(['ϗ', 'Ϗ']) && !after.starts_with(['ϗ', 'Ϗ']));
        let masked = words.mask(&format!("{before}-ϗϗ-{after}")).into_owned();
        prop_assert_eq!(masked, format!("{before}-**-{after}"));
    }

    #[test]
    fn every_entry_finds_itself_in_capitals_and_in_its_parts(entry in any_text()) {
        use unicode_normalization::UnicodeNormalization as _;
        let Ok(words) = Words::new(&[&entry]) else { return Ok(()) };
        let word = entry.trim().trim_matches('*').to_owned();
        // Capitals of an iota below are a letter beside: the accents after it are another letter's.
        prop_assume!(!word.nfd().any(|c| c == '\u{345}'));
        for form in [word.to_uppercase(), word.nfd().collect(), word.nfc().collect(), word.clone()] {
            prop_assert!(words.find(&form), "{:?} in {:?}", entry, form);
        }
    }
}

/// `cargo test -p pushbell --release the_largest_list -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn the_largest_list_compiles() {
    for bytes in [8, 40, 128] {
        let entries: Vec<String> = (0..MOST_ENTRIES)
            .map(|n| {
                (0..bytes)
                    .map(|_| char::from(b'a' + fastrand::u8(0..26)))
                    .chain(n.to_string().chars())
                    .take(bytes)
                    .collect()
            })
            .collect();
        let before = std::time::Instant::now();
        entries.iter().for_each(|entry| check(entry).unwrap());
        let checked = before.elapsed();
        let words = Words::new(&entries).unwrap();
        let compiled = before.elapsed() - checked;
        let text = "They met at the café, and said what friends say. ".repeat(20);
        let before = std::time::Instant::now();
        for _ in 0..100 {
            assert!(!words.find(&text));
        }
        println!(
            "{bytes} bytes an entry: checked in {checked:?}, compiled in {compiled:?}, {} KB; 1,000 characters in {:?}",
            words.automaton.as_ref().map_or(0, AhoCorasick::memory_usage) / 1024,
            before.elapsed() / 100,
        );
    }
}
