//! What happened.

use serde_json::{Map, Value};

/// What happened.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Which rules it may be for.
    pub kind: Kind<'a>,
    /// Its name: each rule pushes once for it, however often it comes. Without one, or with an empty one, every call is an event of its own.
    pub id: Option<&'a str>,
    /// Its fields.
    pub document: &'a Map<String, Value>,
}

/// Where an event comes from, and what it is called there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// An app's own server posted it under this name.
    Posted(&'a str),
    /// An item of a table changed.
    Changed {
        /// The table's name.
        table: &'a str,
        /// How.
        change: Change,
    },
    /// It was put on an EventBridge bus.
    Bus {
        /// `source`
        source: &'a str,
        /// `detail-type`
        detail_type: &'a str,
    },
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Insert,
    /// It is another.
    Modify,
    /// It is gone.
    Remove,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Insert, Self::Modify, Self::Remove];

    /// The word in rules and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Modify => "modify",
            Self::Remove => "remove",
        }
    }

    /// The change that is called so, in whatever case: streams write it in capitals.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.as_str().eq_ignore_ascii_case(word))
    }
}

impl Kind<'_> {
    /// What tells an id of one kind from the same id of another.
    pub(super) fn parts(&self) -> [&str; 3] {
        match self {
            Self::Posted(name) => ["event", name, ""],
            Self::Changed { table, .. } => ["table", table, ""],
            Self::Bus { source, detail_type } => ["bus", source, detail_type],
        }
    }
}
