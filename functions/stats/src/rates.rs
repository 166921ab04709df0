//! `/push/stats` and `/push/stats/hours`.

use lambda_http::http::{HeaderValue, header};
use lambda_http::{Body, Response};
use pushbell::call;
use pushbell::dialect::lanying::envelope::{Failure, ok};
use pushbell::dialect::lanying::hours;
use pushbell::dialect::lanying::rates::{Asked, Form};

use crate::{Call, State, trouble, who};

const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");

pub(crate) async fn rates(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let app = who::server(state, call).await?;
    let query = call.request.uri().query().unwrap_or_default();
    let asked = Asked::parse(query, call::header(call.request.headers(), "accept"))?;
    let days = state.tallies.of_days(&app, asked.from.to(asked.to), call.now).await;
    let days = days.map_err(|error| trouble(&app, &error))?;
    Ok(match asked.form {
        Form::Json => ok(asked.json(&days)),
        Form::Csv => {
            let mut response = Response::new(Body::Text(asked.csv(&days)));
            response.headers_mut().insert(header::CONTENT_TYPE, CSV);
            response
        }
    })
}

pub(crate) async fn by_hour(state: &State, call: &Call<'_>) -> Result<Response<Body>, Failure> {
    let app = who::server(state, call).await?;
    let asked = hours::Asked::parse(call.request.uri().query().unwrap_or_default())?;
    let hours = state.results.hours(&app, asked.from.to(asked.to), call.now).await;
    let hours = hours.map_err(|error| trouble(&app, &error))?;
    Ok(ok(asked.json(&hours)))
}
