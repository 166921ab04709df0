//! A new app, and other credentials for one that is there.
//!
//! Vendors are tried first, while nothing is changed yet. What lets the app be called, `callers`, is written last: an app that is called has
//! all the rest, and a command that broke off is run again.

use pushbell::id::AppId;
use pushbell::time::Timestamp;
use serde_json::{Value, json};

use super::super::vendors::{self, ApnsCredentials};
use super::super::{Deployment, token};
use super::applications::{self, ApnsService};
use super::documents::{APNS, Documents, Settings};
use super::paste::Paste;
use super::secrets::Kind;
use super::{Add, AppCommandError, Credentials, OpenimMode, Told, Update, files};

/// How long the printed admin's token is valid. Servers sign their own.
const ADMIN_TOKEN_S: u64 = 24 * 60 * 60;

pub(super) async fn run(deployment: &Deployment, add: &Add) -> Result<Told, AppCommandError> {
    let documents = Documents::new(deployment)?;
    let app = &add.app;
    if documents.secret(app, "callers").await?.is_some() {
        return Err(AppCommandError::Exists(app.clone()));
    }
    let now = Timestamp::now();

    let mut callers = match &add.callers {
        Some(path) => files::callers(path)?,
        None => json!({}),
    };
    // What somebody has put there before stays.
    let mut settings = documents.settings_to_change(app).await?;
    pushbell::app::check("settings", &settings.value.to_string()).map_err(AppCommandError::Settings)?;
    if let Some(title) = &add.title {
        settings.value["title"] = json!(title);
    }
    if let Some(sdk_app_id) = add.tencent {
        settings.value["tencent"]["sdk_app_id"] = json!(sdk_app_id);
    }
    if add.openim == OpenimMode::Deliver {
        settings.value["openim"]["mode"] = json!("deliver");
    }
    if let Some(url) = &add.results {
        settings.value["results"]["url"] = json!(url);
    }
    pushbell::app::check("settings", &settings.value.to_string()).map_err(AppCommandError::Settings)?;
    let tried = Tried::credentials(deployment, app, &add.credentials, now).await?;
    let untried = tried.untried.clone();
    let mut done = tried.write(deployment, &documents, app, &mut settings).await?;

    let mut secrets = Vec::new();
    for kind in Kind::ALL {
        let wanted = match kind {
            Kind::Hook | Kind::ApiKey | Kind::Master | Kind::AppSecret | Kind::UserKey => true,
            Kind::Tencent => add.tencent.is_some(),
            Kind::Results => add.results.is_some(),
        };
        if wanted {
            secrets.push((kind, kind.fresh(app)?));
        }
    }
    for (kind, secret) in &secrets {
        let (document, list) = kind.place();
        let fresh = kind.entry(secret);
        match document {
            // Before another's: whoever makes the app at the same time was shown it, or will be.
            "results" => {
                if !documents.create_secret(app, "results", &json!({ list: [&fresh] })).await? {
                    let mut held = documents.secret(app, "results").await?.unwrap_or_else(|| json!({}));
                    put_first(&mut held[list], fresh);
                    documents.put_secret(app, "results", &held).await?;
                }
            }
            _ => put_first(&mut callers[list], fresh),
        }
    }
    if !documents.create_secret(app, "callers", &callers).await? {
        // Somebody else was faster; theirs are the secrets.
        return Err(AppCommandError::Exists(app.clone()));
    }
    done.push("The app can be called within a minute.".to_owned());

    let user_key = secrets.iter().find(|(kind, _)| *kind == Kind::UserKey).map(|(_, key)| key.as_str());
    let admin = user_key.map(|key| token::sign(key, app, "operator", token::Role::Admin, ADMIN_TOKEN_S, now));
    let until = Timestamp::from_millis(now.as_millis() + ADMIN_TOKEN_S * 1_000).to_rfc3339();
    let paste = Paste {
        url: &deployment.url,
        app,
        secrets: &secrets,
        tencent: add.tencent,
        admin_token: admin.as_deref().map(|token| (token, until.as_str())),
    };
    let told = |text| Told { text, is_complete: true, secrets_of: Some(app.clone()) };
    if add.json {
        let mut json = paste.json();
        json["untried"] = json!(untried);
        return Ok(told(json.to_string()));
    }
    Ok(told(format!(
        "The app {app} is set up in the stage {stage}, at {url}.\n{done}\n\nWhat to paste where. The secrets are shown this once; \
         `app rotate` makes new ones.\n\n{paste}\n\nNext: `doctor {app}{place}` looks at everything, `send <client> \"text\" --app {app}{place}` rings a phone.",
        stage = deployment.env.stage(),
        url = deployment.url,
        place = deployment.place,
        done = done.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n"),
        paste = paste.text(),
    )))
}

fn put_first(list: &mut Value, fresh: Value) {
    match list.as_array_mut() {
        Some(entries) => entries.insert(0, fresh),
        None => *list = json!([fresh]),
    }
}

pub(super) async fn update(deployment: &Deployment, update: &Update) -> Result<String, AppCommandError> {
    let documents = Documents::new(deployment)?;
    let app = &update.app;
    if documents.secret(app, "callers").await?.is_none() {
        return Err(AppCommandError::Unknown(app.clone()));
    }
    let mut settings = documents.settings_to_change(app).await?;
    pushbell::app::check("settings", &settings.value.to_string()).map_err(AppCommandError::Settings)?;
    let tried = Tried::credentials(deployment, app, &update.credentials, Timestamp::now()).await?;
    if tried.fcm.is_none() && tried.apns.is_none() {
        return Err(AppCommandError::NothingGiven);
    }
    let mut done = tried.write(deployment, &documents, app, &mut settings).await?;
    done.push("It holds within five minutes: functions keep documents so long.".to_owned());
    Ok(done.join("\n"))
}

/// Credentials that their vendors take, or could not be asked about.
struct Tried {
    fcm: Option<Value>,
    apns: Option<(ApnsService, ApnsCredentials)>,
    done: Vec<String>,
    /// The vendors that could not be asked.
    untried: Vec<&'static str>,
}

impl Tried {
    async fn credentials(
        deployment: &Deployment,
        app: &AppId,
        given: &Credentials,
        now: Timestamp,
    ) -> Result<Self, AppCommandError> {
        let (mut done, mut untried) = (Vec::new(), Vec::new());
        let not_tried = |what: &str, trouble: &dyn std::error::Error| {
            format!("NOT TRIED: {what}. {trouble}. `doctor {app}{}` tries it.", deployment.place)
        };
        let fcm = match &given.fcm {
            None => None,
            Some(path) => {
                let (document, vendor) = files::fcm(deployment, path)?;
                let account = format!("the service account of the project {}", vendor.service_account.project_id);
                match vendors::fcm(&deployment.http, &vendor, now).await {
                    Ok(()) => done.push(format!("FCM takes {account}.")),
                    Err(trouble) if !trouble.is_passing() => return Err(AppCommandError::Fcm(Box::new(trouble))),
                    Err(trouble) if !given.untried => return Err(AppCommandError::FcmUnasked(Box::new(trouble))),
                    Err(trouble) => {
                        done.push(not_tried(&account, &trouble));
                        untried.push("fcm");
                    }
                }
                Some(document)
            }
        };
        let service = if given.sandbox { ApnsService::Sandbox } else { ApnsService::Production };
        let apns = match files::apns(given)? {
            None => None,
            Some(document) => {
                match try_apns(deployment, service, &document, now).await {
                    Ok(told) => done.push(told),
                    Err(AppCommandError::ApnsUnasked(trouble)) if given.untried => {
                        done.push(not_tried("the signing key", &trouble));
                        untried.push("apns");
                    }
                    Err(error) => return Err(error),
                }
                Some((service, document))
            }
        };
        Ok(Self { fcm, apns, done, untried })
    }

    /// Registers them: SNS first, then the documents. What was done.
    async fn write(
        self,
        deployment: &Deployment,
        documents: &Documents<'_>,
        app: &AppId,
        settings: &mut Settings,
    ) -> Result<Vec<String>, AppCommandError> {
        let mut done = self.done;
        if let Some((service, document)) = &self.apns {
            let known = settings.value["sns"][service.setting()].as_str().map(str::to_owned);
            let arn = applications::put(deployment, app, *service, known.as_deref(), document).await?;
            done.push(match deployment.events_topic() {
                Some(_) => format!("SNS reaches iPhones by {arn}, and tells of dead tokens."),
                None => format!("SNS reaches iPhones by {arn}."),
            });
            settings.value["sns"][service.setting()] = json!(arn);
            if settings.value["sns"]["environment"].is_null() {
                settings.value["sns"]["environment"] = json!(service.word());
            }
            done.push(format!("Devices that do not say are of {}.", settings.value["sns"]["environment"]));
            let mut kept = documents.secret(app, APNS).await?.unwrap_or_else(|| json!({}));
            kept[service.word()] = json!(document);
            documents.put_secret(app, APNS, &kept).await?;
        }
        if let Some(document) = &self.fcm {
            let mut vendors = documents.secret(app, "vendors").await?.unwrap_or_else(|| json!({}));
            vendors["fcm"] = document.clone();
            documents.put_secret(app, "vendors", &vendors).await?;
        }
        if settings.value.as_object().is_some_and(|map| !map.is_empty()) {
            documents.put_settings(app, settings).await?;
        }
        Ok(done)
    }
}

/// Tries a signing key at Apple; of a certificate, what can be seen of it here. What came of it.
async fn try_apns(
    deployment: &Deployment,
    service: ApnsService,
    document: &ApnsCredentials,
    now: Timestamp,
) -> Result<String, AppCommandError> {
    match document {
        ApnsCredentials::Certificate(certificate) => {
            let facts = vendors::certificate_checks(certificate, now).map_err(AppCommandError::Certificate)?;
            if !service.takes(&facts) {
                return Err(AppCommandError::OtherService(service.word()));
            }
            Ok(format!("The APNs certificate for {} is valid for {} more days.", facts.topic, facts.days_left))
        }
        ApnsCredentials::Key(key) => {
            let tried = vendors::apns(&deployment.http, &service.base_url(deployment), key, now).await;
            tried.map_err(|trouble| match trouble.is_passing() {
                true => AppCommandError::ApnsUnasked(Box::new(trouble)),
                false => AppCommandError::Apns(Box::new(trouble)),
            })?;
            Ok(format!("APNs ({}) takes the signing key.", service.word()))
        }
    }
}
