//! `/push/ack`: a phone tells that a notification came, or was tapped. A call of ours, in Lanying's envelope: its own SDKs report over
//! their connection.

use super::body::{self, Fields, bad};
use super::devices::{number as device_number, numbered};
use super::envelope::Failure;
use crate::call::BodyError;
use crate::id::{AppId, ClientId, DeviceKey, DeviceNumber, TaskId};
use crate::recipient::Device;
use crate::registry::PushToken;
use crate::task::Stage;

/// From here up an installation's number may be made from another name.
const NAMES: u32 = 1 << 30;

/// The body of `/push/ack`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Which task, as the phone was told.
    pub task: TaskId,
    /// What it reports.
    pub stage: Stage,
    /// Which of the user's devices.
    pub device: Reporter,
}

/// Which device reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reporter {
    /// The one that was named.
    Named(DeviceKey),
    /// One that goes by a number which may be made from its name: to be looked for among the user's.
    Numbered(DeviceNumber),
    /// The only one that the user has.
    Only,
}

impl Ack {
    /// The report of `user`'s that a body is.
    ///
    /// # Errors
    /// When a field is missing or cannot be; the failure names it and the rule.
    pub fn parse(said: Result<&[u8], BodyError>, app: &AppId, user: &ClientId) -> Result<Self, Failure> {
        let fields = Fields::parse(said)?;
        let task = fields.given("task_id").ok_or_else(|| bad("task_id is missing"))?;
        let number = body::whole(task).ok_or_else(|| bad("task_id is not a whole number"))?;
        let task = body::task(&number).ok_or_else(no_task)?;
        let stage = match fields.needed("stage")?.to_ascii_lowercase().as_str() {
            "received" => Stage::Received,
            "clicked" => Stage::Clicked,
            _ => return Err(bad("stage is neither received nor clicked")),
        };
        let number = fields.given("device_sn").map(device_number).transpose()?;
        let device = match (fields.text("push_token")?, number) {
            (Some(name), number) => {
                let token = PushToken::parse(app, name).filter(|token| token.client == *user);
                let device = token.ok_or_else(|| bad("push_token is not one of this user's"))?.device;
                if number.is_some_and(|number| number != device.number()) {
                    return Err(bad("device_sn is the number of another device than push_token's"));
                }
                Reporter::Named(device)
            }
            (None, Some(number)) => match number {
                own if own.get() < NAMES => Reporter::Named(DeviceKey::numbered(own)),
                named => Reporter::Numbered(named),
            },
            (None, None) => Reporter::Only,
        };
        Ok(Self { task, stage, device })
    }
}

impl Reporter {
    /// The device that it is, where the user has `devices`.
    ///
    /// # Errors
    /// When it is not named and the user has several, or none.
    pub fn among(&self, devices: &[Device]) -> Result<DeviceKey, Failure> {
        match (self, devices) {
            (Self::Named(device), _) => Ok(device.clone()),
            (Self::Numbered(number), _) => {
                Ok(numbered(devices, *number).map_or_else(|| DeviceKey::numbered(*number), |device| device.key.clone()))
            }
            (Self::Only, [only]) => Ok(only.key.clone()),
            (Self::Only, []) => Err(no_target()),
            (Self::Only, _) => Err(bad("the user has several devices: push_token or device_sn says which one reports")),
        }
    }
}

/// The failure of a report about a task that is not there.
#[must_use]
pub fn no_task() -> Failure {
    bad("task_id is no task of this app whose receipts are counted")
}

/// The failure of a device that the task was not for.
#[must_use]
pub fn no_target() -> Failure {
    bad("the task was not for this device")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::delivery::Channel;
    use crate::id::Token;
    use crate::time::Timestamp;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn app() -> AppId {
        AppId::parse("demo").unwrap()
    }

    fn user(id: &str) -> ClientId {
        ClientId::parse(id).unwrap()
    }

    fn parse(body: &Value) -> Result<Ack, String> {
        Ack::parse(Ok(body.to_string().as_bytes()), &app(), &user("u1")).map_err(|failure| failure.to_string())
    }

    fn device(key: DeviceKey) -> Device {
        Device {
            key,
            channel: Channel::Fcm,
            token: Token::parse("t").unwrap(),
            endpoint: None,
            sandbox: false,
            registered_at: Timestamp::from_millis(1),
            framework: None,
            locale: None,
        }
    }

    #[test]
    fn a_report_names_its_task_its_stage_and_perhaps_its_device() {
        let own = DeviceKey::of("fcm", "d1");
        let name = PushToken { client: user("u1"), device: own.clone() }.name(&app());
        let said = parse(&json!({"task_id": 7, "stage": "received", "push_token": name, "device_sn": ""})).unwrap();
        assert_eq!((said.task.get(), said.stage, said.device), (7, Stage::Received, Reporter::Named(own.clone())));
        let number = own.number().get();
        let both = parse(&json!({"task_id": 7, "stage": "Received", "push_token": name, "device_sn": number})).unwrap();
        assert_eq!((both.stage, both.device), (Stage::Received, Reporter::Named(own)));
        let differ = parse(&json!({"task_id": 7, "stage": "received", "push_token": name, "device_sn": number ^ 1}));
        assert_eq!(differ.unwrap_err(), "device_sn is the number of another device than push_token's");
        let said = parse(&json!({"task_id": 7, "stage": "clicked", "device_sn": 3})).unwrap();
        let number = DeviceNumber::from_number(3).unwrap();
        assert_eq!((said.stage, said.device), (Stage::Clicked, Reporter::Named(DeviceKey::numbered(number))));
        let unnamed = parse(&json!({"task_id": "7", "stage": "clicked"})).unwrap();
        assert_eq!((unnamed.task.get(), unnamed.device), (7, Reporter::Only));
    }

    #[test]
    fn what_cannot_be_is_told_by_its_field() {
        let stolen = PushToken { client: user("u2"), device: DeviceKey::of("fcm", "d1") }.name(&app());
        for (body, rule) in [
            (json!({"stage": "received"}), "task_id is missing"),
            (json!({"task_id": "x7", "stage": "received"}), "task_id is not a whole number"),
            (json!({"task_id": [7], "stage": "received"}), "task_id is not a whole number"),
            (json!({"task_id": 7.5, "stage": "received"}), "task_id is not a whole number"),
            (json!({"task_id": -7, "stage": "received"}), "task_id is no task of this app whose receipts are counted"),
            (json!({"task_id": 7}), "stage is missing"),
            (json!({"task_id": 7, "stage": "read"}), "stage is neither received nor clicked"),
            (json!({"task_id": 7, "stage": "received", "push_token": stolen}), "push_token is not one of this user's"),
            (
                json!({"task_id": 7, "stage": "received", "device_sn": "3"}),
                "device_sn is not a whole number from 0 to 2147483647",
            ),
        ] {
            assert_eq!(parse(&body), Err(rule.to_owned()));
        }
    }

    #[test]
    fn a_device_is_found_by_its_number_and_an_unnamed_one_is_the_only_one() {
        let named = DeviceKey::of("fcm", "d1");
        let devices = [device(named.clone()), device(DeviceKey::of("fcm", "d2"))];
        let by_number = parse(&json!({"task_id": 7, "stage": "received", "device_sn": named.number().get()})).unwrap();
        assert_eq!(by_number.device.among(&devices).unwrap(), named);
        // Apps may count that high.
        let number = DeviceNumber::from_number(u64::from(NAMES)).unwrap();
        assert_eq!(Reporter::Numbered(number).among(&devices).unwrap(), DeviceKey::numbered(number));
        assert_eq!(Reporter::Only.among(&devices[..1]).unwrap(), named);
        let several = Reporter::Only.among(&devices).unwrap_err().to_string();
        assert_eq!(several, "the user has several devices: push_token or device_sn says which one reports");
        assert_eq!(Reporter::Only.among(&[]).unwrap_err().to_string(), "the task was not for this device");
    }

    proptest! {
        #[test]
        fn no_body_breaks_anything(task in any::<i64>(), stage in ".{0,9}", token in ".{0,40}", number in any::<i64>()) {
            let _ = parse(&json!({"task_id": task, "stage": stage, "push_token": token}));
            let _ = parse(&json!({"task_id": task, "stage": "clicked", "device_sn": number}));
        }
    }
}
