//! Whom a task is for.

use serde::{Deserialize, Serialize};

use super::Target;
use crate::id::{Alias, AttributeKey, ClientId, Tag};
use crate::registry::{Audience, shard_of};

/// Whom a task is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// These clients, each once.
    Targets(Vec<Target>),
    /// Whoever belongs to these audiences.
    Members(Members),
}

/// Audiences of one kind, that are sharded alike. Who belongs to several of them is a member once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Members {
    /// Every device of the app.
    All,
    /// The devices of all clients who have one of these tags.
    Tags(Vec<Tag>),
    /// The devices of the clients who have these aliases.
    Aliases(Vec<Alias>),
    /// The devices of all clients who have one of these values of indexed attributes.
    Attributes(Vec<AttributeKey>),
}

impl Members {
    /// The audiences.
    #[must_use]
    pub fn audiences(&self) -> Vec<Audience> {
        match self {
            Self::All => vec![Audience::All],
            Self::Tags(tags) => tags.iter().cloned().map(Audience::Tag).collect(),
            Self::Aliases(aliases) => aliases.iter().cloned().map(Audience::Alias).collect(),
            Self::Attributes(keys) => keys.iter().cloned().map(Audience::Attribute).collect(),
        }
    }

    /// How many shards each of them has.
    #[must_use]
    pub fn shards(&self) -> u8 {
        self.audiences().first().map_or(0, Audience::shards)
    }

    /// Which shard a client's devices are in, of so many.
    #[must_use]
    pub fn shard_of(client: &ClientId, shards: u8) -> u8 {
        shard_of(client, shards)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn attributes_are_audiences_sharded_as_tags_are_and_written_down_as_keys() {
        let keys: Vec<AttributeKey> =
            ["Boston Red Sox", "New York Yankees"].map(|team| AttributeKey::of("favoriteTeam", team)).into();
        let members = Members::Attributes(keys.clone());
        assert_eq!(members.audiences(), keys.iter().cloned().map(Audience::Attribute).collect::<Vec<_>>());
        assert_eq!(members.shards(), Audience::Tag(Tag::parse("t").unwrap()).shards());
        let text = serde_json::to_string(&members).unwrap();
        assert_eq!(text, format!(r#"{{"attributes":["{}","{}"]}}"#, keys[0].as_str(), keys[1].as_str()));
        assert_eq!(serde_json::from_str::<Members>(&text).unwrap(), members);
    }
}
