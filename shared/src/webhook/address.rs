//! Where an app wants something posted.

use http::Uri;
use http::uri::Scheme;

/// The most bytes of a URL.
const LONGEST: usize = 2048;

/// An app's URL, taken apart once.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) uri: Uri,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) allow_private: bool,
}

impl Address {
    /// The address of `url`. `allow_private` lets it lie in a private network, or on this machine, and be `http`.
    ///
    /// # Errors
    /// Which rule it breaks: it is absolute, `https`, without a user's name, and has at most 2048 bytes. What its host's addresses are is
    /// asked when something is posted.
    pub fn parse(url: &str, allow_private: bool) -> Result<Self, &'static str> {
        if url.len() > LONGEST {
            return Err("url has at most 2048 bytes");
        }
        let uri: Uri = url.parse().map_err(|_| "url is an absolute https address")?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP && allow_private => false,
            Some(scheme) if *scheme == Scheme::HTTP => return Err("url is an https address, unless allow_private"),
            _ => return Err("url is an absolute https address"),
        };
        let authority = uri.authority().ok_or("url is an absolute https address")?;
        if authority.as_str().contains('@') {
            return Err("url holds no user name and no password");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("url names a host");
        }
        // What stands behind the host is a port, or the parser's oversight.
        let port = match (authority.port(), authority.as_str().len() > authority.host().len()) {
            (Some(port), _) => port.as_u16(),
            (None, true) => return Err("url's port is a number"),
            (None, false) => {
                if tls {
                    443
                } else {
                    80
                }
            }
        };
        Ok(Self { uri, host, port, tls, allow_private })
    }
}

/// The query may hold what only the receiver is to know.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_is_https_and_names_no_user() {
        let address = Address::parse("https://api.example.com/hooks?k=s3cret", false).unwrap();
        assert_eq!((address.host.as_str(), address.port, address.tls), ("api.example.com", 443, true));
        assert_eq!(Address::parse("https://[2001:db8::1]:8443/", false).unwrap().host, "2001:db8::1");
        assert!(!format!("{address:?}").contains("s3cret"));
        for (url, rule) in [
            ("http://api.example.com/", "unless allow_private"),
            ("ftp://api.example.com/", "absolute https"),
            ("api.example.com", "absolute https"),
            ("/hooks", "absolute https"),
            ("", "absolute https"),
            ("https://", "https"),
            ("https://user:word@api.example.com/", "user name"),
            ("https://user@api.example.com/", "user name"),
            ("https://api.example.com:/", "port"),
            ("https://api.example.com:99999/", "port"),
            ("https://api.exa mple.com/", "absolute https"),
        ] {
            let told = Address::parse(url, false).unwrap_err();
            assert!(told.contains(rule), "{url}: {told}");
        }
        assert!(Address::parse(&format!("https://a/{}", "x".repeat(2048)), false).is_err());
    }

    #[test]
    fn a_private_address_may_be_http() {
        let address = Address::parse("http://127.0.0.1:8080/", true).unwrap();
        assert_eq!((address.host.as_str(), address.port, address.tls), ("127.0.0.1", 8080, false));
        assert!(Address::parse("http://user@127.0.0.1/", true).is_err());
    }
}
