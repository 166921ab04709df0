//! The awsQuery protocol: form fields in, XML out.

use http::StatusCode;

use super::Refusal;
use crate::store::random_id;

/// The fields of a request.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A field that must be there and not be empty.
    pub(super) fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            Refusal::sns(
                StatusCode::BAD_REQUEST,
                "InvalidParameter",
                &format!("Invalid parameter: {name} Reason: no value for required parameter"),
            )
        })
    }

    /// A map: `<name>.entry.N.key` and `.value`.
    pub(super) fn entries(&self, name: &str) -> Vec<(String, String)> {
        self.numbered(name, "key", "value")
    }

    /// Message attributes: `MessageAttributes.entry.N.Name` and `.Value.StringValue`.
    pub(super) fn message_attributes(&self) -> Vec<(String, String)> {
        self.numbered("MessageAttributes", "Name", "Value.StringValue")
    }

    fn numbered(&self, name: &str, key: &str, value: &str) -> Vec<(String, String)> {
        (1..)
            .map_while(|n| {
                let key = self.get(&format!("{name}.entry.{n}.{key}"))?;
                let value = self.get(&format!("{name}.entry.{n}.{value}"));
                Some((key.to_owned(), value.unwrap_or_default().to_owned()))
            })
            .collect()
    }
}

/// A successful answer around its result.
pub(super) fn reply(namespace: &str, action: &str, result: &str) -> String {
    format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
        random_id()
    )
}

/// An error answer.
pub(super) fn error_xml(namespace: &str, refusal: &Refusal) -> String {
    let side = if refusal.status.is_server_error() { "Receiver" } else { "Sender" };
    format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{side}</Type>{}{}</Error>{}</ErrorResponse>",
        element("Code", &refusal.code),
        element("Message", &refusal.message),
        element("RequestId", &random_id()),
    )
}

pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// A map as SNS writes it.
pub(super) fn entries_xml(name: &str, entries: &[(String, String)]) -> String {
    let entries: String = entries
        .iter()
        .map(|(key, value)| format!("<entry>{}{}</entry>", element("key", key), element("value", value)))
        .collect();
    format!("<{name}>{entries}</{name}>")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}
