//! The operator's import: a file of any number of rows into a stack of its own, by a process that is killed half way and started again.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use pushbell::env::Table;
use pushbell_local::stack::{Options, Processes, Stack};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{Error, population, stats};

/// What a run may be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Rows of the file.
    #[arg(long, default_value_t = 20_000)]
    rows: u64,
    /// Rows that the import writes at once; its own number without it.
    #[arg(long)]
    concurrency: Option<u16>,
    /// Writes the file here, and does nothing else.
    #[arg(long, value_name = "FILE")]
    only: Option<PathBuf>,
}

/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Every so many rows one lacks its token.
const REFUSED: u64 = 100;

const fn is_refused(row: u64) -> bool {
    row % REFUSED == REFUSED - 1
}

/// Two thirds of the rows are clients' first devices, and what follows are second ones of as many: far apart, as exports have them.
const fn client_of(row: u64, rows: u64) -> u64 {
    let first = rows - rows / 3;
    if row < first { row } else { row - first }
}

/// Of real length: 64 characters of Apple's, 163 of FCM's.
fn token(row: u64) -> (String, &'static str) {
    if row.is_multiple_of(2) {
        (format!("{row:064x}"), "ios")
    } else {
        (format!("{row:022}:APA91b{:x<134}", ""), "android")
    }
}

/// The row that a token was made for.
fn row_of(token: &str) -> Option<u64> {
    match token.split_once(':') {
        Some((row, _)) => row.parse().ok(),
        None => u64::from_str_radix(token.get(48..)?, 16).ok(),
    }
}

fn write(path: &Path, rows: u64) -> Result<(), Error> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    writeln!(file, "client,token,platform,device,locale")?;
    for row in 0..rows {
        let (token, platform) = token(row);
        let token = if is_refused(row) { "" } else { token.as_str() };
        let client = client_of(row, rows);
        writeln!(file, "65a1f0c2e4b0a1d2c3{client:06x},{token},{platform},installation-{row:012},de-DE")?;
    }
    Ok(file.flush()?)
}

/// One run of the command.
#[derive(Debug, Default)]
struct Part {
    seconds: f64,
    rows: u64,
    peak_mib: f64,
    cpu: f64,
}

impl Part {
    fn print(&self, name: &str) {
        #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
        let pace = self.rows as f64 / self.seconds;
        let Self { seconds, rows, peak_mib, cpu } = self;
        println!(
            "  {name}: {rows} rows in {seconds:.1} s, {pace:.0} rows/s; its peak {peak_mib:.1} MiB, its CPU time {cpu:.1} s"
        );
    }
}

/// Whether every device is there once.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool, Error> {
    if let Some(only) = &arguments.only {
        write(only, arguments.rows)?;
        return Ok(true);
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("rows.csv");
    write(&file, arguments.rows)?;
    let size = std::fs::metadata(&file)?.len() / 1_000_000;
    println!("import: {} rows, {size} MB", arguments.rows);
    let stack = Stack::start(Options { data: Some(folder.path().join("data")), ..Options::test() }).await?;
    let own = stats::cpu(std::process::id()).unwrap_or_default();

    let progress = folder.path().join("rows.csv.progress");
    let done = || {
        let read: Option<Value> = std::fs::read(&progress).ok().and_then(|text| serde_json::from_slice(&text).ok());
        read.and_then(|read| read["rows"].as_u64()).unwrap_or_default()
    };
    let (first, killed) = watch(command(arguments, &file, &stack)?, || done() >= arguments.rows / 2).await?;
    let first = Part { rows: done(), ..first };
    first.print("until SIGKILL");
    if killed.is_some() {
        return Err("the import has ended before it was killed".into());
    }
    let (second, ended) = watch(command(arguments, &file, &stack)?, || false).await?;
    let second = Part { rows: done() - first.rows, ..second };
    second.print("after it");
    let own = stats::cpu(std::process::id()).unwrap_or_default() - own;
    println!("  the emulated AWS meanwhile: {own:.1} s of CPU time");

    let refused = (0..arguments.rows).filter(|row| is_refused(*row)).count() as u64;
    let told: Value = serde_json::from_slice(&std::fs::read(&progress)?)?;
    let counted = told["counts"]["imported"].as_u64() == Some(arguments.rows - refused);
    let listed = std::fs::read_to_string(folder.path().join("rows.csv.refused.csv"))?.lines().count() as u64 - 1;
    println!("  exit code {ended:?}, counted right: {counted}, refused and listed: {listed} of {refused}");
    let right = verify(&stack, arguments.rows).await?;
    stack.stop().await;
    Ok(right && counted && listed == refused && ended == Some(3))
}

fn command(arguments: &Arguments, file: &Path, stack: &Stack) -> Result<Child, Error> {
    let binary = Processes::beside_this_binary()?.binaries.join("pushbell");
    if !binary.is_file() {
        return Err("pushbell is not built: `cargo build --workspace`, with --release if this is, builds it".into());
    }
    let mut command = Command::new(binary);
    command.arg("import").arg(file).args(["--app", "demo", "--from", "plain", "--url", &stack.url()]);
    if let Some(concurrency) = arguments.concurrency {
        command.args(["--concurrency", &concurrency.to_string()]);
    }
    Ok(command.stdout(Stdio::inherit()).kill_on_drop(true).spawn()?)
}

/// Looks at a process until it ends, or is killed because it is `enough`. Its exit code, if it has one.
async fn watch(mut child: Child, enough: impl Fn() -> bool) -> Result<(Part, Option<i32>), Error> {
    let (begun, mut part) = (Instant::now(), Part::default());
    let mut clock = tokio::time::interval(LOOK);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = clock.tick() => {}
        }
        let pid = child.id().unwrap_or_default();
        part.peak_mib = stats::memory(pid, "VmHWM").unwrap_or(part.peak_mib);
        part.cpu = stats::cpu(pid).unwrap_or(part.cpu);
        if enough() {
            child.kill().await?;
        }
    };
    part.seconds = begun.elapsed().as_secs_f64();
    Ok((part, status.code()))
}

/// Whether the tables hold every row's device once and for its client, and nothing else: the clients' items, the tokens' rows and the
/// members' rows.
async fn verify(stack: &Stack, rows: u64) -> Result<bool, Error> {
    let env = population::operator(stack)?;
    let dynamodb = pushbell::aws::dynamodb(&env);
    // Small pages: a large one takes longer than the client waits while the machine is busy.
    let scan = |table: String| dynamodb.scan().table_name(table).limit(1_000).into_paginator().items().send();
    let text = |value: Option<&AttributeValue>| value.and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    let mut seen = vec![0_u8; usize::try_from(rows)?];
    let mut strangers = 0_u64;
    let mut items = scan(env.table(Table::Recipients)?);
    while let Some(item) = items.try_next().await? {
        let client = text(item.get("pk"));
        for (_, value) in item.iter().filter(|(name, _)| name.starts_with("d#")) {
            let token = value.as_m().map(|device| text(device.get("t"))).unwrap_or_default();
            let row = row_of(&token)
                .filter(|row| *row < rows && client == format!("demo#65a1f0c2e4b0a1d2c3{:06x}", client_of(*row, rows)));
            match row.and_then(|row| seen.get_mut(usize::try_from(row).ok()?)) {
                Some(count) => *count = count.saturating_add(1),
                None => strangers += 1,
            }
        }
    }
    let expected = |row: usize| u8::from(!is_refused(row as u64));
    let missing = seen.iter().enumerate().filter(|(row, count)| **count < expected(*row)).count();
    let doubled = seen.iter().enumerate().filter(|(row, count)| **count > expected(*row)).count();
    let devices: u64 = seen.iter().map(|count| u64::from(*count)).sum();
    let (mut tokens, mut members) = (0, 0);
    let mut items = scan(env.table(Table::Registry)?);
    while let Some(item) = items.try_next().await? {
        let pk = text(item.get("pk"));
        tokens += u64::from(pk.starts_with("demo#t#"));
        members += u64::from(pk.starts_with("demo#all#"));
    }
    println!(
        "  {devices} devices, {tokens} tokens, {members} members of everybody; missing {missing}, doubled {doubled}, \
         under another client {strangers}"
    );
    Ok(missing + doubled == 0 && strangers == 0 && tokens == devices && members == devices)
}
