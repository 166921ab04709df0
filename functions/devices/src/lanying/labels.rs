//! What a user is called, and what their icon shows: `/user/push/alias`, `/user/push/tag`, `/user/push/badge`.

use lambda_http::http::Method;
use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::lanying::envelope::{Failure, ok};
use pushbell::dialect::lanying::labels::{self, BADGE_SOURCE, refusal};
use pushbell::id::{Alias, AppId, ClientId};
use pushbell::registry::LabelError;
use pushbell::time::Timestamp;

use super::{answer, authenticate, of_store, trouble};
use crate::{Call, State};

pub(crate) async fn alias(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "POST", async {
        let caller = authenticate(state, call).await?;
        let user = caller.user()?;
        let alias = labels::alias(call::body(call.request), &caller.app, user)?;
        set_alias(state, &caller.app, user, alias.as_ref(), call.now).await?;
        Ok(ok(true))
    })
    .await
}

pub(super) async fn set_alias(
    state: &State,
    app: &AppId,
    user: &ClientId,
    alias: Option<&Alias>,
    now: Timestamp,
) -> Result<(), Failure> {
    state.registry.set_alias(app, user, alias, now).await.map_err(|error| of_labels(app, &error))
}

pub(crate) async fn tags(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "GET, POST, DELETE", async {
        let caller = authenticate(state, call).await?;
        let (app, user) = (&caller.app, caller.user()?);
        if call.request.method() == Method::GET {
            let labels = state.registry.labels(app, user).await.map_err(|error| trouble(app, &error))?;
            return Ok(ok(labels.tags));
        }
        let tags = labels::tags(call::body(call.request))?;
        if call.request.method() == Method::POST {
            let added = state.registry.add_tags(app, user, &tags, call.now).await;
            added.map_err(|error| of_labels(app, &error))?;
        } else {
            let removed = state.registry.remove_tags(app, user, &tags).await;
            removed.map_err(|error| trouble(app, &error))?;
        }
        Ok(ok(true))
    })
    .await
}

/// The tags that the user has now go; one that is put on meanwhile stays.
pub(crate) async fn all_tags(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "DELETE", async {
        let caller = authenticate(state, call).await?;
        let (app, user) = (&caller.app, caller.user()?);
        let labels = state.registry.labels(app, user).await.map_err(|error| trouble(app, &error))?;
        let removed = state.registry.remove_tags(app, user, &labels.tags).await;
        removed.map_err(|error| trouble(app, &error))?;
        Ok(ok(true))
    })
    .await
}

pub(crate) async fn badge(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "POST", async {
        let caller = authenticate(state, call).await?;
        let (app, user) = (&caller.app, caller.user()?);
        let shown = labels::badge(call::body(call.request))?;
        let settings = state.settings.get(app).await.map_err(|error| trouble(app, &error))?;
        let set = state.recipients.set_shown(app, user, BADGE_SOURCE, shown, settings.badge_from, call.now).await;
        set.map_err(|error| of_store(app, &error))?;
        Ok(ok(true))
    })
    .await
}

fn of_labels(app: &AppId, error: &LabelError) -> Failure {
    refusal(error).unwrap_or_else(|| trouble(app, error))
}
