//! Fresh secrets, and how one takes another's place.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pushbell::id::AppId;
use pushbell::time::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandom;

/// What is secret in an app's documents, and can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// In the paths of the hooks: IMKIT, OpenIM, Tencent.
    Hook,
    /// IMKIT's and our own calls.
    ApiKey,
    /// Kinvey's master secret.
    Master,
    /// Kinvey's app secret.
    AppSecret,
    /// What the app's back end signs user tokens with.
    UserKey,
    /// What Tencent signs its callbacks with.
    Tencent,
    /// What outcomes are signed with.
    Results,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Hook, Self::ApiKey, Self::Master, Self::AppSecret, Self::UserKey, Self::Tencent, Self::Results];

    /// The document and the list in it.
    pub const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Hook => ("callers", "hook_secrets"),
            Self::ApiKey => ("callers", "api_keys"),
            Self::Master => ("callers", "master_secrets"),
            Self::AppSecret => ("callers", "app_secrets"),
            Self::UserKey => ("callers", "user_keys"),
            Self::Tencent => ("callers", "tencent_tokens"),
            Self::Results => ("results", "keys"),
        }
    }

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hook => "hook secret",
            Self::ApiKey => "API key",
            Self::Master => "master secret",
            Self::AppSecret => "app secret",
            Self::UserKey => "key of user tokens",
            Self::Tencent => "Tencent's token",
            Self::Results => "key of outcomes",
        }
    }

    /// A secret of 256 random bits, in the form that its readers ask for.
    pub fn fresh(self, app: &AppId) -> Result<String, NoRandom> {
        let mut bytes = [0u8; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
        let text = URL_SAFE_NO_PAD.encode(bytes);
        Ok(match self {
            // A path and a shell take it as it is: letters, digits, `-` and `_`.
            Self::Hook | Self::Master | Self::AppSecret | Self::UserKey | Self::Tencent => text,
            Self::ApiKey => format!("{app}.{text}"),
            Self::Results => format!("whsec_{}", STANDARD.encode(bytes)),
        })
    }

    /// How the document holds it.
    pub fn entry(self, secret: &str) -> Value {
        match self {
            Self::UserKey => json!({ "alg": "HS256", "key": secret }),
            Self::Hook | Self::ApiKey | Self::Master | Self::AppSecret | Self::Tencent | Self::Results => {
                json!(secret)
            }
        }
    }

    /// Puts a fresh secret first in its list, and lets the others end after `keep`, or when they would have ended, if that is sooner. What is
    /// over is taken out. Public keys of an app's own identity provider stay as they are: nothing here replaces them. The list that comes of
    /// it.
    pub fn rotated(self, list: &Value, fresh: &str, keep: Duration, now: Timestamp) -> Value {
        let until = now.plus(keep).as_millis();
        let mut rotated = vec![self.entry(fresh)];
        for old in list.as_array().into_iter().flatten() {
            if ends(self, old).is_some_and(|end| end <= now.as_millis()) {
                continue;
            }
            rotated.push(self.ending(old, until));
        }
        Value::Array(rotated)
    }

    /// The entry with this end, or with its own where that is sooner.
    fn ending(self, entry: &Value, until: u64) -> Value {
        if self == Self::UserKey && !is_hmac(entry) {
            return entry.clone();
        }
        let Some(secret) = value(self, entry) else { return entry.clone() };
        let until = ends(self, entry).map_or(until, |end| end.min(until));
        let held = json!({ "value": secret, "until": until });
        match self {
            Self::UserKey => json!({ "alg": entry["alg"], "key": held }),
            Self::Hook | Self::ApiKey | Self::Master | Self::AppSecret | Self::Tencent | Self::Results => held,
        }
    }
}

/// Whether a user key is a secret that both sides have.
pub(super) fn is_hmac(entry: &Value) -> bool {
    entry["alg"].as_str().is_some_and(|alg| alg.starts_with("HS"))
}

/// Until when an entry is valid, in milliseconds since 1970; `None` for good.
pub(in crate::operator) fn ends(kind: Kind, entry: &Value) -> Option<u64> {
    match kind {
        Kind::UserKey => entry["key"]["until"].as_u64(),
        Kind::Hook | Kind::ApiKey | Kind::Master | Kind::AppSecret | Kind::Tencent | Kind::Results => {
            entry["until"].as_u64()
        }
    }
}

/// The secret of an entry.
pub(in crate::operator) fn value(kind: Kind, entry: &Value) -> Option<&str> {
    let held = match kind {
        Kind::UserKey => &entry["key"],
        Kind::Hook | Kind::ApiKey | Kind::Master | Kind::AppSecret | Kind::Tencent | Kind::Results => entry,
    };
    held.as_str().or_else(|| held["value"].as_str())
}

/// The first secret of a list that is valid now.
pub fn first_valid(kind: Kind, document: &Value, now: Timestamp) -> Option<String> {
    let (_, list) = kind.place();
    let entries = document[list].as_array()?.iter();
    let mut valid = entries.filter(|entry| ends(kind, entry).is_none_or(|end| now.as_millis() < end));
    valid.find_map(|entry| value(kind, entry)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn every_fresh_secret_is_another_and_one_that_its_document_takes() {
        let app = AppId::parse("acme").unwrap();
        for kind in Kind::ALL {
            let (one, other) = (kind.fresh(&app).unwrap(), kind.fresh(&app).unwrap());
            assert_ne!(one, other, "{kind:?}");
            let (document, list) = kind.place();
            pushbell::app::check(document, &json!({ list: [kind.entry(&one)] }).to_string()).unwrap();
        }
        assert!(Kind::ApiKey.fresh(&app).unwrap().starts_with("acme."));
        assert!(Kind::Results.fresh(&app).unwrap().starts_with("whsec_"));
    }

    #[test]
    fn the_old_secret_is_valid_for_a_day_and_what_is_over_goes() {
        let now = Timestamp::from_millis(1_000_000_000);
        let list = json!(["old", { "value": "older", "until": 1_000_000_001u64 }, { "value": "over", "until": 999_999_999u64 }]);
        let rotated = Kind::Hook.rotated(&list, "new", DAY, now);
        let end = now.plus(DAY).as_millis();
        assert_eq!(
            rotated,
            json!(["new", { "value": "old", "until": end }, { "value": "older", "until": 1_000_000_001u64 }])
        );
        let document = json!({ "hook_secrets": rotated });
        assert_eq!(first_valid(Kind::Hook, &document, now).as_deref(), Some("new"));
    }

    #[test]
    fn a_secret_that_is_rotated_again_ends_no_later_than_it_would_have_and_sooner_where_that_is_asked() {
        let now = Timestamp::from_millis(1_000_000_000);
        let leaked = json!(["new", { "value": "leaked", "until": now.plus(DAY).as_millis() }]);
        let rotated = Kind::Hook.rotated(&leaked, "newer", Duration::ZERO, now);
        let ends: Vec<_> = rotated.as_array().unwrap().iter().map(|entry| entry["until"].as_u64()).collect();
        assert_eq!(ends, [None, Some(now.as_millis()), Some(now.as_millis())]);
    }

    #[test]
    fn a_shared_user_key_ends_inside_its_entry_and_a_public_one_does_not_end() {
        let now = Timestamp::from_millis(1_000);
        let keys = json!([{ "alg": "HS512", "key": "old" }, { "alg": "ES256", "key": "pem" }]);
        let rotated = Kind::UserKey.rotated(&keys, "new", DAY, now);
        let end = now.plus(DAY).as_millis();
        assert_eq!(
            rotated,
            json!([
                { "alg": "HS256", "key": "new" },
                { "alg": "HS512", "key": { "value": "old", "until": end } },
                { "alg": "ES256", "key": "pem" },
            ])
        );
        pushbell::app::check("callers", &json!({ "user_keys": rotated }).to_string()).unwrap();
    }
}
