//! What a run has yet to read of a lane, and from where next.

use pushbell::deferred::{End, Lane, Span, Waiting};
use pushbell::time::Timestamp;

/// A lane that is being read, page by page, in turns.
///
/// | turn | rows | why |
/// |---|---|---|
/// | 1 | due from now on, the earliest first | they are not late yet, and are kept on time |
/// | 2 | late ones, the newest first | their messages are worth the most |
/// | 3 | late ones, the oldest first | nothing waits until its message has ended only because newer work comes in |
///
/// Then the first again; what is read to its end is left out.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) lane: Lane,
    /// When the first row that may still be there is due.
    pub(crate) oldest: Timestamp,
    late: Option<Span>,
    coming: Option<Span>,
    turn: Turn,
}

/// Which rows a turn reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Coming,
    Newest,
    Oldest,
}

/// What a turn reads.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) span: Span,
    pub(crate) end: End,
    pub(crate) turn: Turn,
}

impl Reading {
    /// What is due by `until`; `None` when nothing is.
    pub(crate) fn new(waiting: Waiting, now: Timestamp, until: Timestamp) -> Option<Self> {
        let Waiting { lane, oldest } = waiting;
        if oldest > until {
            return None;
        }
        let late = (oldest < now).then(|| lane.span(oldest, now));
        let coming = Some(lane.span_to(now.max(oldest), until));
        Some(Self { lane, oldest, late, coming, turn: Turn::Coming })
    }

    /// What to read next; `None` when all is read.
    pub(crate) fn next(&mut self) -> Option<Read> {
        for _ in 0..3 {
            let turn = self.turn;
            let (span, end, following) = match turn {
                Turn::Coming => (&mut self.coming, End::Oldest, Turn::Newest),
                Turn::Newest => (&mut self.late, End::Newest, Turn::Oldest),
                Turn::Oldest => (&mut self.late, End::Oldest, Turn::Coming),
            };
            self.turn = following;
            if let Some(span) = span.take() {
                return Some(Read { span, end, turn });
            }
        }
        None
    }

    /// Notes what is left of what a turn read, and when the last of its rows is due.
    pub(crate) fn done(&mut self, turn: Turn, rest: Option<Span>, last: Option<Timestamp>) {
        match turn {
            Turn::Coming => self.coming = rest,
            Turn::Newest => self.late = rest,
            Turn::Oldest => {
                self.oldest = last.unwrap_or(self.oldest);
                self.late = rest;
            }
        }
    }

    /// Where rows are left that are late already.
    pub(crate) fn late(&self) -> Option<&Span> {
        self.late.as_ref()
    }

    /// Whether nothing is left.
    pub(crate) fn is_over(&self) -> bool {
        self.late.is_none() && self.coming.is_none()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use pushbell::env::Queue;
    use pushbell::id::AppId;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn waiting(oldest: u64) -> Waiting {
        let lane = Lane { shard: 0, app: AppId::parse("demo").unwrap(), queue: Queue::Deliver };
        Waiting { lane, oldest: at(oldest) }
    }

    /// The ends of the next turns; each leaves something of its span.
    fn turns(reading: &mut Reading, n: usize) -> Vec<(End, bool)> {
        (0..n)
            .map(|_| {
                let late = reading.late.clone();
                let read = reading.next().unwrap();
                let of_late = Some(&read.span) == late.as_ref();
                reading.done(read.turn, Some(read.span.clone()), None);
                (read.end, of_late)
            })
            .collect()
    }

    #[test]
    fn what_is_on_time_the_newest_and_the_oldest_take_turns() {
        let mut reading = Reading::new(waiting(100), at(1_000), at(1_900)).unwrap();
        let expected = [(End::Oldest, false), (End::Newest, true), (End::Oldest, true)];
        assert_eq!(turns(&mut reading, 6), [expected, expected].concat());
        let read = reading.next().unwrap();
        reading.done(read.turn, None, None);
        assert_eq!(turns(&mut reading, 3), [expected[1], expected[2], expected[1]], "what is on time is read");
        let read = reading.next().unwrap();
        assert!(reading.is_over() || reading.late().is_none());
        reading.done(read.turn, None, None);
        assert!(reading.is_over() && reading.next().is_none());
    }

    #[test]
    fn a_lane_with_nothing_late_has_one_span_and_one_with_nothing_due_has_none() {
        let mut reading = Reading::new(waiting(1_500), at(1_000), at(1_900)).unwrap();
        assert!(reading.late().is_none());
        let read = reading.next().unwrap();
        assert_eq!((read.end, reading.next().is_none()), (End::Oldest, true));
        assert!(Reading::new(waiting(1_900), at(1_000), at(1_900)).is_some());
        assert!(Reading::new(waiting(1_901), at(1_000), at(1_900)).is_none());
    }

    #[test]
    fn the_age_of_a_lane_is_that_of_the_oldest_row_that_may_still_be_there() {
        let mut reading = Reading::new(waiting(100), at(1_000), at(1_900)).unwrap();
        for expected in [100, 100, 400] {
            let read = reading.next().unwrap();
            reading.done(read.turn, Some(read.span.clone()), Some(at(400)));
            assert_eq!(reading.oldest, at(expected));
        }
    }
}
