//! How the registry spells a token's row, and what it reads of a client's item.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::labels::Labels;
use super::{Registry, RegistryError};
pub(super) use crate::aws::{number, text};
use crate::delivery::Channel;
use crate::id::{AppId, ClientId, DeviceKey, Token, digest};
use crate::recipient::{Device, Recipient, names};

pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";
/// The sort key of a row that stands alone.
pub(super) const ALONE: &str = "-";
/// In a token row and an alias row: whose it is.
pub(super) const CLIENT: &str = "c";
/// In a token row: the device's key.
pub(super) const DEVICE: &str = "d";
/// In a token row and a member's: since when, in milliseconds.
pub(super) const SINCE: &str = "at";

/// In a client's item: six random bytes that change with every change of its devices or labels. A condition on it stands for all
/// that was read of them; without it two registrations at once could leave 21, and a device could go without its row of a tag that is just
/// being put on. Random and not counted: an item that was erased and began anew
/// must not look like the one before.
pub(super) const GENERATION: &str = "dv";

// Inside a device's map, as `Device::to_attribute` writes it. A test holds the two together.
pub(super) const DEVICE_TOKEN: &str = "t";
pub(super) const DEVICE_ENDPOINT: &str = "e";

pub(super) fn new_generation() -> AttributeValue {
    let random = fastrand::u64(..).to_be_bytes();
    AttributeValue::B(Blob::new(&random[..6]))
}

/// The key of a token's row. Apple's two channels share a family: the token is the same token on both. SNS gives Apple's tokens back
/// in lower case, so their case does not tell them apart.
pub(super) fn token_row(app: &AppId, channel: Channel, token: &Token) -> String {
    let hash: [u8; 16] = if channel.is_apple() {
        digest(&[b"apple", token.expose().to_ascii_lowercase().as_bytes()])
    } else {
        digest(&[channel.as_str().as_bytes(), token.expose().as_bytes()])
    };
    format!("{app}#t#{}", URL_SAFE_NO_PAD.encode(hash))
}

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) client: ClientId,
    pub(super) device: DeviceKey,
}

impl Owner {
    fn from_row(row: &HashMap<String, AttributeValue>) -> Option<Self> {
        match (row.get(CLIENT), row.get(DEVICE)) {
            (Some(AttributeValue::S(client)), Some(AttributeValue::S(device))) => {
                let client = ClientId::parse(client.clone()).ok()?;
                Some(Self { client, device: DeviceKey::from_attribute(device) })
            }
            _ => None,
        }
    }

    pub(super) fn is(&self, client: &ClientId, device: &DeviceKey) -> bool {
        self.client == *client && self.device == *device
    }
}

/// What a client's item says of its devices, and of the audiences that they are members of.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) devices: Vec<Device>,
    pub(super) labels: Labels,
    pub(super) generation: Option<AttributeValue>,
}

impl Seen {
    pub(super) fn device(&self, key: &DeviceKey) -> Option<&Device> {
        self.devices.iter().find(|device| device.key == *key)
    }
}

impl Registry {
    pub(super) async fn owner(&self, row: &str) -> Result<Option<Owner>, RegistryError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.registry)
            .key(PK, text(row))
            .key(SK, text(ALONE))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item.as_ref().and_then(Owner::from_row))
    }

    pub(super) async fn seen(&self, app: &AppId, client: &ClientId) -> Result<Seen, RegistryError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.recipients)
            .key(names::PK, text(names::client(app, client)))
            .consistent_read(true)
            .send()
            .await?;
        let Some(mut item) = answer.item else { return Ok(Seen::default()) };
        let generation = item.remove(GENERATION);
        let labels = Labels::take_from(&mut item);
        Ok(Seen { devices: Recipient::from_item(item).devices, labels, generation })
    }

    /// Of `devices`, the keys of the token rows that say that they are this client's. A row that says otherwise is somebody else's and
    /// stays.
    pub(super) async fn own_rows(
        &self,
        app: &AppId,
        client: &ClientId,
        devices: &[Device],
    ) -> Result<Vec<(String, DeviceKey)>, RegistryError> {
        let asked = devices.iter().map(|device| async {
            let row = token_row(app, device.channel, &device.token);
            let owner = self.owner(&row).await?;
            Ok::<_, RegistryError>(owner.filter(|owner| owner.is(client, &device.key)).map(|owner| (row, owner.device)))
        });
        let rows = futures_util::future::try_join_all(asked).await?;
        Ok(rows.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn the_names_inside_a_device_are_those_that_it_is_written_with() {
        let device = Device {
            key: DeviceKey::of("ios", "d1"),
            channel: Channel::Sns,
            token: Token::parse("ab12").unwrap(),
            endpoint: Some("e-1".to_owned()),
            sandbox: false,
            registered_at: Timestamp::from_millis(7),
            framework: None,
            locale: None,
        };
        let AttributeValue::M(map) = device.to_attribute() else { unreachable!("a device is a map") };
        assert_eq!(map.get(DEVICE_TOKEN), Some(&text("ab12")));
        assert_eq!(map.get(DEVICE_ENDPOINT), Some(&text("e-1")));
    }

    #[test]
    fn a_token_s_row_depends_on_app_family_and_token_and_not_on_the_case_of_apple_s() {
        let (demo, other) = (AppId::parse("demo").unwrap(), AppId::parse("other").unwrap());
        let (upper, lower) = (Token::parse("AB12").unwrap(), Token::parse("ab12").unwrap());
        let row = token_row(&demo, Channel::Sns, &upper);
        assert_eq!(row.len(), "demo#t#".len() + 22);
        assert_eq!(row, token_row(&demo, Channel::Apns, &lower));
        assert_ne!(row, token_row(&other, Channel::Sns, &upper));
        assert_ne!(row, token_row(&demo, Channel::Fcm, &upper));
        assert_ne!(token_row(&demo, Channel::Fcm, &upper), token_row(&demo, Channel::Fcm, &lower));
        assert_ne!(token_row(&demo, Channel::Fcm, &upper), token_row(&demo, Channel::Huawei, &upper));
    }
}
