//! The whole bundle on one machine: everything that the template names, and what stands in for AWS and the vendors.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pushbell::env::{EnvError, Environment};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::rustls::ServerConfig;

use crate::apps::{self, App, AppsError};
use crate::aws::dynamodb::{Dynamodb, DynamodbError, KeyAttribute, TableSpec};
use crate::aws::secrets::Secrets;
use crate::aws::sns::Sns;
use crate::aws::sqs::{Delayed, QueueSpec, Queues, Redrive};
use crate::aws::{ACCOUNT, Aws, REGION};
use crate::closing::{Closer, Closing, closer};
use crate::control::{self, Control};
use crate::faults::Faults;
use crate::functions::{self, LoadError};
use crate::gateway::routes::Router;
use crate::gateway::{Gateway, INTEGRATION_TIMEOUT};
use crate::invocation::{InvokeError, Invoker};
use crate::phones::Phones;
use crate::poller;
use crate::runtime_api::{Pool, Spec};
use crate::schedule::Timer;
use crate::store::{Store, StoreError};
use crate::template::{self, Function, Part, STAGE, Template, TemplateError};
use crate::vendors::{DEMO_SERVICE_ACCOUNT, ServiceAccount, Vendors};

/// Names the settings' table among the variables of a function.
const REGISTRY_VARIABLE: &str = "TABLE_REGISTRY";
/// Items whose time has come are deleted so often. On AWS it takes up to days, so nothing may depend on it.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What a stack is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder for the files that everything is kept in; `None` keeps it in memory.
    pub data: Option<PathBuf>,
    /// Folder with one folder per app.
    pub apps: PathBuf,
    /// The template.
    pub template: PathBuf,
    /// Run the real binaries instead of the handlers in this process.
    pub processes: Option<Processes>,
    /// Lets the vendors speak TLS; its ALPN list should name `h2`. For benchmarks.
    pub vendors_tls: Option<Arc<ServerConfig>>,
    /// Start scheduled functions by the clock. Without it they only run by [`Stack::tick`].
    pub clock: bool,
    /// Before a scheduled run that failed is tried again.
    pub retry_after: Duration,
    /// How long the API waits for a function.
    pub integration_timeout: Duration,
    /// How long [`Stack::stop`] lets invocations go on before it ends them.
    pub grace: Duration,
}

/// How functions are run as processes.
#[derive(Debug, Clone)]
pub struct Processes {
    /// Folder of the binaries.
    pub binaries: PathBuf,
    /// Most processes of one function; an event source's own limit counts too.
    pub environments: usize,
    /// Whether the processes' output is shown.
    pub output: bool,
}

impl Options {
    /// In memory, on a free port, in process, with this workspace's template and demo app, and no clock: for tests.
    pub fn test() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            data: None,
            apps: Path::new(env!("CARGO_MANIFEST_DIR")).join("apps"),
            template: Template::default_path(),
            processes: None,
            vendors_tls: None,
            clock: false,
            retry_after: Duration::from_secs(60),
            integration_timeout: INTEGRATION_TIMEOUT,
            grace: Duration::from_millis(500),
        }
    }
}

impl Processes {
    /// The binaries that cargo built beside this one. Their output is not shown.
    pub fn beside_this_binary() -> std::io::Result<Self> {
        let mut binaries = std::env::current_exe()?;
        binaries.pop();
        // A test's binary lies one folder deeper.
        if binaries.ends_with("deps") {
            binaries.pop();
        }
        Ok(Self { binaries, environments: 4, output: false })
    }
}

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
}

impl Stack {
    /// Starts everything. When it returns, the API answers.
    pub async fn start(options: Options) -> Result<Self, StackError> {
        let template = Arc::new(Template::read(&options.template)?);
        let apps = apps::read(&options.apps)?;
        let listener = bind(options.listen).await?;
        let address = local(&listener, options.listen)?;

        let (store, dynamodb) = open(options.data.as_deref())?;
        let faults = Faults::default();
        let phones = Phones::new(store.clone())?;
        let queues = queues(&template, store.clone())?;
        for table in &template.tables {
            dynamodb.ensure(&table_spec(table)?)?;
        }
        let sns = Sns::new(store, phones.clone())?;

        let (services, services_closing) = closer();
        let mut back = JoinSet::new();
        let vendors_listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let scheme = if options.vendors_tls.is_some() { "https" } else { "http" };
        let vendors_url = format!("{scheme}://{}", local(&vendors_listener, options.listen)?);
        let vendors = Vendors::new(&vendors_url, accounts(&apps), phones.clone(), faults.clone());
        back.spawn(vendors.clone().serve(vendors_listener, options.vendors_tls.clone(), closed(&services_closing)));

        let aws_listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let aws_url = url(local(&aws_listener, options.listen)?);
        let secrets = Secrets::new(options.apps.clone(), STAGE, &vendors_url);
        let aws = Aws { dynamodb, queues, sns, secrets, faults };
        back.spawn(aws.clone().serve(aws_listener, closed(&services_closing)));
        seed(&apps, &template, &aws).await?;

        let (invocations, invocations_closing) = closer();
        let invokers = invokers(&options, &template, &aws_url, &invocations_closing)?;

        let (intake, intake_closing) = closer();
        let mut front = JoinSet::new();
        let timers = timers(&options, &template, &invokers, &aws.queues);
        if options.clock {
            for timer in &timers {
                front.spawn(timer.clone().run(intake_closing.clone()));
            }
            front.spawn(sweeper(aws.dynamodb.clone(), intake_closing.clone()));
        }
        for function in &template.functions {
            for source in &function.queues {
                if let Some(invoker) = invokers.get(&function.package) {
                    front.spawn(poller::run(
                        aws.queues.clone(),
                        source.clone(),
                        invoker.clone(),
                        intake_closing.clone(),
                    ));
                }
            }
        }

        let gateway = Gateway::new(router(&template, &invokers), options.integration_timeout, address.port());
        let control = Arc::new(Control { aws: aws.clone(), phones: phones.clone(), invokers, timers });
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
            Some(function) => variables(function, &self.template, &self.aws_url),
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

    /// Invokes a function directly with an event, past the API and the queues.
    pub async fn invoke(&self, package: &str, event: bytes::Bytes) -> Option<Result<bytes::Bytes, InvokeError>> {
        Some(self.control.invokers.get(package)?.invoke(event).await)
    }

    /// Puts another settings document in the place of an app's. Functions see it when their cache has run out.
    pub async fn put_settings(&self, app: &str, document: &Value) -> Result<(), StackError> {
        let Some(table) = registry(&self.template) else { return Ok(()) };
        Ok(apps::put_settings(self.aws.dynamodb.direct(), &table, app, &document.to_string()).await?)
    }

    /// Waits until all work that is due is done: no queue that a function works off holds a message, visible or in
    /// flight. Messages with a delay that has not run out count only when asked for.
    pub async fn idle(&self, delayed: Delayed) -> Result<(), StackError> {
        let worked_off: Vec<&str> = self
            .template
            .functions
            .iter()
            .flat_map(|function| function.queues.iter().map(|source| source.queue.as_str()))
            .collect();
        Ok(self.aws.queues.wait_until_empty(&worked_off, delayed).await?)
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

fn open(data: Option<&Path>) -> Result<(Store, Dynamodb), StackError> {
    let Some(folder) = data else { return Ok((Store::memory()?, Dynamodb::memory()?)) };
    std::fs::create_dir_all(folder).map_err(|source| StackError::Data { path: folder.to_owned(), source })?;
    Ok((Store::open(&folder.join("local.sqlite"))?, Dynamodb::open(&folder.join("tables.sqlite"))?))
}

/// The template's queues. Whoever had received what is in flight in a kept file ended with the process before.
fn queues(template: &Template, store: Store) -> Result<Queues, StackError> {
    let queues = Queues::new(store)?;
    for queue in &template.queues {
        queues.ensure(&queue_spec(queue))?;
    }
    queues.release_in_flight()?;
    Ok(queues)
}

fn queue_spec(queue: &template::Queue) -> QueueSpec {
    QueueSpec {
        visibility: queue.visibility,
        delay: queue.delay,
        retention: queue.retention,
        max_bytes: usize::try_from(queue.maximum_message_size).unwrap_or(usize::MAX),
        redrive: queue
            .dead_letters
            .as_ref()
            .map(|(queue, receives)| Redrive { queue: queue.clone(), max_receives: *receives }),
        ..QueueSpec::new(&queue.logical_id)
    }
}

fn table_spec(table: &template::Table) -> Result<TableSpec, StackError> {
    let attributes = table
        .attributes
        .iter()
        .map(|(name, kind)| {
            let kind = match kind.as_str() {
                "S" => KeyAttribute::Text,
                "N" => KeyAttribute::Number,
                "B" => KeyAttribute::Binary,
                _ => return Err(StackError::KeyType(table.logical_id.clone())),
            };
            Ok((name.clone(), kind))
        })
        .collect::<Result<_, _>>()?;
    Ok(TableSpec {
        name: table.logical_id.clone(),
        partition: table.partition_key.clone(),
        sort: table.sort_key.clone(),
        attributes,
        ttl: table.ttl_attribute.clone(),
    })
}

/// The local name of the table that settings lie in.
fn registry(template: &Template) -> Option<String> {
    let parts = template.functions.iter().find_map(|function| function.environment.get(REGISTRY_VARIABLE))?;
    match parts.as_slice() {
        [Part::Ref(id) | Part::Text(id)] => Some(id.clone()),
        _ => None,
    }
}

/// The service accounts that the vendors know. One whose key cannot be read is one that they do not know.
fn accounts(apps: &[App]) -> Vec<ServiceAccount> {
    std::iter::once(DEMO_SERVICE_ACCOUNT)
        .chain(apps.iter().flat_map(|app| app.service_accounts.iter().map(String::as_str)))
        .filter_map(|key_file| ServiceAccount::read(key_file).ok())
        .collect()
}

/// Writes the apps' settings, and makes their platform applications.
async fn seed(apps: &[App], template: &Template, aws: &Aws) -> Result<(), StackError> {
    let registry = registry(template);
    for app in apps {
        for (platform, name) in &app.applications {
            aws.sns.ensure_application(platform, name)?;
        }
        if let (Some(table), Some(settings)) = (&registry, &app.settings) {
            apps::put_settings(aws.dynamodb.direct(), table, &app.name, settings).await?;
        }
    }
    Ok(())
}

fn variables(function: &Function, template: &Template, aws_url: &str) -> Result<BTreeMap<String, String>, StackError> {
    let mut variables = BTreeMap::from(
        [
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_ENDPOINT_URL", aws_url),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    for (name, parts) in &function.environment {
        let mut value = String::new();
        for part in parts {
            let resolved = resolve(part, template, aws_url).ok_or_else(|| StackError::Reference {
                package: function.package.clone(),
                variable: name.clone(),
                reference: match part {
                    Part::Text(text) | Part::Ref(text) => text.clone(),
                    Part::Attribute(id, attribute) => format!("{id}.{attribute}"),
                },
            })?;
            value.push_str(&resolved);
        }
        // A file of Lambda's own system, which this machine need not have.
        if name == "SSL_CERT_FILE" && !Path::new(&value).exists() {
            continue;
        }
        variables.insert(name.clone(), value);
    }
    Ok(variables)
}

fn resolve(part: &Part, template: &Template, aws_url: &str) -> Option<String> {
    let is_table = |id: &str| template.tables.iter().any(|table| table.logical_id == id);
    let is_queue = |id: &str| template.queues.iter().any(|queue| queue.logical_id == id);
    match part {
        Part::Text(text) => Some(text.clone()),
        Part::Ref(id) if is_table(id) => Some(id.clone()),
        Part::Ref(id) if is_queue(id) => Some(format!("{aws_url}/{ACCOUNT}/{id}")),
        Part::Ref(_) => None,
        Part::Attribute(id, attribute) => match attribute.as_str() {
            "Arn" if is_table(id) => Some(format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{id}")),
            "Arn" if is_queue(id) => Some(format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{id}")),
            "QueueName" if is_queue(id) => Some(id.clone()),
            _ => None,
        },
    }
}

/// One way to run each function, by its workspace package.
fn invokers(
    options: &Options,
    template: &Template,
    aws_url: &str,
    closing: &Closing,
) -> Result<BTreeMap<String, Invoker>, StackError> {
    let mut invokers = BTreeMap::new();
    for function in &template.functions {
        let variables = variables(function, template, aws_url)?;
        let invoker = match &options.processes {
            None => {
                let environment = Environment::from_lookup(|name| variables.get(name).cloned())?;
                let loaded = functions::Function::load(&function.package, &environment)?;
                Invoker::in_process(loaded, function.timeout, closing.clone())
            }
            Some(processes) => {
                let binary = processes.binaries.join(&function.package);
                if !binary.is_file() {
                    return Err(StackError::Binary(binary));
                }
                let most = function.queues.iter().map(|source| source.maximum_concurrency).max().unwrap_or(u32::MAX);
                let spec = Spec {
                    function: function.package.clone(),
                    binary,
                    variables: variables.into_iter().collect(),
                    memory_mb: function.memory_mb,
                    timeout: function.timeout,
                    environments: processes.environments.min(usize::try_from(most).unwrap_or(usize::MAX)),
                    output: processes.output,
                };
                Invoker::processes(Pool::new(spec, closing), function.timeout, closing.clone())
            }
        };
        invokers.insert(function.package.clone(), invoker);
    }
    Ok(invokers)
}

fn router(template: &Template, invokers: &BTreeMap<String, Invoker>) -> Router<Invoker> {
    let mut routes = Vec::new();
    for function in &template.functions {
        if let Some(invoker) = invokers.get(&function.package) {
            routes.extend(function.routes.iter().map(|route| (route.clone(), invoker.clone())));
        }
    }
    Router::new(routes)
}

fn timers(options: &Options, template: &Template, invokers: &BTreeMap<String, Invoker>, queues: &Queues) -> Vec<Timer> {
    let mut timers = Vec::new();
    for function in &template.functions {
        let Some(invoker) = invokers.get(&function.package) else { continue };
        for schedule in &function.schedules {
            timers.push(Timer::new(
                &function.package,
                schedule.clone(),
                function.asynchronous.clone(),
                options.retry_after,
                invoker.clone(),
                queues.clone(),
            ));
        }
    }
    timers
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
