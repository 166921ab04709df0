//! An app's documents where they lie: secrets under `pushbell/<stage>/apps/<app>/`, settings in the registry table.
//!
//! They are read and written as JSON, so that what a newer release put there is not lost by an older command. Nothing is written that the
//! functions could not read.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use pushbell::app::AppError;
use pushbell::env::{EnvError, Table};
use pushbell::id::AppId;
use serde_json::{Value, json};

use super::super::Deployment;
use super::super::aws::reason;

/// A deleted secret can be had back for so many days.
const RECOVERY_DAYS: i64 = 7;

/// The secrets of an app. What keeps an app from existing comes first: without `callers` nobody can call in its name.
pub const SECRETS: [&str; 4] = ["callers", "vendors", "results", APNS];
/// What SNS was given for iOS. It never gives that back, and functions do not read it: it is kept to be checked, and to be given again.
pub const APNS: &str = "apns";

/// Why a document was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Secrets Manager refuses or does not answer.
    #[error("Secrets Manager did not {verb} {name}: {reason}")]
    Secret {
        /// What was asked of it.
        verb: &'static str,
        /// The secret's name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Two commands made it at once.
    #[error("{0} was made by somebody else meanwhile; look at it with `app show`, and run the command again")]
    Made(String),
    /// A secret that had been deleted is back as it was.
    #[error(
        "Secrets Manager did not write {name} ({reason}), which was deleted and had to be restored for that: what it held is valid again; run \
         `app remove {app} --yes{place}`"
    )]
    Restored {
        /// The secret's name.
        name: String,
        /// Whose.
        app: AppId,
        /// [`Deployment::place`]
        place: String,
        /// Why it was not written.
        reason: String,
    },
    /// DynamoDB refuses or does not answer.
    #[error("DynamoDB did not {verb} the settings of {app}: {reason}")]
    Settings {
        /// What was asked of it.
        verb: &'static str,
        /// Whose.
        app: AppId,
        /// Why not.
        reason: String,
    },
    /// Two changed them at once.
    #[error(
        "the settings of {0} were changed by somebody else meanwhile, and are as they left them; run the command again"
    )]
    SettingsChanged(AppId),
    /// The document is no JSON.
    #[error("the app's {document} document is no JSON object (line {line}, column {column})")]
    Json {
        /// Which.
        document: &'static str,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The functions could not read what was to be written.
    #[error("the functions could not read it, so it was not written")]
    Unreadable(#[source] AppError),
    /// The settings' table is not known.
    #[error(transparent)]
    Environment(#[from] EnvError),
    /// The stack on this machine did not keep the settings for its next start.
    #[error("the stack on this machine did not keep the settings of {0} for its next start")]
    NotKept(AppId),
}

/// The documents of all apps of a deployment.
pub struct Documents<'a> {
    deployment: &'a Deployment,
    secrets: aws_sdk_secretsmanager::Client,
    tables: aws_sdk_dynamodb::Client,
    registry: String,
}

impl<'a> Documents<'a> {
    /// Those of this deployment.
    pub fn new(deployment: &'a Deployment) -> Result<Self, DocumentError> {
        Ok(Self {
            deployment,
            secrets: aws_sdk_secretsmanager::Client::new(&deployment.config),
            tables: aws_sdk_dynamodb::Client::new(&deployment.config),
            registry: deployment.env.table(Table::Registry)?,
        })
    }

    fn prefix(&self) -> String {
        format!("pushbell/{}/apps/", self.deployment.env.stage())
    }

    /// The secret's name.
    pub fn name(&self, app: &AppId, document: &str) -> String {
        format!("{}{app}/{document}", self.prefix())
    }

    /// A secret document as JSON; `None` where there is none.
    pub async fn secret(&self, app: &AppId, document: &'static str) -> Result<Option<Value>, DocumentError> {
        let name = self.name(app, document);
        let got = self.secrets.get_secret_value().secret_id(&name).send().await;
        let text = match got {
            Ok(got) => got.secret_string().unwrap_or_default().to_owned(),
            Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(None),
            // A secret that waits for its deletion is there and cannot be read.
            Err(error) if is_deleted(error.code(), error.message()) => return Ok(None),
            Err(error) => return Err(DocumentError::Secret { verb: "read", name, reason: reason(&error) }),
        };
        json(document, &text).map(Some)
    }

    /// Writes a secret document, whether or not there was one. What is there is not made: whoever may only replace secrets can.
    pub async fn put_secret(&self, app: &AppId, document: &'static str, value: &Value) -> Result<(), DocumentError> {
        let text = readable(document, value)?;
        let name = self.name(app, document);
        let put = self.secrets.put_secret_value().secret_id(&name).secret_string(&text).send().await;
        match put {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ResourceNotFoundException") => {
                match self.make_secret(app, document, &text).await? {
                    true => Ok(()),
                    false => Err(DocumentError::Made(name)),
                }
            }
            Err(error) if is_deleted(error.code(), error.message()) => self.restore_secret(app, document, &text).await,
            Err(error) => Err(DocumentError::Secret { verb: "write", name, reason: reason(&error) }),
        }
    }

    /// Writes a secret document where there is none. False when there is one, which stays as it is.
    pub async fn create_secret(
        &self,
        app: &AppId,
        document: &'static str,
        value: &Value,
    ) -> Result<bool, DocumentError> {
        self.make_secret(app, document, &readable(document, value)?).await
    }

    async fn make_secret(&self, app: &AppId, document: &'static str, text: &str) -> Result<bool, DocumentError> {
        let name = self.name(app, document);
        let create = self.secrets.create_secret().name(&name).secret_string(text);
        let created = create.description(format!("Pushbell: {document} of the app {app}.")).send().await;
        match created {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ResourceExistsException") => Ok(false),
            Err(error) if is_deleted(error.code(), error.message()) => {
                self.restore_secret(app, document, text).await.map(|()| true)
            }
            Err(error) => Err(DocumentError::Secret { verb: "write", name, reason: reason(&error) }),
        }
    }

    /// Has a deleted secret back, with another text. Its name is taken for a week, so there is no other way.
    async fn restore_secret(&self, app: &AppId, document: &'static str, text: &str) -> Result<(), DocumentError> {
        let name = self.name(app, document);
        let failed = |reason| DocumentError::Secret { verb: "write", name: name.clone(), reason };
        self.secrets.restore_secret().secret_id(&name).send().await.map_err(|error| failed(reason(&error)))?;
        let put = self.secrets.put_secret_value().secret_id(&name).secret_string(text).send().await;
        let Err(error) = put else { return Ok(()) };
        // Else what was deleted would be valid again.
        match self.delete_secret(app, document).await {
            Ok(_) => Err(failed(reason(&error))),
            Err(_) => {
                let (place, reason) = (self.deployment.place.clone(), reason(&error));
                Err(DocumentError::Restored { name, app: app.clone(), place, reason })
            }
        }
    }

    /// Deletes a secret document. Whether there was one. It can be restored for a week.
    pub async fn delete_secret(&self, app: &AppId, document: &'static str) -> Result<bool, DocumentError> {
        let name = self.name(app, document);
        let deleted = self.secrets.delete_secret().secret_id(&name).recovery_window_in_days(RECOVERY_DAYS).send().await;
        match deleted {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(false),
            Err(error) if is_deleted(error.code(), error.message()) => Ok(false),
            Err(error) => Err(DocumentError::Secret { verb: "delete", name, reason: reason(&error) }),
        }
    }

    /// Which secret documents there are, by app. What lies there and is no app's is left out.
    pub async fn list(&self) -> Result<BTreeMap<AppId, BTreeSet<String>>, DocumentError> {
        let prefix = self.prefix();
        let filter = Filter::builder().key(FilterNameStringType::Name).values(&prefix).build();
        let mut pages = self.secrets.list_secrets().filters(filter).into_paginator().send();
        let mut apps: BTreeMap<AppId, BTreeSet<String>> = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| DocumentError::Secret {
                verb: "list",
                name: format!("{prefix}*"),
                reason: reason(&error),
            })?;
            for secret in page.secret_list() {
                let path =
                    secret.name().and_then(|name| name.strip_prefix(&prefix)).and_then(|path| path.split_once('/'));
                if let Some((app, document)) = path
                    && secret.deleted_date().is_none()
                    && let Ok(app) = AppId::parse(app)
                {
                    apps.entry(app).or_default().insert(document.to_owned());
                }
            }
        }
        Ok(apps)
    }

    fn settings_key(app: &AppId) -> [(&'static str, AttributeValue); 2] {
        [("pk", AttributeValue::S(format!("{app}#settings"))), ("sk", AttributeValue::S("-".to_owned()))]
    }

    /// The settings as JSON; `None` where there are none.
    pub async fn settings(&self, app: &AppId) -> Result<Option<Value>, DocumentError> {
        let text = self.settings_text(app).await?;
        text.map(|text| json("settings", &text)).transpose()
    }

    /// The settings, to be changed; empty where there are none.
    pub async fn settings_to_change(&self, app: &AppId) -> Result<Settings, DocumentError> {
        let before = self.settings_text(app).await?;
        let value = before.as_deref().map_or_else(|| Ok(json!({})), |text| json("settings", text))?;
        Ok(Settings { value, before })
    }

    async fn settings_text(&self, app: &AppId) -> Result<Option<String>, DocumentError> {
        let [pk, sk] = Self::settings_key(app);
        let get = self.tables.get_item().table_name(&self.registry).key(pk.0, pk.1).key(sk.0, sk.1);
        let got = get.consistent_read(true).send().await;
        let got = got.map_err(|error| self.settings_failed("read", app, reason(&error)))?;
        match got.item().and_then(|item| item.get("doc")) {
            Some(AttributeValue::S(text)) => Ok(Some(text.clone())),
            Some(_) | None => Ok(None),
        }
    }

    /// Writes the settings, if they are still as they were read.
    pub async fn put_settings(&self, app: &AppId, settings: &Settings) -> Result<(), DocumentError> {
        let text = settings.value.to_string();
        pushbell::app::check("settings", &text).map_err(DocumentError::Unreadable)?;
        let [pk, sk] = Self::settings_key(app);
        let put = self.tables.put_item().table_name(&self.registry).item(pk.0, pk.1).item(sk.0, sk.1);
        let put = put.item("doc", AttributeValue::S(text.clone()));
        let put = match &settings.before {
            None => put.condition_expression("attribute_not_exists(doc)"),
            Some(before) => put
                .condition_expression("doc = :before")
                .expression_attribute_values(":before", AttributeValue::S(before.clone())),
        };
        put.send().await.map_err(|error| match error.code() {
            Some("ConditionalCheckFailedException") => DocumentError::SettingsChanged(app.clone()),
            Some(_) | None => self.settings_failed("write", app, reason(&error)),
        })?;
        self.keep_settings(app, Some(text)).await
    }

    /// Deletes the settings.
    pub async fn delete_settings(&self, app: &AppId) -> Result<(), DocumentError> {
        let [pk, sk] = Self::settings_key(app);
        let delete = self.tables.delete_item().table_name(&self.registry).key(pk.0, pk.1).key(sk.0, sk.1);
        let deleted = delete.send().await;
        deleted.map_err(|error| self.settings_failed("delete", app, reason(&error)))?;
        self.keep_settings(app, None).await
    }

    fn settings_failed(&self, verb: &'static str, app: &AppId, reason: String) -> DocumentError {
        DocumentError::Settings { verb, app: app.clone(), reason }
    }

    /// A stack on this machine reads its apps' settings from a folder when it starts, where a table may be gone with the process.
    async fn keep_settings(&self, app: &AppId, text: Option<String>) -> Result<(), DocumentError> {
        if !self.deployment.is_local() {
            return Ok(());
        }
        let not_kept = || DocumentError::NotKept(app.clone());
        let method = if text.is_some() { http::Method::PUT } else { http::Method::DELETE };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}/_local/apps/{app}/settings", self.deployment.url))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(text.unwrap_or_default().into())
            .map_err(|_| not_kept())?;
        let answer = self.deployment.http.send(request).await.map_err(|_| not_kept())?;
        if answer.status.is_success() { Ok(()) } else { Err(not_kept()) }
    }
}

/// An app's settings, and what they were when they were read.
#[derive(Debug)]
pub struct Settings {
    /// As they are to be.
    pub value: Value,
    before: Option<String>,
}

/// A document's text, if the functions can read it.
fn readable(document: &'static str, value: &Value) -> Result<String, DocumentError> {
    let text = value.to_string();
    if document != APNS {
        pushbell::app::check(document, &text).map_err(DocumentError::Unreadable)?;
    }
    Ok(text)
}

fn is_deleted(code: Option<&str>, message: Option<&str>) -> bool {
    code == Some("InvalidRequestException") && message.is_some_and(|text| text.contains("deletion"))
}

/// A document's JSON, which is an object.
fn json(document: &'static str, text: &str) -> Result<Value, DocumentError> {
    let object: Result<serde_json::Map<String, Value>, _> = serde_json::from_str(text);
    object.map(Value::Object).map_err(|error| DocumentError::Json {
        document,
        line: error.line(),
        column: error.column(),
    })
}
