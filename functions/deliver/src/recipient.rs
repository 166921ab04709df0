//! One recipient of a chunk: counted or looked up, then sent to.

use std::time::Instant;

use futures_util::future::join_all;
use pushbell::delivery::{Channel, Patch};
use pushbell::filter::{self, Approach, Rule};
use pushbell::id::{ClientId, DeviceKey, Mark};
use pushbell::message::{Badge, Kind, Wording};
use pushbell::recipient::{Device, NotCounted, Recipient, StoreError};
use pushbell::shutdown;
use pushbell::task::{Fate, Outcome, Tally, Target, TargetResult};

use crate::backoff::{self, Wish};
use crate::chunk::{Job, Stop};
use crate::send::Sent;

/// What became of one recipient in this attempt.
pub(crate) struct Served {
    pub(crate) result: TargetResult,
    pub(crate) tally: Tally,
    pub(crate) left: Option<Target>,
    pub(crate) wish: Wish,
    /// What is given up, to be kept for a replay.
    pub(crate) kept: Vec<Target>,
}

impl Served {
    fn without_send(client: &ClientId, outcome: Outcome) -> Self {
        let result = TargetResult { client: client.clone(), fates: vec![Fate::of_recipient(outcome)] };
        Self { result, tally: Tally::default(), left: None, wish: Wish::default(), kept: Vec::new() }
    }

    /// Nothing was done, or it is not known whether it was counted: the recipient comes again as it came.
    fn not_begun(target: &Target) -> Self {
        let mut served = Self::without_send(target.client(), Outcome::Pending);
        if let Target::Left { devices, .. } | Target::Chosen { only: devices, .. } = target {
            served.result.fates = of_all(devices, Outcome::Pending);
        }
        served.left = Some(target.clone());
        served
    }
}

/// Of `devices`, those that the client still has, and what became of the others.
fn still_there<'a>(recipient: &'a Recipient, devices: &[DeviceKey]) -> (Vec<&'a Device>, Vec<Fate>) {
    let there = recipient.devices.iter().filter(|device| devices.contains(&device.key)).collect();
    let gone = devices.iter().filter(|key| recipient.devices.iter().all(|device| device.key != **key));
    (there, gone.map(|key| Fate::of_device(key.clone(), None, Outcome::Gone)).collect())
}

fn of_all(devices: &[DeviceKey], outcome: Outcome) -> Vec<Fate> {
    devices.iter().map(|device| Fate::of_device(device.clone(), None, outcome)).collect()
}

/// A recipient as it is now, or why nothing is sent.
enum Found {
    Send(Box<Recipient>, Tally),
    Not(Outcome, Tally),
}

impl Job<'_> {
    pub(crate) async fn serve(&self, target: &Target) -> Result<Served, Stop> {
        if let Target::Left { not_before: Some(not_before), .. } = target
            && self.clock.now() < *not_before
        {
            return Ok(Served { wish: Wish::until(*not_before), ..Served::not_begun(target) });
        }
        let found = {
            // The semaphore is never closed: it lives as long as the process.
            let _permit = self.state.updates.acquire().await;
            // After the wait for a permit: that is where the time of a slow table goes.
            if self.is_late() {
                return Ok(Served::not_begun(target));
            }
            // Boxed, like every call below: a thousand recipients of a batch wait here, and the state of an SDK call takes kilobytes.
            match target {
                Target::Fresh(client) | Target::Chosen { client, .. } => Box::pin(self.first(client)).await,
                Target::Left { client, .. } => Box::pin(self.again(client)).await,
            }
        };
        let (recipient, tally) = match found {
            Ok(Found::Send(recipient, tally)) => (recipient, tally),
            Ok(Found::Not(outcome, tally)) => {
                let mut served = Served::without_send(target.client(), outcome);
                if let Target::Left { devices, .. } | Target::Chosen { only: devices, .. } = target {
                    served.result.fates = of_all(devices, outcome);
                }
                served.tally = tally;
                return Ok(served);
            }
            Err(error) => {
                tracing::warn!(app = %self.chunk.message.origin.app, error = %error, metric = "recipient_left_over", "a recipient is left over");
                return Ok(Served::not_begun(target));
            }
        };
        if tally.repeat > 0 || tally.uncounted > 0 {
            Box::pin(self.stop_if_delivered()).await?;
        }
        Ok(match target {
            Target::Fresh(client) => {
                let devices: Vec<&Device> = recipient.devices.iter().collect();
                self.send_all(client, &recipient, devices, Vec::new(), (tally, 0)).await
            }
            Target::Left { client, devices, tries, .. } => {
                let (there, gone) = still_there(&recipient, devices);
                self.send_all(client, &recipient, there, gone, (tally, *tries)).await
            }
            Target::Chosen { client, only } => {
                let (there, gone) = still_there(&recipient, only);
                self.send_all(client, &recipient, there, gone, (tally, 0)).await
            }
        })
    }

    /// Whether so little of the invocation or of the environment is left that nothing new is begun.
    pub(crate) fn is_late(&self) -> bool {
        shutdown::begun() || Instant::now() >= self.soft_deadline
    }

    /// A recipient who was not counted yet, as far as the record knows.
    async fn first(&self, client: &ClientId) -> Result<Found, StoreError> {
        let message = &self.chunk.message;
        let (app, recipients) = (&message.origin.app, &self.state.recipients);
        let mentioned = self.gets_through(client);
        if let Some(counting) = &self.counting {
            if message.behaviour.kind == Kind::Withdraw {
                let recipient = recipients.withdraw(app, client, counting).await?;
                return Ok(self.unless_unwanted(client, recipient, false));
            }
            let counted = recipients.count(app, client, counting, mentioned).await?;
            let recipient = Box::new(counted.recipient);
            let tally = |counted, repeat, uncounted| Tally { counted, repeat, uncounted };
            return Ok(match counted.not {
                None => self.unless_silenced(client, recipient, tally(1, 0, 0)),
                Some(NotCounted::Repeat) => self.unless_silenced(client, recipient, tally(0, 1, 0)),
                Some(NotCounted::Uncounted) => self.unless_silenced(client, recipient, tally(0, 0, 1)),
                Some(NotCounted::Muted) => Found::Not(Outcome::Muted, Tally::default()),
                Some(NotCounted::Blocked) => Found::Not(Outcome::Blocked, Tally::default()),
                Some(NotCounted::Read) => Found::Not(Outcome::Read, Tally::default()),
                Some(NotCounted::Withdrawn) => Found::Not(Outcome::Withdrawn, Tally::default()),
            });
        }
        let recipient = match &message.badge {
            Badge::Set { n, source } | Badge::Total { n, source } => {
                recipients.set_source(app, client, source, *n).await?
            }
            Badge::Clear if let Some(room) = self.room() => {
                recipients.leave_room(app, client, &room, self.chunk.claimed_at).await?
            }
            Badge::None | Badge::Keep | Badge::Show(_) | Badge::Add { .. } | Badge::Clear => {
                recipients.get(app, client, false).await?.unwrap_or_default()
            }
        };
        Ok(self.unless_unwanted(client, recipient, false))
    }

    /// Whether the message reaches `client` past a muted room or sender.
    fn gets_through(&self, client: &ClientId) -> bool {
        let origin = &self.chunk.message.origin;
        self.settings.mute_yields_to.lets(origin.names(client.as_str()), origin.mentions_all)
    }

    /// A recipient who was counted, unless nothing is sent to them all the same.
    fn unless_silenced(&self, client: &ClientId, recipient: Box<Recipient>, tally: Tally) -> Found {
        if recipient.preferences.off {
            Found::Not(Outcome::Off, tally)
        } else if !self.chunk.message.text.is_for(client.as_str()) {
            Found::Not(Outcome::HeldOut, tally)
        } else {
            Found::Send(recipient, tally)
        }
    }

    /// A recipient who was counted by an earlier attempt: read as it is now.
    async fn again(&self, client: &ClientId) -> Result<Found, StoreError> {
        let message = &self.chunk.message;
        let recipient = self.state.recipients.get(&message.origin.app, client, true).await?.unwrap_or_default();
        Ok(self.unless_unwanted(client, recipient, true))
    }

    /// Applies the preferences that a count would have applied. `counted`: an earlier attempt counted it, so a room that has no unread
    /// message any more was read.
    fn unless_unwanted(&self, client: &ClientId, recipient: Recipient, counted: bool) -> Found {
        let not = |outcome| Found::Not(outcome, Tally::default());
        let origin = &self.chunk.message.origin;
        let room = self.room();
        let approach =
            Approach { room: room.as_ref(), sender: origin.sender.as_deref(), mentioned: self.gets_through(client) };
        let refused = filter::refused(&recipient, &approach);
        let mark = Mark::counted(&origin.app, &origin.message);
        if self.chunk.message.behaviour.kind == Kind::Withdraw {
            // Who blocked or muted it since it was counted still has it on the phone; who had before has nothing to be taken back.
            let has_it = recipient.has_mark(&mark) && refused != Some(Rule::PushOff);
            return match refused.filter(|_| !has_it).and_then(Outcome::of_rule) {
                Some(outcome) => not(outcome),
                None => Found::Send(Box::new(recipient), Tally::default()),
            };
        }
        if recipient.has_mark(&Mark::withdrawn(&origin.app, &origin.message)) {
            return not(Outcome::Withdrawn);
        }
        if let Some(outcome) = refused.and_then(Outcome::of_rule) {
            return not(outcome);
        }
        if let Some(room) = room {
            let past = recipient.has_read(&room, origin.written_at, self.chunk.claimed_at);
            let in_room =
                matches!(self.chunk.message.badge, Badge::Add { source: pushbell::message::Source::Room, .. });
            // Only of a message that is known to have been counted: one that was sent uncounted is in no room's number.
            let empty = counted
                && in_room
                && recipient.has_mark(&mark)
                && recipient.spilled == 0
                && !recipient.unread.contains_key(&room);
            if past || empty {
                return not(Outcome::Read);
            }
        }
        self.unless_silenced(client, Box::new(recipient), Tally::default())
    }

    async fn send_all(
        &self,
        client: &ClientId,
        recipient: &Recipient,
        devices: Vec<&Device>,
        mut fates: Vec<Fate>,
        (tally, tries): (Tally, u32),
    ) -> Served {
        if devices.is_empty() && fates.is_empty() {
            let mut served = Served::without_send(client, Outcome::NoDevice);
            served.tally = tally;
            return served;
        }
        let patch = self.patch(recipient);
        let wording = |device| self.wording(client, recipient, device);
        let sent = join_all(devices.iter().map(|device| self.send(client, device, &patch, wording(device)))).await;
        let (mut left, mut wish) = (Vec::new(), Wish::default());
        let (mut refused, mut hopeless) = (Vec::new(), Vec::new());
        let mut tried = tries;
        for (device, sent) in devices.into_iter().zip(sent) {
            let outcome = match sent {
                Sent::NoChannel => Outcome::ChannelUnavailable,
                Sent::NotSetUp => Outcome::Misconfigured,
                Sent::Later(its) => {
                    left.push(device);
                    wish = wish.and(its);
                    Outcome::Pending
                }
                Sent::Ended(class) if backoff::is_hopeless(class, tries + 1) => {
                    hopeless.push(device);
                    Outcome::GaveUp
                }
                Sent::Ended(class) => {
                    let outcome = Outcome::of(class);
                    match outcome {
                        Outcome::Pending => {
                            tried = tries.saturating_add(1);
                            left.push(device);
                            wish = wish.and(Wish::of(class));
                        }
                        Outcome::Misconfigured => refused.push(device),
                        Outcome::Delivered
                        | Outcome::DeadToken
                        | Outcome::BadMessage
                        | Outcome::GaveUp
                        | Outcome::ChannelUnavailable
                        | Outcome::Gone
                        | Outcome::NoDevice
                        | Outcome::Muted
                        | Outcome::Read
                        | Outcome::Withdrawn
                        | Outcome::Off
                        | Outcome::Blocked
                        | Outcome::HeldOut
                        | Outcome::Cancelled => {}
                    }
                    outcome
                }
            };
            fates.push(Fate::of_device(device.key.clone(), Some(device.channel), outcome));
        }
        let of = |devices: Vec<&Device>, tries, was| {
            let mut channels: Vec<Channel> = devices.iter().map(|device| device.channel).collect();
            channels.sort_unstable();
            channels.dedup();
            let keys: Vec<DeviceKey> = devices.into_iter().map(|device| device.key.clone()).collect();
            (!keys.is_empty()).then(|| Target::Left {
                client: client.clone(),
                devices: keys,
                not_before: None,
                channels,
                tries,
                was,
            })
        };
        let kept = [of(refused, 0, Some(Outcome::Misconfigured)), of(hopeless, 0, Some(Outcome::GaveUp))];
        Served {
            result: TargetResult { client: client.clone(), fates },
            tally,
            left: of(left, tried, None),
            wish,
            kept: kept.into_iter().flatten().collect(),
        }
    }

    fn patch(&self, recipient: &Recipient) -> Patch {
        let message = &self.chunk.message;
        let badge = match message.badge {
            Badge::None if message.behaviour.kind != Kind::Withdraw => None,
            Badge::Show(n) => Some(n),
            Badge::None | Badge::Keep | Badge::Add { .. } | Badge::Set { .. } | Badge::Total { .. } | Badge::Clear => {
                Some(recipient.badge(self.settings.badge_from))
            }
        };
        let quiet = filter::is_quiet(recipient, self.settings.zone.as_ref(), self.clock.now());
        Patch { badge, silent: quiet || message.behaviour.kind == Kind::Silent }
    }

    /// What is read on `device`: in the language that the client prefers, else in the device's own.
    fn wording(&self, client: &ClientId, recipient: &Recipient, device: &Device) -> Wording {
        let preferences = &recipient.preferences;
        let language = preferences.locale.as_deref().or(device.locale.as_deref());
        if preferences.hide || self.settings.hide_content {
            let languages = language.into_iter().chain([self.settings.language()]);
            return Wording::Hidden(self.settings.hidden_texts.pick(languages));
        }
        self.chunk.message.text.wording(client.as_str(), language)
    }
}
