//! `app`: makes an app, shows it, gives it other credentials and secrets, removes it.

mod add;
mod applications;
mod documents;
mod files;
mod paste;
mod remove;
mod rotate;
mod secrets;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use pushbell::id::AppId;

use super::Deployment;
use super::vendors::{ApnsTrouble, CertificateTrouble, FcmTrouble};

pub use applications::{ApnsService, ApplicationError};
pub use documents::{APNS, DocumentError, Documents, SECRETS};
pub use files::FileError;
pub use secrets::{Kind, NoRandom, first_valid};
pub(in crate::operator) use secrets::{ends, value};

/// What is done with apps.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes an app: documents with fresh secrets, platform applications, vendors tried; prints what to paste where. Secrets are shown once.
    Add(Add),
    /// Gives an app other credentials for FCM or APNs, after trying them.
    Update(Update),
    /// The apps there are.
    List(List),
    /// What an app is set up with. No secret is shown.
    Show(Show),
    /// Replaces secrets; the old ones stay valid for a day. The new ones are shown once.
    Rotate(Rotate),
    /// Removes an app: its callers first, then its credentials and settings. Devices and counts stay.
    Remove(Remove),
}

/// Credentials for the vendors.
#[derive(Debug, Clone, Default, Args)]
pub struct Credentials {
    /// FCM: the key file of a service account, as Google gives it.
    #[arg(long, value_name = "service-account.json")]
    pub fcm: Option<PathBuf>,
    /// APNs: a signing key of your Apple account. It is for production and for development builds.
    #[arg(long, value_name = "AuthKey.p8", requires_all = ["key_id", "team", "topic"])]
    pub apns: Option<PathBuf>,
    /// The signing key's id, 10 characters; it is in the file's name as Apple gives it.
    #[arg(long, value_name = "ID", requires = "apns")]
    pub key_id: Option<String>,
    /// Your team's id at Apple, 10 characters.
    #[arg(long, value_name = "ID", requires = "apns")]
    pub team: Option<String>,
    /// The iOS app's bundle id.
    #[arg(long, value_name = "BUNDLE-ID", requires = "apns")]
    pub topic: Option<String>,
    /// APNs by certificate instead: the certificate as PEM.
    #[arg(long, value_name = "cert.pem", requires = "apns_private_key", conflicts_with = "apns")]
    pub apns_certificate: Option<PathBuf>,
    /// The certificate's private key as PEM, without a password.
    #[arg(long, value_name = "key.pem", requires = "apns_certificate")]
    pub apns_private_key: Option<PathBuf>,
    /// The iOS app is a development build: Apple's sandbox. TestFlight and the store are production.
    #[arg(long)]
    pub sandbox: bool,
    /// Registers credentials although their vendor cannot be asked: it is not reached, out of order, or was asked too often. What it refuses
    /// stays refused.
    #[arg(long)]
    pub untried: bool,
}

/// `app add`
#[derive(Debug, Args)]
pub struct Add {
    /// The app's name: up to 64 characters of `A-Z a-z 0-9 - _ .`
    #[arg(value_parser = super::app_id)]
    pub app: AppId,
    /// Its vendors.
    #[command(flatten)]
    pub credentials: Credentials,
    /// Its number at Tencent Chat, which reports its own pushes.
    #[arg(long, value_name = "SDK_APP_ID")]
    pub tencent: Option<u64>,
    /// Who delivers OpenIM's pushes: OpenIM itself (`filter`), or Pushbell (`deliver`).
    #[arg(long, value_enum, default_value_t = OpenimMode::Filter)]
    pub openim: OpenimMode,
    /// Where outcomes are posted to.
    #[arg(long, value_name = "URL")]
    pub results: Option<String>,
    /// A `callers` document whose secrets stay valid beside the fresh ones: those of a system that the app comes from.
    #[arg(long, value_name = "callers.json")]
    pub callers: Option<PathBuf>,
    /// The app's name on notifications that have no better title.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// The answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Who delivers OpenIM's pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OpenimMode {
    /// OpenIM.
    Filter,
    /// Pushbell.
    Deliver,
}

/// `app update`
#[derive(Debug, Args)]
pub struct Update {
    /// The app.
    #[arg(value_parser = super::app_id)]
    pub app: AppId,
    /// What is replaced; what is not given stays.
    #[command(flatten)]
    pub credentials: Credentials,
}

/// `app list`
#[derive(Debug, Args)]
pub struct List {
    /// The answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `app show`
#[derive(Debug, Args)]
pub struct Show {
    /// The app.
    #[arg(value_parser = super::app_id)]
    pub app: AppId,
    /// The answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `app rotate`
#[derive(Debug, Args)]
pub struct Rotate {
    /// The app.
    #[arg(value_parser = super::app_id)]
    pub app: AppId,
    /// Which secrets; without it all that the app has but `app-secret`, which is built into apps that people have.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Kind>,
    /// How many hours the old ones stay valid; 0 ends them at once (functions keep documents for five minutes).
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=8760))]
    pub keep: u32,
    /// The answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `app remove`
#[derive(Debug, Args)]
pub struct Remove {
    /// The app.
    #[arg(value_parser = super::app_id)]
    pub app: AppId,
    /// Without it nothing is removed, and what would be is told.
    #[arg(long)]
    pub yes: bool,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppCommandError {
    /// There is one.
    #[error(
        "there is an app {0} already; see `app show {0}`, replace its credentials with `app update`, its secrets with `app rotate`"
    )]
    Exists(AppId),
    /// There is none.
    #[error("there is no app {0} here; see `app list`")]
    Unknown(AppId),
    /// Nothing to update.
    #[error("nothing is given that is to be replaced; pass --fcm, --apns or --apns-certificate")]
    NothingGiven,
    /// The settings would not be readable, or are not.
    #[error("nothing was changed")]
    Settings(#[source] pushbell::app::AppError),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// FCM does not take the credentials.
    #[error("FCM does not take these credentials, so nothing was changed")]
    Fcm(#[source] Box<FcmTrouble>),
    /// Of FCM it is not known whether it takes the credentials.
    #[error(
        "FCM could not be asked whether it takes these credentials (--untried registers them all the same), so nothing was changed"
    )]
    FcmUnasked(#[source] Box<FcmTrouble>),
    /// APNs does not take the credentials.
    #[error("APNs does not take these credentials, so nothing was changed")]
    Apns(#[source] Box<ApnsTrouble>),
    /// Of APNs it is not known whether it takes the credentials.
    #[error(
        "APNs could not be asked whether it takes these credentials (--untried registers them all the same), so nothing was changed"
    )]
    ApnsUnasked(#[source] Box<ApnsTrouble>),
    /// The certificate cannot be used.
    #[error("the APNs certificate cannot be used, so nothing was changed")]
    Certificate(#[source] CertificateTrouble),
    /// The certificate is for Apple's other service.
    #[error(
        "the APNs certificate is not for {0}; pass --sandbox for a development certificate, and leave it out for another"
    )]
    OtherService(&'static str),
    /// A document was not read or written.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// SNS refused.
    #[error(transparent)]
    Application(#[from] ApplicationError),
    /// No random bytes.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
    /// A removal broke off.
    #[error("gone of {app} so far: {gone}; run `app remove {app} --yes{place}` again for the rest")]
    HalfRemoved {
        /// Whose.
        app: AppId,
        /// What is removed.
        gone: String,
        /// [`Deployment::place`]
        place: String,
        /// What stopped it.
        source: DocumentError,
    },
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// For people, or as JSON.
    pub text: String,
    /// Nothing is left to be done.
    pub is_complete: bool,
    /// The text has an app's secrets, which are nowhere else to be read: whom they are lost to is to be told.
    pub secrets_of: Option<AppId>,
}

impl Told {
    fn all(text: String) -> Self {
        Self { text, is_complete: true, secrets_of: None }
    }
}

/// Does it, and tells what was done.
pub async fn run(deployment: &Deployment, command: &Command) -> Result<Told, AppCommandError> {
    match command {
        Command::Add(add) => add::run(deployment, add).await,
        Command::Update(update) => add::update(deployment, update).await.map(Told::all),
        Command::List(list) => show::list(deployment, list.json).await.map(Told::all),
        Command::Show(show) => show::show(deployment, &show.app, show.json).await.map(Told::all),
        Command::Rotate(rotate) => rotate::run(deployment, rotate).await,
        Command::Remove(remove) => remove::run(deployment, remove).await,
    }
}

#[cfg(test)]
mod tests;
