//! Who calls: by Lanying's headers; or, where there is no access token, by IMKIT's.

use lambda_http::http::{HeaderMap, StatusCode};
use pushbell::call;
use pushbell::dialect::imkit;
use pushbell::dialect::imkit::caller::Who;
use pushbell::dialect::lanying::caller::{self, unavailable};
use pushbell::dialect::lanying::envelope::{Code, Failure};
use pushbell::id::{AppId, ClientId};

use crate::{Call, State};

fn is_imkit_s(headers: &HeaderMap) -> bool {
    let imkit_s = ["im-authorization", "authorization", "im-api-key"];
    imkit_s.into_iter().any(|name| call::header(headers, name).is_some())
        && call::header(headers, "access-token").is_none()
}

async fn imkit_s(state: &State, call: &Call<'_>) -> Result<imkit::caller::Caller, Failure> {
    let caller = imkit::caller::authenticate(&state.callers, call.request.headers(), call.now).await;
    let caller = caller.map_err(|failure| {
        if failure.status() == StatusCode::SERVICE_UNAVAILABLE {
            return unavailable();
        }
        Failure::new(Code::BadToken, "the user token or API key is not valid, or has ended")
    })?;
    call.is_for(&caller.app);
    Ok(caller)
}

/// The user that a call is about.
pub(crate) async fn user(state: &State, call: &Call<'_>) -> Result<(AppId, ClientId), Failure> {
    let headers = call.request.headers();
    if is_imkit_s(headers) {
        let caller = imkit_s(state, call).await?;
        return match caller.who {
            Who::Client(user) => Ok((caller.app, user)),
            Who::Server => Err(Failure::new(Code::NoPermission, "a receipt is reported with a user's token")),
        };
    }
    let caller = caller::authenticate(&state.callers, caller::app(headers)?, headers, call.now).await?;
    call.is_for(&caller.app);
    let user = caller.user()?.clone();
    Ok((caller.app, user))
}

/// The app, when its own server calls: with an admin's token or an API key.
pub(crate) async fn server(state: &State, call: &Call<'_>) -> Result<AppId, Failure> {
    let headers = call.request.headers();
    if is_imkit_s(headers) {
        let caller = imkit_s(state, call).await?;
        return match caller.who {
            Who::Server => Ok(caller.app),
            Who::Client(_) => Err(Failure::new(Code::NoPermission, "this call takes an admin's token or an API key")),
        };
    }
    if call::header(headers, "access-token").is_none() && caller::app(headers).is_err() {
        let rule = "the header IM-API-KEY is missing, and so are app_id and access-token";
        return Err(Failure::new(Code::NoToken, rule));
    }
    let caller = caller::authenticate(&state.callers, caller::app(headers)?, headers, call.now).await?;
    call.is_for(&caller.app);
    caller.admin()?;
    Ok(caller.app)
}
