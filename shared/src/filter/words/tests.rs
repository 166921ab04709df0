#![allow(clippy::unwrap_used)]
use super::*;

fn words(entries: &[&str]) -> Words {
    Words::new(entries).unwrap()
}

#[test]
fn an_entry_is_a_whole_word_unless_a_star_says_that_it_goes_on() {
    for (entry, found, not) in [
        ("cat", &["cat", "a cat!", "CAT", "(cat)", "_cat_", "cat's"][..], &["cats", "concat", "cat1", "cät"][..]),
        ("cat*", &["cat", "cats", "a category"], &["concat", "concats"]),
        ("*cat", &["cat", "concat"], &["cats", "concats"]),
        ("*cat*", &["cat", "cats", "concat", "concatenate"], &["ca t", "c4t"]),
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
