//! `/me/notification/…` and `/me/preferences`: whether, when and how a client is notified.

use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::imkit::badges::query_values;
use pushbell::dialect::imkit::envelope::{Failure, ok};
use pushbell::dialect::imkit::preferences::{Said, object_of};
use pushbell::recipient::PreferencesChange;
use serde_json::json;

use crate::me::{authenticate, client};
use crate::{Call, State, of_store};

/// IMKIT's own switch.
pub(crate) async fn switch(state: &State, call: &Call<'_>, off: bool) -> Result<Response<Body>, Failure> {
    let caller = authenticate(state, call).await?;
    let client = client(call, &caller)?;
    let mut change = PreferencesChange::default();
    change.off(off);
    let done = state.recipients.change_preferences(&caller.app, &client, &change).await;
    done.map_err(|error| of_store(&caller.app, &error))?;
    Ok(ok(json!({})))
}

pub(crate) async fn show(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let caller = authenticate(state, call).await?;
    let client = client(call, &caller)?;
    let found = state.recipients.get(&caller.app, &client, true).await;
    let recipient = found.map_err(|error| of_store(&caller.app, &error))?.unwrap_or_default();
    Ok(ok(object_of(&recipient)))
}

pub(crate) async fn change(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let caller = authenticate(state, call).await?;
    let said = Said::parse(call::body(call.request))?;
    let named = query_values(call.query(), "clientId")?.into_iter().next().or(said.client);
    let client = caller.client(named.as_deref())?;
    let changed = state.recipients.change_preferences(&caller.app, &client, &said.change).await;
    let recipient = changed.map_err(|error| of_store(&caller.app, &error))?;
    Ok(ok(object_of(&recipient)))
}
