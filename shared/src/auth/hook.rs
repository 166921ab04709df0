//! Hooks: chat servers that can send no credential but the URL they were given.

use std::net::IpAddr;

use crate::app::{Callers, any_matches};
use crate::time::Timestamp;

/// Why a hook is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// Not one of the app's secrets, or one that has ended.
    #[error("the secret in the path is not one of this app's")]
    Secret,
    /// The app takes hooks from some addresses only, and this is none of them.
    #[error("the app takes no hooks from this address")]
    Source,
}

/// Checks the path's secret and the address that the call came from.
///
/// # Errors
/// When the secret is wrong or has ended, or the address is not in the app's list.
pub fn check(callers: &Callers, secret: &str, source: Option<IpAddr>, now: Timestamp) -> Result<(), HookError> {
    if !any_matches(&callers.hook_secrets, secret, now) {
        return Err(HookError::Secret);
    }
    if callers.hook_sources.is_empty() {
        return Ok(());
    }
    let inside = source.is_some_and(|source| callers.hook_sources.iter().any(|network| contains(network, source)));
    if inside { Ok(()) } else { Err(HookError::Source) }
}

/// Whether `network` (`203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`) contains `address`. A network that cannot be read contains
/// nothing: a mistake in the settings closes the door.
fn contains(network: &str, address: IpAddr) -> bool {
    let (base, length) = match network.split_once('/') {
        Some((base, length)) => match length.parse::<u32>() {
            Ok(length) => (base, Some(length)),
            Err(_) => return false,
        },
        None => (network, None),
    };
    match (base.trim().parse::<IpAddr>(), address.to_canonical()) {
        (Ok(IpAddr::V4(base)), IpAddr::V4(address)) => {
            same_bits(u32::from(base).into(), u32::from(address).into(), 32, length.unwrap_or(32))
        }
        (Ok(IpAddr::V6(base)), IpAddr::V6(address)) => {
            same_bits(u128::from(base), u128::from(address), 128, length.unwrap_or(128))
        }
        (Ok(IpAddr::V4(_)), IpAddr::V6(_)) | (Ok(IpAddr::V6(_)), IpAddr::V4(_)) | (Err(_), _) => false,
    }
}

fn same_bits(base: u128, address: u128, width: u32, length: u32) -> bool {
    length <= width && (base ^ address).checked_shr(width - length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn callers(sources: &str) -> Callers {
        serde_json::from_str(&format!(r#"{{"hook_secrets": ["right"], "hook_sources": {sources}}}"#)).unwrap()
    }

    #[test]
    fn only_the_app_s_secret_opens_a_hook() {
        assert_eq!(check(&callers("[]"), "right", None, NOW), Ok(()));
        assert_eq!(check(&callers("[]"), "righ", None, NOW), Err(HookError::Secret));
        assert_eq!(check(&Callers::default(), "", None, NOW), Err(HookError::Secret));
    }

    #[test]
    fn a_source_list_closes_a_hook_to_others() {
        let callers = callers(r#"["203.0.113.0/24", "198.51.100.7", "2001:db8::/32", "10.0.0.0/33", "nonsense/8"]"#);
        let from = |address: &str| check(&callers, "right", Some(address.parse().unwrap()), NOW);
        assert_eq!(from("203.0.113.255"), Ok(()));
        assert_eq!(from("198.51.100.7"), Ok(()));
        assert_eq!(from("2001:db8:1::1"), Ok(()));
        assert_eq!(from("::ffff:203.0.113.9"), Ok(()));
        assert_eq!(from("203.0.114.0"), Err(HookError::Source));
        assert_eq!(from("10.0.0.1"), Err(HookError::Source));
        assert_eq!(from("2001:db9::1"), Err(HookError::Source));
        assert_eq!(check(&callers, "right", None, NOW), Err(HookError::Source));
    }
}
