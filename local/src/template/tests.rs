#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::resources::rate;
use super::*;

const SMALL: &str = r#"
Parameters:
  Stage: { Type: String, Default: dev }
  Most: { Type: Number, Default: 7 }
Globals:
  Function:
    Timeout: 15
    MemorySize: 256
    Environment:
      Variables: { STAGE: !Ref Stage, TABLE: !Ref Items, PLACE: !Sub "x-${Work.Arn}" }
Resources:
  OneFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/one
      Timeout: 60
      Environment: { Variables: { OWN: "1" } }
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt Dead.Arn } }
      Events:
        Http: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: ANY, Path: "/a/{b}" } }
        Queue:
          Type: SQS
          Properties:
            Queue: !GetAtt Work.Arn
            FunctionResponseTypes: [ReportBatchItemFailures]
            ScalingConfig: { MaximumConcurrency: !Ref Most }
        Every: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(5 minutes) } }
  Items:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }, { AttributeName: sk, AttributeType: N }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }, { AttributeName: sk, KeyType: RANGE }]
      TimeToLiveSpecification: { AttributeName: ttl, Enabled: true }
  Work:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 360
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 5 }
  Dead:
    Type: AWS::SQS::Queue
"#;

#[test]
fn a_function_has_the_globals_and_its_own_properties() {
    let template: Template = SMALL.parse().unwrap();
    let function = template.function("one").unwrap();
    assert_eq!((function.timeout, function.memory_mb), (Duration::from_secs(60), 256));
    assert_eq!(function.environment["STAGE"], [Part::Text("local".into())]);
    assert_eq!(function.environment["OWN"], [Part::Text("1".into())]);
    assert_eq!(function.environment["TABLE"], [Part::Ref("Items".into())]);
    assert_eq!(
        function.environment["PLACE"],
        [Part::Text("x-".into()), Part::Attribute("Work".into(), "Arn".into()), Part::Text(String::new())]
    );
}

#[test]
fn a_parameter_that_is_given_goes_before_its_default() {
    let most = |given: &[(&str, &str)]| {
        let template = Template::parse(SMALL, given).unwrap();
        template.function("one").unwrap().queues[0].maximum_concurrency
    };
    assert_eq!((most(&[]), most(&[("Most", "3"), ("Nobody's", "x")])), (7, 3));
}

#[test]
fn events_become_routes_sources_and_schedules() {
    let template: Template = SMALL.parse().unwrap();
    let function = template.function("one").unwrap();
    assert_eq!(function.routes[0].key(), "ANY /a/{b}");
    assert_eq!(
        function.queues,
        [QueueSource {
            queue: "Work".into(),
            batch_size: 10,
            window: Duration::ZERO,
            maximum_concurrency: 7,
            reports_failures: true
        }]
    );
    assert_eq!(function.schedules, [Schedule { name: "Every".into(), every: Duration::from_secs(300) }]);
    assert_eq!(function.asynchronous, Asynchronous { retries: 1, on_failure: Some("Dead".into()) });
}

#[test]
fn tables_and_queues_keep_their_schema_and_limits() {
    let template: Template = SMALL.parse().unwrap();
    let table = &template.tables[0];
    assert_eq!((table.partition_key.as_str(), table.sort_key.as_deref()), ("pk", Some("sk")));
    assert_eq!(table.ttl_attribute.as_deref(), Some("ttl"));
    assert_eq!(table.attributes, [("pk".to_owned(), "S".to_owned()), ("sk".to_owned(), "N".to_owned())]);
    let [dead, work] = template.queues.as_slice() else { panic!("two queues") };
    assert_eq!((dead.visibility, dead.dead_letters.clone()), (Duration::from_secs(30), None));
    assert_eq!((work.visibility, work.dead_letters.clone()), (Duration::from_secs(360), Some(("Dead".into(), 5))));
}

#[test]
fn a_schedule_that_is_not_a_rate_is_refused() {
    let cron = SMALL.replace("rate(5 minutes)", "cron(0 1 * * ? *)");
    assert!(matches!(cron.parse::<Template>(), Err(TemplateError::Schedule { .. })));
    assert_eq!(rate("rate(1 hour)"), Some(Duration::from_secs(3_600)));
    assert_eq!(rate("rate(0 minutes)"), None);
}

#[test]
fn a_missing_property_names_its_resource() {
    let broken = SMALL.replace("CodeUri: functions/one", "Runtime: x");
    let Err(TemplateError::Resource { resource, .. }) = broken.parse::<Template>() else { panic!("an error") };
    assert_eq!(resource, "OneFunction");
}

#[test]
fn the_template_of_this_workspace_is_read() {
    let template = Template::read(&Template::default_path()).unwrap();
    let deliver = template.function("deliver").unwrap();
    assert_eq!(deliver.queues[0].queue, "DeliverQueue");
    assert_eq!(deliver.environment["QUEUE_DEAD_LETTERS"], [Part::Ref("DeliverDeadLetters".into())]);
    assert!(
        template.function("generic-push").unwrap().routes.iter().any(|r| r.key() == "ANY /hooks/{app}/{secret}/imkit")
    );
}

#[test]
fn a_role_is_its_functions_permissions() {
    let with_role = SMALL
        .replace("      CodeUri: functions/one\n", "      CodeUri: functions/one\n      Role: !GetAtt OneRole.Arn\n")
        .replace(
            "  Items:\n",
            r#"  OneRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: one
          PolicyDocument:
            Statement:
              - { Effect: Allow, Action: sqs:SendMessage, Resource: [!GetAtt Work.Arn, "arn:*"] }
  Items:
"#,
        );
    let template: Template = with_role.parse().unwrap();
    let expected = Permission {
        actions: vec!["sqs:SendMessage".into()],
        resources: vec![vec![Part::Attribute("Work".into(), "Arn".into())], vec![Part::Text("arn:*".into())]],
    };
    assert_eq!(template.function("one").unwrap().permissions, [expected]);
    assert_eq!(SMALL.parse::<Template>().unwrap().function("one").unwrap().permissions, []);
}

#[test]
fn a_topic_has_its_queue_and_what_a_condition_keeps_out_is_not_there() {
    let topic = "
  Events: { Type: AWS::SNS::Topic, Condition: Wanted }
  Subscription:
    Type: AWS::SNS::Subscription
    Condition: Wanted
    Properties: { Protocol: sqs, RawMessageDelivery: true, TopicArn: !Ref Events, Endpoint: !GetAtt Work.Arn }
Conditions:
  Wanted: !Equals [!Ref Most, ";
    let read = |wanted: u32| format!("{SMALL}{topic}\"{wanted}\"]\n").parse::<Template>();
    let there = read(7).unwrap();
    assert_eq!(there.topics, ["Events"]);
    assert_eq!(there.subscriptions, [Subscription { topic: "Events".into(), queue: "Work".into() }]);
    let without = read(8).unwrap();
    assert!(without.topics.is_empty() && without.subscriptions.is_empty());
    for other in [("sqs", "lambda"), ("RawMessageDelivery: true, ", ""), ("Delivery: true", "Delivery: false")] {
        let text = format!("{SMALL}{}\"7\"]\n", topic.replace(other.0, other.1));
        assert!(matches!(text.parse::<Template>(), Err(TemplateError::Resource { .. })), "{other:?}");
    }
}
