//! `/push/push2clients`, in IMKIT's words.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::imkit::caller::{self, Who, unavailable};
use pushbell::dialect::imkit::envelope::{Failure, method_not_allowed};
use pushbell::dialect::imkit::push::{ClientPush, taken};
use pushbell::id::AppId;
use pushbell::message::Dialect;
use pushbell::task::{Accepted, Notice, SubmitError, Whom};

use crate::{Call, Pushed, State, in_time, log_trouble, told};

pub(crate) async fn push(state: &State, call: &Call<'_>) -> Response<Body> {
    if call.request.method() != "POST" {
        return method_not_allowed("POST");
    }
    in_time(state, call, pushed(state, call), unavailable).await.unwrap_or_else(|failure| failure.response())
}

async fn pushed(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let caller = caller::authenticate(&state.callers, call.request.headers(), call.now).await?;
    let app = caller.app;
    call.app.get_or_init(|| app.clone());
    if caller.who != Who::Server {
        return Err(Failure::new(StatusCode::FORBIDDEN, "FORBIDDEN", "this call needs the header IM-API-KEY"));
    }
    let push = ClientPush::parse(call::body(call.request), call.now)?;
    if push.to.is_empty() {
        return Ok(taken(None, false, 0, &push.left_out));
    }
    let (accepted, whom) = (push.to.len(), Whom::Targets(push.to.clone()));
    let (audience, named) = told(&whom);
    let (request, due) = (push.request.clone(), push.due);
    let notice = Notice { app: app.clone(), dialect: Dialect::Imkit, whom, request, due, online_only: false };
    let message = |id| push.message(app.clone(), id);
    let submitted = state.intake.notify(notice, message, call.now).await.map_err(|error| refusal(&app, &error))?;
    let Accepted { task, repeated, due: _ } = submitted;
    call.became(task, Some(Pushed { audience, named, deferred: due.is_some(), repeated }));
    Ok(taken(Some(task), repeated, accepted, &push.left_out))
}

fn refusal(app: &AppId, error: &SubmitError) -> Failure {
    let invalid = |message: String| Failure::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", message);
    match error {
        SubmitError::TooLarge | SubmitError::TooDeep | SubmitError::OtherRoom => invalid(error.to_string()),
        SubmitError::OtherRequest => {
            invalid("requestId is the name of a push to other clients, which is not in the queue yet".to_owned())
        }
        SubmitError::Queue(_) | SubmitError::Unavailable(_) => {
            log_trouble(app, error);
            unavailable()
        }
    }
}
