//! What functions wrote lately, line by line, by the log group that the template gives them: CloudWatch Logs' place on this machine.
//!
//! A function's process is read (see [`crate::runtime_api`]); one that runs in this process is heard by [`layer`] on its own thread. Where
//! nobody has put that layer into the global subscriber, as in benchmarks, nothing is written down.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use pushbell::telemetry;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use crate::store::now_ms;

/// The crates whose events are ours: those below warnings may be shown.
pub const OUR_CRATES: [&str; 14] = [
    "pushbell",
    "generic_push",
    "before_push",
    "devices",
    "notify",
    "stats",
    "fan_out",
    "deliver",
    "push_results",
    "tally",
    "report",
    "feedback",
    "trigger",
    "retry",
];
/// So many lines of each group are kept; older ones are forgotten.
const MOST: usize = 4_096;

/// A line, and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Counted up in its group.
    pub id: u64,
    /// When it came, in milliseconds since 1970.
    pub at: i64,
    /// The line, without its end.
    pub text: String,
}

/// The log groups of a stack; clones share them.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<BTreeMap<String, Group>>>);

impl Logs {
    /// The group of that name, made if there is none.
    pub fn group(&self, name: &str) -> Group {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups.entry(name.to_owned()).or_default().clone()
    }

    /// The group of that name, if there is one.
    pub fn find(&self, name: &str) -> Option<Group> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// The lines of a log group; clones share them.
#[derive(Clone, Default)]
pub struct Group(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    next: u64,
    kept: VecDeque<Line>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Group").finish_non_exhaustive()
    }
}

impl Group {
    /// Writes a line now.
    pub fn write(&self, text: &str) {
        self.write_at(now_ms(), text);
    }

    /// Writes a line that came at that time.
    pub fn write_at(&self, at: i64, text: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = lines.next;
        lines.next += 1;
        if lines.kept.len() == MOST {
            lines.kept.pop_front();
        }
        lines.kept.push_back(Line { id, at, text: text.to_owned() });
    }

    /// The lines of a time, `from` included and `to` not, that come after `after`: no more than `most`, in the order in which they came.
    pub fn between(&self, from: i64, to: i64, after: Option<u64>, most: usize) -> Vec<Line> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |line: &&Line| (from..to).contains(&line.at) && after.is_none_or(|after| line.id > after);
        lines.kept.iter().filter(fits).take(most).cloned().collect()
    }
}

thread_local! {
    static HEARD: RefCell<Option<Group>> = const { RefCell::new(None) };
}

/// From now on this thread's events are lines of that group, where [`layer`] hears them.
pub(crate) fn hear(group: Group) {
    HEARD.with_borrow_mut(|heard| *heard = Some(group));
}

fn is_heard() -> bool {
    HEARD.with_borrow(Option::is_some)
}

/// What hears the functions that run on threads of this process, for the global subscriber: the lines that they write on Lambda.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    telemetry::lines(&OUR_CRATES, is_heard, || Heard)
}

/// Has the functions of every stack of this process heard, unless it has a global subscriber already. For tests.
pub fn collect() {
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer()));
}

/// Writes to this thread's group. An event is one write.
struct Heard;

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        HEARD.with_borrow(|heard| {
            if let Some(group) = heard {
                group.write(String::from_utf8_lossy(bytes).trim_end());
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_group_forgets_its_oldest_lines() {
        let group = Group::default();
        for n in 0..=MOST {
            group.write_at(7, &n.to_string());
        }
        let kept = group.between(0, 8, None, usize::MAX);
        assert_eq!((kept.len(), kept[0].text.as_str()), (MOST, "1"));
    }

    #[test]
    fn lines_are_read_on_from_the_last_one() {
        let group = Group::default();
        for (at, text) in [(5, "a"), (6, "b"), (6, "c"), (7, "d")] {
            group.write_at(at, text);
        }
        let texts = |lines: Vec<Line>| lines.into_iter().map(|line| line.text).collect::<Vec<_>>();
        let first = group.between(6, 8, None, 1);
        let after = first[0].id;
        assert_eq!(texts(first), ["b"]);
        assert_eq!(texts(group.between(6, 8, Some(after), 9)), ["c", "d"]);
        assert_eq!(texts(group.between(0, 7, None, 9)), ["a", "b", "c"], "the end is not in it");
    }

    #[test]
    fn a_thread_s_events_are_lines_of_its_group_and_nobody_else_s() {
        let group = Group::default();
        let subscriber = tracing_subscriber::registry().with(layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "deliver", "before");
            hear(group.clone());
            tracing::info!(target: "deliver", app = "demo", task = 7, "chunk");
            tracing::info!(target: "another_library", "left out");
        });
        let lines = group.between(0, i64::MAX, None, 9);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line: serde_json::Value = serde_json::from_str(&lines[0].text).unwrap();
        assert_eq!((&line["message"], &line["app"], &line["task"]), (&"chunk".into(), &"demo".into(), &7.into()));
    }
}
