//! All parts, one after the other, into one page.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::report::{Report, grouped};
use crate::side_by_side::Who;
use crate::{Error, FOUND, callback, chunks, cold, cost, side_by_side, size, stats};

/// What helped, by whom it was measured: written by hand, and kept with the page.
const HELPED: &str = include_str!("../HELPED.md");
const SEED: u64 = 1;

pub(crate) async fn run(arguments: &side_by_side::Arguments) -> Result<(), Error> {
    let mut parts = vec![
        side_by_side::run(arguments).await?,
        cold::run(&cold::Arguments { starts: 20, without_node: false }).await?,
        callback::run(&callback::Arguments { calls: 3_000 }).await?,
        size::run(&cold::FUNCTIONS)?,
        chunks::report(10_000, SEED).await?.0,
        cost::run(1).await?,
    ];
    let own = stats::memory(std::process::id(), "VmHWM").unwrap_or(f64::NAN) * 1.048_576;
    if let Some(last) = parts.last_mut() {
        let what = "memory of the local stack: the most of this process, in which all of these ran";
        last.bar(what, "under 300 MB", format!("{own:.0} MB"), own < 300.0);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
    std::fs::write(&path, page(parts))?;
    println!("{}", path.display());
    Ok(())
}

/// A bit of each part that needs nothing but what cargo builds. Sizes are those of a release build.
pub(crate) async fn smoke() -> Result<ExitCode, Error> {
    let who = vec![Who::Deliver, Who::Floor];
    let arguments = side_by_side::Arguments { recipients: 400, latency: vec![0], rounds: 1, who, shape: None };
    let (units, figures) = chunks::report(1_000, SEED).await?;
    let parts = [
        side_by_side::run(&arguments).await?,
        cold::run(&cold::Arguments { starts: 1, without_node: true }).await?,
        callback::run(&callback::Arguments { calls: 64 }).await?,
        units,
        cost::run(10).await?,
    ];
    for part in parts {
        println!("{}", part.into_text());
    }
    match figures.first() {
        Some(five) if chunks::holds(five) => Ok(ExitCode::SUCCESS),
        Some(five) => {
            println!("the units of a count are over the bar: {:.4} written, {:.4} read", five.writes, five.reads);
            Ok(FOUND.into())
        }
        None => Err("no units were measured".into()),
    }
}

fn page(parts: Vec<Report>) -> String {
    let mut page = String::from(
        "# Results of the benchmarks\n\nWritten by `cargo run --release -p bench -- all`, after `cargo build --release --workspace`, \
         `cargo build --profile symbols --workspace --bin devices`, and `npm ci && npm run bundle` in `bench/peers/node`; but for [what \
         helped](#what-helped), which is kept by hand. Compare figures within one table only: they were taken in one session, by turns.\n",
    );
    let mut about = Report::new("Where");
    let rows: Vec<Vec<String>> = machine().into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    about.table(&["", ""], &rows);
    let mut bars = Report::new("Bars");
    let rows: Vec<_> = parts.iter().flat_map(Report::bars).collect();
    bars.table(&["what", "bar", "measured", ""], &rows);
    bars.text(
        "The fault campaign has a page of its own, [docs/fault-campaign.md](../docs/fault-campaign.md). Why a bar is missed is told in [what \
         helped](#what-helped).",
    );
    for part in [about, bars].into_iter().chain(parts) {
        let _ = write!(page, "\n{}", part.into_text());
    }
    let _ = write!(page, "\n{HELPED}");
    page
}

fn machine() -> Vec<(&'static str, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or_else(|| "?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let says = |program: &str, arguments: &[&str]| {
        let said = Command::new(program).args(arguments).output().ok();
        said.map_or_else(|| "?".to_owned(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let memory: f64 = memory.trim_end_matches("kB").trim().parse().unwrap_or(f64::NAN);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    vec![
        ("date", says("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("commit", says("git", &["describe", "--always", "--dirty"])),
        ("processor", format!("{cores} cores, {}", field(&read("/proc/cpuinfo"), "model name"))),
        ("memory", format!("{} MiB", grouped(&format!("{:.0}", memory / 1024.0)))),
        ("kernel", says("uname", &["-sr"])),
        ("Rust", says("rustc", &["--version"])),
        ("Node", says("node", &["--version"])),
    ]
}
