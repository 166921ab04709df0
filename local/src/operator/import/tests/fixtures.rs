//! What each file of `events/import` becomes, as its README has it.

use std::io::Write as _;

use pushbell::delivery::Channel;
use serde_json::Value;

use super::*;

/// Name, format, users without a token; imported, kept, left out, refused, failed.
const FILES: [(&str, Format, u64, [u64; 5]); 7] = [
    ("pinpoint-endpoints.jsonl", Format::Pinpoint, 0, [4, 1, 2, 5, 0]),
    ("pinpoint-endpoints.csv", Format::Pinpoint, 0, [4, 1, 2, 5, 0]),
    ("kinvey-users.json", Format::Kinvey, 2, [6, 2, 0, 3, 0]),
    ("kinvey-users.jsonl", Format::Kinvey, 2, [4, 0, 0, 0, 0]),
    ("imkit-subscriptions.jsonl", Format::Imkit, 0, [5, 2, 0, 4, 0]),
    ("openim-fcm-tokens.csv", Format::Openim, 0, [6, 1, 0, 4, 0]),
    ("gorush-tokens.csv", Format::Plain, 0, [5, 1, 0, 5, 0]),
];

fn code(refused: u64) -> u8 {
    if refused > 0 { 3 } else { 0 }
}

#[tokio::test]
async fn every_file_becomes_what_its_readme_says_in_a_dry_run_and_in_earnest() {
    let bench = Bench::start().await;
    let before = bench.written().await;
    for (name, from, without, expected) in FILES {
        let file = bench.fixture(name);
        let dry = Import { dry_run: true, ..of(&file, from) };
        let (planned, report) = bench.import_as(&dry, hasty()).await.unwrap();
        assert_eq!((sums(&planned.counts), planned.counts.without), (expected, without), "{name}, dry");
        assert_eq!((planned.exit_code(), planned.refused), (code(expected[3]), None), "{name}");
        assert!(report.ends_with("a dry run: nothing was written\n"));
        assert_eq!(bench.written().await, before, "{name}: a dry run writes nothing");
        assert!(!beside(&file, ".progress").exists() && !beside(&file, ".refused.csv").exists());
    }
    for (name, from, without, expected) in FILES {
        let file = bench.fixture(name);
        let dry = bench.import_as(&Import { dry_run: true, ..of(&file, from) }, hasty()).await.unwrap().0;
        let done = bench.import(&file, from).await.unwrap();
        assert_eq!((sums(&done.counts), done.counts.without), (expected, without), "{name}");
        assert_eq!((done.exit_code(), &done.counts), (code(expected[3]), &dry.counts), "{name}");
        assert_eq!(done.refused.is_some(), expected[3] > 0);
        if expected[3] > 0 {
            assert_eq!(u64::try_from(bench.refused(&file).len()).unwrap(), expected[3] + 1, "{name}");
        }
        // The same again does nothing, and its report is the same.
        assert_eq!(bench.import(&file, from).await.unwrap(), done, "{name}, again");
        // Another import of it finds everything there.
        std::fs::remove_file(beside(&file, ".progress")).unwrap();
        let again = sums(&bench.import(&file, from).await.unwrap().counts);
        assert_eq!(again, [0, expected[0] + expected[1], expected[2], expected[3], 0], "{name}, anew");
    }
}

#[tokio::test]
async fn a_refused_row_is_told_by_line_field_and_reason_and_never_by_its_token() {
    let bench = Bench::start().await;
    let mut refused = Vec::new();
    for (name, from, ..) in FILES {
        let file = bench.fixture(name);
        let (_, report) = bench.import_as(&of(&file, from), hasty()).await.unwrap();
        let progress = std::fs::read_to_string(beside(&file, ".progress")).unwrap();
        let listed = std::fs::read_to_string(beside(&file, ".refused.csv")).unwrap_or_default();
        for text in [&report, &progress, &listed] {
            assert!(!text.contains("APA91b") && !text.to_lowercase().contains("fa4efa4e"), "{name}: {text}");
        }
        refused.extend(listed.lines().skip(1).map(|line| format!("{from:?} {line}")));
    }
    let expected = [
        "Pinpoint 5,ChannelType,\"is EMAIL, which is no push\"",
        "Pinpoint 6,ChannelType,\"is APNS_VOIP, which is not delivered to\"",
        "Pinpoint 7,ChannelType,\"is BAIDU, which is not delivered to\"",
        "Pinpoint 10,User.UserId,is missing",
        "Pinpoint 12,Address,holds a character that is not allowed",
        "Pinpoint 7,ChannelType,\"is SMS, which is no push\"",
        "Pinpoint 8,ChannelType,\"is EMAIL, which is no push\"",
        "Pinpoint 11,User.UserId,is missing",
        "Pinpoint 12,ChannelType,\"is APNS_VOIP_SANDBOX, which is not delivered to\"",
        "Pinpoint 13,ChannelType,is missing",
        "Kinvey 137,token,is missing",
        "Kinvey 157,token,holds a character that is not allowed",
        "Kinvey 177,_id,is missing",
        "Imkit 4,type,\"is \"\"web\"\", which is not delivered to\"",
        "Imkit 5,type,\"is \"\"ios-voip\"\", which is not delivered to\"",
        "Imkit 7,clientId,is missing",
        "Imkit 11,token,is missing",
        "Openim 8,platformID,is neither 1 (iOS) nor 2 (Android)",
        "Openim 9,platformID,is neither 1 (iOS) nor 2 (Android)",
        "Openim 10,fcmToken,is missing",
        "Openim 11,userID,is missing",
        "Plain 7,client,is missing",
        "Plain 9,platform,\"is neither \"\"ios\"\" nor \"\"android\"\"\"",
        "Plain 10,token,holds a character that is not allowed",
        "Plain 11,sandbox,is neither true nor false",
        "Plain 12,client,holds a character that is not allowed",
    ];
    assert_eq!(refused, expected);
}

#[tokio::test]
async fn devices_are_what_their_records_say() {
    let bench = Bench::start().await;
    for (name, from, ..) in FILES {
        bench.import(&bench.fixture(name), from).await.unwrap();
    }
    /// Channel, sandbox, endpoint, locale.
    type Told = (Channel, bool, Option<String>, Option<String>);
    let told = async |client: &str| -> Vec<Told> {
        let devices = bench.devices(client).await.into_iter();
        devices.map(|device| (device.channel, device.sandbox, device.endpoint, device.locale)).collect()
    };
    let locale = |tag: &str| Some(tag.to_owned());
    let production = |tag: Option<String>| (Channel::Sns, false, None, tag);
    let fcm = |tag: Option<String>| (Channel::Fcm, false, None, tag);
    // Pinpoint.
    assert_eq!(told("u-1001").await, [fcm(locale("en-US")), production(locale("de-DE"))]);
    assert_eq!(told("u-1002").await, [(Channel::Sns, true, None, locale("en-DE"))]);
    assert_eq!(told("王秀兰-Zoë").await, [fcm(locale("zh-Hans-CN"))]);
    assert_eq!(told("Muster, Jörg").await, [(Channel::Sns, true, None, None)]);
    // Kinvey: an ARN is kept if it is of one of the app's own platform applications.
    let arn = |end: &str| Some(format!("00000000-fa4e-3000-8000-{end}"));
    assert_eq!(told("5058c666474f050906000001").await, [fcm(None), (Channel::Sns, false, arn("000000000001"), None)]);
    assert_eq!(told("5058c666474f050906000002").await, [production(None)]);
    assert_eq!(told("5058c666474f050906000003").await, [(Channel::Sns, true, arn("000000000003"), None)]);
    assert_eq!(told("5058c666474f050906000021").await, [fcm(None), (Channel::Sns, false, arn("000000000041"), None)]);
    assert_eq!(told("5058c666474f050906000006").await, []);
    // OpenIM: an iPhone's FCM token is FCM's.
    assert_eq!(told("u8801").await, [fcm(None), fcm(None)]);
    // Our own columns.
    let ann = bench.devices("Smith, \"Ann\"").await.remove(0);
    assert_eq!((ann.framework.as_deref(), ann.locale.as_deref()), (Some("flutter"), Some("zh-Hans-CN")));
    assert_eq!(ann.key, DeviceKey::of("android", "inst-0004"));
    assert_eq!(told("bob").await, [(Channel::Sns, true, None, None)]);
    // A platform application that endpoints are kept of is noted, so that what SNS tells of them is found.
    let registry = Registry::new(&bench.deployment.env).unwrap();
    let apps = registry.apps_of("arn:aws:sns:us-east-1:000000000000:app/APNS_SANDBOX/demo").await.unwrap();
    assert_eq!(apps, [AppId::parse("demo").unwrap()]);
}

#[tokio::test]
async fn a_packed_file_an_array_and_lines_become_the_same() {
    let bench = Bench::start().await;
    let lines = std::fs::read(bench.fixture("imkit-subscriptions.jsonl")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&lines).unwrap();
    let values: Vec<Value> =
        lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let array = serde_json::to_vec_pretty(&values).unwrap();
    let files = [bench.input("packed.gz", packed.finish().unwrap()), bench.input("array", array)];
    for file in files {
        let dry = Import { dry_run: true, ..of(&file, Format::Imkit) };
        let (outcome, _) = bench.import_as(&dry, hasty()).await.unwrap();
        assert_eq!(sums(&outcome.counts), [5, 2, 0, 4, 0]);
    }
}
