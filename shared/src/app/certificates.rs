//! Certificates that an app keeps for its own tools to read. Nothing here sends with them.

use serde::Deserialize;

use super::{Secret, Vendors};

/// A certificate, or what a vendor has in its place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Whose.
    pub provider: Provider,
    /// Which service of theirs; `None`: both.
    pub environment: Option<CertificateEnvironment>,
    /// The app's id at the vendor.
    pub app_id: Option<Secret>,
    /// Its key there.
    pub app_key: Option<Secret>,
    /// Its secret there.
    pub app_secret: Option<Secret>,
    /// The certificate itself, as a text.
    pub certificate: Option<Secret>,
    /// What the app calls it.
    pub name: Option<Secret>,
}

/// Whose a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Apple.
    Apns,
    /// Huawei.
    Huawei,
    /// Xiaomi.
    Xiaomi,
    /// Meizu.
    Meizu,
    /// vivo.
    Vivo,
    /// OPPO.
    Oppo,
    /// Firebase.
    Fcm,
}

impl Provider {
    /// The word in documents and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Huawei => "huawei",
            Self::Xiaomi => "xiaomi",
            Self::Meizu => "meizu",
            Self::Vivo => "vivo",
            Self::Oppo => "oppo",
            Self::Fcm => "fcm",
        }
    }
}

/// What an app that uses a certificate is: a development build, or one from a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateEnvironment {
    /// A development build.
    Development,
    /// From a store.
    Production,
}

impl CertificateEnvironment {
    /// The word in documents and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}

impl Vendors {
    /// The certificate of a provider: the one for `environment` before one for both.
    #[must_use]
    pub fn certificate(&self, provider: Provider, environment: CertificateEnvironment) -> Option<&Certificate> {
        let of = |wanted| {
            let mut all = self.certificates.iter();
            all.find(|certificate| certificate.provider == provider && certificate.environment == wanted)
        };
        of(Some(environment)).or_else(|| of(None))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::documents::parse;
    use super::*;

    #[test]
    fn the_certificate_of_an_environment_goes_before_one_for_both() {
        let vendors: Vendors = parse(
            "vendors",
            r#"{"certificates": [
                {"provider": "apns", "name": "both"},
                {"provider": "apns", "environment": "production", "name": "store"},
                {"provider": "vivo", "environment": "development", "name": "test"}
            ]}"#,
        )
        .unwrap();
        let named = |provider, environment| {
            let certificate: Option<&Certificate> = vendors.certificate(provider, environment);
            certificate.map(|certificate| certificate.name.as_ref().unwrap().expose().to_owned())
        };
        assert_eq!(named(Provider::Apns, CertificateEnvironment::Production).as_deref(), Some("store"));
        assert_eq!(named(Provider::Apns, CertificateEnvironment::Development).as_deref(), Some("both"));
        assert_eq!(named(Provider::Vivo, CertificateEnvironment::Development).as_deref(), Some("test"));
        assert_eq!(named(Provider::Vivo, CertificateEnvironment::Production), None);
        assert_eq!(named(Provider::Fcm, CertificateEnvironment::Production), None);
    }

    #[test]
    fn a_certificate_does_not_show_in_debug_and_a_misspelt_one_is_none() {
        let text = r#"{"certificates": [{"provider": "oppo", "app_id": "s3cret", "app_key": "s3cret", "app_secret": "s3cret",
            "certificate": "s3cret", "name": "s3cret"}]}"#;
        let vendors: Vendors = parse("vendors", text).unwrap();
        assert!(!format!("{vendors:?}").contains("s3cret"));
        for wrong in [r#"{"provider": "web"}"#, r#"{"provider": "apns", "key": "x"}"#, r#"{"name": "x"}"#] {
            assert!(parse::<Vendors>("vendors", &format!(r#"{{"certificates": [{wrong}]}}"#)).is_err(), "{wrong}");
        }
    }
}
