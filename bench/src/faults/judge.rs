//! The verdict: what the facts demand, against what the phones, the badges and the tables show. Plain sets; no code of the product.
//!
//! Strict, wherever the order of events leaves one answer. Where two things went on at the same time (a room read while a message of it was
//! on its way), both answers are taken: the expectation is an interval.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use pushbell_local::phones::Accepted;

use super::facts::{Call, Device, Facts, Hold, Message, Ms};
use super::look::Sums;

/// So many newer messages of a client, and an older one's mark may be forgotten at once.
const MARKS_FORGOTTEN_AT_ONCE: usize = 200;
/// So many newer messages and so much time, and an older one's mark may be forgotten.
const MARKS_FORGOTTEN: (usize, Ms) = (24, 15 * 60 * 1000);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Pushes that had to be on a phone.
    pub(super) owed: u64,
    /// Pushes that vendors accepted.
    pub(super) accepted: u64,
    /// Of those, repeats.
    pub(super) repeats: u64,
    pub(super) lost: Vec<String>,
    pub(super) wrong_client: Vec<String>,
    pub(super) shown_twice: Vec<String>,
    /// Data messages that came twice: phones have no rule for them.
    pub(super) data_twice: u64,
    pub(super) counted_twice: Vec<String>,
    /// Not counted although nothing excuses it.
    pub(super) not_counted: Vec<String>,
    /// Not counted, and so late that it need not have been.
    pub(super) uncounted: Vec<String>,
    /// The messages of those clients that came so late: which of them were not counted, a badge does not tell.
    pub(super) so_late: usize,
    /// Shown although it was muted or read before.
    pub(super) unwanted: Vec<String>,
    pub(super) stats: Vec<String>,
    pub(super) dead_left: Vec<String>,
    pub(super) live_deleted: Vec<String>,
    /// Pushes on a phone that was on its way to another client when they were sent.
    pub(super) overlapping: u64,
    /// Badges whose expectation was an interval.
    pub(super) intervals: u64,
    /// How many tasks each outcome had.
    pub(super) outcomes: BTreeMap<String, i64>,
}

impl Verdict {
    /// What must be empty, with its name.
    pub(super) fn violations(&self) -> [(&'static str, &[String]); 9] {
        [
            ("lost", &self.lost),
            ("delivered to the wrong client", &self.wrong_client),
            ("shown twice (alerts)", &self.shown_twice),
            ("counted twice", &self.counted_twice),
            ("not counted", &self.not_counted),
            ("shown though muted or read", &self.unwanted),
            ("stats differences", &self.stats),
            ("dead tokens left", &self.dead_left),
            ("live tokens deleted", &self.live_deleted),
        ]
    }

    pub(super) fn is_clean(&self) -> bool {
        self.violations().iter().all(|(_, found)| found.is_empty())
    }
}

/// What is to be judged.
pub(super) struct Seen {
    pub(super) pushes: Vec<Accepted>,
    /// By client.
    pub(super) badges: Vec<i64>,
    /// By the clients' names.
    pub(super) tokens: BTreeMap<String, BTreeSet<String>>,
    /// By task.
    pub(super) sums: BTreeMap<u64, Sums>,
}

pub(super) fn judge(facts: &Facts, seen: &Seen) -> Verdict {
    let court = Court::new(facts, seen);
    let mut verdict = Verdict::default();
    court.pushes(&mut verdict);
    court.owed(&mut verdict);
    court.badges(&mut verdict);
    court.stats(&mut verdict);
    court.tokens(&mut verdict);
    verdict
}

struct Court<'a> {
    facts: &'a Facts,
    seen: &'a Seen,
    by_token: HashMap<&'a str, usize>,
    by_id: HashMap<&'a str, usize>,
    /// The devices that a client has or had.
    of_client: Vec<Vec<usize>>,
    /// When a message's push was first accepted for a device.
    first: HashMap<(usize, usize), Ms>,
    reads: HashMap<usize, HashMap<&'a str, Vec<super::facts::Span>>>,
    /// The messages that name a client, in the order of their calls.
    to: Vec<Vec<usize>>,
}

impl<'a> Court<'a> {
    fn new(facts: &'a Facts, seen: &'a Seen) -> Self {
        let by_token = facts.devices.iter().enumerate().map(|(n, device)| (device.token.as_str(), n)).collect();
        let by_id: HashMap<&str, usize> =
            facts.messages.iter().enumerate().map(|(n, message)| (message.id.as_str(), n)).collect();
        let mut of_client = vec![Vec::new(); facts.clients.len()];
        for (n, device) in facts.devices.iter().enumerate() {
            let holders: BTreeSet<usize> = device.holds.iter().map(|hold| hold.client).collect();
            holders.into_iter().for_each(|client| of_client[client].push(n));
        }
        let mut reads: HashMap<usize, HashMap<&str, Vec<super::facts::Span>>> = HashMap::new();
        for read in &facts.reads {
            reads.entry(read.client).or_default().entry(&read.room).or_default().push(read.span);
        }
        let mut to = vec![Vec::new(); facts.clients.len()];
        for (n, message) in facts.messages.iter().enumerate() {
            let named: HashSet<usize> = message.calls.iter().flat_map(|call| call.to.iter().copied()).collect();
            named.into_iter().for_each(|client| to[client].push(n));
        }
        let mut court = Self { facts, seen, by_token, by_id, of_client, first: HashMap::new(), reads, to };
        for push in &seen.pushes {
            if let (Some(device), Some(message)) = (court.device(push), court.message(push)) {
                court.first.entry((device, message)).or_insert(push.at);
            }
        }
        court
    }

    fn device(&self, push: &Accepted) -> Option<usize> {
        self.by_token.get(push.token.as_str()).copied()
    }

    fn message(&self, push: &Accepted) -> Option<usize> {
        self.by_id.get(push.id.as_str()).copied()
    }

    fn reads(&self, client: usize, room: &str) -> &[super::facts::Span] {
        self.reads.get(&client).and_then(|rooms| rooms.get(room)).map_or(&[], Vec::as_slice)
    }

    /// Every push: whether it was for who had the phone, and whether it was wanted.
    fn pushes(&self, verdict: &mut Verdict) {
        let mut shown: HashMap<(usize, usize), u32> = HashMap::new();
        let mut times: HashMap<(usize, usize), u32> = HashMap::new();
        for push in &self.seen.pushes {
            verdict.accepted += 1;
            let (Some(device), Some(message)) = (self.device(push), self.message(push)) else {
                verdict.wrong_client.push(format!("{}: a push of nobody's message {}", push.token, push.id));
                continue;
            };
            let what = &self.facts.messages[message];
            *times.entry((device, message)).or_default() += 1;
            if push.received && !push.silent {
                *shown.entry((device, message)).or_default() += 1;
            }
            let holds = &self.facts.devices[device].holds;
            let named = |hold: &&Hold| what.calls.iter().any(|call| call.to.contains(&hold.client));
            let rightly =
                |hold: &&Hold| hold.from.begun <= push.at && hold.until.is_none_or(|until| push.at <= until.answered);
            let Some(hold) = holds.iter().filter(named).find(rightly) else {
                let late = |hold: &&Hold| {
                    hold.from.begun <= push.at
                        && hold.until.is_some_and(|until| push.at <= self.facts.under_way_until(until.answered))
                };
                if holds.iter().filter(named).any(|hold| late(&hold)) {
                    verdict.overlapping += 1;
                } else {
                    verdict.wrong_client.push(format!("{}: {} is on the phone of another client", push.token, what.id));
                }
                continue;
            };
            if what.recalls.is_none() {
                self.wanted(push, what, hold.client, verdict);
            }
        }
        for ((device, message), n) in times {
            verdict.repeats += u64::from(n - 1);
            if self.facts.messages[message].recalls.is_some() {
                verdict.data_twice += u64::from(n - 1);
            } else if let Some(n) = shown.get(&(device, message)).filter(|n| **n > 1) {
                let (device, message) = (&self.facts.devices[device], &self.facts.messages[message]);
                verdict.shown_twice.push(format!("{}: {} is there {n} times", device.token, message.id));
            }
        }
    }

    fn wanted(&self, push: &Accepted, what: &Message, client: usize, verdict: &mut Verdict) {
        if self.facts.is_muted(client, &what.room) {
            verdict.unwanted.push(format!("{}: {} of a muted room", push.token, what.id));
        }
        let Some(call) = what.call_for(client) else { return };
        let read = self
            .reads(client, &what.room)
            .iter()
            .find(|read| call.span.answered < read.begun && push.at > self.facts.under_way_until(read.answered));
        if read.is_some() {
            verdict.unwanted.push(format!("{}: {} was read before it was shown", push.token, what.id));
        }
    }

    /// Whether the message has to be on this phone.
    fn is_owed(&self, client: usize, device: &Device, number: usize, call: &Call) -> bool {
        let what = &self.facts.messages[number];
        let held = device
            .holds
            .iter()
            .any(|hold| hold.client == client && hold.from.answered < call.span.begun && hold.until.is_none());
        let excused = what.recalled
            || what.expired
            || device.died.is_some()
            || device.called_dead_for.contains(&number)
            || self.facts.is_muted(client, &what.room)
            || self.reads(client, &what.room).iter().any(|read| read.answered >= call.span.begun);
        held && !excused
    }

    fn owed(&self, verdict: &mut Verdict) {
        for (client, messages) in self.to.iter().enumerate() {
            for number in messages {
                let Some(call) = self.facts.messages[*number].call_for(client) else { continue };
                for device in &self.of_client[client] {
                    let phone = &self.facts.devices[*device];
                    if !self.is_owed(client, phone, *number, call) {
                        continue;
                    }
                    verdict.owed += 1;
                    if !self.first.contains_key(&(*device, *number)) {
                        let (name, id) = (&self.facts.clients[client], &self.facts.messages[*number].id);
                        verdict.lost.push(format!("{name}: {id} is not on {} (task {})", phone.token, call.task));
                    }
                }
            }
        }
    }

    fn badges(&self, verdict: &mut Verdict) {
        for (client, messages) in self.to.iter().enumerate() {
            let (mut least, mut most) = (0_i64, 0_i64);
            for number in messages {
                let what = &self.facts.messages[*number];
                let Some(call) = what.call_for(client) else { continue };
                if what.recalls.is_some() || what.recalled || self.facts.is_muted(client, &what.room) {
                    continue;
                }
                let reads = self.reads(client, &what.room);
                if reads.iter().any(|read| call.span.answered < read.begun) {
                    continue;
                }
                most += 1;
                if reads.iter().all(|read| read.answered < call.span.begun) {
                    least += 1;
                }
            }
            verdict.intervals += u64::from(least < most);
            let (badge, name) = (self.seen.badges[client], &self.facts.clients[client]);
            if badge > most {
                verdict.counted_twice.push(format!("{name}: a badge of {badge}, of {most} messages"));
            } else if badge < least {
                let missing = usize::try_from(least - badge).unwrap_or_default();
                let stragglers = self.stragglers(client);
                if missing > stragglers.len() {
                    verdict.not_counted.push(format!(
                        "{name}: a badge of {badge}, of {least} messages; {} came too late to be counted",
                        stragglers.len()
                    ));
                }
                verdict.so_late += stragglers.len();
                verdict.uncounted.extend(stragglers.into_iter().take(missing));
            }
        }
    }

    /// The messages of a client whose marks might have been forgotten by the time they were first sent: so many newer ones had come by.
    fn stragglers(&self, client: usize) -> Vec<String> {
        let sent = |number: usize| {
            let devices = &self.of_client[client];
            devices.iter().filter_map(|device| self.first.get(&(*device, number)).copied()).min()
        };
        let times: Vec<(usize, &Call, Ms)> = self.to[client]
            .iter()
            .filter_map(|number| Some((*number, self.facts.messages[*number].call_for(client)?, sent(*number)?)))
            .collect();
        let mut found = Vec::new();
        for (number, call, at) in &times {
            let newer =
                times.iter().filter(|(_, other, sent)| other.span.begun > call.span.answered && sent < at).count();
            let behind = self.facts.service_time(*at) - self.facts.service_time(call.span.answered);
            if newer > MARKS_FORGOTTEN_AT_ONCE || newer > MARKS_FORGOTTEN.0 && behind >= MARKS_FORGOTTEN.1 {
                let (name, id) = (&self.facts.clients[client], &self.facts.messages[*number].id);
                found.push((newer, format!("{name}: {id} was sent {} s and {newer} messages late", behind / 1000)));
            }
        }
        found.sort_by_key(|(newer, _)| std::cmp::Reverse(*newer));
        found.into_iter().map(|(_, text)| text).collect()
    }

    fn stats(&self, verdict: &mut Verdict) {
        // Two tasks of one millisecond may draw the same number.
        let mut expected: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
        for (number, message) in self.facts.messages.iter().enumerate() {
            let mut lists: HashMap<&[usize], BTreeSet<u64>> = HashMap::new();
            let mut troubled: HashSet<&[usize]> = HashSet::new();
            for call in &message.calls {
                lists.entry(&call.to).or_default().insert(call.task);
                if call.troubled {
                    troubled.insert(&call.to);
                }
            }
            for (list, tasks) in lists {
                if tasks.len() > 1 && !troubled.contains(list) {
                    verdict.stats.push(format!("{}: the same callback is {} tasks", message.id, tasks.len()));
                }
                let (mut least, mut most) = (0, 0);
                for client in list {
                    let (low, high) = self.targets(*client, number);
                    least += low;
                    most += high;
                }
                for task in tasks {
                    let sum = expected.entry(task).or_default();
                    *sum = (sum.0 + least, sum.1 + most);
                }
            }
        }
        for (task, (least, most)) in expected {
            let sums = self.seen.sums.get(&task).cloned().unwrap_or_default();
            if sums.finals < least || sums.finals > most {
                let target = if least == most { least.to_string() } else { format!("{least} to {most}") };
                verdict.stats.push(format!("task {task}: outcomes add up to {} of {target}", sums.finals));
            }
            for (outcome, n) in sums.outcomes {
                *verdict.outcomes.entry(outcome).or_default() += n;
            }
        }
    }

    /// How many outcomes a client has in a task: one for each phone, and one without a phone.
    fn targets(&self, client: usize, number: usize) -> (i64, i64) {
        let what = &self.facts.messages[number];
        let Some(call) = what.call_for(client) else { return (0, 0) };
        if what.recalls.is_none() && self.facts.is_muted(client, &what.room) {
            return (1, 1);
        }
        let devices = &self.of_client[client];
        let there = devices.iter().filter(|device| {
            let held =
                |hold: &Hold| hold.client == client && hold.from.answered < call.span.begun && hold.until.is_none();
            self.facts.devices[**device].died.is_none() && self.facts.devices[**device].holds.iter().any(held)
        });
        let (all, steady) =
            (i64::try_from(devices.len()).unwrap_or_default(), i64::try_from(there.count()).unwrap_or_default());
        let read = self.reads(client, &what.room).iter().any(|read| read.answered >= call.span.begun);
        if steady == all && !read && !what.recalled { (all.max(1), all.max(1)) } else { (1, all.max(1)) }
    }

    fn tokens(&self, verdict: &mut Verdict) {
        let none = BTreeSet::new();
        let of = |client: usize| self.seen.tokens.get(&self.facts.clients[client]).unwrap_or(&none);
        for device in &self.facts.devices {
            if device.died.is_some() {
                if let Some(holder) = device.holds.iter().find(|hold| of(hold.client).contains(&device.token)) {
                    let name = &self.facts.clients[holder.client];
                    verdict.dead_left.push(format!("{name}: {} is dead and still registered", device.token));
                }
            } else if let Some(owner) = device.owner()
                && !of(owner).contains(&device.token)
            {
                let name = &self.facts.clients[owner];
                verdict.live_deleted.push(format!("{name}: {} is alive and not registered", device.token));
            }
        }
    }
}

#[cfg(test)]
mod tests;
