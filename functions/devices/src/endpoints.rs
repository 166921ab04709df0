//! A device and its SNS endpoint: made with the device, deleted with it. SNS being out of reach keeps no device from being registered.

use std::time::Duration;

use pushbell::app::SnsSettings;
use pushbell::delivery::Channel;
use pushbell::delivery::sns::Endpoints;
use pushbell::id::{AppId, ClientId};
use pushbell::recipient::Device;
use pushbell::registry::RegistryError;
use pushbell::telemetry;

use crate::State;

/// How long SNS may take on the way of a registration. Afterwards `deliver` makes the endpoint when it first needs it.
const LIMIT: Duration = Duration::from_secs(3);

/// Registers `device`, deletes the endpoints that nobody uses any more, and sees that an iOS device has one that works.
pub(crate) async fn register(
    state: &State,
    app: &AppId,
    client: &ClientId,
    device: Device,
    sns: &SnsSettings,
) -> Result<(), RegistryError> {
    let registered = state.registry.register(app, client, device).await?;
    release(state, app, sns, &registered.released).await;
    if registered.device.channel == Channel::Sns {
        provide(state, app, client, &registered.device, sns).await;
    }
    Ok(())
}

/// SNS disables an endpoint when Apple once refused its token, and the next send would take a disabled endpoint for a dead device. So
/// each registration asks for the endpoint anew: the same one comes back, and works again.
async fn provide(state: &State, app: &AppId, client: &ClientId, device: &Device, sns: &SnsSettings) {
    let Some(application) = sns.application(device.sandbox) else {
        tracing::warn!(app = %app, sandbox = device.sandbox, "the app's settings name no platform application for this device");
        return;
    };
    let endpoint = match tokio::time::timeout(LIMIT, state.endpoints.create(application, &device.token)).await {
        Ok(Ok(endpoint)) => endpoint,
        Ok(Err(error)) => {
            tracing::warn!(app = %app, error = %error, cause = telemetry::cause(&error), metric = "endpoint_not_created", "an SNS endpoint was not created");
            return;
        }
        Err(_) => {
            tracing::warn!(app = %app, metric = "endpoint_not_created", "SNS took too long to create an endpoint");
            return;
        }
    };
    // What SNS tells of the endpoint is found in the app by it.
    if let Err(error) = state.registry.note_application(app, application).await {
        tracing::warn!(app = %app, error = %error, cause = telemetry::cause(&error), "a platform application was not noted");
    }
    if device.endpoint.as_deref() == Some(endpoint.as_str()) {
        return;
    }
    let kept = state.recipients.set_endpoint(app, client, &device.key, &device.token, &endpoint).await;
    if let Err(error) = kept {
        tracing::warn!(app = %app, error = %error, cause = telemetry::cause(&error), "an SNS endpoint was not kept");
    }
}

/// Deletes the endpoints of devices that are gone. One that stays is not sent to any more.
pub(crate) async fn release(state: &State, app: &AppId, sns: &SnsSettings, devices: &[Device]) {
    let deleted = tokio::time::timeout(LIMIT, delete(state, app, sns, devices)).await;
    if !matches!(deleted, Ok(true)) {
        tracing::warn!(app = %app, metric = "endpoint_not_deleted", "an SNS endpoint was left behind");
    }
}

/// Deletes the devices' endpoints; whether all of them are gone. An endpoint of a platform application that the settings name no more
/// cannot be found, and counts as gone.
pub(crate) async fn delete(state: &State, app: &AppId, sns: &SnsSettings, devices: &[Device]) -> bool {
    let deletions = devices.iter().filter(|device| device.channel == Channel::Sns).filter_map(|device| {
        let endpoint = device.endpoint.as_deref()?;
        let application = sns.application(device.sandbox)?;
        Some(async move {
            let deleted = state.endpoints.delete(application, endpoint).await;
            if let Err(error) = &deleted {
                tracing::warn!(app = %app, error = %error, cause = telemetry::cause(error), "an SNS endpoint was not deleted");
            }
            deleted.is_ok()
        })
    });
    futures_util::future::join_all(deletions).await.into_iter().all(|deleted| deleted)
}

/// The full ARN of a device's endpoint.
pub(crate) fn arn(sns: &SnsSettings, device: &Device) -> Option<String> {
    Endpoints::arn(sns.application(device.sandbox)?, device.endpoint.as_deref()?)
}
