//! Platform applications: made, changed, and switched off when Apple does not take what they come with.

use http::StatusCode;
use pushbell::time::Timestamp;

use super::super::query::{Form, element};
use super::credentials::{self, CREDENTIAL, Credentials, ENDS, PRINCIPAL, attribute};
use super::{Refusal, Sns, endpoints, invalid, no_application, reply};
use crate::store::StoreError;

impl Sns {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(u64::try_from(self.store.stamp()).unwrap_or_default())
    }

    pub(super) fn create_application(&self, form: &Form) -> Result<String, Refusal> {
        let name = form.need("Name")?;
        let platform = form.need("Platform")?;
        if !endpoints::PLATFORMS.contains(&platform) {
            return Err(invalid(&format!("Platform Reason: {platform} is not supported")));
        }
        let characters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.len() > 256 || !name.chars().all(characters) {
            return Err(invalid(
                "Name Reason: must be 1 to 256 characters of letters, numbers, underscores, hyphens and periods",
            ));
        }
        let mut attributes = form.entries("Attributes");
        if attributes.is_empty() {
            return Err(Refusal::sns(
                StatusCode::BAD_REQUEST,
                "ValidationError",
                "1 validation error detected: Value null at 'attributes' failed to satisfy constraint: Member must not be null",
            ));
        }
        let given = credentials::given(platform, &attributes, self.now())?;
        let needed = given.is_none() && platform.starts_with("APNS");
        if needed || attribute(&attributes, CREDENTIAL).is_none() {
            return Err(invalid("Attributes Reason: Platform credentials are invalid"));
        }
        add_end(&mut attributes, given.as_ref());
        let arn = endpoints::application_arn(platform, name);
        let made = self.store.write(|tx| {
            if let Some(there) = endpoints::application_attributes(tx, &arn)? {
                let kept = credentials::kept(tx, &arn)?;
                // One of the stack's own settings has none, and takes the first that it is given.
                let bare = given.is_some() && kept.is_none();
                let same = given.as_ref().zip(kept.as_ref()).is_none_or(|(given, kept)| given.same(kept));
                let shown = |name: &str| attribute(&there, name).unwrap_or_default();
                let secret = |name: &str| name == CREDENTIAL || name == PRINCIPAL;
                if !bare {
                    return Ok(same && attributes.iter().all(|(name, value)| secret(name) || shown(name) == value));
                }
            }
            endpoints::create_application(tx, &arn, &attributes)?;
            given.as_ref().map_or(Ok(()), |given| credentials::keep(tx, &arn, given))?;
            Ok(true)
        })?;
        if !made {
            // The API reference does not speak of it. The words are those for endpoints.
            return Err(invalid(&format!(
                "Attributes Reason: Platform application {arn} already exists with different attributes"
            )));
        }
        Ok(reply("CreatePlatformApplication", &element("PlatformApplicationArn", &arn)))
    }

    pub(super) fn set_application(&self, form: &Form) -> Result<String, Refusal> {
        let arn = form.need("PlatformApplicationArn")?;
        let mut attributes = form.entries("Attributes");
        let there = self.store.read(|db| endpoints::application_attributes(db, arn))?.ok_or_else(no_application)?;
        // New credentials may do with the team and the app that are there.
        let mut all = attributes.clone();
        all.extend(there);
        let given = credentials::given(endpoints::platform(arn), &all, self.now())?;
        add_end(&mut attributes, given.as_ref());
        self.store.write(|tx| {
            endpoints::set_application(tx, arn, &attributes)?;
            given.as_ref().map_or(Ok(()), |given| credentials::keep(tx, arn, given))
        })?;
        Ok(reply("SetPlatformApplicationAttributes", ""))
    }

    /// Gives an application that has no credentials these; such as cannot be used it goes on without.
    pub fn furnish(&self, application_arn: &str, mut attributes: Vec<(String, String)>) -> Result<(), StoreError> {
        let given = credentials::given(endpoints::platform(application_arn), &attributes, self.now());
        let Ok(Some(given)) = given else { return Ok(()) };
        add_end(&mut attributes, Some(&given));
        self.store.write(|tx| {
            if credentials::kept(tx, application_arn)?.is_none() {
                endpoints::set_application(tx, application_arn, &attributes)?;
                credentials::keep(tx, application_arn, &given)?;
            }
            Ok(())
        })
    }

    /// Whether Apple takes what the application comes with.
    pub(super) fn is_let_in(&self, application: &str) -> Result<bool, StoreError> {
        let Some(kept) = self.store.read(|db| credentials::kept(db, application))? else { return Ok(true) };
        let attributes = self.store.read(|db| endpoints::application_attributes(db, application))?;
        Ok(kept.taken(&self.apple, &attributes.unwrap_or_default(), self.now()))
    }

    pub(super) fn disable_application(&self, application: &str) -> Result<(), StoreError> {
        let off = [("Enabled".to_owned(), "false".to_owned())];
        self.store.write(|tx| endpoints::set_application(tx, application, &off))?;
        Ok(())
    }
}

/// A certificate's end is among what is shown; a signing key has none.
fn add_end(attributes: &mut Vec<(String, String)>, given: Option<&Credentials>) {
    if let Some(given) = given {
        attributes.retain(|(name, _)| name != ENDS);
        attributes.push((ENDS.to_owned(), given.ends.clone().unwrap_or_default()));
    }
}
