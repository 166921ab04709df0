//! Secrets Manager over a folder: the secret `pushbell/<stage>/apps/<app>/<document>` is the file
//! `<folder>/<app>/<document>.json`, read at each call, so that an edit takes effect.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Refusal;

/// The text in a document that stands for the base URL of the fake vendors.
pub const VENDORS: &str = "${VENDORS}";

/// The secrets of a stack; clones share them.
#[derive(Clone)]
pub struct Secrets(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    prefix: String,
    vendors: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    /// `CreateSecret` names its secret so.
    name: Option<String>,
    /// All others: a name or an ARN.
    secret_id: Option<String>,
    secret_string: Option<String>,
}

impl Secrets {
    /// The secrets of `stage` in this folder of apps; `vendors` is the base URL that [`VENDORS`] is replaced by.
    pub fn new(folder: PathBuf, stage: &str, vendors: &str) -> Self {
        Self(Arc::new(Inner { folder, prefix: format!("pushbell/{stage}/apps/"), vendors: vendors.to_owned() }))
    }

    pub(super) fn call(&self, action: &str, body: &[u8]) -> Result<Value, Refusal> {
        let request: Request = serde_json::from_slice(body).map_err(|error| Refusal::unreadable(&error))?;
        match action {
            "GetSecretValue" => self.get(&self.named(request.secret_id)?),
            "CreateSecret" => {
                let name = self.named(request.name)?;
                if deleted(&self.file(&name)?).exists() {
                    return Err(refusal(
                        "InvalidRequestException",
                        "You can't create this secret because a secret with this name is already scheduled for deletion.",
                    ));
                }
                if self.file(&name)?.exists() {
                    return Err(refusal(
                        "ResourceExistsException",
                        "The operation failed because a secret with that name already exists.",
                    ));
                }
                self.put(&name, request.secret_string.as_deref())
            }
            "PutSecretValue" => {
                let name = self.named(request.secret_id)?;
                self.get(&name)?;
                self.put(&name, request.secret_string.as_deref())
            }
            "DeleteSecret" => {
                let name = self.named(request.secret_id)?;
                self.get(&name)?;
                let file = self.file(&name)?;
                std::fs::rename(&file, deleted(&file)).map_err(|error| file_error(&error))?;
                Ok(json!({ "ARN": arn(&name), "Name": name }))
            }
            "RestoreSecret" => {
                let name = self.named(request.secret_id)?;
                let file = self.file(&name)?;
                std::fs::rename(deleted(&file), &file).map_err(|error| file_error(&error))?;
                Ok(json!({ "ARN": arn(&name), "Name": name }))
            }
            "ListSecrets" => self.list(),
            _ => Err(Refusal::unknown_operation(action)),
        }
    }

    fn get(&self, name: &str) -> Result<Value, Refusal> {
        let file = self.file(name)?;
        if deleted(&file).exists() {
            return Err(refusal(
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            ));
        }
        let text = std::fs::read_to_string(&file).map_err(|error| file_error(&error))?;
        let written = file
            .metadata()
            .and_then(|data| data.modified())
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_secs());
        Ok(json!({
            "ARN": arn(name),
            "Name": name,
            "SecretString": text.replace(VENDORS, &self.0.vendors),
            "VersionId": version(&text),
            "VersionStages": ["AWSCURRENT"],
            "CreatedDate": written,
        }))
    }

    fn put(&self, name: &str, text: Option<&str>) -> Result<Value, Refusal> {
        let text = text.ok_or_else(|| refusal("InvalidRequestException", "You must provide SecretString."))?;
        // The next stack has its vendors elsewhere.
        let text = text.replace(&self.0.vendors, VENDORS);
        let file = self.file(name)?;
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        folder.and_then(|()| write(&file, &text)).map_err(|error| file_error(&error))?;
        Ok(json!({
            "ARN": arn(name),
            "Name": name,
            "VersionId": version(&text),
            "VersionStages": ["AWSCURRENT"],
        }))
    }

    fn list(&self) -> Result<Value, Refusal> {
        let mut names = Vec::new();
        let apps = match std::fs::read_dir(&self.0.folder) {
            Ok(apps) => apps,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(json!({ "SecretList": [] }));
            }
            Err(error) => return Err(file_error(&error)),
        };
        for app in apps.flatten() {
            let Ok(documents) = std::fs::read_dir(app.path()) else {
                continue;
            };
            for document in documents.flatten() {
                let (app, document) = (app.file_name(), document.file_name());
                if let (Some(app), Some(document)) = (app.to_str(), document.to_str())
                    && let Some(document) = document.strip_suffix(".json")
                    // Beside them lie the settings, which are a table's.
                    && document != "settings"
                {
                    names.push(format!("{}{app}/{document}", self.0.prefix));
                }
            }
        }
        names.sort();
        let list: Vec<Value> = names.iter().map(|name| json!({ "ARN": arn(name), "Name": name })).collect();
        Ok(json!({ "SecretList": list }))
    }

    /// The name in a name or an ARN.
    fn named(&self, id: Option<String>) -> Result<String, Refusal> {
        let id = id.ok_or_else(|| refusal("InvalidParameterException", "You must provide the secret's name."))?;
        let Some(rest) = id.strip_prefix(&arn_prefix()) else {
            return Ok(id);
        };
        // An ARN ends in a hyphen and six characters that are not of the name.
        let name = rest.len().checked_sub(7).and_then(|end| rest.get(..end)).unwrap_or(rest);
        Ok(name.to_owned())
    }

    fn file(&self, name: &str) -> Result<PathBuf, Refusal> {
        let safe = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '@'))
        };
        name.strip_prefix(&self.0.prefix)
            .and_then(|rest| rest.split_once('/'))
            .filter(|(app, document)| safe(app) && safe(document))
            .map(|(app, document)| self.0.folder.join(app).join(format!("{document}.json")))
            .ok_or_else(not_found)
    }
}

/// Writes a file that nobody else may read: real keys may be in it.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(text.as_bytes())
}

/// Where a secret waits that is to be deleted, and may be had back.
fn deleted(file: &Path) -> PathBuf {
    file.with_extension("json.deleted")
}

fn arn_prefix() -> String {
    format!("arn:aws:secretsmanager:{}:{}:secret:", super::REGION, super::ACCOUNT)
}

fn arn(name: &str) -> String {
    format!("{}{name}-local0", arn_prefix())
}

/// The same for the same text, as an edit is a new version.
fn version(text: &str) -> String {
    let hex = format!("{:x}", md5::compute(text));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn not_found() -> Refusal {
    refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

fn file_error(error: &std::io::Error) -> Refusal {
    if error.kind() == ErrorKind::NotFound {
        return not_found();
    }
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalServiceError".to_owned(),
        "InternalServiceError",
        "The folder of the secrets could not be read or written.",
    )
}

fn refusal(code: &str, message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code.to_owned(), code, message)
}
