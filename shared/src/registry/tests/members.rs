//! Audiences: whatever happens to devices, tags, aliases and attributes, the members' rows are what the items say.

use proptest::prelude::*;

use super::*;
use crate::id::{Alias, Tag};
use crate::recipient::{AttributesChange, MOST_TAG_BYTES, MOST_TAGS};
use crate::registry::{Audience, LabelError, Member, Place};

/// The key of a member's row, spelled anew: what is stored may not change unnoticed.
pub(super) fn row(audience: &Audience, client: &ClientId, device: &DeviceKey) -> (String, String) {
    let [byte] = crate::id::digest(&[client.as_str().as_bytes()]);
    let partition = match audience {
        Audience::All => format!("demo#all#{}", byte % 16),
        Audience::Tag(tag) => format!("demo#tag#{}#{tag}", byte % 4),
        Audience::Alias(alias) => format!("demo#alias#0#{alias}"),
        Audience::Attribute(key) => format!("demo#attr#{}#{}", byte % 4, key.as_str()),
    };
    (partition, format!("{client}\u{1}{}", device.as_str()))
}

fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

pub(super) fn tags(names: &[&str]) -> BTreeSet<Tag> {
    names.iter().map(|name| tag(name)).collect()
}

pub(super) fn many(n: usize) -> BTreeSet<Tag> {
    (0..n).map(|n| tag(&format!("t{n}"))).collect()
}

fn alias(name: &str) -> Alias {
    Alias::parse(name).unwrap()
}

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_000);

impl Tables {
    pub(super) async fn add_tags(&self, name: &str, tags: &BTreeSet<Tag>) -> Result<(), LabelError> {
        self.registry.add_tags(&app(), &client(name), tags, NOW).await
    }

    pub(super) async fn set_alias(&self, name: &str, alias: Option<&str>) -> Result<(), LabelError> {
        let alias = alias.map(self::alias);
        self.registry.set_alias(&app(), &client(name), alias.as_ref(), NOW).await
    }

    pub(super) async fn labels(&self, name: &str) -> Labels {
        self.registry.labels(&app(), &client(name)).await.unwrap()
    }

    /// Every member of an audience, page by page of `most`.
    async fn members(&self, audience: &Audience, most: Option<u16>) -> Vec<Member> {
        let mut members = Vec::new();
        for shard in 0..audience.shards() {
            let mut after = None;
            loop {
                let page = self.registry.members(&app(), audience, shard, (after.as_ref(), None), most).await.unwrap();
                members.extend(page.members);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        members
    }

    pub(super) async fn of(&self, audience: &Audience) -> BTreeSet<(String, DeviceKey)> {
        let members = self.members(audience, None).await;
        members.into_iter().map(|member| (member.client.into(), member.device)).collect()
    }

    /// `u1` has `n` devices with tokens of their own.
    pub(super) async fn with_devices(n: u64) -> Self {
        let tables = Self::new().await;
        for i in 0..n {
            tables.register("u1", device(&format!("d{i}"), &format!("token{i}"), i)).await;
        }
        tables
    }
}

pub(super) fn one(name: &str, device: &str) -> BTreeSet<(String, DeviceKey)> {
    BTreeSet::from([(name.to_owned(), key(device))])
}

#[tokio::test]
async fn every_device_is_in_all_and_in_its_client_s_tags_and_alias_whenever_it_came() {
    let tables = Tables::new().await;
    tables.add_tags("u1", &tags(&["vip"])).await.unwrap();
    tables.set_alias("u1", Some("anna")).await.unwrap();
    tables.is_consistent().await;
    assert!(tables.of(&Audience::Tag(tag("vip"))).await.is_empty());
    tables.register("u1", device("d1", "aa", 1)).await;
    tables.add_tags("u1", &tags(&["de"])).await.unwrap();
    tables.register("u2", device("d2", "bb", 1)).await;
    for audience in [Audience::Tag(tag("vip")), Audience::Tag(tag("de")), Audience::Alias(alias("anna"))] {
        assert_eq!(tables.of(&audience).await, one("u1", "d1"), "{audience:?}");
    }
    assert_eq!(tables.of(&Audience::All).await.len(), 2);
    tables.registry.remove_tags(&app(), &client("u1"), &tags(&["de", "other"])).await.unwrap();
    assert!(tables.of(&Audience::Tag(tag("de"))).await.is_empty());
    let labels = Labels { tags: tags(&["vip"]), alias: Some(alias("anna")), ..Labels::default() };
    assert_eq!(tables.labels("u1").await, labels);
    tables.is_consistent().await;
}

#[tokio::test]
async fn a_member_is_one_since_it_came_however_often_it_registers() {
    let tables = Tables::new().await;
    tables.register("u1", device("d1", "aa", 5)).await;
    tables.register("u1", device("d1", "aa", 9)).await;
    tables.register("u1", device("d1", "bb", 10)).await;
    let [member] = tables.members(&Audience::All, None).await.try_into().unwrap();
    let since = Timestamp::from_millis(5);
    assert_eq!(member, Member { client: client("u1"), device: key("d1"), channel: Channel::Sns, since });
    tables.add_tags("u1", &tags(&["vip"])).await.unwrap();
    assert_eq!(tables.members(&Audience::Tag(tag("vip")), None).await[0].since, NOW);
    tables.register("u2", device("d2", "bb", 20)).await;
    assert_eq!(tables.members(&Audience::All, None).await[0].since, Timestamp::from_millis(20), "another's now");
    tables.is_consistent().await;
}

#[tokio::test]
async fn a_device_that_changes_its_road_says_so_in_its_rows() {
    let tables = Tables::new().await;
    tables.register("u1", device("d1", "aa", 5)).await;
    tables.register("u1", Device { channel: Channel::Apns, ..device("d1", "aa", 9) }).await;
    let [member] = tables.members(&Audience::All, None).await.try_into().unwrap();
    assert_eq!((member.channel, member.since), (Channel::Apns, Timestamp::from_millis(5)));
    tables.is_consistent().await;
}

#[tokio::test]
async fn pages_of_any_size_show_every_member_once_and_an_interval_ends_where_it_should() {
    let tables = Tables::new().await;
    for n in 0..12 {
        for d in 0..=n % 3 {
            tables.register(&format!("u{n}"), device(&format!("d{d}"), &format!("t{n}-{d}"), 1)).await;
        }
        tables.add_tags(&format!("u{n}"), &tags(&["#1"])).await.unwrap();
    }
    for audience in [Audience::All, Audience::Tag(tag("#1"))] {
        let all = tables.members(&audience, None).await;
        assert_eq!(all.len(), 24);
        for most in [1, 2, 7] {
            assert_eq!(tables.members(&audience, Some(most)).await, all);
        }
    }
    for shard in 0..16 {
        let read = async |after: Option<&Place>, through: Option<&Place>| {
            let page = tables.registry.members(&app(), &Audience::All, shard, (after, through), None).await.unwrap();
            assert_eq!(page.next, None);
            page.members
        };
        let whole = read(None, None).await;
        for cut in &whole {
            let behind = Place::behind(&cut.client);
            let (before, after) = (read(None, Some(&behind)).await, read(Some(&behind), None).await);
            assert_eq!([before.clone(), after].concat(), whole, "no place is in two intervals or in none");
            assert_eq!(before.last().unwrap().client, cut.client, "a client's devices are in one interval");
            let exact = cut.place();
            let split = [read(None, Some(&exact)).await, read(Some(&exact), None).await].concat();
            assert_eq!(split, whole);
        }
    }
}

#[tokio::test]
async fn an_alias_is_one_client_s_until_that_client_gives_it_up() {
    let tables = Tables::with_devices(2).await;
    tables.register("u2", device("d9", "zz", 1)).await;
    tables.set_alias("u1", Some("anna")).await.unwrap();
    assert!(matches!(tables.set_alias("u2", Some("anna")).await, Err(LabelError::Taken)));
    assert_eq!(tables.registry.alias_owner(&app(), &alias("anna")).await.unwrap(), Some(client("u1")));
    tables.is_consistent().await;
    // The same client moves to another alias: the former one is free.
    tables.set_alias("u1", Some("anna b.")).await.unwrap();
    tables.set_alias("u2", Some("anna")).await.unwrap();
    tables.is_consistent().await;
    tables.set_alias("u1", None).await.unwrap();
    assert_eq!(tables.registry.alias_owner(&app(), &alias("anna b.")).await.unwrap(), None);
    assert_eq!(tables.of(&Audience::Alias(alias("anna"))).await, one("u2", "d9"));
    tables.registry.erase(&app(), &client("u2")).await.unwrap();
    assert_eq!(tables.registry.alias_owner(&app(), &alias("anna")).await.unwrap(), None);
    tables.is_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_clients_who_want_one_alias_at_once_one_gets_it() {
    let tables = Tables::with_devices(1).await;
    tables.register("u2", device("d9", "zz", 1)).await;
    for round in 0..10 {
        let name = format!("a{round}");
        let (one, two) = tokio::join!(tables.set_alias("u1", Some(&name)), tables.set_alias("u2", Some(&name)));
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        tables.is_consistent().await;
    }
}

#[tokio::test]
async fn tags_are_capped_by_number_and_bytes_and_then_nothing_changes() {
    let tables = Tables::with_devices(1).await;
    tables.add_tags("u1", &many(MOST_TAGS)).await.unwrap();
    tables.add_tags("u1", &tags(&["t0"])).await.unwrap();
    assert!(matches!(tables.add_tags("u1", &tags(&["t0", "more"])).await, Err(LabelError::TooManyTags)));
    assert_eq!(tables.labels("u1").await.tags, many(MOST_TAGS));
    let long = |n: usize| -> BTreeSet<Tag> { (0..n).map(|n| tag(&format!("{n:0>64}"))).collect() };
    tables.add_tags("u2", &long(MOST_TAG_BYTES / 64)).await.unwrap();
    assert!(matches!(tables.add_tags("u2", &tags(&["x"])).await, Err(LabelError::TooLong)));
    tables.is_consistent().await;
}

#[tokio::test]
async fn twenty_devices_with_fifty_tags_change_step_by_step_and_leave_nothing() {
    let tables = Tables::with_devices(20).await;
    tables.set_alias("u1", Some("anna")).await.unwrap();
    tables.add_tags("u1", &many(MOST_TAGS)).await.unwrap();
    tables.is_consistent().await;
    assert_eq!(tables.of(&Audience::Tag(tag("t49"))).await.len(), 20);
    // A 21st comes with a token of another client who has as many tags: three devices' rows do not fit one transaction.
    tables.register("u2", device("d1", "zz", 1)).await;
    tables.add_tags("u2", &many(MOST_TAGS)).await.unwrap();
    let registered = tables.register("u1", device("new", "zz", 99)).await;
    let mut released = registered.released;
    released.sort_by_key(|device| device.registered_at);
    assert_eq!(released, [device("d0", "token0", 0), device("d1", "zz", 1)]);
    tables.is_consistent().await;
    assert_eq!(tables.of(&Audience::Tag(tag("t0"))).await.len(), 20);
    tables.registry.remove_tags(&app(), &client("u1"), &many(25)).await.unwrap();
    tables.is_consistent().await;
    assert_eq!(tables.registry.erase(&app(), &client("u1")).await.unwrap().len(), 20);
    tables.is_consistent().await;
    assert!(tables.everything("registry").await.is_empty());
}

/// What may happen to two clients who have two phones between them, or three.
#[derive(Debug, Clone)]
enum Event {
    Register { client: u8, device: u8, token: u8, channel: bool },
    Unregister { client: u8, device: u8 },
    Dead { client: u8, device: u8, token: u8 },
    Tag { client: u8, tags: Vec<u8>, on: bool },
    Alias { client: u8, alias: Option<u8> },
    Attributes { client: u8, said: Vec<(u8, Option<u8>)> },
    Erase { client: u8 },
}

fn event() -> impl Strategy<Value = Event> {
    let (client, device, token) = (0..2_u8, 0..3_u8, 0..4_u8);
    prop_oneof![
        4 => (client.clone(), device.clone(), token.clone(), any::<bool>())
            .prop_map(|(client, device, token, channel)| Event::Register { client, device, token, channel }),
        1 => (client.clone(), device.clone()).prop_map(|(client, device)| Event::Unregister { client, device }),
        1 => (client.clone(), device, token).prop_map(|(client, device, token)| Event::Dead { client, device, token }),
        3 => (client.clone(), proptest::collection::vec(0..4_u8, 0..4), any::<bool>())
            .prop_map(|(client, tags, on)| Event::Tag { client, tags, on }),
        2 => (client.clone(), proptest::option::of(0..2_u8)).prop_map(|(client, alias)| Event::Alias { client, alias }),
        3 => (client.clone(), proptest::collection::vec((0..3_u8, proptest::option::of(0..2_u8)), 0..3))
            .prop_map(|(client, said)| Event::Attributes { client, said }),
        1 => client.prop_map(|client| Event::Erase { client }),
    ]
}

async fn happen((registry, recipients): (Arc<Registry>, Arc<Recipients>), event: Event, at: u64) {
    let app = app();
    let client = |n: u8| self::client(&format!("u{n}"));
    let device = |device: u8, token: u8, channel: bool| Device {
        channel: if channel { Channel::Apns } else { Channel::Sns },
        ..self::device(&format!("d{device}"), &format!("token{token}"), at)
    };
    match event {
        Event::Register { client: c, device: d, token, channel } => {
            registry.register(&app, &client(c), device(d, token, channel)).await.unwrap();
        }
        Event::Unregister { client: c, device: d } => {
            registry.unregister(&app, &client(c), Which::Key(&key(&format!("d{d}")))).await.unwrap();
        }
        Event::Dead { client: c, device: d, token } => {
            let before = Timestamp::from_millis(at);
            registry.remove_dead(&app, &client(c), &device(d, token, false), before).await.unwrap();
        }
        Event::Tag { client: c, tags, on } => {
            let tags = tags.iter().map(|n| tag(&format!("t{n}"))).collect();
            if on {
                registry.add_tags(&app, &client(c), &tags, Timestamp::from_millis(at)).await.unwrap();
            } else {
                registry.remove_tags(&app, &client(c), &tags).await.unwrap();
            }
        }
        Event::Alias { client: c, alias } => {
            let alias = alias.map(|n| self::alias(&format!("a{n}")));
            match registry.set_alias(&app, &client(c), alias.as_ref(), Timestamp::from_millis(at)).await {
                Ok(()) | Err(LabelError::Taken) => {}
                Err(error) => unreachable!("{error}"),
            }
        }
        Event::Attributes { client: c, said } => {
            let mut change = AttributesChange::default();
            for (name, value) in said {
                change.say(&format!("a{name}"), &serde_json::json!(value)).unwrap();
            }
            recipients.change_attributes(&app, &client(c), &change).await.unwrap();
            registry.index_attributes(&app, &client(c), &indexed(), Timestamp::from_millis(at)).await.unwrap();
        }
        Event::Erase { client: c } => {
            registry.erase(&app, &client(c)).await.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]

    /// Two events at once each time: whichever writes first, the other sees it or is refused.
    #[test]
    fn whatever_happens_to_devices_and_labels_the_rows_are_what_the_items_say(
        pairs in proptest::collection::vec((event(), proptest::option::of(event())), 1..14),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let tables = Tables::new().await;
            for (at, (one, other)) in pairs.into_iter().enumerate() {
                let at = 1 + at as u64;
                let stores = || (tables.registry.clone(), tables.recipients.clone());
                let one = tokio::spawn(happen(stores(), one, at));
                let other = other.map(|other| tokio::spawn(happen(stores(), other, at)));
                one.await.unwrap();
                if let Some(other) = other {
                    other.await.unwrap();
                }
                tables.is_consistent().await;
            }
        });
    }
}
