//! `/push/task/detail`.

use std::collections::HashMap;

use futures_util::future::join;
use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::lanying::envelope::{Failure, ok};
use pushbell::dialect::lanying::stats::{Asked, object_of};
use pushbell::dialect::lanying::{caller, rates};
use pushbell::id::TaskId;
use pushbell::task::Detail;
use serde_json::Value;

use crate::{Call, State, trouble};

pub(crate) async fn detail(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let headers = call.request.headers();
    let caller = caller::authenticate(&state.callers, caller::app(headers)?, headers, call.now).await?;
    call.is_for(&caller.app);
    caller.admin()?;
    let asked = Asked::parse(call::body(call.request))?;
    let mut distinct: Vec<TaskId> = asked.tasks.iter().filter_map(|(_, task)| *task).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let pushes: Vec<&str> = asked.pushes.iter().map(String::as_str).collect();
    let (summed, reported) = join(
        state.results.details(&caller.app, &distinct, call.now),
        state.tallies.of_pushes(&caller.app, &pushes, call.now),
    )
    .await;
    let summed = summed.map_err(|error| trouble(&caller.app, &error))?;
    let reported = reported.map_err(|error| trouble(&caller.app, &error))?;
    let details: HashMap<TaskId, Detail> =
        distinct.into_iter().zip(summed).filter_map(|(task, detail)| Some((task, detail?))).collect();
    let detail = |task: &Option<TaskId>| task.and_then(|task| details.get(&task));
    let tasks = asked.tasks.iter().map(|(id, task)| object_of(id, detail(task)));
    let pushes = asked.pushes.iter().zip(&reported).map(|(id, counts)| rates::object_of(id, counts.as_ref()));
    Ok(ok(tasks.chain(pushes).collect::<Vec<Value>>()))
}
