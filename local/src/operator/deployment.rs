//! Where a bundle is, and what it is made of: the stack on this machine, or one on AWS. Both are asked the same, of CloudFormation.

use std::collections::BTreeMap;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudformation::error::ProvideErrorMetadata as _;
use aws_smithy_http_client::{Builder, tls};
use bytes::Bytes;
use clap::Args;
use http::Request;
use http_body_util::Full;
use pushbell::env::{EnvError, Environment};
use pushbell::time::Timestamp;
use serde::Deserialize;

use super::aws::reason;
use super::causes;
use super::clock::Clock;
use super::http::{CallError, Http};
use super::profile;

/// Where the stack on this machine listens unless told otherwise.
pub const LOCAL_URL: &str = "http://127.0.0.1:9000";

/// Which bundle is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct Where {
    /// A stage on AWS, by your ordinary AWS credentials. Without it: the stack on this machine.
    #[arg(long, global = true, value_name = "STAGE")]
    pub stage: Option<String>,
    /// The stage's CloudFormation stack; `pushbell-<stage>` without it.
    #[arg(long, global = true, value_name = "NAME", requires = "stage")]
    pub stack: Option<String>,
    /// The stage's region, if it is not your profile's.
    #[arg(long, global = true, value_name = "REGION", requires = "stage")]
    pub region: Option<String>,
    /// The profile of your AWS configuration.
    #[arg(long, global = true, value_name = "NAME", requires = "stage")]
    pub profile: Option<String>,
    /// The API's address: the stage's own domain, or where the stack on this machine listens (http://127.0.0.1:9000).
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
}

impl Where {
    /// The options as they were given, each with a space in front: what a command needs that we tell to be run.
    pub(super) fn options(&self) -> String {
        let given = [
            ("stage", &self.stage),
            ("stack", &self.stack),
            ("region", &self.region),
            ("profile", &self.profile),
            ("url", &self.url),
        ];
        given.iter().filter_map(|(name, value)| Some(format!(" --{name} {}", value.as_ref()?))).collect()
    }
}

/// Why a bundle cannot be worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentError {
    /// No stack on this machine.
    #[error("no stack answers at {0}; start it with `cargo run`, or name a stage on AWS with --stage")]
    NotRunning(String, #[source] CallError),
    /// Something else listens there.
    #[error("what answers at {0} is no stack of Pushbell on this machine")]
    NotLocal(String),
    /// The address is none.
    #[error("{0} is no address")]
    Url(String),
    /// No region.
    #[error("no AWS region is set; pass --region, or set AWS_REGION")]
    NoRegion,
    /// No credentials.
    #[error("there are no AWS credentials: {0}")]
    NoCredentials(String),
    /// No such stack.
    #[error("there is no stack {stack} in {region}; name it with --stack, its region with --region")]
    NoStack {
        /// Its name.
        stack: String,
        /// Where it was looked for.
        region: String,
    },
    /// CloudFormation refuses or does not answer.
    #[error("CloudFormation did not tell of the stack {stack}: {reason}")]
    CloudFormation {
        /// The stack.
        stack: String,
        /// Why not.
        reason: String,
    },
    /// The stack is another one's.
    #[error(
        "the stack {stack} ({status}) has no {missing}; its first deploy is not through, or it is older than this command, or no Pushbell"
    )]
    Foreign {
        /// The stack.
        stack: String,
        /// `CREATE_COMPLETE`
        status: String,
        /// What it lacks.
        missing: &'static str,
    },
    /// The stack is of another stage.
    #[error("the stack {stack} is of the stage {found}, and not of {wanted}")]
    OtherStage {
        /// The stack.
        stack: String,
        /// Its stage.
        found: String,
        /// The stage that was asked for.
        wanted: String,
    },
    /// What was found does not make an environment.
    #[error(transparent)]
    Environment(#[from] EnvError),
}

/// One resource of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `AWS::DynamoDB::Table`
    pub kind: String,
    /// Its name on AWS; a queue's is its address.
    pub physical_id: String,
}

/// A bundle that was found.
pub struct Deployment {
    /// What a function of it has: tables, queues, credentials. Temporary credentials end when they end.
    pub env: Environment,
    /// The API's base address, without a slash at its end.
    pub url: String,
    /// The stack's name.
    pub stack: String,
    /// `CREATE_COMPLETE`
    pub status: String,
    /// By name.
    pub outputs: BTreeMap<String, String>,
    /// By name.
    pub parameters: BTreeMap<String, String>,
    /// By logical id.
    pub resources: BTreeMap<String, Resource>,
    /// On this machine: where the fake vendors are.
    pub vendors: Option<String>,
    /// For clients that functions do not have.
    pub config: SdkConfig,
    /// For the API and the vendors.
    pub http: Http,
    /// The options by which it was found, for commands that are told to be run.
    pub place: String,
    /// How many milliseconds the services' clock is ahead of this machine's: AWS's own may be another, and on this machine time can be let
    /// pass for them.
    ahead: i64,
}

/// What a stack on this machine says of itself.
#[derive(Deserialize)]
struct Local {
    aws: String,
    vendors: String,
    stack: String,
    stage: String,
    region: String,
    /// By the emulated services' clock, in milliseconds since 1970.
    now: Timestamp,
}

/// Which output or resource each variable of a function's comes from.
const FROM_OUTPUTS: [(&str, &str); 4] = [
    ("TABLE_RECIPIENTS", "RecipientsTableName"),
    ("TABLE_REGISTRY", "RegistryTableName"),
    ("TABLE_TASKS", "TasksTableName"),
    ("TABLE_DEFERRED", "DeferredTableName"),
];
const FROM_RESOURCES: [(&str, &str); 6] = [
    ("QUEUE_FAN_OUT", "FanOutQueue"),
    ("QUEUE_DELIVER", "DeliverQueue"),
    ("QUEUE_DEAD_LETTERS", "DeliverDeadLetters"),
    ("QUEUE_RESULTS", "ResultsQueue"),
    ("QUEUE_REPORT", "ReportQueue"),
    ("QUEUE_REPORT_DEAD_LETTERS", "ReportDeadLetters"),
];

impl Deployment {
    /// Finds the bundle that is meant.
    pub async fn find(wanted: &Where) -> Result<Self, DeploymentError> {
        let http = Http::default();
        match &wanted.stage {
            None => {
                let url = wanted.url.as_deref().unwrap_or(LOCAL_URL).trim_end_matches('/').to_owned();
                let local = local(&http, &url).await?;
                let config = aws_config::SdkConfig::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new(local.region.clone()))
                    .endpoint_url(&local.aws)
                    .credentials_provider(operator())
                    .http_client(https())
                    .sleep_impl(sleep())
                    .build();
                let (stack, vendors) = (local.stack.clone(), Some(local.vendors.clone()));
                let found = Self::read(config, stack, &local.stage, Some(url), vendors, http).await?;
                let ahead = i64::try_from(local.now.since(Timestamp::now()).as_millis()).unwrap_or(i64::MAX);
                Ok(Self { ahead, place: wanted.options(), ..found })
            }
            Some(stage) => {
                let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https());
                let region = wanted.region.clone().map(Region::new);
                let loader = match (&wanted.profile, region) {
                    (Some(profile), region) => profile::load(loader, profile, region, https()).await,
                    (None, Some(region)) => loader.region(region),
                    (None, None) => loader,
                };
                let config = loader.load().await;
                let stack = wanted.stack.clone().unwrap_or_else(|| format!("pushbell-{stage}"));
                let url = wanted.url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
                let found = Self::read(config, stack, stage, url, None, http).await?;
                Ok(Self { place: wanted.options(), ..found })
            }
        }
    }

    async fn read(
        config: SdkConfig,
        stack: String,
        stage: &str,
        url: Option<String>,
        vendors: Option<String>,
        http: Http,
    ) -> Result<Self, DeploymentError> {
        let region = config.region().ok_or(DeploymentError::NoRegion)?.to_string();
        let credentials = credentials(&config).await?;
        let clock = Clock::default();
        let client = aws_sdk_cloudformation::config::Builder::from(&config).interceptor(clock.clone());
        let client = aws_sdk_cloudformation::Client::from_conf(client.build());
        let failed = |reason: String| DeploymentError::CloudFormation { stack: stack.clone(), reason };
        let described = client.describe_stacks().stack_name(&stack).send().await;
        let described = described.map_err(|error| match error.code() {
            // CloudFormation has no code of its own for a stack that is not there.
            Some("ValidationError") => DeploymentError::NoStack { stack: stack.clone(), region: region.clone() },
            Some(_) | None => failed(reason(&error)),
        })?;
        let found = described.stacks().first();
        let found = found.ok_or_else(|| DeploymentError::NoStack { stack: stack.clone(), region: region.clone() })?;
        let pair = |name: Option<&str>, value: Option<&str>| Some((name?.to_owned(), value?.to_owned()));
        let outputs: BTreeMap<_, _> =
            found.outputs().iter().filter_map(|output| pair(output.output_key(), output.output_value())).collect();
        let parameters: BTreeMap<_, _> =
            found.parameters().iter().filter_map(|held| pair(held.parameter_key(), held.parameter_value())).collect();
        let status = found.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default();

        let mut resources = BTreeMap::new();
        let mut pages = client.list_stack_resources().stack_name(&stack).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(reason(&error)))?;
            for summary in page.stack_resource_summaries() {
                if let (Some(id), Some(kind)) = (summary.logical_resource_id(), summary.resource_type()) {
                    let resource = Resource {
                        kind: kind.to_owned(),
                        physical_id: summary.physical_resource_id().unwrap_or_default().to_owned(),
                    };
                    resources.insert(id.to_owned(), resource);
                }
            }
        }

        let foreign = |missing| DeploymentError::Foreign { stack: stack.clone(), status: status.clone(), missing };
        let its_stage = parameters.get("Stage").ok_or_else(|| foreign("parameter Stage"))?;
        if its_stage != stage {
            let (found, wanted) = (its_stage.clone(), stage.to_owned());
            return Err(DeploymentError::OtherStage { stack, found, wanted });
        }
        let mut variables = credentials;
        variables.insert("AWS_REGION", region);
        variables.insert("STAGE", stage.to_owned());
        if let Some(endpoint) = config.endpoint_url() {
            variables.insert("AWS_ENDPOINT_URL", endpoint.to_owned());
        }
        for (variable, output) in FROM_OUTPUTS {
            // A table that was restored has another name than the stack's own resource: the outputs tell which one is used.
            variables.insert(variable, outputs.get(output).ok_or_else(|| foreign(output))?.clone());
        }
        for (variable, id) in FROM_RESOURCES {
            variables.insert(variable, resources.get(id).ok_or_else(|| foreign(id))?.physical_id.clone());
        }
        let env = Environment::from_lookup(|name| variables.get(name).cloned())?;
        let url = match url {
            Some(url) => url,
            None => outputs.get("ApiUrl").ok_or_else(|| foreign("ApiUrl"))?.clone(),
        };
        Ok(Self {
            env,
            url,
            stack,
            status,
            outputs,
            parameters,
            resources,
            vendors,
            config,
            http,
            place: String::new(),
            ahead: clock.ahead(),
        })
    }

    /// The topic that platform applications tell of dead tokens, where the stack has one.
    pub fn events_topic(&self) -> Option<&str> {
        self.outputs.get("ApplicationEventsTopicArn").map(String::as_str)
    }

    /// The time by the services' clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(Timestamp::now().as_millis().saturating_add_signed(self.ahead))
    }

    /// Whether it is the stack on this machine.
    pub fn is_local(&self) -> bool {
        self.vendors.is_some()
    }
}

async fn local(http: &Http, url: &str) -> Result<Local, DeploymentError> {
    let request = Request::get(format!("{url}/_local/stack")).body(Full::<Bytes>::default());
    let request = request.map_err(|_| DeploymentError::Url(url.to_owned()))?;
    let answer = http.send(request).await.map_err(|error| DeploymentError::NotRunning(url.to_owned(), error))?;
    serde_json::from_slice(&answer.body).map_err(|_| DeploymentError::NotLocal(url.to_owned()))
}

async fn credentials(config: &SdkConfig) -> Result<BTreeMap<&'static str, String>, DeploymentError> {
    use aws_credential_types::provider::ProvideCredentials as _;
    let provider = config.credentials_provider();
    let provider = provider.ok_or_else(|| DeploymentError::NoCredentials("none are set up".to_owned()))?;
    let given = provider.provide_credentials().await;
    let given = given.map_err(|error| DeploymentError::NoCredentials(causes(&error)))?;
    let mut held = BTreeMap::from([
        ("AWS_ACCESS_KEY_ID", given.access_key_id().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", given.secret_access_key().to_owned()),
    ]);
    if let Some(token) = given.session_token() {
        held.insert("AWS_SESSION_TOKEN", token.to_owned());
    }
    Ok(held)
}

/// On this machine nobody looks at what is signed, only at who: a function may do what its role allows, anybody else everything.
fn operator() -> aws_credential_types::provider::SharedCredentialsProvider {
    let credentials = aws_credential_types::Credentials::new("operator", "local", None, None, "the local stack");
    aws_credential_types::provider::SharedCredentialsProvider::new(credentials)
}

fn https() -> aws_smithy_runtime_api::client::http::SharedHttpClient {
    Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build_https()
}

fn sleep() -> aws_smithy_async::rt::sleep::SharedAsyncSleep {
    aws_smithy_async::rt::sleep::SharedAsyncSleep::new(aws_smithy_async::rt::sleep::TokioSleep::new())
}
