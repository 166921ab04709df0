//! The HTTP front: what API Gateway (an HTTP API) does between a caller and a function, with its limits.

pub mod event;
pub mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;

use crate::aws::sqs::Queues;
use crate::invocation::{InvokeError, Invoker};
use crate::store::random_id;
use event::{Answer, Arrival, Event};
use routes::{Router, decode};

/// Largest request body in bytes (API Gateway quotas, HTTP API payload size).
pub const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// Longest wait for a function (API Gateway quotas, HTTP API maximum integration timeout).
pub const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);
/// A body over the limit is still read so far before the connection is given up, so that its sender gets to the answer.
const DRAIN_LIMIT: usize = 4 * BODY_LIMIT;

/// Routes of the API and the functions behind them.
#[derive(Clone)]
pub struct Gateway {
    router: Arc<Router<Invoker>>,
    integration_timeout: Duration,
    port: u16,
    queues: Queues,
}

impl Gateway {
    /// An API that listens on `port`; a function has `integration_timeout` to answer. Its clock is the queues': when time is let pass for
    /// them, it passes for what is claimed and registered, too.
    pub fn new(router: Router<Invoker>, integration_timeout: Duration, port: u16, queues: Queues) -> Self {
        Self { router: Arc::new(router), integration_timeout, port, queues }
    }

    /// Everything that is not routed elsewhere before.
    pub async fn handle(
        State(gateway): State<Self>,
        ConnectInfo(peer): ConnectInfo<SocketAddr>,
        request: Request,
    ) -> Response<Body> {
        let request_id = random_id();
        let (parts, body) = request.into_parts();
        let mut response = match gateway.answer(&parts, body, peer, &request_id).await {
            Ok(response) => response.map(Body::from),
            Err(refusal) => refusal.into_response(),
        };
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("apigw-requestid", id);
        }
        response
    }

    async fn answer(
        &self,
        parts: &Parts,
        body: Body,
        peer: SocketAddr,
        request_id: &str,
    ) -> Result<Response<Bytes>, Refusal> {
        let body = whole(body).await?;
        let path = decode(parts.uri.path());
        let matched = self.router.find(parts.method.as_str(), &path).ok_or(Refusal::NotFound)?;
        // API Gateway only ever sees its own domain here; the runtime's request type panics on a host that is none.
        if parts.headers.get(HOST).is_some_and(|host| host.as_bytes().iter().any(|byte| !is_host(*byte))) {
            return Err(Refusal::BadRequest);
        }
        let event = Event::new(
            parts,
            &body,
            Arrival {
                route_key: matched.route.key(),
                path: &path,
                path_parameters: matched.parameters,
                request_id,
                source_ip: peer.ip(),
                port: self.port,
                at_ms: i64::try_from(self.queues.stamp_ms()).unwrap_or_default(),
            },
        );
        let event = serde_json::to_vec(&event).map_err(|_| Refusal::Internal)?;
        let invocation = matched.target.invoke(event.into());
        let reported = match tokio::time::timeout(self.integration_timeout, invocation).await {
            Ok(Ok(reported)) => reported,
            Ok(Err(InvokeError::EventTooLarge)) => return Err(Refusal::TooLarge),
            Ok(Err(InvokeError::Stopped)) | Err(_) => return Err(Refusal::Unavailable),
            Ok(Err(
                InvokeError::AnswerTooLarge | InvokeError::TimedOut | InvokeError::Failed | InvokeError::Environment(_),
            )) => return Err(Refusal::Internal),
        };
        Answer::parse(&reported).and_then(Answer::into_response).map_err(|_| Refusal::Internal)
    }
}

/// Reads a body up to [`BODY_LIMIT`].
async fn whole(mut body: Body) -> Result<Bytes, Refusal> {
    let mut read = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::BadRequest)?.into_data() else { continue };
        length += data.len();
        if length <= BODY_LIMIT {
            read.extend_from_slice(&data);
        } else if length > DRAIN_LIMIT {
            break;
        }
    }
    if length > BODY_LIMIT { Err(Refusal::TooLarge) } else { Ok(read.freeze()) }
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte)
}

/// API Gateway's own answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    BadRequest,
    NotFound,
    TooLarge,
    Internal,
    Unavailable,
}

impl Refusal {
    fn into_response(self) -> Response<Body> {
        let (status, message) = match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "Bad Request"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        };
        let mut response = Response::new(Body::from(format!("{{\"message\":\"{message}\"}}")));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::gateway::routes::Route;
    use crate::invocation::PAYLOAD_LIMIT;
    use serde_json::{Value, json};

    async fn call(invoker: Invoker, integration_timeout: Duration, request: Request) -> (StatusCode, Value) {
        let routes = vec![(Route::parse("ANY", "/a/{b}").unwrap(), invoker)];
        let queues = Queues::new(crate::store::Store::memory().unwrap()).unwrap();
        let gateway = Gateway::new(Router::new(routes), integration_timeout, 9000, queues);
        let peer = ConnectInfo(([127, 0, 0, 1], 5).into());
        let response = Gateway::handle(State(gateway), peer, request).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn echo() -> Invoker {
        Invoker::stub(|event| {
            Ok(serde_json::to_vec(&json!({ "event": serde_json::from_slice::<Value>(&event).unwrap() }))
                .unwrap()
                .into())
        })
    }

    fn post(path: &str, body: impl Into<Body>) -> Request {
        Request::post(path).header("content-type", "application/json").body(body.into()).unwrap()
    }

    #[tokio::test]
    async fn a_routed_request_reaches_its_function() {
        let (status, body) = call(echo(), INTEGRATION_TIMEOUT, post("/a/x%20y?q=1", "{}")).await;
        assert_eq!(status, 200);
        assert_eq!(body["event"]["routeKey"], "ANY /a/{b}");
        assert_eq!(body["event"]["rawPath"], "/a/x y");
        assert_eq!(body["event"]["pathParameters"], json!({ "b": "x y" }));
    }

    #[tokio::test]
    async fn what_is_not_routed_is_not_found() {
        let (status, body) = call(echo(), INTEGRATION_TIMEOUT, post("/b", "{}")).await;
        assert_eq!((status, body), (StatusCode::NOT_FOUND, json!({ "message": "Not Found" })));
    }

    #[tokio::test]
    async fn a_body_of_ten_mebibytes_is_the_largest_that_is_read() {
        let too_long = vec![b' '; BODY_LIMIT + 1];
        let (status, body) = call(echo(), INTEGRATION_TIMEOUT, post("/a/b", too_long)).await;
        assert_eq!((status, body), (StatusCode::PAYLOAD_TOO_LARGE, json!({ "message": "Request Entity Too Large" })));
        assert_eq!(whole(Body::from(vec![b' '; BODY_LIMIT])).await.unwrap().len(), BODY_LIMIT);
    }

    #[tokio::test]
    async fn an_event_over_six_megabytes_is_refused_though_its_body_was_smaller() {
        let quotes = vec![b'"'; PAYLOAD_LIMIT / 2 + 1];
        let (status, _) = call(echo(), INTEGRATION_TIMEOUT, post("/a/b", quotes)).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn an_answer_over_six_megabytes_is_a_server_error() {
        let long = Invoker::stub(|_| Ok(vec![b'1'; PAYLOAD_LIMIT + 1].into()));
        let (status, body) = call(long, INTEGRATION_TIMEOUT, post("/a/b", "{}")).await;
        assert_eq!((status, body), (StatusCode::INTERNAL_SERVER_ERROR, json!({ "message": "Internal Server Error" })));
    }

    #[tokio::test]
    async fn a_function_that_fails_or_answers_nonsense_is_a_server_error() {
        let failing = Invoker::stub(|_| Err(InvokeError::Failed));
        assert_eq!(call(failing, INTEGRATION_TIMEOUT, post("/a/b", "{}")).await.0, StatusCode::INTERNAL_SERVER_ERROR);
        let nonsense = Invoker::stub(|_| Ok(Bytes::from_static(b"<html>")));
        assert_eq!(call(nonsense, INTEGRATION_TIMEOUT, post("/a/b", "{}")).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[tokio::test(start_paused = true)]
    async fn a_function_that_takes_too_long_is_service_unavailable() {
        let (status, body) = call(Invoker::stuck(), INTEGRATION_TIMEOUT, post("/a/b", "{}")).await;
        assert_eq!((status, body), (StatusCode::SERVICE_UNAVAILABLE, json!({ "message": "Service Unavailable" })));
    }

    #[tokio::test]
    async fn a_host_that_is_none_is_a_bad_request() {
        let mut request = post("/a/b", "{}");
        request.headers_mut().insert(HOST, HeaderValue::from_static("a b"));
        assert_eq!(call(echo(), INTEGRATION_TIMEOUT, request).await.0, StatusCode::BAD_REQUEST);
    }
}
