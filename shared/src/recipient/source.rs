//! Named counters of a badge: how they may be called, and how far they count.

/// The largest count. Nobody reads more, and sums of 16 sources stay far from any limit.
pub const MOST_COUNT: u64 = 999_999;
/// The longest name of a source, in bytes.
const MOST_NAME: usize = 32;
/// Words of the badge object itself.
const RESERVED: [&str; 3] = ["clientId", "total", "rooms"];

/// Why a text is no source's name. Its text follows the field's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Empty, too long, or with other characters.
    #[error("is not 1 to 32 letters, digits, _ or -")]
    Name,
    /// A word that the badge object uses itself.
    #[error("is one of clientId, total, rooms, which are no sources")]
    Reserved,
}

/// Checks the name of a source.
///
/// # Errors
/// When it cannot be one.
pub fn check_source(name: &str) -> Result<(), SourceError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > MOST_NAME || !name.chars().all(allowed) {
        Err(SourceError::Name)
    } else if RESERVED.contains(&name) {
        Err(SourceError::Reserved)
    } else {
        Ok(())
    }
}
