//! The fault campaign: device deliveries by the hundred thousand through the real function binaries, while processes are killed and
//! everything around them fails now and then; and a verdict that is computed from what the campaign did, apart from the code under test.
//!
//! Seeded: the same people, messages, faults and kills for the same seed. How they meet is the machine's.

pub(crate) mod caller;
mod campaign;
mod chaos;
mod facts;
mod judge;
pub(crate) mod look;
mod phases;
mod report;

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use pushbell_local::phones::Channel;
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::{Options, Processes, Stack};

use crate::Error;
use campaign::Campaign;
use chaos::Guard;
use judge::{Seen, judge};
use phases::People;

/// How a campaign is run.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Of people, messages, faults and kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// About so many pushes to phones.
    #[arg(long, default_value_t = 100_000)]
    deliveries: usize,
    /// Takes one of the product's guards away, outside the product's code. The campaign has to fail then.
    #[arg(long)]
    without: Option<Guard>,
    /// Pushes between two kills, in the mean; without it, 400, and fewer in a small campaign.
    #[arg(long)]
    kills: Option<u64>,
    /// Only these parts, in their order; all of them when none is named.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Phase>,
    /// Shows the functions' logs.
    #[arg(long)]
    output: bool,
}

/// A part of the campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// Groups of all sizes, repeats, recalls, reads and moves.
    Bursts,
    /// Five messages a second.
    Busy,
    /// Phones that move between a send and its retry.
    Moves,
    /// Phones that die, and phones that were called dead.
    Deaths,
    /// An hour in which nobody delivers.
    Backlog,
    /// Records that fail for good, and are replayed a day later.
    Letters,
}

impl Phase {
    async fn run(self, campaign: &mut Campaign, people: &People, deliveries: usize) -> Result<(), Error> {
        match self {
            Self::Bursts => phases::bursts(campaign, people, deliveries).await,
            Self::Busy => phases::busy(campaign, people, deliveries).await,
            Self::Moves => phases::moves(campaign, people).await,
            Self::Deaths => phases::deaths(campaign, people).await,
            Self::Backlog => phases::backlog(campaign, people).await,
            Self::Letters => phases::dead_letters(campaign, people).await,
        }
    }

    const fn says(self) -> &'static str {
        match self {
            Self::Bursts => "bursts to groups of all sizes",
            Self::Busy => "five messages a second",
            Self::Moves => "phones that move between send and retry",
            Self::Deaths => "phones that die, and that do not",
            Self::Backlog => "a backlog of an hour",
            Self::Letters => "dead letters, replayed a day later",
        }
    }
}

/// Processes of each function. With everything failing now and then they mostly wait.
const ENVIRONMENTS: usize = 12;
/// The functions' clocks are ahead of everybody else's by so much when the campaign begins.
const CLOCK_OFF: Duration = Duration::from_secs(3_600);

/// Runs a campaign and prints what was found; whether everything holds.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool, Error> {
    let processes = Processes {
        output: Output::shown_if(arguments.output),
        environments: ENVIRONMENTS,
        ..Processes::beside_this_binary()?
    };
    build(&processes)?;
    let started = Instant::now();
    let stack = Stack::start(Options { processes: Some(processes), ..Options::test() }).await?;
    stack.aws.queues.put_clock_back(CLOCK_OFF);
    let kills = arguments.kills.unwrap_or((arguments.deliveries as u64 / 250).clamp(50, 400)).max(1);
    let mut campaign = Campaign::new(stack, arguments.seed, arguments.without, kills);
    campaign.note_clock();
    campaign.rules(Vec::new())?;
    let people = People::settle(&mut campaign, arguments.deliveries).await?;
    report::step("everybody is registered", started);
    for phase in Phase::value_variants() {
        if arguments.only.is_empty() || arguments.only.contains(phase) {
            phase.run(&mut campaign, &people, arguments.deliveries).await?;
            report::step(phase.says(), started);
        }
    }
    phases::last_words(&mut campaign, &people).await?;
    report::step("a last message to everybody", started);

    let seen = see(&campaign).await?;
    let verdict = judge(&campaign.facts(), &seen);
    report::print(arguments, &campaign, &verdict, started);
    campaign.stack.stop().await;
    Ok(verdict.is_clean())
}

async fn see(campaign: &Campaign) -> Result<Seen, Error> {
    let clients = campaign.facts().clients.clone();
    let mut badges = Vec::with_capacity(clients.len());
    for page in clients.chunks(100) {
        badges.extend(campaign.caller.badges(page).await?);
    }
    let mut pushes = campaign.stack.phones.log()?;
    for push in &mut pushes {
        if push.channel == Channel::Sns {
            push.token.make_ascii_lowercase();
        }
    }
    Ok(Seen { pushes, badges, tokens: look::tokens(&campaign.stack).await?, sums: look::sums(&campaign.stack).await? })
}

/// The functions, where this was started by cargo; otherwise they have to be there.
pub(crate) fn build(processes: &Processes) -> Result<(), Error> {
    const FUNCTIONS: [&str; 13] = [
        "before-push",
        "deliver",
        "devices",
        "fan-out",
        "feedback",
        "generic-push",
        "notify",
        "push-results",
        "report",
        "retry",
        "stats",
        "tally",
        "trigger",
    ];
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut command = std::process::Command::new(cargo);
        command.args(["build", "--quiet", "--locked", "--bins"]);
        if processes.binaries.ends_with("release") {
            command.arg("--release");
        }
        for function in FUNCTIONS {
            command.args(["-p", function]);
        }
        if !command.status()?.success() {
            return Err("the functions do not build".into());
        }
    }
    match FUNCTIONS.iter().find(|function| !processes.binaries.join(function).is_file()) {
        Some(missing) => Err(format!("there is no binary {missing}; `cargo build --workspace` builds it").into()),
        None => Ok(()),
    }
}
