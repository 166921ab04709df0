//! SQS's limits and digests.
//! Source: the API reference of SendMessage and SendMessageBatch, and the developer guide's page on quotas.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::queue::{Attribute, Attributes};

/// The longest message, and the longest batch: 1 MiB with attributes.
pub(crate) const MAX_BYTES: usize = 1_048_576;
/// The most entries of a batch, and the most messages of a receive.
pub(super) const MAX_BATCH: usize = 10;
/// The longest delay of a message, in seconds.
pub(super) const MAX_DELAY: i64 = 900;
/// The longest long poll, in seconds.
pub(super) const MAX_WAIT: i64 = 20;
/// The longest visibility timeout, in seconds.
pub(super) const MAX_VISIBILITY: i64 = 43_200;
/// The most attributes of a message.
const MAX_ATTRIBUTES: usize = 10;

/// What counts towards the size limits: the body, and of each attribute its name, type and value.
pub(super) fn size(body: &str, attributes: &Attributes) -> usize {
    let attributes: usize = attributes
        .iter()
        .map(|(name, attribute)| name.len() + attribute.data_type.len() + value(attribute).1.len())
        .sum();
    body.len() + attributes
}

/// The first character that SQS does not take: it takes `#x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF`.
pub(super) fn invalid_character(body: &str) -> Option<char> {
    body.chars().find(|character| {
        !matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    })
}

/// Why these attributes are not taken.
pub(super) fn bad_attributes(attributes: &Attributes) -> Option<String> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Some(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
            attributes.len()
        ));
    }
    attributes.iter().find_map(|(name, attribute)| {
        let kind = attribute.data_type.split('.').next().unwrap_or_default();
        let has_value = match kind {
            "String" | "Number" => attribute.string.as_deref().is_some_and(|v| !v.is_empty()),
            "Binary" => attribute
                .binary
                .as_deref()
                .is_some_and(|v| STANDARD.decode(v).is_ok_and(|v| !v.is_empty())),
            _ => {
                return Some(format!(
                    "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
                ));
            }
        };
        (!has_value).then(|| {
            format!("The message attribute '{name}' must contain a non-empty message attribute value of its type.")
        })
    })
}

/// `MD5OfMessageBody`.
pub(super) fn md5_of_body(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// `MD5OfMessageAttributes`: over each attribute in the order of its name, as length (4 bytes, big endian) and
/// bytes of name and type, one byte for the kind of value, length and bytes of the value.
/// Source: the developer guide, "Calculating the MD5 message digest for message attributes".
pub(super) fn md5_of_attributes(attributes: &Attributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    let mut part = |kind: Option<u8>, text: &[u8]| {
        bytes.extend(kind);
        bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(text);
    };
    for (name, attribute) in attributes {
        part(None, name.as_bytes());
        part(None, attribute.data_type.as_bytes());
        let (kind, value) = value(attribute);
        part(Some(kind), &value);
    }
    Some(format!("{:x}", md5::compute(bytes)))
}

/// The kind byte (1 text, 2 binary) and the bytes of a value.
fn value(attribute: &Attribute) -> (u8, Vec<u8>) {
    match &attribute.binary {
        Some(binary) => (2, STANDARD.decode(binary).unwrap_or_default()),
        None => (1, attribute.string.as_deref().unwrap_or_default().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_non_characters_are_refused_and_tabs_are_not() {
        assert_eq!(invalid_character("a\tb\r\nc \u{1f600}"), None);
        assert_eq!(invalid_character("a\u{0}"), Some('\u{0}'));
        assert_eq!(invalid_character("a\u{ffff}b"), Some('\u{ffff}'));
    }

    #[test]
    fn the_size_of_a_message_has_its_attributes_in_it() {
        let text = Attribute { data_type: "String".to_owned(), string: Some("value".to_owned()), binary: None };
        let attributes = Attributes::from([("name".to_owned(), text)]);
        assert_eq!(size("body", &attributes), 4 + 4 + 6 + 5);
    }
}
