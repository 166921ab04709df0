//! IMKIT's device subscriptions: the bodies of `/me/subscribe` and `/me/unsubscribe`.

use lambda_http::http::StatusCode;
use serde_json::{Map, Value};

use super::envelope::Failure;
use crate::app::ApnsEnvironment;
use crate::call::BodyError;
use crate::delivery::Channel;
use crate::id::{DeviceKey, IdError, Token};
use crate::recipient::Device;
use crate::time::Timestamp;

/// The longest `deviceId`.
pub const MOST_DEVICE_ID: usize = 256;
/// The longest `locale`: BCP 47 tags are far shorter.
const MOST_LOCALE: usize = 35;

/// IMKIT's token types that we deliver to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// APNs, through Amazon SNS.
    Ios,
    /// FCM, by its older name.
    Android,
    /// FCM.
    Fcm,
}

impl TokenType {
    /// The type that is spelt so.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ios, Self::Android, Self::Fcm].into_iter().find(|kind| kind.as_str() == word)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        if let Some(kind) = Self::from_word(text) {
            return Ok(kind);
        }
        match text {
            "ios-voip" | "web" => Err(Failure::new(
                StatusCode::BAD_REQUEST,
                "UNSUPPORTED_TYPE",
                "type is \"ios-voip\" or \"web\", which this service does not deliver to: use ios, android or fcm",
            )),
            _ => Err(invalid("type is none of ios, android, fcm")),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::Android => "android",
            Self::Fcm => "fcm",
        }
    }

    /// The road to its devices.
    #[must_use]
    pub const fn channel(self) -> Channel {
        match self {
            Self::Ios => Channel::Sns,
            Self::Android | Self::Fcm => Channel::Fcm,
        }
    }
}

/// A device to subscribe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// `clientId`, as it was given.
    pub client: Option<String>,
    kind: TokenType,
    device: Option<String>,
    token: Token,
    environment: Option<ApnsEnvironment>,
    locale: Option<String>,
}

/// A device to unsubscribe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// `clientId`, as it was given.
    pub client: Option<String>,
    kind: TokenType,
    named: Named,
}

/// How a device is named: by its id; by its token where its app gives it no id, as older ones do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Device(String),
    Token(Token),
}

impl Subscribe {
    /// Reads the body of `/me/subscribe`. Unknown fields are left alone.
    ///
    /// # Errors
    /// When a field is missing or not usable; the failure names it.
    pub fn parse(body: Result<&[u8], BodyError>) -> Result<Self, Failure> {
        let fields = object(body)?;
        let kind = TokenType::parse(text(&fields, "type")?.ok_or_else(|| missing("type"))?)?;
        let token = token(&fields)?.ok_or_else(|| missing("token"))?;
        let environment = match text(&fields, "environment")? {
            None => None,
            Some("production") => Some(ApnsEnvironment::Production),
            Some("sandbox") => Some(ApnsEnvironment::Sandbox),
            Some(_) => return Err(invalid("environment is neither \"production\" nor \"sandbox\"")),
        };
        let locale = text(&fields, "locale")?.map(str::to_owned);
        let is_tag = |tag: &String| {
            tag.len() <= MOST_LOCALE && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        };
        if !locale.as_ref().is_none_or(is_tag) {
            return Err(invalid("locale is not a language tag"));
        }
        let client = text(&fields, "clientId")?.map(str::to_owned);
        Ok(Self { client, kind, device: device_id(&fields)?, token, environment, locale })
    }

    /// A subscription that another system knew: its type, `deviceId` if it has one, and token.
    #[must_use]
    pub const fn known(kind: TokenType, device: Option<String>, token: Token) -> Self {
        Self { client: None, kind, device, token, environment: None, locale: None }
    }

    /// The device to register. `default` is the app's Apple environment.
    #[must_use]
    pub fn device(&self, default: ApnsEnvironment, now: Timestamp) -> Device {
        let named = self.device.clone().map_or_else(|| Named::Token(self.token.clone()), Named::Device);
        Device {
            key: key(self.kind, &named),
            channel: self.kind.channel(),
            token: self.token.clone(),
            endpoint: None,
            sandbox: self.kind == TokenType::Ios && self.environment.unwrap_or(default) == ApnsEnvironment::Sandbox,
            registered_at: now,
            framework: None,
            locale: self.locale.clone(),
        }
    }
}

impl Unsubscribe {
    /// Reads the body of `/me/unsubscribe`. Unknown fields are left alone.
    ///
    /// # Errors
    /// When a field is missing or not usable; the failure names it.
    pub fn parse(body: Result<&[u8], BodyError>) -> Result<Self, Failure> {
        let fields = object(body)?;
        let kind = TokenType::parse(text(&fields, "type")?.ok_or_else(|| missing("type"))?)?;
        let named = match device_id(&fields)? {
            Some(device) => Named::Device(device),
            None => Named::Token(token(&fields)?.ok_or_else(|| missing("deviceId"))?),
        };
        let client = text(&fields, "clientId")?.map(str::to_owned);
        Ok(Self { client, kind, named })
    }

    /// The device's key.
    #[must_use]
    pub fn key(&self) -> DeviceKey {
        key(self.kind, &self.named)
    }
}

/// The `clientId` of a body that may be left out altogether.
///
/// # Errors
/// When there is a body and it is not a JSON object, or its `clientId` is not a string.
pub fn client_of(body: Result<&[u8], BodyError>) -> Result<Option<String>, Failure> {
    if body == Err(BodyError::Empty) {
        return Ok(None);
    }
    let fields = object(body)?;
    Ok(text(&fields, "clientId")?.map(str::to_owned))
}

/// IMKIT's identity of a subscription: its type and its device.
fn key(kind: TokenType, named: &Named) -> DeviceKey {
    match named {
        Named::Device(device) => DeviceKey::of(kind.as_str(), device),
        Named::Token(token) => DeviceKey::of(kind.as_str(), token.expose()),
    }
}

fn device_id(fields: &Map<String, Value>) -> Result<Option<String>, Failure> {
    let Some(id) = text(fields, "deviceId")? else { return Ok(None) };
    if id.len() > MOST_DEVICE_ID {
        return Err(invalid(format!("deviceId {}", IdError::TooLong(MOST_DEVICE_ID))));
    }
    Ok(Some(id.to_owned()))
}

fn token(fields: &Map<String, Value>) -> Result<Option<Token>, Failure> {
    let Some(token) = text(fields, "token")? else { return Ok(None) };
    Token::parse(token).map(Some).map_err(|rule| invalid(format!("token {rule}")))
}

pub(super) fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", message)
}

pub(super) fn missing(field: &str) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "MISSING_PARAMETER", format!("{field} is missing"))
}

/// The body's JSON. The failure tells the place and never quotes.
pub(super) fn json(body: Result<&[u8], BodyError>) -> Result<Value, Failure> {
    let body = body.map_err(|error| match error {
        BodyError::Empty => Failure::new(StatusCode::BAD_REQUEST, "MISSING_BODY", error.to_string()),
        BodyError::TooLarge => Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", error.to_string()),
    })?;
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("the body is not JSON at line {}, column {}", error.line(), error.column());
        Failure::new(StatusCode::BAD_REQUEST, "INVALID_JSON", place)
    })
}

pub(super) fn object(body: Result<&[u8], BodyError>) -> Result<Map<String, Value>, Failure> {
    match json(body)? {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(invalid("the body is not a JSON object"))
        }
    }
}

/// A field's text. `null` and the empty text are as good as no field.
pub(super) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Failure> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(invalid(format!("{name} is not a string")))
        }
    }
}

/// A whole number of 0 or more; `2.0` is how some JSON writers spell 2.
pub(super) fn whole(value: &Value) -> Option<u64> {
    let of_float =
        || value.as_f64().filter(|float| float.fract() == 0.0).and_then(|float| format!("{float:.0}").parse().ok());
    value.as_u64().or_else(of_float)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn subscribe(body: &str) -> Result<Subscribe, &'static str> {
        Subscribe::parse(Ok(body.as_bytes())).map_err(|failure| failure.code())
    }

    fn device(body: &str) -> Device {
        subscribe(body).unwrap().device(ApnsEnvironment::Production, NOW)
    }

    #[test]
    fn type_and_device_id_are_the_identity_and_the_token_is_not() {
        let first = device(r#"{"type": "fcm", "token": "t1", "deviceId": "d"}"#);
        let again = device(r#"{"type": "fcm", "token": "t2", "deviceId": "d", "clientId": null}"#);
        assert_eq!(first.key, again.key);
        assert_ne!(first.key, device(r#"{"type": "android", "token": "t1", "deviceId": "d"}"#).key);
        let gone = Unsubscribe::parse(Ok(br#"{"type": "fcm", "deviceId": "d"}"#)).unwrap();
        assert_eq!(gone.key(), first.key);
    }

    #[test]
    fn without_a_device_id_the_token_stands_for_it() {
        let first = device(r#"{"type": "ios", "token": "ab12"}"#);
        let gone = Unsubscribe::parse(Ok(br#"{"type": "ios", "token": "ab12", "deviceId": ""}"#)).unwrap();
        assert_eq!(gone.key(), first.key);
        let unnamed = Unsubscribe::parse(Ok(br#"{"type": "ios"}"#)).unwrap_err();
        assert_eq!((unnamed.code(), unnamed.to_string().as_str()), ("MISSING_PARAMETER", "deviceId is missing"));
    }

    #[test]
    fn android_and_fcm_are_one_channel_and_ios_is_apple_s() {
        assert_eq!(device(r#"{"type": "android", "token": "t"}"#).channel, Channel::Fcm);
        assert_eq!(device(r#"{"type": "fcm", "token": "t"}"#).channel, Channel::Fcm);
        assert_eq!(device(r#"{"type": "ios", "token": "t"}"#).channel, Channel::Sns);
    }

    #[test]
    fn a_development_build_is_known_by_its_own_word_or_by_the_app_s_setting() {
        let sandbox = |body: &str, default| subscribe(body).unwrap().device(default, NOW).sandbox;
        let plain = r#"{"type": "ios", "token": "t"}"#;
        assert!(!sandbox(plain, ApnsEnvironment::Production));
        assert!(sandbox(plain, ApnsEnvironment::Sandbox));
        let own = r#"{"type": "ios", "token": "t", "environment": "sandbox"}"#;
        assert!(sandbox(own, ApnsEnvironment::Production));
        let store = r#"{"type": "ios", "token": "t", "environment": "production"}"#;
        assert!(!sandbox(store, ApnsEnvironment::Sandbox));
        assert!(!sandbox(r#"{"type": "fcm", "token": "t"}"#, ApnsEnvironment::Sandbox));
    }

    #[test]
    fn each_mistake_names_its_field() {
        for (body, code) in [
            (r#"{"token": "t"}"#, "MISSING_PARAMETER"),
            (r#"{"type": "ios"}"#, "MISSING_PARAMETER"),
            (r#"{"type": "web", "token": "t"}"#, "UNSUPPORTED_TYPE"),
            (r#"{"type": "ios-voip", "token": "t"}"#, "UNSUPPORTED_TYPE"),
            (r#"{"type": "IOS", "token": "t"}"#, "INVALID_PARAMETER"),
            (r#"{"type": 1, "token": "t"}"#, "INVALID_PARAMETER"),
            (r#"{"type": "ios", "token": ["t"]}"#, "INVALID_PARAMETER"),
            (r#"{"type": "ios", "token": "t t"}"#, "INVALID_PARAMETER"),
            (r#"{"type": "ios", "token": "t", "environment": "dev"}"#, "INVALID_PARAMETER"),
            (r#"{"type": "ios", "token": "t", "locale": "d e"}"#, "INVALID_PARAMETER"),
            (r#"{"type": "ios", "token": "t", "clientId": 1}"#, "INVALID_PARAMETER"),
            ("[]", "INVALID_PARAMETER"),
            ("{", "INVALID_JSON"),
        ] {
            assert_eq!(subscribe(body), Err(code), "{body}");
        }
        assert_eq!(client_of(Err(BodyError::Empty)), Ok(None));
        assert_eq!(client_of(Ok(br#"{"clientId": "u1"}"#)), Ok(Some("u1".to_owned())));
        assert_eq!(client_of(Ok(b"[]")).unwrap_err().code(), "INVALID_PARAMETER");
        assert_eq!(Subscribe::parse(Err(BodyError::Empty)).unwrap_err().code(), "MISSING_BODY");
        assert_eq!(Subscribe::parse(Err(BodyError::TooLarge)).unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    proptest! {
        #[test]
        fn no_body_breaks_anything(
            text in ".{0,60}",
            values in proptest::collection::vec(prop_oneof![
                Just("null"), Just("1"), Just("true"), Just("[]"), Just("{}"), Just("\"\""), Just("\"ios\""), Just("\"a b\""), Just("\"t\""),
            ], 6),
        ) {
            let _ = subscribe(&text);
            let fields = ["type", "token", "deviceId", "clientId", "environment", "locale"];
            let pairs: Vec<String> = fields.iter().zip(&values).map(|(name, value)| format!("\"{name}\": {value}")).collect();
            let body = format!("{{{}}}", pairs.join(", "));
            let _ = subscribe(&body);
            let _ = Unsubscribe::parse(Ok(body.as_bytes()));
        }
    }
}
