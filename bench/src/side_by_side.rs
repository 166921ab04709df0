//! `deliver`, the same job in Node, and the floor, under the same Runtime API and the same fakes, by turns: CPU time of the function's own
//! process, recipients per second, memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pushbell::env::Table;
use pushbell::id::ClientId;
use pushbell::time::Timestamp;
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::Stack;

use crate::front::Front;
use crate::population::{self, Roads};
use crate::report::{Report, Runs};
use crate::rig::{self, GROUP_OF_20, GROUP_OF_1000, ONE_TO_ONE, Process, Shape};
use crate::script::Script;
use crate::{Error, tls};

/// What a run may be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Recipients of a run, each with two phones; a fifth of them where each message has one recipient. The first 5,000 warm up, or half of
    /// them.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) recipients: usize,
    /// What the fake FCM takes for an answer, in milliseconds; several with commas.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 50, 150])]
    pub(crate) latency: Vec<u64>,
    /// Runs of each, by turns.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Who runs: deliver, node, floor.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Who::Deliver, Who::Node, Who::Floor])]
    pub(crate) who: Vec<Who>,
    /// Only this shape: one-to-one, "group of 20", "group of 1,000".
    #[arg(long)]
    pub(crate) shape: Option<String>,
}

const SHAPES: [Shape; 3] = [ONE_TO_ONE, GROUP_OF_20, GROUP_OF_1000];
/// Recipients before anything is measured: connections are open then, and Node's code is compiled.
const WARM_UP: usize = 5_000;
/// The number of the recorded tasks. Each run has numbers of its own, as long as these.
const RECORDED: u64 = 1_000_000_000_000_000;

/// Who does the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Who {
    Deliver,
    Node,
    Floor,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Node => "node",
            Self::Floor => "floor",
        }
    }
}

/// What one run showed.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// CPU milliseconds per 1,000 recipients.
    cpu: f64,
    per_second: f64,
    peak: f64,
    in_flight: u64,
}

#[derive(Debug, Default)]
struct Figures {
    cpu: Runs,
    per_second: Runs,
    peak: Runs,
    in_flight: Runs,
}

type All = BTreeMap<(usize, u64, Who), Figures>;

struct Bench {
    stack: Stack,
    front: Front,
    binaries: PathBuf,
    folder: tempfile::TempDir,
    clients: Vec<ClientId>,
    /// Of the next run.
    task: u64,
    /// When the tables are said to have been filled, each time.
    filled: Timestamp,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Report, Error> {
    let stack = rig::stack().await?;
    stack.phones.count_only(true);
    let front = Front::start(stack.aws_url(), stack.vendors_url()).await?;
    let mut bench = Bench {
        front,
        binaries: rig::binaries()?,
        folder: tempfile::tempdir()?,
        clients: population::clients(arguments.recipients)?,
        task: RECORDED + 1_000_000,
        filled: Timestamp::now(),
        stack,
    };
    let mut all = All::new();
    let chosen = |shape: &&Shape| arguments.shape.as_deref().is_none_or(|name| shape.name == name);
    for (index, shape) in SHAPES.iter().enumerate().filter(|(_, shape)| chosen(shape)) {
        let script = bench.record(*shape, RECORDED + 100_000 * index as u64).await?;
        for latency in &arguments.latency {
            bench.stack.vendors.set_latency(Duration::from_millis(*latency));
            for _ in 0..arguments.rounds {
                for who in [Who::Deliver, Who::Node, Who::Floor] {
                    if !arguments.who.contains(&who) {
                        continue;
                    }
                    let run = bench.one(who, *shape, &script).await?;
                    eprintln!("{}, {latency} ms, {}: {run:.0?}", shape.name, who.name());
                    let figures = all.entry((index, *latency, who)).or_default();
                    figures.cpu.push(run.cpu);
                    figures.per_second.push(run.per_second);
                    figures.peak.push(run.peak);
                    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
                    figures.in_flight.push(run.in_flight as f64);
                }
            }
        }
    }
    bench.stack.stop().await;
    Ok(report(arguments, &all))
}

impl Bench {
    fn clients(&self, shape: Shape) -> &[ClientId] {
        let count = if shape.recipients == 1 { self.clients.len() / 5 } else { self.clients.len() };
        &self.clients[..count]
    }

    /// Puts the tables back to where they were: what was recorded is right for them again.
    async fn fill(&self, shape: Shape) -> Result<(), Error> {
        fastrand::seed(1);
        population::seed_on(&self.stack, self.clients(shape), 5, (Roads::Direct, 10), self.filled).await
    }

    /// What `deliver` sends for a shape.
    async fn record(&mut self, shape: Shape, task: u64) -> Result<Script, Error> {
        self.stack.vendors.set_latency(Duration::ZERO);
        self.fill(shape).await?;
        let mut variables: BTreeMap<String, String> = self.stack.variables("deliver")?;
        variables.insert("AWS_ENDPOINT_URL".to_owned(), self.front.aws.clone());
        let process = self.rust("deliver", variables, Output::Hidden);
        let strip = |url: &str, scheme: &str| url.strip_prefix(scheme).unwrap_or(url).to_owned();
        let mut script = Script {
            dynamodb: strip(self.stack.aws_url(), "http://"),
            fcm: self.stack.vendors_url().to_owned(),
            invocations: Vec::new(),
        };
        for event in rig::events(shape, self.clients(shape), task) {
            self.front.begin(true);
            process.deliver(&event).await?;
            let mut recorded = self.front.recorded();
            // Documents and breakers are read now and then, and not by the floor.
            recorded.others.retain(|request| request.body.contains(&RECORDED.to_string()[..6]));
            // A rotation is for what its count has left, so it comes after it.
            let (rotations, counts) =
                recorded.counts.into_iter().partition(|request| request.body.contains("REMOVE m0"));
            recorded.counts = counts;
            recorded.others.splice(0..0, rotations);
            script.invocations.push(recorded);
        }
        Ok(script)
    }

    fn rust(&self, name: &str, mut variables: BTreeMap<String, String>, output: Output) -> Process {
        variables.insert("SSL_CERT_FILE".to_owned(), tls::certificate_file().display().to_string());
        Process::new(name, &self.binaries.join(name), variables.into_iter().collect(), output)
    }

    /// One run of one of them, with the tables as they are at the start of each.
    async fn one(&mut self, who: Who, shape: Shape, script: &Script) -> Result<Run, Error> {
        self.fill(shape).await?;
        let task = self.task;
        self.task += 1_000_000;
        let variables = self.stack.variables("deliver")?;
        let process = match who {
            Who::Deliver => self.rust("deliver", variables, Output::Hidden),
            Who::Floor => {
                let file = self.folder.path().join("script.json");
                std::fs::write(&file, renumbered(script, task)?)?;
                let mut variables = variables;
                variables.insert("BENCH_SCRIPT".to_owned(), file.display().to_string());
                self.rust("floor", variables, Output::Shown)
            }
            Who::Node => self.node()?,
        };
        let events = rig::events(shape, self.clients(shape), task);
        let warm_up = WARM_UP.div_ceil(shape.recipients * shape.records).min(events.len() / 2);
        let (warm_up, measured) = events.split_at(warm_up);
        for event in warm_up {
            process.deliver(event).await?;
        }
        let recipients = measured.iter().map(|event| event.records.len()).sum::<usize>() * shape.recipients;
        self.stack.vendors.take_most_in_flight();
        let (accepted, cpu, started) = (self.stack.phones.accepted(), process.cpu_ms(), Instant::now());
        for event in measured {
            process.deliver(event).await?;
        }
        let (cpu, seconds) = (process.cpu_ms() - cpu, rig::seconds(started));
        let accepted = self.stack.phones.accepted() - accepted;
        if accepted != 2 * recipients as u64 {
            return Err(format!("{}: {accepted} pushes to {recipients} recipients", who.name()).into());
        }
        #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
        let count = recipients as f64;
        Ok(Run {
            cpu: cpu * 1e3 / count,
            per_second: count / seconds,
            peak: process.peak_mib(),
            in_flight: self.stack.vendors.take_most_in_flight(),
        })
    }

    fn node(&self) -> Result<Process, Error> {
        let variables =
            node_variables(&self.stack, self.folder.path(), self.stack.aws_url(), self.stack.vendors_url())?;
        Ok(Process::new("node", &Node::Modules.bootstrap()?, variables, Output::Shown))
    }
}

/// The peer's two forms.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node {
    /// With its modules in their folders.
    Modules,
    /// In one file.
    Bundled,
}

impl Node {
    /// Its program, which must be installed.
    pub(crate) fn bootstrap(self) -> Result<PathBuf, Error> {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/node"));
        let (file, sign) = match self {
            Self::Modules => ("bootstrap", "node_modules"),
            Self::Bundled => ("dist/bootstrap", "dist/bootstrap"),
        };
        if folder.join(sign).exists() {
            Ok(folder.join(file))
        } else {
            Err("the peer in Node is not installed: `npm ci && npm run bundle` in bench/peers/node does it".into())
        }
    }
}

/// What the peer is told, with AWS and the vendors at these addresses.
pub(crate) fn node_variables(
    stack: &Stack,
    folder: &Path,
    aws: &str,
    fcm: &str,
) -> Result<Vec<(String, String)>, Error> {
    let account = folder.join("account.json");
    let vendors = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../local/apps/demo/vendors.json"))?;
    let vendors: serde_json::Value = serde_json::from_str(&vendors.replace("${VENDORS}", stack.vendors_url()))?;
    let known = &vendors["fcm"]["service_account"];
    std::fs::write(&account, known.to_string())?;
    let variables = stack.variables("deliver")?;
    let kept = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let kept = kept.iter().filter_map(|name| Some(((*name).to_owned(), variables.get(*name)?.clone())));
    let told = [
        ("PATH", std::env::var("PATH")?),
        ("NODE_ENV", "production".to_owned()),
        ("NODE_EXTRA_CA_CERTS", tls::certificate_file().display().to_string()),
        ("AWS_ENDPOINT_URL", aws.to_owned()),
        ("TABLE_RECIPIENTS", population::operator(stack)?.table(Table::Recipients)?),
        ("FCM_URL", fcm.to_owned()),
        ("FCM_PROJECT", known["project_id"].as_str().unwrap_or_default().to_owned()),
        ("FCM_ACCOUNT", account.display().to_string()),
    ];
    Ok(kept.chain(told.map(|(name, value)| (name.to_owned(), value))).collect())
}

/// The script with another run's task numbers, as its result rows are there already.
fn renumbered(script: &Script, task: u64) -> Result<String, Error> {
    let text = serde_json::to_string(script)?;
    let (from, to) = (RECORDED.to_string(), task.to_string());
    // The numbers of a run differ in their last six digits only.
    Ok(text.replace(&from[..10], &to[..10]))
}

fn report(arguments: &Arguments, all: &All) -> Report {
    let mut report = Report::new("deliver, Node and the floor");
    report.text(&format!(
        "`cargo run --release -p bench -- deliver`. {} recipients with two Android phones each, reached by FCM directly over HTTP/2 with TLS \
         (a fifth of them one-to-one); ten records an invocation, one environment, {} runs of each by turns: the median, and the least and \
         the most.",
        crate::report::grouped(&arguments.recipients.to_string()),
        arguments.rounds
    ));
    let mut rows = Vec::new();
    for ((shape, latency, who), figures) in all {
        let of =
            |other: Who| all.get(&(*shape, *latency, other)).map(|other| figures.cpu.median() / other.cpu.median());
        let ratio = |other: Who| {
            of(other).filter(|_| other != *who).map_or_else(String::new, |ratio| match ratio {
                ratio if ratio < 1.0 => format!("1/{:.1}", 1.0 / ratio),
                ratio => format!("{ratio:.2}"),
            })
        };
        rows.push(vec![
            SHAPES[*shape].name.to_owned(),
            format!("{latency} ms"),
            who.name().to_owned(),
            figures.cpu.text(0),
            ratio(Who::Node),
            ratio(Who::Floor),
            figures.per_second.text(0),
            figures.peak.text(1),
            figures.in_flight.text(0),
        ]);
    }
    report.table(
        &[
            "shape",
            "FCM answers after",
            "",
            "CPU ms per 1,000 recipients",
            "of Node's",
            "of the floor's",
            "recipients/s",
            "peak MiB",
            "sends in flight",
        ],
        &rows,
    );
    bars(&mut report, all);
    report
}

fn bars(report: &mut Report, all: &All) {
    let cpu =
        |index: usize, latency: u64, who: Who| all.get(&(index, latency, who)).map(|figures| figures.cpu.median());
    // The group of 1,000 travels as ten records of a hundred.
    for (index, latency, of_node) in [(2, 0, 10.0), (2, 50, 8.0), (2, 150, 7.0), (0, 0, 10.0)] {
        let what = format!("CPU of deliver, {}, FCM answers after {latency} ms", SHAPES[index].name);
        let Some(own) = cpu(index, latency, Who::Deliver) else { continue };
        if let Some(node) = cpu(index, latency, Who::Node) {
            let measured = format!("1/{:.1}", node / own);
            report.bar(what.as_str(), &format!("1/{of_node} of Node's"), measured, own * of_node <= node);
        }
        if let Some(floor) = cpu(index, latency, Who::Floor) {
            report.bar(what.as_str(), "1.5 of the floor's", format!("{:.2}", own / floor), own <= 1.5 * floor);
        }
    }
    let per_second = |who| all.get(&(2, 150, who)).map(|figures| figures.per_second.median());
    if let (Some(own), Some(node)) = (per_second(Who::Deliver), per_second(Who::Node)) {
        let what = "recipients/s of one environment, group of 1,000, FCM answers after 150 ms";
        report.bar(what, "twice Node's", format!("{:.1} times", own / node), own >= 2.0 * node);
    }
    let peaks = all.iter().filter(|((_, _, who), _)| *who == Who::Deliver).map(|(_, figures)| figures.peak.most());
    let peak = peaks.fold(0.0, f64::max);
    if peak > 0.0 {
        report.bar(
            "memory of deliver, ten records of up to 100",
            "under 32 MB",
            format!("{:.1} MB", peak * 1.048_576),
            peak * 1.048_576 < 32.0,
        );
    }
}
