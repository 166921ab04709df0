//! SNS platform applications: what iOS devices are reached by.
//! Source of the attributes: the API reference of Amazon SNS, `CreatePlatformApplication` and `SetPlatformApplicationAttributes`.

use std::collections::HashMap;

use pushbell::id::AppId;

use super::super::Deployment;
use super::super::aws::reason;
use super::super::vendors::{self, ApnsCredentials};

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

/// Makes the application of an app, or gives the one at `arn` these credentials and switches it on. Its ARN. One that has the name already,
/// left behind by a command that broke off, say, is taken.
pub(super) async fn put(
    deployment: &Deployment,
    app: &AppId,
    service: ApnsService,
    arn: Option<&str>,
    credentials: &ApnsCredentials,
) -> Result<String, ApplicationError> {
    let sns = pushbell::aws::sns(&deployment.env);
    let attributes = attributes(deployment, credentials);
    if let Some(arn) = arn {
        return change(&sns, arn, attributes).await;
    }
    // Stages of one account have an application each: an endpoint that one of them deletes would be gone for the other.
    let name = format!("{app}-{}", deployment.env.stage());
    let create = sns.create_platform_application().name(&name).platform(service.platform());
    let created = create.set_attributes(Some(attributes.clone())).send().await;
    let failed = |reason| ApplicationError { verb: "make", name: name.clone(), reason };
    match created {
        Ok(created) => {
            created.platform_application_arn().map(str::to_owned).ok_or_else(|| failed("no ARN came back".to_owned()))
        }
        // What SNS says of a name that is taken with other attributes is not documented, so it is looked for.
        Err(error) => match named(&sns, service, &name).await {
            Some(arn) => change(&sns, &arn, attributes).await,
            None => Err(failed(reason(&error))),
        },
    }
}

async fn change(
    sns: &aws_sdk_sns::Client,
    arn: &str,
    mut attributes: HashMap<String, String>,
) -> Result<String, ApplicationError> {
    // SNS switches an application off whose credentials were refused.
    attributes.insert("Enabled".to_owned(), "true".to_owned());
    let set = sns.set_platform_application_attributes().platform_application_arn(arn);
    let set = set.set_attributes(Some(attributes)).send().await;
    let failed = |reason| ApplicationError { verb: "change", name: arn.to_owned(), reason };
    set.map(|_| arn.to_owned()).map_err(|error| failed(reason(&error)))
}

/// The ARN of the application with this name; `None` also where SNS does not tell.
async fn named(sns: &aws_sdk_sns::Client, service: ApnsService, name: &str) -> Option<String> {
    let end = format!(":app/{}/{name}", service.platform());
    let mut pages = sns.list_platform_applications().into_paginator().send();
    while let Some(Ok(page)) = pages.next().await {
        let arns = page.platform_applications().iter().filter_map(|application| application.platform_application_arn());
        if let Some(arn) = arns.into_iter().find(|arn| arn.ends_with(&end)) {
            return Some(arn.to_owned());
        }
    }
    None
}

/// Deletes an application. Its endpoints stay at SNS, and reach nobody.
pub(super) async fn delete(deployment: &Deployment, arn: &str) -> Result<(), ApplicationError> {
    let sns = pushbell::aws::sns(&deployment.env);
    let deleted = sns.delete_platform_application().platform_application_arn(arn).send().await;
    deleted.map(|_| ()).map_err(|error| ApplicationError {
        verb: "delete",
        name: arn.to_owned(),
        reason: reason(&error),
    })
}
