#![allow(clippy::unwrap_used, clippy::expect_used)]
use crate::stack::{Options, Stack};

use super::{Deployment, DeploymentError, Where};

/// The stack that listens at this address.
fn at(stack: &Stack) -> Where {
    Where { url: Some(stack.url()), ..Where::default() }
}

#[tokio::test]
async fn a_stack_on_this_machine_is_found_with_what_it_is_made_of() {
    let stack = Stack::start(Options::test()).await.unwrap();
    let found = Deployment::find(&at(&stack)).await.unwrap();
    assert_eq!((found.stack.as_str(), found.status.as_str()), ("pushbell-local", "CREATE_COMPLETE"));
    assert_eq!((found.url.as_str(), found.env.stage()), (stack.url().as_str(), "local"));
    assert_eq!(found.events_topic(), Some("arn:aws:sns:us-east-1:000000000000:ApplicationEventsTopic"));
    let kind = |id: &str| found.resources.get(id).map(|resource| resource.kind.as_str());
    // One of each kind, the last two made by SAM of a function's events.
    assert_eq!(kind("RecipientsTable"), Some("AWS::DynamoDB::Table"));
    assert_eq!(kind("DeadLettersAlarm"), Some("AWS::CloudWatch::Alarm"));
    assert_eq!(kind("DeliverFunction"), Some("AWS::Lambda::Function"));
    assert_eq!(kind("DeliverFunctionQueue"), Some("AWS::Lambda::EventSourceMapping"));
    assert_eq!(kind("RetryFunctionEvery"), Some("AWS::Scheduler::Schedule"));
}

#[tokio::test]
async fn what_answers_and_is_no_stack_of_ours_is_told() {
    let stack = Stack::start(Options::test()).await.unwrap();
    let wanted = Where { url: Some(stack.aws_url().to_owned()), ..Where::default() };
    let error = Deployment::find(&wanted).await.err().unwrap();
    assert!(matches!(error, DeploymentError::NotLocal(_)), "{error}");
}

#[tokio::test]
async fn nobody_at_the_address_is_told_with_what_to_do() {
    let (_held, free) = crate::operator::ward::nobody();
    let wanted = Where { url: Some(format!("http://{free}")), ..Where::default() };
    let error = Deployment::find(&wanted).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        format!("no stack answers at http://{free}; start it with `cargo run`, or name a stage on AWS with --stage")
    );
}
