//! The number on the icon: as the phone says it, and as a caller wants it.

use super::*;

#[tokio::test]
async fn what_a_phone_shows_becomes_the_badge_and_other_sources_stay() {
    let store = store().await;
    let shows = async |n| {
        let set =
            store.set_shown(&app(), &client(), "phone", n, BadgeFrom::Rooms, T.plus(Duration::from_secs(1))).await;
        let recipient = set.unwrap();
        (recipient.badge(BadgeFrom::Rooms), recipient.unread.len())
    };
    assert_eq!(shows(0).await, (0, 0));
    assert_eq!(store.get(&app(), &client(), true).await.unwrap(), None, "nobody is made by nothing");
    store.counts(&message("m1", T)).await;
    assert_eq!(shows(7).await, (7, 1), "a message that is unread stays so");
    assert_eq!(shows(3).await, (3, 1));
    store.counts(&message("m2", T)).await;
    assert_eq!(store.badge().await, 4);
    assert_eq!(shows(1).await, (1, 0), "less than is unread: everything was seen");
    assert_eq!(store.counts(&message("m3", T)).await, Some(NotCounted::Read), "what was on its way too");
    store.set_source(&app(), &client(), "orders", 2).await.unwrap();
    assert_eq!(shows(5).await, (5, 0));
    assert_eq!(shows(0).await, (2, 0), "orders are not the phone's");
    assert_eq!(store.now().await.sources.get("phone"), None);
    store.set_source(&app(), &client(), "imkit", 4).await.unwrap();
    let imkit = store.set_shown(&app(), &client(), "phone", 9, BadgeFrom::Imkit, T).await.unwrap();
    assert_eq!((imkit.badge(BadgeFrom::Imkit), imkit.sources["phone"]), (9, 3));
}

#[tokio::test]
async fn a_total_is_one_write_at_most_and_none_where_the_badge_is_it_already() {
    let store = store().await;
    let written = || store.units().unwrap().snapshot().1;
    let total = async |n| {
        let before = written();
        let set = store.set_total(&app(), &client(), "badge", n, BadgeFrom::Rooms).await;
        (set.unwrap().badge(BadgeFrom::Rooms), written() - before)
    };
    assert_eq!(total(0).await, (0, 0.0));
    assert_eq!(store.get(&app(), &client(), true).await.unwrap(), None, "nobody is made by nothing");
    assert_eq!(total(3).await, (3, 1.0));
    // "+2", as a count has it.
    let added = Counting { counter: names::source("badge"), n: 2, room: None, ..message("n1", T) };
    assert_eq!(store.counts(&added).await, None);
    assert_eq!((store.badge().await, written()), (5, 1.0), "a count is no other write");
    assert_eq!(total(7).await, (7, 1.0));
    assert_eq!(total(7).await, (7, 0.0));
    store.counts(&message("m1", T)).await;
    store.counts(&message_in(&RoomKey::of("other"), "m2", T)).await;
    assert_eq!(total(4).await, (4, 1.0), "the source gives way before the rooms do");
    assert_eq!(store.now().await.unread.len(), 2);
    assert_eq!(total(1).await, (2, 1.0), "what is unread stays so");
    assert_eq!(total(0).await, (2, 0.0));
    assert_eq!(store.counts(&message("m3", T)).await, None, "what was on its way is counted");
    assert_eq!(total(9).await, (9, 1.0));
    store.set_source(&app(), &client(), "orders", 5).await.unwrap();
    assert_eq!(total(0).await, (8, 1.0), "other sources are not the caller's");
    assert_eq!(total(0).await, (8, 0.0));
    assert_eq!(store.now().await.sources.get("badge"), None);
}

#[tokio::test]
async fn a_total_and_a_count_at_the_same_time_lose_nothing() {
    let store = store().await;
    for n in 0..100 {
        let (total, other) = (n % 7 + 5, Counting { counter: names::source("badge"), ..message(&format!("b{n}"), T) });
        let (app, client) = (app(), client());
        let counts = async {
            store.counts(&message(&format!("m{n}"), T)).await;
            store.counts(&Counting { room: None, ..other }).await;
        };
        let set = store.set_total(&app, &client, "badge", total, BadgeFrom::Rooms);
        let (set, ()) = tokio::join!(set, counts);
        set.unwrap();
        // Each count came before the total or after it.
        let badge = store.badge().await;
        assert!((total..=total + 2).contains(&badge), "{badge} after {total}");
        store.read_room(&app, &client, &room(), Reading::Written(T.minus(Duration::from_secs(1)))).await.unwrap();
        store.set_source(&app, &client, "badge", 0).await.unwrap();
    }
}

#[tokio::test]
async fn who_has_too_many_sources_keeps_the_badge() {
    let store = store().await;
    for n in 0..MOST_SOURCES {
        store.set_source(&app(), &client(), &format!("s{n}"), 1).await.unwrap();
    }
    let set = store.set_total(&app(), &client(), "badge", 99, BadgeFrom::Rooms).await.unwrap();
    assert_eq!(set.badge(BadgeFrom::Rooms), u32::try_from(MOST_SOURCES).unwrap());
}
