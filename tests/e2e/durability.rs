//! A machine that dies: whatever was answered 200 is delivered after the restart, once.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::bell::{API_KEY, Caller, binaries, text_message};

/// The local stack as its own process, data in `folder`.
pub async fn run(folder: &Path, more: &[&str]) -> (Child, Caller) {
    let mut child = Command::new(binaries().join("pushbell"))
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(folder)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the stack starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let url = loop {
        let line = lines.next_line().await.expect("its output").expect("the address before the end of the output");
        if let Some(at) = line.find("http://127.0.0.1:") {
            let url: String = line[at..].chars().take_while(|c| !c.is_whitespace()).collect();
            break url.trim_end_matches('/').to_owned();
        }
    };
    // Nobody reads the rest, and a full pipe would stop it.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, Caller::new(url))
}

async fn accepted(caller: &Caller, token: &str) -> Vec<Value> {
    let phones = caller.get(&format!("/phones?token={token}"), &[]).await.json();
    phones.as_array().and_then(|phones| phones.first()?["notifications"].as_array().cloned()).unwrap_or_default()
}

/// Asks until everything that was due is worked off, what was deferred too: on a busy machine a queue may have been slow to answer.
async fn worked_off(caller: &Caller) {
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    let mut idle = 0;
    for _ in 0..3_000 {
        clock.tick().await;
        let queues = caller.get("/_local/queues", &[]).await.json();
        let all = queues.as_object().expect("queues by name").iter().filter(|(name, _)| !name.contains("DeadLetters"));
        let (mut working, mut waiting) = (0, 0);
        for (_, depth) in all {
            working += depth["visible"].as_u64().unwrap_or(0) + depth["in_flight"].as_u64().unwrap_or(0);
            waiting += depth["delayed"].as_u64().unwrap_or(0);
        }
        if working > 0 {
            idle = 0;
        } else if waiting > 0 {
            // Only now: time that passes while somebody works passes for access tokens, too.
            idle = 0;
            caller.send("POST", "/_local/queues/advance?seconds=900&delayed=1", &[], "").await;
        } else if idle == 1 {
            return;
        } else {
            idle += 1;
            caller.send("POST", "/_local/schedules/retry", &[], "").await;
        }
    }
    panic!("a minute has passed, and there is work left");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_at_random_moments_after_the_200_lose_nothing_and_count_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let clients: Vec<String> = (0..50).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    let (child, caller) = run(folder.path(), &[]).await;
    for client in &clients {
        caller.register(client, "android", &format!("fcm-{client}")).await;
    }
    let mut child = child;
    child.kill().await.expect("kill -9");
    // Spread over the first 100 ms, where the work is done, and the two seconds after it.
    let moments = [0, 1, 2, 3, 5, 7, 9, 12, 15, 19, 24, 30, 37, 45, 60, 80, 120, 300, 900, 2_000];
    for (round, moment) in moments.iter().enumerate() {
        let (mut child, caller) = run(folder.path(), &[]).await;
        let answer = caller.imkit(&text_message(&format!("m{round}"), &names)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        // It lives on for so long, and then no more: the moment of its death is what is tested.
        let alive = tokio::time::timeout(Duration::from_millis(*moment), child.wait()).await;
        assert!(alive.is_err(), "it ended by itself");
        child.kill().await.expect("kill -9");
        let (mut child, caller) = run(folder.path(), &[]).await;
        worked_off(&caller).await;
        let expected = i64::try_from(round).unwrap() + 1;
        for client in &clients {
            let badge = caller.get(&format!("/badges/{client}"), &[API_KEY]).await.json();
            assert_eq!(
                badge["result"]["total"].as_i64().or(badge["total"].as_i64()),
                Some(expected),
                "round {round}, {client}: {badge}"
            );
            let shown = accepted(&caller, &format!("fcm-{client}")).await;
            assert_eq!(shown.len(), round + 1, "round {round}, {client}");
            assert_eq!(shown[0]["badge"], expected, "round {round}, {client}");
        }
        // Gone before the next one starts: one stack at a time works on a folder.
        child.kill().await.expect("kill -9");
    }
}
