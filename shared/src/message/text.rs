//! What a person reads, and which of several texts it is.

use serde::{Deserialize, Serialize};

use super::language;

/// What a person reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Text {
    /// First line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Second line, on APNs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// The text, also the fallback of `localised`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Longer text for vendors that can show it; `body` elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub big: Option<String>,
    /// A text that the app on the phone holds in the user's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localised: Option<Localised>,
    /// Other copy for parts of the audience, by weight. Empty: everybody reads the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cohorts: Vec<Copy>,
    /// The experiment's name: a client stays in one cohort of it, and falls anew in another experiment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The language of `title` and `body`, where there are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The same in other languages, for people who read those. Empty: everybody reads the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<Translation>,
}

/// A key into the texts that the app on the phone carries, and what goes into their places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Localised {
    /// For example `im_loc_text`.
    pub key: String,
    /// In the order of the text's positions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

/// One cohort's copy. A part that is not there is the message's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Copy {
    /// The cohort's share of the audience, relative to the other weights. 0: nobody.
    pub weight: u32,
    /// Instead of the message's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Instead of the message's body; the localised text is then left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// `false`: this cohort is counted and not notified, to compare the others with.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub push: bool,
}

impl Default for Copy {
    fn default() -> Self {
        Self { weight: 0, title: None, body: None, push: true }
    }
}

const fn yes() -> bool {
    true
}

// serde hands over a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_yes(push: &bool) -> bool {
    *push
}

/// The text in another language. A part that is not there is the message's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Translation {
    /// A BCP 47 language tag: `de`, `zh-Hant`.
    pub language: String,
    /// Instead of the message's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Instead of the message's body; the localised text is then left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// Which of a message's texts somebody reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wording {
    /// The message's own.
    #[default]
    Own,
    /// A cohort's.
    Cohort(usize),
    /// A translation.
    Translation(usize),
    /// None of them: the app's text for hidden content, in one of its languages.
    Hidden(usize),
}

impl Text {
    /// The cohort that `client` reads, the same in every call: a stable hash of experiment and client over the weights.
    #[must_use]
    pub fn cohort_of(&self, client: &str) -> Option<usize> {
        let total: u64 = self.cohorts.iter().map(|copy| u64::from(copy.weight)).sum();
        if total == 0 {
            return None;
        }
        let experiment = self.experiment.as_deref().unwrap_or_default();
        let hash = u64::from_be_bytes(crate::id::digest(&[experiment.as_bytes(), client.as_bytes()]));
        let mut point = hash % total;
        self.cohorts.iter().position(|copy| {
            let inside = point < u64::from(copy.weight);
            point = point.saturating_sub(u64::from(copy.weight));
            inside
        })
    }

    /// Whether `client` is notified: not if their cohort is there to compare the others with.
    #[must_use]
    pub fn is_for(&self, client: &str) -> bool {
        self.cohort_of(client).and_then(|index| self.cohorts.get(index)).is_none_or(|copy| copy.push)
    }

    /// What `client` reads, whose language is `language`.
    #[must_use]
    pub fn wording(&self, client: &str, language: Option<&str>) -> Wording {
        self.wording_of(self.cohort_of(client), language)
    }

    /// What is read in a cohort and a language. A cohort's own copy goes before a translation.
    #[must_use]
    pub fn wording_of(&self, cohort: Option<usize>, language: Option<&str>) -> Wording {
        if let Some(index) = cohort
            && self.cohorts.get(index).is_some_and(|copy| copy.title.is_some() || copy.body.is_some())
        {
            return Wording::Cohort(index);
        }
        // The own language is one of them: where it is the nearest, nobody reads another region's.
        let own = self.language.as_deref();
        let others = self.languages.iter().map(|translation| translation.language.as_str());
        let nearest = language.and_then(|wanted| language::pick(own.into_iter().chain(others), wanted));
        match nearest {
            Some(index) if own.is_none() => Wording::Translation(index),
            Some(index @ 1..) => Wording::Translation(index - 1),
            Some(0) | None => Wording::Own,
        }
    }

    /// Title and body of a wording, each the message's own where it has none; of hidden content there are none here.
    #[must_use]
    pub fn title_and_body(&self, wording: Wording) -> (Option<&str>, Option<&str>) {
        let (title, body) = match wording {
            Wording::Own => (None, None),
            Wording::Cohort(index) => {
                self.cohorts.get(index).map_or((None, None), |copy| (copy.title.as_deref(), copy.body.as_deref()))
            }
            Wording::Translation(index) => {
                self.languages.get(index).map_or((None, None), |copy| (copy.title.as_deref(), copy.body.as_deref()))
            }
            Wording::Hidden(_) => return (None, None),
        };
        (title.or(self.title.as_deref()), body.or(self.body.as_deref()))
    }

    /// How many wordings there are, those for hidden content aside.
    #[must_use]
    pub fn wordings(&self) -> usize {
        1 + self.cohorts.len() + self.languages.len()
    }

    /// A wording's number, from 0 without a gap; those for hidden content are the last.
    #[must_use]
    pub fn number_of(&self, wording: Wording) -> usize {
        match wording {
            Wording::Own => 0,
            Wording::Cohort(index) => 1 + index,
            Wording::Translation(index) => 1 + self.cohorts.len() + index,
            Wording::Hidden(index) => self.wordings() + index,
        }
    }
}
