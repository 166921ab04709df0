#![allow(clippy::unwrap_used)]

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const DOWN: Class = Class::Retry { after: None };

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn app() -> AppId {
    AppId::parse("demo").unwrap()
}

/// Hears of a send that took no time.
async fn tell(breaker: &Breaker, channel: Channel, pass: Pass, class: Class, now: Timestamp) {
    breaker.tell(channel, pass, class, now, now).await;
}

/// Fails ten sends that have hung, as an environment sees them.
async fn fail(breaker: &Breaker, now: Timestamp) {
    for _ in 0..10 {
        breaker.tell(Channel::Fcm, Pass::Free, DOWN, now.minus(Duration::from_secs(5)), now).await;
    }
}

#[tokio::test]
async fn a_vendor_that_is_down_is_left_alone_by_every_environment_within_ten_seconds() {
    let (env, _) = crate::test_tables::start().await;
    let (one, other) = (Breakers::new(&env).unwrap().of(&app()), Breakers::new(&env).unwrap().of(&app()));
    assert_eq!(one.pass(Channel::Fcm, NOW).await, Pass::Free);
    assert_eq!(other.pass(Channel::Fcm, NOW).await, Pass::Free);
    fail(&one, NOW).await;
    assert_eq!(one.pass(Channel::Fcm, at(1)).await, Pass::Wait(at(10)), "at once here");
    assert_eq!(one.pass(Channel::Sns, at(1)).await, Pass::Free, "another channel is another vendor");
    assert_eq!(other.pass(Channel::Fcm, at(9)).await, Pass::Free, "the row is read every ten seconds");
    fail(&other, at(9)).await;
    assert_eq!(other.pass(Channel::Fcm, at(9)).await, Pass::Wait(at(10)), "who was first says until when");
    let third = Breakers::new(&env).unwrap().of(&app());
    assert_eq!(third.pass(Channel::Fcm, at(2)).await, Pass::Wait(at(10)), "an environment without experience");
}

#[tokio::test]
async fn one_probe_at_a_time_finds_out_and_closes_for_everybody() {
    let (env, _) = crate::test_tables::start().await;
    let (one, other) = (Breakers::new(&env).unwrap().of(&app()), Breakers::new(&env).unwrap().of(&app()));
    assert_eq!(one.waits(Channel::Fcm, NOW), None, "nothing is known yet");
    fail(&one, NOW).await;
    one.refresh(NOW).await;
    assert_eq!(one.waits(Channel::Fcm, at(9)), Some(at(10)));
    assert_eq!(one.waits(Channel::Fcm, at(10)), None, "somebody has to find out");
    assert_eq!(one.pass(Channel::Fcm, at(10)).await, Pass::Probe);
    assert_eq!(one.pass(Channel::Fcm, at(11)).await, Pass::Wait(at(17)));
    assert_eq!(one.waits(Channel::Fcm, at(11)), Some(at(17)));
    assert_eq!(other.pass(Channel::Fcm, at(11)).await, Pass::Wait(at(17)), "across environments");
    tell(&one, Channel::Fcm, Pass::Probe, Class::DeadToken, at(12)).await;
    assert_eq!(one.pass(Channel::Fcm, at(12)).await, Pass::Free, "an answer is an answer");
    assert_eq!(other.pass(Channel::Fcm, at(21)).await, Pass::Free);
}

#[tokio::test]
async fn a_breaker_that_was_closed_elsewhere_stays_closed_whatever_was_under_way() {
    let (env, _) = crate::test_tables::start().await;
    let (one, other) = (Breakers::new(&env).unwrap().of(&app()), Breakers::new(&env).unwrap().of(&app()));
    fail(&one, NOW).await;
    for _ in 0..200 {
        tell(&one, Channel::Fcm, Pass::Free, DOWN, at(1)).await;
    }
    assert_eq!(other.pass(Channel::Fcm, at(10)).await, Pass::Probe);
    tell(&other, Channel::Fcm, Pass::Probe, Class::Delivered, at(10)).await;
    assert_eq!(one.pass(Channel::Fcm, at(11)).await, Pass::Free);
    tell(&one, Channel::Fcm, Pass::Free, Class::Delivered, at(11)).await;
    assert_eq!(one.pass(Channel::Fcm, at(11)).await, Pass::Free);
    let third = Breakers::new(&env).unwrap().of(&app());
    assert_eq!(third.pass(Channel::Fcm, at(11)).await, Pass::Free);
}

#[tokio::test]
async fn what_an_environment_opened_itself_stays_open_though_the_row_does_not_say_so_yet() {
    let (env, client) = crate::test_tables::start().await;
    let breaker = Breakers::new(&env).unwrap().of(&app());
    tell(&breaker, Channel::Fcm, Pass::Free, Class::QuotaUntil(at(60)), NOW).await;
    let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    client.delete_item().table_name("tasks").key("pk", key("b#demo")).key("sk", key("-")).send().await.unwrap();
    assert_eq!(breaker.pass(Channel::Fcm, at(30)).await, Pass::Wait(at(60)));
    assert_eq!(breaker.pass(Channel::Fcm, at(61)).await, Pass::Free, "the row has the last word");
}

#[tokio::test]
async fn a_failed_probe_opens_for_twice_as_long_and_a_lost_one_is_followed_by_another() {
    let (env, _) = crate::test_tables::start().await;
    let (one, other) = (Breakers::new(&env).unwrap().of(&app()), Breakers::new(&env).unwrap().of(&app()));
    fail(&one, NOW).await;
    assert_eq!(one.pass(Channel::Fcm, at(10)).await, Pass::Probe);
    tell(&one, Channel::Fcm, Pass::Probe, DOWN, at(15)).await;
    assert_eq!(one.pass(Channel::Fcm, at(16)).await, Pass::Wait(at(35)));
    assert_eq!(one.pass(Channel::Fcm, at(35)).await, Pass::Probe);
    // It dies with its environment.
    assert_eq!(other.pass(Channel::Fcm, at(41)).await, Pass::Wait(at(42)));
    assert_eq!(other.pass(Channel::Fcm, at(42)).await, Pass::Probe);
}

#[tokio::test]
async fn a_quota_that_is_used_up_opens_at_once_and_a_retry_after_is_kept() {
    let (env, _) = crate::test_tables::start().await;
    let breaker = Breakers::new(&env).unwrap().of(&app());
    tell(&breaker, Channel::Xiaomi, Pass::Free, Class::QuotaUntil(at(7_200)), NOW).await;
    assert_eq!(breaker.pass(Channel::Xiaomi, at(100)).await, Pass::Wait(at(7_200)));
    for _ in 0..10 {
        let throttled = Class::Throttled { after: Some(Duration::from_secs(120)) };
        breaker.tell(Channel::Fcm, Pass::Free, throttled, NOW.minus(Duration::from_secs(1)), NOW).await;
    }
    assert_eq!(breaker.pass(Channel::Fcm, at(1)).await, Pass::Wait(at(120)));
}

#[tokio::test]
async fn without_the_table_an_environment_goes_by_what_it_knows() {
    let (env, client) = crate::test_tables::start().await;
    client.delete_table().table_name("tasks").send().await.unwrap();
    let breaker = Breakers::new(&env).unwrap().of(&app());
    assert_eq!(breaker.pass(Channel::Fcm, NOW).await, Pass::Free);
    fail(&breaker, NOW).await;
    assert_eq!(breaker.pass(Channel::Fcm, at(1)).await, Pass::Wait(at(10)));
    assert_eq!(breaker.pass(Channel::Fcm, at(10)).await, Pass::Probe);
    assert_eq!(breaker.pass(Channel::Fcm, at(11)).await, Pass::Wait(at(17)), "one at a time");
    tell(&breaker, Channel::Fcm, Pass::Probe, Class::Delivered, at(12)).await;
    assert_eq!(breaker.pass(Channel::Fcm, at(12)).await, Pass::Free);
}

#[test]
fn it_stays_open_longer_with_every_failed_probe_up_to_five_minutes() {
    let seconds: Vec<u64> = (0..8).map(|trips| open_for(trips, None).as_secs()).collect();
    assert_eq!(seconds, [10, 20, 40, 80, 160, 300, 300, 300]);
    assert_eq!(open_for(0, Some(Duration::from_secs(77))).as_secs(), 77);
    assert_eq!(open_for(5, Some(Duration::from_secs(77))).as_secs(), 300);
}
