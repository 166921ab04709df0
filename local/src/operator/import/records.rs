//! Records of a file, one after the other, whatever its size: lines of JSON, elements of an array, rows of a CSV.

mod json;
mod table;

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields::Refusal;
use super::source::{Shape, Source};

/// The longest record, in bytes: a document of MongoDB's may have as many.
const MOST: u64 = 16 * 1024 * 1024;

/// A place between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Bytes before it, unpacked.
    pub(super) byte: u64,
    /// The line that it is on, from 1.
    pub(super) line: u64,
}

/// One record.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    /// The line on which it begins.
    pub(super) line: u64,
    /// Where the next one is looked for.
    pub(super) end: Place,
    /// What it says; of a CSV with the header's names.
    pub(super) content: Result<Map<String, Value>, Refusal>,
}

/// Why no record can be had any more. Nothing of a file is quoted.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read, or not be unpacked.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// Not JSON, where nothing tells where the next record begins.
    #[error("line {0} is not JSON")]
    NotJson(u64),
    /// The array has no end.
    #[error("the array that begins in line 1 does not end: the file is cut off")]
    CutOff,
    /// Something follows the array's end.
    #[error("line {0} follows the end of the array")]
    Follows(u64),
    /// A record as long as this is a mistake: a quotation mark that is not closed, a file without line ends.
    #[error("the record that begins in line {0} is longer than 16 MiB")]
    TooLong(u64),
    /// No header.
    #[error("the file has no header line")]
    NoHeader,
    /// The header lacks a column.
    #[error("the header has no column {0}")]
    NoColumn(&'static str),
    /// The format is none for tables.
    #[error("users' documents are JSON, and this file is not")]
    NotDocuments,
}

/// The records of a file from a place on.
pub(super) enum Records {
    Lines(json::Lines),
    Array(json::Array),
    Table(table::Rows),
}

impl Records {
    /// The records of a file; of a CSV, which must have the `columns`, if there are tables of the format. From the beginning, or from where
    /// the last record of an earlier reading ended.
    pub(super) fn open(
        source: &Source,
        columns: Option<&[&'static str]>,
        from: Option<Place>,
    ) -> Result<Self, ReadError> {
        let begin = Place { byte: source.begin, line: 1 };
        let place = from.unwrap_or(begin);
        Ok(match source.shape {
            Shape::Lines => Self::Lines(json::Lines::new(source.from(place.byte)?, place, from.is_none())),
            Shape::Array => Self::Array(json::Array::new(source.from(place.byte)?, place, from.is_none())),
            Shape::Csv => {
                let columns = columns.ok_or(ReadError::NotDocuments)?;
                Self::Table(table::Rows::open(source, columns, begin, from)?)
            }
        })
    }

    /// The next one; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Record>, ReadError> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Array(array) => array.next(),
            Self::Table(rows) => rows.next(),
        }
    }
}

#[cfg(test)]
mod tests;
