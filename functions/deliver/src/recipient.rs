//! One recipient of a chunk: counted or looked up, then sent to.

use std::time::Instant;

use futures_util::future::join_all;
use pushbell::delivery::Patch;
use pushbell::filter::{self, Approach, Rule};
use pushbell::id::{ClientId, DeviceKey, Mark};
use pushbell::message::{Badge, Kind, Strategy, Wording};
use pushbell::recipient::{Counted, Device, NotCounted, Recipient, StoreError};
use pushbell::shutdown;
use pushbell::task::{Fate, Outcome, Reason, Recount, Tally, Target, TargetResult};

use crate::backoff::{self, Wish};
use crate::chunk::{Job, Stop};
use crate::content::{Content, NoContent};
use crate::roads;
use crate::send::Sent;

/// What became of one recipient in this attempt.
pub(crate) struct Served {
    pub(crate) result: TargetResult,
    pub(crate) tally: Tally,
    pub(crate) left: Option<Target>,
    pub(crate) wish: Wish,
    /// What is given up, to be kept for a replay.
    pub(crate) kept: Vec<Target>,
    /// The name of a value that the recipient lacks.
    pub(crate) missing: Option<String>,
}

impl Served {
    fn new(client: &ClientId, fates: Vec<Fate>) -> Self {
        let result = TargetResult { client: client.clone(), fates, recount: None };
        Self { result, tally: Tally::default(), left: None, wish: Wish::default(), kept: Vec::new(), missing: None }
    }

    /// One outcome for every device that `target` names, or for the recipient where it names none. Nothing is known of them but that.
    pub(crate) fn all(target: &Target, outcome: Outcome) -> Self {
        let fates = match target {
            Target::Fresh(_) | Target::With { .. } => vec![Fate::of_recipient(outcome)],
            Target::Chosen { only, .. } => {
                only.iter().map(|device| Fate::of_device(device.clone(), None, outcome)).collect()
            }
            Target::Left { devices, channels, .. } => {
                // A record of an earlier release has each channel once.
                let known = channels.len() == devices.len();
                let channel = |index| channels.get(index).copied().filter(|_| known);
                let devices = devices.iter().enumerate();
                devices.map(|(index, device)| Fate::of_device(device.clone(), channel(index), outcome)).collect()
            }
        };
        Self::new(target.client(), fates)
    }

    /// Nothing was done, or it is not known whether it was counted: the recipient comes again as it came.
    fn not_begun(target: &Target, reason: Reason) -> Self {
        let mut all = Self::all(target, Outcome::Pending);
        for fate in &mut all.result.fates {
            fate.reason = Some(reason);
        }
        Self { left: Some(target.clone()), ..all }
    }

    /// With how the recipient was counted.
    fn tallied(mut self, tally: Tally) -> Self {
        self.tally = tally;
        self.result.recount =
            if tally.repeat > 0 { Some(Recount::Repeat) } else { (tally.uncounted > 0).then_some(Recount::Late) };
        self
    }
}

/// A recipient as it is now.
struct Found {
    recipient: Box<Recipient>,
    tally: Tally,
    /// Why nothing is sent.
    not: Option<Outcome>,
}

impl Found {
    fn not(recipient: Recipient, outcome: Outcome) -> Self {
        Self { recipient: Box::new(recipient), tally: Tally::default(), not: Some(outcome) }
    }
}

impl Job<'_> {
    pub(crate) async fn serve(&self, target: &Target) -> Result<Served, Stop> {
        if let Target::Left { not_before: Some(not_before), .. } = target
            && self.clock.now() < *not_before
        {
            return Ok(Served { wish: Wish::until(*not_before), ..Served::not_begun(target, Reason::Waiting) });
        }
        // What cannot be shown is not counted, and who is not sent to needs no values.
        let letter = if self.writes(target) {
            match self.letter(target).await {
                Ok(letter) => Some(letter),
                Err(none) => return Ok(self.without_content(target, none)),
            }
        } else {
            None
        };
        let found = {
            // The semaphore is never closed: it lives as long as the process.
            let _permit = self.state.updates.acquire().await;
            // After the wait for a permit: that is where the time of a slow table goes.
            if self.is_late() {
                return Ok(Served::not_begun(target, Reason::NotBegun));
            }
            match target {
                Target::Fresh(client) | Target::With { client, .. } => self.first(client, false).await,
                // Somebody saw these devices already: one that is missing in an older copy of the item would be `gone`, for good.
                Target::Chosen { client, .. } => self.first(client, true).await,
                Target::Left { client, .. } => Box::pin(self.again(client)).await,
            }
        };
        let Found { recipient, tally, not } = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(app = %self.chunk.message.origin.app, error = %error, metric = "recipient_left_over", "a recipient is left over");
                return Ok(Served::not_begun(target, Reason::NotBegun));
            }
        };
        let roads = &self.chunk.message.roads;
        let unsent = match (not, target) {
            (Some(outcome), Target::Fresh(_) | Target::With { .. }) => {
                return Ok(Served::all(target, outcome).tallied(tally));
            }
            (Some(outcome), Target::Chosen { .. } | Target::Left { .. }) => Some(outcome),
            (None, _) => (roads.strategy == Strategy::Online).then_some(Outcome::ChannelUnavailable),
        };
        let (devices, mut fates) = roads::pick(target, &recipient.devices, roads);
        if let Some(outcome) = unsent {
            let of = |device: &&Device| Fate::of_device(device.key.clone(), Some(device.channel), outcome);
            fates.extend(devices.iter().map(of));
            if fates.is_empty() {
                fates.push(Fate::of_recipient(not.unwrap_or(Outcome::NoDevice)));
            }
            return Ok(Served::new(target.client(), fates).tallied(tally));
        }
        if tally.repeat > 0 || tally.uncounted > 0 {
            Box::pin(self.stop_if_delivered()).await?;
        }
        let tries = match target {
            Target::Fresh(_) | Target::Chosen { .. } | Target::With { .. } => 0,
            Target::Left { tries, .. } => *tries,
        };
        if devices.is_empty() {
            if fates.is_empty() {
                fates.push(Fate::of_recipient(Outcome::NoDevice));
            }
            return Ok(Served::new(target.client(), fates).tallied(tally));
        }
        let letter = match letter {
            Some(letter) => letter,
            None => match self.letter(target).await {
                Ok(letter) => letter,
                Err(none) => return Ok(self.without_content(target, none)),
            },
        };
        Ok(self.send_all(letter.content(), target.client(), &recipient, devices, fates, (tally, tries)).await)
    }

    /// Whether serving `target` changes the recipient: their badge, or what of it is read.
    fn writes(&self, target: &Target) -> bool {
        let writes = match self.chunk.message.badge {
            Badge::None | Badge::Keep | Badge::Show(_) => false,
            Badge::Add { .. } | Badge::Set { .. } | Badge::Total { .. } | Badge::Clear => true,
        };
        let is_sent = self.chunk.message.roads.strategy != Strategy::Online;
        writes && is_sent && !matches!(target, Target::Left { .. })
    }

    /// A recipient for whom the message could not be made: told by the value's name, or to come again.
    fn without_content(&self, target: &Target, none: NoContent) -> Served {
        let app = &self.chunk.message.origin.app;
        match none {
            NoContent::Unread(error) => {
                tracing::warn!(app = %app, error = %error, metric = "recipient_left_over", "a recipient is left over");
                Served::not_begun(target, Reason::NotBegun)
            }
            NoContent::Late => Served::not_begun(target, Reason::NotBegun),
            NoContent::Missing(name) => Served { missing: Some(name), ..Served::all(target, Outcome::MissingValue) },
            NoContent::Broken => Served::all(target, Outcome::BadMessage),
        }
    }

    /// Whether so little of the invocation or of the environment is left that nothing new is begun.
    pub(crate) fn is_late(&self) -> bool {
        shutdown::begun() || Instant::now() >= self.soft_deadline
    }

    /// A recipient who was not counted yet, as far as the record knows. Calls of the SDK are boxed here and elsewhere: a thousand recipients
    /// of a batch wait, most of them for none of these, and the state of one takes kilobytes. `consistent`: as they are now, where they are only read.
    async fn first(&self, client: &ClientId, consistent: bool) -> Result<Found, StoreError> {
        let message = &self.chunk.message;
        let (app, recipients) = (&message.origin.app, &self.state.recipients);
        if message.roads.strategy == Strategy::Online {
            // Nothing reaches a phone, so nothing is counted.
            let recipient = Box::pin(recipients.get(app, client, consistent)).await?.unwrap_or_default();
            return Ok(self.unless_unwanted(client, recipient, false));
        }
        let mentioned = self.gets_through(client);
        if let Some(counting) = &self.counting {
            if message.behaviour.kind == Kind::Withdraw {
                let recipient = Box::pin(recipients.withdraw(app, client, counting)).await?;
                return Ok(self.unless_unwanted(client, recipient, false));
            }
            let Counted { recipient, not } = recipients.count(app, client, counting, mentioned).await?;
            let tally = |counted, repeat, uncounted| Tally { counted, repeat, uncounted };
            return Ok(match not {
                None => self.unless_silenced(client, recipient, tally(1, 0, 0)),
                Some(NotCounted::Repeat) => self.unless_silenced(client, recipient, tally(0, 1, 0)),
                Some(NotCounted::Uncounted) => self.unless_silenced(client, recipient, tally(0, 0, 1)),
                Some(NotCounted::Muted) => Found::not(recipient, Outcome::Muted),
                Some(NotCounted::Blocked) => Found::not(recipient, Outcome::Blocked),
                Some(NotCounted::Read) => Found::not(recipient, Outcome::Read),
                Some(NotCounted::Withdrawn) => Found::not(recipient, Outcome::Withdrawn),
            });
        }
        let recipient = match &message.badge {
            Badge::Set { n, source } => Box::pin(recipients.set_source(app, client, source, *n)).await?,
            Badge::Total { n, source } => {
                Box::pin(recipients.set_total(app, client, source, *n, self.settings.badge_from)).await?
            }
            Badge::Clear if let Some(room) = self.room() => {
                Box::pin(recipients.leave_room(app, client, &room, self.chunk.claimed_at)).await?
            }
            Badge::None | Badge::Keep | Badge::Show(_) | Badge::Add { .. } | Badge::Clear => {
                Box::pin(recipients.get(app, client, consistent)).await?.unwrap_or_default()
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
    fn unless_silenced(&self, client: &ClientId, recipient: Recipient, tally: Tally) -> Found {
        let not = if recipient.preferences.off {
            Some(Outcome::Off)
        } else {
            (!self.chunk.message.text.is_for(client.as_str())).then_some(Outcome::HeldOut)
        };
        Found { recipient: Box::new(recipient), tally, not }
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
        let origin = &self.chunk.message.origin;
        let room = self.room();
        let approach =
            Approach { room: room.as_ref(), sender: origin.sender.as_deref(), mentioned: self.gets_through(client) };
        let refused = filter::refused(&recipient, &approach);
        let mark = Mark::counted(&origin.app, &origin.message);
        if self.chunk.message.behaviour.kind == Kind::Withdraw {
            // Who blocked or muted it since it was counted still has it on the phone; who had before has nothing to be taken back.
            let has_it = recipient.has_mark(&mark) && refused != Some(Rule::PushOff);
            let not = refused.filter(|_| !has_it).and_then(Outcome::of_rule);
            return Found { recipient: Box::new(recipient), tally: Tally::default(), not };
        }
        if recipient.has_mark(&Mark::withdrawn(&origin.app, &origin.message)) {
            return Found::not(recipient, Outcome::Withdrawn);
        }
        if let Some(outcome) = refused.and_then(Outcome::of_rule) {
            return Found::not(recipient, outcome);
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
                return Found::not(recipient, Outcome::Read);
            }
        }
        self.unless_silenced(client, recipient, Tally::default())
    }

    async fn send_all(
        &self,
        content: &Content<'_>,
        client: &ClientId,
        recipient: &Recipient,
        devices: Vec<&Device>,
        mut fates: Vec<Fate>,
        (tally, tries): (Tally, u32),
    ) -> Served {
        let patch = self.patch(recipient);
        let wording = |device| self.wording(client, recipient, device);
        let sent =
            join_all(devices.iter().map(|device| self.send(content, client, device, &patch, wording(device)))).await;
        let (mut left, mut wish) = (Vec::new(), Wish::default());
        let (mut refused, mut hopeless) = (Vec::new(), Vec::new());
        let mut tried = tries;
        for (device, sent) in devices.into_iter().zip(sent) {
            let (outcome, reason) = match sent {
                Sent::NoChannel => (Outcome::ChannelUnavailable, None),
                Sent::NotSetUp => (Outcome::Misconfigured, Some(Reason::NoCredentials)),
                Sent::Later(its, reason) => {
                    left.push(device);
                    wish = wish.and(its);
                    (Outcome::Pending, Some(reason))
                }
                Sent::Ended(class) if backoff::is_hopeless(class, tries + 1) => {
                    hopeless.push(device);
                    (Outcome::GaveUp, Reason::of(class))
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
                        | Outcome::Cancelled
                        | Outcome::MissingValue => {}
                    }
                    (outcome, Reason::of(class))
                }
            };
            fates.push(Fate::of_device(device.key.clone(), Some(device.channel), outcome).because(reason));
        }
        let of = |devices: Vec<&Device>, tries, was| {
            let channels = devices.iter().map(|device| device.channel).collect();
            let keys: Vec<DeviceKey> = devices.into_iter().map(|device| device.key.clone()).collect();
            (!keys.is_empty()).then(|| Target::Left {
                client: client.clone(),
                devices: keys,
                not_before: None,
                channels,
                tries,
                was,
                values: None,
            })
        };
        let kept = [of(refused, 0, Some(Outcome::Misconfigured)), of(hopeless, 0, Some(Outcome::GaveUp))];
        Served {
            left: of(left, tried, None),
            wish,
            kept: kept.into_iter().flatten().collect(),
            ..Served::new(client, fates).tallied(tally)
        }
    }

    fn patch(&self, recipient: &Recipient) -> Patch {
        let message = &self.chunk.message;
        let badge = match message.badge {
            Badge::None if message.behaviour.kind != Kind::Withdraw => None,
            Badge::Show(n) => Some(n),
            // As the caller says, whatever is unread. A retry shows the badge of now.
            Badge::Total { n, .. } if self.chunk.attempt.is_first() => Some(n),
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
