//! Push tokens: a name of ours for one device of one client, to be notified by. Nothing is stored: the name says whose device it is, so
//! that the write or read which its delivery makes of the client anyway resolves it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::id::{AppId, ClientId, DeviceKey, digest};

/// Bytes of a device's key.
const KEY: usize = 6;
/// Bytes that tell a name of ours from any other text, and from another app's.
const CHECK: usize = 4;

/// One device of one client, registered or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PushToken {
    /// Whose.
    pub client: ClientId,
    /// Which of theirs. The same installation has the same push token as long as it is this client's, whatever its vendor token.
    pub device: DeviceKey,
}

impl PushToken {
    /// The name, in `app`: at most 355 characters of `A-Za-z0-9-_`. It is no secret and lets nobody do anything.
    #[must_use]
    pub fn name(&self, app: &AppId) -> String {
        let mut key = [0; KEY];
        // A device's key is always of this form; another one would have a name that leads to no device.
        if let Ok(bytes) = URL_SAFE_NO_PAD.decode(self.device.as_str())
            && bytes.len() == KEY
        {
            key.copy_from_slice(&bytes);
        }
        let client = self.client.as_str().as_bytes();
        URL_SAFE_NO_PAD.encode([&key[..], &check(app, &key, client), client].concat())
    }

    /// The device that `name` is for in `app`; `None` when it is no push token of this app.
    #[must_use]
    pub fn parse(app: &AppId, name: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(name).ok()?;
        let (key, rest) = bytes.split_at_checked(KEY)?;
        let (given, client) = rest.split_at_checked(CHECK)?;
        if given != check(app, key, client) {
            return None;
        }
        let client = ClientId::parse(std::str::from_utf8(client).ok()?).ok()?;
        Some(Self { client, device: DeviceKey::from_attribute(&URL_SAFE_NO_PAD.encode(key)) })
    }
}

fn check(app: &AppId, key: &[u8], client: &[u8]) -> [u8; CHECK] {
    digest(&[b"push token", app.as_str().as_bytes(), key, client])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn app(name: &str) -> AppId {
        AppId::parse(name).unwrap()
    }

    proptest! {
        #[test]
        fn a_push_token_leads_back_to_its_device(client in "[^\\p{Cc}]{1,60}", device in ".{1,9}") {
            let token = PushToken { client: ClientId::parse(client).unwrap(), device: DeviceKey::of("kind", &device) };
            let name = token.name(&app("demo"));
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert_eq!(PushToken::parse(&app("demo"), &name), Some(token));
            prop_assert_eq!(PushToken::parse(&app("other"), &name), None);
        }

        #[test]
        fn no_text_breaks_a_push_token(text in ".{0,40}", base in "[A-Za-z0-9_-]{0,60}") {
            prop_assert_eq!(PushToken::parse(&app("demo"), &text), None);
            prop_assert_eq!(PushToken::parse(&app("demo"), &base), None);
        }
    }
}
