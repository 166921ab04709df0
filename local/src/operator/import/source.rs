//! The file, unpacked: what shape it has, and its bytes from a place on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use pushbell::id::digest;

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Bytes at the file's beginning and at its end that its digest is made of.
const EDGE: u64 = 64 * 1024;
const GZIP: &[u8] = &[0x1f, 0x8b];
/// What Excel and others write before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How a file's records are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// JSON, one value a line.
    Lines,
    /// One JSON array of values.
    Array,
    /// CSV with a header.
    Csv,
}

/// A file to be imported.
pub(super) struct Source {
    file: File,
    gzipped: bool,
    /// Where the content begins, behind a byte order mark.
    pub(super) begin: u64,
    pub(super) shape: Shape,
    /// Of the file as it lies there.
    pub(super) bytes: u64,
    /// Of the file's size, its first bytes and its last.
    pub(super) digest: String,
    /// Bytes of the file that have been read.
    pub(super) read: Arc<AtomicU64>,
}

impl Source {
    /// Looks at a file. An empty one has the shape of a CSV that lacks its header.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        (&file).take(EDGE).read_to_end(&mut head)?;
        file.seek(SeekFrom::Start(bytes.saturating_sub(EDGE)))?;
        (&file).take(EDGE).read_to_end(&mut tail)?;
        let digest: [u8; 16] = digest(&[&bytes.to_be_bytes(), &head, &tail]);
        let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let gzipped = head.starts_with(GZIP);
        let mut source = Self { file, gzipped, begin: 0, shape: Shape::Csv, bytes, digest, read: Arc::default() };
        let mut content = Vec::new();
        match source.from(0)?.take(EDGE).read_to_end(&mut content) {
            // Where it breaks is told when it is read up to there.
            Err(error) if content.is_empty() => return Err(error),
            Ok(_) | Err(_) => {}
        }
        if content.starts_with(MARK) {
            source.begin = u64::try_from(MARK.len()).unwrap_or_default();
            content.drain(..MARK.len());
        }
        source.shape = match content.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => Shape::Array,
            Some(b'{') => Shape::Lines,
            Some(_) | None => Shape::Csv,
        };
        Ok(source)
    }

    /// Takes the file for this process alone, as long as this lives; `false` when another process imports it.
    pub(super) fn lock(&self) -> bool {
        // Not every file system has locks: there nobody is kept out.
        !matches!(self.file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
    }

    /// The unpacked bytes from a place on. What is before it in a packed file is unpacked and left out.
    pub(super) fn from(&self, place: u64) -> io::Result<Box<dyn BufRead + Send>> {
        let mut file = self.file.try_clone()?;
        let start = if self.gzipped { 0 } else { place };
        file.seek(SeekFrom::Start(start))?;
        self.read.store(start, Ordering::Relaxed);
        let counted = Counted { file, read: Arc::clone(&self.read) };
        if !self.gzipped {
            return Ok(Box::new(BufReader::with_capacity(CHUNK, counted)));
        }
        let packed = BufReader::with_capacity(CHUNK, counted);
        let mut unpacked = BufReader::with_capacity(CHUNK, MultiGzDecoder::new(packed));
        io::copy(&mut (&mut unpacked).take(place), &mut io::sink())?;
        Ok(Box::new(unpacked))
    }
}

/// A file that tells how much of it was read.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read.fetch_add(u64::try_from(n).unwrap_or_default(), Ordering::Relaxed);
        Ok(n)
    }
}
