//! One small world for each finding: the judge has to see it, and nothing else.

use super::super::facts::{Read, Span};
use super::*;
use pushbell_local::phones::Channel;

const AT: Ms = 1_000_000;

fn span(begun: Ms) -> Span {
    Span { begun: AT + begun, answered: AT + begun + 10 }
}

fn device(token: &str, client: usize) -> Device {
    Device {
        token: token.to_owned(),
        channel: Channel::Fcm,
        holds: vec![Hold { client, from: span(0), until: None }],
        died: None,
        called_dead_for: Vec::new(),
    }
}

fn message(id: &str, to: &[usize], begun: Ms, task: u64) -> Message {
    let call = Call { span: span(begun), to: to.to_vec(), task, troubled: false };
    Message {
        id: id.to_owned(),
        room: "room".to_owned(),
        recalls: None,
        recalled: false,
        expired: false,
        calls: vec![call],
    }
}

fn push(token: &str, id: &str, at: Ms) -> Accepted {
    Accepted {
        token: token.to_owned(),
        channel: Channel::Fcm,
        received: true,
        silent: false,
        id: id.to_owned(),
        badge: None,
        at: AT + at,
    }
}

/// Two clients with a phone each; a message to each of them, delivered as it should be.
fn world() -> (Facts, Seen) {
    let facts = Facts {
        clients: vec!["a".to_owned(), "b".to_owned()],
        devices: vec![device("phone-a", 0), device("phone-b", 1)],
        messages: vec![message("m1", &[0], 100, 1), message("m2", &[1], 200, 2)],
        quiet: vec![AT + 900, AT + 100_000],
        ..Facts::default()
    };
    let sums = |n| Sums { finals: n, ..Sums::default() };
    let seen = Seen {
        pushes: vec![push("phone-a", "m1", 150), push("phone-b", "m2", 250)],
        badges: vec![1, 1],
        tokens: [("a", "phone-a"), ("b", "phone-b")]
            .map(|(client, token)| (client.to_owned(), BTreeSet::from([token.to_owned()])))
            .into(),
        sums: BTreeMap::from([(1, sums(1)), (2, sums(1))]),
    };
    (facts, seen)
}

/// The names of what was found.
fn found(facts: &Facts, seen: &Seen) -> Vec<&'static str> {
    let verdict = judge(facts, seen);
    verdict.violations().iter().filter(|(_, found)| !found.is_empty()).map(|(name, _)| *name).collect()
}

#[test]
fn a_world_in_order_is_clean() {
    let (facts, seen) = world();
    let verdict = judge(&facts, &seen);
    assert!(verdict.is_clean());
    assert_eq!((verdict.owed, verdict.accepted, verdict.repeats), (2, 2, 0));
}

#[test]
fn a_push_that_is_nowhere_is_lost() {
    let (facts, mut seen) = world();
    seen.pushes.pop();
    assert_eq!(found(&facts, &seen), ["lost"]);
}

#[test]
fn a_text_on_another_client_s_phone_is_seen() {
    let (facts, mut seen) = world();
    seen.pushes.push(push("phone-b", "m1", 160));
    assert_eq!(found(&facts, &seen), ["delivered to the wrong client"]);
}

#[test]
fn a_phone_that_moved_may_have_what_was_under_way_and_nothing_later() {
    let (mut facts, mut seen) = world();
    let moved = Span { begun: AT + 300, answered: AT + 310 };
    facts.devices[0].holds[0].until = Some(moved);
    facts.devices[0].holds.push(Hold { client: 1, from: moved, until: None });
    seen.tokens = [("b".to_owned(), ["phone-a", "phone-b"].map(str::to_owned).into())].into();
    seen.pushes[0].received = false;
    seen.pushes.push(push("phone-a", "m1", 890));
    let verdict = judge(&facts, &seen);
    assert!(verdict.is_clean());
    assert_eq!(verdict.overlapping, 1);
    seen.pushes[2].received = false;
    seen.pushes.push(push("phone-a", "m1", 901));
    assert_eq!(found(&facts, &seen), ["delivered to the wrong client"], "nobody was working at 900");
}

#[test]
fn what_a_phone_shows_twice_is_seen_and_what_it_replaced_is_a_repeat() {
    let (facts, mut seen) = world();
    seen.pushes.push(push("phone-a", "m1", 160));
    assert_eq!(found(&facts, &seen), ["shown twice (alerts)"]);
    seen.pushes[0].received = false;
    let verdict = judge(&facts, &seen);
    assert!(verdict.is_clean());
    assert_eq!(verdict.repeats, 1);
}

#[test]
fn a_badge_too_high_was_counted_twice_and_one_too_low_was_not_counted() {
    let (facts, mut seen) = world();
    seen.badges[0] = 2;
    assert_eq!(found(&facts, &seen), ["counted twice"]);
    seen.badges[0] = 0;
    assert_eq!(found(&facts, &seen), ["not counted"]);
}

#[test]
fn a_straggler_beyond_the_horizon_may_be_uncounted() {
    let (mut facts, mut seen) = world();
    for n in 0..250 {
        facts.messages.push(message(&format!("n{n}"), &[0], 300 + n, 10 + u64::try_from(n).unwrap_or_default()));
        seen.pushes.push(push("phone-a", &format!("n{n}"), 320 + n));
        seen.sums.insert(10 + u64::try_from(n).unwrap_or_default(), Sums { finals: 1, ..Sums::default() });
    }
    seen.badges[0] = 250;
    assert_eq!(found(&facts, &seen), ["not counted"], "it was sent before them");
    seen.pushes[0].at = AT + 800;
    let verdict = judge(&facts, &seen);
    assert!(verdict.is_clean());
    assert_eq!(verdict.uncounted.len(), 1);
}

#[test]
fn a_read_room_counts_from_the_read_on_and_what_meets_the_read_may_count() {
    let (mut facts, mut seen) = world();
    let read = |at: Ms| Read { client: 0, room: "room".to_owned(), span: span(at) };
    facts.reads.push(read(300));
    assert_eq!(found(&facts, &seen), ["counted twice"], "the message was there before");
    seen.badges[0] = 0;
    assert!(judge(&facts, &seen).is_clean());
    facts.reads[0] = read(105);
    for badge in [0, 1] {
        seen.badges[0] = badge;
        let verdict = judge(&facts, &seen);
        assert!(verdict.is_clean());
        assert_eq!(verdict.intervals, 1);
    }
}

#[test]
fn what_was_read_or_muted_before_is_not_shown() {
    let (mut facts, mut seen) = world();
    facts.reads.push(Read { client: 0, room: "room".to_owned(), span: span(120) });
    seen.badges[0] = 0;
    seen.pushes[0].at = AT + 1_000;
    assert_eq!(found(&facts, &seen), ["shown though muted or read"]);
    facts.reads.clear();
    facts.muted.push((0, "room".to_owned()));
    assert_eq!(found(&facts, &seen), ["shown though muted or read"]);
}

#[test]
fn outcomes_that_do_not_add_up_and_a_callback_that_is_two_tasks_are_seen() {
    let (mut facts, mut seen) = world();
    seen.sums.insert(1, Sums { finals: 2, ..Sums::default() });
    assert_eq!(found(&facts, &seen), ["stats differences"]);
    seen.sums.insert(1, Sums { finals: 1, ..Sums::default() });
    seen.sums.insert(3, Sums { finals: 1, ..Sums::default() });
    let again = Call { task: 3, ..facts.messages[0].calls[0].clone() };
    facts.messages[0].calls.push(again);
    assert_eq!(found(&facts, &seen), ["stats differences"]);
    facts.messages[0].calls[1].troubled = true;
    assert!(judge(&facts, &seen).is_clean(), "a caller who was refused in between may have two");
}

#[test]
fn tokens_that_stay_and_tokens_that_go_are_seen() {
    let (mut facts, mut seen) = world();
    facts.devices[0].died = Some(AT + 50);
    assert_eq!(found(&facts, &seen), ["dead tokens left"]);
    facts.devices[0].died = None;
    seen.tokens.remove("a");
    assert_eq!(found(&facts, &seen), ["live tokens deleted"]);
}
