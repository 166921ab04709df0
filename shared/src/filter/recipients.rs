//! The recipient's own rules: how a message comes to them, and what they have asked for.

use std::collections::BTreeSet;

use super::Rule;
use crate::id::RoomKey;
use crate::recipient::{Recipient, Zone};
use crate::time::Timestamp;

/// How a message comes to a recipient.
#[derive(Debug, Clone, Copy, Default)]
pub struct Approach<'a> {
    /// The room that it was written in.
    pub room: Option<&'a RoomKey>,
    /// Who has written it.
    pub sender: Option<&'a str>,
    /// Whether it reaches the recipient past a muted room or sender: it mentions them in a way that the app's setting lets through.
    pub mentioned: bool,
}

/// The first rule of the recipient's own that keeps the message from them: [`Rule::SenderBlocked`], [`Rule::PushOff`],
/// [`Rule::RoomMuted`], [`Rule::SenderMuted`], in this order. A mention overrides the last two.
#[must_use]
pub fn refused(recipient: &Recipient, approach: &Approach<'_>) -> Option<Rule> {
    let preferences = &recipient.preferences;
    let by_one_of = |senders: &BTreeSet<String>| approach.sender.is_some_and(|sender| senders.contains(sender));
    if by_one_of(&preferences.blocked_senders) {
        Some(Rule::SenderBlocked)
    } else if preferences.off {
        Some(Rule::PushOff)
    } else if approach.mentioned {
        None
    } else if approach.room.is_some_and(|room| recipient.muted.contains(room)) {
        Some(Rule::RoomMuted)
    } else if by_one_of(&preferences.muted_senders) {
        Some(Rule::SenderMuted)
    } else {
        None
    }
}

/// Whether it is quiet where the recipient is: by the clocks of their own zone, else of the app's, else of UTC. Our deliveries are
/// silent then; a push that somebody else sends is refused by [`Rule::QuietHours`].
#[must_use]
pub fn is_quiet(recipient: &Recipient, app_zone: Option<&Zone>, now: Timestamp) -> bool {
    let preferences = &recipient.preferences;
    let zone = preferences.zone.as_ref().or(app_zone);
    preferences.quiet.is_some_and(|hours| match zone {
        Some(zone) => hours.hold_at(zone, now),
        None => hours.hold_at(&Zone::default(), now),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::recipient::QuietHours;

    const SENDER: &str = "bob";

    /// Whom one rule each, and a mention, may hold for: a bit each.
    fn case(bits: u32) -> (Recipient, RoomKey, bool) {
        let bit = |n: u32| bits & (1 << n) != 0;
        let room = RoomKey::of("room");
        let mut recipient = Recipient::default();
        // What others are blocked and muted for changes nothing.
        recipient.preferences.blocked_senders.insert("eve".to_owned());
        recipient.preferences.muted_senders.insert("mallory".to_owned());
        recipient.muted.insert(RoomKey::of("elsewhere"));
        if bit(0) {
            recipient.preferences.blocked_senders.insert(SENDER.to_owned());
        }
        recipient.preferences.off = bit(1);
        if bit(2) {
            recipient.muted.insert(room.clone());
        }
        if bit(3) {
            recipient.preferences.muted_senders.insert(SENDER.to_owned());
        }
        (recipient, room, bit(4))
    }

    #[test]
    fn of_all_combinations_the_first_rule_in_the_order_is_the_answer_and_none_if_none_holds() {
        for bits in 0..32_u32 {
            let (recipient, room, mentioned) = case(bits);
            for (room, sender) in [(Some(&room), Some(SENDER)), (None, Some(SENDER)), (Some(&room), None), (None, None)]
            {
                let order = [
                    (Rule::SenderBlocked, sender.is_some()),
                    (Rule::PushOff, true),
                    (Rule::RoomMuted, room.is_some() && !mentioned),
                    (Rule::SenderMuted, sender.is_some() && !mentioned),
                ];
                let first = order.into_iter().enumerate().find(|(n, (_, applies))| *applies && bits & (1 << n) != 0);
                let approach = Approach { room, sender, mentioned };
                assert_eq!(refused(&recipient, &approach), first.map(|(_, (rule, _))| rule), "{bits:b} {approach:?}");
            }
        }
    }

    #[test]
    fn the_client_s_zone_tells_the_quiet_hours_then_the_app_s_then_utc() {
        let zone = |name: &str| Zone::parse(name).unwrap();
        let noon = Timestamp::from_rfc3339("2026-01-10T12:30:00Z").unwrap();
        let mut recipient = Recipient::default();
        assert!(!is_quiet(&recipient, None, noon));
        // 12:30 in UTC, 13:30 in Berlin, 21:30 in Tokyo.
        let quiet = |recipient: &mut Recipient, from: &str, to: &str| {
            recipient.preferences.quiet = Some(QuietHours::parse(from, to).unwrap());
        };
        quiet(&mut recipient, "12:00", "13:00");
        assert!(is_quiet(&recipient, None, noon));
        assert!(!is_quiet(&recipient, Some(&zone("Europe/Berlin")), noon));
        quiet(&mut recipient, "13:00", "14:00");
        assert!(is_quiet(&recipient, Some(&zone("Europe/Berlin")), noon));
        recipient.preferences.zone = Some(zone("Asia/Tokyo"));
        assert!(!is_quiet(&recipient, Some(&zone("Europe/Berlin")), noon));
        quiet(&mut recipient, "21:00", "06:00");
        assert!(is_quiet(&recipient, Some(&zone("Europe/Berlin")), noon));
    }
}
