//! How an import gets on, for who watches: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::counts::grouped;
use super::source::Source;

/// Between two lines.
const EVERY: Duration = Duration::from_secs(10);

pub(super) struct Meter {
    bar: Option<ProgressBar>,
    /// Bytes of the file, and how many of them were read.
    bytes: u64,
    read: Arc<AtomicU64>,
    begun: Instant,
    told: Instant,
    /// Rows that earlier runs have done.
    before: u64,
}

impl Meter {
    pub(super) fn new(source: &Source, before: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(source.bytes);
            let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let now = Instant::now();
        Self { bar, bytes: source.bytes, read: Arc::clone(&source.read), begun: now, told: now, before }
    }

    /// So many rows are done.
    pub(super) fn tell(&mut self, rows: u64) {
        if self.bar.is_none() && self.told.elapsed() < EVERY {
            return;
        }
        let read = self.read.load(Ordering::Relaxed).min(self.bytes);
        #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
        let pace = rows.saturating_sub(self.before) as f64 / self.begun.elapsed().as_secs_f64();
        let told = format!("{} rows, {pace:.0} a second", grouped(rows));
        match &self.bar {
            Some(bar) => {
                bar.set_position(read);
                bar.set_message(told);
            }
            None => {
                self.told = Instant::now();
                let percent = read.saturating_mul(100) / self.bytes.max(1);
                // Nobody may be there to read it.
                let _ = writeln!(std::io::stderr(), "{told}, {percent} % of the file");
            }
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
