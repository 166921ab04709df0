//! Tencent's callbacks: `Sign` is the SHA-256, in hexadecimal, of the app's token and `RequestTime`, one after the other.
//!
//! It signs no body: who has seen an address may use it for a minute. Source: <https://trtc.io/document/34354>.

use ring::digest::{Context, SHA256};
use subtle::ConstantTimeEq as _;

use crate::app::Secret;
use crate::time::Timestamp;

/// How far `RequestTime` may be from now, either way, in seconds. Source: <https://cloud.tencent.com/document/product/269/117703>.
const FRESH: u64 = 60;

/// Why a call's signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The app has a token, and the call no `Sign`.
    #[error("Sign is missing in the query")]
    NoSign,
    /// It has no `RequestTime`.
    #[error("RequestTime is missing in the query")]
    NoTime,
    /// That is no time in seconds.
    #[error("RequestTime must be a time in seconds")]
    NotATime,
    /// That is too far from now: an old call, or a clock that is wrong.
    #[error("RequestTime is more than a minute from now")]
    Stale,
    /// None of the app's tokens makes this `Sign`.
    #[error("Sign is not made with this app's token")]
    Sign,
}

/// Checks a call of an app that has `tokens`; without any there is nothing to check.
///
/// # Errors
/// When a parameter is missing, the time is too far from `now`, or none of the tokens that are valid makes the `Sign` that is `given`.
pub fn check(tokens: &[Secret], given: Option<&str>, time: Option<&str>, now: Timestamp) -> Result<(), SignError> {
    if tokens.is_empty() {
        return Ok(());
    }
    let given = given.ok_or(SignError::NoSign)?;
    let text = time.ok_or(SignError::NoTime)?;
    let time = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let time: u64 = time.and_then(|text| text.parse().ok()).ok_or(SignError::NotATime)?;
    if now.as_secs().abs_diff(time) > FRESH {
        return Err(SignError::Stale);
    }
    let given = given.to_ascii_lowercase();
    // Every token is compared, whichever matches.
    let matches = tokens
        .iter()
        .filter_map(|token| token.valid(now))
        .fold(false, |found, token| bool::from(sign(token, text).as_bytes().ct_eq(given.as_bytes())) | found);
    if matches { Ok(()) } else { Err(SignError::Sign) }
}

/// `Sign` of a call made at `time`, as `RequestTime` spells it.
#[must_use]
pub fn sign(token: &str, time: &str) -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(token.as_bytes());
    digest.update(time.as_bytes());
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Tencent's own vector, and one for the demo app's token.
    const VECTORS: [(&str, &str, &str); 2] = [
        ("xxxxyyyy", "1669872112", "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"),
        ("pb-demo-token-01", "1767225600", "258e7354b4a909ce4a1b83655af80fc3775b5c28640a2bb04815489025eb739b"),
    ];

    fn tokens(list: &str) -> Vec<Secret> {
        serde_json::from_str(list).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_sign_is_the_digest_of_token_and_time() {
        for (token, time, sign) in VECTORS {
            let own = tokens(&format!(r#"["{token}"]"#));
            let now = at(time.parse().unwrap());
            assert_eq!(super::sign(token, time), sign);
            assert_eq!(check(&own, Some(sign), Some(time), now), Ok(()));
            assert_eq!(check(&own, Some(&sign.to_uppercase()), Some(time), now), Ok(()));
            assert_eq!(check(&tokens(r#"["xxxyyy"]"#), Some(sign), Some(time), now), Err(SignError::Sign));
            let wrong =
                [sign[1..].to_owned(), format!("{sign}0"), sign.replacen(&sign[..1], "g", 1), format!("{sign}00")];
            for wrong in wrong {
                assert_eq!(check(&own, Some(&wrong), Some(time), now), Err(SignError::Sign), "{wrong}");
            }
        }
    }

    #[test]
    fn a_sign_is_good_for_a_minute_either_way() {
        let (token, time, sign) = VECTORS[0];
        let own = tokens(&format!(r#"["{token}"]"#));
        let at_the_time: u64 = time.parse().unwrap();
        let check = |now| check(&own, Some(sign), Some(time), at(now));
        assert_eq!((check(at_the_time - 60), check(at_the_time + 60)), (Ok(()), Ok(())));
        assert_eq!((check(at_the_time - 61), check(at_the_time + 61)), (Err(SignError::Stale), Err(SignError::Stale)));
    }

    #[test]
    fn nothing_of_it_may_be_missing_where_there_is_a_token() {
        let own = tokens(r#"["t"]"#);
        let now = at(1_767_225_600);
        assert_eq!(check(&own, None, Some("1767225600"), now), Err(SignError::NoSign));
        assert_eq!(check(&own, Some(""), Some("1767225600"), now), Err(SignError::Sign));
        assert_eq!(check(&own, Some("00"), None, now), Err(SignError::NoTime));
        for time in ["", "+1767225600", "1767225600.0", "99999999999999999999"] {
            assert_eq!(check(&own, Some("00"), Some(time), now), Err(SignError::NotATime), "{time}");
        }
        assert_eq!(check(&[], None, None, now), Ok(()));
    }

    #[test]
    fn tokens_are_rotated_and_an_ended_one_opens_nothing() {
        let (token, time, sign) = VECTORS[0];
        let now = at(time.parse().unwrap());
        let check = |own: &str| check(&tokens(own), Some(sign), Some(time), now);
        assert_eq!(check(&format!(r#"["new", "{token}"]"#)), Ok(()));
        assert_eq!(check(&format!(r#"["{token}", {{"value": "old", "until": 1}}]"#)), Ok(()));
        assert_eq!(check(&format!(r#"["new", {{"value": "{token}", "until": 1669872112000}}]"#)), Err(SignError::Sign));
        assert_eq!(check(&format!(r#"[{{"value": "{token}", "until": 1}}]"#)), Err(SignError::Sign));
    }

    #[test]
    fn an_empty_token_signs_nothing() {
        let sign = sign("", "1669872112");
        let checked = check(&tokens(r#"[""]"#), Some(&sign), Some("1669872112"), at(1_669_872_112));
        assert_eq!(checked, Err(SignError::Sign));
    }
}
