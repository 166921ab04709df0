//! `/push/why`.

use lambda_http::{Body, Response};
use pushbell::app::FrugalSettings;
use pushbell::dialect::lanying::envelope::{Failure, ok};
use pushbell::dialect::lanying::why::{Question, is_stranger, no_client, no_message, told};
use pushbell::id::{AppId, Mark, MessageId};

use crate::{Call, State, trouble, who};

pub(crate) async fn why(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let app = who::server(state, call).await?;
    let question = Question::parse(call.request.uri().query().unwrap_or_default())?;
    let client = &question.client;
    let recipient = state.recipients.get(&app, client, false).await.map_err(|error| trouble(&app, &error))?;
    let marked = |message: &MessageId| {
        recipient.as_ref().is_some_and(|recipient| recipient.has_mark(&Mark::counted(&app, message)))
    };
    let why = state.results.why(&app, client, &question.message, &marked, call.now).await;
    let frugal = frugal(state, &app).await;
    let why = why.map_err(|error| trouble(&app, &error))?;
    let why = why.ok_or_else(|| no_message(frugal, marked(&question.message)))?;
    if is_stranger(&why, recipient.as_ref()) {
        return Err(no_client());
    }
    Ok(ok(told(&question, &why, recipient.as_ref(), frugal, call.now)))
}

/// What the app does without, to tell what is not there for that. Settings that cannot be read keep nobody from being told the rest.
async fn frugal(state: &State, app: &AppId) -> FrugalSettings {
    match state.settings.get(app).await {
        Ok(settings) => settings.frugal,
        Err(error) => {
            tracing::warn!(app = %app, error = %error, "an app's settings were not read");
            FrugalSettings::default()
        }
    }
}
