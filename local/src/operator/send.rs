//! `send`: a test push to one client, and what becomes of it on each device.
//!
//! It goes by `/push/push2clients`, as an app's server pushes without a chat message: the badge is not counted up, and each call is a push of
//! its own. Mutes and blocks are of rooms and senders and do not touch it; a client who switched push off gets nothing, and quiet hours take
//! the sound.

use std::time::Duration;

use clap::Args;
use http::Method;
use pushbell::id::AppId;
use pushbell::task::Outcome;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Where;
use super::api::{Api, ApiError, As, escaped};
use super::http::CallError;
use super::why;

/// The first look is after so long, and each later one after twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(200);
/// But no longer than this.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// What is sent, and to whom.
#[derive(Debug, Args)]
pub struct Send {
    /// The client.
    pub client: String,
    /// The text.
    pub text: String,
    /// The title; without it the app's.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// How long to wait for what becomes of it.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub wait: u64,
    /// In which app's name.
    #[command(flatten)]
    pub who: As,
    /// The answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Why it was not sent, or nothing is known of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It was not sent.
    #[error(transparent)]
    Api(ApiError),
    /// The call was made and has no answer of ours. It has no number to ask by.
    #[error("it may have been sent: the call that sends it was not answered")]
    Unanswered(#[source] ApiError),
    /// It is sent. Whoever sends again rings twice.
    #[error(
        "task {task} was taken, but what became of it could not be seen; ask `why <client> {task} --app {app}{place}`"
    )]
    Unseen {
        /// Its number.
        task: String,
        /// Whose.
        app: AppId,
        /// [`Where::options`]
        place: String,
        /// Why not.
        source: ApiError,
    },
}

/// What became of it.
#[derive(Debug)]
pub struct Sent {
    /// For people, or as JSON.
    pub told: String,
    /// Whether a device's vendor has it.
    pub delivered: bool,
}

/// Sends it, waits, and tells what became of it.
pub async fn run(place: &Where, asked: &Send) -> Result<Sent, SendError> {
    let api = Api::find(place, &asked.who).await.map_err(SendError::Api)?;
    let mut payload = json!({ "body": asked.text });
    if let Some(title) = &asked.title {
        payload["title"] = json!(title);
    }
    let body = json!({ "clients": [asked.client], "payload": payload });
    let taken = api.result(Method::POST, "/push/push2clients", Some(&body)).await;
    let taken = taken
        .map_err(|error| if may_be_sent(&error) { SendError::Unanswered(error) } else { SendError::Api(error) })?;
    let task = taken["task_id"].to_string();
    let place = place.options();
    let data = match follow(&api, &asked.client, &task, Duration::from_secs(asked.wait)).await {
        Ok(data) => data,
        Err(source) => return Err(SendError::Unseen { task, app: api.app, place, source }),
    };
    let delivered = devices(&data).any(|device| device["outcome"] == Outcome::Delivered.as_str());
    if asked.json {
        let told = json!({ "task_id": taken["task_id"], "delivered": delivered, "why": data }).to_string();
        return Ok(Sent { told, delivered });
    }
    let mut lines = told(&data, api.app.as_str(), &place, &asked.client, &task);
    if delivered && let Some(quiet) = quiet_hours(&api, &asked.client).await {
        lines.push(quiet);
    }
    Ok(Sent { told: lines.join("\n"), delivered })
}

/// Asks what became of it until that is known, or the time is over.
async fn follow(api: &Api, client: &str, task: &str, wait: Duration) -> Result<Value, ApiError> {
    let until = Instant::now() + wait;
    let mut pause = FIRST_LOOK;
    loop {
        let answer = why::ask(api, client, task).await;
        let now = Instant::now();
        match answer {
            Ok(data) if is_over(&data) || now >= until => return Ok(data),
            // The push is made whether or not we are told.
            Err(error) if now >= until || !is_passing(&error) => return Err(error),
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep_until((now + pause).min(until)).await;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// Whether the API may have taken what a call without an answer of its own sent.
fn may_be_sent(error: &ApiError) -> bool {
    match error {
        ApiError::Call(CallError::Unreachable { source, .. }) => !source.is_connect(),
        ApiError::Call(CallError::Broken(_) | CallError::Late { .. }) => true,
        // Nobody took it: API Gateway itself, or another service.
        ApiError::Strange(400..=499) => false,
        ApiError::Strange(_) => true,
        ApiError::Refused { .. }
        | ApiError::NoApp
        | ApiError::OtherApp(_)
        | ApiError::NoSuchApp(_)
        | ApiError::NoKey(_)
        | ApiError::Request
        | ApiError::Plain(_)
        | ApiError::Deployment(_)
        | ApiError::Document(_) => false,
    }
}

fn is_passing(error: &ApiError) -> bool {
    match error {
        ApiError::Refused { code, .. } => code == "503",
        // API Gateway's own words, where the function is not reached.
        ApiError::Strange(429 | 500..=599) | ApiError::Call(_) => true,
        ApiError::NoApp
        | ApiError::OtherApp(_)
        | ApiError::NoSuchApp(_)
        | ApiError::NoKey(_)
        | ApiError::Request
        | ApiError::Plain(_)
        | ApiError::Strange(_)
        | ApiError::Deployment(_)
        | ApiError::Document(_) => false,
    }
}

fn is_over(data: &Value) -> bool {
    match data["tasks"][0]["state"].as_str() {
        // The client is in it. An answer whose two reads have the row between them says otherwise.
        None | Some("waiting" | "pending" | "not in the task") => false,
        Some(_) => true,
    }
}

fn devices(data: &Value) -> impl Iterator<Item = &Value> {
    data["tasks"][0]["devices"].as_array().into_iter().flatten()
}

/// What became of it, with what to do where it did not go well.
fn told(data: &Value, app: &str, place: &str, client: &str, task: &str) -> Vec<String> {
    let one = &data["tasks"][0];
    let state = one["state"].as_str().unwrap_or("-");
    let mut lines = vec![format!("Task {task} of the app {app}: {state}")];
    for device in devices(data) {
        let word = |name: &str| device[name].as_str().unwrap_or("-");
        let mut line =
            format!("  {} {} over {}: {}", word("platform"), word("device"), word("channel"), word("outcome"));
        if let Some(class) = device["class"].as_str().filter(|class| *class != word("outcome")) {
            line.push_str(&format!(" ({class})"));
        }
        lines.push(format!("{line}, {}", word("meaning")));
        if let Some(outcome) = Outcome::from_word(word("outcome")) {
            let about = About {
                app,
                place,
                client,
                task,
                class: device["class"].as_str(),
                channel: device["channel"].as_str(),
            };
            lines.extend(about.advice(outcome).map(|advice| format!("    {advice}")));
        }
    }
    if let Some(word) = one["outcome"].as_str() {
        lines.push(format!("  {word}, {}", one["meaning"].as_str().unwrap_or("-")));
        let about = About { app, place, client, task, class: None, channel: None };
        match Outcome::from_word(word) {
            Some(Outcome::NoDevice) if data["client_known"] == false => lines.push(
                "    The app knows nothing of this client: is the id the one that the chat server uses?".to_owned(),
            ),
            Some(outcome) => lines.extend(about.advice(outcome).map(|advice| format!("    {advice}"))),
            None => {}
        }
    }
    match state {
        "waiting" => lines.push(format!(
            "  It was not tried yet. Wait longer (--wait), or ask `why {client} {task} --app {app}{place}` later; `tail --app {app}{place}` shows what the functions do."
        )),
        "pending" => lines.push(format!("  It is tried again: ask `why {client} {task} --app {app}{place}` later.")),
        _ => {}
    }
    lines
}

/// What an outcome was had with.
struct About<'a> {
    app: &'a str,
    /// [`Where::options`]
    place: &'a str,
    client: &'a str,
    task: &'a str,
    class: Option<&'a str>,
    channel: Option<&'a str>,
}

impl About<'_> {
    /// What to do about an outcome.
    fn advice(&self, outcome: Outcome) -> Option<String> {
        let Self { app, place, client, task, class, channel } = self;
        let vendor = if *channel == Some("sns") { "--apns AuthKey.p8" } else { "--fcm service-account.json" };
        Some(match outcome {
            Outcome::Delivered | Outcome::Pending => return None,
            Outcome::DeadToken => {
                "The app was removed from the phone, or has another token by now: open it there, so that it registers again.".to_owned()
            }
            Outcome::BadMessage => format!("`tail --app {app}{place}` shows the vendor's code; another text may pass."),
            Outcome::Misconfigured if *class == Some("no_credentials") => {
                format!("The app has no credentials for this vendor: `app update {app} {vendor}{place}`.")
            }
            Outcome::Misconfigured => format!(
                "Mend the credentials: `doctor {app}{place}` tells what is wrong, `app update {app} {vendor}{place}` replaces them. Then \
                 `dead-letters replay deliver --task {task}{place}` sends it again."
            ),
            Outcome::GaveUp => format!(
                "See `why {client} {task} --app {app}{place}` for each attempt; `dead-letters replay deliver --task {task}{place}` sends it again."
            ),
            Outcome::ChannelUnavailable => "There is no channel to this vendor yet.".to_owned(),
            Outcome::Gone => "It was unregistered meanwhile: send again.".to_owned(),
            Outcome::NoDevice => {
                "Open the app on a phone and sign in as this client, so that it registers (docs/devices.md).".to_owned()
            }
            Outcome::Off => "The client has to switch push on again (docs/devices.md#preferences).".to_owned(),
            Outcome::Muted | Outcome::Blocked => "The client has to take that back.".to_owned(),
            Outcome::HeldOut => "It is so for every push, as long as the experiment runs.".to_owned(),
            Outcome::Read | Outcome::Withdrawn | Outcome::Cancelled => "Send again.".to_owned(),
            Outcome::MissingValue => "Send a text without places.".to_owned(),
        })
    }
}

/// That the client has quiet hours: nothing else tells why a phone that has the push made no sound.
async fn quiet_hours(api: &Api, client: &str) -> Option<String> {
    let preferences =
        api.result(Method::GET, &format!("/me/preferences?clientId={}", escaped(client)), None).await.ok()?;
    let of = |name: &str| preferences["quiet_hours"][name].as_str();
    let (from, to) = (of("from")?, of("to")?);
    let zone = preferences["zone"].as_str().unwrap_or("the app's zone");
    Some(format!("  The client has quiet hours from {from} to {to} ({zone}): in them a push makes no sound."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn lines(task: &Value, known: bool) -> Vec<String> {
        told(&json!({"client_known": known, "tasks": [task]}), "demo", " --stage prod", "aaa", "7")
    }

    fn device(outcome: &str, class: &str, channel: &str) -> Value {
        json!({"state": "done", "outcome": null, "devices": [{
            "platform": "android", "device": "KEY", "channel": channel, "outcome": outcome, "class": class, "meaning": "words",
        }]})
    }

    #[test]
    fn a_delivery_is_told_without_advice() {
        assert_eq!(
            lines(&device("delivered", "delivered", "fcm"), true),
            ["Task 7 of the app demo: done", "  android KEY over fcm: delivered, words"]
        );
    }

    #[test]
    fn every_failure_of_a_device_is_told_with_what_to_do() {
        let advice = |outcome, class, channel| lines(&device(outcome, class, channel), true).pop().unwrap_or_default();
        assert!(
            advice("misconfigured", "no_credentials", "fcm")
                .contains("app update demo --fcm service-account.json --stage prod`")
        );
        assert!(advice("misconfigured", "no_credentials", "sns").contains("app update demo --apns"));
        assert!(
            advice("misconfigured", "unauthorized", "sns")
                .contains("dead-letters replay deliver --task 7 --stage prod`")
        );
        assert!(advice("dead_token", "dead_token", "fcm").contains("registers again"));
        assert!(advice("gave_up", "retry", "fcm").contains("why aaa 7 --app demo --stage prod`"));
        let final_ones = Outcome::ALL.into_iter().filter(|(outcome, ..)| outcome.is_final());
        for (outcome, _, word) in final_ones.filter(|(outcome, ..)| *outcome != Outcome::Delivered) {
            let about = About { app: "demo", place: "", client: "aaa", task: "7", class: None, channel: None };
            assert!(about.advice(outcome).is_some(), "{word}");
        }
    }

    #[test]
    fn a_client_without_a_device_and_one_whom_nobody_knows_are_told_apart() {
        let task =
            json!({"state": "done", "outcome": "no_device", "meaning": "the client has no device", "devices": []});
        let told = |known| lines(&task, known).pop().unwrap_or_default();
        assert!(told(true).contains("sign in as this client"));
        assert!(told(false).contains("knows nothing of this client"));
    }

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        send: Send,
    }

    #[test]
    fn nobody_waits_longer_than_an_hour() {
        let wait = |seconds: &str| Line::try_parse_from(["send", "aaa", "ding", "--wait", seconds]);
        assert_eq!(wait("3600").map(|line| line.send.wait).ok(), Some(3_600));
        assert!(wait("3601").is_err() && wait("18446744073709551615").is_err());
    }

    /// Sends by an address, with a key.
    async fn sent_to(url: String) -> SendError {
        let place = Where { url: Some(url), ..Where::default() };
        let who = As { app: None, api_key: Some("demo.k3y".to_owned().into()) };
        let asked = Send { client: "aaa".into(), text: "ding".into(), title: None, wait: 0, who, json: false };
        run(&place, &asked).await.unwrap_err()
    }

    /// An address that takes one call, reads it, answers so and hangs up.
    async fn answers(answer: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"}}") {
                socket.read_buf(&mut read).await.unwrap();
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn a_push_whose_call_has_no_answer_may_have_been_sent() {
        for answer in ["", "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nlate"] {
            let error = sent_to(answers(answer).await).await;
            assert!(matches!(error, SendError::Unanswered(_)), "{error:?}");
        }
        let throttled = answers("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nmany").await;
        for url in [throttled, "http://127.0.0.1:1".to_owned()] {
            let error = sent_to(url).await;
            assert!(matches!(error, SendError::Api(_)), "{error:?}");
        }
    }

    #[test]
    fn a_gateway_that_is_busy_is_asked_again() {
        for (status, passing) in [(429, true), (500, true), (503, true), (404, false), (200, false)] {
            assert_eq!(is_passing(&ApiError::Strange(status)), passing, "{status}");
        }
    }

    #[test]
    fn what_is_not_over_yet_says_how_to_ask_later() {
        let task = |state: &str| json!({"state": state, "outcome": null, "devices": []});
        assert!(lines(&task("waiting"), true)[1].contains("`why aaa 7 --app demo --stage prod`"));
        assert!(lines(&task("pending"), true)[1].starts_with("  It is tried again"));
        for (state, over) in [
            ("waiting", false),
            ("pending", false),
            ("done", true),
            ("ended", true),
            ("cancelled", true),
            ("not in the task", false),
        ] {
            assert_eq!(is_over(&json!({"tasks": [task(state)]})), over, "{state}");
        }
    }
}
