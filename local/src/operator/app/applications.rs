//! SNS platform applications: what iOS devices are reached by.
//! Source of the credentials' and events' attributes: the API reference of Amazon SNS, `SetPlatformApplicationAttributes`.

use std::collections::HashMap;

use aws_sdk_sns::error::ProvideErrorMetadata as _;
use pushbell::id::AppId;

use super::super::Deployment;
use super::super::aws::reason;
use super::super::vendors::{self, ApnsCredentials, CertificateFacts};

/// The attribute that names the iOS app.
const BUNDLE: &str = "ApplePlatformBundleID";

/// SNS did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[error("SNS did not {verb} the platform application {name}: {reason}")]
pub struct ApplicationError {
    verb: &'static str,
    name: String,
    reason: String,
}

/// Which of Apple's two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApnsService {
    /// Apps from the store and from TestFlight.
    Production,
    /// Development builds.
    Sandbox,
}

impl ApnsService {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Production, Self::Sandbox];

    /// SNS's platform.
    pub const fn platform(self) -> &'static str {
        match self {
            Self::Production => "APNS",
            Self::Sandbox => "APNS_SANDBOX",
        }
    }

    /// The setting that names the application.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Production => "apns",
            Self::Sandbox => "apns_sandbox",
        }
    }

    /// The word of the setting `sns.environment`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }

    /// Whether a certificate is for it.
    pub const fn takes(self, facts: &CertificateFacts) -> bool {
        match self {
            Self::Production => facts.production,
            Self::Sandbox => facts.sandbox,
        }
    }

    /// Where Apple takes pushes; on this machine the fake one, for both.
    pub fn base_url(self, deployment: &Deployment) -> String {
        match (&deployment.vendors, self) {
            (Some(vendors), _) => vendors.clone(),
            (None, Self::Production) => vendors::PRODUCTION.to_owned(),
            (None, Self::Sandbox) => vendors::SANDBOX.to_owned(),
        }
    }
}

/// The attributes that go with these credentials; dead tokens are told to the deployment's topic, if it has one.
fn attributes(deployment: &Deployment, credentials: &ApnsCredentials) -> HashMap<String, String> {
    let mut attributes: HashMap<String, String> = credentials.attributes().into_iter().collect();
    if let Some(topic) = deployment.events_topic() {
        let names = ["EventDeliveryFailure", "EventEndpointUpdated"];
        attributes.extend(names.map(|name| (name.to_owned(), topic.to_owned())));
    }
    attributes
}

/// The name of an app's application. Stages of one account have one each: an endpoint that one of them deletes would be gone for the other.
/// No stage's name holds a `_`, so no two apps share one.
pub(super) fn name(deployment: &Deployment, app: &AppId) -> String {
    format!("{app}_{}", deployment.env.stage())
}

/// Makes the application of an app, or gives the one at `arn` these credentials and switches it on. Its ARN. One of the app's name and bundle
/// id that is there already, left behind by a command that broke off, is taken.
pub(super) async fn put(
    deployment: &Deployment,
    app: &AppId,
    service: ApnsService,
    arn: Option<&str>,
    credentials: &ApnsCredentials,
) -> Result<String, ApplicationError> {
    let sns = aws_sdk_sns::Client::new(&deployment.config);
    let attributes = attributes(deployment, credentials);
    if let Some(arn) = arn
        && change(&sns, arn, attributes.clone()).await?
    {
        return Ok(arn.to_owned());
    }
    let name = name(deployment, app);
    let create = sns.create_platform_application().name(&name).platform(service.platform());
    let created = create.set_attributes(Some(attributes.clone())).send().await;
    let failed = |reason| ApplicationError { verb: "make", name: name.clone(), reason };
    match created {
        Ok(created) => {
            created.platform_application_arn().map(str::to_owned).ok_or_else(|| failed("no ARN came back".to_owned()))
        }
        // What SNS says of a name that is taken with other attributes is not documented, so it is looked for.
        Err(error) => match named(&sns, service, &name, attributes.get(BUNDLE)).await {
            Some(arn) if change(&sns, &arn, attributes).await? => Ok(arn),
            Some(_) | None => Err(failed(reason(&error))),
        },
    }
}

/// Gives an application other credentials, and switches it on. False when there is no such application.
async fn change(
    sns: &aws_sdk_sns::Client,
    arn: &str,
    attributes: HashMap<String, String>,
) -> Result<bool, ApplicationError> {
    let set = |attributes| {
        sns.set_platform_application_attributes().platform_application_arn(arn).set_attributes(Some(attributes)).send()
    };
    match set(attributes).await {
        Ok(_) => {}
        Err(error) if error.code() == Some("NotFound") => return Ok(false),
        Err(error) => {
            return Err(ApplicationError { verb: "change", name: arn.to_owned(), reason: reason(&error) });
        }
    }
    // SNS switches an application off whose credentials were refused. That this attribute may be set is not documented, so good credentials
    // do not depend on it; whether it is on, `doctor` tells.
    let _ = set(HashMap::from([("Enabled".to_owned(), "true".to_owned())])).await;
    Ok(true)
}

/// The ARN of the application with this name, if it is of this bundle id; `None` also where SNS does not tell.
async fn named(sns: &aws_sdk_sns::Client, service: ApnsService, name: &str, bundle: Option<&String>) -> Option<String> {
    let end = format!(":app/{}/{name}", service.platform());
    let mut pages = sns.list_platform_applications().into_paginator().send();
    while let Some(Ok(page)) = pages.next().await {
        for application in page.platform_applications() {
            let its_own = application.attributes().and_then(|attributes| attributes.get(BUNDLE));
            if let Some(arn) = application.platform_application_arn().filter(|arn| arn.ends_with(&end)) {
                return (its_own == bundle).then(|| arn.to_owned());
            }
        }
    }
    None
}

/// Deletes an application. Its endpoints stay at SNS, and reach nobody.
pub(super) async fn delete(deployment: &Deployment, arn: &str) -> Result<(), ApplicationError> {
    let sns = aws_sdk_sns::Client::new(&deployment.config);
    let deleted = sns.delete_platform_application().platform_application_arn(arn).send().await;
    deleted.map(|_| ()).map_err(|error| ApplicationError {
        verb: "delete",
        name: arn.to_owned(),
        reason: reason(&error),
    })
}
