//! Clients of AWS services, built from the environment alone.
//!
//! No credential chain and no profile look-ups: a Lambda function has its credentials in the environment, and the look-ups
//! cost size and cold start. One TLS stack, rustls on ring: AWS-LC's jitter entropy would cost about 20 ms of CPU at the first
//! handshake.

mod connections;
pub(crate) mod lean;

use std::sync::OnceLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

use crate::env::{Environment, Service};

pub(crate) use connections::Connections;

/// How long a TCP and TLS handshake may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long one try of a call may take. Every call is small; what takes longer is retried.
const ATTEMPT: Duration = Duration::from_secs(4);
/// Tries of one call, the first included.
const ATTEMPTS: u32 = 3;
/// How long a call to SQS may take with all its tries: what it does not take by then the deferred table has to take, before the
/// function's own time is over.
const QUEUE_CALL: Duration = Duration::from_secs(3);
/// Tries of a patient call; up to how long before the second of them, and before any.
const PATIENT_ATTEMPTS: u32 = 8;
const PATIENT_WAIT: Duration = Duration::from_millis(100);
const PATIENT_LONGEST: Duration = Duration::from_secs(3);
/// How long a patient call may take with all its tries.
pub(crate) const PATIENT_CALL: Duration = Duration::from_secs(12);
/// Before the second try of a hasty call; twice as long before each one after it.
const HASTY_WAIT: Duration = Duration::from_millis(25);

fn config(env: &Environment, service: Service) -> SdkConfig {
    let (access_key, secret_key, session_token) = env.credentials();
    let credentials = Credentials::new(access_key, secret_key, session_token.map(str::to_owned), None, "environment");
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT);
    let timeouts = match service {
        Service::Sqs => timeouts.operation_timeout(QUEUE_CALL),
        Service::DynamoDb | Service::Sns | Service::SecretsManager => timeouts,
    };
    let mut builder = SdkConfig::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(Region::new(env.region().to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(env.connections().client())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts.build());
    builder.set_endpoint_url(env.endpoint(service).map(str::to_owned));
    builder.build()
}

/// A client of DynamoDB.
#[must_use]
pub fn dynamodb(env: &Environment) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&config(env, Service::DynamoDb))
}

/// A client of DynamoDB for work that nobody waits for, and that comes again only after minutes: a throttled call is tried for up to 12 s.
pub(crate) fn patient_dynamodb(env: &Environment) -> aws_sdk_dynamodb::Client {
    let retries = RetryConfig::standard().with_max_attempts(PATIENT_ATTEMPTS).with_initial_backoff(PATIENT_WAIT);
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT);
    let config = config(env, Service::DynamoDb).to_builder();
    let config = config.timeout_config(timeouts.operation_timeout(PATIENT_CALL).build());
    aws_sdk_dynamodb::Client::new(&config.retry_config(retries.with_max_backoff(PATIENT_LONGEST)).build())
}

/// A client of DynamoDB that tries a call once, for who tries again by rules of their own.
pub(crate) fn single_dynamodb(env: &Environment) -> aws_sdk_dynamodb::Client {
    let config = config(env, Service::DynamoDb).to_builder().retry_config(RetryConfig::disabled()).build();
    aws_sdk_dynamodb::Client::new(&config)
}

/// A client of DynamoDB for somebody who is waited for: calls are tried anew within fractions of a second, where the others' own waits are
/// of a second and more. `attempt`: how long one try may take; `call`: how long all of them may.
pub(crate) fn hasty_dynamodb(env: &Environment, attempt: Duration, call: Duration) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&hasty(&config(env, Service::DynamoDb), attempt, call))
}

/// As [`hasty_dynamodb`], of SQS.
pub(crate) fn hasty_sqs(env: &Environment, attempt: Duration, call: Duration) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&hasty(&config(env, Service::Sqs), attempt, call))
}

fn hasty(config: &SdkConfig, attempt: Duration, call: Duration) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(attempt).operation_attempt_timeout(attempt);
    let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(HASTY_WAIT);
    config.to_builder().timeout_config(timeouts.operation_timeout(call).build()).retry_config(retries).build()
}

/// A client of SQS.
#[must_use]
pub fn sqs(env: &Environment) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&config(env, Service::Sqs))
}

/// A client of SNS.
#[must_use]
pub fn sns(env: &Environment) -> aws_sdk_sns::Client {
    aws_sdk_sns::Client::new(&config(env, Service::Sns))
}

/// A client of Secrets Manager.
#[must_use]
pub fn secrets(env: &Environment) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(&config(env, Service::SecretsManager))
}

/// A string attribute.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub(crate) fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// TLS for everything that is not AWS: ring, and the system's root certificates, read once and not before the first use.
///
/// `SSL_CERT_FILE` points at one bundle on Lambda: without it every file of the certificate folder is opened.
#[must_use]
pub fn tls_config() -> std::sync::Arc<rustls::ClientConfig> {
    static CONFIG: OnceLock<std::sync::Arc<rustls::ClientConfig>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let mut roots = rustls::RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
            #[expect(clippy::expect_used, reason = "ring offers both protocol versions; a failure is a build defect")]
            let builder = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .expect("ring offers TLS 1.2 and 1.3");
            std::sync::Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
        })
        .clone()
}
