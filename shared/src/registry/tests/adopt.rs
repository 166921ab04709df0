//! Devices that an older system knew.

use super::super::{Adopted, Kept};
use super::*;

impl Tables {
    async fn adopt(&self, client: &str, device: &Device) -> Adopted {
        self.registry.adopt(&app(), &super::client(client), device).await.unwrap()
    }

    async fn adopt_unseen(&self, client: &str, device: &Device) -> bool {
        self.registry.adopt_unseen(&app(), &super::client(client), device).await.unwrap()
    }
}

#[tokio::test]
async fn an_adopted_device_takes_nothing_from_anybody() {
    let tables = Tables::new().await;
    assert_eq!(tables.adopt("u1", &device("d1", "aa", 1)).await, Adopted::Now { unseen: true });
    assert_eq!(tables.owner("aa").await.unwrap().0, "u1");
    let kept = async |client: &str, device: Device| tables.adopt(client, &device).await;
    assert_eq!(kept("u1", device("d1", "AA", 2)).await, Adopted::Kept(Kept::SameDevice), "known already");
    assert_eq!(kept("u2", device("d2", "aa", 3)).await, Adopted::Kept(Kept::OtherOwner), "another client has it now");
    assert_eq!(kept("u1", device("d2", "aa", 3)).await, Adopted::Kept(Kept::OtherOwner), "under another name");
    assert_eq!(kept("u1", device("d1", "bb", 4)).await, Adopted::Kept(Kept::OtherToken), "it has another token now");
    assert_eq!(tables.devices("u1").await, [device("d1", "aa", 1)]);
    for n in 0..19 {
        let one_more = kept("u1", device(&format!("more{n}"), &format!("cc{n:02}"), n)).await;
        assert_eq!(one_more, Adopted::Now { unseen: false });
    }
    assert_eq!(kept("u1", device("one", "dd", 9)).await, Adopted::Kept(Kept::Full));
    assert_eq!((tables.devices("u1").await.len(), tables.owner("dd").await), (20, None));
    tables.is_consistent().await;
}

#[tokio::test]
async fn what_was_adopted_before_is_told_by_its_time() {
    let tables = Tables::new().await;
    assert_eq!(tables.adopt("u1", &device("d1", "aa", 7)).await, Adopted::Now { unseen: true });
    assert_eq!(tables.adopt("u1", &device("d1", "aa", 7)).await, Adopted::Before);
    assert_eq!(tables.adopt("u1", &device("d1", "aa", 8)).await, Adopted::Kept(Kept::SameDevice));
    tables.register("u1", device("d1", "aa", 9)).await;
    assert_eq!(tables.adopt("u1", &device("d1", "aa", 7)).await, Adopted::Kept(Kept::SameDevice), "its app was there");
}

#[tokio::test]
async fn an_adopted_device_keeps_the_endpoint_that_it_brings_and_a_registered_one_does_not() {
    let tables = Tables::new().await;
    let with_endpoint = |id: &str, token: &str| Device { endpoint: Some("e-1".to_owned()), ..device(id, token, 1) };
    tables.adopt("u1", &with_endpoint("d1", "aa")).await;
    assert!(tables.adopt_unseen("u2", &with_endpoint("d2", "bb")).await);
    assert_eq!(tables.devices("u1").await, [with_endpoint("d1", "aa")]);
    assert_eq!(tables.devices("u2").await, [with_endpoint("d2", "bb")]);
    assert_eq!(tables.register("u3", with_endpoint("d3", "cc")).await.device, device("d3", "cc", 1));
    assert_eq!(tables.register("u1", device("d1", "aa", 2)).await.device.endpoint.as_deref(), Some("e-1"));
}

#[tokio::test]
async fn nothing_is_adopted_unseen_where_something_is_there() {
    let tables = Tables::new().await;
    tables.register("u1", device("d1", "aa", 1)).await;
    assert!(!tables.adopt_unseen("u2", &device("d2", "aa", 2)).await, "another client has the token");
    assert!(!tables.adopt_unseen("u1", &device("d1", "bb", 2)).await, "the client has devices");
    let tag = crate::id::Tag::parse("team").unwrap();
    tables.registry.add_tags(&app(), &client("u3"), &[tag].into(), Timestamp::from_millis(1)).await.unwrap();
    assert!(!tables.adopt_unseen("u3", &device("d3", "cc", 2)).await, "the device would lack its tag");
    tables.recipients.mute(&app(), &client("u4"), &RoomKey::of("room")).await.unwrap();
    assert!(tables.adopt_unseen("u4", &device("d4", "dd", 2)).await, "preferences are in nobody's way");
    assert_eq!(tables.adopt("u4", &device("d4", "dd", 2)).await, Adopted::Before);
    tables.is_consistent().await;
}

#[tokio::test]
async fn what_would_be_adopted_is_told_and_not_done() {
    let tables = Tables::new().await;
    let would =
        async |device: &Device, more| tables.registry.would_adopt(&app(), &client("u1"), device, more).await.unwrap();
    assert_eq!(would(&device("d1", "aa", 1), 0).await, Adopted::Now { unseen: true });
    assert_eq!(would(&device("d1", "aa", 1), 20).await, Adopted::Kept(Kept::Full));
    tables.register("u2", device("d2", "aa", 1)).await;
    assert_eq!(would(&device("d1", "aa", 1), 0).await, Adopted::Kept(Kept::OtherOwner));
    assert!(tables.devices("u1").await.is_empty());
}
