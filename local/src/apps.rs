//! The apps of a local stack: folders with `callers.json`, `vendors.json`, `results.json`, `apns.json` and `settings.json`.
//!
//! The first four are read where they lie, as secrets. Settings are a row of the registry table, as on AWS, and are
//! written there whenever a stack starts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pushbell::id::AppId;
use serde_json::{Value, json};

use crate::aws::REGION;
use crate::operator::vendors::{ApnsDocument, ApnsDocumentError};

/// Why the apps could not be made ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppsError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The folder cannot be written to.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A document is not JSON.
    #[error("{path} is not JSON")]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// A document is not of its shape.
    #[error("{path} cannot be used")]
    Document {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: pushbell::app::AppError,
    },
    /// An `apns` document is not of its shape.
    #[error("{path} cannot be used")]
    Apns {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: ApnsDocumentError,
    },
    /// The table cannot be reached.
    #[error("the registry table cannot be reached")]
    Table(#[from] hyper_util::client::legacy::Error),
    /// The table refused the row.
    #[error("the registry table refused a settings row: {0}")]
    Refused(http::StatusCode),
    /// The call could not be made.
    #[error("the call for a settings row cannot be made")]
    Call(#[from] http::Error),
}

/// An app as its folder describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// The folder's name.
    pub name: String,
    /// The text of `settings.json`.
    pub settings: Option<String>,
    /// `(platform, name)` of every SNS platform application that its documents speak of.
    pub applications: Vec<(String, String)>,
    /// The key file of every Google service account that its documents hold.
    pub service_accounts: Vec<String>,
    /// The credentials at Apple.
    pub apns: ApnsDocument,
}

/// The apps in this folder, in the order of their names.
pub fn read(folder: &Path) -> Result<Vec<App>, AppsError> {
    let failed = |path: &Path, source| AppsError::Read { path: path.to_owned(), source };
    let mut apps = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| failed(folder, source))? {
        let entry = entry.map_err(|source| failed(folder, source))?;
        let path = entry.path();
        let (true, Ok(name)) = (path.is_dir(), entry.file_name().into_string()) else { continue };
        let mut app = App {
            name,
            settings: None,
            applications: Vec::new(),
            service_accounts: Vec::new(),
            apns: ApnsDocument::default(),
        };
        for document in ["settings", "vendors", "callers", "results"] {
            let path = path.join(document).with_extension("json");
            if !path.is_file() {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
            let value: Value =
                serde_json::from_str(&text).map_err(|source| AppsError::Json { path: path.clone(), source })?;
            pushbell::app::check(document, &text)
                .map_err(|source| AppsError::Document { path: path.clone(), source })?;
            if matches!(document, "callers" | "results") {
                continue;
            }
            applications(&value, &mut app.applications);
            service_accounts(&value, &mut app.service_accounts);
            if document == "settings" {
                app.settings = Some(text);
            }
        }
        let path = path.join("apns.json");
        if path.is_file() {
            let text = std::fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
            app.apns = ApnsDocument::parse(&text).map_err(|source| AppsError::Apns { path, source })?;
        }
        apps.push(app);
    }
    apps.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(apps)
}

/// Finds `arn:aws:sns:us-east-1:000000000000:app/APNS/demo` wherever it stands.
fn applications(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => {
            let Some((_, resource)) = text.strip_prefix("arn:aws:sns:").and_then(|rest| rest.split_once(":app/"))
            else {
                return;
            };
            if let Some((platform, name)) = resource.split_once('/') {
                let application = (platform.to_owned(), name.to_owned());
                if !found.contains(&application) {
                    found.push(application);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| applications(item, found)),
        Value::Object(map) => map.values().for_each(|item| applications(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Finds a key file wherever it stands, as JSON or as the text of it.
fn service_accounts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) if map.contains_key("private_key") && map.contains_key("client_email") => {
            found.push(value.to_string());
        }
        Value::Object(map) => map.values().for_each(|item| service_accounts(item, found)),
        Value::Array(items) => items.iter().for_each(|item| service_accounts(item, found)),
        Value::String(text) if text.trim_start().starts_with('{') => {
            if let Ok(value) = serde_json::from_str::<Value>(text) {
                service_accounts(&value, found);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Writes an app's settings to its folder, from where they are read at the next start; without a text they are taken away.
pub(crate) fn keep_settings(folder: &Path, app: &AppId, text: Option<&str>) -> Result<(), AppsError> {
    let path = folder.join(app.as_str()).join("settings.json");
    // `..` is the name of an app, too, but no folder of one's own.
    if app.as_str().starts_with('.') {
        return Err(AppsError::Write { path, source: std::io::ErrorKind::InvalidFilename.into() });
    }
    let written = match text {
        Some(text) => path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text)),
        None => match std::fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done,
        },
    };
    written.map_err(|source| AppsError::Write { path, source })
}

/// Writes an app's settings row: `pk` = `<app>#settings`, `sk` = `-`, `doc` = the document's text.
pub async fn put_settings(tables: SocketAddr, registry: &str, app: &str, document: &str) -> Result<(), AppsError> {
    let call = json!({
        "TableName": registry,
        "Item": {
            "pk": { "S": format!("{app}#settings") },
            "sk": { "S": "-" },
            "doc": { "S": document },
        },
    });
    let request = Request::post(format!("http://{tables}/"))
        .header(CONTENT_TYPE, "application/x-amz-json-1.0")
        .header("x-amz-target", "DynamoDB_20120810.PutItem")
        // The emulator looks for a date and for the form of a signature, not at what they say.
        .header("x-amz-date", "20260101T000000Z")
        .header(
            AUTHORIZATION,
            format!("AWS4-HMAC-SHA256 Credential=local/20260101/{REGION}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"),
        )
        .body(Full::new(Bytes::from(call.to_string())))?;
    let response = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>().request(request).await?;
    if response.status().is_success() { Ok(()) } else { Err(AppsError::Refused(response.status())) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn an_app_is_a_folder_and_its_platform_applications_are_found_where_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        for app in ["b", "a"] {
            std::fs::create_dir(folder.path().join(app)).unwrap();
        }
        std::fs::write(folder.path().join("not-a-folder"), "").unwrap();
        let settings = r#"{"sns":{"apns":"arn:aws:sns:us-east-1:000000000000:app/APNS/a",
            "apns_sandbox":"arn:aws:sns:us-east-1:000000000000:app/APNS_SANDBOX/a"}}"#;
        std::fs::write(folder.path().join("a/settings.json"), settings).unwrap();
        let expected = [
            App {
                name: "a".into(),
                settings: Some(settings.into()),
                applications: vec![("APNS".into(), "a".into()), ("APNS_SANDBOX".into(), "a".into())],
                service_accounts: vec![],
                apns: ApnsDocument::default(),
            },
            App {
                name: "b".into(),
                settings: None,
                applications: vec![],
                service_accounts: vec![],
                apns: ApnsDocument::default(),
            },
        ];
        assert_eq!(read(folder.path()).unwrap(), expected);
    }

    #[test]
    fn a_service_account_is_found_as_json_and_as_text() {
        let account = json!({ "client_email": "a@b", "private_key": "x" });
        let mut found = Vec::new();
        service_accounts(&json!({ "fcm": { "account": account, "text": account.to_string() }, "n": 1 }), &mut found);
        assert_eq!(found, [account.to_string(), account.to_string()]);
    }

    #[test]
    fn a_document_that_is_not_json_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/settings.json"), "{").unwrap();
        let Err(AppsError::Json { path, .. }) = read(folder.path()) else { panic!("an error") };
        assert!(path.ends_with("a/settings.json"));
    }

    #[test]
    fn a_document_that_is_not_of_its_shape_is_named_with_place_and_reason() {
        for (document, text, says) in [
            ("settings", r#"{"titel": "Acme"}"#, "line 1, column 8: unknown field `titel`"),
            ("callers", r#"{"hook_secrets": "s3cret"}"#, "line 1, column 25"),
            ("vendors", r#"["fcm"]"#, "vendors document is malformed"),
            ("results", r#"{"keys": ["s3cret"]}"#, "results document is malformed"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("a")).unwrap();
            std::fs::write(folder.path().join("a").join(document).with_extension("json"), text).unwrap();
            let Err(AppsError::Document { path, source }) = read(folder.path()) else { panic!("an error") };
            let source = source.to_string();
            assert!(path.to_string_lossy().contains(document) && source.contains(says), "{source}");
            assert!(!source.contains("s3cret"));
        }
    }

    #[test]
    fn an_apns_document_is_read_and_a_wrong_one_is_named_with_the_field() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        let file = folder.path().join("a/apns.json");
        let text = r#"{"sandbox": {"key": "s3cret", "key_id": "ABC123DEFG", "team_id": "TEAM123456", "topic": "com.example.app"}}"#;
        std::fs::write(&file, text).unwrap();
        let read_there = read(folder.path()).unwrap();
        assert_eq!(read_there[0].apns, ApnsDocument::parse(text).unwrap());
        std::fs::write(&file, text.replace("TEAM123456", "s3cret")).unwrap();
        let Err(AppsError::Apns { path, source }) = read(folder.path()) else { panic!("an error") };
        let source = source.to_string();
        assert!(path.ends_with("a/apns.json") && source.contains("team_id") && !source.contains("s3cret"), "{source}");
    }
}
