//! The end of an app. First nobody can call in its name, then its credentials go, and last the settings, which name the others.

use super::super::{Deployment, causes};
use super::applications::{self, ApnsService};
use super::documents::{Documents, SECRETS};
use super::{AppCommandError, DocumentError, Remove, Told};

pub(super) async fn run(deployment: &Deployment, remove: &Remove) -> Result<Told, AppCommandError> {
    let documents = Documents::new(deployment)?;
    let app = &remove.app;
    let settings = documents.settings(app).await?;
    // Each is asked for: a list of secrets may be minutes old.
    let mut names = Vec::new();
    for name in SECRETS {
        if documents.secret(app, name).await?.is_some() {
            names.push(name);
        }
    }
    if names.is_empty() && settings.is_none() {
        return Err(AppCommandError::Unknown(app.clone()));
    }
    let of = |service: ApnsService| settings.as_ref()?["sns"][service.setting()].as_str().map(str::to_owned);
    // One that was made by other hands may be shared.
    let end = format!("/{}", applications::name(deployment, app));
    let (own, others): (Vec<String>, Vec<String>) =
        ApnsService::ALL.into_iter().filter_map(of).partition(|arn| arn.ends_with(&end));
    let mut what = vec![format!("the documents {}", names.join(", "))];
    what.extend(settings.is_some().then(|| "the settings".to_owned()));
    what.extend(own.iter().map(|arn| format!("the platform application {arn}")));
    let what = what.join(", ");
    let mut stays =
        "Devices, counts and results stay until they are erased (docs/devices.md) or their time is over.".to_owned();
    for arn in others {
        stays.push_str(&format!(" The platform application {arn} stays: it was not made by `app add`."));
    }
    if !remove.yes {
        let stage = deployment.env.stage();
        return Ok(Told::all(format!(
            "This would remove of the app {app} in the stage {stage}: {what}.\n{stays}\nPass --yes to do it."
        )));
    }
    let mut gone: Vec<String> = Vec::new();
    let half = |gone: &[String], source: DocumentError| match gone {
        [] => AppCommandError::Document(source),
        gone => AppCommandError::HalfRemoved {
            app: app.clone(),
            gone: gone.join(", "),
            place: deployment.place.clone(),
            source,
        },
    };
    for name in names {
        documents.delete_secret(app, name).await.map_err(|error| half(&gone, error))?;
        gone.push(name.to_owned());
    }
    let mut troubles = Vec::new();
    for arn in own {
        match applications::delete(deployment, &arn).await {
            Ok(()) => gone.push(arn),
            Err(error) => troubles.push(causes(&error)),
        }
    }
    // The settings name what is to be removed still.
    if settings.is_some() && troubles.is_empty() {
        documents.delete_settings(app).await.map_err(|error| half(&gone, error))?;
        gone.push("settings".to_owned());
    }
    let mut text = format!(
        "Removed of {app}: {}.\nCalls end within five minutes. Secrets Manager keeps the documents for a week (restore-secret). {stays}",
        gone.join(", ")
    );
    if !troubles.is_empty() {
        text.push_str(&format!(
            "\nNOT REMOVED: {}. The settings stay, so that `app remove {app} --yes{}` does the rest.",
            troubles.join("; "),
            deployment.place
        ));
    }
    Ok(Told { text, is_complete: troubles.is_empty(), secrets_of: None })
}
