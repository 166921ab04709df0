//! The documents where they lie, and the caches before them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::{Callers, ResultsKeys, Settings, Vendors};
use crate::env::{EnvError, Environment, Table};
use crate::id::AppId;

/// How long a document is served before it is asked for again.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// How long an app that was not found stays unknown: a new app is usable soon, a scan costs one look-up a minute.
const UNKNOWN: Duration = Duration::from_secs(60);
/// How long a stale document serves after a failed refresh before the refresh is tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How long a caller who is in a hurry waits for a document that they have from before.
const ANEW: Duration = Duration::from_millis(100);
/// More apps than this in one cache is a scan: the cache starts over.
const MOST_CACHED: usize = 10_000;

/// Why a document could not be had. Not: that the app is unknown.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Secrets Manager did not answer.
    #[error("the app's secret could not be read")]
    Secret(#[source] Box<aws_sdk_secretsmanager::Error>),
    /// DynamoDB did not answer.
    #[error("the app's settings could not be read")]
    Settings(#[source] Box<aws_sdk_dynamodb::Error>),
    /// Not within the time that the caller had.
    #[error("the app's {document} document did not come in time")]
    Late {
        /// `callers`, `vendors`, `results` or `settings`.
        document: &'static str,
    },
    /// The document is not of its shape. The place is named and never a value.
    #[error("the app's {document} document is malformed at line {line}, column {column}{}", reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Malformed {
        /// `callers`, `vendors`, `results` or `settings`.
        document: &'static str,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// Why, of `settings` only: names of fields and rules.
        reason: Option<String>,
    },
}

struct Cached<T> {
    until: Instant,
    document: Option<Arc<T>>,
}

struct Cache<T>(Arc<Mutex<HashMap<AppId, Cached<T>>>>);

impl<T> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Cache<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    /// The document if it is fresh (outer), and whether the app has one (inner).
    fn fresh(&self, app: &AppId) -> Option<Option<Arc<T>>> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(app).filter(|cached| Instant::now() < cached.until).map(|cached| cached.document.clone())
    }

    fn store(&self, app: &AppId, document: Option<Arc<T>>) {
        let until = Instant::now() + if document.is_some() { FRESH } else { UNKNOWN };
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= MOST_CACHED {
            map.clear();
        }
        map.insert(app.clone(), Cached { until, document });
    }

    fn is_known(&self, app: &AppId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(app)
    }

    /// What was known (outer), the lack of a document too (inner), after a failed refresh: kept for a while more.
    fn keep_stale(&self, app: &AppId) -> Option<Option<Arc<T>>> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = map.get_mut(app)?;
        cached.until = Instant::now() + AFTER_FAILURE;
        Some(cached.document.clone())
    }

    /// What `refresh` gives, if it does so within `limit`, or much sooner where the document is known; else the document as it was. The
    /// refresh goes on all the same: one that never has the time to end would leave the document as it was for good.
    async fn within<D>(
        &self,
        app: &AppId,
        document: &'static str,
        limit: Duration,
        refresh: impl Future<Output = Result<D, AppError>> + Send + 'static,
        as_it_was: impl FnOnce(Option<Arc<T>>) -> D,
    ) -> Result<D, AppError>
    where
        D: Send + 'static,
    {
        let limit = if self.is_known(app) { limit.min(ANEW) } else { limit };
        if let Ok(Ok(ended)) = timeout(limit, tokio::spawn(refresh.in_current_span())).await {
            return ended;
        }
        let stale = self.keep_stale(app).ok_or(AppError::Late { document })?;
        tracing::warn!(app = %app, document, "serving the document as it was, which is late");
        Ok(as_it_was(stale))
    }
}

/// One of the documents in Secrets Manager, of every app. A clone has the same cache.
pub struct SecretDocuments<T> {
    client: aws_sdk_secretsmanager::Client,
    prefix: String,
    document: &'static str,
    cache: Cache<T>,
}

impl<T> Clone for SecretDocuments<T> {
    fn clone(&self) -> Self {
        let (client, prefix, cache) = (self.client.clone(), self.prefix.clone(), self.cache.clone());
        Self { client, prefix, document: self.document, cache }
    }
}

impl SecretDocuments<Callers> {
    /// The `callers` documents.
    #[must_use]
    pub fn callers(env: &Environment) -> Self {
        Self::new(env, "callers")
    }
}

impl SecretDocuments<Vendors> {
    /// The `vendors` documents.
    #[must_use]
    pub fn vendors(env: &Environment) -> Self {
        Self::new(env, "vendors")
    }
}

impl SecretDocuments<ResultsKeys> {
    /// The `results` documents.
    #[must_use]
    pub fn results(env: &Environment) -> Self {
        Self::new(env, "results")
    }
}

impl<T: DeserializeOwned> SecretDocuments<T> {
    fn new(env: &Environment, document: &'static str) -> Self {
        let prefix = format!("pushbell/{}/apps", env.stage());
        Self { client: crate::aws::secrets(env), prefix, document, cache: Cache::new() }
    }

    /// The document of `app`; `None` when there is no such app.
    ///
    /// # Errors
    /// When it can not be read and was not read before, or is malformed.
    pub async fn get(&self, app: &AppId) -> Result<Option<Arc<T>>, AppError> {
        if let Some(known) = self.cache.fresh(app) {
            return Ok(known);
        }
        match self.read(app).await {
            Ok(document) => {
                let document = document.map(Arc::new);
                self.cache.store(app, document.clone());
                Ok(document)
            }
            Err(error) => match self.cache.keep_stale(app) {
                Some(stale) => {
                    tracing::warn!(app = %app, document = self.document, error = %error, "serving the document as it was");
                    Ok(stale)
                }
                None => Err(error),
            },
        }
    }

    /// As [`Self::get`], for a caller who is waited for: a document that is there from before is served as it was when it does not come
    /// anew at once, and then for a while more, so that not every call waits. Another is waited for until `limit` is over.
    ///
    /// # Errors
    /// As [`Self::get`], and when it does not come within `limit` and was not read before.
    pub async fn get_within(&self, app: &AppId, limit: Duration) -> Result<Option<Arc<T>>, AppError>
    where
        T: Send + Sync + 'static,
    {
        if let Some(known) = self.cache.fresh(app) {
            return Ok(known);
        }
        let (own, of) = (self.clone(), app.clone());
        self.cache.within(app, self.document, limit, async move { own.get(&of).await }, |stale| stale).await
    }

    /// Whether the document is there from before, and would be asked for anew.
    #[must_use]
    pub fn is_stale(&self, app: &AppId) -> bool {
        self.cache.is_known(app) && self.cache.fresh(app).is_none()
    }

    async fn read(&self, app: &AppId) -> Result<Option<T>, AppError> {
        let name = format!("{}/{app}/{}", self.prefix, self.document);
        let answer = self.client.get_secret_value().secret_id(name).send().await;
        match answer {
            Ok(secret) => parse(self.document, secret.secret_string().unwrap_or_default()).map(Some),
            Err(error) if error.as_service_error().is_some_and(is_gone) => Ok(None),
            Err(error) => Err(AppError::Secret(Box::new(error.into()))),
        }
    }
}

/// The `settings` documents of every app. A clone has the same cache.
#[derive(Clone)]
pub struct SettingsDocuments {
    client: aws_sdk_dynamodb::Client,
    table: String,
    cache: Cache<Settings>,
}

impl SettingsDocuments {
    /// The settings in the registry table.
    ///
    /// # Errors
    /// When the function was given no registry table.
    pub fn new(env: &Environment) -> Result<Self, EnvError> {
        let table = env.table(Table::Registry)?;
        Ok(Self { client: crate::aws::dynamodb(env), table, cache: Cache::new() })
    }

    /// The settings of `app`; an app without a document has the defaults.
    ///
    /// # Errors
    /// When they can not be read and were not read before, or are malformed.
    pub async fn get(&self, app: &AppId) -> Result<Arc<Settings>, AppError> {
        if let Some(known) = self.cache.fresh(app) {
            return Ok(known.unwrap_or_default());
        }
        match self.read(app).await {
            Ok(document) => {
                let document = document.map(Arc::new);
                self.cache.store(app, document.clone());
                Ok(document.unwrap_or_default())
            }
            Err(error) => match self.cache.keep_stale(app) {
                Some(stale) => {
                    tracing::warn!(app = %app, document = "settings", error = %error, "serving the document as it was");
                    Ok(stale.unwrap_or_default())
                }
                None => Err(error),
            },
        }
    }

    /// As [`Self::get`], for a caller who is waited for: settings that are there from before are served as they were when they do not come
    /// anew at once, and then for a while more, so that not every call waits. Others are waited for until `limit` is over.
    ///
    /// # Errors
    /// As [`Self::get`], and when they do not come within `limit` and were not read before.
    pub async fn get_within(&self, app: &AppId, limit: Duration) -> Result<Arc<Settings>, AppError> {
        if let Some(known) = self.cache.fresh(app) {
            return Ok(known.unwrap_or_default());
        }
        let (own, of) = (self.clone(), app.clone());
        self.cache.within(app, "settings", limit, async move { own.get(&of).await }, Option::unwrap_or_default).await
    }

    async fn read(&self, app: &AppId) -> Result<Option<Settings>, AppError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(format!("{app}#settings")))
            .key("sk", AttributeValue::S("-".to_owned()))
            .send()
            .await
            .map_err(|error| AppError::Settings(Box::new(error.into())))?;
        let Some(AttributeValue::S(text)) = answer.item.as_ref().and_then(|item| item.get("doc")) else {
            return Ok(None);
        };
        parse(SETTINGS, text).map(Some)
    }
}

/// Never there, or scheduled for deletion (Secrets Manager calls that an invalid request): the app is gone either way.
fn is_gone(error: &GetSecretValueError) -> bool {
    error.is_resource_not_found_exception() || error.is_invalid_request_exception()
}

/// The name of the document that holds nothing secret.
const SETTINGS: &str = "settings";

/// Whether `text` is a document of this name (`callers`, `vendors`, `results`, `settings`), for who writes one.
///
/// # Errors
/// When it is not of its shape, or there is no document of the name.
pub fn check(document: &str, text: &str) -> Result<(), AppError> {
    match document {
        "callers" => parse::<Callers>("callers", text).map(|_| ()),
        "vendors" => parse::<Vendors>("vendors", text).map(|_| ()),
        "results" => parse::<ResultsKeys>("results", text).map(|_| ()),
        _ => parse::<Settings>(SETTINGS, text).map(|_| ()),
    }
}

pub(super) fn parse<T: DeserializeOwned>(document: &'static str, text: &str) -> Result<T, AppError> {
    serde_json::from_str(text).map_err(|error| AppError::Malformed {
        document,
        line: error.line(),
        column: error.column(),
        // serde's message may quote the value it stumbled over, and in the other documents that may be a secret.
        reason: (document == SETTINGS).then(|| without_values(&error)),
    })
}

/// What is wrong, without the place, which is told beside it, and without values: they stand in double quotes, or as an unknown variant.
fn without_values(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&place).unwrap_or(&message);
    if message.starts_with("unknown variant `")
        && let Some(end) = message.rfind("`, expected")
    {
        return format!("unknown value{}", &message[end + 1..]);
    }
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &message[..=first], &message[last..]),
        _ => message.to_owned(),
    }
}
