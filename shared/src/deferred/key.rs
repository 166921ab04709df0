//! How the deferred table is spelled.
//!
//! | key | what |
//! |---|---|
//! | `s#<shard>`, `<app>#<queue>#<due>#<random>` | a record |
//! | `lease`, `-` | who is handing on |

use crate::env::Queue;
use crate::id::AppId;
use crate::time::Timestamp;

use super::lane::Lane;

pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";
/// The record.
pub(super) const BODY: &str = "b";
/// When the row may go by itself, in seconds since 1970.
pub(super) const TTL: &str = "ttl";
/// Who has the lease.
pub(super) const HOLDER: &str = "h";
/// When it ends, in milliseconds since 1970.
pub(super) const ENDS: &str = "e";
pub(super) const LEASE: (&str, &str) = ("lease", "-");

pub(super) fn shard(number: u8) -> String {
    format!("s#{number}")
}

/// What all rows of a lane begin with. An app's id holds no character below `-`, so no lane lies within another.
fn prefix(lane: &Lane) -> String {
    format!("{}#{}#", lane.app, lane.queue.as_str())
}

/// Sorts as text the way `due` sorts.
pub(super) fn row(lane: &Lane, due: Timestamp, random: u64) -> String {
    format!("{}#{random:016x}", at(lane, due))
}

/// Before every row that is due at this time, and behind every one that is due before it.
pub(super) fn at(lane: &Lane, due: Timestamp) -> String {
    format!("{}{:015}", prefix(lane), due.as_millis())
}

/// Behind every row that is due at this time: `$` follows `#`.
pub(super) fn behind(lane: &Lane, due: Timestamp) -> String {
    format!("{}$", at(lane, due))
}

/// Where the next lane begins at the earliest, seen from a row of this one, or from a key that is no row's. Keys that only look like a
/// lane's are jumped over together; a broken one among a lane's rows hides none of them.
pub(super) fn next_lane(key: &str) -> String {
    let lane_ends = key.match_indices('#').nth(1).map(|(at, _)| at);
    match lane_ends {
        Some(at) if parse(key).is_some() || parse(&format!("{}#0#0", &key[..at])).is_none() => {
            format!("{}$", &key[..at])
        }
        Some(_) | None => just_behind(key),
    }
}

/// The first key that can follow this one.
pub(super) fn just_behind(key: &str) -> String {
    format!("{key}!")
}

/// The app, the queue and the time of a row.
pub(super) fn parse(key: &str) -> Option<(AppId, Queue, Timestamp)> {
    let mut parts = key.split('#');
    let app = AppId::parse(parts.next()?).ok()?;
    let queue = Queue::from_word(parts.next()?)?;
    let due = Timestamp::from_millis(parts.next()?.parse().ok()?);
    (parts.next().is_some() && parts.next().is_none()).then_some((app, queue, due))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lane(app: &str, queue: Queue) -> Lane {
        Lane { shard: 3, app: AppId::parse(app).unwrap(), queue }
    }

    #[test]
    fn a_row_s_key_reads_back() {
        let (lane, due) = (lane("de-mo_1.x", Queue::DeadLetters), Timestamp::from_millis(1_767_225_600_000));
        assert_eq!(parse(&row(&lane, due, 7)), Some((lane.app, lane.queue, due)));
        for other in [
            "",
            "demo",
            "demo#deliver",
            "demo#deliver#12",
            "demo#nowhere#12#ff",
            "demo#deliver#x#ff",
            "a#deliver#1#2#3",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn rows_sort_by_the_time_they_are_due() {
        let lane = lane("demo", Queue::Deliver);
        let times = [0, 999, 1_767_225_600_000, 9_999_999_999_999].map(Timestamp::from_millis);
        assert!(times.map(|due| row(&lane, due, u64::MAX)).is_sorted());
        let [.., due, _] = times;
        assert!(at(&lane, due) < row(&lane, due, 0) && row(&lane, due, u64::MAX) < behind(&lane, due));
        assert!(row(&lane, Timestamp::from_millis(due.as_millis() - 1), u64::MAX) < at(&lane, due));
    }

    #[test]
    fn the_next_lane_is_behind_the_last_row_of_this_one_and_before_its_own_first() {
        let mut lanes = Vec::new();
        for app in ["a", "a-b", "a.b", "a1", "aB", "a_b", "ab"] {
            for queue in [Queue::DeadLetters, Queue::Deliver, Queue::FanOut] {
                lanes.push(lane(app, queue));
            }
        }
        let (first, last) = (Timestamp::from_millis(0), Timestamp::from_millis(999_999_999_999_999));
        for pair in lanes.windows(2) {
            let jump = next_lane(&row(&pair[0], first, 0));
            assert!(row(&pair[0], last, u64::MAX) < jump && jump < row(&pair[1], first, 0), "{:?}", pair[0]);
        }
        // What is no row hides no lane.
        assert_eq!(next_lane("no#where#1#2"), "no#where$");
        for junk in ["junk", "a#deliver", "a#deliver#junk"] {
            assert_eq!(next_lane(junk), format!("{junk}!"));
        }
    }
}
