//! Calls about a user's devices: `/user/token/...`, `/user/device/...`, `/user/register/push` (its server API's swagger).

use serde_json::{Value, json};

use super::body::{Fields, bad, parameter};
use super::envelope::Failure;
use crate::app::Notifier;
use crate::call::BodyError;
use crate::id::{Alias, AppId, ClientId, DeviceKey, DeviceNumber, Token};
use crate::recipient::{Device, Recipient};
use crate::registry::PushToken;
use crate::time::Timestamp;

/// The longest `notifier_name`.
const MOST_NOTIFIER: usize = 256;
/// The longest `device_guid`.
const MOST_GUID: usize = 256;

/// The body of `/user/token/bind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    number: DeviceNumber,
    token: Token,
    /// The certificate's name.
    pub notifier: String,
}

impl Bind {
    /// # Errors
    /// When a field is missing or cannot be; the failure names it and the rule.
    pub fn parse(body: Result<&[u8], BodyError>) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        let number = number(fields.get("device_sn").ok_or_else(|| bad("device_sn is missing"))?)?;
        let token = Token::parse(fields.needed("device_token")?).map_err(|rule| bad(format!("device_token {rule}")))?;
        let notifier = fields.needed("notifier_name")?;
        if notifier.len() > MOST_NOTIFIER {
            return Err(bad("notifier_name is longer than 256 bytes"));
        }
        Ok(Self { number, token, notifier: notifier.to_owned() })
    }

    /// The device that it registers. `sandbox` is where Apple's devices are when the certificate does not say.
    #[must_use]
    pub fn device(self, notifier: Notifier, sandbox: bool, now: Timestamp) -> Device {
        Device {
            key: DeviceKey::numbered(self.number),
            channel: notifier.channel,
            token: self.token,
            endpoint: None,
            sandbox: notifier.channel.is_apple() && notifier.sandbox.unwrap_or(sandbox),
            registered_at: now,
            framework: None,
            locale: None,
        }
    }
}

/// The failure of a certificate's name that stands for no channel.
#[must_use]
pub fn no_notifier() -> Failure {
    bad("notifier_name is no certificate of this app: see its setting lanying.notifiers")
}

/// A number in a body.
pub(super) fn number(value: &Value) -> Result<DeviceNumber, Failure> {
    value.as_u64().and_then(DeviceNumber::from_number).ok_or_else(wrong_number)
}

fn wrong_number() -> Failure {
    bad("device_sn is not a whole number from 0 to 2147483647")
}

/// The number in the query of `/user/token/unbind` and `/user/device/remove`. Lanying spells it in two ways; either is taken by both.
///
/// # Errors
/// When it is missing or cannot be.
pub fn device_number(query: &str) -> Result<DeviceNumber, Failure> {
    let number = parameter(query, ["device_sn", "deviceSn"])?
        .ok_or_else(|| bad("deviceSn or device_sn is missing in the query"))?;
    number.parse().ok().and_then(DeviceNumber::from_number).ok_or_else(wrong_number)
}

/// Which of `devices` has a number: the one that was registered by it before one whose number is made from another name.
#[must_use]
pub fn numbered(devices: &[Device], number: DeviceNumber) -> Option<&Device> {
    let own = DeviceKey::numbered(number);
    let by_name = || devices.iter().find(|device| device.key.number() == number);
    devices.iter().find(|device| device.key == own).or_else(by_name)
}

/// The list of a user's devices, the oldest first, whatever protocol registered them. `push_token` is ours: what the audience
/// `push_token` takes.
#[must_use]
pub fn list(app: &AppId, user: &ClientId, devices: &[Device]) -> Value {
    let mut devices: Vec<&Device> = devices.iter().collect();
    devices.sort_by_key(|device| device.registered_at);
    let shown = devices.into_iter().map(|device| {
        json!({
            "device_sn": device.key.number().get(),
            // 1 iOS, 2 Android.
            "platform": if device.channel.is_apple() { 1 } else { 2 },
            "user_agent": device.framework.as_deref().unwrap_or_default(),
            "user_id": user_id(user),
            "push_token": PushToken { client: user.clone(), device: device.key.clone() }.name(app),
        })
    });
    shown.collect()
}

/// A user's id as Lanying writes it: a number where it is one.
fn user_id(user: &ClientId) -> Value {
    let number: Option<i64> = user.as_str().parse().ok();
    match number.filter(|number| number.to_string() == user.as_str()) {
        Some(number) => json!(number),
        None => json!(user.as_str()),
    }
}

/// The body of `/user/register/push`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushUser {
    /// Who: the client's id.
    pub username: ClientId,
    /// Alias to be bound.
    pub alias: Option<Alias>,
    device: Which,
}

/// Which installation asks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    Number(DeviceNumber),
    Token(String),
}

impl PushUser {
    /// # Errors
    /// When a field is missing or cannot be; the failure names it and the rule.
    pub fn parse(body: Result<&[u8], BodyError>) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        let username = ClientId::parse(fields.needed("username")?).map_err(|rule| bad(format!("username {rule}")))?;
        // Needed by the interface; neither kept nor looked at.
        fields.needed("password")?;
        let alias = alias_of(&fields)?;
        let guid = fields.text("device_guid")?.unwrap_or_default();
        if guid.len() > MOST_GUID {
            return Err(bad("device_guid is longer than 256 bytes"));
        }
        let device = match fields.text("push_token")? {
            Some(token) => Which::Token(token.to_owned()),
            None => Which::Number(DeviceNumber::of(guid)),
        };
        Ok(Self { username, alias, device })
    }

    /// The device that asks, registered or not yet.
    ///
    /// # Errors
    /// When it gave a push token that is not one of this user's.
    pub fn device(&self, app: &AppId) -> Result<DeviceKey, Failure> {
        match &self.device {
            Which::Number(number) => Ok(DeviceKey::numbered(*number)),
            Which::Token(name) => own_push_token(app, &self.username, name),
        }
    }

    /// The answer: what the user has set, and how the device is called from now on. What we have no setting for is left out.
    #[must_use]
    pub fn settings(app: &AppId, user: &ClientId, device: DeviceKey, recipient: &Recipient) -> Value {
        let preferences = &recipient.preferences;
        let hour = |clock: Option<String>| clock.and_then(|clock| clock[..2].parse::<u8>().ok()).unwrap_or(0);
        json!({
            "user_id": user_id(user),
            "push_token": PushToken { client: user.clone(), device: device.clone() }.name(app),
            "device_sn": device.number().get(),
            "no_push": preferences.off,
            "no_push_detail": preferences.hide,
            "no_push_start_hour": hour(preferences.quiet.map(|quiet| quiet.from())),
            "no_push_end_hour": hour(preferences.quiet.map(|quiet| quiet.to())),
            "push_nick_name": preferences.nickname,
        })
    }
}

/// The device of a push token that must be `user`'s.
pub(super) fn own_push_token(app: &AppId, user: &ClientId, name: &str) -> Result<DeviceKey, Failure> {
    let token = PushToken::parse(app, name).filter(|token| token.client == *user);
    token.map(|token| token.device).ok_or_else(|| bad("push_token is not one of this user's"))
}

/// The field `alias`; `None` when it is absent or empty.
pub(super) fn alias_of(fields: &Fields) -> Result<Option<Alias>, Failure> {
    let alias = fields.text("alias")?.map(Alias::parse).transpose();
    alias.map_err(|rule| bad(format!("alias {rule}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::app::LanyingSettings;
    use crate::delivery::Channel;
    use crate::recipient::QuietHours;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn user(id: &str) -> ClientId {
        ClientId::parse(id).unwrap()
    }

    fn app() -> AppId {
        AppId::parse("demo").unwrap()
    }

    fn bind(body: &str) -> Result<Bind, String> {
        Bind::parse(Ok(body.as_bytes())).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_binding_is_a_device_on_its_certificate_s_channel() {
        let said =
            bind(r#"{"device_sn": 4711, "device_token": "ab12", "notifier_name": "apns_sandbox", "more": 1}"#).unwrap();
        let notifiers = LanyingSettings::default();
        let device = said.clone().device(notifiers.notifier(&said.notifier).unwrap(), false, NOW);
        assert_eq!((device.channel, device.sandbox, device.key.number().get()), (Channel::Sns, true, 4711));
        let huawei = said.clone().device(notifiers.notifier("huawei").unwrap(), true, NOW);
        assert_eq!((huawei.channel, huawei.sandbox), (Channel::Huawei, false), "only Apple has a sandbox");
        assert!(said.device(notifiers.notifier("apns").unwrap(), true, NOW).sandbox);
    }

    #[test]
    fn what_is_wrong_with_a_binding_is_told_by_field_and_rule() {
        for (body, told) in [
            (r#"{"device_token": "a", "notifier_name": "fcm"}"#, "device_sn is missing"),
            (r#"{"device_sn": "1", "device_token": "a", "notifier_name": "fcm"}"#, "device_sn is not a whole number"),
            (r#"{"device_sn": -1, "device_token": "a", "notifier_name": "fcm"}"#, "device_sn is not a whole number"),
            (r#"{"device_sn": 2147483648, "device_token": "a", "notifier_name": "fcm"}"#, "device_sn is not"),
            (r#"{"device_sn": 1, "device_token": "", "notifier_name": "fcm"}"#, "device_token is missing"),
            (r#"{"device_sn": 1, "device_token": "a b", "notifier_name": "fcm"}"#, "device_token holds"),
            (r#"{"device_sn": 1, "device_token": "a"}"#, "notifier_name is missing"),
            (r#"{"device_sn": 1, "device_token": "a", "notifier_name": 5}"#, "notifier_name is not a text"),
            ("[]", "the body is not a JSON object"),
            ("{", "the body is not JSON at line 1, column 1"),
        ] {
            let message = bind(body).unwrap_err();
            assert!(message.starts_with(told), "{body}: {message}");
        }
        assert_eq!(Bind::parse(Err(BodyError::Empty)).unwrap_err().to_string(), "the request has no body");
    }

    #[test]
    fn a_number_in_the_query_has_two_spellings() {
        let of = |query: &str| device_number(query).map(DeviceNumber::get).map_err(|failure| failure.to_string());
        assert_eq!(of("device_sn=7"), Ok(7));
        assert_eq!(of("deviceSn=7"), Ok(7));
        assert_eq!(of("deviceSn=0x7").unwrap_err(), "device_sn is not a whole number from 0 to 2147483647");
        assert_eq!(of("").unwrap_err(), "deviceSn or device_sn is missing in the query");
    }

    #[test]
    fn every_device_is_listed_by_a_number_that_finds_it() {
        let device = |key: DeviceKey, channel, at| Device {
            key,
            channel,
            token: Token::parse("t").unwrap(),
            endpoint: None,
            sandbox: false,
            registered_at: Timestamp::from_millis(at),
            framework: None,
            locale: None,
        };
        let other = DeviceKey::of("ios", "by another protocol");
        let numbers = DeviceNumber::from_number(9).unwrap();
        let devices = [device(DeviceKey::numbered(numbers), Channel::Fcm, 2), device(other.clone(), Channel::Sns, 1)];
        let list = list(&app(), &user("310"), &devices);
        assert_eq!((&list[0]["platform"], &list[0]["user_id"]), (&json!(1), &json!(310)));
        assert_eq!((&list[1]["device_sn"], &list[1]["platform"]), (&json!(9), &json!(2)));
        for (shown, device) in [(&list[0], &devices[1]), (&list[1], &devices[0])] {
            let number = DeviceNumber::from_number(shown["device_sn"].as_u64().unwrap()).unwrap();
            assert_eq!(numbered(&devices, number), Some(device));
            let token = PushToken::parse(&app(), shown["push_token"].as_str().unwrap()).unwrap();
            assert_eq!((&token.client, &token.device), (&user("310"), &device.key));
        }
        assert_eq!(numbered(&devices, DeviceNumber::from_number(10).unwrap()), None);
        assert_eq!((user_id(&user("007")), user_id(&user("u-1"))), (json!("007"), json!("u-1")));
    }

    #[test]
    fn a_push_user_s_device_is_named_by_guid_or_by_the_push_token_that_it_got() {
        let parse = |body: Value| PushUser::parse(Ok(body.to_string().as_bytes()));
        let first = parse(json!({"username": "u1", "password": "p", "device_guid": "g"})).unwrap();
        let device = first.device(&app()).unwrap();
        let mut recipient = Recipient::default();
        recipient.preferences.quiet = QuietHours::parse("22:30", "07:00").ok();
        let answer = PushUser::settings(&app(), &first.username, device.clone(), &recipient);
        assert_eq!((&answer["no_push_start_hour"], &answer["no_push_end_hour"]), (&json!(22), &json!(7)));
        assert_eq!(answer["device_sn"], json!(device.number().get()));
        let again = parse(json!({"username": "u1", "password": "p", "push_token": answer["push_token"]})).unwrap();
        assert_eq!(again.device(&app()).unwrap(), device);
        let stolen = parse(json!({"username": "u2", "password": "p", "push_token": answer["push_token"]})).unwrap();
        assert!(stolen.device(&app()).is_err());
        assert!(parse(json!({"username": "u1"})).is_err(), "the interface has a password");
        let nameless = parse(json!({"username": "u1", "password": "p", "alias": ""})).unwrap();
        assert_eq!((nameless.alias.clone(), nameless.device(&app()).is_ok()), (None, true));
    }
}
