//! A small fault campaign through the real binaries, and audiences whose fan-out is killed: `bench faults` and `bench audience` run the large
//! ones.

use std::process::Output;

use tokio::process::Command;
use tokio::sync::Mutex;

use crate::bell::binaries;

/// One at a time: each has a hundred processes.
static TURN: Mutex<()> = Mutex::const_new(());

async fn bench(arguments: &[&str]) -> Output {
    let _turn = TURN.lock().await;
    let mut command = Command::new(binaries().join("bench"));
    // Everything is built already.
    command.args(arguments).env_remove("CARGO").kill_on_drop(true);
    command.output().await.expect("the campaign runs")
}

async fn campaign(arguments: &[&str]) -> Output {
    bench(&[&["faults", "--deliveries", "1000"], arguments].concat()).await
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_processes_killed_and_everything_failing_nothing_is_lost_or_counted_or_shown_twice() {
    let output = campaign(&["--seed", "11", "--only", "bursts,moves,deaths"]).await;
    assert!(output.status.success(), "{}", text(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_mark_a_message_is_counted_twice_and_the_campaign_sees_it() {
    let output = campaign(&["--seed", "12", "--only", "bursts", "--without", "mark"]).await;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    let line = text.lines().find(|line| line.trim_start().starts_with("counted twice")).expect("a verdict");
    assert!(!line.ends_with(" 0"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_fan_out_killed_and_phones_coming_and_going_everybody_is_told_once() {
    let output = bench(&["audience", "--killed-only", "--kills", "3", "--crowd", "400", "--seed", "7"]).await;
    assert!(output.status.success(), "{}", text(&output));
}
