//! Notices to 500 users, to a tag and to everybody, with nothing going wrong.

use std::time::Instant;

use pushbell_local::aws::sqs::Delayed;
use pushbell_local::stack::{Options, Stack};
use serde_json::{Value, json};

use super::crowd::{Crowd, Phone, Seen, counter, off_by};
use super::{Arguments, holds};
use crate::Error;

pub(crate) async fn run(arguments: &Arguments) -> Result<bool, Error> {
    let stack = Stack::start(Options::test()).await?;
    let mut crowd = Crowd::of(&stack);
    let started = Instant::now();
    crowd.settle(arguments.devices).await?;
    let clients = crowd.clients().len();
    println!(
        "{} devices of {clients} clients registered over HTTP in {:.1} s",
        crowd.phones.len(),
        started.elapsed().as_secs_f64()
    );
    let started = Instant::now();
    let tagged = crowd.tag("night", arguments.tagged).await?;
    println!("{} clients tagged in {:.1} s\n", tagged.len(), started.elapsed().as_secs_f64());

    let listed: Vec<String> = crowd.clients().into_iter().take(500).map(str::to_owned).collect();
    let ids: Vec<u64> = listed.iter().filter_map(|client| client.parse().ok()).collect();
    let of = |wanted: &dyn Fn(&Phone) -> bool| -> Vec<&Phone> {
        crowd.phones.iter().filter(|phone| wanted(phone)).collect()
    };
    let cases: [(&str, Value, Vec<&Phone>); 3] = [
        ("500 user ids", json!({"user_id": ids}), of(&|phone| listed.contains(&phone.client))),
        ("a tag", json!({"tag": ["night"]}), of(&|phone| tagged.contains(&phone.client))),
        ("all", json!("all"), of(&|_| true)),
    ];
    let mut good = true;
    for (name, audience, phones) in cases {
        good &= one(&stack, &crowd, name, audience, &phones).await?;
    }
    stack.stop().await;
    Ok(good)
}

async fn one(stack: &Stack, crowd: &Crowd, name: &str, audience: Value, phones: &[&Phone]) -> Result<bool, Error> {
    stack.phones.clear()?;
    let started = Instant::now();
    let task = crowd.notify(audience, name).await?;
    let answered = started.elapsed();
    stack.idle(Delayed::Counted).await?;
    let took = started.elapsed();
    let looked = Instant::now();
    let detail = crowd.detail(task).await?;
    let (seen, asked) = (Seen::of(stack, task)?, looked.elapsed());
    println!("  {name}: {} devices", phones.len());
    println!("    answered after {answered:.1?}, all pushes accepted after {:.2} s", took.as_secs_f64());
    println!("    sums asked for and phones looked at in {asked:.1?}");
    let there = phones.iter().copied();
    let target = counter(&detail, "target");
    Ok([
        holds("devices that do not show it exactly once", seen.not_once(there.clone())),
        holds("devices of nobody in the audience that have it", seen.others(there)),
        holds("sends beyond one a device", seen.sent - seen.shown.len()),
        holds("target less the audience", target.abs_diff(phones.len())),
        holds("sums that differ: channels, outcomes, delivered", off_by(&detail, &seen)),
    ]
    .iter()
    .all(|good| *good))
}
