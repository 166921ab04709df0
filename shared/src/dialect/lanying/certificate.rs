//! `/push/certificate` (its push page, section 7.1).

use serde_json::{Value, json};

use super::body::{bad, parameter};
use super::envelope::{Code, Failure};
use crate::app::{CertificateEnvironment, FcmVendor, Provider, Secret, Vendors};

/// Which certificate a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Whose.
    pub provider: Provider,
    /// Which of theirs: production where the query says nothing.
    pub environment: CertificateEnvironment,
}

impl Wanted {
    /// # Errors
    /// When the provider is missing, or one of the two cannot be.
    pub fn parse(query: &str) -> Result<Self, Failure> {
        let given = |name| parameter(query, [name, name]).map(|value| value.filter(|value| !value.is_empty()));
        let provider = match given("provider")?.as_deref() {
            None => return Err(bad("provider is missing in the query")),
            Some("1") => Provider::Apns,
            Some("2") => Provider::Huawei,
            Some("3") => Provider::Xiaomi,
            Some("4") => Provider::Meizu,
            Some("5") => Provider::Vivo,
            Some("6") => Provider::Oppo,
            Some("7") => Provider::Fcm,
            Some(_) => return Err(bad("provider is not a number from 1 to 7")),
        };
        let environment = match given("environment")?.as_deref() {
            Some("0") => CertificateEnvironment::Development,
            None | Some("1") => CertificateEnvironment::Production,
            Some(_) => return Err(bad("environment is neither 0 nor 1")),
        };
        Ok(Self { provider, environment })
    }

    /// The answer's data. Without a certificate of FCM's own, what the app sends with stands in for it: the service account.
    ///
    /// # Errors
    /// When the app has no such certificate.
    pub fn read(self, vendors: Option<&Vendors>) -> Result<Value, Failure> {
        let shown = |secret: &Option<Secret>| secret.as_ref().map(Secret::expose).map(str::to_owned);
        let own = vendors.and_then(|vendors| vendors.certificate(self.provider, self.environment));
        if let Some(own) = own {
            return Ok(json!({
                "app_id": shown(&own.app_id),
                "app_key": shown(&own.app_key),
                "app_secret": shown(&own.app_secret),
                "certificate": shown(&own.certificate),
                "name": shown(&own.name),
            }));
        }
        match vendors.and_then(|vendors| vendors.fcm.as_ref()) {
            Some(fcm) if self.provider == Provider::Fcm => Ok(of_service_account(fcm)),
            Some(_) | None => {
                Err(bad("the app's vendors document has no certificate of this provider and environment"))
            }
        }
    }
}

/// What is kept of the key file: enough to sign with.
fn of_service_account(fcm: &FcmVendor) -> Value {
    let account = &fcm.service_account;
    let file = json!({
        "type": "service_account",
        "project_id": account.project_id,
        "private_key_id": account.private_key_id,
        "private_key": account.private_key.expose(),
        "client_email": account.client_email,
        "token_uri": account.token_uri,
    });
    json!({
        "app_id": account.project_id,
        "app_key": null,
        "app_secret": null,
        "certificate": file.to_string(),
        "name": null,
    })
}

/// The refusal of an app that does not hand out its certificates.
#[must_use]
pub fn not_allowed() -> Failure {
    Failure::new(Code::NoPermission, "the app's setting lanying.certificates does not let certificates be read")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told<T>(result: Result<T, Failure>) -> String {
        result.map(drop).unwrap_err().to_string()
    }

    #[test]
    fn a_certificate_is_asked_for_by_lanying_s_numbers() {
        let of = |query: &str| Wanted::parse(query).map(|wanted| (wanted.provider, wanted.environment)).unwrap();
        let production = CertificateEnvironment::Production;
        for (number, provider) in [
            (1, Provider::Apns),
            (2, Provider::Huawei),
            (3, Provider::Xiaomi),
            (4, Provider::Meizu),
            (5, Provider::Vivo),
            (6, Provider::Oppo),
            (7, Provider::Fcm),
        ] {
            assert_eq!(of(&format!("provider={number}")), (provider, production));
        }
        assert_eq!(of("environment=1&provider=1"), (Provider::Apns, production));
        assert_eq!(of("environment=0&provider=1"), (Provider::Apns, CertificateEnvironment::Development));
        assert_eq!(told(Wanted::parse("environment=0")), "provider is missing in the query");
        for wrong in ["provider=0", "provider=8", "provider=apns", "provider=01"] {
            assert_eq!(told(Wanted::parse(wrong)), "provider is not a number from 1 to 7", "{wrong}");
        }
        assert_eq!(told(Wanted::parse("provider=1&environment=2")), "environment is neither 0 nor 1");
    }

    #[test]
    fn what_is_stored_is_given_and_nothing_else() {
        let vendors: Vendors = serde_json::from_str(
            r#"{
                "fcm": {"service_account": {"project_id": "p", "private_key": "PEM", "client_email": "a@p", "more": 1}},
                "certificates": [{"provider": "huawei", "app_id": "103415", "app_secret": "s"}]
            }"#,
        )
        .unwrap();
        let read = |query: &str, vendors| Wanted::parse(query).unwrap().read(vendors);
        let huawei = json!({"app_id": "103415", "app_key": null, "app_secret": "s", "certificate": null, "name": null});
        assert_eq!(read("provider=2", Some(&vendors)).unwrap(), huawei);
        let fcm = read("provider=7&environment=0", Some(&vendors)).unwrap();
        assert_eq!(fcm["app_id"], "p");
        let file: Value = serde_json::from_str(fcm["certificate"].as_str().unwrap()).unwrap();
        assert_eq!((&file["private_key"], &file["client_email"]), (&json!("PEM"), &json!("a@p")));
        let rule = "the app's vendors document has no certificate of this provider and environment";
        assert_eq!(told(read("provider=1", Some(&vendors))), rule);
        assert_eq!(told(read("provider=7", None)), rule);
    }
}
