//! What a campaign prints.

use std::time::Instant;

use super::Arguments;
use super::campaign::Campaign;
use super::judge::Verdict;

/// So many examples of each finding are printed.
const EXAMPLES: usize = 8;

pub(super) fn step(what: &str, started: Instant) {
    println!("{:>5} s  {what}", started.elapsed().as_secs());
}

pub(super) fn print(arguments: &Arguments, campaign: &Campaign, verdict: &Verdict, started: Instant) {
    let facts = campaign.facts();
    println!();
    println!(
        "seed {}, {} pushes accepted by the vendors, {} owed to phones that could be judged strictly; {} clients, {} phones, {} messages; {} s",
        arguments.seed,
        verdict.accepted,
        verdict.owed,
        facts.clients.len(),
        facts.devices.len(),
        facts.messages.len(),
        started.elapsed().as_secs(),
    );
    if let Some(guard) = arguments.without {
        println!("WITHOUT THE GUARD {guard:?}: something has to be found");
    }
    println!();
    for (what, found) in verdict.violations() {
        line(what, found.len());
        found.iter().take(EXAMPLES).for_each(|example| println!("        {example}"));
    }
    line("uncounted: stragglers beyond the horizon", verdict.uncounted.len());
    if verdict.so_late > 0 {
        println!("        among {} of those clients that came so late; the latest ones:", verdict.so_late);
    }
    verdict.uncounted.iter().for_each(|straggler| println!("        {straggler}"));
    println!();
    line("data messages that came twice (recalls)", usize::try_from(verdict.data_twice).unwrap_or(usize::MAX));
    let share = permille(verdict.repeats, verdict.accepted);
    println!("  {:<48} {} ({share} per thousand)", "raw repeats, replaced on the phone", verdict.repeats);
    println!("  {:<48} {}", "pushes that met a phone on its way", verdict.overlapping);
    println!("  {:<48} {} of {}", "badges judged by an interval", verdict.intervals, facts.clients.len());
    println!("  {:<48} {}", "dead letters replayed", campaign.replayed);
    let outcomes: Vec<String> = verdict.outcomes.iter().map(|(outcome, n)| format!("{outcome} {n}")).collect();
    println!("  {:<48} {}", "outcomes", outcomes.join(", "));
}

fn line(what: &str, n: usize) {
    println!("  {what:<48} {n}");
}

fn permille(part: u64, whole: u64) -> u64 {
    (part * 1_000).checked_div(whole).unwrap_or_default()
}
