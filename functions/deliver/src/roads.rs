//! Which of a recipient's devices a message is for, in the order in which they are sent to.

use pushbell::id::DeviceKey;
use pushbell::message::{Family, Roads, Strategy};
use pushbell::recipient::Device;
use pushbell::task::{Fate, Outcome, Target};

/// The devices of `target` that are there, and the fates of those that are not any more. A device on a road that the message does not
/// take is no target: it has no fate, unless it was one already.
pub(crate) fn pick<'a>(target: &Target, devices: &'a [Device], roads: &Roads) -> (Vec<&'a Device>, Vec<Fate>) {
    let takes = |device: &Device| rank(device, roads).is_some();
    let (mut picked, gone): (Vec<&Device>, Vec<Fate>) = match target {
        Target::Fresh(_) | Target::With { .. } => (devices.iter().filter(|device| takes(device)).collect(), Vec::new()),
        Target::Chosen { only: keys, .. } | Target::Left { devices: keys, .. } => {
            let owed = matches!(target, Target::Left { .. });
            let is_gone = |device: Option<&Device>| device.is_none_or(|device| owed && !takes(device));
            let named = |key: &DeviceKey| devices.iter().find(|device| device.key == *key);
            let gone = keys.iter().filter(|key| is_gone(named(key)));
            let gone = gone.map(|key| Fate::of_device(key.clone(), None, Outcome::Gone)).collect();
            (devices.iter().filter(|device| keys.contains(&device.key) && takes(device)).collect(), gone)
        }
    };
    picked.sort_by_key(|device| rank(device, roads));
    (picked, gone)
}

/// A device's place in the order of sends; `None` when the message does not take its road. Apple's phones have no other road than
/// theirs, and what goes over a live connection takes none.
fn rank(device: &Device, roads: &Roads) -> Option<usize> {
    let family = if device.channel.is_apple() { Family::Apple } else { Family::Android };
    if roads.only.is_some_and(|only| only != family) {
        return None;
    }
    if roads.android.is_empty() || roads.strategy == Strategy::Online || device.channel.is_apple() {
        return Some(0);
    }
    roads.android.iter().position(|channel| *channel == device.channel).map(|place| place + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use pushbell::delivery::Channel;
    use pushbell::id::{ClientId, Token};
    use pushbell::time::Timestamp;

    use super::*;

    fn devices(list: &[(&str, Channel)]) -> Vec<Device> {
        let device = |(name, channel): &(&str, Channel)| Device {
            key: DeviceKey::of("any", name),
            channel: *channel,
            token: Token::parse(*name).unwrap(),
            endpoint: None,
            sandbox: false,
            registered_at: Timestamp::from_millis(1),
            framework: None,
            locale: None,
        };
        list.iter().map(device).collect()
    }

    fn keys(names: &[&str]) -> Vec<DeviceKey> {
        names.iter().map(|name| DeviceKey::of("any", name)).collect()
    }

    fn picked(target: &Target, devices: &[Device], roads: &Roads) -> (Vec<String>, Vec<DeviceKey>) {
        let (picked, gone) = pick(target, devices, roads);
        assert!(gone.iter().all(|fate| fate.outcome == Outcome::Gone));
        let picked = picked.iter().map(|device| device.token.expose().to_owned()).collect();
        (picked, gone.into_iter().filter_map(|fate| fate.device).collect())
    }

    fn over(android: &[Channel]) -> Roads {
        Roads { android: android.to_vec(), ..Roads::default() }
    }

    const THREE: [(&str, Channel); 3] = [("f", Channel::Fcm), ("h", Channel::Huawei), ("i", Channel::Sns)];

    #[test]
    fn androids_whose_vendor_is_not_named_are_no_targets_and_the_others_go_in_its_order() {
        let fresh = Target::Fresh(ClientId::parse("aaa").unwrap());
        let of = |roads: &Roads| picked(&fresh, &devices(&THREE), roads).0;
        assert_eq!(of(&Roads::default()), ["f", "h", "i"]);
        assert_eq!(of(&over(&[Channel::Huawei, Channel::Fcm])), ["i", "h", "f"]);
        assert_eq!(of(&over(&[Channel::Fcm])), ["i", "f"]);
        assert_eq!(of(&over(&[Channel::Vivo])), ["i"]);
        let only = |family| Roads { only: Some(family), ..Roads::default() };
        assert_eq!(of(&only(Family::Apple)), ["i"]);
        assert_eq!(of(&only(Family::Android)), ["f", "h"]);
        let online = Roads { strategy: Strategy::Online, ..over(&[Channel::Vivo]) };
        assert_eq!(of(&online).len(), 3, "vendors' channels do not matter to it");
    }

    #[test]
    fn of_the_chosen_those_that_left_are_gone_and_those_on_another_road_are_no_targets() {
        let chosen = Target::Chosen { client: ClientId::parse("aaa").unwrap(), only: keys(&["x", "h", "f"]) };
        let all = picked(&chosen, &devices(&THREE), &Roads::default());
        assert_eq!(all, (vec!["f".to_owned(), "h".to_owned()], keys(&["x"])));
        let fcm = picked(&chosen, &devices(&THREE), &over(&[Channel::Fcm]));
        assert_eq!(fcm, (vec!["f".to_owned()], keys(&["x"])));
    }

    #[test]
    fn what_is_left_over_was_a_target_and_stays_one() {
        let left = Target::Left {
            client: ClientId::parse("aaa").unwrap(),
            devices: keys(&["x", "h", "f"]),
            not_before: None,
            channels: Vec::new(),
            tries: 1,
            was: None,
            values: None,
        };
        let (picked, gone) = picked(&left, &devices(&THREE), &over(&[Channel::Fcm]));
        assert_eq!((picked, gone), (vec!["f".to_owned()], keys(&["x", "h"])));
    }
}
