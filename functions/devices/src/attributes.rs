//! `/me/attributes`: what the app knows of a client by name.

use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::imkit::attributes::{Said, object_of};
use pushbell::dialect::imkit::badges::query_values;
use pushbell::dialect::imkit::envelope::{Failure, ok};

use crate::me::{authenticate, client};
use crate::{Call, State, of_registry, of_store, settings};

pub(crate) async fn show(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let caller = authenticate(state, call).await?;
    let client = client(call, &caller)?;
    let found = state.recipients.attributes(&caller.app, &client, true).await;
    let attributes = found.map_err(|error| of_store(&caller.app, &error))?;
    Ok(ok(object_of(&attributes)))
}

/// Attributes first, then their index, whether they were changed or not: a call that failed between the two is made good by the next one.
pub(crate) async fn change(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let caller = authenticate(state, call).await?;
    let said = Said::parse(call::body(call.request))?;
    let named = query_values(call.query(), "clientId")?.into_iter().next().or(said.client);
    let client = caller.client(named.as_deref())?;
    let app = &caller.app;
    let settings = settings(state, app).await?;
    let changed = state.recipients.change_attributes(app, &client, &said.change).await;
    let attributes = changed.map_err(|error| of_store(app, &error))?;
    let indexed = state.registry.index_attributes(app, &client, &settings.attributes, call.now).await;
    indexed.map_err(|error| of_registry(app, &error))?;
    Ok(ok(object_of(&attributes)))
}
