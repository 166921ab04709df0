//! One `sendMessage` to many users by id, each of whom reads their own text: time, units of every table, CPU time of `deliver`.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use bytes::Bytes;
use futures_util::stream::{self, TryStreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pushbell::env::Table;
use pushbell::id::{AppId, ClientId};
use pushbell::recipient::names;
use pushbell_local::aws::sqs::Delayed;
use pushbell_local::stack::{Options, Processes, Stack};
use serde_json::{Value, json};

use crate::{Error, population, stats};

const TEMPLATE: &str = "{{givenName}}, the {{favoriteTeam}} just won!";

/// Sends to `recipients` users, each with two devices, in three ways.
pub(crate) async fn run(recipients: usize, latency: Duration) -> Result<(), Error> {
    let built = Processes::beside_this_binary().ok().filter(|built| built.binaries.join("deliver").is_file());
    let processes = built.map(|built| Processes { environments: 1, ..built });
    match processes {
        Some(_) => println!("one environment of each function's binary, over HTTP"),
        None => println!(
            "the function binaries are not built (`cargo build --release --workspace`): everything in this process"
        ),
    }
    let stack = Stack::start(Options { processes, ..Options::test() }).await?;
    let clients = population::clients(recipients)?;
    population::seed(&stack, &clients, 5).await?;
    attributes(&stack, &clients).await?;
    stack.vendors.set_latency(latency);
    stack.phones.count_only(true);
    let ids: Vec<&str> = clients.iter().map(ClientId::as_str).collect();
    let documents: Vec<Value> = ids.iter().map(|id| document(id)).collect();
    for (name, recipients, text) in [
        ("a plain text, users by id", json!(ids), "The Boston Red Sox just won!"),
        ("a template, users by id, values stored with them", json!(ids), TEMPLATE),
        ("a template, users' documents in the call", json!(documents), TEMPLATE),
    ] {
        one(&stack, name, &json!({"recipients": recipients, "messageContent": text}), clients.len()).await?;
    }
    stack.stop().await;
    Ok(())
}

fn document(id: &str) -> Value {
    json!({"_id": id, "username": format!("{id}@example.com"), "givenName": "Joe", "favoriteTeam": "Boston Red Sox"})
}

async fn attributes(stack: &Stack, clients: &[ClientId]) -> Result<(), Error> {
    let env = population::operator(stack)?;
    let (app, table) = (AppId::parse("demo")?, env.table(Table::Recipients)?);
    let dynamodb = pushbell::aws::dynamodb(&env);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    stream::iter(clients.chunks(25).map(Ok::<_, Error>))
        .try_for_each_concurrent(8, |page| {
            let (app, table, dynamodb) = (&app, &table, &dynamodb);
            async move {
                let mut writes = Vec::with_capacity(page.len());
                for client in page {
                    let values = [("givenName", "Joe"), ("favoriteTeam", "Boston Red Sox")];
                    let map = values.map(|(name, value)| (name.to_owned(), text(value))).into();
                    let put = PutRequest::builder()
                        .item(names::PK, text(&names::attributes(app, client)))
                        .item("at", AttributeValue::M(map));
                    writes.push(WriteRequest::builder().put_request(put.build()?).build());
                }
                dynamodb.batch_write_item().request_items(table, writes).send().await?;
                Ok(())
            }
        })
        .await
}

async fn one(stack: &Stack, name: &str, body: &Value, recipients: usize) -> Result<(), Error> {
    let body = body.to_string();
    let cpu = || stats::children("deliver").iter().filter_map(|pid| stats::cpu(*pid)).sum::<f64>();
    let (before, accepted) = (cpu(), stack.phones.accepted());
    stack.aws.dynamodb.meter().start();
    println!("\n{name}: {recipients} recipients, a body of {:.2} MB", mega(body.len()));
    let started = Instant::now();
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = http::Request::post(format!("{}/push/demo/sendMessage", stack.url()))
        .header("content-type", "application/json")
        .header("authorization", "Basic ZGVtbzpkZW1vLW1hc3Rlcg==")
        .body(Full::new(Bytes::from(body)))?;
    let response = http.request(request).await?;
    let status = response.status();
    let text = response.into_body().collect().await?.to_bytes();
    if status != 200 {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&text)).into());
    }
    let answered = started.elapsed();
    stack.idle(Delayed::Counted).await?;
    let took = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
    let count = recipients as f64;
    println!("  answered after                   {} ms", answered.as_millis());
    println!("  all pushes accepted after        {took:.2} s: {:.0} recipients/s", count / took);
    println!("  pushes accepted                  {}", stack.phones.accepted() - accepted);
    let spent = cpu() - before;
    if spent > 0.0 {
        println!("  CPU of deliver per 1,000         {:.0} ms", spent * 1e6 / count);
    }
    println!("  units per recipient              read     write");
    for (table, units) in stack.aws.dynamodb.meter().used() {
        println!("    {table:<28}   {:.4}   {:.4}", units.read / count, units.write / count);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
