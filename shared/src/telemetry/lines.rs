//! What a test's function logs, through the filter that it has on Lambda.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use serde_json::Value;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What was logged on this thread: a test's runtime has one.
pub struct Lines;

impl Lines {
    /// Begins to collect what `function`'s crate logs at its most talkative. One subscriber for the whole process: those that tests set for
    /// themselves miss events of call sites that another test reached first.
    pub fn collect(function: &str) {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let lines = super::layer().with_writer(|| Self).with_filter(super::targets(function, LevelFilter::TRACE));
            let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
        });
    }

    /// The lines since the last time, and no longer here. What is no JSON is a text.
    pub fn take() -> Vec<Value> {
        let text = LINES.with(RefCell::take);
        let text = String::from_utf8_lossy(&text);
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()))).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
