//! Where an app wants its outcomes, and what they are signed with.

use serde::Deserialize;

use crate::webhook::{Address, SigningKey};

/// Where outcomes are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ResultsForm")]
pub struct ResultsSettings {
    /// The address; without one nothing is sent.
    pub address: Option<Address>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct ResultsForm {
    url: Option<String>,
    allow_private: bool,
}

impl TryFrom<ResultsForm> for ResultsSettings {
    type Error = &'static str;

    fn try_from(form: ResultsForm) -> Result<Self, Self::Error> {
        let address = form.url.map(|url| Address::parse(&url, form.allow_private)).transpose()?;
        Ok(Self { address })
    }
}

/// Document `results`: what outcomes are signed with. A document of its own, as the function that posts to addresses of the apps' choice
/// may read no other secret.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResultsKeys {
    /// All valid ones sign, the first one first.
    pub keys: Vec<SigningKey>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Settings, check};

    fn told(document: &str, text: &str) -> String {
        check(document, text).unwrap_err().to_string()
    }

    #[test]
    fn an_address_that_may_not_be_posted_to_is_no_setting_and_is_told_with_its_rule() {
        check("settings", r#"{"results": {"url": "https://api.example.com/outcomes"}}"#).unwrap();
        check("settings", r#"{"results": {"url": "http://127.0.0.1:8080/", "allow_private": true}}"#).unwrap();
        let plain = told("settings", r#"{"results": {"url": "http://api.example.com/?k=s3cret"}}"#);
        assert!(plain.ends_with(": url is an https address, unless allow_private"), "{plain}");
        let user = told("settings", r#"{"results": {"url": "https://me:s3cret@api.example.com/"}}"#);
        assert!(user.ends_with(": url holds no user name and no password"), "{user}");
        assert!(
            told("settings", r#"{"results": {"uri": "https://api.example.com/"}}"#).contains("unknown field `uri`")
        );
        assert_eq!(Settings::default().results.address, None);
    }

    #[test]
    fn a_key_that_is_none_is_named_by_its_place_and_not_shown() {
        check("results", r#"{"keys": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#).unwrap();
        for wrong in [r#"{"keys": ["s3cret"]}"#, r#"{"keys": [{"value": "whsec_s3cret", "until": 1}]}"#] {
            let told = told("results", wrong);
            assert!(told.starts_with("the app's results document is malformed at line 1, column"), "{told}");
            assert!(!told.contains("s3cret"));
        }
        assert!(check("results", r#"{"secrets": []}"#).is_err());
    }
}
