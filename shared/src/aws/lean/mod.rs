//! The lean road to DynamoDB: one try of one call, without the SDK.
//!
//! `deliver` spends more time in the SDK's machinery around a count than in the count (`bench/RESULTS.md` has the figures). Here is the call alone: signed, posted, its
//! answer read. It knows two answers, done and condition failed. Whatever else happens (throttled, a 500, a connection that is gone, no
//! answer in time) is [`None`], and the caller makes the same call by the SDK, with its retries and its errors. So a call must be safe to
//! repeat.

mod connections;
mod item;
mod sign;

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};

use connections::Connections;
pub(crate) use item::Item;
use sign::{Signed, Signer};

use crate::delivery::http2::Address;
use crate::env::{Environment, Service};
use crate::time::Timestamp;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
/// How long the one try may take, with the making of a connection. What takes longer is the SDK's.
const TRY: Duration = Duration::from_secs(2);
/// An item has 400 KB at most, and JSON spells some of it longer.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A lean client that is made by its first call: most functions make none.
pub(crate) struct Lazy {
    env: Environment,
    lean: OnceLock<Option<Lean>>,
}

impl Lazy {
    pub(crate) fn new(env: &Environment) -> Self {
        Self { env: env.clone(), lean: OnceLock::new() }
    }

    /// As [`Lean::call`].
    pub(crate) async fn call(&self, action: &'static str, body: String) -> Option<Said> {
        self.lean.get_or_init(|| Lean::new(&self.env)).as_ref()?.call(action, body).await
    }
}

/// A lean client of DynamoDB.
struct Lean {
    uri: Uri,
    connections: Connections,
    signer: Signer,
}

/// What DynamoDB said.
#[derive(Debug)]
pub(crate) enum Said {
    /// The call is done: its answer.
    Done(Bytes),
    /// A condition failed: the error, with the item where that was asked for.
    ConditionFailed(Bytes),
}

impl Lean {
    /// A client of the DynamoDB that `env` describes. `None` where its address cannot be told without the SDK's own machinery: then there is
    /// no lean road.
    fn new(env: &Environment) -> Option<Self> {
        let url = match env.endpoint(Service::DynamoDb) {
            Some(url) => url.to_owned(),
            None => {
                let parameters = Params::builder().region(env.region()).build().ok()?;
                DefaultResolver::new().resolve_endpoint(&parameters).now_or_never()?.ok()?.url().to_owned()
            }
        };
        let address = Address::parse(&url).ok()?;
        let uri: Uri = "/".parse().ok()?;
        let signer = Signer::new(env, "dynamodb", address.authority())?;
        Some(Self { uri, connections: Connections::new(address), signer })
    }

    /// Makes one try of an action, `UpdateItem`. `None` when it is not known to be done or refused by its condition.
    async fn call(&self, action: &'static str, body: String) -> Option<Said> {
        tokio::time::timeout(TRY, self.attempt(action, body)).await.ok().flatten()
    }

    async fn attempt(&self, action: &'static str, body: String) -> Option<Said> {
        let request = self.request(action, body.into())?;
        let (answer, connection) = self.connections.send(request).await.ok()?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await.ok()?.to_bytes();
        self.connections.give_back(connection);
        match status {
            StatusCode::OK => Some(Said::Done(body)),
            StatusCode::BAD_REQUEST if is_condition(&body) => Some(Said::ConditionFailed(body)),
            _ => None,
        }
    }

    fn request(&self, action: &'static str, body: Bytes) -> Option<Request<Full<Bytes>>> {
        let target = format!("DynamoDB_20120810.{action}");
        let Signed { date, authorization, token } = self.signer.sign(&target, CONTENT_TYPE, &body, Timestamp::now())?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_str(self.signer.host()).ok()?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert("x-amz-target", HeaderValue::from_str(&target).ok()?);
        headers.insert("x-amz-date", date);
        headers.insert(header::AUTHORIZATION, authorization);
        if let Some(token) = token {
            headers.insert("x-amz-security-token", token);
        }
        Some(request)
    }
}

/// Whether an error is that of a condition.
fn is_condition(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "__type", borrow)]
        kind: &'a str,
    }
    serde_json::from_slice::<Kind<'_>>(body).is_ok_and(|error| error.kind.ends_with("#ConditionalCheckFailedException"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lean(region: &'static str, endpoint: Option<&'static str>) -> Lean {
        let env = Environment::from_lookup(|name| match name {
            "AWS_REGION" => Some(region.to_owned()),
            "AWS_ENDPOINT_URL" => endpoint.map(str::to_owned),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "STAGE" => Some("test".to_owned()),
            _ => None,
        });
        Lean::new(&env.unwrap()).unwrap()
    }

    #[test]
    fn the_address_is_the_sdk_s_or_the_one_that_is_told() {
        assert_eq!(lean("eu-west-1", None).signer.host(), "dynamodb.eu-west-1.amazonaws.com");
        assert_eq!(lean("cn-north-1", None).signer.host(), "dynamodb.cn-north-1.amazonaws.com.cn");
        assert_eq!(lean("eu-west-1", Some("http://127.0.0.1:4711")).signer.host(), "127.0.0.1:4711");
    }

    #[test]
    fn only_a_failed_condition_is_an_answer_among_errors() {
        let of = |kind: &str| {
            is_condition(format!(r#"{{"__type":"{kind}","message":"m","Item":{{"a":{{"N":"1"}}}}}}"#).as_bytes())
        };
        assert!(of("com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"));
        assert!(!of("com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"));
        assert!(!of("com.amazon.coral.service#UnrecognizedClientException") && !is_condition(b"<html>"));
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer() {
        // Bound, so that nobody else gets the port, and never listening.
        let nobody = tokio::net::TcpSocket::new_v4().unwrap();
        nobody.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let url = format!("http://{}", nobody.local_addr().unwrap());
        assert!(lean("eu-west-1", Some(url.leak())).call("UpdateItem", "{}".to_owned()).await.is_none());
    }
}
