//! iOS: the platform applications at SNS, and what they were given for Apple.

use std::collections::HashMap;

use aws_sdk_sns::error::ProvideErrorMetadata as _;
use pushbell::time::Timestamp;
use serde_json::Value;

use super::super::app::ApnsService;
use super::super::aws::reason;
use super::super::vendors::{self, ApnsCredentials, ApnsDocument};
use super::app::SIGNING_KEY;
use super::{Findings, One};

/// A certificate that ends within so many days is to be replaced.
const SOON_DAYS: u64 = 30;

/// The first is what SNS says, the second what its reference calls it.
const END: [&str; 2] = ["AppleCertificateExpirationDate", "AppleCertificateExpiryDate"];

pub(super) async fn look(one: One<'_>, settings: &Value, kept: &ApnsDocument, findings: &mut Findings) {
    for service in ApnsService::ALL {
        let arn = settings["sns"][service.setting()].as_str();
        let held = match service {
            ApnsService::Production => kept.production.as_ref(),
            ApnsService::Sandbox => kept.sandbox.as_ref(),
        };
        if let Some(arn) = arn {
            application(one, service, arn, held, findings).await;
        }
        match (held, arn) {
            (Some(held), _) => credentials(one, service, held, findings).await,
            (None, Some(_)) => findings.warn(
                format!("what SNS was given for Apple ({}) is not kept here, so it could not be tried", service.word()),
                format!("`{}` tries it and keeps it", update(one, service, None)),
            ),
            (None, None) => {}
        }
    }
}

/// The command that gives other credentials of the kind that is held.
fn update(one: One<'_>, service: ApnsService, held: Option<&ApnsCredentials>) -> String {
    match held {
        Some(ApnsCredentials::Certificate(_)) => update_certificate(one, service),
        Some(ApnsCredentials::Key(_)) | None => update_with(one, service, SIGNING_KEY),
    }
}

fn update_certificate(one: One<'_>, service: ApnsService) -> String {
    update_with(one, service, "--apns-certificate cert.pem --apns-private-key key.pem")
}

fn update_with(one: One<'_>, service: ApnsService, options: &str) -> String {
    match service {
        ApnsService::Production => one.command("update", options),
        ApnsService::Sandbox => one.command("update", &format!("{options} --sandbox")),
    }
}

async fn application(
    one: One<'_>,
    service: ApnsService,
    arn: &str,
    held: Option<&ApnsCredentials>,
    findings: &mut Findings,
) {
    let setting = format!("`sns.{}`", service.setting());
    let update = update(one, service, held);
    if !arn.contains(&format!(":app/{}/", service.platform())) {
        return findings.fail(
            format!("{setting} is not the ARN of an {} application", service.platform()),
            "correct the setting: production and sandbox may have been exchanged",
        );
    }
    let sns = aws_sdk_sns::Client::new(&one.deployment.config);
    let got = sns.get_platform_application_attributes().platform_application_arn(arn).send().await;
    let attributes: HashMap<String, String> = match got {
        Ok(got) => got.attributes().cloned().unwrap_or_default(),
        Err(error) if error.code() == Some("NotFound") => {
            return findings.fail(
                format!("the platform application of {setting} is not there: iPhones are not reached"),
                format!("`{update}` makes it anew; each device's endpoint follows with its next push"),
            );
        }
        Err(error) => {
            return findings.fail(
                format!("SNS did not tell of the platform application of {setting}: {}", reason(&error)),
                "it may be another account's or another region's: take the ARN of one in the stack's own",
            );
        }
    };
    let attribute = |name: &str| attributes.get(name).map(String::as_str);
    let mut is_well = true;
    if attribute("Enabled").is_some_and(|enabled| enabled.eq_ignore_ascii_case("false")) {
        findings.fail(
            format!("SNS has switched the platform application of {setting} off: Apple refused its credentials"),
            format!("give it good ones: `{update}`, which switches it on again"),
        );
        is_well = false;
    }
    if let Some(topic) = one.deployment.events_topic() {
        let hears =
            ["EventDeliveryFailure", "EventEndpointUpdated"].into_iter().all(|name| attribute(name) == Some(topic));
        if !hears {
            findings.warn(
                format!("the platform application of {setting} does not tell the stack of dead tokens: they go with the next push to them only"),
                format!("set its EventDeliveryFailure and EventEndpointUpdated to {topic}; `{update}` does"),
            );
            is_well = false;
        }
    }
    if let Some(ApnsCredentials::Key(key)) = held {
        for (name, kept) in [("ApplePlatformTeamID", &key.team_id), ("ApplePlatformBundleID", &key.topic)] {
            if let Some(given) = attribute(name).filter(|given| given != kept) {
                findings.fail(
                    format!("SNS has {name} {given} for {setting}, and {kept} is kept here"),
                    format!("`{update}` gives both the same"),
                );
                is_well = false;
            }
        }
    }
    if let Some(end) = END.into_iter().find_map(attribute).and_then(Timestamp::from_rfc3339) {
        is_well &= certificate_end(one, service, &format!("SNS's certificate of {setting}"), end, findings);
    }
    if is_well {
        findings.ok(format!("the platform application of {setting} is on"));
    }
}

/// Whether there is time left; what is to be done if not.
fn certificate_end(one: One<'_>, service: ApnsService, what: &str, end: Timestamp, findings: &mut Findings) -> bool {
    let now = one.now();
    let fix = format!(
        "make a new one in Apple's developer account, then `{}`; or take a signing key, which does not end",
        update_certificate(one, service)
    );
    if end <= now {
        findings.fail(format!("{what} ended at {}: iPhones are not reached", end.to_rfc3339()), fix);
        return false;
    }
    let days = end.since(now).as_secs() / 86_400;
    if days < SOON_DAYS {
        findings.warn(format!("{what} ends in {days} days"), fix);
        return false;
    }
    true
}

async fn credentials(one: One<'_>, service: ApnsService, held: &ApnsCredentials, findings: &mut Findings) {
    let word = service.word();
    match held {
        ApnsCredentials::Key(key) => {
            match vendors::apns(&one.deployment.http, &service.base_url(one.deployment), key, one.now()).await {
                Ok(()) => findings.ok(format!("Apple ({word}) takes the signing key {}", key.key_id)),
                Err(trouble) => {
                    findings.trouble(&format!("Apple ({word})"), trouble.is_passing(), &trouble.to_string());
                }
            }
        }
        ApnsCredentials::Certificate(certificate) => match vendors::certificate_checks(certificate, one.now()) {
            Ok(facts) => {
                if !service.takes(&facts) {
                    findings.fail(
                        format!("the certificate is not for {word}"),
                        format!(
                            "give each of Apple's services its own: `{}`, with --sandbox for development only",
                            update_certificate(one, service)
                        ),
                    );
                } else if certificate_end(one, service, "the certificate", facts.ends, findings) {
                    findings.ok(format!("the certificate for {} has {} days left", facts.topic, facts.days_left));
                }
            }
            Err(trouble) => findings.trouble(&format!("APNs ({word})"), false, &trouble.to_string()),
        },
    }
}
