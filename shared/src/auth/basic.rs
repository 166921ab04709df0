//! HTTP Basic credentials.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// A name and what proves it. The proof does not show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Basic {
    /// The part before the first colon.
    pub name: String,
    /// Everything behind it. Never to be logged.
    pub secret: String,
}

impl Basic {
    /// Reads the value of an `Authorization` header behind its scheme: base64 of `name:secret` in UTF-8 (RFC 7617). `None` when it is
    /// anything else.
    #[must_use]
    pub fn parse(credentials: &str) -> Option<Self> {
        let text = credentials.trim();
        let bytes = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (name, secret) = text.split_once(':')?;
        Some(Self { name: name.to_owned(), secret: secret.to_owned() })
    }
}

impl std::fmt::Debug for Basic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Basic(redacted)")
    }
}

/// An `Authorization` header's scheme and what follows it. A scheme's case does not matter (RFC 9110, 11.1).
#[must_use]
pub fn scheme(header: &str) -> Option<(String, &str)> {
    let (scheme, rest) = header.trim().split_once(' ')?;
    Some((scheme.to_ascii_lowercase(), rest.trim()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_colon_parts_name_and_secret() {
        let basic = Basic::parse(&STANDARD.encode("demo:a:b:")).unwrap();
        assert_eq!((basic.name.as_str(), basic.secret.as_str()), ("demo", "a:b:"));
        let unpadded = STANDARD_NO_PAD.encode("demo:x");
        assert_eq!(Basic::parse(&unpadded).unwrap().secret, "x");
        assert_eq!(Basic::parse(&STANDARD.encode(":")).unwrap().name, "");
    }

    #[test]
    fn what_is_not_basic_is_none() {
        assert_eq!(Basic::parse("not base64"), None);
        assert_eq!(Basic::parse(&STANDARD.encode("no colon")), None);
        assert_eq!(Basic::parse(&STANDARD.encode([0xff, b':', 0xfe])), None);
        assert_eq!(Basic::parse(""), None);
    }

    #[test]
    fn a_scheme_is_read_in_any_case() {
        assert_eq!(scheme("BASIC  abc "), Some(("basic".to_owned(), "abc")));
        assert_eq!(scheme("Kinvey a b"), Some(("kinvey".to_owned(), "a b")));
        assert_eq!(scheme("Basic"), None);
    }

    #[test]
    fn credentials_do_not_show_in_debug() {
        let basic = Basic { name: "demo".to_owned(), secret: "s3cret".to_owned() };
        assert_eq!(format!("{basic:?}"), "Basic(redacted)");
    }
}
