//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pushbell::id::AppId;

use crate::operator::doctor::Doctor;
use crate::operator::import::Import;
use crate::operator::token::Role;
use crate::operator::{Where, app, app_id, dead_letters, send, tail, task, why};
use crate::template::Template;

/// Runs Pushbell on this machine: the whole bundle, with fake phones and vendors.
#[derive(Debug, Parser)]
#[command(name = "pushbell", version)]
pub struct Cli {
    /// What to do; without a command the stack is run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to run the stack.
    #[command(flatten)]
    pub run: Run,
}

/// The commands beside running the stack.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prints a user token of an app, as the app's own back end would sign it.
    Token(Token),
    /// Tells what happened to one push: counted or not and why, each device, its attempts, what is pending.
    Why(Why),
    /// Makes, shows, changes and removes apps.
    App(Box<App>),
    /// Looks whether a bundle and its apps are set up as they should be; tells what to do where not.
    Doctor(Doctor),
    /// Registers the devices that another system knew, from a file.
    Import(Import),
    /// Sends a test push to one client, and tells what becomes of it on each device. Exits with 0 if one has it.
    Send(Send),
    /// Shows what becomes of pushes, as the functions' logs tell it.
    Tail(Tail),
    /// What was given up and waits in the dead-letter queues: lists, shows, replays and drops it.
    DeadLetters(DeadLetters),
    /// What became of a push by its number; takes back what is not sent yet.
    Task(Task),
}

/// What is done with apps, and of which bundle.
#[derive(Debug, Args)]
pub struct App {
    /// What is done.
    #[command(subcommand)]
    pub command: app::Command,
    /// Of which bundle.
    #[command(flatten)]
    pub place: Where,
}

/// What is sent, and by which bundle.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Send {
    /// What is sent.
    #[command(flatten)]
    pub asked: send::Send,
    /// By which bundle.
    #[command(flatten)]
    pub place: Where,
}

/// What is shown, and of which bundle.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Tail {
    /// What is shown.
    #[command(flatten)]
    pub asked: tail::Tail,
    /// Of which bundle.
    #[command(flatten)]
    pub place: Where,
}

/// What is done with dead letters, and of which bundle.
#[derive(Debug, Args)]
pub struct DeadLetters {
    /// What is done.
    #[command(subcommand)]
    pub command: dead_letters::Command,
    /// Of which bundle.
    #[command(flatten)]
    pub place: Where,
}

/// What is done with a task, and of which bundle.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Task {
    /// What is done.
    #[command(subcommand)]
    pub command: task::Command,
    /// Of which bundle.
    #[command(flatten)]
    pub place: Where,
}

/// How to run the stack.
#[derive(Debug, Args)]
pub struct Run {
    /// Where the API listens.
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Keep tables, queues and phones in this folder. Without it they are gone at the end.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Run the functions' real binaries on an emulated Lambda Runtime API (`cargo build --workspace` builds them).
    #[arg(long)]
    pub processes: bool,
    /// Folder with one folder per app: callers.json, vendors.json, settings.json.
    #[arg(long, value_name = "FOLDER", default_value_os_t = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/apps")), hide_default_value = true)]
    pub apps: PathBuf,
    /// The template that says which functions, routes, tables and queues there are.
    #[arg(long, value_name = "FILE", default_value_os_t = Template::default_path(), hide_default_value = true)]
    pub template: PathBuf,
}

/// Whom a token is for.
#[derive(Debug, Args)]
pub struct Token {
    /// The client that the token is for.
    #[arg(long)]
    pub user: String,
    /// What the token allows.
    #[arg(long, value_enum, default_value_t = Role::User)]
    pub role: Role,
    /// The app.
    #[arg(long, default_value = "demo", value_parser = app_id)]
    pub app: AppId,
    /// Seconds until it expires.
    #[arg(long, default_value_t = 86_400)]
    pub seconds: u64,
    /// Of which bundle; the demo apps' keys are known without one.
    #[command(flatten)]
    pub place: Where,
}

/// Which push is asked about, and of which bundle.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Why {
    /// Which push.
    #[command(flatten)]
    pub asked: why::Why,
    /// Of which bundle.
    #[command(flatten)]
    pub place: Where,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_the_stack_is_run_where_the_design_says() {
        let cli = Cli::parse_from(["pushbell"]);
        assert!(cli.command.is_none() && !cli.run.processes && cli.run.data.is_none());
        assert_eq!(cli.run.listen.to_string(), "127.0.0.1:9000");
        assert!(cli.run.template.is_file());
    }

    #[test]
    fn what_is_done_with_dead_letters_says_with_which_and_a_push_is_asked_about_by_its_place() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|_| ()).map_err(|error| error.kind());
        parse("pushbell why aaa m1 --app demo --stage prod").unwrap();
        parse("pushbell send aaa hello --wait 5 --url http://127.0.0.1:1").unwrap();
        parse("pushbell tail --since 1h --once").unwrap();
        parse("pushbell task cancel 7 --app demo").unwrap();
        parse("pushbell dead-letters drop deliver --all --yes --stage prod").unwrap();
        let refused = clap::error::ErrorKind::MissingRequiredArgument;
        assert_eq!(parse("pushbell dead-letters replay deliver"), Err(refused));
        let refused = clap::error::ErrorKind::ArgumentConflict;
        assert_eq!(parse("pushbell dead-letters replay deliver --all --task 7"), Err(refused));
    }

    #[test]
    fn a_token_is_for_a_user_of_the_demo_app_unless_said_otherwise() {
        let Some(Command::Token(token)) = Cli::parse_from(["pushbell", "token", "--user", "aaa"]).command else {
            panic!("a token")
        };
        assert_eq!((token.user.as_str(), token.app.as_str(), token.role.as_str()), ("aaa", "demo", "user"));
    }
}
