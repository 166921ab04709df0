//! The file of rows that were not taken: line, field and reason of each, in the input's order.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom};
use std::path::PathBuf;

use super::progress::ProgressError;

const HEADER: [&str; 3] = ["line", "field", "reason"];

/// It is there only when there is something in it.
pub(super) struct RefusedFile {
    pub(super) path: PathBuf,
    file: Option<csv::Writer<BufWriter<File>>>,
}

impl RefusedFile {
    /// Goes on behind the first `bytes` of what an earlier run has written. What is behind them is written again.
    pub(super) fn open(path: PathBuf, bytes: u64) -> Result<Self, ProgressError> {
        let file = if bytes == 0 {
            // Of an import before this one.
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(ProgressError::io(&path)(error)),
                Ok(()) | Err(_) => None,
            }
        } else {
            let open = || {
                let mut file = OpenOptions::new().write(true).open(&path)?;
                if file.metadata()?.len() < bytes {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                file.set_len(bytes)?;
                file.seek(SeekFrom::Start(bytes))?;
                Ok(file)
            };
            let file = open().map_err(|error: io::Error| {
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) {
                    ProgressError::Refused(path.clone())
                } else {
                    ProgressError::io(&path)(error)
                }
            })?;
            Some(csv::Writer::from_writer(BufWriter::new(file)))
        };
        Ok(Self { path, file })
    }

    pub(super) fn add(&mut self, line: u64, field: &str, reason: &str) -> Result<(), ProgressError> {
        let io = |error: io::Error| ProgressError::io(&self.path)(error);
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = csv::Writer::from_writer(BufWriter::new(File::create(&self.path).map_err(io)?));
                file.write_record(HEADER).map_err(|error| io(error.into()))?;
                none.insert(file)
            }
        };
        file.write_record([line.to_string().as_str(), field, reason]).map_err(|error| io(error.into()))
    }

    /// Its length, all of it on the disk.
    pub(super) fn save(&mut self) -> Result<u64, ProgressError> {
        let Some(file) = &mut self.file else { return Ok(0) };
        let mut length = || {
            file.flush()?;
            file.get_ref().get_ref().sync_data()?;
            Ok(file.get_ref().get_ref().metadata()?.len())
        };
        length().map_err(ProgressError::io(&self.path))
    }
}
