//! What came back.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderMap, StatusCode, header};

use super::SendError;

/// The most bytes of an answer's body. Vendors' answers are under 2 KiB.
const MOST_BYTES: usize = 64 * 1024;
/// A vendor's delay is taken as at least so long, so that nobody is hammered at a word of 0, and at most so long.
const DELAY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60 * 60));

/// A vendor's answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// `Retry-After`, between 10 seconds and an hour.
    pub retry_after: Option<Duration>,
    /// The whole body.
    pub body: Bytes,
}

/// A vendor's `Retry-After`, within [`DELAY`].
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    delay(headers, now).map(|delay| delay.clamp(DELAY.0, DELAY.1))
}

/// `Retry-After` as seconds or as an HTTP date (RFC 9110, 10.2.3), however long. A date is counted from the answer's own `Date`; from
/// `now`, the worker's clock, only where there is none.
pub(crate) fn delay(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = headers.get(header::DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
            Some(httpdate::parse_http_date(text).ok()?.duration_since(date.unwrap_or(now)).unwrap_or_default())
        }
    }
}

/// Reads a body to its end.
pub(super) async fn read(mut stream: RecvStream) -> Result<Bytes, SendError> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk.map_err(SendError::in_answer)?;
        // What is read makes room for what follows; a connection that is gone will say so at the next chunk.
        let _ = stream.flow_control().release_capacity(chunk.len());
        if first.len().max(more.len()) + chunk.len() > MOST_BYTES {
            return Err(SendError::TooLong);
        }
        if first.is_empty() {
            first = chunk;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&chunk);
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_is_clamped() {
        let now = httpdate::parse_http_date("Thu, 01 Jan 2026 00:00:00 GMT").unwrap();
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now).map(|delay| delay.as_secs())
        };
        assert_eq!(read("60"), Some(60));
        assert_eq!(read("0"), Some(10));
        assert_eq!(read("86400"), Some(3600));
        assert_eq!(read("Thu, 01 Jan 2026 00:02:00 GMT"), Some(120));
        assert_eq!(read("Wed, 31 Dec 2025 00:02:00 GMT"), Some(10));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-5"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "Thu, 01 Jan 2026 01:02:00 GMT".parse().unwrap());
        headers.insert(header::DATE, "Thu, 01 Jan 2026 01:00:00 GMT".parse().unwrap());
        let of_theirs = retry_after(&headers, now).map(|delay| delay.as_secs());
        assert_eq!(of_theirs, Some(120), "by their clock, though this worker's is an hour behind");
    }
}
