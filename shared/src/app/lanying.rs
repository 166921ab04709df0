//! Settings of Lanying's interface.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::delivery::Channel;

/// Lanying's interface.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanyingSettings {
    /// Whether audiences may be notified.
    pub push: bool,
    /// Whether the app's servers may read its certificates.
    pub certificates: bool,
    /// The certificates that the app's phones name, as they were called in Lanying's console, and what each is for.
    pub notifiers: BTreeMap<String, Notifier>,
}

impl Default for LanyingSettings {
    fn default() -> Self {
        Self { push: true, certificates: false, notifiers: BTreeMap::new() }
    }
}

/// What a certificate is for: a channel, and for Apple's which of its two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Notifier {
    /// The road to the devices that name it.
    pub channel: Channel,
    /// Whether Apple's sandbox; `None`: as the app's setting `sns.environment` says.
    pub sandbox: Option<bool>,
}

/// Every word for a certificate's purpose. Where an app names its certificates by these words, it needs no setting.
const WORDS: [(&str, Channel, Option<bool>); 11] = [
    ("apns", Channel::Sns, None),
    ("apns_production", Channel::Sns, Some(false)),
    ("apns_sandbox", Channel::Sns, Some(true)),
    ("fcm", Channel::Fcm, None),
    ("huawei", Channel::Huawei, None),
    ("honor", Channel::Honor, None),
    ("xiaomi", Channel::Xiaomi, None),
    ("oppo", Channel::Oppo, None),
    ("vivo", Channel::Vivo, None),
    ("meizu", Channel::Meizu, None),
    // Lanying's own word for Meizu.
    ("flyme", Channel::Meizu, None),
];

impl Notifier {
    fn of_word(word: &str) -> Option<Self> {
        let known = WORDS.into_iter().find(|(own, ..)| *own == word);
        known.map(|(_, channel, sandbox)| Self { channel, sandbox })
    }
}

impl TryFrom<String> for Notifier {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        Self::of_word(&word).ok_or("a notifier is apns, apns_production, apns_sandbox, fcm or a vendor's name")
    }
}

impl LanyingSettings {
    /// What the certificate `name` is for: as the app says, else by a name that says it itself, in whatever case.
    #[must_use]
    pub fn notifier(&self, name: &str) -> Option<Notifier> {
        self.notifiers.get(name).copied().or_else(|| Notifier::of_word(&name.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn audiences_may_be_notified_and_certificates_not_be_read_unless_the_app_says_otherwise() {
        let settings = |text: &str| serde_json::from_str::<LanyingSettings>(text).unwrap();
        let of = |text: &str| (settings(text).push, settings(text).certificates);
        assert_eq!(of("{}"), (true, false));
        assert_eq!(of(r#"{"push": false, "certificates": true}"#), (false, true));
    }

    #[test]
    fn a_certificate_is_what_the_app_says_or_what_its_name_says() {
        let settings: LanyingSettings = serde_json::from_str(
            r#"{"notifiers": {"103415": "huawei", "fcm": "apns_sandbox", "prod": "apns_production"}}"#,
        )
        .unwrap();
        let of = |name: &str| settings.notifier(name).map(|notifier| (notifier.channel, notifier.sandbox));
        assert_eq!(of("103415"), Some((Channel::Huawei, None)));
        assert_eq!(of("fcm"), Some((Channel::Sns, Some(true))), "the app's own word goes first");
        assert_eq!(of("prod"), Some((Channel::Sns, Some(false))));
        assert_eq!(of("APNS"), Some((Channel::Sns, None)));
        assert_eq!(of("flyme"), Some((Channel::Meizu, None)));
        assert_eq!(of("com.example.app"), None);
        assert!(serde_json::from_str::<LanyingSettings>(r#"{"notifiers": {"x": "web"}}"#).is_err());
    }
}
