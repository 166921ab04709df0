//! The population that the bars are stated for: two devices with tokens of real length, rooms with unread messages, marks in steady
//! state.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures_util::stream::{self, TryStreamExt as _};
use pushbell::delivery::Channel;
use pushbell::delivery::sns::Endpoints;
use pushbell::env::{Environment, Table};
use pushbell::id::{AppId, ClientId, DeviceKey, RoomKey, Token};
use pushbell::recipient::{Device, names};
use pushbell::time::Timestamp;
use pushbell_local::stack::Stack;

use crate::Error;

/// The iOS platform application of the demo app.
const APPLICATION: &str = "arn:aws:sns:us-east-1:000000000000:app/APNS/demo";

/// The environment of one of a stack's functions, with that function's rights.
pub(crate) fn environment(stack: &Stack, function: &str) -> Result<Environment, Error> {
    let variables = stack.variables(function)?;
    Ok(Environment::from_lookup(|name| variables.get(name).cloned())?)
}

/// The environment of `deliver`, with an operator's rights.
pub(crate) fn operator(stack: &Stack) -> Result<Environment, Error> {
    let variables = stack.variables("deliver")?;
    Ok(Environment::from_lookup(|name| match name {
        "AWS_ACCESS_KEY_ID" => Some("operator".to_owned()),
        _ => variables.get(name).cloned(),
    })?)
}

/// The clients' names, as chat servers make them.
pub(crate) fn clients(n: usize) -> Result<Vec<ClientId>, Error> {
    Ok((0..n).map(|n| ClientId::parse(format!("65a1f0c2e4b0a1d2c3{n:06x}"))).collect::<Result<_, _>>()?)
}

/// How each client's two phones are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roads {
    /// An iPhone by SNS, an Android phone by FCM.
    Mixed,
    /// Both by FCM.
    Direct,
    /// Both by SNS.
    Sns,
}

/// Puts the clients into the tables, and their phones into the fake SNS: an iPhone there, an Android phone at FCM.
pub(crate) async fn seed(stack: &Stack, clients: &[ClientId], rooms: usize) -> Result<(), Error> {
    seed_on(stack, clients, rooms, (Roads::Mixed, 10), Timestamp::now()).await
}

/// As [`seed`], with phones on these roads, of which so many of ten clients have two and the others one, as things are at `now`.
pub(crate) async fn seed_on(
    stack: &Stack,
    clients: &[ClientId],
    rooms: usize,
    (roads, with_two): (Roads, usize),
    now: Timestamp,
) -> Result<(), Error> {
    let env = operator(stack)?;
    let (app, table) = (AppId::parse("demo")?, env.table(Table::Recipients)?);
    let (dynamodb, endpoints) = (pushbell::aws::dynamodb(&env), Endpoints::new(&env));
    stream::iter(clients.chunks(25).enumerate().map(Ok::<_, Error>))
        .try_for_each_concurrent(8, |(page_number, page)| {
            let (app, table, dynamodb, endpoints) = (&app, &table, &dynamodb, &endpoints);
            async move {
                let mut writes = Vec::with_capacity(page.len());
                for (number, client) in page.iter().enumerate() {
                    let phones = phones(endpoints, client, roads, now).await?;
                    let count = if (page_number * 25 + number) % 10 < with_two { 2 } else { 1 };
                    let item = item(app, client, &phones[..count], rooms, now);
                    let put = PutRequest::builder().set_item(Some(item)).build()?;
                    writes.push(WriteRequest::builder().put_request(put).build());
                }
                dynamodb.batch_write_item().request_items(table, writes).send().await?;
                Ok(())
            }
        })
        .await
}

async fn phones(endpoints: &Endpoints, client: &ClientId, roads: Roads, now: Timestamp) -> Result<[Device; 2], Error> {
    let device = |kind: &str, channel, token, endpoint| Device {
        key: DeviceKey::of(kind, client.as_str()),
        channel,
        token,
        endpoint,
        sandbox: false,
        registered_at: now.minus(Duration::from_secs(86_400)),
        framework: None,
        locale: None,
    };
    let apns = async |n: u128| -> Result<Device, Error> {
        let number = u128::from_str_radix(client.as_str(), 16)? + (n << 100);
        let token = Token::parse(format!("{number:064x}"))?;
        let endpoint = endpoints.create(APPLICATION, &token).await?;
        Ok(device(if n == 0 { "ios" } else { "ipad" }, Channel::Sns, token, Some(endpoint)))
    };
    // 163 characters: an installation id, a colon, 140 characters.
    let fcm = |n: usize| -> Result<Device, Error> {
        let installation: String = client.as_str().chars().rev().take(22).collect();
        let token = Token::parse(format!("{installation:A<22}:APA9{n}b{:x<134}", client.as_str()))?;
        Ok(device(if n == 1 { "android" } else { "tablet" }, Channel::Fcm, token, None))
    };
    Ok(match roads {
        Roads::Mixed => [apns(0).await?, fcm(1)?],
        Roads::Direct => [fcm(1)?, fcm(2)?],
        Roads::Sns => [apns(0).await?, apns(1).await?],
    })
}

fn item(
    app: &AppId,
    client: &ClientId,
    phones: &[Device],
    rooms: usize,
    now: Timestamp,
) -> HashMap<String, AttributeValue> {
    let number = |n: u64| AttributeValue::N(n.to_string());
    // A set is closed with 25 marks at 15 minutes; the newest one is anywhere between.
    let newest = fastrand::usize(1..=24);
    let marks = |n: usize| {
        AttributeValue::Bs((0..n).map(|_| Blob::new(fastrand::u64(..).to_be_bytes()[..6].to_vec())).collect())
    };
    let begun = now.minus(Duration::from_secs(36 * newest as u64 + 40));
    let mut item = HashMap::from([
        (names::PK.to_owned(), AttributeValue::S(names::client(app, client))),
        (names::MARKS_NEW.to_owned(), marks(newest)),
        (names::MARKS_OLD.to_owned(), marks(25)),
        (names::BEGUN.to_owned(), number(begun.as_millis())),
        (names::TRIMMED.to_owned(), number(begun.minus(Duration::from_secs(900)).as_millis())),
    ]);
    item.extend(phones.iter().map(|phone| (names::device(&phone.key), phone.to_attribute())));
    for room in 0..rooms {
        item.insert(names::unread(&RoomKey::of(&format!("{client}-{room}"))), number(fastrand::u64(1..=30)));
    }
    item
}

/// The channels' messages as an IMKIT server sends them, to a group.
pub(crate) fn callback(id: &str, clients: &[ClientId]) -> serde_json::Value {
    serde_json::json!({
        "_id": id, "id": id, "appID": "demo", "room": "room-4412", "roomName": "Night shift",
        "messageType": "text", "message": "gate 4 is open, please come over with both keys and the list",
        "sender": {"_id": "u-207", "id": "u-207", "nickname": "Mira", "avatarUrl": "https://files.example.net/a/207.png",
            "description": "", "isRobot": false, "lastLoginTimeMS": 1_767_225_000_123_u64},
        "messageTimeMS": Timestamp::now().as_millis(), "createdAtMS": Timestamp::now().as_millis(),
        "updatedAtMS": Timestamp::now().as_millis(),
        "pushToClients": clients.iter().map(ClientId::as_str).collect::<Vec<_>>(),
    })
}
