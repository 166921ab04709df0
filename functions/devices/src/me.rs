//! `/me/…`: a client's devices, muted rooms, preferences and attributes.

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::imkit::badges::query_values;
use pushbell::dialect::imkit::caller::{self, Caller};
use pushbell::dialect::imkit::envelope::{Failure, ok};
use pushbell::dialect::imkit::subscription::{Subscribe, Unsubscribe, client_of};
use pushbell::id::{ClientId, RoomKey};
use pushbell::registry::Which;
use serde_json::json;

use crate::{
    Call, State, answer, attributes, endpoints, method_not_allowed, not_found, of_registry, of_store, preferences,
    settings,
};

/// The longest name of a room.
const MOST_ROOM_NAME: usize = 256;

pub(crate) async fn below(state: &State, call: &Call<'_>) -> Response<Body> {
    let path = call.parameter("proxy");
    let method = call.request.method();
    // A room's name may hold slashes: everything behind the first one is the name.
    let (word, rest) = path.split_once('/').map_or((path.as_str(), None), |(word, rest)| (word, Some(rest)));
    match (word, rest) {
        ("subscribe" | "unsubscribe", None) if method != Method::POST => method_not_allowed("POST"),
        ("subscribe", None) => answer(subscribe(state, call).await),
        ("unsubscribe", None) => answer(unsubscribe(state, call).await),
        ("mute", Some(_)) if method != Method::POST && method != Method::DELETE => method_not_allowed("POST, DELETE"),
        ("mute", Some(room)) => answer(mute(state, call, room, method == Method::POST).await),
        ("notification", Some("enable" | "disable")) if method != Method::POST => method_not_allowed("POST"),
        ("notification", Some("enable")) => answer(preferences::switch(state, call, false).await),
        ("notification", Some("disable")) => answer(preferences::switch(state, call, true).await),
        ("preferences", None) => match *method {
            Method::GET => answer(preferences::show(state, call).await),
            Method::PATCH => answer(preferences::change(state, call).await),
            _ => method_not_allowed("GET, PATCH"),
        },
        ("attributes", None) => match *method {
            Method::GET => answer(attributes::show(state, call).await),
            Method::PATCH => answer(attributes::change(state, call).await),
            _ => method_not_allowed("GET, PATCH"),
        },
        _ => not_found().response(),
    }
}

async fn subscribe(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let caller = authenticate(state, call).await?;
    let said = Subscribe::parse(call::body(call.request))?;
    let client = caller.client(said.client.as_deref())?;
    let settings = settings(state, &caller.app).await?;
    let device = said.device(settings.sns.environment, call.now);
    endpoints::register(state, &caller.app, &client, device, &settings.sns)
        .await
        .map_err(|error| of_registry(&caller.app, &error))?;
    Ok(ok(json!({})))
}

async fn unsubscribe(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let caller = authenticate(state, call).await?;
    let said = Unsubscribe::parse(call::body(call.request))?;
    let client = caller.client(said.client.as_deref())?;
    let settings = settings(state, &caller.app).await?;
    let gone = state.registry.unregister(&caller.app, &client, Which::Key(&said.key())).await;
    let gone = gone.map_err(|error| of_registry(&caller.app, &error))?;
    let n = u8::from(gone.is_some());
    if let Some(device) = gone {
        endpoints::release(state, &caller.app, &settings.sns, &[device]).await;
    }
    Ok(ok(json!({"n": n, "ok": 1})))
}

async fn mute(state: &State, call: &Call<'_>, room: &str, mute: bool) -> Result<Response<Body>, Failure> {
    let caller = authenticate(state, call).await?;
    let client = client(call, &caller)?;
    if room.is_empty() || room.len() > MOST_ROOM_NAME || room.chars().any(char::is_control) {
        let rule = "the room in the path is not 1 to 256 bytes without control characters";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", rule));
    }
    let room = RoomKey::of(room);
    let done = if mute {
        state.recipients.mute(&caller.app, &client, &room).await
    } else {
        state.recipients.unmute(&caller.app, &client, &room).await
    };
    done.map_err(|error| of_store(&caller.app, &error))?;
    Ok(ok(json!({})))
}

/// Whom a call without a body of its own is for: an API key names the client in the query, or in a body.
pub(crate) fn client(call: &Call<'_>, caller: &Caller) -> Result<ClientId, Failure> {
    let named = match query_values(call.query(), "clientId")?.into_iter().next() {
        Some(named) => Some(named),
        None => client_of(call::body(call.request))?,
    };
    caller.client(named.as_deref())
}

pub(crate) async fn authenticate(state: &State, call: &Call<'_>) -> Result<Caller, Failure> {
    let caller = caller::authenticate(&state.callers, call.request.headers(), call.now).await?;
    call.is_for(&caller.app);
    Ok(caller)
}
