use super::*;

/// The samples in the order of a life, with the status that each has.
const SAMPLES: [(&str, u16); 40] = [
    ("kinvey-register-ios", 204),
    ("kinvey-register-android", 204),
    ("kinvey-devices", 200),
    ("kinvey-unregister", 204),
    ("imkit-subscribe-fcm", 200),
    ("imkit-subscribe-ios-api-key", 200),
    ("imkit-mute", 200),
    ("imkit-unmute", 200),
    ("imkit-notification-disable", 200),
    ("imkit-notification-enable", 200),
    ("preferences-change", 200),
    ("preferences-show", 200),
    ("attributes-change", 200),
    ("attributes-show", 200),
    ("lanying-push-off", 200),
    ("lanying-push-limit", 200),
    ("lanying-push-detail", 200),
    ("lanying-push-nickname", 200),
    ("lanying-register-push", 200),
    ("lanying-token-bind", 200),
    ("lanying-device-list", 200),
    ("lanying-alias", 200),
    ("lanying-tags-add", 200),
    ("lanying-tags", 200),
    ("lanying-tags-remove", 200),
    ("lanying-tags-clear", 200),
    ("lanying-badge", 200),
    ("lanying-token-unbind", 200),
    ("lanying-device-remove", 200),
    ("hook-badges-set", 200),
    ("hook-badges-get", 200),
    ("hook-badges-post", 200),
    ("hook-badges-of-client", 200),
    ("badges-own", 200),
    ("badges-read-room", 200),
    ("badges-read-all", 200),
    ("imkit-unsubscribe", 200),
    ("erase-me", 200),
    ("erase-client", 200),
    ("erase-client", 200),
];

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/devices")
}

#[tokio::test]
async fn every_sample_is_answered_as_it_should_be() {
    let cloud = Cloud::new().await;
    for (name, status) in SAMPLES {
        let event = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let answer = answer(&cloud, &event).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        if name.starts_with("lanying-") {
            // HTTP's status says nothing there.
            assert_eq!((&answer.body["code"], &answer.body["message"]), (&json!(200), &Value::Null), "{name}");
        }
    }
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    let mut known: Vec<&str> = SAMPLES.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    known.dedup();
    assert_eq!(files, known);
}
