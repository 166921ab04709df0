//! A campaign under way: what it can do to the stack, each deed noted.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::{self, TryStreamExt as _};
use pushbell_local::aws::sqs::{Outgoing, Queues};
use pushbell_local::faults::Rule;
use pushbell_local::phones::Channel;
use pushbell_local::stack::Stack;

use super::caller::Caller;
use super::chaos::{self, Guard, Killer};
use super::facts::{Call, Device, Facts, Hold, Message, Read, now};
use super::look;
use crate::Error;

/// Calls in flight.
const AT_ONCE: usize = 8;
/// Rounds of waiting until a drain is called endless.
const MOST_ROUNDS: usize = 400;
/// A little over the queues' visibility timeout.
const TIMEOUT: Duration = Duration::from_secs(370);
/// Between two times that all access tokens are taken away, in milliseconds of the services' clock.
const BETWEEN_EXPIRIES: i64 = 60_000;
/// So many records that are due need not be worked on before time is let pass.
const FEW: u64 = 10;
/// How long nobody may get anything done before the campaign is called stuck.
const STUCK: Duration = Duration::from_secs(600);
/// The queues that functions work off, and where their records end that failed too often.
const QUEUES: [(&str, &str); 2] = [("DeliverQueue", "DeliverDeadLetters"), ("FanOutQueue", "FanOutDeadLetters")];

/// One thing that is done to the stack.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    /// The chat server's callback for a message, to its first list.
    Send(Letter),
    /// The same callback twice, at the same time.
    Twice(Letter),
    /// A callback, and then one of the same message to a list of others and some of the same.
    Overlap(Letter, Vec<usize>),
    /// A message, and then its recall.
    Recall(Letter),
    /// A client reads a room.
    Read(usize, String),
    /// A phone goes to another client.
    Move(usize, usize),
}

/// A message that is to be sent.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) room: String,
    pub(super) to: Vec<usize>,
}

pub(super) struct Campaign {
    pub(super) stack: Stack,
    pub(super) caller: Caller,
    pub(super) random: fastrand::Rng,
    facts: Mutex<Facts>,
    without: Option<Guard>,
    kills: u64,
    killer: Option<Killer>,
    stopped: bool,
    /// The access tokens may be taken away once.
    expire: Arc<AtomicBool>,
    /// The services' time when that was last said.
    said: AtomicI64,
    /// How often records were taken back from a dead-letter queue.
    pub(super) replayed: u64,
}

impl Campaign {
    pub(super) fn new(stack: Stack, seed: u64, without: Option<Guard>, kills: u64) -> Self {
        let caller = Caller::new(stack.url());
        stack.aws.faults.reseed(seed);
        Self {
            stack,
            caller,
            random: fastrand::Rng::with_seed(seed),
            facts: Mutex::default(),
            without,
            kills,
            killer: None,
            stopped: false,
            expire: Arc::default(),
            said: AtomicI64::new(0),
            replayed: 0,
        }
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on everything goes wrong now and then.
    pub(super) fn break_everything(&mut self) -> Result<(), Error> {
        self.rules(chaos::everything())?;
        let random = self.random.fork();
        self.killer = Some(Killer::start(
            random,
            self.kills,
            self.stack.phones.clone(),
            self.stack.vendors.clone(),
            Arc::clone(&self.expire),
        ));
        Ok(())
    }

    /// From now on nothing goes wrong but for the guard that was taken away.
    pub(super) fn mend(&mut self) -> Result<(), Error> {
        self.killer = None;
        self.rules(Vec::new())
    }

    /// Puts these rules, and those that take the guard away, in the place of all others.
    pub(super) fn rules(&self, rules: Vec<Rule>) -> Result<(), Error> {
        let removed = self.without.map(Guard::removed).unwrap_or_default();
        Ok(self.stack.aws.faults.replace(removed.into_iter().chain(rules).collect())?)
    }

    /// A new client.
    pub(super) fn client(&self, name: String) -> usize {
        let mut facts = self.facts();
        facts.clients.push(name);
        facts.clients.len() - 1
    }

    /// A new phone of a client; it is not registered yet.
    pub(super) fn device(&self, client: usize, channel: Channel) -> usize {
        let mut facts = self.facts();
        let n = facts.devices.len();
        let token = match channel {
            Channel::Fcm => format!("fcm-{n:06}"),
            Channel::Sns => format!("{n:064x}"),
        };
        let from = super::facts::Span { begun: i64::MAX, answered: i64::MAX };
        let holds = vec![Hold { client, from, until: None }];
        facts.devices.push(Device { token, channel, holds, died: None, called_dead_for: Vec::new() });
        n
    }

    /// Registers all phones that are not registered yet.
    pub(super) async fn register_all(&self) -> Result<(), Error> {
        let todo: Vec<usize> = {
            let facts = self.facts();
            let fresh = |device: &Device| device.holds.iter().any(|hold| hold.from.begun == i64::MAX);
            (0..facts.devices.len()).filter(|n| fresh(&facts.devices[*n])).collect()
        };
        stream::iter(todo.into_iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(AT_ONCE, |device| async move {
                let client = self.facts().devices[device].holds[0].client;
                let span = self.register(device, client).await?;
                self.facts().devices[device].holds[0].from = span;
                Ok(())
            })
            .await
    }

    /// Registers a phone for a client.
    pub(super) async fn register(&self, device: usize, client: usize) -> Result<super::facts::Span, Error> {
        let (name, platform, token) = {
            let facts = self.facts();
            let device = &facts.devices[device];
            let platform = if device.channel == Channel::Sns { "ios" } else { "android" };
            (facts.clients[client].clone(), platform, device.token.clone())
        };
        self.caller.register(&name, platform, &token).await
    }

    /// Does these things, several at a time.
    pub(super) async fn burst(&self, deeds: Vec<Deed>) -> Result<(), Error> {
        stream::iter(deeds.into_iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(AT_ONCE, |deed| self.act(deed))
            .await
    }

    async fn act(&self, deed: Deed) -> Result<(), Error> {
        match deed {
            Deed::Send(letter) => {
                let message = self.begin(&letter);
                self.call(message, &letter.to).await
            }
            Deed::Twice(letter) => {
                let message = self.begin(&letter);
                futures_util::try_join!(self.call(message, &letter.to), self.call(message, &letter.to)).map(drop)
            }
            Deed::Overlap(letter, others) => {
                let message = self.begin(&letter);
                self.call(message, &letter.to).await?;
                self.call(message, &others).await
            }
            Deed::Recall(letter) => {
                let message = self.begin(&letter);
                self.call(message, &letter.to).await?;
                let recall = {
                    let mut facts = self.facts();
                    facts.messages[message].recalled = true;
                    let id = format!("withdraw:{}", facts.messages[message].id);
                    facts.messages.push(Message {
                        id,
                        room: letter.room.clone(),
                        recalls: Some(message),
                        recalled: false,
                        expired: false,
                        calls: Vec::new(),
                    });
                    facts.messages.len() - 1
                };
                self.call(recall, &letter.to).await
            }
            Deed::Read(client, room) => {
                let name = self.facts().clients[client].clone();
                let span = self.caller.read(&name, &room).await?;
                self.facts().reads.push(Read { client, room, span });
                Ok(())
            }
            Deed::Move(device, to) => self.move_to(device, to).await,
        }
    }

    /// A phone goes to another client.
    pub(super) async fn move_to(&self, device: usize, to: usize) -> Result<(), Error> {
        // Noted before it is begun: a push that meets it may be on either side.
        let begun = now();
        {
            let mut facts = self.facts();
            let holds = &mut facts.devices[device].holds;
            let open = super::facts::Span { begun, answered: i64::MAX };
            if let Some(last) = holds.last_mut() {
                last.until = Some(open);
            }
            holds.push(Hold { client: to, from: open, until: None });
        }
        let span = self.register(device, to).await?;
        let mut facts = self.facts();
        let holds = &mut facts.devices[device].holds;
        let last = holds.len() - 1;
        holds[last].from = span;
        holds[last - 1].until = Some(span);
        Ok(())
    }

    fn begin(&self, letter: &Letter) -> usize {
        let mut facts = self.facts();
        let n = facts.messages.len();
        facts.messages.push(Message {
            id: format!("m{n:06}"),
            room: letter.room.clone(),
            recalls: None,
            recalled: false,
            expired: false,
            calls: Vec::new(),
        });
        n
    }

    /// Sends one message, now. Its number.
    pub(super) async fn send(&self, letter: &Letter) -> Result<usize, Error> {
        let message = self.begin(letter);
        self.call(message, &letter.to).await?;
        Ok(message)
    }

    async fn call(&self, message: usize, to: &[usize]) -> Result<(), Error> {
        let (id, room, kind, names) = {
            let facts = self.facts();
            let what = &facts.messages[message];
            let (id, kind) = match what.recalls {
                Some(original) => (facts.messages[original].id.clone(), "recall"),
                None => (what.id.clone(), "text"),
            };
            let names: Vec<String> = to.iter().map(|client| facts.clients[*client].clone()).collect();
            (id, what.room.clone(), kind, names)
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let done = self.caller.callback(&id, &room, kind, &names).await?;
        let task = done.answer["task_id"].as_u64().ok_or("a callback's answer without a task")?;
        let call = Call { span: done.span, to: to.to_vec(), task, troubled: done.tries > 1 };
        self.facts().messages[message].calls.push(call);
        Ok(())
    }

    /// Lets time pass, and everybody go on after it; nobody may be working.
    pub(super) fn advance(&self, by: Duration) -> Result<(), Error> {
        self.stack.aws.queues.advance(by)?;
        self.note_clock();
        self.go_on();
        Ok(())
    }

    /// Nobody delivers until [`Campaign::deliver_again`].
    pub(super) fn stop_delivering(&mut self) {
        self.stopped = true;
        self.stack.aws.queues.pause(QUEUES[0].0, true);
    }

    pub(super) fn deliver_again(&mut self) {
        self.stopped = false;
        self.go_on();
    }

    fn go_on(&self) {
        for (queue, _) in QUEUES.iter().skip(usize::from(self.stopped)) {
            self.stack.aws.queues.pause(queue, false);
        }
    }

    /// Notes by how much the services' clock is ahead.
    pub(super) fn note_clock(&self) {
        let (at, service) = (now(), i64::try_from(self.stack.aws.queues.stamp_ms()).unwrap_or_default());
        self.facts().clock.push((at, service - at));
        if service - self.said.load(Ordering::Relaxed) > BETWEEN_EXPIRIES {
            self.said.store(service, Ordering::Relaxed);
            self.expire.store(true, Ordering::Relaxed);
        }
    }

    /// Waits until nobody works.
    pub(super) async fn quiet(&self) -> Result<(), Error> {
        match tokio::time::timeout(STUCK, self.stack.quiet()).await {
            Ok(done) => done?,
            Err(_) => return Err("nobody gets anything done any more".into()),
        }
        self.facts().quiet.push(now());
        Ok(())
    }

    /// Waits until nearly everything that is due was worked on, and lets nobody begin anything more: what is left over comes back after
    /// seconds, so in a large campaign there is always somebody at work. [`Campaign::advance`] lets them go on.
    pub(super) async fn rest(&self) -> Result<(), Error> {
        let mut look = tokio::time::interval(Duration::from_millis(10));
        let begun = Instant::now();
        loop {
            look.tick().await;
            let mut due = 0;
            for (queue, _) in QUEUES {
                due += self.stack.aws.queues.depth(queue)?.visible;
            }
            if due <= FEW {
                break;
            }
            if begun.elapsed() > STUCK {
                return Err("nobody gets anything done any more".into());
            }
        }
        QUEUES.iter().for_each(|(queue, _)| self.stack.aws.queues.pause(queue, true));
        self.quiet().await
    }

    /// Lets the visibility timeout pass once, with a run of the timer before it.
    pub(super) async fn turn(&self) -> Result<(), Error> {
        self.rest().await?;
        // A run fails as long as a queue refuses, and leaves what was refused where it is.
        let _ = self.stack.tick("retry").await;
        self.advance(TIMEOUT)
    }

    /// Works everything off, dead letters too, with nothing going wrong any more.
    pub(super) async fn drain(&mut self) -> Result<(), Error> {
        for _ in 0..MOST_ROUNDS {
            self.rest().await?;
            let _ = self.stack.tick("retry").await;
            self.replay().await?;
            let mut waiting = look::deferred(&self.stack).await?;
            for (queue, _) in QUEUES {
                let depth = self.stack.aws.queues.depth(queue)?;
                waiting += depth.visible + depth.in_flight + depth.delayed;
            }
            if waiting == 0 {
                self.go_on();
                return Ok(());
            }
            self.advance(TIMEOUT)?;
        }
        Err("there is no end to it".into())
    }

    /// Puts what lies in the dead-letter queues back into the queues it came from, as the operator's command does.
    pub(super) async fn replay(&mut self) -> Result<u64, Error> {
        let mut moved = 0;
        for (queue, dead_letters) in QUEUES {
            moved += redrive(&self.stack.aws.queues, dead_letters, queue).await?;
        }
        self.replayed += moved;
        Ok(moved)
    }
}

async fn redrive(queues: &Queues, from: &str, to: &str) -> Result<u64, Error> {
    let mut moved = 0;
    loop {
        let received = queues.receive(from, 10, Duration::ZERO, None).await?;
        if received.is_empty() {
            return Ok(moved);
        }
        for message in received {
            let again = Outgoing { body: message.body, group: message.group, ..Outgoing::default() };
            queues.send(to, &again)?;
            queues.delete(from, &message.receipt)?;
            moved += 1;
        }
    }
}
