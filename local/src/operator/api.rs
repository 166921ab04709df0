//! The API as an app's own server calls it: with an API key, given or read from the app's documents.

use std::net::IpAddr;

use bytes::Bytes;
use clap::Args;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::uri::Scheme;
use http::{Method, Request, Uri};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pushbell::auth::api_key;
use pushbell::id::AppId;
use pushbell::time::Timestamp;
use serde_json::Value;

use super::app::{DocumentError, Documents, Kind, first_valid};
use super::deployment::LOCAL_URL;
use super::http::{CallError, Http};
use super::{Deployment, DeploymentError, Where};

/// The app that is there on this machine without anybody's doing.
const DEMO: &str = "demo";
/// Where the key may stand, out of the shell's history.
const VARIABLE: &str = "PUSHBELL_API_KEY";

/// In which app's name a command calls.
#[derive(Debug, Clone, Default, Args)]
pub struct As {
    /// The app; on this machine `demo` without it.
    #[arg(long, value_name = "APP", value_parser = super::app_id)]
    pub app: Option<AppId>,
    /// The app's API key; it may stand in PUSHBELL_API_KEY instead. With it and --url no AWS credentials are needed; without it the key is
    /// read from the app's documents.
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<ApiKey>,
}

/// An API key that was given. Its `Debug` does not show it.
#[derive(Clone)]
pub struct ApiKey(String);

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ApiKey").finish_non_exhaustive()
    }
}

impl As {
    /// The key that was given, on the command line or in the environment.
    fn given(&self) -> Option<ApiKey> {
        self.api_key.clone().or_else(|| std::env::var(VARIABLE).ok().filter(|key| !key.is_empty()).map(ApiKey))
    }
}

/// Why a call was not made, or has no answer of use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// No app.
    #[error("no app is named; pass --app")]
    NoApp,
    /// The key is of another app.
    #[error("the API key (--api-key, PUSHBELL_API_KEY) is not of the app {0}")]
    OtherApp(AppId),
    /// The app is not there.
    #[error("there is no app {0} here; see `app list`")]
    NoSuchApp(AppId),
    /// The app has no key.
    #[error("the app {0} has no API key that is valid now; `app rotate {0} --only api-key` makes one")]
    NoKey(AppId),
    /// The address or the key cannot be sent.
    #[error("the address or the API key cannot be sent")]
    Request,
    /// Whoever is on the way could read the key.
    #[error("{0} is without TLS, and the API key would be read on its way; pass --url with https://")]
    Plain(String),
    /// Not ours: it is another service's address.
    #[error("the answer (status {0}) is not Pushbell's")]
    Strange(u16),
    /// The API says why not.
    #[error("{rule}")]
    Refused {
        /// Its own code: a number of Lanying's, a word of IMKIT's.
        code: String,
        /// The field and the rule.
        rule: String,
    },
    /// No answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The bundle was not found.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// The key was not read.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// The API of one bundle, called in the name of one app.
pub struct Api {
    /// The app.
    pub app: AppId,
    http: Http,
    url: String,
    key: HeaderValue,
}

impl Api {
    /// The API of the bundle that is meant. Where key and address are given, nothing else is asked.
    pub async fn find(place: &Where, who: &As) -> Result<Self, ApiError> {
        let given = who.given();
        let local = place.stage.is_none();
        match (&given, &place.url) {
            (Some(key), Some(url)) => Self::with_key(Http::default(), url, &key.0, who.app.as_ref(), false),
            (Some(key), None) if local => Self::with_key(Http::default(), LOCAL_URL, &key.0, who.app.as_ref(), true),
            (Some(key), None) => {
                let deployment = Deployment::find(place).await?;
                Self::with_key(deployment.http, &deployment.url, &key.0, who.app.as_ref(), false)
            }
            (None, _) => {
                let app = match &who.app {
                    Some(app) => app.clone(),
                    None if local => AppId::parse(DEMO).map_err(|_| ApiError::NoApp)?,
                    None => return Err(ApiError::NoApp),
                };
                Self::of(&Deployment::find(place).await?, &app).await
            }
        }
    }

    /// The API of this bundle, with the key that is in the app's documents.
    pub async fn of(deployment: &Deployment, app: &AppId) -> Result<Self, ApiError> {
        let callers = Documents::new(deployment)?.secret(app, "callers").await?;
        let callers = callers.ok_or_else(|| ApiError::NoSuchApp(app.clone()))?;
        let key = first_valid(Kind::ApiKey, &callers, Timestamp::now());
        let key = key.ok_or_else(|| ApiError::NoKey(app.clone()))?;
        Self::with_key(deployment.http.clone(), &deployment.url, &key, Some(app), deployment.is_local())
    }

    /// `is_local`: the address is known to be of a stack of somebody's own machine.
    fn with_key(http: Http, url: &str, key: &str, wanted: Option<&AppId>, is_local: bool) -> Result<Self, ApiError> {
        let app = api_key::app(key).ok_or(ApiError::Request)?;
        if let Some(wanted) = wanted.filter(|wanted| **wanted != app) {
            return Err(ApiError::OtherApp(wanted.clone()));
        }
        let mut key = HeaderValue::from_str(key).map_err(|_| ApiError::Request)?;
        key.set_sensitive(true);
        let at: Uri = url.parse().map_err(|_| ApiError::Request)?;
        if !is_local && at.scheme() != Some(&Scheme::HTTPS) && !at.host().is_some_and(is_this_machine) {
            return Err(ApiError::Plain(url.to_owned()));
        }
        Ok(Self { app, http, url: url.trim_end_matches('/').to_owned(), key })
    }

    /// What a call of ours in Lanying's envelope answers: `data`.
    pub(super) async fn data(&self, path: &str) -> Result<Value, ApiError> {
        let (status, answer) = self.call(Method::GET, path, None).await?;
        match (&answer["code"], &answer["message"], &answer["data"]) {
            (Value::Number(code), _, data @ Value::Object(_)) if code.as_u64() == Some(200) => Ok(data.clone()),
            (Value::Number(code), Value::String(rule), _) => {
                Err(ApiError::Refused { code: code.to_string(), rule: rule.clone() })
            }
            _ => Err(ApiError::Strange(status)),
        }
    }

    /// What a call of IMKIT's answers: `result`.
    pub(super) async fn result(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ApiError> {
        let (status, answer) = self.call(method, path, body).await?;
        let error = &answer["error"];
        match (&answer["RC"], &error["code"], &error["message"]) {
            (Value::Number(code), _, _) if code.as_u64() == Some(0) => Ok(answer["result"].clone()),
            (_, Value::String(code), Value::String(rule)) => {
                Err(ApiError::Refused { code: code.clone(), rule: rule.clone() })
            }
            _ => Err(ApiError::Strange(status)),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value), ApiError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("im-api-key", self.key.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)));
        let answer = self.http.send(request.map_err(|_| ApiError::Request)?).await?;
        let status = answer.status.as_u16();
        let json = serde_json::from_slice(&answer.body).map_err(|_| ApiError::Strange(status))?;
        Ok((status, json))
    }
}

fn is_this_machine(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A text as a part of an address.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn find(key: &str, app: Option<&str>) -> Result<Api, String> {
        let app = app.map(|app| AppId::parse(app).unwrap());
        Api::with_key(Http::default(), "http://127.0.0.1:1/", key, app.as_ref(), false)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_says_its_app_and_is_not_taken_for_another() {
        assert_eq!(find("com.example.k3y", None).unwrap().app.as_str(), "com.example");
        assert_eq!(find("demo.k3y", Some("demo")).unwrap().url, "http://127.0.0.1:1");
        assert_eq!(
            find("demo.k3y", Some("acme")).err().unwrap(),
            "the API key (--api-key, PUSHBELL_API_KEY) is not of the app acme"
        );
        assert_eq!(find("demo", None).err().unwrap(), "the address or the API key cannot be sent");
    }

    #[test]
    fn a_key_goes_over_tls_or_stays_on_this_machine() {
        let to = |url: &str| Api::with_key(Http::default(), url, "demo.k3y", None, false).map(|api| api.url);
        for url in ["https://push.example.com", "http://localhost:9000", "http://[::1]:9000", "http://127.0.0.1:9000"] {
            assert_eq!(to(url).unwrap(), url);
        }
        let told = to("http://push.example.com").unwrap_err().to_string();
        assert_eq!(
            told,
            "http://push.example.com is without TLS, and the API key would be read on its way; pass --url with https://"
        );
        assert!(matches!(to("http://127.0.0.1.example.com"), Err(ApiError::Plain(_))));
        assert!(matches!(to("push.example.com"), Err(ApiError::Plain(_))));
    }

    #[test]
    fn a_given_key_is_not_in_what_is_written_for_developers() {
        let who = As { app: None, api_key: Some("demo.k3y".to_owned().into()) };
        assert!(!format!("{who:?}").contains("k3y"), "{who:?}");
    }

    #[tokio::test]
    async fn on_aws_an_app_has_to_be_named() {
        let place = Where { stage: Some("prod".to_owned()), ..Where::default() };
        let who = As::default();
        assert!(matches!(Api::find(&place, &who).await, Err(ApiError::NoApp)));
    }
}
