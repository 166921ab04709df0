//! How far an import has come: a file beside its input, written whole or not at all.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pushbell::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::formats::Format;
use super::records::Place;

/// What is imported into where. Progress of another import is not this one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Of the input's size, its first bytes and its last.
    pub(super) digest: String,
    pub(super) format: Format,
    pub(super) app: String,
    pub(super) stack: String,
    /// The tables, and when they were made: those of a stack that is started anew are others.
    pub(super) tables: String,
}

/// Up to where all rows are done, and what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    #[serde(flatten)]
    pub(super) identity: Identity,
    /// When the import began. Its devices get their times by it.
    pub(super) begun: Timestamp,
    /// `None` before the first record.
    pub(super) place: Option<Place>,
    /// Rows before it.
    pub(super) rows: u64,
    pub(super) counts: Counts,
    /// Bytes of the file of refused rows that are about rows before it.
    pub(super) refused_bytes: u64,
    pub(super) complete: bool,
}

/// Why progress is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// It cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not of its shape.
    #[error("{} is not what an import has written; take it away to begin anew", .0.display())]
    Malformed(PathBuf),
    /// It is another import's.
    #[error("{} is of an import of another {other}; take it away to begin anew", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What is another.
        other: &'static str,
    },
    /// The refused rows that it tells of are not there.
    #[error("{} is not as the last run has left it; put it back, or take it and the progress away to begin anew", .0.display())]
    Refused(PathBuf),
}

impl ProgressError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

/// A file beside the input.
pub(super) fn beside(input: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(input);
    name.push(suffix);
    name.into()
}

impl Progress {
    pub(super) fn new(identity: Identity, begun: Timestamp) -> Self {
        let (counts, place) = (Counts::default(), None);
        Self { identity, begun, place, rows: 0, counts, refused_bytes: 0, complete: false }
    }

    /// The progress of an earlier run; `None` when there is none.
    pub(super) fn read(path: &Path, identity: &Identity) -> Result<Option<Self>, ProgressError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ProgressError::io(path)(error)),
        };
        let progress: Self = serde_json::from_slice(&text).map_err(|_| ProgressError::Malformed(path.to_owned()))?;
        let own = &progress.identity;
        let other = [
            ("file", own.digest != identity.digest),
            ("format", own.format != identity.format),
            ("app", own.app != identity.app),
            ("stack", own.stack != identity.stack || own.tables != identity.tables),
        ];
        match other.into_iter().find(|(_, differs)| *differs) {
            Some((other, _)) => Err(ProgressError::Other { path: path.to_owned(), other }),
            None => Ok(Some(progress)),
        }
    }

    /// Writes it in the place of what is there.
    pub(super) fn write(&self, path: &Path) -> Result<(), ProgressError> {
        let new = beside(path, ".new");
        let write = || {
            let mut file = File::create(&new)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            // Else the name may be on the disk before the content is.
            file.sync_data()?;
            std::fs::rename(&new, path)
        };
        write().map_err(ProgressError::io(path))
    }
}
