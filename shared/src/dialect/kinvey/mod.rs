//! Kinvey: its push module over HTTP.

mod body;
pub mod credentials;
pub mod devices;
pub mod error;
pub mod events;
pub mod send;
pub mod tasks;

use lambda_http::http::HeaderValue;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _, Response};

/// Kinvey's own name for the id that its SDKs print with an error.
const REQUEST_ID: &str = "x-kinvey-request-id";

/// Marks an answer as Kinvey's servers do: with the request's id. It is the gateway's own, so that it leads to the access log.
#[must_use]
pub fn with_request_id(request: &Request, mut response: Response<Body>) -> Response<Body> {
    let given = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.as_deref(),
        _ => None,
    };
    let id = given.and_then(|id| HeaderValue::from_str(id).ok());
    let id = id.or_else(|| HeaderValue::from_str(&format!("{:032x}", fastrand::u128(..))).ok());
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
