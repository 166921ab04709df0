//! `/push/task/detail`.

use std::collections::HashMap;

use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::lanying::caller::{self, Who};
use pushbell::dialect::lanying::envelope::{Code, Failure, ok};
use pushbell::dialect::lanying::stats::{object_of, tasks};
use pushbell::id::TaskId;
use pushbell::task::Detail;
use serde_json::Value;

use crate::{Call, State, trouble};

pub(crate) async fn detail(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let headers = call.request.headers();
    let caller = caller::authenticate(&state.callers, caller::app(headers)?, headers, call.now).await?;
    call.is_for(&caller.app);
    if matches!(caller.who, Who::User(_)) {
        return Err(Failure::new(Code::NoPermission, "tasks are told of to an admin's token"));
    }
    let asked = tasks(call::body(call.request))?;
    let mut distinct: Vec<TaskId> = asked.iter().filter_map(|(_, task)| *task).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let summed = state.results.details(&caller.app, &distinct, call.now).await;
    let summed = summed.map_err(|error| trouble(&caller.app, &error))?;
    let details: HashMap<TaskId, Detail> =
        distinct.into_iter().zip(summed).filter_map(|(task, detail)| Some((task, detail?))).collect();
    let detail = |task: &Option<TaskId>| task.and_then(|task| details.get(&task));
    let objects: Vec<Value> = asked.iter().map(|(id, task)| object_of(id, detail(task))).collect();
    Ok(ok(objects))
}
