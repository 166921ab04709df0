//! What stands in the address of a callback. Names are compared as they are written.

use super::Command;
use crate::call;

/// Why an address cannot be worked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It lacks a parameter.
    #[error("{0} is missing in the query")]
    Missing(&'static str),
    /// It has a parameter several times.
    #[error("{0} is more than once in the query")]
    Repeated(&'static str),
    /// A parameter is not UTF-8.
    #[error("{0} in the query is not UTF-8")]
    Unreadable(&'static str),
    /// Tencent sends JSON, and says so.
    #[error("contenttype in the query must be json")]
    ContentType,
}

/// The query of a callback's address.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a>(&'a str);

impl<'a> Address<'a> {
    /// `query` as it was sent.
    #[must_use]
    pub const fn new(query: &'a str) -> Self {
        Self(query)
    }

    fn get(self, name: &'static str) -> Result<Option<String>, AddressError> {
        let values = call::query_values(self.0, name).map_err(|_| AddressError::Unreadable(name))?;
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
            (_, Some(_)) => Err(AddressError::Repeated(name)),
        }
    }

    /// `SdkAppid`: Tencent's number of the app that calls.
    ///
    /// # Errors
    /// When it is missing, or there more than once.
    pub fn sdk_app_id(self) -> Result<String, AddressError> {
        self.get("SdkAppid")?.ok_or(AddressError::Missing("SdkAppid"))
    }

    /// `Sign` and `RequestTime`, as far as they are there.
    ///
    /// # Errors
    /// When one is there more than once.
    pub fn signature(self) -> Result<(Option<String>, Option<String>), AddressError> {
        Ok((self.get("Sign")?, self.get("RequestTime")?))
    }

    /// `CallbackCommand`; `None` for a callback that is not about pushes: an app has one address for all.
    ///
    /// # Errors
    /// When it is missing or there more than once, or the body is announced as something else than JSON.
    pub fn command(self) -> Result<Option<Command>, AddressError> {
        let name = self.get("CallbackCommand")?.ok_or(AddressError::Missing("CallbackCommand"))?;
        let Some(command) = Command::from_name(&name) else { return Ok(None) };
        match self.get("contenttype")? {
            Some(other) if !other.eq_ignore_ascii_case("json") => Err(AddressError::ContentType),
            Some(_) | None => Ok(Some(command)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_by_its_name_in_the_query() {
        let command = |query| Address::new(query).command();
        let page = "SdkAppid=1400000001&CallbackCommand=Push.OfflinePush&contenttype=json";
        assert_eq!(command(page), Ok(Some(Command::OfflinePush)));
        assert_eq!(command("CallbackCommand=Push.AllMemberPush"), Ok(Some(Command::AllMemberPush)));
        assert_eq!(command("CallbackCommand=Push%2EOfflinePush&contenttype=JSON"), Ok(Some(Command::OfflinePush)));
        assert_eq!(command("CallbackCommand=Alert.RequestOverLimit&contenttype=json"), Ok(None));
        assert_eq!(command("CallbackCommand=push.offlinepush"), Ok(None));
        assert_eq!(command("SdkAppid=1"), Err(AddressError::Missing("CallbackCommand")));
        assert_eq!(command("CallbackCommand="), Err(AddressError::Missing("CallbackCommand")));
        assert_eq!(command("CallbackCommand=%ff"), Err(AddressError::Unreadable("CallbackCommand")));
        assert_eq!(command("CallbackCommand=Push.OfflinePush&contenttype=xml"), Err(AddressError::ContentType));
        let twice = "CallbackCommand=Push.OfflinePush&CallbackCommand=Push.AllMemberPush";
        assert_eq!(command(twice), Err(AddressError::Repeated("CallbackCommand")));
    }

    #[test]
    fn an_app_is_named_once() {
        let named = |query| Address::new(query).sdk_app_id();
        assert_eq!(named("a=b&SdkAppid=1400000001").as_deref(), Ok("1400000001"));
        assert_eq!(named("sdkappid=1400000001"), Err(AddressError::Missing("SdkAppid")));
        assert_eq!(named("SdkAppid=1400000001&SdkAppid=1400000001"), Err(AddressError::Repeated("SdkAppid")));
    }
}
