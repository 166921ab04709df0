//! How far AWS's clock is ahead of this machine's, told by an answer's own date.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use pushbell::time::Timestamp;

/// A date has whole seconds, and is as old as its answer was long under way: clocks that are no further apart agree.
const AGREE_MS: i64 = 5_000;

/// Reads the date of a client's answers; clones see the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock(Arc<Mutex<i64>>);

impl Clock {
    /// By the latest answer, in milliseconds; negative where this machine's clock is ahead. 0 before any answer.
    pub(super) fn ahead(&self) -> i64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(ahead) = context.response().headers().get("date").and_then(|date| apart(date, Timestamp::now())) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        }
        Ok(())
    }
}

fn apart(date: &str, now: Timestamp) -> Option<i64> {
    let theirs = httpdate::parse_http_date(date).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let ahead = i64::try_from(theirs.as_millis()).ok()? - i64::try_from(now.as_millis()).ok()?;
    Some(if ahead.abs() <= AGREE_MS { 0 } else { ahead })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, SystemTime};

    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    #[test]
    fn clocks_that_are_seconds_apart_agree() {
        let now = Timestamp::from_millis(1_767_225_600_900);
        let ahead = |seconds: u64| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds);
            apart(&httpdate::fmt_http_date(at), now).unwrap()
        };
        assert_eq!([ahead(0), ahead(5), ahead(60)], [0, 0, 59_100]);
        assert_eq!(apart("yesterday", now), None);
    }

    /// A service whose clock is ten minutes behind.
    #[derive(Debug)]
    struct Behind;

    impl HttpConnector for Behind {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let date = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(600));
            let answer = http::Response::builder().header("date", date).body(SdkBody::from("{}")).unwrap();
            HttpConnectorFuture::ready(Ok(answer.try_into().unwrap()))
        }
    }

    #[tokio::test]
    async fn an_answer_tells_the_time() {
        let connector = SharedHttpConnector::new(Behind);
        let clock = Clock::default();
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("local"))
            .credentials_provider(Credentials::new("operator", "local", None, None, "a test"))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .interceptor(clock.clone());
        aws_sdk_sqs::Client::from_conf(config.build()).list_queues().send().await.unwrap();
        assert!((-601_000..=-599_000).contains(&clock.ahead()), "{}", clock.ahead());
    }
}
