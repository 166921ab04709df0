//! How much of a message words are looked for in: who sends a text of megabytes is not to cost hundreds of them.

/// Bytes of one text that words are looked for in.
pub const MOST_OF_TEXT: usize = 64 * 1024;
/// Bytes of all texts of a message that words are looked for in.
pub const MOST_IN_ALL: usize = 256 * 1024;

/// What is still looked at of a message's texts.
#[derive(Debug, Clone, Copy)]
pub struct Reach(usize);

impl Default for Reach {
    fn default() -> Self {
        Self(MOST_IN_ALL)
    }
}

impl Reach {
    /// What is looked at of the next text, and the rest of it.
    pub fn split<'t>(&mut self, text: &'t str) -> (&'t str, &'t str) {
        let (seen, rest) = text.split_at(text.floor_char_boundary(MOST_OF_TEXT.min(self.0)));
        self.0 -= seen.len();
        (seen, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_text_the_beginning_is_looked_at_until_it_is_enough() {
        let mut reach = Reach::default();
        let long = format!("{}é{}", "x".repeat(MOST_OF_TEXT - 1), "x".repeat(10));
        let seen: Vec<usize> = (0..6).map(|_| reach.split(&long).0.len()).collect();
        assert_eq!(seen, [MOST_OF_TEXT - 1, MOST_OF_TEXT - 1, MOST_OF_TEXT - 1, MOST_OF_TEXT - 1, 4, 0]);
        assert_eq!(Reach::default().split("all"), ("all", ""));
    }
}
