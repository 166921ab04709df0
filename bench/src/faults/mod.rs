//! The fault campaign: device deliveries by the hundred thousand through the real function binaries, while processes are killed and
//! everything around them fails now and then; and a verdict that is computed from what the campaign did, apart from the code under test.
//!
//! Seeded: the same people, messages, faults and kills for the same seed. How they meet is the machine's.

mod caller;
mod campaign;
mod chaos;
mod facts;
mod judge;
mod look;
mod phases;
mod report;

use std::time::{Duration, Instant};

use clap::Args;
use pushbell_local::phones::Channel;
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
    /// Mean time between two kills, in milliseconds.
    #[arg(long, default_value_t = 250)]
    kills: u64,
    /// Shows the functions' logs.
    #[arg(long)]
    output: bool,
}

/// The functions' clocks are ahead of everybody else's by so much when the campaign begins.
const CLOCK_OFF: Duration = Duration::from_secs(3_600);

/// Runs a campaign and prints what was found; whether everything holds.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool, Error> {
    let processes = Processes { output: arguments.output, ..Processes::beside_this_binary()? };
    build(&processes)?;
    let started = Instant::now();
    let stack = Stack::start(Options { processes: Some(processes), ..Options::test() }).await?;
    stack.aws.queues.put_clock_back(CLOCK_OFF);
    let kills = Duration::from_millis(arguments.kills.max(1));
    let mut campaign = Campaign::new(stack, arguments.seed, arguments.without, kills);
    campaign.note_clock();
    campaign.rules(Vec::new())?;
    let people = People::settle(&mut campaign, arguments.deliveries).await?;
    report::step("everybody is registered", started);
    phases::bursts(&mut campaign, &people, arguments.deliveries).await?;
    report::step("bursts to groups of all sizes", started);
    phases::busy(&mut campaign, &people, arguments.deliveries).await?;
    report::step("five messages a second", started);
    phases::moves(&mut campaign, &people).await?;
    report::step("phones that move between send and retry", started);
    phases::deaths(&mut campaign, &people).await?;
    report::step("phones that die, and that do not", started);
    phases::backlog(&mut campaign, &people).await?;
    report::step("a backlog of an hour", started);
    phases::dead_letters(&mut campaign, &people).await?;
    report::step("dead letters, replayed a day later", started);
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
fn build(processes: &Processes) -> Result<(), Error> {
    const FUNCTIONS: [&str; 5] = ["deliver", "devices", "fan-out", "generic-push", "retry"];
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
