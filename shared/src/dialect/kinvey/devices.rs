//! Kinvey's `register-device` and `unregister-device`, and the token list in a user's `_messaging`.

use lambda_http::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::body::{self, missing, text};
use super::credentials::Caller;
use super::error::{Failure, Kind};
use crate::call::BodyError;
use crate::delivery::Channel;
use crate::id::{ClientId, DeviceKey, Token};
use crate::recipient::Device;
use crate::time::Timestamp;

/// The longest `framework` that is kept.
pub const MOST_FRAMEWORK: usize = 64;

/// Kinvey's two kinds of phone. Spelt exactly so on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// `ios`: APNs, through Amazon SNS.
    Ios,
    /// `android`: FCM.
    Android,
}

impl Platform {
    /// The kind of phone that is spelt so.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ios, Self::Android].into_iter().find(|platform| platform.as_str() == word)
    }

    /// Its spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::Android => "android",
        }
    }

    /// The road to its devices.
    #[must_use]
    pub const fn channel(self) -> Channel {
        match self {
            Self::Ios => Channel::Sns,
            Self::Android => Channel::Fcm,
        }
    }
}

/// What a register or unregister call says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCall {
    /// Whose device.
    pub user: ClientId,
    /// What kind of phone.
    pub platform: Platform,
    /// `deviceId`: the vendor's token, which is the device's identity too.
    pub token: Token,
    /// The multiplatform framework, kept and given back.
    pub framework: Option<String>,
}

impl DeviceCall {
    /// Reads a call. Fields that are not ours (`service`) are taken and left alone.
    ///
    /// With master credentials `userId` names the user. With a user's own it may be left out, and must be theirs if it is there: a call
    /// that says one user and proves another is refused rather than guessed at.
    ///
    /// # Errors
    /// When a header or field is missing or not usable; the failure names it.
    pub fn parse(headers: &HeaderMap, body: Result<&[u8], BodyError>, caller: &Caller) -> Result<Self, Failure> {
        let fields: Map<String, Value> = body::read(headers, body)?;
        let platform = match text(&fields, "platform")? {
            Some(word) => Platform::from_word(word).ok_or_else(|| {
                Failure::new(Kind::ParameterValueOutOfRange, "platform is neither \"ios\" nor \"android\"")
            })?,
            None => return Err(missing("platform")),
        };
        let token = text(&fields, "deviceId")?.ok_or_else(|| missing("deviceId"))?;
        let token = Token::parse(token)
            .map_err(|rule| Failure::new(Kind::ParameterValueOutOfRange, format!("deviceId {rule}")))?;
        let user = user(text(&fields, "userId")?, caller)?;
        let framework = text(&fields, "framework")?.map(str::to_owned);
        if framework.as_ref().is_some_and(|name| name.len() > MOST_FRAMEWORK) {
            return Err(Failure::new(Kind::ParameterValueOutOfRange, "framework is longer than 64 bytes"));
        }
        Ok(Self { user, platform, token, framework })
    }

    /// The device to register.
    #[must_use]
    pub fn device(&self, sandbox: bool, now: Timestamp) -> Device {
        // SNS gives Apple's tokens back in lower case; the same phone must not be two devices.
        let identity = match self.platform {
            Platform::Ios => self.token.expose().to_ascii_lowercase(),
            Platform::Android => self.token.expose().to_owned(),
        };
        Device {
            key: DeviceKey::of(self.platform.as_str(), &identity),
            channel: self.platform.channel(),
            token: self.token.clone(),
            endpoint: None,
            sandbox: sandbox && self.platform == Platform::Ios,
            registered_at: now,
            framework: self.framework.clone(),
            locale: None,
        }
    }
}

/// Whom a call is for, given the `userId` that it names.
///
/// # Errors
/// When a master names nobody, a user somebody else, or the name is not usable.
pub fn user(named: Option<&str>, caller: &Caller) -> Result<ClientId, Failure> {
    match (caller, named) {
        (Caller::Master, None) => Err(missing("userId")),
        (Caller::Master, Some(named)) => ClientId::parse(named)
            .map_err(|rule| Failure::new(Kind::ParameterValueOutOfRange, format!("userId {rule}"))),
        (Caller::User(own), Some(named)) if named != own.as_str() => {
            Err(Failure::new(Kind::InsufficientCredentials, "userId is not the user of these credentials"))
        }
        (Caller::User(own), _) => Ok(own.clone()),
    }
}

/// A user's tokens as Kinvey keeps them: `{"_messaging": {"pushTokens": [{token, platform, arn}]}}`, the oldest first. `arn` is what
/// `arn_of` says of an iOS device, and null for Android.
#[must_use]
pub fn push_tokens(devices: &[Device], arn_of: impl Fn(&Device) -> Option<String>) -> Value {
    let mut devices: Vec<&Device> = devices.iter().collect();
    devices.sort_by_key(|device| device.registered_at);
    let tokens: Vec<Value> = devices
        .into_iter()
        .map(|device| {
            let platform = if device.channel.is_apple() { Platform::Ios } else { Platform::Android };
            let arn = if device.channel.is_apple() { arn_of(device) } else { None };
            let mut token = json!({"token": device.token.expose(), "platform": platform.as_str(), "arn": arn});
            if let Some(framework) = &device.framework {
                token["framework"] = json!(framework);
            }
            token
        })
        .collect();
    json!({"_messaging": {"pushTokens": tokens}})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn user_u1() -> Caller {
        Caller::User(ClientId::parse("u1").unwrap())
    }

    fn parse_with(content_type: Option<&str>, body: &str, caller: &Caller) -> Result<DeviceCall, Kind> {
        let mut headers = HeaderMap::new();
        if let Some(value) = content_type {
            headers.insert("content-type", value.parse().unwrap());
        }
        let body = if body.is_empty() { Err(BodyError::Empty) } else { Ok(body.as_bytes()) };
        DeviceCall::parse(&headers, body, caller).map_err(|failure| failure.kind())
    }

    fn parse(body: &str, caller: &Caller) -> Result<DeviceCall, Kind> {
        parse_with(Some("application/json"), body, caller)
    }

    #[test]
    fn a_registration_with_what_kinvey_s_sdks_send_is_taken() {
        let body = r#"{"platform": "android", "deviceId": "fMx1:APA91b", "service": "firebase", "framework": "nativescript",
            "userId": "65a1f0c2e4b0a1d2c3f40001", "x": {"y": []}}"#;
        let call = parse_with(Some("Application/JSON; charset=utf-8"), body, &Caller::Master).unwrap();
        assert_eq!(call.user.as_str(), "65a1f0c2e4b0a1d2c3f40001");
        let device = call.device(true, NOW);
        assert_eq!((device.channel, device.sandbox, device.registered_at), (Channel::Fcm, false, NOW));
        assert_eq!(device.framework.as_deref(), Some("nativescript"));
        assert_eq!(device.key, DeviceKey::of("android", "fMx1:APA91b"));
    }

    #[test]
    fn a_user_registers_for_themself_and_for_nobody_else() {
        let own = r#"{"platform": "ios", "deviceId": "ab12"}"#;
        assert_eq!(parse(own, &user_u1()).unwrap().user.as_str(), "u1");
        let named = r#"{"platform": "ios", "deviceId": "ab12", "userId": "u1"}"#;
        assert_eq!(parse(named, &user_u1()).unwrap().user.as_str(), "u1");
        let other = r#"{"platform": "ios", "deviceId": "ab12", "userId": "u2"}"#;
        assert_eq!(parse(other, &user_u1()), Err(Kind::InsufficientCredentials));
        assert_eq!(parse(own, &Caller::Master), Err(Kind::MissingRequestParameter));
    }

    #[test]
    fn each_mistake_has_its_name() {
        let master = Caller::Master;
        for (body, kind) in [
            ("", Kind::IncompleteRequestBody),
            ("{\"platform\"", Kind::JsonParseError),
            ("[]", Kind::BadRequest),
            (r#"{"deviceId": "a", "userId": "u"}"#, Kind::MissingRequestParameter),
            (r#"{"platform": "iOS", "deviceId": "a", "userId": "u"}"#, Kind::ParameterValueOutOfRange),
            (r#"{"platform": 1, "deviceId": "a", "userId": "u"}"#, Kind::ParameterValueOutOfRange),
            (r#"{"platform": "ios", "userId": "u"}"#, Kind::MissingRequestParameter),
            (r#"{"platform": "ios", "deviceId": "", "userId": "u"}"#, Kind::MissingRequestParameter),
            (r#"{"platform": "ios", "deviceId": null, "userId": "u"}"#, Kind::MissingRequestParameter),
            (r#"{"platform": "ios", "deviceId": {}, "userId": "u"}"#, Kind::ParameterValueOutOfRange),
            (r#"{"platform": "ios", "deviceId": "a b", "userId": "u"}"#, Kind::ParameterValueOutOfRange),
            (r#"{"platform": "ios", "deviceId": "a", "userId": 7}"#, Kind::ParameterValueOutOfRange),
            (r#"{"platform": "ios", "deviceId": "a", "userId": "a\nb"}"#, Kind::ParameterValueOutOfRange),
            (r#"{"platform": "ios", "deviceId": "a", "userId": "u", "framework": 1}"#, Kind::ParameterValueOutOfRange),
        ] {
            assert_eq!(parse(body, &master), Err(kind), "{body}");
        }
        let good = r#"{"platform": "ios", "deviceId": "a", "userId": "u"}"#;
        assert_eq!(parse_with(None, good, &master), Err(Kind::MissingRequestHeader));
        assert_eq!(parse_with(Some("text/plain"), good, &master), Err(Kind::BadRequest));
    }

    #[test]
    fn an_apple_token_in_another_case_is_the_same_device() {
        let key = |token: &str| {
            let body = format!(r#"{{"platform": "ios", "deviceId": "{token}", "userId": "u"}}"#);
            parse(&body, &Caller::Master).unwrap().device(false, NOW).key
        };
        assert_eq!(key("AB12"), key("ab12"));
    }

    #[test]
    fn the_token_list_has_kinvey_s_form() {
        let call = |platform: &str, framework: &str| {
            let body = format!(r#"{{"platform": "{platform}", "deviceId": "{platform}-1", "userId": "u"{framework}}}"#);
            parse(&body, &Caller::Master).unwrap()
        };
        let mut ios = call("ios", "").device(false, NOW.plus(std::time::Duration::from_secs(1)));
        ios.endpoint = Some("e-1".to_owned());
        let android = call("android", r#", "framework": "titanium""#).device(false, NOW);
        let list = push_tokens(&[ios, android], |device| device.endpoint.clone().map(|e| format!("arn:{e}")));
        let expected = json!({"_messaging": {"pushTokens": [
            {"token": "android-1", "platform": "android", "arn": null, "framework": "titanium"},
            {"token": "ios-1", "platform": "ios", "arn": "arn:e-1"},
        ]}});
        assert_eq!(list, expected);
    }

    proptest! {
        #[test]
        fn no_body_breaks_anything(
            text in ".{0,60}",
            values in proptest::collection::vec(prop_oneof![
                Just("null"), Just("1"), Just("true"), Just("[]"), Just("{}"), Just("\"\""), Just("\"ios\""), Just("\"a b\""), Just("\"t\""),
            ], 4),
        ) {
            let _ = parse(&text, &Caller::Master);
            let fields = ["platform", "deviceId", "userId", "framework"];
            let pairs: Vec<String> = fields.iter().zip(&values).map(|(name, value)| format!("\"{name}\": {value}")).collect();
            let _ = parse(&format!("{{{}}}", pairs.join(", ")), &Caller::Master);
        }
    }
}
