//! `import`: devices that another system knew are registered, from a file of any size.
//!
//! Rows are written many at once, and counted in the file's order: the progress file says up to where all rows are done and what became of
//! them. A run that is killed is gone on with from there. Rows that were written beyond that place are met again, and known by their time: it
//! follows from the import's own and the row's number, so that no app, and no other row nearby, gives a device the same.

mod counts;
mod fields;
mod formats;
mod ledger;
mod met;
mod meter;
mod pass;
mod progress;
mod records;
mod refused;
mod source;
#[cfg(test)]
mod tests;
mod turns;
mod write;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::error::DisplayErrorContext;
use clap::Args;
use pushbell::app::{AppError, SecretDocuments, Settings, SettingsDocuments};
use pushbell::env::{EnvError, Table};
use pushbell::id::AppId;
use pushbell::registry::Registry;
use pushbell::time::Timestamp;

use ledger::Files;
use meter::Meter;
use pass::Pass;
use progress::{Identity, Progress, beside};
use records::Records;
use refused::RefusedFile;
use source::Source;
use write::Writer;

pub use counts::Counts;
pub use formats::Format;
pub use progress::ProgressError;
pub use records::ReadError;
pub use write::{Patience, WriteError};

use super::{Deployment, Where};

/// What to import into which app.
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// JSON lines, a JSON array, or CSV with a header; any of them gzipped or not.
    pub file: PathBuf,
    /// The app whose devices they are.
    #[arg(long, value_parser = super::app_id)]
    pub app: AppId,
    /// The system that the file comes from.
    #[arg(long, value_enum)]
    pub from: Format,
    /// Read and check everything, tell what would become of it, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Rows that are written at once.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// Which bundle.
    #[command(flatten)]
    pub place: Where,
}

/// How patient an import is, and how often it writes its progress.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// With the tables.
    pub patience: Patience,
    /// Between two writes of the progress.
    pub save_every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { patience: Patience::default(), save_every: Duration::from_secs(1) }
    }
}

/// Why an import did not come to its end. What was done is in its progress, and the same command goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file is not there, or nobody may read it.
    #[error("{} cannot be read", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process is at it.
    #[error("another import of this file is running")]
    Running,
    /// The bundle has no such app.
    #[error("there is no app {app} in {stack}: it has no callers document")]
    UnknownApp {
        /// The app.
        app: AppId,
        /// The bundle's stack.
        stack: String,
    },
    /// The app's documents.
    #[error(transparent)]
    App(#[from] AppError),
    /// What was found of the bundle does not do.
    #[error(transparent)]
    Environment(#[from] EnvError),
    /// A table does not tell of itself.
    #[error("the table {table} cannot be looked at: {reason}")]
    Table {
        /// Its name.
        table: String,
        /// Why not.
        reason: String,
    },
    /// The file is not usable, from a place on or at all.
    #[error("{}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: ReadError,
    },
    /// Progress and refused rows.
    #[error(transparent)]
    Progress(#[from] ProgressError),
    /// The tables.
    #[error("stopped after {rows} rows: run the same command again to go on")]
    Write {
        /// Rows up to which all are done.
        rows: u64,
        /// Why.
        #[source]
        source: WriteError,
    },
    /// A part of the program has failed.
    #[error("a row's writer has failed")]
    Crashed(#[source] tokio::task::JoinError),
    /// The report.
    #[error("the report cannot be written")]
    Report(#[source] io::Error),
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Of all rows, those of earlier runs too.
    pub counts: Counts,
    /// Where the refused rows are, if there are any.
    pub refused: Option<PathBuf>,
}

impl Outcome {
    /// 0; 1 when rows could not be written, 3 when rows were refused and all others are in.
    pub fn exit_code(&self) -> u8 {
        match (self.counts.failed, self.counts.refused.is_empty()) {
            (1.., _) => 1,
            (0, false) => 3,
            (0, true) => 0,
        }
    }
}

/// Imports a file, or goes on with it, and reports to `out`.
///
/// # Errors
/// When the app is not there, the file not usable, or the tables take nothing for long.
pub async fn run(deployment: &Deployment, args: &Import, out: &mut impl Write) -> Result<Outcome, ImportError> {
    run_at(deployment, args, Pace::default(), out).await
}

/// The same, more or less patiently.
///
/// # Errors
/// As [`run`].
pub async fn run_at(
    deployment: &Deployment,
    args: &Import,
    pace: Pace,
    out: &mut impl Write,
) -> Result<Outcome, ImportError> {
    let settings = settings(deployment, &args.app).await?;
    let open = |source| ImportError::Open { path: args.file.clone(), source };
    let source = Source::open(&args.file).map_err(open)?;
    let (progress_path, refused_path) = (beside(&args.file, ".progress"), beside(&args.file, ".refused.csv"));
    let identity = identity(deployment, args, &source).await?;
    let progress = if args.dry_run {
        Progress::new(identity, Timestamp::now())
    } else if source.lock() {
        let earlier = Progress::read(&progress_path, &identity)?;
        earlier.unwrap_or_else(|| Progress::new(identity, Timestamp::now()))
    } else {
        return Err(ImportError::Running);
    };

    let counts = if progress.complete {
        told(out, "all of it was imported before; take the .progress file away to begin anew\n")?;
        progress.counts
    } else {
        let read = |reason| ImportError::Read { path: args.file.clone(), reason };
        let records = Records::open(&source, args.from.columns(), progress.place).map_err(read)?;
        let files = if args.dry_run {
            None
        } else {
            let refused = RefusedFile::open(refused_path.clone(), progress.refused_bytes)?;
            Some(Files { progress: progress_path, refused, every: pace.save_every })
        };
        let registry = Registry::without_retries(&deployment.env)?;
        let sns = settings.sns.clone();
        let writer = Writer::new(registry, args.app.clone(), sns, pace.patience, args.dry_run);
        let meter = Meter::new(&source, progress.rows);
        Pass::new(args, &settings.sns, writer, progress, files, meter).run(records).await?
    };
    let is_listed = !args.dry_run && (counts.failed > 0 || !counts.refused.is_empty());
    let outcome = Outcome { counts, refused: is_listed.then_some(refused_path) };
    told(out, &outcome.counts.table(args.dry_run))?;
    if let Some(refused) = &outcome.refused {
        told(out, &format!("what was refused: {}\n", refused.display()))?;
    }
    if args.dry_run {
        told(out, "a dry run: nothing was written\n")?;
    }
    Ok(outcome)
}

fn told(out: &mut impl Write, text: &str) -> Result<(), ImportError> {
    match out.write_all(text.as_bytes()) {
        // Whoever closed the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(ImportError::Report),
    }
}

/// The app's settings, if there is the app: it has a `callers` document, by which functions tell, too.
async fn settings(deployment: &Deployment, app: &AppId) -> Result<Arc<Settings>, ImportError> {
    if SecretDocuments::callers(&deployment.env).get(app).await?.is_none() {
        return Err(ImportError::UnknownApp { app: app.clone(), stack: deployment.stack.clone() });
    }
    Ok(SettingsDocuments::new(&deployment.env)?.get(app).await?)
}

async fn identity(deployment: &Deployment, args: &Import, source: &Source) -> Result<Identity, ImportError> {
    let client = aws_sdk_dynamodb::Client::new(&deployment.config);
    let mut tables = Vec::new();
    for table in [Table::Recipients, Table::Registry] {
        let table = deployment.env.table(table)?;
        let described = client.describe_table().table_name(&table).send().await.map_err(|error| {
            ImportError::Table { table: table.clone(), reason: DisplayErrorContext(&error).to_string() }
        })?;
        let made = described.table().and_then(|table| table.creation_date_time()).map(|made| made.as_nanos());
        tables.push(format!("{table} of {}", made.unwrap_or_default()));
    }
    Ok(Identity {
        digest: source.digest.clone(),
        format: args.from,
        app: args.app.as_str().to_owned(),
        stack: format!("{} in {}", deployment.stack, deployment.env.region()),
        tables: tables.join(", "),
    })
}
