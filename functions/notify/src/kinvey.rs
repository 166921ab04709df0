//! `sendMessage` and `sendBroadcast`, in Kinvey's words.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use lambda_http::{Body, Response};
use pushbell::app::{ApnsEnvironment, Settings};
use pushbell::call;
use pushbell::delivery::sns::Endpoints;
use pushbell::dialect::kinvey::credentials;
use pushbell::dialect::kinvey::error::{Failure, Kind, method_not_allowed};
use pushbell::dialect::kinvey::send::{Import, Send, Taken, To};
use pushbell::dialect::kinvey::with_request_id;
use pushbell::id::{AppId, ClientId};
use pushbell::message::Dialect;
use pushbell::recipient::Device;
use pushbell::registry::Adopted;
use pushbell::task::{Notice, SubmitError};
use pushbell::time::Timestamp;

use crate::{Call, Pushed, State, in_time, log_trouble, told};

/// Users whose devices are registered at once, each user's one after the other: they are written to one item.
const IMPORTS_AT_ONCE: usize = 32;

pub(crate) async fn send(state: &State, call: &Call<'_>, to: To) -> Response<Body> {
    let response = if call.request.method() == "POST" {
        in_time(state, call, pushed(state, call, to), unavailable).await.unwrap_or_else(|failure| failure.response())
    } else {
        method_not_allowed("POST")
    };
    with_request_id(call.request, response)
}

async fn pushed(state: &State, call: &Call<'_>, to: To) -> Result<Response<Body>, Failure> {
    let app = authenticate(state, call).await?;
    let settings = state.settings.get(&app).await.map_err(|error| trouble(&app, &error))?;
    let said = Send::parse(call.request.headers(), call::body(call.request), to, &settings.kinvey, call.now)?;
    let Send { whom, accepted, left_out, request, due, content, imports } = said;
    let imported = if settings.kinvey.import_tokens && to == To::Recipients {
        Some(import(state, &app, &settings, imports, call.now).await?)
    } else {
        None
    };
    let mut taken = Taken { task_id: None, accepted, repeated: false, send_at: None, imported, left_out: &left_out };
    let Some(whom) = whom else { return Ok(taken.response()) };
    let (audience, named) = told(&whom);
    let notice = Notice { app: app.clone(), dialect: Dialect::Kinvey, whom, request, due, online_only: false };
    let message = |id| content.message(app.clone(), id);
    let submitted = state.intake.notify(notice, message, call.now).await.map_err(|error| refusal(&app, &error))?;
    let pushed = Pushed { audience, named, deferred: due.is_some(), repeated: submitted.repeated };
    call.became(submitted.task, Some(pushed));
    taken.task_id = Some(submitted.task);
    taken.repeated = submitted.repeated;
    // Of a repeat that of the first, whatever the second says.
    taken.send_at = submitted.due.map(Timestamp::to_rfc3339);
    Ok(taken.response())
}

/// The app, whose own server alone may push.
pub(crate) async fn authenticate(state: &State, call: &Call<'_>) -> Result<AppId, Failure> {
    let (app, callers) = credentials::app(&state.callers, call::path_parameter(call.request, "appKey")).await?;
    call.app.get_or_init(|| app.clone());
    credentials::master(&callers, &app, call.request.headers(), call.now)?;
    Ok(app)
}

/// Registers the devices that documents tell of, where nobody has their tokens. How many were registered now.
async fn import(
    state: &State,
    app: &AppId,
    settings: &Settings,
    imports: Vec<Import>,
    now: Timestamp,
) -> Result<usize, Failure> {
    let mut by_user: BTreeMap<ClientId, Vec<Import>> = BTreeMap::new();
    for import in imports {
        by_user.entry(import.device.user.clone()).or_default().push(import);
    }
    let of_user = async |imports: Vec<Import>| {
        let mut sum = 0;
        for import in imports {
            sum += usize::from(adopt(state, app, settings, import, now).await?);
        }
        Ok(sum)
    };
    let adopted = stream::iter(by_user.into_values()).map(of_user).buffer_unordered(IMPORTS_AT_ONCE);
    adopted.try_fold(0, async |sum, adopted| Ok(sum + adopted)).await
}

/// Whether the device was registered now. Its SNS endpoint is kept if it is one of the app's platform applications; else the first send makes
/// one.
async fn adopt(
    state: &State,
    app: &AppId,
    settings: &Settings,
    import: Import,
    now: Timestamp,
) -> Result<bool, Failure> {
    let known = import.arn.as_deref().and_then(|arn| Endpoints::of_app(&settings.sns, arn));
    let own = settings.sns.environment == ApnsEnvironment::Sandbox;
    let device = Device {
        endpoint: known.map(|known| known.endpoint.to_owned()),
        ..import.device.device(known.map_or(own, |known| known.sandbox), now)
    };
    let adopted = state.registry.adopt(app, &import.device.user, &device).await;
    let adopted = matches!(adopted.map_err(|error| trouble(app, &error))?, Adopted::Now { .. });
    if let (true, Some(known)) = (adopted, known) {
        let noted = state.registry.note_application(app, known.application).await;
        noted.map_err(|error| trouble(app, &error))?;
    }
    Ok(adopted)
}

pub(crate) fn refusal(app: &AppId, error: &SubmitError) -> Failure {
    match error {
        SubmitError::TooLarge | SubmitError::TooDeep | SubmitError::OtherRoom => {
            Failure::new(Kind::ParameterValueOutOfRange, error.to_string())
        }
        SubmitError::OtherRequest => Failure::new(
            Kind::ParameterValueOutOfRange,
            "requestId is the name of a push to other recipients, which is not in the queue yet",
        ),
        SubmitError::Queue(_) | SubmitError::Unavailable(_) => trouble(app, error),
    }
}

pub(crate) fn unavailable() -> Failure {
    Failure::new(Kind::KinveyInternalErrorRetry, "the push was not accepted in time")
}

pub(crate) fn trouble(app: &AppId, error: &(dyn std::error::Error + 'static)) -> Failure {
    log_trouble(app, error);
    Failure::new(Kind::KinveyInternalErrorRetry, "the storage did not answer")
}
