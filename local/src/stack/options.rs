//! What a stack is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ServerConfig;

use crate::gateway::INTEGRATION_TIMEOUT;
use crate::runtime_api::{Output, SHUTDOWN};
use crate::template::Template;

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
    /// How long a process may take between SIGTERM and SIGKILL. On Lambda it is half a second; a test in which it is to end by itself
    /// gives it more.
    pub shutdown: Duration,
    /// Where the processes' output goes.
    pub output: Output,
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
        Ok(Self { binaries, environments: 4, shutdown: SHUTDOWN, output: Output::Hidden })
    }
}
