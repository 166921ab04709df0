//! The life of an SNS platform endpoint.

use std::collections::HashMap;

use aws_sdk_sns::Client;
use aws_sdk_sns::operation::create_platform_endpoint::CreatePlatformEndpointError;
use aws_sdk_sns::operation::get_endpoint_attributes::GetEndpointAttributesError;
use aws_sdk_sns::operation::set_endpoint_attributes::SetEndpointAttributesError;

use super::answer;
use crate::app::{ApnsEnvironment, SnsSettings};
use crate::delivery::{Class, Verdict};
use crate::env::Environment;
use crate::id::Token;

/// Endpoints that vanish again between two calls, before it is given up.
const TRIES: u32 = 3;

/// Why an endpoint could not be made or deleted.
#[derive(Debug, thiserror::Error)]
pub enum SnsError {
    /// SNS refused, or did not answer.
    #[error("SNS answered {}", verdict.code)]
    Call {
        /// What it means.
        verdict: Verdict,
        /// Its answer.
        #[source]
        source: Box<aws_sdk_sns::Error>,
    },
    /// The application's ARN, or what SNS gave as an endpoint's, is none.
    #[error("not an ARN")]
    Arn,
    /// The endpoint was deleted by others while it was being made, again and again.
    #[error("the endpoint is being deleted by others")]
    Contended,
}

impl SnsError {
    /// What it means for a send.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Call { verdict, .. } => verdict.clone(),
            Self::Arn => Verdict::new(Class::Misconfigured, "application"),
            Self::Contended => Verdict::new(Class::Retry { after: None }, "endpoint_contended"),
        }
    }
}

/// What SNS tells of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its token; APNs tokens in lower case.
    pub token: Token,
    /// Whether it is sent to.
    pub enabled: bool,
}

/// An endpoint that was there before its device was registered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Existing<'a> {
    /// Whether its application is the one for development builds.
    pub sandbox: bool,
    /// The application's ARN.
    pub application: &'a str,
    /// The last segment of its own.
    pub endpoint: &'a str,
}

/// Platform endpoints.
pub struct Endpoints {
    client: Client,
}

impl Endpoints {
    /// The environment's.
    #[must_use]
    pub fn new(env: &Environment) -> Self {
        Self::over(crate::aws::sns(env))
    }

    pub(super) const fn over(client: Client) -> Self {
        Self { client }
    }

    /// The ARN of an endpoint of `application_arn`; `None` when that is no application's ARN.
    #[must_use]
    pub fn arn(application_arn: &str, endpoint: &str) -> Option<String> {
        let (head, application) = application_arn.rsplit_once(":app/")?;
        application.split_once('/')?;
        Some(format!("{head}:endpoint/{application}/{endpoint}"))
    }

    /// The endpoint that an ARN names, if it is one of `application_arn`: what [`Self::arn`] makes an ARN of.
    #[must_use]
    pub fn of_application<'a>(application_arn: &str, arn: &'a str) -> Option<&'a str> {
        let prefix = Self::arn(application_arn, "")?;
        arn.strip_prefix(prefix.as_str()).filter(|endpoint| !endpoint.is_empty() && !endpoint.contains('/'))
    }

    /// The endpoint that an ARN names, if it is one of the app's platform applications. The one that the app's devices belong to that do not
    /// say so is looked at first.
    #[must_use]
    pub fn of_app<'a>(sns: &'a SnsSettings, arn: &'a str) -> Option<Existing<'a>> {
        let own = sns.environment == ApnsEnvironment::Sandbox;
        [own, !own].into_iter().find_map(|sandbox| {
            let application = sns.application(sandbox)?;
            let endpoint = Self::of_application(application, arn)?;
            Some(Existing { sandbox, application, endpoint })
        })
    }

    /// The endpoint of a token that its app has just registered: the last segment of its ARN.
    ///
    /// A token's endpoint may be there already, disabled or with another letter case: it is put in order, as SNS only gives it back
    /// as it is. The same call twice gives the same endpoint.
    ///
    /// # Errors
    /// When SNS refuses or does not answer.
    pub async fn create(&self, application_arn: &str, token: &Token) -> Result<String, SnsError> {
        for _ in 0..TRIES {
            let arn = self.existing_or_new(application_arn, token).await?;
            if self.put_in_order(&arn, token).await? {
                return last_segment(&arn).ok_or(SnsError::Arn);
            }
        }
        Err(SnsError::Contended)
    }

    async fn existing_or_new(&self, application_arn: &str, token: &Token) -> Result<String, SnsError> {
        // No `CustomUserData`: with other data than it was made with, an endpoint is refused instead of given back.
        let call =
            self.client.create_platform_endpoint().platform_application_arn(application_arn).token(token.expose());
        let error = match call.send().await {
            Ok(answer) => return answer.endpoint_arn.ok_or(SnsError::Arn),
            Err(error) => error,
        };
        // The one place that SNS tells the ARN of an endpoint with "different attributes" is the error's text.
        if let Some(CreatePlatformEndpointError::InvalidParameterException(refusal)) = error.as_service_error()
            && let Some(arn) = refusal.message().and_then(arn_in)
        {
            return Ok(arn);
        }
        let verdict = match error.as_service_error() {
            Some(CreatePlatformEndpointError::NotFoundException(_)) => {
                Verdict::new(Class::Misconfigured, "application_not_found")
            }
            Some(_) | None => answer::of(&error).1,
        };
        Err(SnsError::Call { verdict, source: Box::new(error.into()) })
    }

    /// Enables an endpoint with the token; `false` when it is gone.
    async fn put_in_order(&self, arn: &str, token: &Token) -> Result<bool, SnsError> {
        match self.client.get_endpoint_attributes().endpoint_arn(arn).send().await {
            Ok(answer) if is_in_order(answer.attributes(), token) => return Ok(true),
            Ok(_) => {}
            Err(error) if error.as_service_error().is_some_and(GetEndpointAttributesError::is_not_found_exception) => {
                return Ok(false);
            }
            Err(error) => {
                return Err(SnsError::Call { verdict: answer::of(&error).1, source: Box::new(error.into()) });
            }
        }
        let call = self.client.set_endpoint_attributes().endpoint_arn(arn);
        match call.attributes("Token", token.expose()).attributes("Enabled", "true").send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(SetEndpointAttributesError::is_not_found_exception) => {
                Ok(false)
            }
            Err(error) => Err(SnsError::Call { verdict: answer::of(&error).1, source: Box::new(error.into()) }),
        }
    }

    /// What an endpoint is now, by its whole ARN; `None` when it is gone, or has no token that could be one.
    ///
    /// # Errors
    /// When SNS refuses or does not answer.
    pub async fn get(&self, arn: &str) -> Result<Option<Told>, SnsError> {
        let answer = match self.client.get_endpoint_attributes().endpoint_arn(arn).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(GetEndpointAttributesError::is_not_found_exception) => {
                return Ok(None);
            }
            Err(error) => {
                return Err(SnsError::Call { verdict: answer::of(&error).1, source: Box::new(error.into()) });
            }
        };
        let get = |name: &str| answer.attributes().and_then(|map| map.get(name)).map(String::as_str);
        let enabled = get("Enabled").is_some_and(|enabled| enabled.eq_ignore_ascii_case("true"));
        Ok(get("Token").and_then(|token| Token::parse(token).ok()).map(|token| Told { token, enabled }))
    }

    /// Deletes an endpoint. One that is gone already is no error.
    ///
    /// # Errors
    /// When SNS refuses or does not answer.
    pub async fn delete(&self, application_arn: &str, endpoint: &str) -> Result<(), SnsError> {
        self.delete_arn(&Self::arn(application_arn, endpoint).ok_or(SnsError::Arn)?).await
    }

    /// The same, by its whole ARN.
    ///
    /// # Errors
    /// As [`Self::delete`].
    pub async fn delete_arn(&self, arn: &str) -> Result<(), SnsError> {
        match self.client.delete_endpoint().endpoint_arn(arn).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(SnsError::Call { verdict: answer::of(&error).1, source: Box::new(error.into()) }),
        }
    }
}

/// APNs tokens come back in lower case.
fn is_in_order(attributes: Option<&HashMap<String, String>>, token: &Token) -> bool {
    let get = |name: &str| attributes.and_then(|map| map.get(name)).map(String::as_str);
    get("Token").is_some_and(|given| given.eq_ignore_ascii_case(token.expose()))
        && get("Enabled").is_some_and(|enabled| enabled.eq_ignore_ascii_case("true"))
}

fn last_segment(arn: &str) -> Option<String> {
    let (_, endpoint) = arn.rsplit_once(":endpoint/")?;
    endpoint.rsplit('/').next().filter(|segment| !segment.is_empty()).map(str::to_owned)
}

/// The ARN in `… Reason: Endpoint arn:aws:sns:… already exists with the same Token, but different attributes.`
fn arn_in(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("Endpoint arn:")?;
    let (arn, _) = rest.split_once(" already exists")?;
    let arn = format!("arn:{arn}");
    (!arn.contains(' ') && last_segment(&arn).is_some()).then_some(arn)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const APPLICATION: &str = "arn:aws:sns:eu-west-1:000000000000:app/APNS_SANDBOX/demo";
    const ENDPOINT: &str =
        "arn:aws:sns:eu-west-1:000000000000:endpoint/APNS_SANDBOX/demo/5e3e9847-3183-3f18-a7e8-671c3a57d4b3";

    #[test]
    fn an_endpoint_s_arn_is_made_of_its_application_s_and_its_last_segment() {
        let id = last_segment(ENDPOINT).unwrap();
        assert_eq!(id, "5e3e9847-3183-3f18-a7e8-671c3a57d4b3");
        assert_eq!(Endpoints::arn(APPLICATION, &id).unwrap(), ENDPOINT);
        assert_eq!(Endpoints::arn("arn:aws:sns:eu-west-1:000000000000:topic", &id), None);
        assert_eq!(Endpoints::of_application(APPLICATION, ENDPOINT), Some(id.as_str()));
        for other in [
            "arn:aws:sns:eu-west-1:000000000001:app/APNS_SANDBOX/demo",
            "arn:aws:sns:eu-west-1:000000000000:app/APNS/demo",
        ] {
            assert_eq!(Endpoints::of_application(other, ENDPOINT), None);
        }
        assert_eq!(
            Endpoints::of_application(APPLICATION, "arn:aws:sns:eu-west-1:000000000000:endpoint/APNS_SANDBOX/demo/"),
            None
        );
    }

    #[test]
    fn an_arn_is_of_the_app_s_application_or_the_sandbox_s_or_of_somebody_else_s() {
        let production = APPLICATION.replace("APNS_SANDBOX", "APNS");
        let sns = SnsSettings {
            apns: Some(production.clone()),
            apns_sandbox: Some(APPLICATION.to_owned()),
            environment: ApnsEnvironment::Production,
        };
        let of = |arn: &str| Endpoints::of_app(&sns, arn).map(|known| (known.sandbox, known.application.to_owned()));
        assert_eq!(of(ENDPOINT), Some((true, APPLICATION.to_owned())));
        assert_eq!(of(&ENDPOINT.replace("APNS_SANDBOX", "APNS")), Some((false, production)));
        assert_eq!(of(&ENDPOINT.replace("000000000000", "123456789012")), None);
    }

    #[test]
    fn the_existing_endpoint_is_found_in_the_refusal() {
        let text = format!(
            "Invalid parameter: Token Reason: Endpoint {ENDPOINT} already exists with the same Token, but different attributes."
        );
        assert_eq!(arn_in(&text).unwrap(), ENDPOINT);
        let china = text.replace("arn:aws:", "arn:aws-cn:");
        assert_eq!(arn_in(&china).unwrap(), ENDPOINT.replace("arn:aws:", "arn:aws-cn:"));
        assert_eq!(arn_in("Invalid parameter: Token Reason: iOS device tokens must be hexadecimal"), None);
        assert_eq!(arn_in("Endpoint arn:nonsense already exists"), None);
    }

    #[test]
    fn an_endpoint_is_in_order_when_enabled_with_the_token_in_any_case() {
        let token = Token::parse("AB12").unwrap();
        let attributes = |token: &str, enabled: &str| {
            HashMap::from([("Token".to_owned(), token.to_owned()), ("Enabled".to_owned(), enabled.to_owned())])
        };
        assert!(is_in_order(Some(&attributes("ab12", "true")), &token));
        assert!(!is_in_order(Some(&attributes("ab12", "false")), &token));
        assert!(!is_in_order(Some(&attributes("cd34", "true")), &token));
        assert!(!is_in_order(None, &token));
    }
}
