//! One pass over a file: records begin in its order, and end in any.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pushbell::app::SnsSettings;
use pushbell::id::ClientId;
use pushbell::recipient::Device;
use pushbell::time::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::counts::{Counts, Fate};
use super::formats::{Context, Format, Row};
use super::ledger::{Entry, Files, Ledger};
use super::meter::Meter;
use super::progress::Progress;
use super::records::{Record, Records};
use super::turns::{self, Turns};
use super::write::{WriteError, Writer};
use super::{Import, ImportError};

/// Records that may have begun for each row that is written: while one waits for its turn, others go on.
const AHEAD: usize = 16;

/// Times that rows get follow each other by a millisecond, as many different ones, and none is later than the import's beginning.
const TIMES: u64 = 1 << 20;

/// One pass over the records that are left.
pub(super) struct Pass<'a> {
    format: Format,
    path: &'a Path,
    sns: &'a SnsSettings,
    begun: Timestamp,
    /// Rows that were read, in this run and before.
    rows: u64,
    writer: Arc<Writer>,
    places: Arc<Semaphore>,
    most_open: usize,
    turns: Turns,
    tasks: JoinSet<Result<(u64, Entry), WriteError>>,
    ledger: Ledger,
    meter: Meter,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        args: &'a Import,
        sns: &'a SnsSettings,
        writer: Writer,
        progress: Progress,
        files: Option<Files>,
        meter: Meter,
    ) -> Self {
        Self {
            format: args.from,
            path: &args.file,
            sns,
            begun: progress.begun,
            rows: progress.rows,
            writer: Arc::new(writer),
            places: Arc::new(Semaphore::new(args.concurrency.into())),
            most_open: usize::from(args.concurrency) * AHEAD,
            turns: Turns::default(),
            tasks: JoinSet::new(),
            ledger: Ledger::new(progress, files),
            meter,
        }
    }

    pub(super) async fn run(mut self, mut records: Records) -> Result<Counts, ImportError> {
        // Before the first row: its time must be known again, whenever this ends.
        self.ledger.save()?;
        let passed = self.pass(&mut records).await;
        if passed.is_err() {
            // What is under way is not waited for: it is met again.
            self.tasks.shutdown().await;
            // The first failure is the one to tell.
            let saved = self.ledger.save();
            passed?;
            saved?;
        }
        Ok(self.ledger.complete()?)
    }

    async fn pass(&mut self, records: &mut Records) -> Result<(), ImportError> {
        loop {
            let record = match records.next() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(reason) => {
                    self.ended(0).await?;
                    return Err(ImportError::Read { path: self.path.to_owned(), reason });
                }
            };
            self.begin(record)?;
            self.ended(self.most_open).await?;
        }
        self.ended(0).await
    }

    /// Begins a record. One without devices ends at once.
    fn begin(&mut self, record: Record) -> Result<(), ImportError> {
        let rows = match &record.content {
            Ok(fields) => self.format.rows(fields, Context { sns: self.sns, at: self.begun }),
            Err(refusal) => vec![Row::Refused(refusal.clone())],
        };
        let (mut devices, mut fates) = (Vec::new(), Vec::with_capacity(rows.len()));
        for row in rows {
            let at = time(self.begun, self.rows);
            self.rows += 1;
            fates.push(match row {
                Row::Device(client, device) => {
                    devices.push((fates.len(), client, Device { registered_at: at, ..*device }));
                    // Until it is known.
                    Fate::Failed
                }
                Row::LeftOut(why) => Fate::LeftOut(why),
                Row::Refused(why) => Fate::Refused(why),
            });
        }
        let number = self.ledger.begin();
        let mut entry = Entry { line: record.line, end: record.end, fates };
        if devices.is_empty() {
            return Ok(self.ledger.end(number, entry)?);
        }
        let keys = |(_, client, device): &(usize, ClientId, Device)| {
            [turns::of_client(client), turns::of_token(&device.token)]
        };
        let mut turn = self.turns.take(devices.iter().flat_map(keys));
        let (writer, places) = (Arc::clone(&self.writer), Arc::clone(&self.places));
        self.tasks.spawn(async move {
            turn.comes().await;
            // Nobody closes it.
            let _place = places.acquire().await;
            for (index, client, device) in devices {
                let fate = writer.write(&client, &device).await?;
                if let Some(slot) = entry.fates.get_mut(index) {
                    *slot = fate;
                }
            }
            drop(turn);
            Ok((number, entry))
        });
        Ok(())
    }

    /// Takes down what has ended, until no more than `open` records are open.
    async fn ended(&mut self, open: usize) -> Result<(), ImportError> {
        loop {
            let next =
                if self.ledger.open() > open { self.tasks.join_next().await } else { self.tasks.try_join_next() };
            let Some(next) = next else { return Ok(()) };
            let rows = self.ledger.counts().rows();
            let (number, entry) =
                next.map_err(ImportError::Crashed)?.map_err(|source| ImportError::Write { rows, source })?;
            self.ledger.end(number, entry)?;
            self.meter.tell(self.ledger.counts().rows());
        }
    }
}

/// The time that the device of a row gets.
fn time(begun: Timestamp, row: u64) -> Timestamp {
    begun.minus(Duration::from_millis(TIMES - row % TIMES))
}
