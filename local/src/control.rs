//! What a local stack answers beside its API: `GET /phones`, and `/_local/...` for tests and for playing with it.
//!
//! | call | what |
//! |---|---|
//! | `GET /_local/stack` | where AWS and the vendors are, and the stack's name and stage |
//! | `PUT`, `DELETE /_local/apps/{app}/settings` | keeps an app's settings for the next start, or no longer |
//! | `GET /phones?raw=1&token=` | what the phones have; every accepted push with `raw=1` |
//! | `PUT /_local/phones/{channel}/{token}` `{"online": false, "dead": true}` | switches a phone, or ends its token |
//! | `GET`, `PUT`, `POST`, `DELETE /_local/faults`, `DELETE /_local/faults/{id}` | lists, replaces, adds to, clears the rules; removes one |
//! | `GET /_local/queues` | messages per queue: visible, in flight, delayed |
//! | `PUT /_local/queues/{queue}` `{"paused": true}` | keeps a queue's records from its function, or hands them out again |
//! | `POST /_local/queues/advance?seconds=900` | lets time pass for all queues; with `delayed=1` for delayed messages only |
//! | `POST /_local/schedules/{function}` | runs a scheduled function now |
//! | `POST /_local/functions/{function}/invoke` | hands it the body as its event, as AWS would, and answers what it answers |
//! | `POST /_local/functions/{function}/kill` | ends its processes (`--processes`) |
//! | `POST /_local/tables/sweep` | deletes expired items |
//! | `POST /_local/vendors/fcm/accounts` `{"project_id": "acme"}` | makes a service account at the fake Google, and answers its key file |
//! | `DELETE /_local/vendors/fcm/accounts/{client_email}`, `…/keys/{private_key_id}` | deletes it there, or one key of it |
//! | `POST /_local/vendors/apns/keys` `{"team_id": "…", "topics": ["com.example.app"]}` | makes a signing key at the fake Apple, and answers it |
//! | `DELETE /_local/vendors/apns/keys/{key_id}` | revokes it |

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use pushbell::id::AppId;

use crate::apps;
use crate::aws::{Aws, REGION};
use crate::faults::Rule;
use crate::invocation::{Invoker, PAYLOAD_LIMIT};
use crate::phones::{Channel, Phones, View};
use crate::schedule::Timer;
use crate::template::{STACK, STAGE};
use crate::vendors::Vendors;

/// The parts of a stack that can be looked at and worked on.
pub(crate) struct Control {
    pub(crate) aws: Aws,
    pub(crate) aws_url: String,
    pub(crate) vendors: Vendors,
    pub(crate) vendors_url: String,
    pub(crate) phones: Phones,
    /// The folder with the apps' documents.
    pub(crate) apps: PathBuf,
    /// By the functions' workspace packages.
    pub(crate) invokers: BTreeMap<String, Invoker>,
    pub(crate) timers: Vec<Timer>,
}

/// The routes of this module.
pub(crate) fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/phones", get(phones))
        .route("/_local/stack", get(stack))
        .route("/_local/apps/{app}/settings", put(keep_settings).delete(drop_settings))
        .route("/_local/phones/{channel}/{token}", put(set_phone))
        .route("/_local/faults", get(faults).put(replace_faults).post(add_fault).delete(clear_faults))
        .route("/_local/faults/{id}", delete(remove_fault))
        .route("/_local/queues", get(queues))
        .route("/_local/queues/advance", post(advance))
        .route("/_local/queues/{queue}", put(pause))
        .route("/_local/schedules/{function}", post(tick))
        .route("/_local/functions/{function}/invoke", post(invoke).layer(DefaultBodyLimit::max(PAYLOAD_LIMIT)))
        .route("/_local/functions/{function}/kill", post(kill))
        .route("/_local/tables/sweep", post(sweep))
        .route("/_local/vendors/fcm/accounts", post(add_account))
        .route("/_local/vendors/fcm/accounts/{client_email}", delete(delete_account))
        .route("/_local/vendors/fcm/accounts/{client_email}/keys/{private_key_id}", delete(delete_account_key))
        .route("/_local/vendors/apns/keys", post(issue_key))
        .route("/_local/vendors/apns/keys/{key_id}", delete(revoke_key))
        .with_state(control)
}

/// A call that cannot be done, with the reason for whoever made it.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "message": self.1 }))).into_response()
    }
}

impl From<JsonRejection> for Refused {
    fn from(rejection: JsonRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

fn failed(error: impl std::error::Error) -> Refused {
    Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn bad(error: impl std::error::Error) -> Refused {
    Refused(StatusCode::BAD_REQUEST, error.to_string())
}

fn unknown(what: &str, name: &str) -> Refused {
    Refused(StatusCode::NOT_FOUND, format!("there is no {what} {name}"))
}

type Answer = Result<Response, Refused>;

async fn stack(State(control): State<Arc<Control>>) -> Response {
    let (aws, vendors) = (&control.aws_url, &control.vendors_url);
    let now = control.aws.queues.stamp_ms();
    let named = json!({ "aws": aws, "vendors": vendors, "stack": STACK, "stage": STAGE, "region": REGION, "now": now });
    Json(named).into_response()
}

async fn keep_settings(State(control): State<Arc<Control>>, Path(app): Path<AppId>, text: String) -> Answer {
    // A wrong one would keep the next stack from starting.
    pushbell::app::check("settings", &text).map_err(bad)?;
    apps::keep_settings(&control.apps, &app, Some(&text)).map_err(failed)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn drop_settings(State(control): State<Arc<Control>>, Path(app): Path<AppId>) -> Answer {
    apps::keep_settings(&control.apps, &app, None).map_err(failed)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
struct PhonesQuery {
    raw: Option<String>,
    token: Option<String>,
}

async fn phones(State(control): State<Arc<Control>>, Query(query): Query<PhonesQuery>) -> Answer {
    let view = if query.raw.is_some_and(|raw| raw != "0") { View::Raw } else { View::Received };
    Ok(Json(control.phones.list(view, query.token.as_deref()).map_err(failed)?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneState {
    online: Option<bool>,
    dead: Option<bool>,
}

async fn set_phone(
    State(control): State<Arc<Control>>,
    Path((channel, token)): Path<(String, String)>,
    state: Result<Json<PhoneState>, JsonRejection>,
) -> Answer {
    let Json(state) = state?;
    let channel = Channel::named(&channel).ok_or_else(|| unknown("channel", &channel))?;
    if let Some(online) = state.online {
        control.phones.set_online(channel, &token, online).map_err(failed)?;
    }
    if let Some(dead) = state.dead {
        control.phones.set_dead(channel, &token, dead).map_err(failed)?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn faults(State(control): State<Arc<Control>>) -> Response {
    Json(control.aws.faults.list()).into_response()
}

async fn replace_faults(State(control): State<Arc<Control>>, rules: Result<Json<Vec<Rule>>, JsonRejection>) -> Answer {
    let Json(rules) = rules?;
    control.aws.faults.replace(rules).map_err(bad)?;
    Ok(Json(control.aws.faults.list()).into_response())
}

async fn add_fault(State(control): State<Arc<Control>>, rule: Result<Json<Rule>, JsonRejection>) -> Answer {
    let Json(rule) = rule?;
    let id = control.aws.faults.add(rule).map_err(bad)?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))).into_response())
}

async fn clear_faults(State(control): State<Arc<Control>>) -> StatusCode {
    control.aws.faults.clear();
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(control): State<Arc<Control>>, Path(id): Path<u64>) -> Answer {
    if control.aws.faults.remove(id) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(unknown("fault", &id.to_string()))
    }
}

async fn queues(State(control): State<Arc<Control>>) -> Answer {
    let queues = &control.aws.queues;
    let mut depths = BTreeMap::new();
    for name in queues.names().map_err(failed)? {
        let depth = queues.depth(&name).map_err(failed)?;
        depths.insert(name, depth);
    }
    Ok(Json(depths).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueState {
    paused: bool,
}

async fn pause(
    State(control): State<Arc<Control>>,
    Path(queue): Path<String>,
    state: Result<Json<QueueState>, JsonRejection>,
) -> Answer {
    let Json(state) = state?;
    control.aws.queues.spec(&queue).map_err(|_| unknown("queue", &queue))?;
    control.aws.queues.pause(&queue, state.paused);
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
struct AdvanceQuery {
    seconds: u64,
    delayed: Option<String>,
}

async fn advance(State(control): State<Arc<Control>>, Query(query): Query<AdvanceQuery>) -> Answer {
    let by = Duration::from_secs(query.seconds);
    if query.delayed.is_some_and(|delayed| delayed != "0") {
        control.aws.queues.advance_delayed(by).map_err(failed)?;
    } else {
        control.aws.queues.advance(by).map_err(failed)?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn tick(State(control): State<Arc<Control>>, Path(function): Path<String>) -> Answer {
    let mut found = false;
    for timer in control.timers.iter().filter(|timer| timer.function() == function) {
        found = true;
        timer.tick().await.map_err(failed)?;
    }
    if found { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(unknown("scheduled function", &function)) }
}

/// One synchronous invocation. Whoever hands over an event is who tries again, as AWS's sources are.
async fn invoke(State(control): State<Arc<Control>>, Path(function): Path<String>, event: Bytes) -> Answer {
    let invoker = control.invokers.get(&function).ok_or_else(|| unknown("function", &function))?;
    let answer = invoker.invoke(event).await.map_err(|error| Refused(StatusCode::BAD_GATEWAY, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

async fn kill(State(control): State<Arc<Control>>, Path(function): Path<String>) -> Answer {
    let invoker = control.invokers.get(&function).ok_or_else(|| unknown("function", &function))?;
    Ok(Json(json!({ "killed": invoker.kill() })).into_response())
}

async fn sweep(State(control): State<Arc<Control>>) -> Answer {
    let deleted = control.aws.dynamodb.sweep_ttl().await.map_err(failed)?;
    Ok(Json(json!({ "deleted": deleted })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    project_id: String,
}

async fn add_account(State(control): State<Arc<Control>>, account: Result<Json<NewAccount>, JsonRejection>) -> Answer {
    let Json(account) = account?;
    let key_file = control.vendors.add_account(&account.project_id).map_err(failed)?;
    Ok((StatusCode::CREATED, Json(key_file)).into_response())
}

async fn delete_account(State(control): State<Arc<Control>>, Path(client_email): Path<String>) -> Answer {
    if control.vendors.delete_account(&client_email) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(unknown("service account", &client_email))
    }
}

async fn delete_account_key(
    State(control): State<Arc<Control>>,
    Path((client_email, private_key_id)): Path<(String, String)>,
) -> Answer {
    if control.vendors.delete_key(&client_email, &private_key_id) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(unknown("key", &private_key_id))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    team_id: String,
    topics: Vec<String>,
}

async fn issue_key(State(control): State<Arc<Control>>, key: Result<Json<NewKey>, JsonRejection>) -> Answer {
    let Json(key) = key?;
    let issued = control.vendors.apple().issue(&key.team_id, &key.topics).map_err(failed)?;
    Ok((StatusCode::CREATED, Json(issued)).into_response())
}

async fn revoke_key(State(control): State<Arc<Control>>, Path(key_id): Path<String>) -> Answer {
    if control.vendors.apple().revoke(&key_id) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(unknown("signing key", &key_id))
    }
}
