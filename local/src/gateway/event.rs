//! A request as API Gateway hands it to a function (payload format 2.0), and the function's answer on its way back.
//!
//! Where the developer guide is silent the behaviour was taken from published captures of the real service.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
    USER_AGENT,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::aws::ACCOUNT;

const API_ID: &str = "local";

/// The event of one request. Serialized, it is what the function reads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'static str,
    api_id: &'static str,
    domain_name: String,
    domain_prefix: String,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: String,
    user_agent: String,
}

/// What [`Event::new`] needs beside the request itself.
pub(super) struct Arrival<'a> {
    pub(super) route_key: &'a str,
    /// The [decoded](super::routes::decode) path.
    pub(super) path: &'a str,
    pub(super) path_parameters: BTreeMap<String, String>,
    pub(super) request_id: &'a str,
    pub(super) source_ip: IpAddr,
    pub(super) port: u16,
    /// Milliseconds since 1970.
    pub(super) at_ms: i64,
}

impl<'a> Event<'a> {
    pub(super) fn new(parts: &'a Parts, body: &Bytes, arrival: Arrival<'a>) -> Self {
        let source_ip = arrival.source_ip.to_string();
        let headers = headers(&parts.headers, body, &arrival);
        let domain_name = headers.get(HOST.as_str()).cloned().unwrap_or_default();
        let raw_query_string = parts.uri.query().unwrap_or_default();
        let (body, is_base64_encoded) = encoded(&parts.headers, body);
        Self {
            version: "2.0",
            route_key: arrival.route_key,
            raw_path: arrival.path,
            raw_query_string,
            cookies: cookies(&parts.headers),
            query_string_parameters: query(raw_query_string),
            request_context: RequestContext {
                account_id: ACCOUNT,
                api_id: API_ID,
                domain_prefix: domain_name.split('.').next().unwrap_or_default().to_owned(),
                domain_name,
                http: Http {
                    method: parts.method.as_str(),
                    path: arrival.path,
                    protocol: "HTTP/1.1",
                    source_ip,
                    user_agent: headers.get(USER_AGENT.as_str()).cloned().unwrap_or_default(),
                },
                request_id: arrival.request_id,
                route_key: arrival.route_key,
                stage: "$default",
                time: common_log_time(arrival.at_ms),
                time_epoch: arrival.at_ms,
            },
            headers,
            path_parameters: arrival.path_parameters,
            body,
            is_base64_encoded,
        }
    }
}

/// Lower-case names, repeated ones joined by commas, connection headers dropped, forwarding headers added.
fn headers(from: &HeaderMap, body: &Bytes, arrival: &Arrival<'_>) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for name in from.keys() {
        if [CONNECTION, COOKIE, EXPECT, TE, TRANSFER_ENCODING, UPGRADE].contains(name) || name == "keep-alive" {
            continue;
        }
        headers.insert(name.as_str().to_owned(), joined(from, name));
    }
    let forwarded = match headers.remove("x-forwarded-for") {
        Some(earlier) => format!("{earlier}, {}", arrival.source_ip),
        None => arrival.source_ip.to_string(),
    };
    headers.insert("x-forwarded-for".to_owned(), forwarded);
    headers.insert("x-forwarded-port".to_owned(), arrival.port.to_string());
    headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    headers.entry("x-amzn-trace-id".to_owned()).or_insert_with(|| trace_id(arrival.at_ms, arrival.request_id));
    if !body.is_empty() || from.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH.as_str().to_owned(), body.len().to_string());
    }
    headers
}

fn joined(from: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<_> = from.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    values.join(",")
}

fn trace_id(at_ms: i64, request_id: &str) -> String {
    let unique: String = request_id.chars().filter(char::is_ascii_hexdigit).take(24).collect();
    format!("Root=1-{:08x}-{unique}", at_ms / 1_000)
}

fn cookies(from: &HeaderMap) -> Vec<String> {
    from.get_all(COOKIE)
        .iter()
        .flat_map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            text.split(';')
                .map(|cookie| cookie.trim().to_owned())
                .filter(|cookie| !cookie.is_empty())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Decoded; the values of a repeated name joined by commas.
fn query(raw: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value);
        parameters
            .entry(decode(name))
            .and_modify(|earlier| {
                earlier.push(',');
                earlier.push_str(&value);
            })
            .or_insert(value);
    }
    parameters
}

/// `text/*`, JSON, XML and JavaScript come as text; everything else, forms and bodies without a type included, in
/// base64, and so does text that is not UTF-8. (The list is not documented; it was tried out against the service and
/// published with ministack's pull request 766.)
fn encoded(headers: &HeaderMap, body: &Bytes) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let textual = media_type.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&media_type.as_str());
    match std::str::from_utf8(body) {
        Ok(text) if textual => (Some(text.to_owned()), false),
        _ => (Some(BASE64.encode(body)), true),
    }
}

/// `20/Nov/2026:06:52:01 +0000`.
fn common_log_time(at_ms: i64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(u64::try_from(at_ms).unwrap_or_default());
    // `Fri, 20 Nov 2026 06:52:01 GMT`, of fixed width.
    let http = httpdate::fmt_http_date(at);
    let part = |range: std::ops::Range<usize>| http.get(range).unwrap_or_default();
    format!("{}/{}/{}:{} +0000", part(5..7), part(8..11), part(12..16), part(17..25))
}

/// What a function behind an HTTP API answers, in payload format 2.0.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// An answer that API Gateway would not pass on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is not JSON of the expected form.
    #[error("the function's answer is not an HTTP response")]
    Form(#[from] serde_json::Error),
    /// Status, a header's name or a header's value is none.
    #[error("the function's answer has a bad status or header")]
    Http(#[from] http::Error),
    /// The body is said to be base64 and is not.
    #[error("the function's answer has a body that is not base64")]
    Base64(#[from] base64::DecodeError),
}

impl Answer {
    /// The answer of a function that runs in this process, in the form in which the runtime would report it.
    pub fn from_response(response: Response<lambda_http::Body>) -> Self {
        let (parts, body) = response.into_parts();
        let mut headers = BTreeMap::new();
        for name in parts.headers.keys().filter(|name| **name != SET_COOKIE) {
            headers.insert(name.as_str().to_owned(), joined(&parts.headers, name));
        }
        let cookies = parts
            .headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        // Whatever is neither absent nor text goes as bytes.
        let is_text = matches!(body, lambda_http::Body::Text(_));
        let bytes: &[u8] = &body;
        let is_base64_encoded = !is_text && !bytes.is_empty();
        let body = match std::str::from_utf8(bytes) {
            Ok(text) if is_text => Some(text.to_owned()),
            Ok(_) | Err(_) => is_base64_encoded.then(|| BASE64.encode(bytes)),
        };
        Self { status_code: parts.status.as_u16(), headers, cookies, body, is_base64_encoded }
    }

    /// Reads what a function reported: an answer, or any other JSON, which is then the body of a 200.
    pub(super) fn parse(reported: &Bytes) -> Result<Self, AnswerError> {
        let value: serde_json::Value = serde_json::from_slice(reported)?;
        if value.get("statusCode").is_some() {
            return Ok(serde_json::from_value(value)?);
        }
        Ok(Self {
            status_code: 200,
            headers: BTreeMap::from([(CONTENT_TYPE.as_str().to_owned(), "application/json".to_owned())]),
            cookies: Vec::new(),
            body: Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            is_base64_encoded: false,
        })
    }

    /// The response that goes to the caller.
    pub(super) fn into_response(self) -> Result<Response<Bytes>, AnswerError> {
        let body = match self.body {
            None => Bytes::new(),
            Some(text) if self.is_base64_encoded => BASE64.decode(text)?.into(),
            Some(text) => text.into(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status_code).map_err(http::Error::from)?;
        let headers = response.headers_mut();
        for (name, value) in &self.headers {
            // The length is the server's to say; a wrong one would break the connection.
            if !name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str()) {
                headers.insert(name.parse::<HeaderName>().map_err(http::Error::from)?, header_value(value)?);
            }
        }
        for cookie in &self.cookies {
            headers.append(SET_COOKIE, header_value(cookie)?);
        }
        if !response.body().is_empty() && !response.headers().contains_key(CONTENT_TYPE) {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
        }
        Ok(response)
    }
}

fn header_value(text: &str) -> Result<HeaderValue, AnswerError> {
    Ok(HeaderValue::from_str(text).map_err(http::Error::from)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use http::Request;
    use serde_json::{Value, json};

    fn event_of(request: Request<&[u8]>) -> Value {
        let (parts, body) = request.into_parts();
        let path = super::super::routes::decode(parts.uri.path());
        let event = Event::new(
            &parts,
            &Bytes::copy_from_slice(body),
            Arrival {
                route_key: "ANY /hooks/{app}/{secret}/imkit",
                path: &path,
                path_parameters: BTreeMap::from([("app".to_owned(), "demo".to_owned())]),
                request_id: "0123456789abcdef",
                source_ip: [127, 0, 0, 1].into(),
                port: 9000,
                at_ms: 1_795_157_521_250,
            },
        );
        serde_json::to_value(event).unwrap()
    }

    fn post(content_type: Option<&str>, body: &'static [u8]) -> Value {
        let mut request = Request::post("/hooks/demo/s/imkit");
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        event_of(request.body(body).unwrap())
    }

    #[test]
    fn the_context_says_route_method_and_source() {
        let event = post(Some("application/json"), b"{}");
        assert_eq!(event["version"], "2.0");
        assert_eq!(event["routeKey"], "ANY /hooks/{app}/{secret}/imkit");
        let context = &event["requestContext"];
        assert_eq!(context["routeKey"], event["routeKey"]);
        assert_eq!(context["stage"], "$default");
        assert_eq!(context["http"]["method"], "POST");
        assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
        assert_eq!(context["time"], "20/Nov/2026:06:52:01 +0000");
        assert_eq!(context["timeEpoch"], 1_795_157_521_250_i64);
        assert_eq!(event["pathParameters"], json!({ "app": "demo" }));
    }

    #[test]
    fn names_are_lower_case_and_repeats_are_joined_by_commas() {
        let event = event_of(
            Request::get("/x?a=1&b=%20y+z&a=2&c")
                .header("X-Thing", "one")
                .header("X-Thing", "two")
                .header("Cookie", "a=1; b=2")
                .header("Connection", "keep-alive")
                .header("X-Forwarded-For", "10.0.0.1")
                .body(&b""[..])
                .unwrap(),
        );
        assert_eq!(event["headers"]["x-thing"], "one,two");
        assert_eq!(event["headers"]["x-forwarded-for"], "10.0.0.1, 127.0.0.1");
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!(event["headers"].get("connection"), None);
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["rawQueryString"], "a=1&b=%20y+z&a=2&c");
        assert_eq!(event["queryStringParameters"], json!({ "a": "1,2", "b": " y z", "c": "" }));
    }

    #[test]
    fn absent_parts_are_left_out() {
        let event = event_of(Request::get("/x").body(&b""[..]).unwrap());
        for key in ["body", "cookies", "queryStringParameters"] {
            assert_eq!(event.get(key), None, "{key}");
        }
        assert_eq!(event["rawQueryString"], "");
        assert_eq!(event["isBase64Encoded"], false);
    }

    #[test]
    fn text_comes_as_text_and_everything_else_in_base64() {
        for (content_type, text) in [
            (Some("application/json; charset=utf-8"), true),
            (Some("TEXT/plain"), true),
            (Some("application/xml"), true),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("application/vnd.x+json"), false),
            (Some("application/octet-stream"), false),
            (None, false),
        ] {
            let event = post(content_type, b"a=1");
            assert_eq!(event["isBase64Encoded"], !text, "{content_type:?}");
            assert_eq!(event["body"], if text { "a=1" } else { "YT0x" }, "{content_type:?}");
        }
        assert_eq!(post(Some("application/json"), b"\xff")["body"], "/w==");
    }

    #[test]
    fn the_runtimes_own_reader_takes_the_event() {
        let request = lambda_http::request::from_str(&post(None, b"abc").to_string()).unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.body().as_ref(), b"abc");
    }

    #[test]
    fn an_answer_survives_the_way_through_the_runtime() {
        let response = Response::builder()
            .status(201)
            .header("X-A", "1")
            .header("Set-Cookie", "a=1")
            .header("Set-Cookie", "b=2")
            .body(lambda_http::Body::Binary(vec![0xff]))
            .unwrap();
        let reported = serde_json::to_vec(&Answer::from_response(response)).unwrap().into();
        let response = Answer::parse(&reported).unwrap().into_response().unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["x-a"], "1");
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
        assert_eq!(response.body().as_ref(), b"\xff");
    }

    #[test]
    fn json_without_a_status_is_the_body_of_a_200() {
        let answer = Answer::parse(&Bytes::from_static(b"{\"a\":1}")).unwrap();
        let response = answer.into_response().unwrap();
        assert_eq!((response.status(), response.body().as_ref()), (StatusCode::OK, &b"{\"a\":1}"[..]));
    }

    #[test]
    fn an_answer_that_is_no_response_is_an_error() {
        assert!(matches!(Answer::parse(&Bytes::from_static(b"oops")), Err(AnswerError::Form(_))));
        let bad = Answer::parse(&Bytes::from_static(b"{\"statusCode\":99}")).unwrap();
        assert!(matches!(bad.into_response(), Err(AnswerError::Http(_))));
    }
}
