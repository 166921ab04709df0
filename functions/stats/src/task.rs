//! A task by its number, as it is and taken back: `/push/{appKey}/tasks/{task}` in Kinvey's words, `/push/push2clients/{task}` in IMKIT's.

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::imkit::caller::{self, Who};
use pushbell::dialect::imkit::envelope as imkit;
use pushbell::dialect::kinvey::error as kinvey;
use pushbell::dialect::kinvey::{credentials, tasks, with_request_id};
use pushbell::id::{AppId, TaskId};
use pushbell::task::ResultsError;
use serde_json::Value;
use tokio::time::timeout;

use crate::{Call, State, log_late, log_trouble};

const METHODS: &str = "GET, DELETE";

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Show,
    Cancel,
}

impl Verb {
    fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET => Some(Self::Show),
            Method::DELETE => Some(Self::Cancel),
            _ => None,
        }
    }
}

pub(crate) async fn of_kinvey(state: &State, call: &Call<'_>) -> Response<Body> {
    let unavailable = || kinvey::Failure::new(kinvey::Kind::KinveyInternalErrorRetry, "the storage did not answer");
    let work = async |verb| {
        let (app, callers) = credentials::app(&state.callers, call::path_parameter(call.request, "appKey")).await?;
        let in_trouble = |error: &(dyn std::error::Error + 'static)| {
            log_trouble(&app, error);
            unavailable()
        };
        call.is_for(&app);
        credentials::master(&callers, &app, call.request.headers(), call.now)?;
        let task = tasks::task(&call::path_parameter(call.request, "task")).ok_or_else(no_task_of_kinvey)?;
        let told = told(state, call, &app, task, verb).await.map_err(|error| in_trouble(&error))?;
        told.ok_or_else(no_task_of_kinvey)
    };
    let answered = match Verb::of(call.request.method()) {
        None => kinvey::method_not_allowed(METHODS),
        Some(verb) => match timeout(state.limit, work(verb)).await {
            Ok(Ok(told)) => call::json(StatusCode::OK, &told),
            Ok(Err(failure)) => failure.response(),
            Err(_) => {
                log_late(call);
                unavailable().response()
            }
        },
    };
    with_request_id(call.request, answered)
}

fn no_task_of_kinvey() -> kinvey::Failure {
    kinvey::Failure::new(kinvey::Kind::EntityNotFound, "the number in the path is no task of this app")
}

pub(crate) async fn of_imkit(state: &State, call: &Call<'_>) -> Response<Body> {
    let work = async |verb| {
        let caller = caller::authenticate(&state.callers, call.request.headers(), call.now).await?;
        call.is_for(&caller.app);
        if caller.who != Who::Server {
            return Err(imkit::Failure::new(
                StatusCode::FORBIDDEN,
                "FORBIDDEN",
                "this call needs the header IM-API-KEY",
            ));
        }
        let no_task =
            || imkit::Failure::new(StatusCode::NOT_FOUND, "NOT_FOUND", "the number in the path is no task of this app");
        let task = tasks::task(&call::path_parameter(call.request, "task")).ok_or_else(no_task)?;
        let told = told(state, call, &caller.app, task, verb).await.map_err(|error| {
            log_trouble(&caller.app, &error);
            caller::unavailable()
        })?;
        told.ok_or_else(no_task)
    };
    match Verb::of(call.request.method()) {
        None => imkit::method_not_allowed(METHODS),
        Some(verb) => match timeout(state.limit, work(verb)).await {
            Ok(Ok(told)) => imkit::ok(told),
            Ok(Err(failure)) => failure.response(),
            Err(_) => {
                log_late(call);
                caller::unavailable().response()
            }
        },
    }
}

/// What became of the task, or that it is cancelled; `None` where the app has no such task.
async fn told(
    state: &State,
    call: &Call<'_>,
    app: &AppId,
    task: TaskId,
    verb: Verb,
) -> Result<Option<Value>, ResultsError> {
    match verb {
        Verb::Show => {
            let details = state.results.details(app, &[task], call.now).await?;
            Ok(details.into_iter().flatten().next().map(|detail| tasks::told(task, &detail)))
        }
        Verb::Cancel => {
            let at = state.results.cancel(app, task, call.now).await?;
            Ok(at.map(|at| tasks::cancelled(task, at)))
        }
    }
}
