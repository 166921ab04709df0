//! The whole bundle on one machine: everything that the template names, and what stands in for AWS and the vendors.

mod deploy;
mod options;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pushbell::env::EnvError;
use pushbell::id::AppId;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::apps::{self, AppsError};
use crate::aws::Aws;
use crate::aws::dynamodb::{Dynamodb, DynamodbError};
use crate::aws::secrets::Secrets;
use crate::aws::sns::Sns;
use crate::aws::sqs::Delayed;
use crate::closing::{Closer, Closing, closer};
use crate::control::{self, Control};
use crate::faults::Faults;
use crate::functions::LoadError;
use crate::gateway::Gateway;
use crate::invocation::{InvokeError, Invoker};
use crate::phones::Phones;
use crate::poller;
use crate::runtime_api::Pool;
use crate::store::{Store, StoreError};
use crate::template::{STAGE, Template, TemplateError};
use crate::vendors::Vendors;

pub use options::{Options, Processes};

/// Items whose time has come are deleted so often. On AWS it takes up to days, so nothing may depend on it.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Why a stack could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// Somebody else listens there, or nobody may.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The data folder cannot be made.
    #[error("cannot make {path}")]
    Data {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another stack works on these files.
    #[error("another stack is using the data in {0}")]
    InUse(PathBuf),
    /// A function's binary is not there. `cargo build --workspace` builds them all.
    #[error("there is no binary {0}; `cargo build --workspace` builds it")]
    Binary(PathBuf),
    /// The template cannot be read.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A table's key has a type that DynamoDB does not have.
    #[error("table {0} has a key of an unknown type")]
    KeyType(String),
    /// A variable refers to an attribute that is not emulated.
    #[error("{package}: the variable {variable} refers to {reference}, which is not emulated")]
    Reference {
        /// The function.
        package: String,
        /// The variable.
        variable: String,
        /// What it refers to.
        reference: String,
    },
    /// The tables.
    #[error(transparent)]
    Dynamodb(#[from] DynamodbError),
    /// Queues, endpoints and phones.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The apps' documents.
    #[error(transparent)]
    Apps(#[from] AppsError),
    /// A function lacks a variable that every function needs.
    #[error(transparent)]
    Environment(#[from] EnvError),
    /// A function cannot be built.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// A running stack. Dropping it ends it at once; [`Stack::stop`] ends it in order.
pub struct Stack {
    /// Tables, queues, platform endpoints, secrets and faults.
    pub aws: Aws,
    /// The fake phones.
    pub phones: Phones,
    /// The fake vendors.
    pub vendors: Vendors,
    /// What was deployed.
    pub template: Arc<Template>,
    address: SocketAddr,
    aws_url: String,
    vendors_url: String,
    control: Arc<Control>,
    grace: Duration,
    /// Ends what brings work in: the API, pollers, clocks.
    intake: Closer,
    /// Ends invocations and processes.
    invocations: Closer,
    /// Ends what functions talk to.
    services: Closer,
    front: JoinSet<()>,
    back: JoinSet<()>,
    /// Held as long as the stack lives, and let go of by the system when the process is killed.
    _lock: Option<File>,
}

impl Stack {
    /// Starts everything. When it returns, the API answers.
    pub async fn start(options: Options) -> Result<Self, StackError> {
        let apps = apps::read(&options.apps)?;
        // Every app here hears of what `trigger` is handed. A folder that is called like no app is none's.
        let is_app = |name: &&str| AppId::parse(*name).is_ok();
        let names = apps.iter().map(|app| app.name.as_str()).filter(is_app).collect::<Vec<_>>().join(",");
        let template = Arc::new(Template::read_with(&options.template, &[("TriggerApps", &names)])?);
        let listener = bind(options.listen).await?;
        let address = local(&listener, options.listen)?;

        let (store, dynamodb, lock) = open(options.data.as_deref())?;
        let faults = Faults::default();
        let phones = Phones::new(store.clone())?;
        let queues = deploy::queues(&template, store.clone())?;
        for table in &template.tables {
            dynamodb.ensure(&deploy::table_spec(table)?)?;
        }
        let apple = deploy::apple(&apps);
        let sns = Sns::new(store, phones.clone(), apple.clone())?;
        deploy::subscribe(&template, &sns, &queues);

        let (services, services_closing) = closer();
        let mut back = JoinSet::new();
        let vendors_listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let scheme = if options.vendors_tls.is_some() { "https" } else { "http" };
        let vendors_url = format!("{scheme}://{}", local(&vendors_listener, options.listen)?);
        let vendors = Vendors::new(&vendors_url, deploy::accounts(&apps), apple, phones.clone(), faults.clone());
        back.spawn(vendors.clone().serve(vendors_listener, options.vendors_tls.clone(), closed(&services_closing)));

        let aws_listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let aws_url = url(local(&aws_listener, options.listen)?);
        let secrets = Secrets::new(options.apps.clone(), STAGE, &vendors_url);
        let inventory = deploy::inventory(&template, &aws_url, &url(address));
        let logs = deploy::logs(&template);
        let aws = Aws { dynamodb, queues, sns, secrets, inventory, logs, faults, calls: Arc::default() };
        let permissions = deploy::permissions(&template, &aws_url);
        back.spawn(aws.clone().serve_with(permissions, aws_listener, closed(&services_closing)));
        deploy::seed(&apps, &template, &aws).await?;

        let (invocations, invocations_closing) = closer();
        let invokers = deploy::invokers(&options, &template, &aws, &aws_url, &invocations_closing)?;

        let (intake, intake_closing) = closer();
        let mut front = JoinSet::new();
        let timers = deploy::timers(&options, &template, &invokers, &aws.queues);
        if options.clock {
            for timer in &timers {
                front.spawn(timer.clone().run(intake_closing.clone()));
            }
            front.spawn(sweeper(aws.dynamodb.clone(), intake_closing.clone()));
        }
        for (source, invoker) in deploy::sources(&options, &template, &invokers) {
            front.spawn(poller::run(aws.queues.clone(), source, invoker, aws.faults.clone(), intake_closing.clone()));
        }

        let gateway = Gateway::new(
            deploy::router(&template, &invokers),
            options.integration_timeout,
            address.port(),
            aws.queues.clone(),
        );
        let control = Arc::new(Control {
            aws: aws.clone(),
            aws_url: aws_url.clone(),
            vendors: vendors.clone(),
            vendors_url: vendors_url.clone(),
            phones: phones.clone(),
            apps: options.apps.clone(),
            invokers,
            timers,
        });
        let service = control::router(Arc::clone(&control))
            .fallback_service(axum::Router::new().fallback(Gateway::handle).with_state(gateway))
            .into_make_service_with_connect_info::<SocketAddr>();
        let shutdown = closed(&intake_closing);
        front.spawn(async move {
            // It fails only if it cannot accept connections, which axum tries again by itself.
            let _ = axum::serve(listener, service).with_graceful_shutdown(shutdown).await;
        });

        Ok(Self {
            aws,
            phones,
            vendors,
            template,
            address,
            aws_url,
            vendors_url,
            control,
            grace: options.grace,
            intake,
            invocations,
            services,
            front,
            back,
            _lock: lock,
        })
    }

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:9000`, where the API listens.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// The endpoint that speaks for all of AWS.
    pub fn aws_url(&self) -> &str {
        &self.aws_url
    }

    /// The endpoint of the fake vendors.
    pub fn vendors_url(&self) -> &str {
        &self.vendors_url
    }

    /// The variables that a function of this stack has, those of Lambda included.
    pub fn variables(&self, package: &str) -> Result<BTreeMap<String, String>, StackError> {
        match self.template.function(package) {
            Some(function) => deploy::variables(function, &self.template, &self.aws_url),
            None => Err(LoadError::Unknown(package.to_owned()).into()),
        }
    }

    /// Runs a scheduled function once, now. `None` when it has no schedule.
    pub async fn tick(&self, package: &str) -> Option<Result<(), InvokeError>> {
        let timer = self.control.timers.iter().find(|timer| timer.function() == package)?;
        Some(timer.tick().await)
    }

    /// Ends every process of a function as `kill -9` does, and says how many there were. In process there are none.
    pub fn kill(&self, package: &str) -> usize {
        self.control.invokers.get(package).map_or(0, Invoker::kill)
    }

    /// Retires every process of a function as Lambda retires environments (SIGTERM, then half a second), and waits until they are gone. How
    /// each of them ended. In process there are none.
    pub async fn retire(&self, package: &str) -> Vec<std::process::ExitStatus> {
        match self.control.invokers.get(package) {
            Some(invoker) => invoker.retire().await,
            None => Vec::new(),
        }
    }

    /// The processes of a function. `None` in process.
    pub fn processes(&self, package: &str) -> Option<&Pool> {
        self.control.invokers.get(package)?.pool()
    }

    /// Invokes a function directly with an event, past the API and the queues.
    pub async fn invoke(&self, package: &str, event: bytes::Bytes) -> Option<Result<bytes::Bytes, InvokeError>> {
        Some(self.control.invokers.get(package)?.invoke(event).await)
    }

    /// Puts another settings document in the place of an app's. Functions see it when their cache has run out.
    pub async fn put_settings(&self, app: &str, document: &Value) -> Result<(), StackError> {
        let Some(table) = deploy::registry(&self.template) else { return Ok(()) };
        Ok(apps::put_settings(self.aws.dynamodb.direct(), &table, app, &document.to_string()).await?)
    }

    /// Waits until all work that is due is done: no queue that a function works off holds a message, visible or in
    /// flight, and no batch of one is with a function. Messages with a delay that has not run out count only when asked for; how many
    /// there were at that moment is said.
    pub async fn idle(&self, delayed: Delayed) -> Result<u64, StackError> {
        Ok(self.aws.queues.wait_until_empty(&self.worked_off(), delayed).await?)
    }

    /// The queues that functions work off.
    fn worked_off(&self) -> Vec<&str> {
        let sources = self.template.functions.iter().flat_map(|function| &function.queues);
        sources.map(|source| source.queue.as_str()).collect()
    }

    /// Waits until nobody works on a queue: none that a function works off has a message that is due, and no batch of one is with a
    /// function. What failed may be in flight, and what is delayed may wait. Time may be let pass now.
    pub async fn quiet(&self) -> Result<(), StackError> {
        Ok(self.aws.queues.wait_until_quiet(&self.worked_off()).await?)
    }

    /// Takes no more work, lets what is under way finish within the grace, then ends everything. Kept files are
    /// complete afterwards.
    pub async fn stop(mut self) {
        self.intake.close();
        let finished = async { while self.front.join_next().await.is_some() {} };
        // Over time: what is cut short is in its queue still.
        let _ = tokio::time::timeout(self.grace, finished).await;
        self.invocations.close();
        let ended = async { while self.front.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(self.grace, ended).await;
        self.front.shutdown().await;
        self.services.close();
        while self.back.join_next().await.is_some() {}
    }
}

/// Binds a listener.
async fn bind(address: SocketAddr) -> Result<TcpListener, StackError> {
    TcpListener::bind(address).await.map_err(|source| StackError::Listen { address, source })
}

fn local(listener: &TcpListener, wanted: SocketAddr) -> Result<SocketAddr, StackError> {
    listener.local_addr().map_err(|source| StackError::Listen { address: wanted, source })
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn closed(closing: &Closing) -> impl Future<Output = ()> + Send + 'static {
    let mut closing = closing.clone();
    async move { closing.closed().await }
}

fn open(data: Option<&Path>) -> Result<(Store, Dynamodb, Option<File>), StackError> {
    let Some(folder) = data else { return Ok((Store::memory()?, Dynamodb::memory()?, None)) };
    let cannot = |source| StackError::Data { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let lock = File::create(folder.join("lock")).map_err(cannot)?;
    lock.try_lock().map_err(|refused| match refused {
        TryLockError::WouldBlock => StackError::InUse(folder.to_owned()),
        TryLockError::Error(source) => cannot(source),
    })?;
    Ok((Store::open(&folder.join("local.sqlite"))?, Dynamodb::open(&folder.join("tables.sqlite"))?, Some(lock)))
}

async fn sweeper(dynamodb: Dynamodb, mut closing: Closing) {
    let mut clock = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = closing.closed() => return,
            _ = clock.tick() => {}
        }
        if let Err(error) = dynamodb.sweep_ttl().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "expired items cannot be deleted");
        }
    }
}

#[cfg(test)]
mod tests;
