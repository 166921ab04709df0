//! `/push/{appKey}/events/{name}`: an event, and what the app's rules push for it.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::kinvey::error::{Failure, method_not_allowed};
use pushbell::dialect::kinvey::events::Posted;
use pushbell::dialect::kinvey::with_request_id;
use pushbell::trigger::{Event, Kind, fire};
use serde_json::json;

use crate::kinvey::{authenticate, trouble, unavailable};
use crate::{Call, State, in_time};

pub(crate) async fn post(state: &State, call: &Call<'_>) -> Response<Body> {
    let response = if call.request.method() == "POST" {
        in_time(state, call, posted(state, call), unavailable).await.unwrap_or_else(|failure| failure.response())
    } else {
        method_not_allowed("POST")
    };
    with_request_id(call.request, response)
}

async fn posted(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let app = authenticate(state, call).await?;
    let settings = state.settings.get(&app).await.map_err(|error| trouble(&app, &error))?;
    let name = call::path_parameter(call.request, "name");
    let Posted { id, document } = Posted::parse(call.request.headers(), call::body(call.request))?;
    let event = Event { kind: Kind::Posted(&name), id: id.as_deref(), document: &document };
    let fired = fire(&state.intake, &settings, &app, &event, call.now).await;
    let mut answer = fired.answer();
    for unqueued in &fired.unqueued {
        let failure = trouble(&app, &unqueued.error);
        // The same call may be made again: who has pushed by then does not push anew. But without a name it would.
        if id.is_some() || fired.triggered.is_empty() {
            return Err(failure);
        }
        let told =
            json!({"rule": unqueued.rule, "error": "the push could not be queued, and others of this event were"});
        if let Some(refused) = answer["refused"].as_array_mut() {
            refused.push(told);
        }
    }
    answer["event"] = json!(name);
    Ok(call::json(StatusCode::OK, &answer))
}
