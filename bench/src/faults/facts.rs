//! What the campaign itself did, as plain lists: who was told what and when, who had which phone, what was read. The judge has nothing
//! else to go by. No code of the product is in it.

use pushbell_local::phones::Channel;

/// Milliseconds since 1970 by this machine's clock, the one that the fake phones note their pushes with.
pub(super) type Ms = i64;

/// From the moment a call was begun to the moment it was answered: what it did, it did between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begun: Ms,
    pub(super) answered: Ms,
}

/// A time for which a client had a phone.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    pub(super) client: usize,
    pub(super) from: Span,
    pub(super) until: Option<Span>,
}

/// A phone's token.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) token: String,
    pub(super) channel: Channel,
    pub(super) holds: Vec<Hold>,
    /// Since when its app is gone.
    pub(super) died: Option<Ms>,
    /// Its vendor called it dead once, for a message in this list, while it was alive.
    pub(super) called_dead_for: Vec<usize>,
}

impl Device {
    /// Who has it at the end.
    pub(super) fn owner(&self) -> Option<usize> {
        self.holds.last().filter(|hold| hold.until.is_none()).map(|hold| hold.client)
    }
}

/// A call of the chat server that was answered with 200.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) span: Span,
    pub(super) to: Vec<usize>,
    pub(super) task: u64,
    /// It was made more than once, because it was refused or not answered.
    pub(super) troubled: bool,
}

/// A message, or the recall of one.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// As its pushes name it: a recall has the id of its message behind `withdraw:`.
    pub(super) id: String,
    pub(super) room: String,
    /// The message that this one takes back.
    pub(super) recalls: Option<usize>,
    /// It was taken back.
    pub(super) recalled: bool,
    /// It rested beyond its time to live.
    pub(super) expired: bool,
    pub(super) calls: Vec<Call>,
}

impl Message {
    /// The first answered call that names a client.
    pub(super) fn call_for(&self, client: usize) -> Option<&Call> {
        self.calls.iter().find(|call| call.to.contains(&client))
    }
}

/// A room was read.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) client: usize,
    pub(super) room: String,
    pub(super) span: Span,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) clients: Vec<String>,
    pub(super) devices: Vec<Device>,
    pub(super) messages: Vec<Message>,
    pub(super) reads: Vec<Read>,
    /// Client and room, muted before the first message.
    pub(super) muted: Vec<(usize, String)>,
    /// Moments at which nobody was working.
    pub(super) quiet: Vec<Ms>,
    /// How much the emulated services' clock was ahead of this machine's, from when on.
    pub(super) clock: Vec<(Ms, Ms)>,
}

impl Facts {
    /// The emulated services' time at a moment.
    pub(super) fn service_time(&self, at: Ms) -> Ms {
        let ahead = self.clock.iter().rev().find(|(from, _)| *from <= at).map_or(0, |(_, ahead)| *ahead);
        at + ahead
    }

    /// The latest moment at which something that was under way at `at` may still be: nobody works at the next quiet moment, and no send
    /// lasts longer than its deadline.
    pub(super) fn under_way_until(&self, at: Ms) -> Ms {
        let next = self.quiet.partition_point(|quiet| *quiet < at);
        self.quiet.get(next).copied().unwrap_or(Ms::MAX).min(at.saturating_add(SEND_DEADLINE))
    }

    /// The room was muted by the client.
    pub(super) fn is_muted(&self, client: usize, room: &str) -> bool {
        self.muted.iter().any(|(by, muted)| *by == client && muted == room)
    }
}

/// A send has 5 seconds, and a machine with more processes than cores needs one more.
const SEND_DEADLINE: Ms = 6_000;

/// This machine's clock.
pub(super) fn now() -> Ms {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ms::try_from(since.as_millis()).unwrap_or(Ms::MAX)
}
