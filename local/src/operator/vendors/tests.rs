#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

const KEY: &str = r#"{"key": "s3cret", "key_id": "ABC123DEFG", "team_id": "TEAM123456", "topic": "com.example.app"}"#;

#[test]
fn an_apns_document_is_a_key_or_a_certificate_and_is_written_as_it_is_read() {
    for text in [KEY, r#"{"certificate": "c", "private_key": "s3cret"}"#] {
        let document = ApnsDocument::parse(text).unwrap();
        let written: serde_json::Value = serde_json::to_value(&document).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(text).unwrap());
        assert!(!format!("{document:?}").contains("s3cret"));
    }
}

#[test]
fn an_apns_document_that_is_none_is_told_by_field_and_rule_and_never_by_value() {
    for (text, says) in [
        ("{", "malformed at line 1, column 1"),
        (r#"{"key": 1}"#, "malformed at line 1, column 9"),
        (r#"{"keys": "s3cret"}"#, "malformed at line 1, column 7"),
        ("{}", "key is missing"),
        (r#"{"private_key": "s3cret"}"#, "certificate is missing"),
        (r#"{"key": "s3cret", "private_key": "s3cret"}"#, "it is one of the two"),
        (r#"{"key": "s3cret", "key_id": "s3cret"}"#, "key_id is ten capital letters and digits"),
        (r#"{"key": "s3cret", "topic": "s3cret/"}"#, "topic is a bundle id"),
    ] {
        let told = ApnsDocument::parse(text).unwrap_err().to_string();
        assert!(told.contains(says) && !told.contains("s3cret"), "{told}");
    }
}
