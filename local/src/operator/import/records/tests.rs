#![allow(clippy::unwrap_used)]
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::*;

const COLUMNS: Option<&[&str]> = Some(&["a"]);

fn source(content: &[u8]) -> (tempfile::TempDir, Source) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    std::fs::write(&path, content).unwrap();
    let source = Source::open(&path).unwrap();
    (folder, source)
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

/// All records; then those behind each of them must be the same when the reading begins there.
fn read(content: &[u8]) -> Result<Vec<Record>, ReadError> {
    let (_folder, source) = source(content);
    let from = |place: Option<Place>| {
        let mut records = Records::open(&source, COLUMNS, place)?;
        let mut all = Vec::new();
        while let Some(record) = records.next()? {
            all.push(record);
        }
        Ok::<_, ReadError>(all)
    };
    let all = from(None)?;
    for (index, record) in all.iter().enumerate() {
        assert_eq!(from(Some(record.end))?, all[index + 1..], "behind record {index}");
    }
    Ok(all)
}

/// Line and content of each record.
fn told(content: &[u8]) -> Vec<(u64, Value)> {
    let told = |record: Record| (record.line, record.content.map_or_else(|no| json!(no.field), Value::Object));
    read(content).unwrap().into_iter().map(told).collect()
}

#[test]
fn lines_arrays_and_tables_are_told_apart_and_read_from_any_record_on() {
    let expected = |lines: [u64; 2]| vec![(lines[0], json!({"a": "1"})), (lines[1], json!({"a": "2"}))];
    for (content, lines) in [
        ("{\"a\":\"1\"}\n{\"a\":\"2\"}\n", [1, 2]),
        ("\n {\"a\":\"1\"}\r\n\r\n{\"a\":\"2\"}", [2, 4]),
        ("[{\"a\":\"1\"},{\"a\":\"2\"}]", [1, 1]),
        (" [\n  {\"a\":\n\"1\"}\n ,\n{\"a\":\"2\"}\n]\n", [2, 5]),
        ("a\n1\n2\n", [2, 3]),
        ("a\r\n1\r\n2", [2, 3]),
        ("a\n\n1\n\n\"2\"\n", [3, 5]),
        ("\r\na\r\n\r\n1\r\n\r\n2\r\n\r\n", [4, 6]),
        ("a\r1\r2\r", [1, 1]),
        ("a\n1\r2\n", [2, 2]),
    ] {
        for begin in ["", "\u{feff}"] {
            let content = format!("{begin}{content}");
            assert_eq!(told(content.as_bytes()), expected(lines), "{content:?}");
            assert_eq!(told(&gzipped(content.as_bytes())), expected(lines), "packed: {content:?}");
        }
    }
}

#[test]
fn what_looks_like_structure_inside_a_text_is_text() {
    let content = br#"[{"a": "],{\"[\\"}, {"a": ["x", {"b": "}"}]}]"#;
    assert_eq!(told(content), [(1, json!({"a": "],{\"[\\"})), (1, json!({"a": ["x", {"b": "}"}]}))]);
}

#[test]
fn packed_files_one_behind_the_other_are_one_file() {
    let both = [gzipped(b"{\"a\":\"1\"}\n"), gzipped(b"{\"a\":\"2\"}\n")].concat();
    assert_eq!(told(&both).len(), 2);
}

#[test]
fn quotes_commas_and_line_breaks_in_a_value_are_its_own() {
    let content = "a,b\r\n\"1\r\n\"\"x\"\",\",2\r\n3,4\r\n";
    assert_eq!(
        told(content.as_bytes()),
        [(2, json!({"a": "1\r\n\"x\",", "b": "2"})), (4, json!({"a": "3", "b": "4"}))]
    );
}

#[test]
fn a_record_that_is_none_is_refused_by_itself_where_the_next_one_can_be_found() {
    assert_eq!(told(b"{}\n{\"a\":\n[]\n{}"), [(1, json!({})), (2, json!("line")), (3, json!("line")), (4, json!({}))]);
    assert_eq!(told(b"[{}, 1, \"x\", null]").iter().filter(|(_, content)| *content == json!("element")).count(), 3);
    assert_eq!(
        told(b"a,b\n1\n1,2\n1,2,3\n"),
        [(2, json!("line")), (3, json!({"a": "1", "b": "2"})), (4, json!("line")),]
    );
    assert_eq!(told(b"a\n\xff\n"), [(2, json!("line"))]);
}

#[test]
fn a_file_that_cannot_be_read_on_is_told_with_its_line_and_quotes_nothing() {
    let told = |content: &[u8]| read(content).unwrap_err().to_string();
    assert_eq!(told(b"{secret}\n{}\n"), "line 1 is not JSON");
    assert_eq!(told(b"[{},\n{\"a\"\n:secret}]"), "line 3 is not JSON");
    assert_eq!(told(b"[{}\n{}]"), "line 2 is not JSON");
    assert_eq!(told(b"[{},\n]"), "line 2 is not JSON");
    assert_eq!(told(b"[{},\n{\"a\": \"secre"), "the array that begins in line 1 does not end: the file is cut off");
    assert_eq!(told(b"[{}]\n[{}]"), "line 2 follows the end of the array");
    assert_eq!(told(b""), "the file has no header line");
    assert_eq!(told(b"b,c\n1,2\n"), "the header has no column a");
    let lines: String = (0..9_999).map(|n| format!("{{\"a\":{}}}\n", n * n)).collect();
    let cut_off = gzipped(lines.as_bytes());
    assert_eq!(told(&cut_off[..cut_off.len() - 9]), "the file cannot be read");
}

#[test]
fn a_record_without_an_end_is_not_taken_into_memory() {
    let long = "x".repeat(17 << 20);
    for content in [format!("a\n\"{long}"), format!("{{\"a\":\"{long}\"}}"), format!("[{{\"a\":\"{long}\"}}]")] {
        let line = if content.starts_with('a') { 2 } else { 1 };
        let told = read(content.as_bytes()).unwrap_err().to_string();
        assert_eq!(told, format!("the record that begins in line {line} is longer than 16 MiB"));
    }
}
