#![allow(clippy::unwrap_used, clippy::expect_used)]
//! Each broken setup by the line that tells of it. Everything but the broken thing is well, and stays so.

use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use pushbell::id::AppId;
use pushbell::time::Timestamp;
use serde_json::json;

use super::super::ward::{TOPIC, Ward, acme};
use super::super::{Deployment, Where, dead_letters};
use super::{Clock, Finding, Level, Report};
use crate::cli::{Cli, Command};

/// What `doctor` sees. Whatever is told to be run can be run: it is parsed, and says where.
async fn look(deployment: &Deployment, app: Option<&AppId>, clock: Clock<'_>) -> Report {
    let report = super::run(deployment, app, clock, |_| {}).await.unwrap();
    for finding in &report.findings {
        for command in commands(finding) {
            let line = ["pushbell"].into_iter().chain(command.split_whitespace());
            Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{command}: {error}"));
            assert!(command.ends_with(&deployment.place), "{command}");
        }
    }
    report
}

/// The commands of ours that a finding has in backquotes.
fn commands(finding: &Finding) -> Vec<String> {
    let told = format!("{} {}", finding.seen, finding.fix.as_deref().unwrap_or_default());
    let cli = Cli::command();
    let is_ours = |quoted: &&str| cli.find_subcommand(quoted.split(' ').next().unwrap_or_default()).is_some();
    told.split('`').skip(1).step_by(2).filter(is_ours).map(str::to_owned).collect()
}

/// What `doctor acme` sees now.
async fn seen(ward: &Ward) -> Report {
    look(&ward.deployment().await, Some(&acme()), &Timestamp::now).await
}

fn text(report: &Report) -> String {
    report.findings.iter().map(Finding::text).collect::<Vec<_>>().join("\n")
}

/// That there is exactly one line that is not ok, of this level and beginning so, and with something to do.
#[track_caller]
fn only(report: &Report, level: Level, begins: &str) {
    let bad: Vec<_> = report.findings.iter().filter(|finding| finding.level != Level::Ok).collect();
    let [finding] = bad.as_slice() else { panic!("one line, and not {bad:#?}") };
    assert_eq!(finding.level, level, "{finding:?}");
    assert!(finding.seen.starts_with(begins), "{finding:?}");
    assert!(finding.fix.as_ref().is_some_and(|fix| !fix.is_empty()), "{finding:?}");
}

#[tokio::test]
async fn what_is_set_up_well_is_well_and_every_look_is_told() {
    let ward = Ward::with_acme().await;
    let report = seen(&ward).await;
    assert_eq!(report.worst(), Level::Ok, "{}", text(&report));
    let seen: Vec<&str> = report.findings.iter().map(|finding| finding.seen.as_str()).collect();
    for begins in [
        "its status is CREATE_COMPLETE",
        "tables: 4 as the template says",
        "schedules: 1 as the template says",
        "no dead letters",
        "the API answers at http://127.0.0.1",
        "this machine's clock is right",
        "`callers` is read",
        "its secrets are valid",
        "the hooks answer, from here",
        "Tencent's hook answers, from here",
        "FCM takes the service account of the project acme-chat",
        "the platform application of `sns.apns` is on",
        "Apple (production) takes the signing key",
        "outcomes are signed and posted",
    ] {
        assert!(seen.iter().any(|seen| seen.starts_with(begins)), "{begins} in {seen:#?}");
    }
}

#[tokio::test]
async fn no_secret_is_in_what_is_told() {
    let ward = Ward::with_acme().await;
    let told = text(&seen(&ward).await);
    let callers = std::fs::read_to_string(ward.path("apps/acme/callers.json")).unwrap();
    let callers: serde_json::Value = serde_json::from_str(&callers).unwrap();
    for list in ["hook_secrets", "api_keys", "master_secrets"] {
        assert!(!told.contains(callers[list][0].as_str().unwrap()), "{list}");
    }
}

#[tokio::test]
async fn what_is_seen_is_told_at_once_and_an_app_that_takes_long_keeps_no_other_from_being_looked_at() {
    use crate::faults::{Effect, Rule, Target};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let ward = Ward::with_acme().await;
    ward.app(&["add", "beta"]).await.unwrap();
    // The first app's secrets are held back until the second is almost through.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let path = ward.path("apps/beta/callers.json");
    let mut callers: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    callers["verify_url"] = json!(format!("http://{}/me", listener.local_addr().unwrap()));
    std::fs::write(&path, callers.to_string()).unwrap();
    let aws = &ward.stack.aws;
    let hold = Rule::new(Target::Secrets, Effect::Hang).action("GetSecretValue").body_contains("acme/callers");
    aws.faults.add(hold).unwrap();
    let faults = aws.faults.clone();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            socket.read_buf(&mut asked).await.unwrap();
        }
        faults.clear();
        socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    });
    aws.calls.start();
    let mut told = Vec::new();
    let deployment = ward.deployment().await;
    let looked = super::run(&deployment, None, &Timestamp::now, |found| {
        let are_apps_begun = aws.calls.made().contains_key("secretsmanager:GetSecretValue");
        told.extend(found.iter().map(|finding| (finding.clone(), are_apps_begun)));
    });
    let report = tokio::time::timeout(Duration::from_secs(30), looked).await.unwrap().unwrap();
    assert_eq!(told.iter().map(|(finding, _)| finding.clone()).collect::<Vec<_>>(), report.findings);
    assert!(told.iter().all(|(finding, begun)| *begun == finding.of.starts_with("app ")), "{told:#?}");
    let mut order: Vec<&str> = report.findings.iter().map(|finding| finding.of.as_str()).collect();
    order.dedup();
    assert_eq!(order, ["stack pushbell-local", "app acme", "app beta"]);
    assert!(
        report.findings.iter().any(|finding| finding.of == "app beta" && finding.seen == "`verify_url` is reached")
    );
}

#[test]
fn findings_are_summed_up_by_level() {
    let finding = |level| Finding { level, of: "app acme".to_owned(), seen: "seen".to_owned(), fix: None };
    let report = Report { findings: [Level::Ok, Level::Ok, Level::Fail].map(finding).into() };
    assert_eq!(report.sum(), "2 ok, 0 to be looked at, 1 that do not work.");
    assert_eq!(report.findings[2].text(), "fail  app acme: seen");
}

// ------------------------------------------------------------------------------------------------------- the vendors

#[tokio::test]
async fn a_key_of_another_account_at_google() {
    let ward = Ward::with_acme().await;
    // Google knows the account, and another key of it.
    ward.edit("vendors", |vendors| vendors["fcm"]["service_account"]["private_key"] = json!(OTHER_RSA_KEY)).await;
    only(&seen(&ward).await, Level::Fail, "FCM: Google does not know the key (Invalid JWT Signature)");
}

#[tokio::test]
async fn an_account_that_was_deleted_at_google() {
    let ward = Ward::with_acme().await;
    let email = ward.account["client_email"].as_str().unwrap().to_owned();
    ward.control("DELETE", &format!("vendors/fcm/accounts/{email}"), &json!({})).await;
    only(&seen(&ward).await, Level::Fail, "FCM: Google does not know the service account");
}

#[tokio::test]
async fn an_account_of_another_project() {
    let ward = Ward::with_acme().await;
    ward.edit("vendors", |vendors| vendors["fcm"]["service_account"]["project_id"] = json!("another")).await;
    only(&seen(&ward).await, Level::Fail, "FCM: the service account may not send in the project");
}

#[tokio::test]
async fn a_key_that_was_cut_when_it_was_pasted() {
    let ward = Ward::with_acme().await;
    ward.edit("vendors", |vendors| {
        vendors["fcm"]["service_account"]["private_key"] = json!("-----BEGIN PRIVATE KEY-----\nMIIEv\n");
    })
    .await;
    only(&seen(&ward).await, Level::Fail, "FCM: private_key of the key file is no RSA key in PEM");
}

#[tokio::test]
async fn a_team_that_is_not_the_keys() {
    let ward = Ward::with_acme().await;
    ward.edit("apns", |apns| apns["production"]["team_id"] = json!("OTHERTEAM1")).await;
    let report = seen(&ward).await;
    let fails: Vec<&str> = report.findings.iter().filter(|f| f.level == Level::Fail).map(|f| f.seen.as_str()).collect();
    let [sns, apple] = fails.as_slice() else { panic!("two, and not {fails:#?}") };
    assert_eq!(*sns, "SNS has ApplePlatformTeamID TEAM123456 for `sns.apns`, and OTHERTEAM1 is kept here");
    assert!(apple.starts_with("Apple (production): Apple does not know the key"), "{apple}");
}

#[tokio::test]
async fn a_key_that_was_revoked_at_apple() {
    let ward = Ward::with_acme().await;
    ward.control("DELETE", &format!("vendors/apns/keys/{}", ward.key_id), &json!({})).await;
    only(&seen(&ward).await, Level::Fail, "Apple (production): Apple does not know the key");
}

#[tokio::test]
async fn vendors_that_cannot_be_asked_say_nothing_of_the_credentials() {
    use crate::faults::{Effect, Rule, Target};
    let ward = Ward::with_acme().await;
    for (target, effect, seen_of_it) in [
        (Target::Fcm, Effect::Unavailable { retry_after: 1 }, "FCM could not be asked: FCM is out of order"),
        (Target::Oauth, Effect::Error429 { retry_after: 1 }, "FCM could not be asked: Google was asked too often"),
    ] {
        ward.stack.aws.faults.replace(vec![Rule::new(target, effect)]).unwrap();
        only(&seen(&ward).await, Level::Warn, seen_of_it);
    }
    ward.stack.aws.faults.clear();
    let (_held, free) = crate::operator::ward::nobody();
    let mut deployment = ward.deployment().await;
    deployment.vendors = Some(format!("http://{free}"));
    let report = look(&deployment, Some(&acme()), &Timestamp::now).await;
    only(&report, Level::Warn, &format!("Apple (production) could not be asked: {free} does not answer"));
}

#[tokio::test]
async fn what_to_do_is_told_apart_from_what_is_wrong() {
    let ward = Ward::with_acme().await;
    ward.control("DELETE", &format!("vendors/apns/keys/{}", ward.key_id), &json!({})).await;
    let report = seen(&ward).await;
    let finding = report.findings.iter().find(|finding| finding.level == Level::Fail).unwrap();
    assert_eq!(finding.seen, "Apple (production): Apple does not know the key");
    assert!(finding.fix.as_ref().unwrap().starts_with("compare key_id"), "{finding:?}");
}

#[tokio::test]
async fn a_bundle_id_that_the_key_may_not_push_to() {
    let ward = Ward::with_acme().await;
    ward.edit("apns", |apns| apns["production"]["topic"] = json!("com.example.other")).await;
    let report = seen(&ward).await;
    let told = text(&report);
    assert!(told.contains("Apple (production): the key may not push to topic"), "{told}");
    assert!(
        told.contains(&format!(
            "SNS has ApplePlatformBundleID {TOPIC} for `sns.apns`, and com.example.other is kept here"
        )),
        "{told}"
    );
}

#[tokio::test]
async fn an_application_that_is_gone_at_sns() {
    let ward = Ward::with_acme().await;
    let deployment = ward.deployment().await;
    let sns = pushbell::aws::sns(&deployment.env);
    let arn = "arn:aws:sns:us-east-1:000000000000:app/APNS/acme_local";
    sns.delete_platform_application().platform_application_arn(arn).send().await.unwrap();
    only(&seen(&ward).await, Level::Fail, "the platform application of `sns.apns` is not there");
}

/// A stack whose app has a certificate for these of Apple's services, up to the year 2124.
async fn with_certificate(kinds: &[u64]) -> Ward {
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, date_time_ymd};
    let ward = Ward::empty().await;
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2124, 1, 1));
    params.distinguished_name.push(DnType::from_oid(&[0, 9, 2342, 19_200_300, 100, 1, 1]), TOPIC);
    let extension = |kind: &u64| CustomExtension::from_oid_content(&[1, 2, 840, 113_635, 100, 6, 3, *kind], vec![5, 0]);
    params.custom_extensions = kinds.iter().map(extension).collect();
    // As `openssl pkcs12 -nodes` writes both into one file.
    let both = format!("Bag Attributes\n{}{}", params.self_signed(&pair).unwrap().pem(), pair.serialize_pem());
    let file = ward.write("apns.pem", &both);
    ward.app(&["add", "acme", "--apns-certificate", &file, "--apns-private-key", &file]).await.unwrap();
    ward
}

/// What `doctor acme` sees that much before the year 2124.
async fn seen_before_its_end(ward: &Ward, days: u64) -> Vec<(Level, String)> {
    let end = Timestamp::from_rfc3339("2124-01-01T00:00:00Z").unwrap();
    let now = end.minus(Duration::from_secs(days * 86_400 + 60));
    let report = look(&ward.deployment().await, Some(&acme()), &|| now).await;
    let of_it = report.findings.into_iter().filter(|finding| finding.seen.contains("certificate"));
    of_it.map(|finding| (finding.level, finding.seen)).collect()
}

#[tokio::test]
async fn a_certificate_that_ended_and_one_that_soon_will() {
    let ward = with_certificate(&[2]).await;
    let told = "the certificate for com.example.acme has 40 days left".to_owned();
    assert_eq!(seen_before_its_end(&ward, 40).await, [(Level::Ok, told)]);
    assert_eq!(
        seen_before_its_end(&ward, 12).await,
        [
            (Level::Warn, "SNS's certificate of `sns.apns` ends in 12 days".to_owned()),
            (Level::Warn, "the certificate ends in 12 days".to_owned()),
        ]
    );
    let end = Timestamp::from_rfc3339("2124-01-01T00:00:00Z").unwrap();
    let report = look(&ward.deployment().await, Some(&acme()), &|| end).await;
    let told = text(&report);
    assert!(
        told.contains(
            "fail  app acme: SNS's certificate of `sns.apns` ended at 2124-01-01T00:00:00Z: iPhones are not reached"
        ),
        "{told}"
    );
    assert!(
        told.contains("fail  app acme: APNs (production): the certificate ended at 2124-01-01T00:00:00Z"),
        "{told}"
    );
}

#[tokio::test]
async fn a_certificate_for_apples_other_service() {
    let ward = with_certificate(&[1, 2]).await;
    // Somebody puts another one there.
    let other = with_certificate(&[2]).await;
    let kept = std::fs::read_to_string(other.path("apps/acme/apns.json")).unwrap();
    let given: serde_json::Value = serde_json::from_str(&kept).unwrap();
    ward.edit("apns", |apns| *apns = json!({ "sandbox": given["production"] })).await;
    let told = text(&seen(&ward).await);
    assert!(told.contains("fail  app acme: the certificate is not for sandbox"), "{told}");
    assert!(told.contains("warn  app acme: what SNS was given for Apple (production) is not kept here"), "{told}");
}

async fn set_application(ward: &Ward, name: &str, value: &str) {
    let deployment = ward.deployment().await;
    let sns = pushbell::aws::sns(&deployment.env);
    let arn = "arn:aws:sns:us-east-1:000000000000:app/APNS/acme_local";
    let set = sns.set_platform_application_attributes().platform_application_arn(arn);
    set.attributes(name, value).send().await.unwrap();
}

#[tokio::test]
async fn an_application_that_sns_has_switched_off() {
    let ward = Ward::with_acme().await;
    set_application(&ward, "Enabled", "false").await;
    only(&seen(&ward).await, Level::Fail, "SNS has switched the platform application of `sns.apns` off");
}

#[tokio::test]
async fn an_application_that_does_not_tell_of_dead_tokens() {
    let ward = Ward::with_acme().await;
    set_application(&ward, "EventDeliveryFailure", "").await;
    only(
        &seen(&ward).await,
        Level::Warn,
        "the platform application of `sns.apns` does not tell the stack of dead tokens",
    );
}

#[tokio::test]
async fn what_a_development_build_has_is_replaced_as_such() {
    let ward = Ward::empty().await;
    ward.add(&["--sandbox"]).await.unwrap();
    std::fs::remove_file(ward.path("apps/acme/apns.json")).unwrap();
    let report = seen(&ward).await;
    only(&report, Level::Warn, "what SNS was given for Apple (sandbox) is not kept here");
    assert!(text(&report).contains(" --topic … --sandbox --url "), "{}", text(&report));
}

#[tokio::test]
async fn production_and_sandbox_exchanged() {
    let ward = Ward::with_acme().await;
    ward.edit("settings", |settings| {
        settings["sns"]["apns"] = json!("arn:aws:sns:us-east-1:000000000000:app/APNS_SANDBOX/acme_local");
    })
    .await;
    only(&seen(&ward).await, Level::Fail, "`sns.apns` is not the ARN of an APNS application");
}

#[tokio::test]
async fn no_vendor_at_all() {
    let ward = Ward::empty().await;
    ward.app(&["add", "acme"]).await.unwrap();
    only(&seen(&ward).await, Level::Warn, "it has no vendor: nobody's phone is reached");
}

// ---------------------------------------------------------------------------------------------------------- the stack

#[tokio::test]
async fn a_table_that_somebody_deleted() {
    let ward = Ward::with_acme().await;
    assert!(ward.stack.aws.inventory.remove("TasksTable"));
    only(&seen(&ward).await, Level::Fail, "TasksTable is gone: somebody deleted it");
}

#[tokio::test]
async fn a_table_whose_time_to_live_is_off() {
    let ward = Ward::with_acme().await;
    let deployment = ward.deployment().await;
    let tables = aws_sdk_dynamodb::Client::new(&deployment.config);
    let off = aws_sdk_dynamodb::types::TimeToLiveSpecification::builder().attribute_name("ttl").enabled(false);
    let update = tables.update_time_to_live().table_name("DeferredTable");
    update.time_to_live_specification(off.build().unwrap()).send().await.unwrap();
    only(
        &seen(&ward).await,
        Level::Fail,
        "DeferredTable: Enabled is false, and true in the template: what is over is not deleted",
    );
}

#[tokio::test]
async fn a_table_without_backup() {
    let ward = Ward::with_acme().await;
    let off = json!({ "PointInTimeRecoveryEnabled": false });
    assert!(ward.stack.aws.inventory.change("RegistryTable", "PointInTimeRecoverySpecification", off));
    only(
        &seen(&ward).await,
        Level::Warn,
        "RegistryTable: PointInTimeRecoveryEnabled is false, and true in the template: there is no backup",
    );
}

#[tokio::test]
async fn a_queue_that_is_gone() {
    let ward = Ward::with_acme().await;
    assert!(ward.stack.aws.inventory.remove("DeliverDeadLetters"));
    only(&seen(&ward).await, Level::Fail, "DeliverDeadLetters is gone");
}

#[tokio::test]
async fn a_queue_that_puts_nothing_aside() {
    let ward = Ward::with_acme().await;
    assert!(ward.stack.aws.inventory.change("DeliverQueue", "RedrivePolicy", json!(null)));
    only(&seen(&ward).await, Level::Fail, "DeliverQueue: maxReceiveCount is null, and 5 in the template");
}

#[tokio::test]
async fn a_queue_that_nobody_works_off() {
    let ward = Ward::with_acme().await;
    assert!(ward.stack.aws.inventory.change("DeliverFunctionQueue", "Enabled", json!(false)));
    only(
        &seen(&ward).await,
        Level::Fail,
        "DeliverFunctionQueue: Enabled is false, and true in the template: the queue is not worked off",
    );
}

#[tokio::test]
async fn a_schedule_that_stands_still() {
    let ward = Ward::with_acme().await;
    assert!(ward.stack.aws.inventory.change("RetryFunctionEvery", "State", json!("DISABLED")));
    only(
        &seen(&ward).await,
        Level::Fail,
        "RetryFunctionEvery: State is DISABLED, and ENABLED in the template: the timer stands still",
    );
}

#[tokio::test]
async fn a_function_that_may_not_run() {
    let ward = Ward::with_acme().await;
    assert!(ward.stack.aws.inventory.change("NotifyFunction", "ReservedConcurrentExecutions", json!(0)));
    only(
        &seen(&ward).await,
        Level::Fail,
        "NotifyFunction: ReservedConcurrentExecutions is 0, and null in the template",
    );
}

#[tokio::test]
async fn an_alarm_that_is_gone() {
    let ward = Ward::with_acme().await;
    assert!(ward.stack.aws.inventory.remove("DeadLettersAlarm"));
    only(&seen(&ward).await, Level::Fail, "DeadLettersAlarm is gone");
}

#[tokio::test]
async fn an_alarm_whose_actions_are_off() {
    let ward = Ward::with_acme().await;
    assert!(ward.stack.aws.inventory.change("QueueAgeAlarm", "ActionsEnabled", json!(false)));
    only(
        &seen(&ward).await,
        Level::Warn,
        "QueueAgeAlarm: ActionsEnabled is false, and true in the template: nobody hears of it",
    );
}

const ALARM_TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:alarms";

/// A stack that was deployed with a topic for its alarms.
async fn with_alarm_topic() -> Ward {
    let ward = Ward::with_acme().await;
    let inventory = &ward.stack.aws.inventory;
    inventory.set_parameter("AlarmTopicArn", ALARM_TOPIC);
    for (id, resource) in ward.deployment().await.resources {
        if resource.kind == "AWS::CloudWatch::Alarm" {
            assert!(inventory.change(&id, "AlarmActions", json!([ALARM_TOPIC])));
        }
    }
    ward
}

#[tokio::test]
async fn alarms_that_nobody_hears() {
    let ward = with_alarm_topic().await;
    let sns = &ward.stack.aws.sns;
    only(&seen(&ward).await, Level::Fail, &format!("alarms tell nobody: the topic {ALARM_TOPIC} is not there"));
    sns.ensure_topic(ALARM_TOPIC);
    only(&seen(&ward).await, Level::Warn, &format!("alarms tell nobody: nobody is subscribed to {ALARM_TOPIC}"));
    sns.subscribe_mail(ALARM_TOPIC, "ops@example.com", false);
    only(
        &seen(&ward).await,
        Level::Warn,
        &format!("alarms tell nobody: no subscription of {ALARM_TOPIC} was confirmed"),
    );
    sns.subscribe_mail(ALARM_TOPIC, "oncall@example.com", true);
    let report = seen(&ward).await;
    let told = text(&report);
    assert_eq!(report.worst(), Level::Ok, "{told}");
    assert!(told.contains(&format!("alarms are told to {ALARM_TOPIC} (subscriptions: 1); ")), "{told}");
    assert!(told.contains("--alarm-name-prefix pushbell-local-`"), "{told}");
}

#[tokio::test]
async fn an_alarm_topic_that_may_not_be_looked_at() {
    use crate::faults::{Effect, Rule, Target};
    let ward = with_alarm_topic().await;
    let refused = Rule::new(Target::Sns, Effect::Error500).action("ListSubscriptionsByTopic");
    ward.stack.aws.faults.add(refused).unwrap();
    let begins = format!("alarms are told to {ALARM_TOPIC}; whether anybody hears of them could not be looked at: ");
    only(&seen(&ward).await, Level::Warn, &begins);
}

#[tokio::test]
async fn an_alarm_that_tells_somebody_else() {
    let ward = with_alarm_topic().await;
    ward.stack.aws.sns.subscribe_mail(ALARM_TOPIC, "oncall@example.com", true);
    assert!(ward.stack.aws.inventory.change("QueueAgeAlarm", "AlarmActions", json!([])));
    only(
        &seen(&ward).await,
        Level::Warn,
        "QueueAgeAlarm: AlarmActions is [], and [\"arn:aws:sns:us-east-1:000000000000:alarms\"] in the template: ",
    );
}

#[tokio::test]
async fn a_deploy_that_was_rolled_back_and_one_that_failed() {
    let ward = Ward::with_acme().await;
    ward.stack.aws.inventory.set_status("UPDATE_ROLLBACK_COMPLETE");
    only(&seen(&ward).await, Level::Warn, "its last deploy failed and was rolled back");
    ward.stack.aws.inventory.set_status("UPDATE_ROLLBACK_FAILED");
    only(&seen(&ward).await, Level::Fail, "its last deploy failed (UPDATE_ROLLBACK_FAILED)");
}

#[tokio::test]
async fn dead_letters_that_wait() {
    let ward = Ward::with_acme().await;
    let letter = crate::aws::sqs::Outgoing { body: "{}".to_owned(), ..Default::default() };
    ward.stack.aws.queues.send("DeliverDeadLetters", &letter).unwrap();
    only(&seen(&ward).await, Level::Warn, "1 record waits in DeliverDeadLetters");
}

#[tokio::test]
async fn dead_letters_are_told_to_be_replayed_where_they_can_be() {
    let ward = Ward::with_acme().await;
    let deployment = ward.deployment().await;
    let queues: Vec<&String> = deployment.resources.keys().filter(|id| id.ends_with("DeadLetters")).collect();
    for queue in &queues {
        let letter = crate::aws::sqs::Outgoing { body: "{}".to_owned(), ..Default::default() };
        ward.stack.aws.queues.send(queue, &letter).unwrap();
    }
    let report = seen(&ward).await;
    let told: Vec<String> = report.findings.iter().flat_map(commands).collect();
    assert_eq!(told.iter().filter(|command| command.starts_with("dead-letters show ")).count(), queues.len());
    for queue in queues {
        let line = format!("dead-letters replay {queue} --all{}", deployment.place);
        let typed = ["pushbell"].into_iter().chain(line.split(' '));
        let Some(Command::DeadLetters(asked)) = Cli::parse_from(typed).command else { panic!("{line}") };
        let replayed = dead_letters::run(&deployment, &asked.command).await;
        assert_eq!(replayed.is_ok(), told.contains(&line), "{line}: {replayed:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_off() {
    let ward = Ward::with_acme().await;
    let deployment = ward.deployment().await;
    let later = |seconds| Timestamp::now().plus(Duration::from_secs(seconds));
    let told = text(&look(&deployment, None, &|| later(60)).await);
    assert!(told.contains("warn  stack pushbell-local: this machine's clock is"), "{told}");
    let told = text(&look(&deployment, None, &|| later(900)).await);
    assert!(told.contains("fail  stack pushbell-local: this machine's clock is"), "{told}");
}

/// What `doctor acme` sees by a clock that is 90 s behind until a call of this kind was made.
async fn seen_with_time_passing(ward: &Ward, until: &str) -> Report {
    let calls = &ward.stack.aws.calls;
    calls.start();
    let clock = || match calls.made().contains_key(until) {
        true => Timestamp::now(),
        false => Timestamp::now().minus(Duration::from_secs(90)),
    };
    look(&ward.deployment().await, Some(&acme()), &clock).await
}

#[tokio::test]
async fn the_time_that_a_look_takes_makes_no_finding() {
    let ward = Ward::with_acme().await;
    let report = seen_with_time_passing(&ward, "cloudformation:GetResource").await;
    assert_eq!(report.worst(), Level::Ok, "{}", text(&report));
    // The API was asked before, so its clock is told; Tencent's callback is signed after it.
    let report = seen_with_time_passing(&ward, "secretsmanager:GetSecretValue").await;
    only(&report, Level::Warn, "this machine's clock is ");
}

#[tokio::test]
async fn an_address_that_leads_nowhere_and_one_that_leads_elsewhere() {
    let ward = Ward::with_acme().await;
    let (_held, free) = crate::operator::ward::nobody();
    let mut deployment = ward.deployment().await;
    deployment.url = format!("http://{free}");
    let told = text(&look(&deployment, Some(&acme()), &Timestamp::now).await);
    assert!(told.contains(&format!("the API at http://{free} is not reached")), "{told}");
    deployment.url = ward.stack.aws_url().to_owned();
    let told = text(&look(&deployment, Some(&acme()), &Timestamp::now).await);
    assert!(told.contains("is not the API"), "{told}");
    // The app's secrets are not sent to whoever answers there.
    assert!(!told.contains("the hooks"), "{told}");
}

// ------------------------------------------------------------------------------------------------------ the documents

#[tokio::test]
async fn no_app_at_all() {
    let ward = Ward::empty().await;
    only(&look(&ward.deployment().await, None, &Timestamp::now).await, Level::Warn, "there is none");
}

#[tokio::test]
async fn apps_that_cannot_be_listed() {
    use crate::faults::{Effect, Rule, Target};
    let ward = Ward::with_acme().await;
    ward.stack.aws.faults.add(Rule::new(Target::Secrets, Effect::Refuse).action("ListSecrets")).unwrap();
    let report = look(&ward.deployment().await, None, &Timestamp::now).await;
    only(&report, Level::Warn, "Secrets Manager did not list");
}

#[tokio::test]
async fn an_app_that_is_not_there() {
    let ward = Ward::empty().await;
    only(&seen(&ward).await, Level::Fail, "there is no such app here");
}

#[tokio::test]
async fn an_app_without_callers() {
    let ward = Ward::with_acme().await;
    std::fs::remove_file(ward.path("apps/acme/callers.json")).unwrap();
    only(&seen(&ward).await, Level::Fail, "it has no `callers` document");
}

#[tokio::test]
async fn callers_that_cannot_be_read() {
    let ward = Ward::with_acme().await;
    ward.edit("callers", |callers| callers["hook_secretz"] = json!(["s3cret-s3cret-s3cret"])).await;
    let report = seen(&ward).await;
    only(&report, Level::Fail, "`callers` cannot be read, and all calls are answered 503");
    assert!(!text(&report).contains("s3cret"));
}

#[tokio::test]
async fn settings_with_a_field_that_this_release_does_not_know() {
    let ward = Ward::with_acme().await;
    ward.edit("settings", |settings| settings["titel"] = json!("Acme")).await;
    let report = seen(&ward).await;
    let told = text(&report);
    assert!(told.contains("`settings` cannot be read, and its calls are answered 503, and its pushes fail"), "{told}");
    assert!(told.contains("unknown field `titel`"), "{told}");
    assert!(told.contains("the hooks are out of order for the app (APP_MISCONFIGURED)"), "{told}");
}

#[tokio::test]
async fn a_hook_secret_that_is_over_and_one_that_will_be() {
    let ward = Ward::with_acme().await;
    ward.edit("callers", |callers| callers["hook_secrets"] = json!([{ "value": "x".repeat(32), "until": 1 }])).await;
    only(&seen(&ward).await, Level::Fail, "every hook secret is over");

    let ward = Ward::with_acme().await;
    let end = Timestamp::now().plus(Duration::from_secs(3_600));
    ward.edit("callers", |callers| {
        let secret = callers["hook_secrets"][0].clone();
        callers["hook_secrets"] = json!([{ "value": secret, "until": end.as_millis() }]);
    })
    .await;
    only(&seen(&ward).await, Level::Warn, "the last hook secret ends at ");
}

#[tokio::test]
async fn a_secret_that_can_be_guessed() {
    let ward = Ward::with_acme().await;
    ward.edit("callers", |callers| callers["master_secrets"] = json!(["letmein"])).await;
    let report = seen(&ward).await;
    only(&report, Level::Warn, "a master secret has less than 20 characters");
    assert!(!text(&report).contains("letmein"));
}

#[tokio::test]
async fn a_user_key_that_verifies_nothing() {
    let ward = Ward::with_acme().await;
    ward.edit("callers", |callers| callers["user_keys"] = json!([{ "alg": "HS256", "key": "too short" }])).await;
    only(&seen(&ward).await, Level::Fail, "a HS256 key of user tokens has less than 32 bytes");
}

#[tokio::test]
async fn hooks_that_are_for_other_machines() {
    let ward = Ward::with_acme().await;
    ward.edit("callers", |callers| callers["hook_sources"] = json!(["203.0.113.0/24"])).await;
    only(&seen(&ward).await, Level::Warn, "the hooks are for 1 sources only, and this machine is none of them");
}

#[tokio::test]
async fn outcomes_that_nothing_signs() {
    let ward = Ward::with_acme().await;
    std::fs::remove_file(ward.path("apps/acme/results.json")).unwrap();
    only(&seen(&ward).await, Level::Fail, "outcomes are to be posted, and there is no valid key to sign them with");
}

#[tokio::test]
async fn tencents_callbacks_without_a_signature_and_without_a_number() {
    let ward = Ward::with_acme().await;
    ward.edit("callers", |callers| callers["tencent_tokens"] = json!([])).await;
    only(&seen(&ward).await, Level::Warn, "Tencent's callbacks are taken without a signature");

    let ward = Ward::with_acme().await;
    ward.edit("settings", |settings| settings["tencent"] = json!({})).await;
    only(&seen(&ward).await, Level::Warn, "there is a token for Tencent, and no `tencent.sdk_app_id`");
}

#[tokio::test]
async fn rules_that_hear_of_nothing() {
    let ward = Ward::with_acme().await;
    ward.edit("settings", |settings| {
        settings["triggers"] = json!([{
            "name": "scores", "on": { "table": "scores", "changes": ["insert"] },
            "audience": { "all": true }, "message": { "text": "{{winningTeam}} won" },
        }]);
    })
    .await;
    // The stack was started before the app was made.
    only(&seen(&ward).await, Level::Fail, "1 rules wait for tables or buses, and TriggerApps does not name the app");
    ward.stack.aws.inventory.set_parameter("TriggerApps", "other, acme");
    assert_eq!(seen(&ward).await.worst(), Level::Ok);
}

#[tokio::test]
async fn an_address_for_sign_ins_that_is_not_reached() {
    let ward = Ward::with_acme().await;
    let (_held, free) = crate::operator::ward::nobody();
    ward.edit("callers", |callers| callers["verify_url"] = json!(format!("http://{free}/me"))).await;
    only(&seen(&ward).await, Level::Fail, "`verify_url` is not reached");
}

#[tokio::test]
async fn a_stage_that_is_another_one() {
    let ward = Ward::empty().await;
    ward.stack.aws.inventory.set_parameter("Stage", "prod");
    let place = Where { url: Some(ward.stack.url()), ..Where::default() };
    let error = Deployment::find(&place).await.err().unwrap();
    assert_eq!(error.to_string(), "the stack pushbell-local is of the stage prod, and not of local");
}

/// Another RSA key than the fake Google's, for the local tests only.
const OTHER_RSA_KEY: &str = include_str!("../../../demo/other-rsa-key.pem");
