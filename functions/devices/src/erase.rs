//! Erasing a client for good: `DELETE /me`, `DELETE /clients/{id}`.

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Response};
use pushbell::dialect::imkit::caller::{self, Who, unavailable};
use pushbell::dialect::imkit::envelope::{Failure, ok};
use pushbell::id::{AppId, ClientId};
use serde_json::json;

use crate::{Call, State, answer, endpoints, method_not_allowed, of_registry, of_store, settings};

pub(crate) async fn me(state: &State, call: &Call<'_>) -> Response<Body> {
    if call.request.method() != Method::DELETE {
        return method_not_allowed("DELETE");
    }
    answer(erase_caller(state, call).await)
}

pub(crate) async fn client(state: &State, call: &Call<'_>) -> Response<Body> {
    if call.request.method() != Method::DELETE {
        return method_not_allowed("DELETE");
    }
    answer(erase_named(state, call).await)
}

async fn erase_caller(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let caller = caller::authenticate(&state.callers, call.request.headers(), call.now).await?;
    call.is_for(&caller.app);
    match &caller.who {
        Who::Client(client) => erase(state, &caller.app, client).await,
        Who::Server => {
            let advice = "an API key is nobody's: use DELETE /clients/{id}";
            Err(Failure::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", advice))
        }
    }
}

async fn erase_named(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let caller = caller::authenticate(&state.callers, call.request.headers(), call.now).await?;
    call.is_for(&caller.app);
    match &caller.who {
        Who::Server => {
            let client = caller.client(Some(&call.parameter("id")))?;
            erase(state, &caller.app, &client).await
        }
        Who::Client(_) => {
            let advice = "this address takes IM-API-KEY; with a user token use DELETE /me";
            Err(Failure::new(StatusCode::FORBIDDEN, "FORBIDDEN", advice))
        }
    }
}

/// Endpoints first: once the item is gone nothing tells where they are. A call that fails half-way is made again and goes on.
async fn erase(state: &State, app: &AppId, client: &ClientId) -> Result<Response<Body>, Failure> {
    let settings = settings(state, app).await?;
    let found = state.recipients.get(app, client, true).await.map_err(|error| of_store(app, &error))?;
    let known = found.map(|recipient| recipient.devices).unwrap_or_default();
    if !endpoints::delete(state, app, &settings.sns, &known).await {
        return Err(unavailable());
    }
    let erased = state.registry.erase(app, client).await.map_err(|error| of_registry(app, &error))?;
    // Registered, or given an endpoint, while the others were deleted.
    let late: Vec<_> = erased
        .iter()
        .filter(|device| !known.iter().any(|known| known.key == device.key && known.endpoint == device.endpoint))
        .cloned()
        .collect();
    endpoints::release(state, app, &settings.sns, &late).await;
    Ok(ok(json!({"devices": erased.len()})))
}
