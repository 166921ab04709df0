//! What became of it all, read from the tables as they are: rows and attributes, past the product's code.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use pushbell::env::{Environment, Table};
use pushbell_local::stack::Stack;

use crate::Error;

type Item = HashMap<String, AttributeValue>;

async fn scan(stack: &Stack, table: Table) -> Result<Vec<Item>, Error> {
    let variables = stack.variables("deliver")?;
    let env = Environment::from_lookup(|name| match name {
        "AWS_ACCESS_KEY_ID" => Some("operator".to_owned()),
        _ => variables.get(name).cloned(),
    })?;
    // Past the proxy: what goes wrong is none of the judge's business.
    let client = aws_sdk_dynamodb::Client::from_conf(
        pushbell::aws::dynamodb(&env)
            .config()
            .to_builder()
            .endpoint_url(format!("http://{}", stack.aws.dynamodb.direct()))
            .build(),
    );
    let pages = client.scan().table_name(env.table(table)?).consistent_read(true).into_paginator();
    Ok(pages.items().send().collect::<Result<Vec<_>, _>>().await?)
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// How many records rest in the deferred table. What else is there is `retry`'s own.
pub(crate) async fn deferred(stack: &Stack) -> Result<u64, Error> {
    let records = scan(stack, Table::Deferred).await?.into_iter().filter(|item| text(item, "pk").starts_with("s#"));
    Ok(u64::try_from(records.count())?)
}

/// The tokens that each client's item holds, by the client's name.
pub(super) async fn tokens(stack: &Stack) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
    let mut tokens: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for item in scan(stack, Table::Recipients).await? {
        let Some(client) = text(&item, "pk").strip_prefix("demo#") else { continue };
        for (name, device) in &item {
            if name.starts_with("d#")
                && let Ok(device) = device.as_m()
            {
                tokens.entry(client.to_owned()).or_default().insert(text(device, "t").to_owned());
            }
        }
    }
    Ok(tokens)
}

/// What the result rows of a task add up to.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    /// Final outcomes. A replay takes back those of what was given up.
    pub(super) finals: i64,
    /// All outcomes by their names.
    pub(super) outcomes: BTreeMap<String, i64>,
}

/// The sums of all tasks, by their numbers.
pub(super) async fn sums(stack: &Stack) -> Result<BTreeMap<u64, Sums>, Error> {
    let mut all: BTreeMap<u64, Sums> = BTreeMap::new();
    for item in scan(stack, Table::Tasks).await? {
        let Some(task) = text(&item, "pk").strip_prefix("t#") else { continue };
        let Some(outcomes) = item.get("n").and_then(|n| n.as_m().ok()) else { continue };
        let sums = all.entry(task.parse()?).or_default();
        for (outcome, n) in outcomes {
            let n: i64 = n.as_n().map_err(|_| "a counter that is no number")?.parse()?;
            *sums.outcomes.entry(outcome.clone()).or_default() += n;
            if outcome != "pending" {
                sums.finals += n;
            }
        }
    }
    Ok(all)
}
