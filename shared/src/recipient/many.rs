//! Many clients at once: as they are, or what they prefer as far as it can be read by a given time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Semaphore;

use super::store::{StoreError, text};
use super::{Recipient, Recipients, names};
use crate::env::{EnvError, Environment};
use crate::id::{AppId, ClientId};

/// Clients of one read: what DynamoDB takes.
const PAGE: usize = 100;
/// Reads under way at once: ten thousand clients are seven rounds.
const PAGES_AT_ONCE: usize = 16;
/// Tries of a page some of whose keys the table leaves unprocessed, as it does when it throttles.
const TRIES: u32 = 4;
/// Before the second try; twice as long before each one after it.
const WAIT: Duration = Duration::from_millis(25);
/// Tries of one call where somebody waits: one for each part of the time, so that a connection which is dead does not take all of it.
const HASTY_TRIES: u32 = 4;
/// The least that one of them may take. A page takes a few milliseconds, a connection some more.
const LEAST_CALL: Duration = Duration::from_millis(50);

/// What could be read of many clients' preferences.
#[derive(Debug, Default)]
pub struct Glance {
    /// Clients with an item: their preferences and muted rooms, and nothing else. Who is in none of these lists has no item.
    pub found: HashMap<ClientId, Recipient>,
    /// Who was not read before the time was over, while others were.
    pub late: Vec<ClientId>,
    /// Whom the table did not tell of. When it told of nobody at all, that is everybody.
    pub failed: Vec<ClientId>,
    /// Why not: the last reason.
    pub error: Option<StoreError>,
}

/// What one page gave.
struct Page {
    found: HashMap<ClientId, Recipient>,
    /// Whether the table told of somebody, be it that there is no such item.
    told: bool,
    failed: Option<(Vec<ClientId>, StoreError)>,
}

type Item = HashMap<String, AttributeValue>;

impl Recipients {
    /// The table that `env` names, for a caller who is waited for: what is refused is tried again within fractions of a second, where the
    /// SDK's own waits are of a second and more.
    ///
    /// # Errors
    /// When it names none.
    pub fn hasty(env: &Environment) -> Result<Self, EnvError> {
        let mut recipients = Self::new(env)?;
        let retries = RetryConfig::standard().with_max_attempts(HASTY_TRIES).with_initial_backoff(WAIT);
        let config = recipients.client.config().to_builder().retry_config(retries);
        recipients.client = Client::from_conf(config.build());
        Ok(recipients)
    }

    /// The items of several clients, eventually consistent: half a unit each. Clients without one are absent.
    ///
    /// # Errors
    /// When the table does not answer, or keeps leaving keys unprocessed.
    pub async fn get_all(&self, app: &AppId, clients: &[ClientId]) -> Result<HashMap<ClientId, Recipient>, StoreError> {
        let mut found = HashMap::with_capacity(clients.len());
        for page in clients.chunks(PAGE) {
            let page = self.page(app, page, &[], None).await;
            if let Some((_, error)) = page.failed {
                return Err(error);
            }
            found.extend(page.found);
        }
        Ok(found)
    }

    /// What `clients`, who are distinct, prefer: eventually consistent, half a unit each. It is over at `until`, whatever is read by then.
    pub async fn glance(&self, app: &AppId, clients: &[ClientId], until: Instant) -> Glance {
        let mut glance = Glance::default();
        let left = until.saturating_duration_since(tokio::time::Instant::now().into_std());
        let each = (left / HASTY_TRIES).max(LEAST_CALL);
        let mut told = false;
        let mut read = vec![false; clients.len().div_ceil(PAGE)];
        let places = Semaphore::new(PAGES_AT_ONCE);
        let mut pages: FuturesUnordered<_> = clients
            .chunks(PAGE)
            .enumerate()
            .map(|(number, page)| self.numbered(app, number, page, each, &places))
            .collect();
        let mut over = std::pin::pin!(tokio::time::sleep_until(until.into()));
        loop {
            let answer = tokio::select! {
                biased;
                answer = pages.next() => answer,
                () = &mut over => None,
            };
            let Some((number, page)) = answer else { break };
            read[number] = true;
            glance.found.extend(page.found);
            told |= page.told;
            if let Some((clients, error)) = page.failed {
                glance.failed.extend(clients);
                glance.error = Some(error);
            }
        }
        let late = clients.chunks(PAGE).zip(&read).filter(|(_, read)| !**read);
        glance.late = late.flat_map(|(page, _)| page).cloned().collect();
        if !told && !glance.late.is_empty() {
            glance.failed.append(&mut glance.late);
            glance.error.get_or_insert(StoreError::Late);
        }
        glance
    }

    async fn numbered(
        &self,
        app: &AppId,
        number: usize,
        page: &[ClientId],
        each: Duration,
        places: &Semaphore,
    ) -> (usize, Page) {
        // Never closed: it lives as long as whoever waits here.
        let _place = places.acquire().await;
        (number, self.page(app, page, &names::PREFERENCES, Some(each)).await)
    }

    /// The items of up to [`PAGE`] clients: the attributes `only`, or all if it names none. `each`: how long one try of a call may take.
    async fn page(&self, app: &AppId, page: &[ClientId], only: &[&str], each: Option<Duration>) -> Page {
        let by_key: HashMap<String, &ClientId> =
            page.iter().map(|client| (names::client(app, client), client)).collect();
        let mut found = HashMap::with_capacity(page.len());
        let mut keys: Vec<String> = by_key.keys().cloned().collect();
        let mut attempt = 0;
        let error = loop {
            let (items, rest) = match self.ask(&keys, only, each).await {
                Ok(answer) => answer,
                Err(error) => break error,
            };
            for mut item in items {
                if let Some(client) = key_of(&mut item).and_then(|key| by_key.get(&key)) {
                    found.insert((*client).clone(), Recipient::from_item(item));
                }
            }
            if rest.is_empty() {
                return Page { found, told: true, failed: None };
            }
            keys = rest;
            attempt += 1;
            if attempt == TRIES {
                break StoreError::Conflict;
            }
            tokio::time::sleep(WAIT * 2_u32.pow(attempt - 1)).await;
        };
        let told = keys.len() < page.len();
        let failed = keys.iter().filter_map(|key| by_key.get(key)).map(|client| (*client).clone()).collect();
        Page { found, told, failed: Some((failed, error)) }
    }

    /// One call: items, and keys that were left unprocessed.
    async fn ask(
        &self,
        keys: &[String],
        only: &[&str],
        each: Option<Duration>,
    ) -> Result<(Vec<Item>, Vec<String>), StoreError> {
        let keys = keys.iter().map(|key| HashMap::from([(names::PK.to_owned(), text(key))])).collect();
        let mut wanted = KeysAndAttributes::builder().set_keys(Some(keys));
        if !only.is_empty() {
            // By placeholders: DynamoDB's reserved words are many, and become more.
            let places: Vec<String> = (0..only.len()).map(|index| format!("#p{index}")).collect();
            wanted = wanted.projection_expression(format!("{}, {}", names::PK, places.join(", ")));
            wanted = wanted.set_expression_attribute_names(Some(
                places.into_iter().zip(only.iter().map(|name| (*name).to_owned())).collect(),
            ));
        }
        let wanted = wanted.build().map_err(|error| StoreError::Unavailable(Box::new(error.into())))?;
        let call = self.client.batch_get_item().request_items(&self.table, wanted);
        let mut call = call.set_return_consumed_capacity(self.capacity()).customize();
        if let Some(each) = each {
            let timeouts = TimeoutConfig::builder().operation_attempt_timeout(each).build();
            call = call.config_override(aws_sdk_dynamodb::config::Builder::new().timeout_config(timeouts));
        }
        let answer = call.send().await?;
        if let Some(units) = self.units() {
            units.read(answer.consumed_capacity().iter().filter_map(|used| used.capacity_units()).sum());
        }
        let items = answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default();
        let rest = answer.unprocessed_keys.and_then(|mut rest| rest.remove(&self.table));
        let rest = rest.map(|rest| rest.keys).unwrap_or_default();
        Ok((items, rest.into_iter().filter_map(|mut key| key_of(&mut key)).collect()))
    }
}

fn key_of(item: &mut Item) -> Option<String> {
    match item.remove(names::PK) {
        Some(AttributeValue::S(key)) => Some(key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::test_tables;

    fn app() -> AppId {
        AppId::parse("demo").unwrap()
    }

    fn clients(count: usize) -> Vec<ClientId> {
        (0..count).map(|n| ClientId::parse(format!("c{n}")).unwrap()).collect()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_glance_sees_preferences_and_nothing_else_for_half_a_unit_each() {
        let (env, dynamodb) = test_tables::start().await;
        for client in &clients(250) {
            let item = dynamodb.put_item().table_name("recipients").item("pk", text(names::client(&app(), client)));
            let item = item
                .item(names::PUSH_OFF, AttributeValue::Bool(true))
                .item(names::SPILLED, AttributeValue::N("7".to_owned()));
            item.send().await.unwrap();
        }
        let store = Recipients::hasty(&env).unwrap().measured();
        let asked = clients(250);
        let glance = store.glance(&app(), &asked, soon()).await;
        assert_eq!((glance.found.len(), glance.late.len(), glance.failed.len()), (250, 0, 0));
        let seen = &glance.found[&asked[249]];
        assert!(seen.preferences.off && seen.spilled == 0, "what is not asked for is not carried");
        let (_, _, reads) = store.units().unwrap().snapshot();
        assert!((reads - 125.0).abs() < f64::EPSILON, "{reads} units");
        let nobody = store.glance(&app(), &[ClientId::parse("nobody").unwrap()], soon()).await;
        assert!(nobody.found.is_empty() && nobody.failed.is_empty() && nobody.late.is_empty());
    }

    #[tokio::test]
    async fn a_table_that_tells_of_nobody_in_time_has_failed() {
        let (env, _) = test_tables::start().await;
        let store = Recipients::hasty(&env).unwrap();
        let glance = store.glance(&app(), &clients(150), Instant::now()).await;
        assert_eq!((glance.late.len(), glance.failed.len()), (0, 150));
        assert!(matches!(glance.error, Some(StoreError::Late)));
    }

    #[tokio::test]
    async fn whom_the_table_does_not_tell_of_is_named_with_the_reason() {
        let (env, dynamodb) = test_tables::start().await;
        dynamodb.delete_table().table_name("recipients").send().await.unwrap();
        let store = Recipients::hasty(&env).unwrap();
        let glance = store.glance(&app(), &clients(150), soon()).await;
        assert_eq!((glance.found.len(), glance.late.len(), glance.failed.len()), (0, 0, 150));
        assert!(matches!(glance.error, Some(StoreError::Unavailable(_))));
    }
}
