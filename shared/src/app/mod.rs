//! App: what one tenant is set to, and who may call and be called in its name.
//!
//! Four documents: `callers` (hook secrets, keys), `vendors` (credentials) and `results` (what outcomes are signed with) in Secrets Manager
//! under `pushbell/<stage>/apps/<app>/`, `settings` in the registry table. Each is cached for five minutes, unknown apps too, so that
//! scanning for them costs nothing; when a refresh fails the old document goes on serving.

mod attributes;
mod certificates;
mod documents;
mod filter;
mod frugal;
mod kinvey;
mod lanying;
mod openim;
mod reading;
mod results;
mod tencent;

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::message::{Copy, language};
use crate::recipient::Zone;
use crate::time::Timestamp;
use crate::trigger::Triggers;

pub use attributes::AttributesSettings;
pub use certificates::{Certificate, CertificateEnvironment, Provider};
pub use documents::{AppError, SecretDocuments, SettingsDocuments, check};
pub use filter::FilterSettings;
pub use frugal::{FrugalSettings, Stats};
pub use kinvey::{KinveyAndroid, KinveySettings};
pub use lanying::{LanyingSettings, Notifier};
pub use openim::{BeforePushStage, HideFor, OnError, OpenimMode, OpenimSettings, OpenimText, TextKey};
pub use reading::{HiddenTexts, MuteYieldsTo};
pub use results::{ResultsKeys, ResultsSettings};
pub use tencent::TencentSettings;

/// A secret that may be rotated: valid, or valid until a point in time. Never shown.
#[derive(Clone, Deserialize)]
#[serde(from = "SecretForm")]
pub struct Secret {
    value: String,
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SecretForm {
    Plain(String),
    Until { value: String, until: Timestamp },
}

impl From<SecretForm> for Secret {
    fn from(form: SecretForm) -> Self {
        match form {
            SecretForm::Plain(value) => Self { value, until: None },
            SecretForm::Until { value, until } => Self { value, until: Some(until) },
        }
    }
}

impl Secret {
    /// Whether `given` is this secret and it is still valid, in time that depends on the lengths only.
    #[must_use]
    pub fn matches(&self, given: &str, now: Timestamp) -> bool {
        use subtle::ConstantTimeEq as _;
        let same = self.value.as_bytes().ct_eq(given.as_bytes());
        bool::from(same) && self.valid(now).is_some()
    }

    /// The secret itself. Never to be logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Until when it is valid.
    #[must_use]
    pub(crate) const fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// The secret itself, as long as it is valid. An empty one never is.
    #[must_use]
    pub fn valid(&self, now: Timestamp) -> Option<&str> {
        let is_valid = self.until.is_none_or(|until| now < until) && !self.value.is_empty();
        is_valid.then_some(self.value.as_str())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Whether one of `secrets` is `given`. Every secret is compared, whichever matches.
#[must_use]
pub fn any_matches(secrets: &[Secret], given: &str, now: Timestamp) -> bool {
    secrets.iter().fold(false, |found, secret| secret.matches(given, now) | found)
}

/// Document `callers`: who may call in this app's name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Callers {
    /// In the path of the hooks. Two valid at once for rotation.
    pub hook_secrets: Vec<Secret>,
    /// Addresses or networks that hooks may come from (`203.0.113.7`, `203.0.113.0/24`, IPv6 too). Empty: from anywhere.
    pub hook_sources: Vec<String>,
    /// Kinvey: the secrets of `Basic appKey:masterSecret`.
    pub master_secrets: Vec<Secret>,
    /// Kinvey: app secrets. They identify an app but may not push; a caller who uses one is told so.
    pub app_secrets: Vec<Secret>,
    /// IMKIT: `<app>.<random>`.
    pub api_keys: Vec<Secret>,
    /// What the app's own back end signs user tokens with.
    pub user_keys: Vec<UserKey>,
    /// Tencent: what its callbacks are signed with. Two valid at once for rotation. Empty: signatures are not looked at.
    pub tencent_tokens: Vec<Secret>,
    /// Kinvey: where `Basic username:password` is asked, with the same header; answers 200 and `{"_id": …}`.
    pub verify_url: Option<String>,
}

/// A key that user tokens are verified with.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "alg", deny_unknown_fields)]
pub enum UserKey {
    /// HMAC with SHA-256; the key's text as it is.
    HS256 {
        /// At least 32 bytes.
        key: Secret,
    },
    /// HMAC with SHA-384.
    HS384 {
        /// At least 48 bytes.
        key: Secret,
    },
    /// HMAC with SHA-512.
    HS512 {
        /// At least 64 bytes.
        key: Secret,
    },
    /// RSA PKCS#1 v1.5 with SHA-256.
    RS256 {
        /// The public key as PEM.
        key: Secret,
    },
    /// ECDSA on P-256 with SHA-256.
    ES256 {
        /// The public key as PEM.
        key: Secret,
    },
}

/// Document `vendors`: credentials for delivery.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vendors {
    /// FCM HTTP v1.
    pub fcm: Option<FcmVendor>,
    /// What the app's own tools may read here, where its settings let them.
    pub certificates: Vec<Certificate>,
}

/// How an app reaches FCM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FcmVendor {
    /// The service account's key file, as Google gives it.
    pub service_account: ServiceAccount,
    /// Where FCM is. `https://fcm.googleapis.com` unless told otherwise.
    #[serde(default = "FcmVendor::google")]
    pub endpoint: String,
}

impl FcmVendor {
    fn google() -> String {
        "https://fcm.googleapis.com".to_owned()
    }
}

/// The parts of a Google service account's key file that are needed to sign with it.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceAccount {
    /// The Firebase project.
    pub project_id: String,
    /// Names the key at Google.
    pub private_key_id: Option<String>,
    /// PKCS#8 as PEM.
    pub private_key: Secret,
    /// The issuer.
    pub client_email: String,
    /// Where a signed assertion is exchanged for an access token.
    #[serde(default = "ServiceAccount::google")]
    pub token_uri: String,
}

impl ServiceAccount {
    fn google() -> String {
        "https://oauth2.googleapis.com/token".to_owned()
    }
}

/// Document `settings`: modes, words, addresses. Nothing secret.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct Settings {
    /// How IMKIT's callbacks are taken.
    pub imkit: ImkitSettings,
    /// How OpenIM's before-push callbacks are taken.
    pub openim: OpenimSettings,
    /// Kinvey's push module.
    pub kinvey: KinveySettings,
    /// Lanying's interface.
    pub lanying: LanyingSettings,
    /// How Tencent's callbacks are taken.
    pub tencent: TencentSettings,
    /// Which counters make the badge.
    pub badge_from: BadgeFrom,
    /// iOS through Amazon SNS.
    pub sns: SnsSettings,
    /// Android notification channel of messages that name none.
    pub android_channel: Option<String>,
    /// Android notification channel of what is to arrive without a sound: quiet hours, silent messages. From Android 8 on a notification's
    /// channel alone decides about that. Without it such notifications go to the ordinary one.
    pub android_quiet_channel: Option<String>,
    /// The app's sound for messages that name none; the platform's default without it.
    pub sound: Option<String>,
    /// How what was not delivered is tried again.
    pub retry: RetrySettings,
    /// What does not reach phones, whoever would be told.
    pub filter: FilterSettings,
    /// What a notification is titled with when nothing better is known.
    pub title: Option<String>,
    /// The language of texts for people whose own is not known. English without it.
    #[serde(deserialize_with = "language::optional")]
    pub language: Option<String>,
    /// Nobody's notifications show what was written.
    pub hide_content: bool,
    /// What is shown instead.
    pub hidden_texts: HiddenTexts,
    /// The time zone of people who name none. UTC without it.
    pub zone: Option<Zone>,
    /// What comes through although its room or sender is muted.
    pub mute_yields_to: MuteYieldsTo,
    /// Where outcomes are sent.
    pub results: ResultsSettings,
    /// What is done without, to pay less.
    pub frugal: FrugalSettings,
    /// Which attributes of people make audiences.
    pub attributes: AttributesSettings,
    /// What is pushed when something happens.
    pub triggers: Triggers,
}

impl<'de> Deserialize<'de> for Settings {
    /// The document, if its parts fit together.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let settings = Self::deserialize(deserializer)?;
        let indexed = settings.attributes.indexed();
        settings.triggers.check(|name| indexed.contains(name)).map_err(serde::de::Error::custom)?;
        Ok(settings)
    }
}

impl Settings {
    /// The language of texts for people whose own is not known.
    #[must_use]
    pub fn language(&self) -> &str {
        self.language.as_deref().unwrap_or("en")
    }
}

/// How what was not delivered is tried again: exponential backoff with full jitter, up to the message's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RetryForm")]
pub struct RetrySettings {
    first_wait: Duration,
    longest_wait: Duration,
    attempts: u32,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RetryForm {
    first_wait_s: u64,
    longest_wait_s: u64,
    attempts: u32,
}

impl Default for RetryForm {
    fn default() -> Self {
        Self { first_wait_s: 5, longest_wait_s: 15 * 60, attempts: RetrySettings::MOST_ATTEMPTS }
    }
}

impl TryFrom<RetryForm> for RetrySettings {
    type Error = &'static str;

    fn try_from(form: RetryForm) -> Result<Self, Self::Error> {
        if !(1..=900).contains(&form.first_wait_s) {
            return Err("first_wait_s is from 1 to 900");
        }
        if !(form.first_wait_s..=86_400).contains(&form.longest_wait_s) {
            return Err("longest_wait_s is from first_wait_s to 86400");
        }
        if !(1..=Self::MOST_ATTEMPTS).contains(&form.attempts) {
            return Err("attempts is from 1 to 200");
        }
        Ok(Self {
            first_wait: Duration::from_secs(form.first_wait_s),
            longest_wait: Duration::from_secs(form.longest_wait_s),
            attempts: form.attempts,
        })
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        let RetryForm { first_wait_s, longest_wait_s, attempts } = RetryForm::default();
        Self {
            first_wait: Duration::from_secs(first_wait_s),
            longest_wait: Duration::from_secs(longest_wait_s),
            attempts,
        }
    }
}

impl RetrySettings {
    /// The most attempts, the first included. Nothing but a bound: with the waits of the default, half of them used on average, they
    /// last for a day, and a message's end comes first.
    pub const MOST_ATTEMPTS: u32 = 200;

    /// The first wait is up to this long; each one after it up to twice as long as the one before.
    #[must_use]
    pub const fn first_wait(&self) -> Duration {
        self.first_wait
    }

    /// No wait is longer than this, but for one that a vendor asks for.
    #[must_use]
    pub const fn longest_wait(&self) -> Duration {
        self.longest_wait
    }

    /// How often a device is tried, the first time included.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// How IMKIT's callbacks are taken.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImkitSettings {
    /// The callback that the chat server is set to. The other one is answered, counted and not delivered: a server that is set to
    /// both would notify twice.
    pub version: ImkitVersion,
    /// Other copy for parts of the audience. `{{room}}`, `{{nickname}}` and `{{text}}` stand for the message's own.
    pub copies: Vec<Copy>,
    /// The copies' experiment. Another name deals the clients anew.
    pub experiment: Option<String>,
}

/// Which of IMKIT's two push callbacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImkitVersion {
    /// `PUSH`: one call per recipient, with the badge.
    V1,
    /// `PUSH_GENERIC`: one call per message, we count.
    #[default]
    V2,
}

/// Which counters make the badge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BadgeFrom {
    /// The rooms' unread counts and every named source but `imkit`, which is stored and not added.
    #[default]
    Rooms,
    /// Source `imkit`, as the chat server reports it, instead of the rooms; and every other named source.
    Imkit,
}

/// iOS through Amazon SNS: the platform applications' ARNs. An ARN is an address, not a secret; what may be done with it is
/// each function's role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnsSettings {
    /// For apps from the store.
    pub apns: Option<String>,
    /// For development builds.
    pub apns_sandbox: Option<String>,
    /// Which of the two a device belongs to that does not say so.
    pub environment: ApnsEnvironment,
}

/// Which of Apple's two push services a token is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApnsEnvironment {
    /// Apps from the store.
    #[default]
    Production,
    /// Development builds.
    Sandbox,
}

impl SnsSettings {
    /// The platform application of devices with or without the `sandbox` mark.
    #[must_use]
    pub fn application(&self, sandbox: bool) -> Option<&str> {
        if sandbox { self.apns_sandbox.as_deref() } else { self.apns.as_deref() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::documents::parse;
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    #[test]
    fn two_hook_secrets_are_valid_during_a_rotation_and_the_old_one_ends() {
        let callers: Callers = parse(
            "callers",
            r#"{"hook_secrets": ["new", {"value": "old", "until": 1767225600001}, {"value": "gone", "until": 1767225600000}]}"#,
        )
        .unwrap();
        assert!(any_matches(&callers.hook_secrets, "new", NOW));
        assert!(any_matches(&callers.hook_secrets, "old", NOW));
        assert!(!any_matches(&callers.hook_secrets, "gone", NOW));
        assert!(!any_matches(&callers.hook_secrets, "", NOW));
        assert!(!any_matches(&[Secret { value: String::new(), until: None }], "", NOW), "an empty secret is none");
    }

    #[test]
    fn a_malformed_document_is_named_by_its_place_and_quotes_nothing() {
        let error = parse::<Callers>("callers", "{\"hook_secrets\": \"s3cret\"}").unwrap_err();
        assert_eq!(error.to_string(), "the app's callers document is malformed at line 1, column 25");
        assert!(!format!("{error:?}").contains("s3cret"));
    }

    #[test]
    fn a_malformed_setting_is_told_with_its_rule_and_without_its_value() {
        let told = |text: &str| check("settings", text).unwrap_err().to_string();
        let at = "the app's settings document is malformed at line 1, column";
        let misspelt = told(r#"{"badge_form": "rooms"}"#);
        assert!(misspelt.starts_with(&format!("{at} 13: unknown field `badge_form`, expected one of")), "{misspelt}");
        assert_eq!(told(r#"{"retry": {"attempts": 0}}"#), format!("{at} 26: attempts is from 1 to 200"));
        assert_eq!(
            told(r#"{"title": ["Jo \"x\" Doe"]}"#),
            format!("{at} 10: invalid type: sequence, expected a string")
        );
        assert!(!told(r#"{"hide_content": "a \"private\" id"}"#).contains("private"));
        let mode = told(r#"{"openim": {"mode": "private`, x"}}"#);
        assert!(mode.ends_with("unknown value, expected `filter` or `deliver`") && !mode.contains("private"), "{mode}");
        assert!(!check("vendors", r#"{"fcm": "s3cret"}"#).unwrap_err().to_string().contains("s3cret"));
        check("callers", "{}").unwrap();
    }

    #[test]
    fn secrets_do_not_show_in_debug() {
        let callers: Callers = parse("callers", r#"{"master_secrets": ["s3cret"]}"#).unwrap();
        assert!(!format!("{callers:?}").contains("s3cret"));
    }

    #[test]
    fn settings_have_defaults() {
        let settings: Settings = parse("settings", "{}").unwrap();
        assert_eq!(settings.imkit.version, ImkitVersion::V2);
        assert_eq!(settings.badge_from, BadgeFrom::Rooms);
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn waits_and_attempts_have_bounds() {
        let retry = |text: &str| parse::<Settings>("settings", &format!("{{\"retry\": {text}}}")).map(|app| app.retry);
        let own = retry(r#"{"first_wait_s": 2, "longest_wait_s": 60, "attempts": 4}"#).unwrap();
        assert_eq!((own.first_wait().as_secs(), own.longest_wait().as_secs(), own.attempts()), (2, 60, 4));
        assert_eq!(retry(r#"{"attempts": 4}"#).unwrap().first_wait().as_secs(), 5);
        for wrong in [
            r#"{"first_wait_s": 0}"#,
            r#"{"first_wait_s": 901}"#,
            r#"{"first_wait_s": 60, "longest_wait_s": 59}"#,
            r#"{"longest_wait_s": 86401}"#,
            r#"{"attempts": 0}"#,
            r#"{"attempts": 201}"#,
            r#"{"tries": 3}"#,
        ] {
            assert!(retry(wrong).is_err(), "{wrong}");
        }
    }
}
