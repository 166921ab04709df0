//! Which apps push through a platform application of Amazon SNS, so that what SNS tells of one is found in the right app.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;

use super::rows::{PK, SK, text, token_row};
use super::{Registry, RegistryError};
use crate::delivery::Channel;
use crate::id::{AppId, ClientId, Token};
use crate::recipient::Device;

/// What this process has written down already.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<HashSet<(AppId, String)>>);

fn row(application: &str) -> String {
    format!("a#{application}")
}

impl Registry {
    /// Notes that `app` has endpoints of a platform application. One write for each app, application and process.
    ///
    /// # Errors
    /// When the table does not answer. The next call tries again.
    pub async fn note_application(&self, app: &AppId, application: &str) -> Result<(), RegistryError> {
        let own = (app.clone(), application.to_owned());
        if self.noted.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&own) {
            return Ok(());
        }
        let answer = self
            .client
            .put_item()
            .table_name(&self.registry)
            .item(PK, text(row(application)))
            .item(SK, text(app.as_str()))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        match answer {
            Ok(_) => {}
            Err(SdkError::ServiceError(refused))
                if matches!(refused.err(), PutItemError::ConditionalCheckFailedException(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.noted.0.lock().unwrap_or_else(PoisonError::into_inner).insert(own);
        Ok(())
    }

    /// The apps that have endpoints of a platform application.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn apps_of(&self, application: &str) -> Result<Vec<AppId>, RegistryError> {
        let rows = self
            .client
            .query()
            .table_name(&self.registry)
            .key_condition_expression("pk = :application")
            .expression_attribute_values(":application", text(row(application)))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await?;
        let name = |row: &std::collections::HashMap<_, aws_sdk_dynamodb::types::AttributeValue>| {
            AppId::parse(row.get(SK)?.as_s().ok()?.as_str()).ok()
        };
        Ok(rows.iter().filter_map(name).collect())
    }

    /// Whose a token is, and their device that has it, as both are now. `None` when it is nobody's.
    ///
    /// # Errors
    /// When a table does not answer.
    pub async fn holder(
        &self,
        app: &AppId,
        channel: Channel,
        token: &Token,
    ) -> Result<Option<(ClientId, Device)>, RegistryError> {
        let row = token_row(app, channel, token);
        let Some(owner) = self.owner(&row).await? else { return Ok(None) };
        let seen = self.seen(app, &owner.client).await?;
        let held = seen.device(&owner.device).filter(|held| token_row(app, held.channel, &held.token) == row);
        Ok(held.map(|held| (owner.client, held.clone())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::id::DeviceKey;
    use crate::time::Timestamp;

    const APPLICATION: &str = "arn:aws:sns:us-east-1:000000000000:app/APNS/demo";

    #[tokio::test]
    async fn an_application_has_the_apps_that_were_noted_and_a_token_its_holder_whatever_its_case() {
        let (env, _client) = crate::test_tables::start().await;
        let registry = Registry::new(&env).unwrap();
        let (one, two) = (AppId::parse("a").unwrap(), AppId::parse("demo").unwrap());
        assert_eq!(registry.apps_of(APPLICATION).await.unwrap(), []);
        for app in [&two, &one, &two] {
            // Another process, too.
            Registry::new(&env).unwrap().note_application(app, APPLICATION).await.unwrap();
            registry.note_application(app, APPLICATION).await.unwrap();
        }
        assert_eq!(registry.apps_of(APPLICATION).await.unwrap(), [one, two.clone()]);
        assert_eq!(registry.apps_of("arn:aws:sns:us-east-1:000000000000:app/APNS/dem").await.unwrap(), []);

        let device = Device {
            key: DeviceKey::of("ios", "1"),
            channel: Channel::Sns,
            token: Token::parse("AB12").unwrap(),
            endpoint: None,
            sandbox: false,
            registered_at: Timestamp::from_millis(5),
            framework: None,
            locale: None,
        };
        let client = ClientId::parse("u1").unwrap();
        registry.register(&two, &client, device.clone()).await.unwrap();
        let lower = Token::parse("ab12").unwrap();
        assert_eq!(registry.holder(&two, Channel::Sns, &lower).await.unwrap(), Some((client, device)));
        assert_eq!(registry.holder(&two, Channel::Fcm, &lower).await.unwrap(), None);
    }
}
