//! One HTTP endpoint that speaks for all of AWS: DynamoDB, SQS, SNS and Secrets Manager, and for operators CloudFormation, Cloud Control and
//! CloudWatch Logs, told apart as their protocols do (`x-amz-target`, or a form with `Action=`). So a function needs one `AWS_ENDPOINT_URL`.
//!
//! A request must carry a SigV4 `Authorization` header; its signature is not verified.

mod asked;
mod calls;
pub mod dynamodb;
pub mod inventory;
mod logs;
mod query;
pub mod secrets;
pub mod sns;
pub mod sqs;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::connections::{self, BodyError, Cut, Reply, Wire};
use crate::faults::{Call, Effect, Faults, Target};
use crate::logs::Logs;
use crate::permissions::{self, Permissions};
use crate::store::random_id;

pub use calls::{Calls, Count};
use dynamodb::Dynamodb;
use inventory::Inventory;
use query::Form;
use secrets::Secrets;
use sns::Sns;
use sqs::Queues;

/// The region of everything local.
pub const REGION: &str = "us-east-1";
/// The account of everything local.
pub const ACCOUNT: &str = "000000000000";

/// The access key that the operator's commands sign with.
pub const OPERATOR: &str = "operator";

/// DynamoDB takes the longest bodies of the four: 16 MB.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The services behind the endpoint; clones share them.
#[derive(Clone)]
pub struct Aws {
    /// The tables.
    pub dynamodb: Dynamodb,
    /// The queues.
    pub queues: Queues,
    /// The platform endpoints.
    pub sns: Sns,
    /// The secrets.
    pub secrets: Secrets,
    /// What was deployed.
    pub inventory: Inventory,
    /// What functions wrote lately.
    pub logs: Logs,
    /// What goes wrong.
    pub faults: Faults,
    /// How many calls come in, while that is counted.
    pub calls: Arc<Calls>,
}

impl Aws {
    /// Serves the endpoint until `shutdown` resolves. Everybody may do everything.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) {
        self.serve_with(Permissions::default(), listener, shutdown).await;
    }

    /// Serves the endpoint until `shutdown` resolves, and denies what `permissions` does not allow.
    pub async fn serve_with(
        self,
        permissions: Permissions,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let handler = move |request| {
            let (aws, permissions) = (self.clone(), permissions.clone());
            async move { aws.answer(&permissions, request).await }
        };
        connections::serve(listener, Wire::default(), handler, shutdown).await;
    }

    async fn answer(&self, permissions: &Permissions, request: Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let Some(service) = Service::of(&parts.headers) else {
            // What asks whether somebody is there, and what speaks none of the protocols.
            let status = if parts.method == Method::GET { StatusCode::OK } else { StatusCode::NOT_FOUND };
            return Ok(plain(status, "text/plain", Bytes::new()));
        };
        let body = match connections::read_body(body, MAX_BODY).await {
            Ok(body) => body,
            Err(BodyError::TooLong) => {
                let refusal = service.refusal(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "RequestEntityTooLarge",
                    "The request is too large.",
                );
                return Ok(service.refuse(&refusal));
            }
            Err(BodyError::Broken) => return Err(Cut),
        };
        if !signed(&parts.headers) {
            let refusal = service.refusal(
                StatusCode::FORBIDDEN,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
            );
            return Ok(service.refuse(&refusal));
        }
        let form = match service {
            Service::Sns | Service::CloudFormation => Form::read(&body),
            Service::Dynamodb | Service::Sqs | Service::Secrets | Service::CloudControl | Service::Logs => {
                Form::default()
            }
        };
        let action = match service {
            Service::Sns | Service::CloudFormation => form.get("Action").unwrap_or_default().to_owned(),
            Service::Dynamodb | Service::Sqs | Service::Secrets | Service::CloudControl | Service::Logs => {
                target_action(&parts.headers)
            }
        };
        if permissions.denied(&parts.headers, || asked::asked(service, &action, &form, &body)).is_some() {
            return Ok(service.refuse(&service.denied()));
        }
        self.calls.note(service.prefix(), &action, body.len());
        let caller = permissions::caller(&parts.headers);
        let effect = self.meet(service, &action, &form, &body, caller).await;
        let body = match &effect {
            Some(Effect::Rewrite { from, to }) => dynamodb::rewritten(&body, from, to),
            Some(_) | None => body,
        };
        let body = match (service, action.as_str(), caller) {
            (Service::Dynamodb, "TransactWriteItems", Some(OPERATOR)) => dynamodb::without_token(&body),
            _ => body,
        };
        let lost = matches!(effect, Some(Effect::LoseAnswer | Effect::LoseAnswer500));
        let mut fail = 0;
        match &effect {
            Some(Effect::Cut) => return Err(Cut),
            Some(Effect::FailEntries { n }) => fail = *n,
            Some(Effect::Unregistered) => self.sns.disable_target(&form),
            Some(effect) if !lost => {
                if let Some(refusal) = service.failed(effect, &action, &body) {
                    return Ok(service.refuse(&refusal));
                }
            }
            Some(_) | None => {}
        }
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let reply = match service {
            Service::Dynamodb if effect == Some(Effect::Stale) => self.dynamodb.stale(&parts, &action, body).await?,
            Service::Dynamodb if action == "UpdateItem" && self.faults.has_stale() => {
                self.dynamodb.noting(&parts, body).await?
            }
            Service::Dynamodb => self.dynamodb.forward(&parts, &action, body, fail).await?,
            Service::Sqs => {
                let done = sqs::call(&self.queues, &action, &body, host, fail).await;
                service.json(done)
            }
            Service::Secrets => service.json(self.secrets.call(&action, &body)),
            Service::CloudControl => service.json(self.inventory.cloud_control(&action, &body)),
            Service::Logs => service.json(logs::call(&self.logs, &action, &body)),
            Service::CloudFormation => match self.inventory.cloudformation(&action, &form) {
                Ok(xml) => plain(StatusCode::OK, "text/xml", xml.into()),
                Err(refusal) => service.refuse(&refusal),
            },
            Service::Sns => match self.sns.call(&action, &form) {
                Ok(xml) => plain(StatusCode::OK, "text/xml", xml.into()),
                Err(refusal) => service.refuse(&refusal),
            },
        };
        match effect {
            Some(Effect::LoseAnswer) => Err(Cut),
            Some(Effect::LoseAnswer500) => Ok(service.refuse(&service.internal())),
            Some(_) | None => Ok(reply),
        }
    }

    async fn meet(
        &self,
        service: Service,
        action: &str,
        form: &Form,
        body: &[u8],
        caller: Option<&str>,
    ) -> Option<Effect> {
        if self.faults.is_empty() {
            return None;
        }
        let (target, tables, token) = match service {
            Service::Dynamodb => (Target::Dynamodb, dynamodb::tables(body), None),
            Service::Sqs => (Target::Sqs, sqs::queue_of(body), None),
            Service::Secrets => (Target::Secrets, Vec::new(), None),
            Service::Sns => (Target::Sns, Vec::new(), self.sns.token_of(form)),
            // Nobody makes these fail by rule: what may be wrong with a stack is set in the inventory, and no function reads logs.
            Service::CloudFormation | Service::CloudControl | Service::Logs => return None,
        };
        let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
        let call = Call { action, token: token.as_deref(), tables: &tables, body, caller };
        self.faults.meet(target, call).await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Dynamodb,
    Sqs,
    Secrets,
    Sns,
    CloudFormation,
    CloudControl,
    Logs,
}

impl Service {
    fn of(headers: &HeaderMap) -> Option<Self> {
        if let Some(target) = headers.get("x-amz-target") {
            let target = target.to_str().ok()?;
            return match target.split('.').next()? {
                "DynamoDB_20120810" => Some(Self::Dynamodb),
                "AmazonSQS" => Some(Self::Sqs),
                "secretsmanager" => Some(Self::Secrets),
                "CloudApiService" => Some(Self::CloudControl),
                "Logs_20140328" => Some(Self::Logs),
                _ => None,
            };
        }
        let form = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        // Both speak the awsQuery protocol. What is signed names the service.
        let is_cloudformation = permissions::service(headers) == Some("cloudformation");
        form.then_some(if is_cloudformation { Self::CloudFormation } else { Self::Sns })
    }

    /// IAM's prefix of its actions.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Dynamodb => "dynamodb",
            Self::Sqs => "sqs",
            Self::Secrets => "secretsmanager",
            Self::Sns => "sns",
            Self::CloudFormation => "cloudformation",
            Self::CloudControl => "cloudformation",
            Self::Logs => "logs",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Dynamodb | Self::Sqs | Self::CloudControl => "application/x-amz-json-1.0",
            Self::Secrets | Self::Logs => "application/x-amz-json-1.1",
            Self::Sns | Self::CloudFormation => "text/xml",
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::Dynamodb => "com.amazonaws.dynamodb.v20120810#",
            Self::Sqs => "com.amazonaws.sqs#",
            Self::Secrets | Self::Sns | Self::CloudFormation | Self::Logs => "",
            Self::CloudControl => "com.amazonaws.cloudapiservice#",
        }
    }

    /// An error that all services share. The JSON protocols spell it `…Exception`.
    fn refusal(self, status: StatusCode, code: &str, message: &str) -> Refusal {
        let full = match self {
            Self::Sns | Self::CloudFormation => code.to_owned(),
            Self::Dynamodb | Self::Sqs | Self::Secrets | Self::CloudControl | Self::Logs => {
                format!("com.amazon.coral.service#{code}Exception")
            }
        };
        Refusal::new(status, full, code, message)
    }

    fn internal(self) -> Refusal {
        let code = match self {
            Self::Dynamodb => "InternalServerError",
            Self::Sqs => "InternalFailure",
            Self::Secrets => "InternalServiceError",
            Self::Sns => "InternalError",
            Self::CloudFormation => "InternalFailure",
            Self::CloudControl => "ServiceInternalErrorException",
            Self::Logs => "ServiceUnavailableException",
        };
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{}{code}", self.namespace()),
            code,
            "The request processing has failed because of an internal error.",
        )
    }

    /// The service's answer to a call that a fault kept from being done; none for effects that do not keep it.
    fn failed(self, effect: &Effect, action: &str, body: &[u8]) -> Option<Refusal> {
        match effect {
            Effect::Throttle => Some(self.throttled()),
            Effect::Conflict => Some(dynamodb::conflict(action, body)),
            Effect::Error500 => Some(self.internal()),
            Effect::Error503 => {
                Some(self.refusal(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "The service is unavailable."))
            }
            Effect::Refuse => Some(self.denied()),
            Effect::Unavailable { .. }
            | Effect::Error429 { .. }
            | Effect::Unregistered
            | Effect::Hang
            | Effect::Cut
            | Effect::LoseAnswer
            | Effect::LoseAnswer500
            | Effect::Delay { .. }
            | Effect::FailEntries { .. }
            | Effect::Pass
            | Effect::Rewrite { .. }
            | Effect::Stale
            | Effect::Duplicate
            | Effect::KeepRecords
            | Effect::Reverse => None,
        }
    }

    fn throttled(self) -> Refusal {
        let (code, message) = match self {
            Self::Dynamodb => (
                "ProvisionedThroughputExceededException",
                "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API.",
            ),
            Self::Sqs => ("RequestThrottled", "Request is throttled."),
            Self::Secrets | Self::Sns | Self::CloudFormation | Self::CloudControl | Self::Logs => {
                ("ThrottlingException", "Rate exceeded")
            }
        };
        let full = format!("{}{code}", self.namespace());
        Refusal::new(StatusCode::BAD_REQUEST, full, code, message)
    }

    fn denied(self) -> Refusal {
        let message = "User is not authorized to perform this action on this resource.";
        match self {
            Self::Sns => Refusal::sns(StatusCode::FORBIDDEN, "AuthorizationError", message),
            Self::Dynamodb | Self::Secrets | Self::CloudControl | Self::Logs => {
                self.refusal(StatusCode::BAD_REQUEST, "AccessDenied", message)
            }
            Self::CloudFormation | Self::Sqs => self.refusal(StatusCode::FORBIDDEN, "AccessDenied", message),
        }
    }

    fn json(self, done: Result<Value, Refusal>) -> Response<Full<Bytes>> {
        match done {
            Ok(value) => plain(StatusCode::OK, self.content_type(), value.to_string().into()),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn refuse(self, refusal: &Refusal) -> Response<Full<Bytes>> {
        let namespace = match self {
            Self::Sns => Some(sns::NAMESPACE),
            Self::CloudFormation => Some(inventory::NAMESPACE),
            Self::Dynamodb | Self::Sqs | Self::Secrets | Self::CloudControl | Self::Logs => None,
        };
        if let Some(namespace) = namespace {
            let xml = query::error_xml(namespace, refusal);
            return plain(refusal.status, self.content_type(), xml.into());
        }
        let mut body = json!({ "__type": refusal.code, "message": refusal.message });
        if let Some(reasons) = &refusal.reasons {
            body["CancellationReasons"] = reasons.clone();
        }
        let mut reply = plain(refusal.status, self.content_type(), body.to_string().into());
        if self == Self::Sqs {
            // The SDK still knows SQS's older codes, from before its JSON protocol.
            let fault = if refusal.status.is_client_error() { "Sender" } else { "Receiver" };
            if let Ok(value) = format!("{};{fault}", refusal.query).parse() {
                reply.headers_mut().insert("x-amzn-query-error", value);
            }
        }
        reply
    }
}

/// An error answer of a service.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// `__type` of the JSON protocols, `Code` of the XML one.
    pub(crate) code: String,
    /// SQS's code of its older protocol, also used in batch entries.
    pub(crate) query: String,
    pub(crate) message: String,
    /// Why a DynamoDB transaction was cancelled.
    pub(crate) reasons: Option<Value>,
}

impl Refusal {
    fn new(status: StatusCode, code: String, query: &str, message: &str) -> Self {
        Self { status, code, query: query.to_owned(), message: message.to_owned(), reasons: None }
    }

    fn sqs(kind: &str, query: &str, message: &str) -> Self {
        let code = format!("com.amazonaws.sqs#{kind}");
        Self::new(StatusCode::BAD_REQUEST, code, query, message)
    }

    fn sns(status: StatusCode, code: &str, message: &str) -> Self {
        Self::new(status, code.to_owned(), code, message)
    }

    fn unknown_operation(action: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "com.amazon.coral.service#UnknownOperationException".to_owned(),
            "InvalidAction",
            &format!("The action {action} is not valid for this endpoint."),
        )
    }

    fn unreadable(error: &serde_json::Error) -> Self {
        let place = format!("line {} column {}", error.line(), error.column());
        Self::new(
            StatusCode::BAD_REQUEST,
            "com.amazon.coral.service#SerializationException".to_owned(),
            "MalformedInput",
            &format!("The request could not be read, at {place}."),
        )
    }
}

fn target_action(headers: &HeaderMap) -> String {
    headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.split_once('.'))
        .map(|(_, action)| action.to_owned())
        .unwrap_or_default()
}

/// Whether the request has an `Authorization` header in the shape of SigV4.
fn signed(headers: &HeaderMap) -> bool {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("AWS4-HMAC-SHA256 "))
        .is_some_and(|rest| ["Credential=", "SignedHeaders=", "Signature="].iter().all(|part| rest.contains(part)))
}

fn plain(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    if let Ok(id) = random_id().parse() {
        headers.insert("x-amzn-requestid", id);
    }
    reply
}
