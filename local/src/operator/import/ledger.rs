//! The ledger: rows end in any order, and are counted in the file's. What is noted is always what became of all rows up to a place.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::counts::{Counts, Fate};
use super::progress::{Progress, ProgressError};
use super::records::Place;
use super::refused::RefusedFile;

/// What became of the rows of one record.
pub(super) struct Entry {
    pub(super) line: u64,
    /// Where the record ends.
    pub(super) end: Place,
    pub(super) fates: Vec<Fate>,
}

/// Where a ledger is kept. A dry run's is not.
pub(super) struct Files {
    pub(super) progress: PathBuf,
    pub(super) refused: RefusedFile,
    pub(super) every: Duration,
}

pub(super) struct Ledger {
    progress: Progress,
    files: Option<Files>,
    saved: Instant,
    /// Records that have begun, from the first one that has not ended.
    open: VecDeque<Option<Entry>>,
    /// Records before those.
    closed: u64,
}

impl Ledger {
    pub(super) fn new(progress: Progress, files: Option<Files>) -> Self {
        Self { progress, files, saved: Instant::now(), open: VecDeque::new(), closed: 0 }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.progress.counts
    }

    /// How many records have begun and are not counted.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// A record begins: its number.
    pub(super) fn begin(&mut self) -> u64 {
        self.open.push_back(None);
        self.closed + u64::try_from(self.open.len()).unwrap_or_default() - 1
    }

    /// A record has ended. All that have up to the first one that has not are counted.
    pub(super) fn end(&mut self, number: u64, entry: Entry) -> Result<(), ProgressError> {
        let index = usize::try_from(number - self.closed).unwrap_or(usize::MAX);
        if let Some(slot) = self.open.get_mut(index) {
            *slot = Some(entry);
        }
        while let Some(Some(_)) = self.open.front() {
            self.closed += 1;
            if let Some(entry) = self.open.pop_front().flatten() {
                self.count(&entry)?;
            }
        }
        match &self.files {
            Some(files) if self.saved.elapsed() >= files.every => self.save(),
            Some(_) | None => Ok(()),
        }
    }

    fn count(&mut self, entry: &Entry) -> Result<(), ProgressError> {
        self.progress.place = Some(entry.end);
        self.progress.rows += u64::try_from(entry.fates.len()).unwrap_or_default();
        if entry.fates.is_empty() {
            self.progress.counts.without += 1;
        }
        for fate in &entry.fates {
            self.progress.counts.count(fate);
            let Some(files) = &mut self.files else { continue };
            match fate {
                Fate::Imported | Fate::Kept(_) | Fate::LeftOut(_) => {}
                Fate::Refused(why) => files.refused.add(entry.line, why.field, &why.reason)?,
                Fate::Failed => files.refused.add(entry.line, "line", "could not be written")?,
            }
        }
        Ok(())
    }

    /// Writes down what is counted: the refused rows first, which the progress tells of.
    pub(super) fn save(&mut self) -> Result<(), ProgressError> {
        if let Some(files) = &mut self.files {
            self.progress.refused_bytes = files.refused.save()?;
            self.progress.write(&files.progress)?;
            self.saved = Instant::now();
        }
        Ok(())
    }

    /// Writes down that there is nothing left to do.
    pub(super) fn complete(mut self) -> Result<Counts, ProgressError> {
        self.progress.complete = true;
        self.save()?;
        Ok(self.progress.counts)
    }
}
