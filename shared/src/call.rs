//! One HTTP call, as the functions read it and answer it. Envelopes are the dialects' own.

use std::net::IpAddr;

use lambda_http::http::{HeaderMap, StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _, Response};
use serde::Serialize;

use crate::time::Timestamp;

/// The most bytes of a body. API Gateway takes 10 MB, Lambda's event 6 MB with the body escaped inside JSON.
pub const MOST_BODY: usize = 5 * 1024 * 1024;

/// Why a body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// There is none.
    #[error("the request has no body")]
    Empty,
    /// More than [`MOST_BODY`].
    #[error("the body is longer than 5 MiB")]
    TooLarge,
}

/// The body's bytes.
///
/// # Errors
/// When there is none, or it is too long.
pub fn body(request: &Request) -> Result<&[u8], BodyError> {
    let bytes: &[u8] = match request.body() {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        Body::Empty | _ => &[],
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        Err(BodyError::Empty)
    } else if bytes.len() > MOST_BODY {
        Err(BodyError::TooLarge)
    } else {
        Ok(bytes)
    }
}

/// A parameter of the route's path; the empty text when the route has none of that name. API Gateway has percent-decoded it.
#[must_use]
pub fn path_parameter(request: &Request, name: &str) -> String {
    request.path_parameters().first(name).unwrap_or_default().to_owned()
}

/// A value in the query is not UTF-8 once it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not UTF-8")]
pub struct QueryError;

/// The values that a raw query gives `name`, decoded, in their order. The raw one: API Gateway joins repeated values by commas, and a
/// value may hold commas.
///
/// # Errors
/// When one is not UTF-8.
pub fn query_values(query: &str, name: &str) -> Result<Vec<String>, QueryError> {
    let values = query.split('&').filter_map(|pair| {
        let (given, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(given).as_deref() == Some(name)).then(|| decoded(value))
    });
    values.map(|value| value.ok_or(QueryError)).collect()
}

fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// A header's text, in whatever case its name was sent; `None` when it is absent or not text.
#[must_use]
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|value| !value.is_empty())
}

/// Where the call came from, as API Gateway saw it. Never from a header: those can be made up.
#[must_use]
pub fn source(request: &Request) -> Option<IpAddr> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref()?.parse().ok(),
        _ => None,
    }
}

/// When the call came in, by API Gateway's clock; by this machine's where the event does not say.
#[must_use]
pub fn received_at(request: &Request) -> Timestamp {
    let epoch = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => u64::try_from(context.time_epoch).ok().filter(|ms| *ms > 0),
        _ => None,
    };
    epoch.map_or_else(Timestamp::now, Timestamp::from_millis)
}

/// The route that was matched (`ANY /hooks/{app}/{secret}/imkit`): what logs may name instead of the path.
#[must_use]
pub fn route(request: &Request) -> &str {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.route_key.as_deref().unwrap_or_default(),
        _ => "",
    }
}

/// API Gateway's name for the call, which the access log has too; empty where the event does not say.
#[must_use]
pub fn request_id(request: &Request) -> &str {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.as_deref().unwrap_or_default(),
        _ => "",
    }
}

/// An answer with a JSON body.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_string(body).unwrap_or_default();
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}
