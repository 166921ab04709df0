//! Values of JSON: a line each, or the elements of an array.

use std::io::{BufRead, Read as _};

use serde_json::{Map, Value};

use super::{MOST, Place, ReadError, Record};
use crate::operator::import::fields::Refusal;

/// JSON lines. A line that is no JSON is refused by itself; where the first one is none, the file is.
pub(in crate::operator::import) struct Lines {
    input: Box<dyn BufRead + Send>,
    place: Place,
    first: bool,
}

impl Lines {
    pub(super) fn new(input: Box<dyn BufRead + Send>, place: Place, first: bool) -> Self {
        Self { input, place, first }
    }

    pub(super) fn next(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            let (mut text, line) = (Vec::new(), self.place.line);
            let n = (&mut self.input).take(MOST + 1).read_until(b'\n', &mut text)?;
            let n = u64::try_from(n).unwrap_or(u64::MAX);
            if n == 0 {
                return Ok(None);
            }
            if n > MOST {
                return Err(ReadError::TooLong(line));
            }
            self.place = Place { byte: self.place.byte + n, line: line + 1 };
            if text.trim_ascii().is_empty() {
                continue;
            }
            let content = object(&text).ok_or_else(|| Refusal::new("line", "is not a JSON object"));
            if std::mem::take(&mut self.first) && content.is_err() {
                return Err(ReadError::NotJson(line));
            }
            return Ok(Some(Record { line, end: self.place, content }));
        }
    }
}

/// The elements of an array.
pub(in crate::operator::import) struct Array {
    input: Box<dyn BufRead + Send>,
    place: Place,
    before: Before,
}

/// What has to come before the next element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Bracket,
    Comma,
    End,
}

impl Array {
    pub(super) fn new(input: Box<dyn BufRead + Send>, place: Place, first: bool) -> Self {
        Self { input, place, before: if first { Before::Bracket } else { Before::Comma } }
    }

    pub(super) fn next(&mut self) -> Result<Option<Record>, ReadError> {
        if self.before == Before::End {
            return Ok(None);
        }
        let opens = self.before == Before::Bracket;
        match self.skip_space()?.ok_or(ReadError::CutOff)? {
            b'[' if opens => {}
            b',' if !opens => {}
            b']' if !opens => return self.end(),
            _ => return Err(ReadError::NotJson(self.place.line)),
        }
        self.before = Before::Comma;
        self.pass();
        if self.skip_space()?.ok_or(ReadError::CutOff)? == b']' && opens {
            return self.end();
        }
        let line = self.place.line;
        let text = self.element()?;
        let value: Value = serde_json::from_slice(&text).map_err(|wrong| {
            let further = u64::try_from(wrong.line().saturating_sub(1)).unwrap_or_default();
            ReadError::NotJson(line + further)
        })?;
        let content = match value {
            Value::Object(fields) => Ok(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(Refusal::new("element", "is not a JSON object"))
            }
        };
        Ok(Some(Record { line, end: self.place, content }))
    }

    /// The bracket that closes the array, and nothing behind it.
    fn end(&mut self) -> Result<Option<Record>, ReadError> {
        self.before = Before::End;
        self.pass();
        match self.skip_space()? {
            None => Ok(None),
            Some(_) => Err(ReadError::Follows(self.place.line)),
        }
    }

    /// The element that begins here, up to the comma or bracket behind it, which is left there.
    fn element(&mut self) -> Result<Vec<u8>, ReadError> {
        let (begun, mut text) = (self.place.line, Vec::new());
        let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                return Err(ReadError::CutOff);
            }
            let (mut used, mut ended) = (0, false);
            for &byte in chunk {
                if quoted {
                    (quoted, escaped) = match byte {
                        _ if escaped => (true, false),
                        b'\\' => (true, true),
                        b'"' => (false, false),
                        _ => (true, false),
                    };
                } else {
                    match byte {
                        b'"' => quoted = true,
                        b'{' | b'[' => depth += 1,
                        b',' | b']' if depth == 0 => {
                            ended = true;
                            break;
                        }
                        b'}' | b']' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                }
                self.place.line += u64::from(byte == b'\n');
                used += 1;
            }
            text.extend_from_slice(&chunk[..used]);
            self.input.consume(used);
            self.place.byte += u64::try_from(used).unwrap_or_default();
            if ended {
                return Ok(text);
            }
            if u64::try_from(text.len()).unwrap_or(u64::MAX) > MOST {
                return Err(ReadError::TooLong(begun));
            }
        }
    }

    /// Passes white space. The byte behind it, which is left there.
    fn skip_space(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            let Some(&byte) = self.input.fill_buf()?.first() else { return Ok(None) };
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.place.line += u64::from(byte == b'\n');
            self.pass();
        }
    }

    fn pass(&mut self) {
        self.input.consume(1);
        self.place.byte += 1;
    }
}

fn object(text: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(text).ok()
}
