//! What a function is told by its environment variables. Read once, at the start; a variable that is missing is named.

use std::collections::BTreeSet;
use std::fmt;

use crate::aws::Connections;
use crate::id::AppId;

/// A variable that is missing or not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// The function cannot work without it.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// It does not say what it is to say.
    #[error("the environment variable {0} cannot be read")]
    Unreadable(&'static str),
}

/// The variables, by subject. A table or queue that a function has no business with may be absent; asking for it is an error
/// then and not before.
#[derive(Clone)]
pub struct Environment {
    region: String,
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
    endpoint: Option<String>,
    endpoints: [Option<String>; 4],
    stage: String,
    tables: [Option<String>; 4],
    queues: [Option<String>; Queue::COUNT],
    trigger_apps: Option<String>,
    /// Not a variable, but what all clients of its reader share; its clones too.
    connections: Connections,
}

/// Names the apps whose rules see what `trigger` is handed.
const TRIGGER_APPS: &str = "TRIGGER_APPS";

/// The AWS services that functions talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Tables.
    DynamoDb,
    /// Queues.
    Sqs,
    /// Mobile push.
    Sns,
    /// Apps' documents.
    SecretsManager,
}

impl Service {
    const ALL: [Self; 4] = [Self::DynamoDb, Self::Sqs, Self::Sns, Self::SecretsManager];

    const fn variable(self) -> &'static str {
        match self {
            Self::DynamoDb => "AWS_ENDPOINT_URL_DYNAMODB",
            Self::Sqs => "AWS_ENDPOINT_URL_SQS",
            Self::Sns => "AWS_ENDPOINT_URL_SNS",
            Self::SecretsManager => "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        }
    }
}

/// The four tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// One item per client.
    Recipients,
    /// Token owners, audience members, apps' settings.
    Registry,
    /// Claims and result rows.
    Tasks,
    /// Work for later.
    Deferred,
}

impl Table {
    const ALL: [Self; 4] = [Self::Recipients, Self::Registry, Self::Tasks, Self::Deferred];

    const fn variable(self) -> &'static str {
        match self {
            Self::Recipients => "TABLE_RECIPIENTS",
            Self::Registry => "TABLE_REGISTRY",
            Self::Tasks => "TABLE_TASKS",
            Self::Deferred => "TABLE_DEFERRED",
        }
    }
}

/// The queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Tasks of more than 100 recipients.
    FanOut,
    /// Chunks.
    Deliver,
    /// Chunks that were given up.
    DeadLetters,
    /// What vendors reported about pushes, to be counted.
    Results,
    /// Outcomes, to be sent to the apps' own addresses.
    Report,
    /// Outcomes that no app's address took.
    ReportDeadLetters,
}

impl Queue {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, each at its own number.
    pub(crate) const ALL: [Self; 6] =
        [Self::FanOut, Self::Deliver, Self::DeadLetters, Self::Results, Self::Report, Self::ReportDeadLetters];

    const fn variable(self) -> &'static str {
        match self {
            Self::FanOut => "QUEUE_FAN_OUT",
            Self::Deliver => "QUEUE_DELIVER",
            Self::DeadLetters => "QUEUE_DEAD_LETTERS",
            Self::Results => "QUEUE_RESULTS",
            Self::Report => "QUEUE_REPORT",
            Self::ReportDeadLetters => "QUEUE_REPORT_DEAD_LETTERS",
        }
    }

    /// The word in deferred rows and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FanOut => "fan-out",
            Self::Deliver => "deliver",
            Self::DeadLetters => "dead-letters",
            Self::Results => "results",
            Self::Report => "report",
            Self::ReportDeadLetters => "report-dead-letters",
        }
    }

    /// The queue that a deferred row names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == word)
    }
}

impl Environment {
    /// The process's own variables.
    ///
    /// # Errors
    /// When a variable that every function needs is missing.
    pub fn from_process() -> Result<Self, EnvError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// The variables that `lookup` knows. An empty one counts as missing.
    ///
    /// # Errors
    /// When a variable that every function needs is missing.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, EnvError> {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let need = |name: &'static str| get(name).ok_or(EnvError::Missing(name));
        Ok(Self {
            region: need("AWS_REGION")?,
            access_key: need("AWS_ACCESS_KEY_ID")?,
            secret_key: need("AWS_SECRET_ACCESS_KEY")?,
            session_token: get("AWS_SESSION_TOKEN"),
            endpoint: get("AWS_ENDPOINT_URL"),
            endpoints: Service::ALL.map(|service| get(service.variable())),
            stage: need("STAGE")?,
            tables: Table::ALL.map(|table| get(table.variable())),
            queues: Queue::ALL.map(|queue| get(queue.variable())),
            trigger_apps: get(TRIGGER_APPS),
            connections: Connections::default(),
        })
    }

    /// The AWS region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Access key, secret key and session token. Lambda renews them by replacing the process.
    #[must_use]
    pub(crate) fn credentials(&self) -> (&str, &str, Option<&str>) {
        (&self.access_key, &self.secret_key, self.session_token.as_deref())
    }

    /// The connections of the SDK's clients.
    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Where `service` is, if not at its AWS address.
    #[must_use]
    pub fn endpoint(&self, service: Service) -> Option<&str> {
        self.endpoints[service as usize].as_deref().or(self.endpoint.as_deref())
    }

    /// `dev`, `prod`, `local`.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// The name of `table`.
    ///
    /// # Errors
    /// When the function was given none.
    pub fn table(&self, table: Table) -> Result<String, EnvError> {
        self.tables[table as usize].clone().ok_or(EnvError::Missing(table.variable()))
    }

    /// The URL of `queue`.
    ///
    /// # Errors
    /// When the function was given none.
    pub fn queue(&self, queue: Queue) -> Result<String, EnvError> {
        self.queues[queue as usize].clone().ok_or(EnvError::Missing(queue.variable()))
    }

    /// The apps whose rules see what comes from tables and buses, each once. None where none is named.
    ///
    /// # Errors
    /// When one of them is no app's name.
    pub fn trigger_apps(&self) -> Result<Vec<AppId>, EnvError> {
        let names = self.trigger_apps.iter().flat_map(|names| names.split(',')).map(str::trim);
        let apps: Result<BTreeSet<AppId>, _> = names.map(AppId::parse).collect();
        apps.map(|apps| apps.into_iter().collect()).map_err(|_| EnvError::Unreadable(TRIGGER_APPS))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("region", &self.region).field("stage", &self.stage).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
            "STAGE" => Some("local".to_owned()),
            "TABLE_TASKS" => Some("tasks".to_owned()),
            "TABLE_DEFERRED" => Some(String::new()),
            "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:1".to_owned()),
            "AWS_ENDPOINT_URL_SQS" => Some("http://127.0.0.1:2".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = Environment::from_lookup(|name| if name == "STAGE" { None } else { lookup(name) }).unwrap_err();
        assert_eq!(error.to_string(), "the environment variable STAGE is not set");
        let env = Environment::from_lookup(lookup).unwrap();
        assert_eq!(env.table(Table::Tasks).unwrap(), "tasks");
        assert_eq!(env.table(Table::Deferred), Err(EnvError::Missing("TABLE_DEFERRED")));
    }

    #[test]
    fn apps_are_named_with_commas_between_them() {
        let of = |names: &str| {
            let env = Environment::from_lookup(|name| match name {
                "TRIGGER_APPS" => Some(names.to_owned()),
                _ => lookup(name),
            });
            env.unwrap().trigger_apps().map(|apps| apps.iter().map(AppId::to_string).collect::<Vec<_>>())
        };
        assert_eq!(of("b, a,b").unwrap(), ["a", "b"]);
        assert!(of("").unwrap().is_empty());
        assert_eq!(of("a,,b").unwrap_err().to_string(), "the environment variable TRIGGER_APPS cannot be read");
    }

    #[test]
    fn a_service_s_own_endpoint_wins() {
        let env = Environment::from_lookup(lookup).unwrap();
        assert_eq!(env.endpoint(Service::Sqs), Some("http://127.0.0.1:2"));
        assert_eq!(env.endpoint(Service::DynamoDb), Some("http://127.0.0.1:1"));
    }

    #[test]
    fn credentials_do_not_show_in_debug() {
        let text = format!("{:?}", Environment::from_lookup(lookup).unwrap());
        assert!(!text.contains("key"), "{text}");
    }
}
