//! Device: one installation with one token.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::delivery::Channel;
use crate::id::{DeviceKey, Token};
use crate::time::Timestamp;

/// One installation with one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its key within the client.
    pub key: DeviceKey,
    /// The road to it.
    pub channel: Channel,
    /// The vendor's address of it.
    pub token: Token,
    /// The last segment of its SNS endpoint's ARN, once there is one.
    pub endpoint: Option<String>,
    /// For Apple's sandbox service.
    pub sandbox: bool,
    /// When its app last registered it. A vendor's "unregistered" about an earlier time does not delete it.
    pub registered_at: Timestamp,
    /// Kinvey's multiplatform framework, kept and given back.
    pub framework: Option<String>,
    /// BCP 47, where the app told it.
    pub locale: Option<String>,
}

// Attribute names inside the map, one character each: they are paid for in every write.
const CHANNEL: &str = "c";
const TOKEN: &str = "t";
const ENDPOINT: &str = "e";
const SANDBOX: &str = "s";
const REGISTERED_AT: &str = "a";
const FRAMEWORK: &str = "w";
const LOCALE: &str = "l";

impl Device {
    /// The attribute's value.
    #[must_use]
    pub fn to_attribute(&self) -> AttributeValue {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let mut map = HashMap::from([
            (CHANNEL.to_owned(), text(self.channel.letter())),
            (TOKEN.to_owned(), text(self.token.expose())),
            (REGISTERED_AT.to_owned(), AttributeValue::N(self.registered_at.as_millis().to_string())),
        ]);
        for (name, value) in [(ENDPOINT, &self.endpoint), (FRAMEWORK, &self.framework), (LOCALE, &self.locale)] {
            if let Some(value) = value {
                map.insert(name.to_owned(), text(value));
            }
        }
        if self.sandbox {
            map.insert(SANDBOX.to_owned(), AttributeValue::Bool(true));
        }
        AttributeValue::M(map)
    }

    /// The device that an attribute holds; `None` when it is not one of ours.
    #[must_use]
    pub fn from_attribute(key: DeviceKey, value: AttributeValue) -> Option<Self> {
        let AttributeValue::M(mut map) = value else { return None };
        let mut text = |name: &str| match map.remove(name) {
            Some(AttributeValue::S(text)) => Some(text),
            _ => None,
        };
        let channel = Channel::from_letter(&text(CHANNEL)?)?;
        let token = Token::parse(text(TOKEN)?).ok()?;
        let (endpoint, framework, locale) = (text(ENDPOINT), text(FRAMEWORK), text(LOCALE));
        let registered_at = match map.get(REGISTERED_AT) {
            Some(AttributeValue::N(number)) => Timestamp::from_millis(number.parse().ok()?),
            _ => return None,
        };
        let sandbox = matches!(map.get(SANDBOX), Some(AttributeValue::Bool(true)));
        Some(Self { key, channel, token, endpoint, sandbox, registered_at, framework, locale })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_device_survives_its_attribute() {
        let device = Device {
            key: DeviceKey::of("ios", "d1"),
            channel: Channel::Sns,
            token: Token::parse("ab12").unwrap(),
            endpoint: Some("5e3e9847-3183-3f18-a7e8-671c3a57d4b3".to_owned()),
            sandbox: true,
            registered_at: Timestamp::from_millis(1_767_225_600_123),
            framework: Some("nativescript".to_owned()),
            locale: None,
        };
        assert_eq!(Device::from_attribute(device.key.clone(), device.to_attribute()), Some(device));
    }

    #[test]
    fn what_is_not_a_device_is_none() {
        assert_eq!(Device::from_attribute(DeviceKey::of("a", "b"), AttributeValue::Bool(true)), None);
    }
}
