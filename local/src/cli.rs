//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pushbell::id::AppId;

use crate::operator::doctor::Doctor;
use crate::operator::import::Import;
use crate::operator::token::Role;
use crate::operator::{Where, app, app_id};
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

/// Which push is asked about.
#[derive(Debug, Args)]
pub struct Why {
    /// The client that it was for.
    #[arg(long)]
    pub client: String,
    /// The message's id, or a task's number.
    #[arg(long)]
    pub message: String,
    /// Where the API is.
    #[arg(long, default_value = "http://127.0.0.1:9000")]
    pub url: String,
    /// The app's API key; without it `PUSHBELL_API_KEY` of the environment, or the demo app's.
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// The answer as it came.
    #[arg(long)]
    pub json: bool,
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
    fn a_token_is_for_a_user_of_the_demo_app_unless_said_otherwise() {
        let Some(Command::Token(token)) = Cli::parse_from(["pushbell", "token", "--user", "aaa"]).command else {
            panic!("a token")
        };
        assert_eq!((token.user.as_str(), token.app.as_str(), token.role.as_str()), ("aaa", "demo", "user"));
    }
}
