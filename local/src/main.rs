//! `pushbell`: the whole bundle on one machine, and the operator's commands.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser as _;
use pushbell::time::Timestamp;
use pushbell_local::cli::{Cli, Command, Run, Token};
use pushbell_local::logs;
use pushbell_local::operator::doctor::{Finding, Level};
use pushbell_local::operator::import::{self, Import};
use pushbell_local::operator::{Deployment, Where, app, causes, dead_letters, doctor, send, tail, task, token, why};
use pushbell_local::runtime_api::Output;
use pushbell_local::stack::{Options, Processes, Stack, StackError};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The key of the demo app's user tokens. Fixed and printed: nothing real is behind it.
const DEMO_USER_KEY: &str = "demo-user-key-0123456789abcdef0123456789ab";
/// The apps that have it.
const DEMO_APPS: [&str; 2] = ["demo", "demo-deliver"];

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Token(token)) => user_token(&token),
        Some(Command::Why(asked)) => block_on(async { tell(why::run(&asked.place, &asked.asked).await) }),
        Some(Command::App(asked)) => {
            operate(&asked.place, async |deployment| match app::run(deployment, &asked.command).await {
                Ok(told) => hand_over(&told, &deployment.place),
                Err(error) => fail(&error),
            })
        }
        Some(Command::Doctor(asked)) => operate(&asked.place, async |deployment| {
            let told = |found: &[Finding]| {
                if !asked.json {
                    for finding in found {
                        say(&finding.text());
                    }
                }
            };
            match doctor::run(deployment, asked.app.as_ref(), &Timestamp::now, told).await {
                Ok(report) => {
                    say(&if asked.json { report.json().to_string() } else { format!("\n{}", report.sum()) });
                    let bad = if asked.strict { Level::Warn } else { Level::Fail };
                    if report.worst() < bad { ExitCode::SUCCESS } else { ExitCode::FAILURE }
                }
                Err(error) => fail(&error),
            }
        }),
        Some(Command::Import(args)) => run_import(&args),
        Some(Command::Send(asked)) => block_on(async {
            match send::run(&asked.place, &asked.asked).await {
                Ok(sent) => {
                    say(&sent.told);
                    if sent.delivered { ExitCode::SUCCESS } else { ExitCode::FAILURE }
                }
                Err(error) => fail(&error),
            }
        }),
        Some(Command::Tail(asked)) => operate(&asked.place, async |deployment| {
            let trouble = |error: &tail::TailError| report(&causes(error));
            match tail::run(deployment, &asked.asked, is_read, trouble).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            }
        }),
        Some(Command::DeadLetters(asked)) => {
            operate(&asked.place, async |deployment| match dead_letters::run(deployment, &asked.command).await {
                Ok(told) => {
                    say(&told.text);
                    if told.is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
                }
                Err(error) => fail(&error),
            })
        }
        Some(Command::Task(asked)) => block_on(async { tell(task::run(&asked.place, &asked.command).await) }),
        None => run(cli.run),
    }
}

/// Signs a token. The demo apps' key is known, and needs no stack that runs.
fn user_token(token: &Token) -> ExitCode {
    let now = Timestamp::now();
    let sign = |key: &str| token::sign(key, &token.app, &token.user, token.role, token.seconds, now);
    if token.place.stage.is_none() && DEMO_APPS.contains(&token.app.as_str()) {
        say(&sign(DEMO_USER_KEY));
        return ExitCode::SUCCESS;
    }
    operate(&token.place, async |deployment| tell(token::key(deployment, &token.app, now).await.map(|key| sign(&key))))
}

/// Imports devices, and reports.
fn run_import(args: &Import) -> ExitCode {
    log();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let imported = runtime.block_on(async {
        let deployment = Deployment::find(&args.place).await.map_err(|error| fail(&error))?;
        import::run(&deployment, args, &mut std::io::stdout()).await.map_err(|error| fail(&error))
    });
    imported.map_or_else(|code| code, |outcome| outcome.exit_code().into())
}

fn run(run: Run) -> ExitCode {
    log();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let code = runtime.block_on(serve(run));
    runtime.shutdown_timeout(Duration::from_millis(200));
    code
}

/// Finds the bundle that is meant, and does what is to be done there.
fn operate(place: &Where, work: impl AsyncFnOnce(&Deployment) -> ExitCode) -> ExitCode {
    block_on(async {
        match Deployment::find(place).await {
            Ok(deployment) => work(&deployment).await,
            Err(error) => fail(&error),
        }
    })
}

/// Runs a command to its end.
fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => fail(&error),
    }
}

fn tell<E: std::error::Error>(done: Result<String, E>) -> ExitCode {
    match done {
        Ok(told) => say(&told),
        Err(error) => return fail(&error),
    }
    ExitCode::SUCCESS
}

/// Tells what was done with an app. Secrets that nobody could read are a failure: they hold, and are nowhere else.
fn hand_over(told: &app::Told, place: &str) -> ExitCode {
    let is_lost = !is_read(&told.text);
    if let (true, Some(app)) = (is_lost, &told.secrets_of) {
        report(&format!(
            "the new secrets of {app} hold, but could not be shown: standard output takes nothing. Make others: `app rotate {app}{place}`, and with --only app-secret where Kinvey's SDKs have one"
        ));
        return ExitCode::FAILURE;
    }
    if told.is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Logs go to standard error, as `RUST_LOG` says.
fn log() {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,dynoxide=error"));
    // Below warnings, libraries log whole requests: with tokens and secrets in them.
    let ours = filter_fn(|event| {
        *event.level() <= tracing::Level::WARN || logs::OUR_CRATES.iter().any(|own| event.target().starts_with(own))
    });
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let layer = layer.with_filter(wanted.and(ours));
    tracing_subscriber::registry().with(layer).with(logs::layer()).init();
}

async fn serve(run: Run) -> ExitCode {
    let signals =
        signal(SignalKind::interrupt()).and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    let (mut interrupt, mut terminate) = match signals {
        Ok(signals) => signals,
        Err(error) => return fail(&error),
    };
    let options = match options(run) {
        Ok(options) => options,
        Err(error) => return fail(&error),
    };
    let stack = match Stack::start(options).await {
        Ok(stack) => stack,
        Err(StackError::Listen { address, source }) if source.kind() == std::io::ErrorKind::AddrInUse => {
            report(&format!("{address} is in use; stop what listens there, or pass --listen 127.0.0.1:0"));
            return ExitCode::FAILURE;
        }
        Err(error) => return fail(&error),
    };
    say(&greeting(&stack));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stack.stop().await;
    ExitCode::SUCCESS
}

fn options(run: Run) -> std::io::Result<Options> {
    let processes = match run.processes {
        true => Some(Processes { output: Output::Shown, ..Processes::beside_this_binary()? }),
        false => None,
    };
    Ok(Options {
        listen: run.listen,
        data: run.data,
        apps: run.apps,
        template: run.template,
        processes,
        clock: true,
        ..Options::test()
    })
}

fn greeting(stack: &Stack) -> String {
    let url = stack.url();
    let register =
        json!({ "platform": "android", "framework": "nativescript", "deviceId": "phone-of-aaa", "userId": "aaa" });
    // A message of its own each time the stack starts; the line sent twice notifies once.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let message = json!({
        "_id": format!("demo-{now}"),
        "appID": "demo",
        "room": "demo-room",
        "roomName": "Demo Room",
        "messageType": "text",
        "message": "lala",
        "sender": { "_id": "SSS", "nickname": "SSS" },
        "messageTimeMS": now,
        "pushToClients": ["aaa", "bbb"],
    });
    format!(
        "Pushbell is at {url} (AWS at {aws}, vendors at {vendors}). Ctrl-C ends it.\n\
         \n\
         The app `demo`: hook secret demo-secret, app key demo, master secret demo-master, API key demo.demo-api-key,\n\
         Tencent's SdkAppid 1400000001 with token pb-demo-token-01.\n\
         A user token: cargo run -- token --user aaa\n\
         \n\
         Register a phone, send a message to it, look at it:\n\
         \n\
         curl -i -u demo:demo-master -H 'content-type: application/json' {url}/push/demo/register-device -d '{register}'\n\
         curl -i -H 'content-type: application/json' {url}/hooks/demo/demo-secret/imkit -d '{message}'\n\
         curl -s {url}/phones",
        aws = stack.aws_url(),
        vendors = stack.vendors_url(),
    )
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    report(&causes(error));
    ExitCode::FAILURE
}

fn report(text: &str) {
    // There is nowhere left to say that standard error is closed.
    let _ = writeln!(std::io::stderr(), "pushbell: {text}");
}

fn say(text: &str) {
    // Whoever closed the pipe has seen enough.
    let _ = is_read(text);
}

/// Writes a text to standard output, and says whether anybody reads it.
fn is_read(text: &str) -> bool {
    // In one piece, for whoever reads it by machine.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush()).is_ok()
}
