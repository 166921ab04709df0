//! All emulators on free ports, and the clients for them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Builder;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use pushbell_local::aws::Aws;
use pushbell_local::aws::dynamodb::{Dynamodb, KeyAttribute, TableSpec};
use pushbell_local::aws::inventory::Inventory;
use pushbell_local::aws::secrets::Secrets;
use pushbell_local::aws::sns::Sns;
use pushbell_local::aws::sqs::Queues;
use pushbell_local::faults::Faults;
use pushbell_local::logs::Logs;
use pushbell_local::phones::Phones;
use pushbell_local::store::Store;
use pushbell_local::vendors::{Apple, DEMO_SERVICE_ACCOUNT, ServiceAccount, Vendors};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) struct Stack {
    pub(crate) address: SocketAddr,
    pub(crate) vendors_url: String,
    pub(crate) dynamodb: Dynamodb,
    pub(crate) queues: Queues,
    pub(crate) logs: Logs,
    pub(crate) sns_state: Sns,
    pub(crate) faults: Faults,
    pub(crate) phones: Phones,
    pub(crate) vendors: Vendors,
    pub(crate) apps: tempfile::TempDir,
    config: SdkConfig,
    _stop: watch::Sender<()>,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::over(Store::memory().unwrap(), Dynamodb::memory().unwrap()).await
    }

    pub(crate) async fn on(folder: &Path) -> Self {
        let store = Store::open(&folder.join("store")).unwrap();
        Self::over(store, Dynamodb::open(&folder.join("tables")).unwrap()).await
    }

    async fn over(store: Store, dynamodb: Dynamodb) -> Self {
        let (stop, stopped) = watch::channel(());
        let until_stopped = || {
            let mut stopped = stopped.clone();
            async move {
                let _ = stopped.changed().await;
            }
        };
        let faults = Faults::default();
        let phones = Phones::new(store.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendors_url = format!("http://{}", listener.local_addr().unwrap());
        let account = ServiceAccount::read(DEMO_SERVICE_ACCOUNT).unwrap();
        let apple = Apple::default();
        let vendors = Vendors::new(&vendors_url, vec![account], apple.clone(), phones.clone(), faults.clone());
        tokio::spawn(vendors.clone().serve(listener, None, until_stopped()));

        let apps = tempfile::tempdir().unwrap();
        let aws = Aws {
            dynamodb: dynamodb.clone(),
            queues: Queues::new(store.clone()).unwrap(),
            sns: Sns::new(store, phones.clone(), apple).unwrap(),
            secrets: Secrets::new(apps.path().to_owned(), "local", &vendors_url),
            inventory: Inventory::default(),
            logs: Logs::default(),
            faults: faults.clone(),
            calls: std::sync::Arc::default(),
        };
        let (queues, logs) = (aws.queues.clone(), aws.logs.clone());
        let sns_state = aws.sns.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(aws.serve(listener, until_stopped()));
        Self {
            address,
            vendors_url,
            dynamodb,
            queues,
            logs,
            sns_state,
            faults,
            phones,
            vendors,
            apps,
            config: config(&format!("http://{address}")),
            _stop: stop,
        }
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    pub(crate) fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config)
    }

    pub(crate) fn logs_client(&self) -> aws_sdk_cloudwatchlogs::Client {
        aws_sdk_cloudwatchlogs::Client::new(&self.config)
    }

    pub(crate) fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config)
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// A client straight to the embedded emulator.
    pub(crate) fn dynamodb_direct(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&config(&format!("http://{}", self.dynamodb.direct())))
    }

    pub(crate) fn table(&self, name: &str) {
        let table = TableSpec {
            name: name.to_owned(),
            partition: "pk".to_owned(),
            sort: None,
            attributes: vec![("pk".to_owned(), KeyAttribute::Text)],
            ttl: Some("ttl".to_owned()),
        };
        self.dynamodb.ensure(&table).unwrap();
    }
}

/// The code of a service's error, whether or not the client has a type for it.
pub(crate) fn code<E, R>(error: &aws_sdk_sqs::error::SdkError<E, R>) -> &str
where
    E: aws_sdk_sqs::error::ProvideErrorMetadata,
{
    error.as_service_error().and_then(|error| error.code()).unwrap_or("no service error")
}

fn config(url: &str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
        .http_client(Builder::new().build_http())
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(aws_smithy_async::rt::sleep::TokioSleep::new()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(20)).build())
        .build()
}
