//! `/push/notify` and `/push/task/cancel`.

use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::lanying::cancel::{self, cancelled, no_task};
use pushbell::dialect::lanying::envelope::{Code, Failure, ok};
use pushbell::dialect::lanying::notify::Push;
use pushbell::id::AppId;
use pushbell::message::{Dialect, Strategy};
use pushbell::task::{Notice, SubmitError};
use serde_json::json;

use crate::{Call, Pushed, State, told, trouble};

pub(crate) async fn notify(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let app = call.authenticate(state).await?.app;
    let settings = state.settings.get(&app).await.map_err(|error| trouble(&app, &error))?;
    if !settings.lanying.push {
        return Err(Failure::new(Code::PushOff, "the app's setting lanying.push switches pushes off"));
    }
    let Push { whom, request, due, content, roads } = Push::parse(call::body(call.request), &app, call.now)?;
    let (audience, named) = told(&whom);
    let (online_only, deferred) = (roads.strategy == Strategy::Online, due.is_some());
    let notice = Notice { app: app.clone(), dialect: Dialect::Lanying, whom, request, due, online_only };
    let message = |id| content.message(app.clone(), id, roads.clone());
    let accepted = state.intake.notify(notice, message, call.now).await.map_err(|error| refusal(&app, &error))?;
    call.became(accepted.task, Some(Pushed { audience, named, deferred, repeated: accepted.repeated }));
    Ok(ok(json!({"task_id": accepted.task})))
}

fn refusal(app: &AppId, error: &SubmitError) -> Failure {
    match error {
        SubmitError::TooLarge | SubmitError::TooDeep | SubmitError::OtherRoom => {
            Failure::new(Code::BadParameter, error.to_string())
        }
        SubmitError::OtherRequest => Failure::new(
            Code::BadParameter,
            "setting.request_id is the name of a push to another audience, which is not in the queue yet",
        ),
        SubmitError::Queue(_) | SubmitError::Unavailable(_) => trouble(app, error),
    }
}

/// What is not sent yet is not sent. To cancel again changes nothing.
pub(crate) async fn cancel(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let app = call.authenticate(state).await?.app;
    let task = cancel::task(call::body(call.request))?;
    let at = state.results.cancel(&app, task, call.now).await.map_err(|error| trouble(&app, &error))?;
    let at = at.ok_or_else(no_task)?;
    call.became(task, None);
    Ok(ok(cancelled(task, at)))
}
