#![allow(clippy::unwrap_used)]
use super::*;
use crate::tally::{About, Event};
use crate::time::Timestamp;

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn counts(events: &[(Vendor, Stage, i64, u64)]) -> Counts {
    let mut counts = Counts::default();
    for (vendor, stage, code, n) in events {
        let event = Event {
            key: String::new(),
            about: About::Push(String::new()),
            vendor: *vendor,
            stage: *stage,
            code: *code,
            info: if *code == 0 { String::new() } else { "Unregistered, \"it\" says".to_owned() },
            at: Timestamp::from_millis(0),
        };
        (0..*n).for_each(|_| counts.add(&event));
    }
    counts
}

fn days() -> BTreeMap<Day, Counts> {
    let first = counts(&[
        (Vendor::Fcm, Stage::Sent, 0, 6),
        (Vendor::Apns, Stage::Sent, 0, 3),
        (Vendor::Apns, Stage::Sent, 987_654, 1),
        (Vendor::Fcm, Stage::Delivered, 0, 4),
        (Vendor::Fcm, Stage::Clicked, 0, 1),
    ]);
    let last = counts(&[(Vendor::Fcm, Stage::Delivered, 987_654, 2)]);
    BTreeMap::from([(day("2026-01-30"), first), (day("2026-02-01"), last)])
}

fn asked(by: By) -> Asked {
    Asked { from: day("2026-01-30"), to: day("2026-02-01"), by, form: Form::Json }
}

#[test]
fn a_query_is_refused_by_its_parameter_and_rule() {
    let refused = |query: &str| Asked::parse(query, None).unwrap_err().to_string();
    for (query, says) in [
        ("", "from is missing"),
        ("from=2026-01-01", "to is missing"),
        ("from=2026-1-1&to=2026-01-02", "from is no day like 2026-01-31"),
        ("from=2026-01-02&to=2026-01-01", "to is before from"),
        ("from=2026-01-01&to=2026-02-01", "from and to are more than 31 days"),
        ("from=2026-01-01&to=2026-01-01&by=hour", "by is not day, vendor or class"),
        ("from=2026-01-01&to=2026-01-01&format=xml", "format is not json or csv"),
        ("from=2026-01-01&from=2026-01-01&to=2026-01-01", "from is there twice"),
        ("from=%ff&to=2026-01-01", "from is not UTF-8"),
    ] {
        assert_eq!(refused(query), says, "{query}");
    }
    let month = Asked::parse("to=2026-01-31&from=2026-01-01", None).unwrap();
    assert_eq!((month.by, month.form), (By::Day, Form::Json));
    let form = |format: &str, accept: Option<&str>| {
        Asked::parse(&format!("from=2026-01-01&to=2026-01-01{format}"), accept).unwrap().form
    };
    assert_eq!(form("", Some("text/csv")), Form::Csv);
    assert_eq!(form("", Some("text/csv; q=0.9, */*")), Form::Csv);
    assert_eq!(form("&format=json", Some("text/csv")), Form::Json);
    assert_eq!(form("&format=csv", None), Form::Csv);
}

#[test]
fn days_are_all_there_with_their_rates() {
    let data = asked(By::Day).json(&days());
    let rows = data["rows"].as_array().unwrap();
    assert_eq!(
        rows.iter().map(|row| row["day"].as_str().unwrap()).collect::<Vec<_>>(),
        ["2026-01-30", "2026-01-31", "2026-02-01"]
    );
    assert_eq!(
        (&rows[0]["sent"], &rows[0]["delivered"], &rows[0]["clicked"], &rows[0]["failed"]),
        (&json!(9), &json!(4), &json!(1), &json!(1))
    );
    assert_eq!(rows[0]["failed_by_class"]["unrecognised"], 1);
    assert_eq!(
        (&rows[0]["sent_rate"], &rows[0]["delivered_rate"], &rows[0]["clicked_rate"]),
        (&json!(0.9), &json!(0.4444), &json!(0.25))
    );
    assert_eq!((&rows[1]["sent"], &rows[1]["sent_rate"]), (&json!(0), &Value::Null));
    // What failed later was sent all the same.
    assert_eq!((&rows[2]["failed"], &rows[2]["sent_rate"]), (&json!(2), &Value::Null));
    assert_eq!(
        (&data["total"]["sent"], &data["total"]["failed"], &data["total"]["sent_rate"]),
        (&json!(9), &json!(3), &json!(0.9))
    );
    assert_eq!(data["codes"].as_array().unwrap().len(), 2);
    assert_eq!(data["codes"][0]["err_code"], 987_654);
}

#[test]
fn vendors_and_classes_have_a_row_where_something_was_reported() {
    let rows = |by: By| asked(by).json(&days())["rows"].clone();
    let vendors = rows(By::Vendor);
    assert_eq!(
        (&vendors[0]["vendor"], &vendors[0]["sent"], &vendors[0]["failed"]),
        (&json!("apns"), &json!(3), &json!(1))
    );
    assert_eq!(
        (&vendors[1]["vendor"], &vendors[1]["sent"], &vendors[1]["delivered_rate"]),
        (&json!("fcm"), &json!(6), &json!(0.6667))
    );
    let classes = rows(By::Class);
    assert_eq!(classes[0], json!({"class": "ok", "sent": 9, "delivered": 4, "clicked": 1}));
    assert_eq!(classes[1], json!({"class": "unrecognised", "sent": 1, "delivered": 2, "clicked": 0}));
    assert_eq!(classes.as_array().unwrap().len(), 2);
}

#[test]
fn lines_hold_the_same_rows() {
    let failures = "dead_token,retry,throttled,quota,misconfigured,bad_message,unrecognised";
    let head = format!("day,sent,delivered,clicked,failed,{failures},sent_rate,delivered_rate,clicked_rate\r\n");
    let rows = "2026-01-30,9,4,1,1,0,0,0,0,0,0,1,0.9,0.4444,0.25\r\n\
                2026-01-31,0,0,0,0,0,0,0,0,0,0,0,,,\r\n\
                2026-02-01,0,0,0,2,0,0,0,0,0,0,2,,,\r\n";
    assert_eq!(asked(By::Day).csv(&days()), head + rows);
    assert_eq!(asked(By::Class).csv(&days()), "class,sent,delivered,clicked\r\nok,9,4,1\r\nunrecognised,1,2,0\r\n");
}

#[test]
fn a_push_is_told_with_the_vendor_s_own_codes() {
    let counts = counts(&[(Vendor::Apns, Stage::Sent, 987_654, 1), (Vendor::Apns, Stage::Sent, 0, 1)]);
    let object = object_of("p1", Some(&counts));
    assert_eq!(
        (&object["push_id"], &object["found"], &object["sent"], &object["failed"]),
        (&json!("p1"), &json!(true), &json!(1), &json!(1))
    );
    assert_eq!(object["vendors"]["apns"]["sent"], 1);
    assert_eq!(
        object["codes"],
        json!([{
            "vendor": "apns", "push_platform": 1, "stage": "sent", "push_stage": 1, "class": "unrecognised",
            "err_code": 987_654, "err_info": "Unregistered, \"it\" says", "count": 1,
        }])
    );
    let unknown = object_of("p2", None);
    assert_eq!((&unknown["found"], &unknown["sent"], &unknown["codes"]), (&json!(false), &json!(0), &json!([])));
}
