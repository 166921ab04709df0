//! Where a request goes.

use http::Uri;
use http::uri::{Authority, Scheme};

/// A text that is not an address of an HTTP service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is not an absolute http or https URL")]
pub struct AddressError;

/// A URL, taken apart once, so that a request only counts references.
#[derive(Debug, Clone)]
pub struct Address {
    pub(super) uri: Uri,
    pub(super) authority: Authority,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
}

impl Address {
    /// The address of `url`: `https`, or `http` (HTTP/2 without an upgrade, for the local stack).
    ///
    /// # Errors
    /// When it is not an absolute URL of the two schemes.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let uri: Uri = url.parse().map_err(|_| AddressError)?;
        let authority = uri.authority().cloned().ok_or(AddressError)?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(AddressError),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(AddressError);
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { uri, authority, host, port, tls })
    }

    /// The host, without brackets, and the port.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Host and port as they stand in the address.
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Whether it is `https`.
    pub(crate) const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether both are on the same connections.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        self.tls == other.tls && self.authority == other.authority
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let google = Address::parse("https://fcm.googleapis.com/v1/projects/p/messages:send").unwrap();
        assert_eq!((google.host.as_str(), google.port, google.tls), ("fcm.googleapis.com", 443, true));
        let local = Address::parse("http://[::1]:9001/token").unwrap();
        assert_eq!((local.host.as_str(), local.port, local.tls), ("::1", 9001, false));
        for url in ["", "/token", "ftp://a/b", "https://", "fcm.googleapis.com"] {
            assert_eq!(Address::parse(url).unwrap_err(), AddressError, "{url}");
        }
    }
}
