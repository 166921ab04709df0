//! Benchmarks over the local stack. Each prints what it measured and how; nothing here fails on a time.

mod all;
mod audience;
mod backlog;
mod callback;
mod chunks;
mod cold;
mod cost;
mod end_to_end;
mod faults;
mod filter;
mod front;
mod import;
mod isolation;
mod population;
mod report;
mod rig;
mod script;
mod side_by_side;
mod size;
mod stats;
mod tally;
mod templates;
mod tls;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// What can go wrong: the stack, the tables, the binaries. A benchmark has one user, who reads the text.
type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(name = "bench", about = "Benchmarks of Pushbell over the local stack")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// `deliver`, the same job in Node, and a bare client, by turns: CPU time, recipients per second, memory.
    Deliver(side_by_side::Arguments),
    /// From starting a process to its first poll, its first request to DynamoDB, its first send; of every function, and of the peers.
    Cold(cold::Arguments),
    /// The hooks over HTTP: how long a chat server waits.
    Callback(callback::Arguments),
    /// What the functions weigh, and whose bytes the largest one has.
    Size,
    /// What a million device pushes cost by AWS's list prices.
    Cost,
    /// Drives `deliver`: DynamoDB units per recipient.
    Units {
        /// Recipients, each with two devices.
        #[arg(long, default_value_t = 10_000)]
        recipients: usize,
        /// Seed of the population.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Callbacks over HTTP through the real binaries: the time to each vendor's acceptance.
    EndToEnd {
        /// Recipients, each with two devices.
        #[arg(long, default_value_t = 1_000)]
        recipients: usize,
        /// What the fake FCM takes for an answer, in milliseconds.
        #[arg(long, default_value_t = 0)]
        latency: u64,
        /// Rooms with unread messages of each recipient.
        #[arg(long, default_value_t = 5)]
        rooms: usize,
    },
    /// Deliver, cold, callback, size, units and cost, one after the other, into `bench/RESULTS.md`.
    All(side_by_side::Arguments),
    /// A bit of each of them, to see that it works, and that the units of a count hold. Fails when they do not.
    Smoke,
    /// Notifies lists, a tag and everybody, then everybody while `fan-out` is killed. Fails when a phone that was there does not show a notice
    /// exactly once, or a task's sums do not add up.
    Audience(audience::Arguments),
    /// Drives `retry` against a backlog: rows per second, runs, when the newest rows went out.
    Backlog {
        /// Deferred rows of one app, all due.
        #[arg(long, default_value_t = 100_000)]
        rows: usize,
        /// Bytes of each record.
        #[arg(long, default_value_t = 1_000)]
        bytes: usize,
    },
    /// Drives `tally`: write units of a reported event, by the events of a callback and the callbacks that come together.
    Tally {
        /// Events at each point of the curve, about.
        #[arg(long, default_value_t = 2_000)]
        events: u32,
    },
    /// One call to many users by id, each of whom reads their own text: recipients per second, units of every table, CPU time.
    Templates {
        /// Recipients, each with two devices.
        #[arg(long, default_value_t = 20_000)]
        recipients: usize,
        /// What the fake FCM takes for an answer, in milliseconds.
        #[arg(long, default_value_t = 0)]
        latency: u64,
    },
    /// Imports a file, kills the import half way, runs it again: rows per second, memory, and whether every device is there once. Fails
    /// when it is not.
    Import(import::Arguments),
    /// Watches one app's pushes while the vendor of another hangs for 30 s a request.
    Isolation {
        /// Seconds of each of the two phases.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Runs the fault campaign: deliveries through the real binaries while everything fails now and then. Fails when something is lost,
    /// goes to the wrong client, or is counted, shown or summed up wrong.
    Faults(faults::Arguments),
    /// Drives `before-push` in mode `filter`: time of a call by recipients and connections, CPU time, memory, read units, and what the
    /// rules cost without the table.
    Filter(filter::Arguments),
}

/// The exit code of a campaign that has found something. One that could not be run has 1.
const FOUND: u8 = 2;

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    match Arguments::parse().what {
        What::Audience(arguments) => {
            Ok(if audience::run(&arguments).await? { ExitCode::SUCCESS } else { FOUND.into() })
        }
        What::Templates { recipients, latency } => {
            templates::run(recipients, Duration::from_millis(latency)).await.map(|()| ExitCode::SUCCESS)
        }
        What::Import(arguments) => Ok(if import::run(&arguments).await? { ExitCode::SUCCESS } else { FOUND.into() }),
        What::Tally { events } => tally::run(events).await.map(|()| ExitCode::SUCCESS),
        What::Backlog { rows, bytes } => backlog::run(rows, bytes).await.map(|()| ExitCode::SUCCESS),
        What::Deliver(arguments) => {
            println!("{}", side_by_side::run(&arguments).await?.into_text());
            Ok(ExitCode::SUCCESS)
        }
        What::Cold(arguments) => {
            println!("{}", cold::run(&arguments).await?.into_text());
            Ok(ExitCode::SUCCESS)
        }
        What::Callback(arguments) => {
            println!("{}", callback::run(&arguments).await?.into_text());
            Ok(ExitCode::SUCCESS)
        }
        What::Size => {
            println!("{}", size::run(&cold::FUNCTIONS)?.into_text());
            Ok(ExitCode::SUCCESS)
        }
        What::Cost => {
            println!("{}", cost::run(1).await?.into_text());
            Ok(ExitCode::SUCCESS)
        }
        What::Units { recipients, seed } => {
            println!("{}", chunks::report(recipients, seed).await?.0.into_text());
            Ok(ExitCode::SUCCESS)
        }
        What::EndToEnd { recipients, latency, rooms } => {
            end_to_end::run(recipients, rooms, Duration::from_millis(latency)).await.map(|()| ExitCode::SUCCESS)
        }
        What::All(arguments) => all::run(&arguments).await.map(|()| ExitCode::SUCCESS),
        What::Smoke => all::smoke().await,
        What::Faults(arguments) => Ok(if faults::run(&arguments).await? { ExitCode::SUCCESS } else { FOUND.into() }),
        What::Filter(arguments) => filter::run(&arguments).await.map(|()| ExitCode::SUCCESS),
        What::Isolation { seconds } => isolation::run(Duration::from_secs(seconds)).await.map(|()| ExitCode::SUCCESS),
    }
}
