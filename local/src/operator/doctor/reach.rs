//! Whether the API is reached from where the command runs, and the hooks with it.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::Full;
use pushbell::time::Timestamp;
use ring::digest;
use serde_json::{Value, json};

use super::super::Deployment;
use super::super::causes;
use super::super::http::Answer;
use super::{Clock, Findings, One};

/// Beyond this Tencent's callbacks would be refused for their time, were this machine's clock the functions'.
const SKEW_WARN_S: u64 = 30;
/// Beyond this AWS refuses what is signed here.
const SKEW_FAIL_S: u64 = 300;

async fn call(
    deployment: &Deployment,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Answer, String> {
    let mut request = Request::builder().method(method).uri(format!("{}{path}", deployment.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = request.body(Full::from(Bytes::from(body))).map_err(|error| error.to_string())?;
    deployment.http.send(request).await.map_err(|error| causes(&error))
}

/// Whether the app's secrets may be sent there: it is the API, and nobody on the way reads along.
pub(super) async fn api(deployment: &Deployment, clock: Clock<'_>, findings: &mut Findings) -> bool {
    let url = &deployment.url;
    let asked = clock();
    // No route: API Gateway's own answer, without a function.
    let answer = match call(deployment, "GET", "/doctor", &[], None).await {
        Ok(answer) => answer,
        Err(reason) => {
            findings.fail(
                format!("the API at {url} is not reached: {reason}"),
                "compare --url with the domain and its DNS; without --url the stack's own address is taken",
            );
            return false;
        }
    };
    if answer.status != StatusCode::NOT_FOUND || !answer.body.starts_with(br#"{"message":"Not Found"#) {
        findings.fail(
            format!("what answers at {url} (status {}) is not the API", answer.status.as_u16()),
            "the domain's mapping leads elsewhere, or has a key: docs/deploy.md#a-domain",
        );
        return false;
    }
    findings.ok(format!("the API answers at {url}"));
    compare(&answer.headers, asked, clock(), findings);
    let is_safe = url.starts_with("https://") || deployment.is_local();
    if !is_safe {
        findings.fail("the API is called without TLS, so the hooks were not", "pass --url with https://");
    }
    is_safe
}

/// Holds the API's time against this machine's when it was asked and when it had answered.
fn compare(headers: &HeaderMap, asked: Timestamp, answered: Timestamp, findings: &mut Findings) {
    let date = headers
        .get(header::DATE)
        .and_then(|date| date.to_str().ok())
        .and_then(|date| httpdate::parse_http_date(date).ok());
    let date = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
    let Some(theirs) = date.map(|since| since.as_secs()) else {
        return findings.warn("the API tells no time, so this machine's clock could not be compared", "try again");
    };
    let apart = asked.as_secs().saturating_sub(theirs).max(theirs.saturating_sub(answered.as_secs()));
    let seen = format!("this machine's clock is {apart} s off");
    if apart > SKEW_FAIL_S {
        findings.fail(seen, "set the clock (NTP): AWS, Google and Apple refuse what is signed with it");
    } else if apart > SKEW_WARN_S {
        findings.warn(seen, "set the clock (NTP): what is signed with it may be refused");
    } else {
        findings.ok("this machine's clock is right");
    }
}

/// Calls IMKIT's hook with a message for nobody: app, secret, source and settings are looked at, nothing is queued.
pub(super) async fn imkit(one: One<'_>, secret: &str, sources: usize, findings: &mut Findings) {
    let (app, place) = (one.app, &one.deployment.place);
    let message = json!({ "_id": "doctor", "messageType": "text", "message": "", "pushToClients": [] });
    let path = format!("/hooks/{app}/{secret}/imkit");
    let answer = match call(one.deployment, "POST", &path, &[], Some(&message)).await {
        Ok(answer) => answer,
        Err(reason) => return findings.fail(format!("the hooks are not reached: {reason}"), "see the API's own line"),
    };
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = body["code"]
        .as_str()
        .or_else(|| body["error"]["code"].as_str())
        .or_else(|| body["RC"].as_str())
        .unwrap_or_default();
    match answer.status {
        StatusCode::OK => findings.ok("the hooks answer, from here"),
        StatusCode::FORBIDDEN => findings.warn(
            format!(
                "the hooks are for {sources} sources only, and this machine is none of them, so they could not be tried"
            ),
            format!(
                "run `doctor {app}{place}` where your chat server runs, or compare `hook_sources` with its address"
            ),
        ),
        StatusCode::UNAUTHORIZED => findings.fail(
            "the hooks refuse the app's own hook secret",
            "it was changed less than five minutes ago: wait; else the API at --url is another stage's",
        ),
        StatusCode::NOT_FOUND => findings.fail(
            "the hooks do not know the app",
            "it was made less than a minute ago: wait; else the API at --url is another stage's",
        ),
        StatusCode::SERVICE_UNAVAILABLE => findings.fail(
            format!("the hooks are out of order for the app ({code})"),
            format!(
                "one of its documents cannot be read, see above; else look at the log of generic-push: `tail{place}`"
            ),
        ),
        other => findings.fail(
            format!("the hooks answer {} to a message that is well formed", other.as_u16()),
            format!("look at the log of generic-push: `tail{place}`"),
        ),
    }
}

/// Calls Tencent's hook with a signature, and without events.
pub(super) async fn tencent(one: One<'_>, secret: &str, sdk_app_id: u64, token: Option<&str>, findings: &mut Findings) {
    let (app, time) = (one.app, one.now().as_secs());
    let mut path = format!(
        "/hooks/{app}/{secret}/tencent?SdkAppid={sdk_app_id}&CallbackCommand=Push.OfflinePush&contenttype=json"
    );
    if let Some(token) = token {
        let sign = digest::digest(&digest::SHA256, format!("{token}{time}").as_bytes());
        let sign: String = sign.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        path.push_str(&format!("&Sign={sign}&RequestTime={time}"));
    }
    match call(one.deployment, "POST", &path, &[], Some(&json!({ "Events": [] }))).await {
        Ok(answer) if answer.status == StatusCode::OK => findings.ok("Tencent's hook answers, from here"),
        // The sources are told by the other hook.
        Ok(answer) if answer.status == StatusCode::FORBIDDEN => {}
        Ok(answer) => findings.fail(
            format!("Tencent's hook answers {} to a call that is signed as Tencent's are", answer.status.as_u16()),
            "compare the token and this machine's clock; functions keep documents for five minutes",
        ),
        Err(reason) => findings.fail(format!("Tencent's hook is not reached: {reason}"), "see the API's own line"),
    }
}

/// Asks an address of the app's own whether anybody is there; what is answered does not matter.
pub(super) async fn anybody(deployment: &Deployment, url: &str) -> Result<(), String> {
    let request = Request::get(url).body(Full::<Bytes>::default()).map_err(|error| error.to_string())?;
    deployment.http.send(request).await.map(|_| ()).map_err(|error| causes(&error))
}
