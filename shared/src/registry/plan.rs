//! What a registration changes, decided from what was read. Pure, so that every collision has a test.

use super::rows::{Owner, Seen, token_row};
use crate::id::{AppId, ClientId};
use crate::recipient::{Device, MOST_DEVICES};

/// What a registration changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// The same device has the same token: its time and details change, nothing else.
    Refresh(Change),
    /// The token, the device or both are new here.
    Move(Change),
}

/// The device to write, and what leaves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The device as it is to be stored.
    pub(super) device: Device,
    /// Devices that leave the client's own item together with their token rows: the one under the same key with another token,
    /// and the oldest beyond the limit.
    pub(super) dropped: Vec<Device>,
    /// Devices of the same client that have the same token under other keys. Their row is the one that is written.
    pub(super) twins: Vec<Device>,
    /// The device of another client that has the token.
    pub(super) taken: Option<(ClientId, Device)>,
    /// Devices whose SNS endpoints nobody uses any more.
    pub(super) released: Vec<Device>,
}

/// Plans the registration of `device` for `client`, given the token's `owner`, the client's item (`mine`) and, where the owner is
/// somebody else, theirs.
pub(super) fn plan(
    app: &AppId,
    client: &ClientId,
    mut device: Device,
    owner: Option<&Owner>,
    mine: &Seen,
    theirs: Option<&Seen>,
) -> Plan {
    let row = token_row(app, device.channel, &device.token);
    let has_token = |other: &Device| token_row(app, other.channel, &other.token) == row;
    let (own, others): (Vec<&Device>, Vec<&Device>) = mine.devices.iter().partition(|other| other.key == device.key);
    let own = own.first().copied();
    let (twins, mut others): (Vec<&Device>, Vec<&Device>) = others.into_iter().partition(|other| has_token(other));
    let taken = owner
        .filter(|owner| owner.client != *client)
        .and_then(|owner| Some((owner.client.clone(), theirs?.device(&owner.device).filter(|held| has_token(held))?)));

    let mut released = Vec::new();
    // One token has one endpoint in a platform application, whoever holds it: it moves with the token.
    let holders = own.filter(|own| has_token(own)).into_iter().chain(twins.iter().copied());
    for holder in holders.chain(taken.as_ref().map(|(_, held)| *held)) {
        if holder.endpoint.is_none() {
        } else if holder.channel == device.channel && holder.sandbox == device.sandbox {
            device.endpoint.clone_from(&holder.endpoint);
        } else {
            released.push(holder.clone());
        }
    }

    let mut dropped: Vec<Device> = own.filter(|own| !has_token(own)).into_iter().cloned().collect();
    others.sort_by_key(|other| other.registered_at);
    let beyond = (others.len() + 1).saturating_sub(MOST_DEVICES);
    dropped.extend(others.into_iter().take(beyond).cloned());
    released.extend(dropped.iter().cloned());

    // A member's row has the channel, so one that changes is more than a refresh.
    let refresh = owner.is_some_and(|owner| owner.is(client, &device.key))
        && own.is_some_and(|own| has_token(own) && own.channel == device.channel)
        && twins.is_empty()
        && dropped.is_empty();
    let change = Change {
        device,
        dropped,
        twins: twins.into_iter().cloned().collect(),
        taken: taken.map(|(client, held)| (client, held.clone())),
        released,
    };
    if refresh { Plan::Refresh(change) } else { Plan::Move(change) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::delivery::Channel;
    use crate::id::{DeviceKey, Token};
    use crate::time::Timestamp;

    fn app() -> AppId {
        AppId::parse("demo").unwrap()
    }

    fn client(name: &str) -> ClientId {
        ClientId::parse(name).unwrap()
    }

    fn device(id: &str, token: &str, at: u64) -> Device {
        Device {
            key: DeviceKey::of("ios", id),
            channel: Channel::Sns,
            token: Token::parse(token).unwrap(),
            endpoint: Some(format!("endpoint-of-{token}")),
            sandbox: false,
            registered_at: Timestamp::from_millis(at),
            framework: None,
            locale: None,
        }
    }

    fn fresh(id: &str, token: &str) -> Device {
        Device { endpoint: None, ..device(id, token, 1_000) }
    }

    fn seen(devices: &[Device]) -> Seen {
        Seen { devices: devices.to_vec(), ..Seen::default() }
    }

    fn owner(name: &str, id: &str) -> Owner {
        Owner { client: client(name), device: DeviceKey::of("ios", id) }
    }

    fn moved(plan: Plan) -> Change {
        match plan {
            Plan::Move(change) => change,
            Plan::Refresh(change) => unreachable!("a refresh: {change:?}"),
        }
    }

    #[test]
    fn the_same_device_with_the_same_token_is_refreshed_and_keeps_its_endpoint() {
        let mine = seen(&[device("d1", "aa", 1)]);
        let plan = plan(&app(), &client("u1"), fresh("d1", "aa"), Some(&owner("u1", "d1")), &mine, None);
        let Plan::Refresh(change) = plan else { unreachable!("not a refresh: {plan:?}") };
        assert_eq!(change.device.endpoint.as_deref(), Some("endpoint-of-aa"));
        assert_eq!(change.device.registered_at, Timestamp::from_millis(1_000));
        assert!(change.released.is_empty());
    }

    #[test]
    fn a_device_without_its_row_is_written_again_whole() {
        let mine = seen(&[device("d1", "aa", 1)]);
        let change = moved(plan(&app(), &client("u1"), fresh("d1", "aa"), None, &mine, None));
        assert!(change.dropped.is_empty() && change.twins.is_empty() && change.taken.is_none());
    }

    #[test]
    fn a_token_that_moves_takes_its_endpoint_along() {
        let theirs = seen(&[device("d9", "aa", 1), device("d8", "bb", 1)]);
        let plan = plan(&app(), &client("u1"), fresh("d1", "AA"), Some(&owner("u2", "d9")), &seen(&[]), Some(&theirs));
        let change = moved(plan);
        assert_eq!(change.taken, Some((client("u2"), device("d9", "aa", 1))));
        assert_eq!(change.device.endpoint.as_deref(), Some("endpoint-of-aa"));
        assert!(change.released.is_empty());
    }

    #[test]
    fn an_endpoint_of_the_other_platform_application_is_released() {
        let mine = seen(&[device("d1", "aa", 1)]);
        let sandboxed = Device { sandbox: true, ..fresh("d1", "aa") };
        let plan = plan(&app(), &client("u1"), sandboxed, Some(&owner("u1", "d1")), &mine, None);
        let Plan::Refresh(change) = plan else { unreachable!("not a refresh: {plan:?}") };
        assert_eq!(change.device.endpoint, None);
        assert_eq!(change.released, [device("d1", "aa", 1)]);
    }

    #[test]
    fn another_token_on_the_same_device_releases_the_former_one() {
        let mine = seen(&[device("d1", "aa", 1)]);
        let change = moved(plan(&app(), &client("u1"), fresh("d1", "bb"), None, &mine, None));
        assert_eq!(change.dropped, [device("d1", "aa", 1)]);
        assert_eq!(change.released, [device("d1", "aa", 1)]);
        assert_eq!(change.device.endpoint, None);
    }

    #[test]
    fn the_same_client_s_token_under_another_device_leaves_that_device() {
        let mine = seen(&[device("d1", "aa", 1)]);
        let change = moved(plan(&app(), &client("u1"), fresh("d2", "aa"), Some(&owner("u1", "d1")), &mine, None));
        assert_eq!(change.twins, [device("d1", "aa", 1)]);
        assert!(change.dropped.is_empty() && change.released.is_empty());
        assert_eq!(change.device.endpoint.as_deref(), Some("endpoint-of-aa"));
    }

    #[test]
    fn the_oldest_device_goes_when_a_21st_comes() {
        let held: Vec<Device> =
            (0..20_u64).map(|i| device(&format!("d{i}"), &format!("token{i}"), 100 + (i * 7) % 20)).collect();
        let change = moved(plan(&app(), &client("u1"), fresh("new", "new"), None, &seen(&held), None));
        assert_eq!(change.dropped, [device("d0", "token0", 100)]);
        let same_place = moved(plan(&app(), &client("u1"), fresh("d5", "new"), None, &seen(&held), None));
        assert_eq!(same_place.dropped.len(), 1, "a new token in an old place evicts nobody");
        assert_eq!(same_place.dropped[0].key, DeviceKey::of("ios", "d5"));
    }
}
