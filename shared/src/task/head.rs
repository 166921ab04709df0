//! Heads: one row for a task that somebody may ask for or cancel by its number. A hook's task has none: it would cost a write per message.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use super::results::{KEPT, number_of, pk, text_of};
use super::{Results, ResultsError, TaskKey};
use crate::aws::{number, text};
use crate::id::{AppId, ClientId, TaskId};
use crate::time::Timestamp;

/// Before the nonce, in a head's sort key. Nonces hold no `#`.
const HEAD: &str = "h#";
/// How long what was given up waits for a replay (`MessageRetentionPeriod` of the dead-letter queue). A replay asks the head whether its task
/// was cancelled, and takes a task without a head for one that was not: so heads stay after everything else of their tasks is gone.
const DEAD_LETTERS: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What is known of a task before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The task.
    pub key: TaskKey,
    /// Whose.
    pub app: AppId,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it begins.
    pub due: Timestamp,
    /// It takes live connections only.
    pub online_only: bool,
    /// How many chunks it makes.
    pub extent: Extent,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// It is known to be in the queue, or to rest until it begins. Not noted of a task that begins at once: its rows soon say so.
    pub queued: bool,
}

/// How many chunks a task makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// A list in order, and the first client of each chunk. A chunk's number is its index.
    Chunks(Vec<ClientId>),
    /// Audience pages, of so many shards.
    Shards(u8),
}

fn sk(key: &TaskKey) -> String {
    format!("{HEAD}{}", key.nonce)
}

impl Results {
    /// Writes a head. One that is there stays: a task is queued more than once under one name, and may have been cancelled meanwhile.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn put_head(&self, head: &Head) -> Result<(), ResultsError> {
        let mut call = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(pk(head.key.task)))
            .key("sk", text(sk(&head.key)))
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":app", text(head.app.as_str()))
            .expression_attribute_values(":at", number(head.created_at.as_millis()))
            .expression_attribute_values(":due", number(head.due.as_millis()))
            .expression_attribute_values(":ttl", number(head.due.plus(KEPT).plus(DEAD_LETTERS).as_secs()));
        let mut set = String::from("SET app = :app, #at = :at, due = :due, #ttl = :ttl");
        match &head.extent {
            Extent::Chunks(firsts) => {
                set.push_str(", firsts = :x");
                let firsts = firsts.iter().map(|client| text(client.as_str())).collect();
                call = call.expression_attribute_values(":x", AttributeValue::L(firsts));
            }
            Extent::Shards(shards) => {
                set.push_str(", shards = :x");
                call = call.expression_attribute_values(":x", number(shards));
            }
        }
        if head.online_only {
            set.push_str(", #online = :online");
            call = call
                .expression_attribute_names("#online", "online")
                .expression_attribute_values(":online", AttributeValue::Bool(true));
        }
        let answer = call.update_expression(set).condition_expression("attribute_not_exists(pk)").send().await;
        match answer.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
            Ok(_) | Err(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
            Err(error) => Err(ResultsError::Unavailable(Box::new(error.into()))),
        }
    }

    /// Notes that the task is in the queue.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn head_is_queued(&self, key: &TaskKey) -> Result<(), ResultsError> {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(pk(key.task)))
            .key("sk", text(sk(key)))
            .update_expression("SET queued = :yes")
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .send()
            .await
            .map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
        Ok(())
    }

    /// A task's head, as it is now.
    ///
    /// # Errors
    /// When the table does not answer, or the row is not of its shape.
    pub async fn head(&self, key: &TaskKey) -> Result<Option<Head>, ResultsError> {
        let item = self.item(key, sk(key)).await?;
        item.map(|item| read(key.task, &item).ok_or(ResultsError::Malformed)).transpose()
    }

    /// Whether the task was cancelled, as it is now.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub async fn is_cancelled(&self, key: &TaskKey) -> Result<bool, ResultsError> {
        Ok(self.head(key).await?.is_some_and(|head| head.cancelled_at.is_some()))
    }

    /// The heads of all tasks that bear this number: nearly always one.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub async fn heads(&self, task: TaskId) -> Result<Vec<Head>, ResultsError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :head)")
            .expression_attribute_values(":pk", text(pk(task)))
            .expression_attribute_values(":head", text(HEAD))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| ResultsError::Unavailable(Box::new(error.into())))?;
        answer.items().iter().map(|item| read(task, item).ok_or(ResultsError::Malformed)).collect()
    }

    /// Cancels `app`'s task of that number: what is not sent yet is not sent. When it was first cancelled; `None` when there is no such
    /// task.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub async fn cancel(&self, app: &AppId, task: TaskId, now: Timestamp) -> Result<Option<Timestamp>, ResultsError> {
        let mut first = None;
        for head in self.heads(task).await?.into_iter().filter(|head| head.app == *app) {
            let answer = self
                .client
                .update_item()
                .table_name(&self.table)
                .key("pk", text(pk(task)))
                .key("sk", text(sk(&head.key)))
                .update_expression("SET cancelled = if_not_exists(cancelled, :now)")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":now", number(now.as_millis()))
                .send()
                .await;
            match answer.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
                Ok(_) => first = first.or(head.cancelled_at).or(Some(now)),
                // Its time is over.
                Err(UpdateItemError::ConditionalCheckFailedException(_)) => {}
                Err(error) => return Err(ResultsError::Unavailable(Box::new(error.into()))),
            }
        }
        Ok(first)
    }
}

fn read(task: TaskId, item: &HashMap<String, AttributeValue>) -> Option<Head> {
    let at = |name: &str| number_of(item, name).map(Timestamp::from_millis);
    let extent = match item.get("firsts") {
        Some(firsts) => {
            let firsts = firsts.as_l().ok()?.iter();
            Extent::Chunks(firsts.map(|first| ClientId::parse(first.as_s().ok()?).ok()).collect::<Option<_>>()?)
        }
        None => Extent::Shards(u8::try_from(number_of(item, "shards")?).ok()?),
    };
    Some(Head {
        key: TaskKey { task, nonce: text_of(item, "sk")?.strip_prefix(HEAD)?.to_owned() },
        app: AppId::parse(text_of(item, "app")?).ok()?,
        created_at: at("at")?,
        due: at("due")?,
        online_only: item.contains_key("online"),
        extent,
        cancelled_at: at("cancelled"),
        queued: item.contains_key("queued"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn head(extent: Extent) -> Head {
        Head {
            key: TaskKey { task: TaskId::from_number(7).unwrap(), nonce: "abcdefgh".to_owned() },
            app: AppId::parse("demo").unwrap(),
            created_at: Timestamp::from_millis(1_000),
            due: Timestamp::from_millis(2_000),
            online_only: false,
            extent,
            cancelled_at: None,
            queued: false,
        }
    }

    #[tokio::test]
    async fn a_task_is_cancelled_once_by_its_own_app() {
        let (env, _client) = crate::test_tables::start().await;
        let results = Results::new(&env).unwrap();
        let firsts = ["a#,\"", "b"].map(|id| ClientId::parse(id).unwrap()).to_vec();
        let one = head(Extent::Chunks(firsts));
        results.put_head(&one).await.unwrap();
        assert_eq!(results.head(&one.key).await.unwrap(), Some(one.clone()));
        assert!(!results.is_cancelled(&one.key).await.unwrap());

        let (app, other) = (AppId::parse("demo").unwrap(), AppId::parse("other").unwrap());
        let at = Timestamp::from_millis;
        assert_eq!(results.cancel(&other, one.key.task, at(5)).await.unwrap(), None);
        assert_eq!(results.cancel(&app, TaskId::from_number(8).unwrap(), at(5)).await.unwrap(), None);
        assert_eq!(results.cancel(&app, one.key.task, at(5)).await.unwrap(), Some(at(5)));
        assert_eq!(results.cancel(&app, one.key.task, at(6)).await.unwrap(), Some(at(5)));
        assert!(results.is_cancelled(&one.key).await.unwrap());

        // The same task, queued once more.
        results.put_head(&one).await.unwrap();
        assert!(results.is_cancelled(&one.key).await.unwrap());
    }

    #[tokio::test]
    async fn a_head_outlives_what_of_its_task_may_be_replayed() {
        let (env, client) = crate::test_tables::start().await;
        let one = head(Extent::Shards(16));
        Results::new(&env).unwrap().put_head(&one).await.unwrap();
        let rows = client.scan().table_name(env.table(crate::env::Table::Tasks).unwrap()).send().await.unwrap();
        let ttl: u64 = number_of(rows.items().first().unwrap(), "ttl").unwrap();
        assert_eq!(ttl, one.due.as_secs() + KEPT.as_secs() + DEAD_LETTERS.as_secs());

        let template = include_str!("../../../template.yaml");
        let queue =
            template.split("\n  DeliverDeadLetters:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
        let kept = queue.lines().find_map(|line| line.trim().strip_prefix("MessageRetentionPeriod: "));
        assert_eq!(kept, Some(DEAD_LETTERS.as_secs().to_string().as_str()));
    }

    #[tokio::test]
    async fn tasks_that_drew_one_number_are_told_apart() {
        let (env, _client) = crate::test_tables::start().await;
        let results = Results::new(&env).unwrap();
        let one = head(Extent::Shards(16));
        let mut two = Head { online_only: true, app: AppId::parse("other").unwrap(), ..one.clone() };
        two.key.nonce = "zzzzzzzz".to_owned();
        for head in [&one, &two] {
            results.put_head(head).await.unwrap();
        }
        assert_eq!(results.heads(one.key.task).await.unwrap(), [one.clone(), two.clone()]);
        results.cancel(&two.app, two.key.task, Timestamp::from_millis(9)).await.unwrap();
        assert_eq!(results.head(&one.key).await.unwrap(), Some(one));
    }
}
