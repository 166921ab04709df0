//! A user's devices: `/user/token/...`, `/user/device/...`, `/user/register/push`.

use lambda_http::{Body, Response};
use pushbell::app::ApnsEnvironment;
use pushbell::call;
use pushbell::dialect::lanying::caller;
use pushbell::dialect::lanying::devices::{Bind, PushUser, device_number, list as listed, no_notifier, numbered};
use pushbell::dialect::lanying::envelope::{Failure, ok, ok_list};
use pushbell::id::{AppId, ClientId};
use pushbell::recipient::Device;
use pushbell::registry::Which;
use serde_json::json;

use super::labels::set_alias;
use super::{answer, authenticate, of_store, trouble};
use crate::{Call, State, endpoints};

pub(crate) async fn bind(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "POST, PUT", async {
        let caller = authenticate(state, call).await?;
        let user = caller.user()?;
        let said = Bind::parse(call::body(call.request))?;
        let settings = state.settings.get(&caller.app).await.map_err(|error| trouble(&caller.app, &error))?;
        let notifier = settings.lanying.notifier(&said.notifier).ok_or_else(no_notifier)?;
        let device = said.device(notifier, settings.sns.environment == ApnsEnvironment::Sandbox, call.now);
        let done = endpoints::register(state, &caller.app, user, device, &settings.sns).await;
        done.map_err(|error| trouble(&caller.app, &error))?;
        Ok(ok(true))
    })
    .await
}

pub(crate) async fn unbind(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "POST, DELETE", async {
        take_out(state, call).await?;
        Ok(ok(json!({})))
    })
    .await
}

pub(crate) async fn remove(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "POST, DELETE", async {
        take_out(state, call).await?;
        Ok(ok(true))
    })
    .await
}

/// Takes the device of the query out. Nothing there is as good as gone.
async fn take_out(state: &State, call: &Call<'_>) -> Result<(), Failure> {
    let caller = authenticate(state, call).await?;
    let (app, user) = (&caller.app, caller.user()?);
    let number = device_number(call.query())?;
    let settings = state.settings.get(app).await.map_err(|error| trouble(app, &error))?;
    let devices = devices_of(state, app, user).await?;
    let Some(device) = numbered(&devices, number) else { return Ok(()) };
    let gone = state.registry.unregister(app, user, Which::Key(&device.key)).await;
    if let Some(device) = gone.map_err(|error| trouble(app, &error))? {
        endpoints::release(state, app, &settings.sns, &[device]).await;
    }
    Ok(())
}

pub(crate) async fn list(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "GET", async {
        let caller = authenticate(state, call).await?;
        let (app, user) = (&caller.app, caller.user()?);
        let devices = devices_of(state, app, user).await?;
        Ok(ok_list(listed(app, user, &devices)))
    })
    .await
}

async fn devices_of(state: &State, app: &AppId, user: &ClientId) -> Result<Vec<Device>, Failure> {
    let found = state.recipients.get(app, user, true).await.map_err(|error| of_store(app, &error))?;
    Ok(found.map(|recipient| recipient.devices).unwrap_or_default())
}

/// Nobody is made by it: a user is whoever has a device, a badge or a setting.
pub(crate) async fn register_push(state: &State, call: &Call<'_>) -> Response<Body> {
    answer(call, "POST", async {
        let caller = authenticate(state, call).await?;
        let said = PushUser::parse(call::body(call.request))?;
        let (app, user) = (&caller.app, &said.username);
        caller::may_register(&caller, user)?;
        let device = said.device(app)?;
        if let Some(alias) = &said.alias {
            set_alias(state, app, user, Some(alias), call.now).await?;
        }
        let found = state.recipients.get(app, user, true).await.map_err(|error| of_store(app, &error))?;
        Ok(ok(PushUser::settings(app, user, device, &found.unwrap_or_default())))
    })
    .await
}
