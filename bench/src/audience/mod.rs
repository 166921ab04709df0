//! Audiences: notices to lists, tags and everybody, through HTTP; and the same while `fan-out` is killed and phones come and go. What
//! each phone got is compared with who was there, apart from the code under test.

mod crowd;
mod killed;
mod whole;

use clap::Args;

use crate::Error;

/// How audiences are measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Devices of everybody, of clients with one, two and five.
    #[arg(long, default_value_t = 50_000)]
    devices: usize,
    /// Devices of the clients who have the tag.
    #[arg(long, default_value_t = 20_000)]
    tagged: usize,
    /// How often `fan-out` is killed, each time during a notice to everybody or to a tag that everybody has.
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// Devices of everybody while it is killed.
    #[arg(long, default_value_t = 12_000)]
    crowd: usize,
    /// Of people and of the points at which is killed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the kills.
    #[arg(long)]
    killed_only: bool,
    /// Shows the functions' logs.
    #[arg(long)]
    output: bool,
}

/// Runs both parts and prints what was found; whether everything holds.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool, Error> {
    let whole = arguments.killed_only || whole::run(arguments).await?;
    let killed = arguments.kills == 0 || killed::run(arguments).await?;
    Ok(whole && killed)
}

/// One thing that must hold, printed as it is found.
fn holds(what: &str, found: usize) -> bool {
    println!("    {what:<58} {found}{}", if found == 0 { "" } else { "   <-- must be 0" });
    found == 0
}
