//! A message as one vendor takes it, in each wording that somebody reads.

use std::sync::OnceLock;

use pushbell::app::Settings;
use pushbell::message::{Text, Wording};

/// One rendering per wording, made for the first who reads it: most chunks have readers of one.
pub(crate) struct Rendered<T>(Vec<OnceLock<T>>);

impl<T> Rendered<T> {
    pub(crate) fn new(text: &Text, settings: &Settings) -> Self {
        let wordings = text.wordings() + settings.hidden_texts.count();
        Self((0..wordings).map(|_| OnceLock::new()).collect())
    }

    /// The rendering of `wording`, which is one of `text` in the app that this was made for.
    pub(crate) fn get(&self, text: &Text, wording: Wording, render: impl FnOnce() -> T) -> &T {
        self.0[text.number_of(wording)].get_or_init(render)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbell::message::{Copy, Translation};

    #[test]
    fn every_wording_has_a_place_of_its_own_and_is_rendered_once() {
        let text =
            Text { cohorts: vec![Copy::default(); 2], languages: vec![Translation::default(); 3], ..Text::default() };
        let settings = Settings::default();
        let rendered = Rendered::new(&text, &settings);
        let hidden = (0..settings.hidden_texts.count()).map(Wording::Hidden);
        let every: Vec<Wording> = std::iter::once(Wording::Own)
            .chain((0..2).map(Wording::Cohort))
            .chain((0..3).map(Wording::Translation))
            .chain(hidden)
            .collect();
        for (number, wording) in every.iter().enumerate() {
            assert_eq!(rendered.get(&text, *wording, || number), &number);
        }
        for (number, wording) in every.iter().enumerate() {
            assert_eq!(rendered.get(&text, *wording, || usize::MAX), &number);
        }
    }
}
