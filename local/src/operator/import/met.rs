//! Whom an import has met already.

use std::collections::{HashMap, HashSet};

use pushbell::id::ClientId;
use pushbell::recipient::Device;
use pushbell::registry::{Adopted, Kept};

use super::turns;

/// 2^23 bits are 1 MiB: of a million clients one in twenty is taken for met who was not.
const BITS: u64 = 1 << 23;

/// Clients of whom a row was written, in memory that does not grow. Some who were not met seem to have been; never the other way round.
pub(super) struct Met(Vec<u64>);

impl Default for Met {
    fn default() -> Self {
        Self(vec![0; usize::try_from(BITS / 64).unwrap_or_default()])
    }
}

impl Met {
    /// Whether the client was not met before. From now on it is.
    pub(super) fn is_new(&mut self, client: &ClientId) -> bool {
        let hash = turns::of_client(client);
        let mut new = false;
        for bit in [hash % BITS, (hash >> 32) % BITS] {
            let (word, mask) = (usize::try_from(bit / 64).unwrap_or_default(), 1 << (bit % 64));
            if let Some(word) = self.0.get_mut(word) {
                new |= *word & mask == 0;
                *word |= mask;
            }
        }
        new
    }
}

/// What a dry run would have written. It grows with the file: some 50 bytes a device.
#[derive(Default)]
pub(super) struct Planned {
    /// Whose device has a token.
    tokens: HashMap<u64, u64>,
    devices: HashSet<u64>,
    clients: HashMap<u64, u8>,
}

impl Planned {
    pub(super) fn devices_of(&self, client: &ClientId) -> usize {
        self.clients.get(&turns::of_client(client)).copied().unwrap_or_default().into()
    }

    /// What would become of a device, given what the tables say of it.
    pub(super) fn judge(&mut self, client: &ClientId, device: &Device, adopted: Adopted) -> Adopted {
        if adopted == Adopted::Kept(Kept::OtherOwner) {
            return adopted;
        }
        let name = turns::hash(b'd', &format!("{}\u{1}{client}", device.key.as_str()));
        let token = if device.channel.is_apple() {
            turns::hash(b'a', &device.token.expose().to_ascii_lowercase())
        } else {
            turns::hash(b'f', device.token.expose())
        };
        match (self.tokens.get(&token), self.devices.contains(&name)) {
            (Some(owner), _) if *owner == name => return Adopted::Kept(Kept::SameDevice),
            (Some(_), _) => return Adopted::Kept(Kept::OtherOwner),
            (None, true) => return Adopted::Kept(Kept::OtherToken),
            (None, false) => {}
        }
        if matches!(adopted, Adopted::Now { .. }) {
            self.tokens.insert(token, name);
            self.devices.insert(name);
            *self.clients.entry(turns::of_client(client)).or_default() += 1;
        }
        adopted
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use pushbell::delivery::Channel;
    use pushbell::id::{DeviceKey, Token};
    use pushbell::time::Timestamp;

    fn client(name: &str) -> ClientId {
        ClientId::parse(name).unwrap()
    }

    fn device(id: &str, token: &str, channel: Channel) -> Device {
        Device {
            key: DeviceKey::of("kind", id),
            channel,
            token: Token::parse(token).unwrap(),
            endpoint: None,
            sandbox: false,
            registered_at: Timestamp::from_millis(1),
            framework: None,
            locale: None,
        }
    }

    #[test]
    fn who_was_met_is_never_new_again() {
        let mut met = Met::default();
        let new = (0..1_000).filter(|n| met.is_new(&client(&format!("u{n}")))).count();
        assert!(new > 990, "{new} of 1,000 were new");
        assert!((0..1_000).all(|n| !met.is_new(&client(&format!("u{n}")))));
    }

    #[test]
    fn a_dry_run_judges_as_if_what_came_before_had_been_written() {
        let mut planned = Planned::default();
        let new = Adopted::Now { unseen: true };
        let mut judge = |name: &str, device: Device, adopted| planned.judge(&client(name), &device, adopted);
        assert_eq!(judge("u1", device("d1", "aa", Channel::Sns), new), new);
        assert_eq!(judge("u1", device("d1", "AA", Channel::Sns), new), Adopted::Kept(Kept::SameDevice));
        assert_eq!(judge("u2", device("d1", "aa", Channel::Sns), new), Adopted::Kept(Kept::OtherOwner));
        assert_eq!(judge("u1", device("d1", "bb", Channel::Sns), new), Adopted::Kept(Kept::OtherToken));
        let taken = Adopted::Kept(Kept::OtherOwner);
        assert_eq!(judge("u1", device("d1", "cc", Channel::Sns), taken), taken);
        assert_eq!(judge("u1", device("d2", "aa", Channel::Fcm), new), new, "another vendor's token");
        assert_eq!(judge("u1", device("d3", "AA", Channel::Fcm), new), new, "FCM's have a case");
        let full = Adopted::Kept(Kept::Full);
        assert_eq!(judge("u1", device("d4", "dd", Channel::Fcm), full), full);
        assert_eq!(judge("u3", device("d1", "dd", Channel::Fcm), new), new, "what is kept out takes nothing");
        assert_eq!((planned.devices_of(&client("u1")), planned.devices_of(&client("u3"))), (3, 1));
    }
}
