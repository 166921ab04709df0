//! The scenario: who there is, and what happens to them, in what order.

use std::time::Duration;

use pushbell_local::faults::{Effect, Rule, Target};
use pushbell_local::phones::Channel;

use super::campaign::{Campaign, Deed, Letter};
use super::chaos;
use super::facts::{Span, now};
use crate::Error;

/// So far the clock is put back between a registration and the sends after it: for them it was made just now, however long they take.
const JUST_NOW: Duration = Duration::from_secs(600);
/// Five messages a second.
const A_SECOND: usize = 5;
/// So much of a busy room's time passes at once.
const STEP: u64 = 10;

/// Everybody, by what happens to them.
pub(super) struct People {
    /// Groups, large and small, and pairs. Nothing else happens to them, so everything about them is decided.
    crowd: Vec<usize>,
    /// Get five messages a second.
    busy: Vec<usize>,
    /// Read while messages are on their way.
    readers: Vec<usize>,
    /// Have a phone that goes to and fro: the pair, and the phone.
    movers: Vec<(usize, usize, usize)>,
    /// Their phones die.
    dying: Vec<usize>,
    /// Their vendor calls their phones dead just after they were registered.
    reborn: Vec<(usize, usize)>,
    /// Their messages are recalled.
    recalled: Vec<usize>,
    /// Muted the crowd's room.
    muted: Vec<usize>,
    /// Have no phone.
    phoneless: Vec<usize>,
    /// Get a message a minute for an hour in which nobody delivers.
    backlog: Vec<usize>,
    /// Their records fail until they are dead letters.
    letters: Vec<usize>,
}

/// Below so many deliveries, groups get fewer messages.
const SMALL: usize = 5_000;
/// The crowd's room, which some have muted.
const SQUARE: &str = "square";

fn scaled(deliveries: usize, of_hundred_thousand: usize, least: usize) -> usize {
    (of_hundred_thousand * deliveries / 100_000).max(least)
}

impl People {
    /// Makes and registers everybody.
    pub(super) async fn settle(campaign: &mut Campaign, deliveries: usize) -> Result<Self, Error> {
        let n = |of, least| scaled(deliveries, of, least);
        let mut some = |name: &str, n: usize, phones: (usize, usize)| -> Vec<usize> {
            (0..n)
                .map(|i| {
                    let client = campaign.client(format!("{name}-{i:04}"));
                    for _ in 0..campaign.random.usize(phones.0..=phones.1) {
                        let channel = if campaign.random.bool() { Channel::Fcm } else { Channel::Sns };
                        campaign.device(client, channel);
                    }
                    client
                })
                .collect()
        };
        let crowd = some("crowd", n(2_000, 130), (1, 2));
        let busy = some("busy", n(4, 1), (2, 2));
        let readers = some("reader", n(100, 10), (1, 2));
        let pairs = some("mover", 2 * n(60, 6), (1, 1));
        let dying = some("dying", n(40, 6), (1, 2));
        let newborn = some("reborn", n(20, 6), (1, 1));
        let recalled = some("recalled", n(40, 8), (1, 3));
        let muted = some("muted", n(30, 5), (1, 2));
        let phoneless = some("phoneless", n(20, 3), (0, 0));
        let backlog = some("backlog", n(20, 3), (1, 2));
        let letters = some("letter", n(80, 10), (1, 2));
        let movers = pairs
            .chunks_exact(2)
            .enumerate()
            .map(|(i, pair)| {
                let channel = if i % 2 == 0 { Channel::Fcm } else { Channel::Sns };
                (pair[0], pair[1], campaign.device(pair[0], channel))
            })
            .collect();
        let reborn = newborn.into_iter().map(|client| (client, campaign.device(client, Channel::Fcm))).collect();
        campaign.register_all().await?;
        for client in &muted {
            let name = campaign.facts().clients[*client].clone();
            campaign.caller.mute(&name, SQUARE).await?;
            campaign.facts().muted.push((*client, SQUARE.to_owned()));
        }
        Ok(Self { crowd, busy, readers, movers, dying, reborn, recalled, muted, phoneless, backlog, letters })
    }

    /// The crowd, those who muted its room and those without a phone.
    fn square(&self) -> Letter {
        let to = self.crowd.iter().chain(&self.muted).chain(&self.phoneless).copied().collect();
        Letter { room: SQUARE.to_owned(), to }
    }
}

fn letter(room: impl Into<String>, to: &[usize]) -> Letter {
    Letter { room: room.into(), to: to.to_vec() }
}

/// Groups of all sizes, repeats, recalls, reads and moves, all at once, while everything goes wrong.
pub(super) async fn bursts(campaign: &mut Campaign, people: &People, deliveries: usize) -> Result<(), Error> {
    let mut deeds = Vec::new();
    let small = deliveries < SMALL;
    for _ in 0..if small { 4 } else { 12 } {
        deeds.push(Deed::Send(people.square()));
    }
    for (size, of, each) in
        if small { [(150, 1, 3), (20, 2, 4), (1, 5, 3)] } else { [(150, 4, 10), (20, 20, 15), (1, 300, 5)] }
    {
        for group in people.crowd.chunks(size).take(scaled(deliveries, of, 2)) {
            for _ in 0..each {
                let room = format!("room-{size}-{}", group[0]);
                deeds.push(match campaign.random.u8(..10) {
                    0 => Deed::Twice(letter(room, group)),
                    1 => {
                        let half = &group[group.len() / 2..];
                        let others: Vec<usize> = half.iter().chain(people.recalled.iter().take(3)).copied().collect();
                        Deed::Overlap(letter(room, group), others)
                    }
                    _ => Deed::Send(letter(room, group)),
                });
            }
        }
    }
    for group in people.readers.chunks(20) {
        let room = format!("read-{}", group[0]);
        for _ in 0..20 {
            deeds.push(Deed::Send(letter(room.clone(), group)));
            deeds.extend(group.iter().filter(|_| campaign.random.u8(..10) == 0).map(|c| Deed::Read(*c, room.clone())));
        }
    }
    for group in people.recalled.chunks(20) {
        for n in 0..10 {
            let what = letter(format!("recall-{}", group[0]), group);
            deeds.push(if n % 2 == 0 { Deed::Recall(what) } else { Deed::Send(what) });
        }
    }
    campaign.random.shuffle(&mut deeds);
    campaign.break_everything()?;
    let size = deeds.len().div_ceil(3);
    let mut at_home = true;
    while !deeds.is_empty() {
        let mut part: Vec<Deed> = deeds.drain(..size.min(deeds.len())).collect();
        // A phone moves once in a burst, while both who have it then are written to.
        for (one, other, device) in &people.movers {
            part.push(Deed::Move(*device, if at_home { *other } else { *one }));
            for _ in 0..3 {
                part.push(Deed::Send(letter(format!("mover-{one}"), &[*one])));
                part.push(Deed::Send(letter(format!("mover-{other}"), &[*other])));
            }
        }
        at_home = !at_home;
        campaign.random.shuffle(&mut part);
        campaign.burst(part).await?;
        campaign.turn().await?;
        campaign.turn().await?;
    }
    campaign.mend()?;
    campaign.drain().await
}

/// Five messages a second, for longer than a failed record takes to come again.
pub(super) async fn busy(campaign: &mut Campaign, people: &People, deliveries: usize) -> Result<(), Error> {
    campaign.break_everything()?;
    let messages = scaled(deliveries, 3_000, 900);
    let at_once = A_SECOND * usize::try_from(STEP)?;
    for step in 0..messages.div_ceil(at_once) {
        let deeds = (0..at_once).map(|_| Deed::Send(letter("busy", &people.busy)));
        campaign.burst(deeds.collect()).await?;
        campaign.rest().await?;
        if step % 6 == 5 {
            // A run fails as long as a queue refuses.
            let _ = campaign.stack.tick("retry").await;
        }
        campaign.advance(Duration::from_secs(STEP))?;
    }
    campaign.mend()?;
    campaign.drain().await
}

/// Phones go to other clients while what was written to the first ones waits for its retry.
pub(super) async fn moves(campaign: &mut Campaign, people: &People) -> Result<(), Error> {
    campaign.rules(vec![
        Rule::new(Target::Fcm, Effect::Error503),
        Rule::new(Target::Sns, Effect::Error503).action("Publish"),
    ])?;
    let holders: Vec<(usize, usize, usize)> = {
        let facts = campaign.facts();
        let there = |(one, other, device): &(usize, usize, usize)| {
            let holder = facts.devices[*device].owner().unwrap_or(*one);
            (holder, if holder == *one { *other } else { *one }, *device)
        };
        people.movers.iter().map(there).collect()
    };
    for (holder, ..) in &holders {
        campaign.send(&letter(format!("mover-{holder}"), &[*holder])).await?;
    }
    campaign.quiet().await?;
    for (_, next, device) in &holders {
        campaign.move_to(*device, *next).await?;
    }
    campaign.break_everything()?;
    campaign.turn().await?;
    campaign.turn().await?;
    campaign.mend()?;
    campaign.drain().await
}

/// Phones whose apps are removed, and phones that a vendor calls dead while they are registered anew.
pub(super) async fn deaths(campaign: &mut Campaign, people: &People) -> Result<(), Error> {
    campaign.quiet().await?;
    campaign.advance(Duration::from_secs(60))?;
    let room = letter("dying", &people.dying);
    {
        let mut facts = campaign.facts();
        let at = now();
        for device in &mut facts.devices {
            if device.owner().is_some_and(|owner| people.dying.contains(&owner)) && campaign_coin(&device.token) {
                campaign.stack.phones.set_dead(device.channel, &device.token, true)?;
                device.died = Some(at);
            }
        }
    }
    campaign.break_everything()?;
    for _ in 0..3 {
        campaign.send(&room).await?;
        campaign.turn().await?;
    }
    campaign.mend()?;
    campaign.drain().await?;
    // What was not deleted because a table did not answer is found dead by the next send.
    campaign.send(&room).await?;
    campaign.drain().await?;
    reborn(campaign, people).await
}

/// Two of three.
fn campaign_coin(token: &str) -> bool {
    token.bytes().map(u32::from).sum::<u32>() % 3 != 0
}

async fn reborn(campaign: &mut Campaign, people: &People) -> Result<(), Error> {
    let to: Vec<usize> = people.reborn.iter().map(|(client, _)| *client).collect();
    let tokens: Vec<String> = {
        let facts = campaign.facts();
        people.reborn.iter().map(|(_, device)| facts.devices[*device].token.clone()).collect()
    };
    for (client, device) in &people.reborn {
        let span: Span = campaign.register(*device, *client).await?;
        campaign.facts().devices[*device].holds = vec![super::facts::Hold { client: *client, from: span, until: None }];
    }
    campaign.stack.aws.queues.put_clock_back(JUST_NOW);
    campaign.note_clock();
    let dead = tokens.iter().map(|token| Rule::new(Target::Fcm, Effect::Unregistered).token(token).times(1));
    campaign.rules(dead.chain(chaos::everything()).collect())?;
    let message = campaign.send(&letter("reborn", &to)).await?;
    campaign.quiet().await?;
    campaign.mend()?;
    for (_, device) in &people.reborn {
        campaign.facts().devices[*device].called_dead_for.push(message);
    }
    campaign.advance(JUST_NOW)?;
    campaign.drain().await
}

/// An hour in which nobody delivers.
pub(super) async fn backlog(campaign: &mut Campaign, people: &People) -> Result<(), Error> {
    campaign.stop_delivering();
    for minute in 0..60 {
        campaign.send(&letter("backlog", &people.backlog)).await?;
        if minute % 20 == 0 {
            campaign.send(&people.square()).await?;
        }
        campaign.quiet().await?;
        campaign.advance(Duration::from_secs(60))?;
    }
    campaign.break_everything()?;
    campaign.deliver_again();
    campaign.turn().await?;
    campaign.turn().await?;
    campaign.mend()?;
    campaign.drain().await
}

/// Records that fail until they are dead letters, and are replayed a day later: before their messages' end, and after it.
pub(super) async fn dead_letters(campaign: &mut Campaign, people: &People) -> Result<(), Error> {
    for (hours, in_time) in [(23, true), (25, false)] {
        campaign.rules(vec![
            // The first ones are not even counted; the others are counted and sent, and only their results are not kept.
            Rule::new(Target::Dynamodb, Effect::Error500).action("UpdateItem").body_contains("demo#letter-000"),
            Rule::new(Target::Dynamodb, Effect::Error500).action("PutItem").body_contains("#c#0"),
        ])?;
        let mut sent = Vec::new();
        for group in people.letters.chunks(10) {
            for _ in 0..2 {
                sent.push(campaign.send(&letter(format!("letters-{}", group[0]), group)).await?);
            }
        }
        for _ in 0..6 {
            campaign.quiet().await?;
            campaign.advance(Duration::from_secs(370))?;
        }
        campaign.mend()?;
        campaign.quiet().await?;
        campaign.advance(Duration::from_secs(hours * 3_600))?;
        if !in_time {
            let mut facts = campaign.facts();
            sent.into_iter().for_each(|message| facts.messages[message].expired = true);
        }
        if campaign.replay().await? == 0 {
            return Err("no record became a dead letter".into());
        }
        campaign.drain().await?;
    }
    Ok(())
}

/// One message more to everybody, with nothing going wrong: who is alive and registered has it.
pub(super) async fn last_words(campaign: &mut Campaign, people: &People) -> Result<(), Error> {
    let pairs: Vec<usize> = people.movers.iter().flat_map(|(one, other, _)| [*one, *other]).collect();
    let reborn: Vec<usize> = people.reborn.iter().map(|(client, _)| *client).collect();
    let all = [&people.readers, &pairs, &people.dying, &reborn, &people.recalled, &people.letters, &people.backlog];
    for (n, group) in all.into_iter().enumerate() {
        campaign.send(&letter(format!("last-{n}"), group)).await?;
    }
    campaign.send(&people.square()).await?;
    campaign.drain().await
}
