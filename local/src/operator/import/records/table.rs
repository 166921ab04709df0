//! Rows of a CSV.

use std::io::{self, BufRead, Read};

use csv::{ByteRecord, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::{MOST, Place, ReadError, Record};
use crate::operator::import::fields::Refusal;
use crate::operator::import::source::Source;

/// The rows behind the header.
pub(in crate::operator::import) struct Rows {
    header: Vec<String>,
    reader: Reader<ByLine>,
    /// Where the reader began to count.
    base: Place,
    row: ByteRecord,
}

impl Rows {
    /// Reads the header, which has to have `columns`, and goes to where the next row begins.
    pub(super) fn open(
        source: &Source,
        columns: &[&'static str],
        begin: Place,
        from: Option<Place>,
    ) -> Result<Self, ReadError> {
        let mut rows = Self::at(source, begin)?;
        if rows.read()?.is_none() {
            return Err(ReadError::NoHeader);
        }
        let header: Vec<String> =
            rows.row.iter().map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()).collect();
        if let Some(missing) = columns.iter().find(|column| !header.iter().any(|name| name == *column)) {
            return Err(ReadError::NoColumn(missing));
        }
        if let Some(place) = from {
            rows = Self::at(source, place)?;
        }
        rows.header = header;
        Ok(rows)
    }

    fn at(source: &Source, base: Place) -> Result<Self, ReadError> {
        let input = ByLine { input: source.from(base.byte)?, left: MOST, given: 0, skipped: 0, lines: 0, ended: true };
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
        Ok(Self { header: Vec::new(), reader, base, row: ByteRecord::new() })
    }

    /// Bytes that the reader has and has not looked at: the line feed behind a carriage return, as a rule.
    fn pending(&self) -> u64 {
        self.reader.get_ref().given - self.reader.position().byte()
    }

    /// Reads a row, and tells the line on which it begins.
    fn read(&mut self) -> Result<Option<u64>, ReadError> {
        let pending = self.pending();
        let input = self.reader.get_mut();
        input.left = MOST;
        if pending <= 1 {
            input.skip_blank_lines()?;
        }
        let begun = self.base.line + input.lines - u64::from(pending > 1 && input.ended);
        match self.reader.read_byte_record(&mut self.row) {
            Ok(read) => Ok(read.then_some(begun)),
            Err(_) if self.reader.get_ref().left == 0 => Err(ReadError::TooLong(begun)),
            Err(error) => Err(ReadError::Io(error.into())),
        }
    }

    fn place(&self) -> Place {
        let (input, pending) = (self.reader.get_ref(), self.pending());
        let byte = self.base.byte + input.given + input.skipped - pending;
        Place { byte, line: self.base.line + input.lines - u64::from(pending > 0 && input.ended) }
    }

    pub(super) fn next(&mut self) -> Result<Option<Record>, ReadError> {
        let Some(line) = self.read()? else { return Ok(None) };
        Ok(Some(Record { line, end: self.place(), content: self.content() }))
    }

    fn content(&self) -> Result<Map<String, Value>, Refusal> {
        // Fields that are shifted against the header would be somebody else's.
        if self.row.len() != self.header.len() {
            return Err(Refusal::new("line", "has another number of fields than the header"));
        }
        let mut fields = Map::new();
        for (name, value) in self.header.iter().zip(&self.row) {
            let value = std::str::from_utf8(value).map_err(|_| Refusal::new("line", "is not UTF-8"))?;
            // A column that is there several times has several values; the names that are read have one.
            if !value.is_empty() {
                fields.insert(name.clone(), Value::String(value.to_owned()));
            }
        }
        Ok(fields)
    }
}

/// Input that is given to the reader line by line, so that it has not looked far beyond the row that it tells of. One row may take only so
/// much.
struct ByLine {
    input: Box<dyn BufRead + Send>,
    left: u64,
    /// Bytes that were given.
    given: u64,
    /// Bytes that were not.
    skipped: u64,
    /// Line feeds so far.
    lines: u64,
    /// Whether what was given last has ended with one.
    ended: bool,
}

impl ByLine {
    /// The reader would pass them too, and not tell how many.
    fn skip_blank_lines(&mut self) -> io::Result<()> {
        while let Some(&byte) = self.input.fill_buf()?.first()
            && (byte == b'\n' || byte == b'\r')
        {
            self.input.consume(1);
            self.skipped += 1;
            self.lines += u64::from(byte == b'\n');
        }
        Ok(())
    }
}

impl Read for ByLine {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let chunk = self.input.fill_buf()?;
        let chunk = &chunk[..most.min(chunk.len())];
        let n = chunk.iter().position(|byte| *byte == b'\n').map_or(chunk.len(), |at| at + 1);
        buffer[..n].copy_from_slice(&chunk[..n]);
        if n > 0 {
            self.ended = chunk[n - 1] == b'\n';
            self.lines += u64::from(self.ended);
        }
        self.input.consume(n);
        let bytes = u64::try_from(n).unwrap_or_default();
        self.given += bytes;
        self.left -= bytes;
        Ok(n)
    }
}
