//! `/push/ack`.

use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::lanying::ack::{Ack, Reporter, no_target, no_task};
use pushbell::dialect::lanying::envelope::{Failure, ok};
use pushbell::id::{AppId, ClientId, DeviceKey};
use pushbell::recipient::Device;
use pushbell::task::{Head, Standing};

use crate::{Call, State, trouble, who};

pub(crate) async fn ack(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let (app, user) = who::user(state, call).await?;
    let said = Ack::parse(call::body(call.request), &app, &user)?;
    let heads = state.results.heads(said.task).await.map_err(|error| trouble(&app, &error))?;
    let heads: Vec<&Head> = heads.iter().filter(|head| head.app == app && head.is_kept(call.now)).collect();
    if heads.is_empty() {
        return Err(no_task());
    }
    let device = match &said.device {
        Reporter::Named(device) => device.clone(),
        Reporter::Numbered(_) | Reporter::Only => said.device.among(&devices(state, &app, &user).await?)?,
    };
    let mut noted = false;
    for head in heads {
        let Some(seq) = chunk_for(state, head, &user, &device).await? else { continue };
        let done = state.results.note(head, seq, said.stage, (&user, &device), call.now).await;
        done.map_err(|error| trouble(&app, &error))?;
        noted = true;
    }
    if noted { Ok(ok(true)) } else { Err(no_target()) }
}

async fn devices(state: &State, app: &AppId, user: &ClientId) -> Result<Vec<Device>, Failure> {
    let found = state.recipients.get(app, user, false).await.map_err(|error| trouble(app, &error))?;
    Ok(found.map(|recipient| recipient.devices).unwrap_or_default())
}

/// The number of the chunk whose target the device is, or may be: before its chunk's row is seen, a report of any of the user's devices is kept.
async fn chunk_for(state: &State, head: &Head, user: &ClientId, device: &DeviceKey) -> Result<Option<u32>, Failure> {
    let app = &head.app;
    let seq = state.results.chunk_of(head, user).await.map_err(|error| trouble(app, &error))?;
    let Some(seq) = seq else { return Ok(None) };
    let standing = state.results.standing(&head.key, seq, user, device).await;
    let may_count = match standing.map_err(|error| trouble(app, &error))? {
        Standing::Target => true,
        Standing::Stranger => false,
        Standing::Unknown => devices(state, app, user).await?.iter().any(|own| own.key == *device),
    };
    Ok(may_count.then_some(seq))
}
