//! The badge service: for IMKIT's server under the hook's path, for apps and clients with a credential.

use std::collections::HashMap;

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Response};
use pushbell::app::BadgeFrom;
use pushbell::auth::hook::{self, HookError};
use pushbell::call;
use pushbell::dialect::imkit::badges::{Change, ids_of_body, ids_of_query, object_of};
use pushbell::dialect::imkit::caller::{self, Caller, Who};
use pushbell::dialect::imkit::envelope::Failure;
use pushbell::id::{AppId, ClientId};
use pushbell::recipient::Recipient;
use serde_json::Value;

use crate::{Call, State, answer, method_not_allowed, of_store, settings, trouble};

/// What all these addresses take.
const METHODS: &str = "GET, POST";

/// How the service was entered.
#[derive(Clone, Copy)]
pub(crate) enum Door {
    /// By IMKIT's server, which sends no credential but the path.
    Hook,
    /// With a header.
    Credential,
}

impl Door {
    async fn caller(self, state: &State, call: &Call<'_>) -> Result<Caller, Failure> {
        match self {
            Self::Hook => hook(state, call).await,
            Self::Credential => {
                let caller = caller::authenticate(&state.callers, call.request.headers(), call.now).await?;
                call.is_for(&caller.app);
                Ok(caller)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Get,
    Post,
}

fn method(call: &Call<'_>) -> Option<Asked> {
    match *call.request.method() {
        Method::GET => Some(Asked::Get),
        Method::POST => Some(Asked::Post),
        _ => None,
    }
}

/// Badges of several clients.
pub(crate) async fn many(state: &State, call: &Call<'_>, door: Door) -> Response<Body> {
    let Some(method) = method(call) else { return method_not_allowed(METHODS) };
    answer(async { several(state, call, method, &door.caller(state, call).await?).await }.await)
}

/// One client's badge.
pub(crate) async fn one(state: &State, call: &Call<'_>, door: Door) -> Response<Body> {
    let Some(method) = method(call) else { return method_not_allowed(METHODS) };
    answer(async { single(state, call, method, &door.caller(state, call).await?).await }.await)
}

async fn several(state: &State, call: &Call<'_>, method: Asked, caller: &Caller) -> Result<Response<Body>, Failure> {
    let ids = match method {
        Asked::Get => asked(call, caller)?,
        Asked::Post => ids_of_body(call::body(call.request))?,
    };
    list(state, caller, &ids).await
}

/// The ids of a query. Without any, a client asks for themself. A server would ask for everybody, which is a scan of all apps' clients.
fn asked(call: &Call<'_>, caller: &Caller) -> Result<Vec<ClientId>, Failure> {
    let ids = ids_of_query(call.query())?;
    match &caller.who {
        _ if !ids.is_empty() => Ok(ids),
        Who::Client(own) => Ok(vec![own.clone()]),
        Who::Server => Err(Failure::new(
            StatusCode::BAD_REQUEST,
            "MISSING_PARAMETER",
            "name up to 100 clients: ?clientId=a&clientId=b; everybody at once is not listed",
        )),
    }
}

async fn list(state: &State, caller: &Caller, ids: &[ClientId]) -> Result<Response<Body>, Failure> {
    for id in ids {
        may_see(caller, id)?;
    }
    let from = settings(state, &caller.app).await?.badge_from;
    let found: HashMap<ClientId, Recipient> =
        state.recipients.get_all(&caller.app, ids).await.map_err(|error| of_store(&caller.app, &error))?;
    let nobody = Recipient::default();
    let badges: Vec<Value> = ids.iter().map(|id| object_of(id, found.get(id).unwrap_or(&nobody), from)).collect();
    Ok(call::json(StatusCode::OK, &badges))
}

async fn single(state: &State, call: &Call<'_>, method: Asked, caller: &Caller) -> Result<Response<Body>, Failure> {
    let client = call.parameter("clientId");
    // An address with a slash behind it, as a server may make of the one that it was given.
    if client.is_empty() {
        return several(state, call, method, caller).await;
    }
    let client = caller.client(Some(&client))?;
    let change = match method {
        Asked::Get => None,
        Asked::Post => Some(Change::parse(call::body(call.request), call.now)?),
    };
    let from: BadgeFrom = settings(state, &caller.app).await?.badge_from;
    let app = &caller.app;
    let recipient = match change {
        None => state.recipients.get(app, &client, true).await.map(Option::unwrap_or_default),
        Some(Change::Source { name, count }) => state.recipients.set_source(app, &client, &name, count).await,
        Some(Change::Room { room, reading }) => state.recipients.read_room(app, &client, &room, reading).await,
        Some(Change::Everything { reading }) => state.recipients.read_all(app, &client, reading).await,
    };
    let recipient = recipient.map_err(|error| of_store(app, &error))?;
    Ok(call::json(StatusCode::OK, &object_of(&client, &recipient, from)))
}

fn may_see(caller: &Caller, client: &ClientId) -> Result<(), Failure> {
    caller.client(Some(client.as_str())).map(|_| ())
}

async fn hook(state: &State, call: &Call<'_>) -> Result<Caller, Failure> {
    let unknown = || Failure::new(StatusCode::NOT_FOUND, "APP_NOT_FOUND", "there is no such app");
    let app = AppId::parse(call.parameter("app")).map_err(|_| unknown())?;
    let callers = state.callers.get(&app).await.map_err(|error| trouble(&app, &error))?.ok_or_else(unknown)?;
    call.is_for(&app);
    hook::check(&callers, &call.parameter("secret"), call::source(call.request), call.now).map_err(|error| {
        let (status, code) = match error {
            HookError::Secret => (StatusCode::UNAUTHORIZED, "INVALID_SECRET"),
            HookError::Source => (StatusCode::FORBIDDEN, "SOURCE_NOT_ALLOWED"),
        };
        Failure::new(status, code, error.to_string())
    })?;
    Ok(Caller { app, who: Who::Server })
}
