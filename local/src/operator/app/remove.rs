//! The end of an app. First nobody can call in its name, then its credentials go.

use super::super::Deployment;
use super::applications::{self, ApnsService};
use super::documents::{Documents, SECRETS};
use super::{AppCommandError, Remove};

pub(super) async fn run(deployment: &Deployment, remove: &Remove) -> Result<String, AppCommandError> {
    let documents = Documents::new(deployment)?;
    let app = &remove.app;
    let listed = documents.list().await?;
    let settings = documents.settings(app).await?;
    let secrets = listed.get(app);
    if secrets.is_none() && settings.is_none() {
        return Err(AppCommandError::Unknown(app.clone()));
    }
    let of = |service: ApnsService| settings.as_ref()?["sns"][service.setting()].as_str().map(str::to_owned);
    let arns: Vec<String> = ApnsService::ALL.into_iter().filter_map(of).collect();
    let names: Vec<&'static str> =
        SECRETS.into_iter().filter(|name| secrets.is_some_and(|secrets| secrets.contains(*name))).collect();
    let what = format!(
        "the documents {}{} and {} platform application{}",
        names.join(", "),
        if settings.is_some() { ", the settings" } else { "" },
        arns.len(),
        if arns.len() == 1 { "" } else { "s" },
    );
    let stays = "Devices, counts and results stay until they are erased (docs/devices.md) or their time is over.";
    if !remove.yes {
        return Ok(format!(
            "This would remove {what} of the app {app} in the stage {}. {stays}\nPass --yes to do it.",
            deployment.env.stage()
        ));
    }
    for name in names {
        documents.delete_secret(app, name).await?;
    }
    for arn in &arns {
        applications::delete(deployment, arn).await?;
    }
    if settings.is_some() {
        documents.delete_settings(app).await?;
    }
    Ok(format!(
        "Removed {what} of {app}. Calls end within five minutes. Secrets Manager keeps the documents for a week (restore-secret). {stays}"
    ))
}
