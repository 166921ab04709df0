//! Adopting a device that an older system knew: it is registered where nobody stands in its way.

use super::members::Audience;
use super::rows::{Owner, Seen, token_row};
use super::transact::Written;
use super::{Registry, RegistryError};
use crate::id::{AppId, ClientId};
use crate::recipient::{Device, MOST_DEVICES};

/// What became of a device that was to be adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// It is registered now.
    Now {
        /// Nothing was there of its client that [`Registry::adopt_unseen`] would have met with.
        unseen: bool,
    },
    /// It is there with the very time that it would get: from a call before, whose answer was lost.
    Before,
    /// Nothing was changed.
    Kept(Kept),
}

/// What a device stays out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// The client has this device with this token.
    SameDevice,
    /// The client has this device with another token.
    OtherToken,
    /// The token is another client's, or another device's of the same client.
    OtherOwner,
    /// The client has as many devices as may be.
    Full,
}

impl Registry {
    /// Registers a device that an older system knew, as [`Registry::register`], but takes nothing from anybody: where the token or the device
    /// is there already, or the client has as many devices as may be, nothing changes. An endpoint that `device` brings is kept with it.
    ///
    /// Whoever gives every device a time of its own, and the same one whenever the call is repeated, is told what was done before.
    ///
    /// # Errors
    /// As [`Registry::register`].
    pub async fn adopt(&self, app: &AppId, client: &ClientId, device: &Device) -> Result<Adopted, RegistryError> {
        let mut nothing = false;
        let free = |owner: Option<&Owner>, mine: &Seen| match found(app, client, device, owner, mine, 0) {
            Adopted::Now { unseen } => {
                nothing = unseen;
                Ok(())
            }
            other @ (Adopted::Before | Adopted::Kept(_)) => Err(other),
        };
        let registered = self.register_if(app, client, device.clone(), free).await?;
        Ok(registered.map_or_else(|other| other, |_| Adopted::Now { unseen: nothing }))
    }

    /// Adopts a device of somebody of whom nothing is expected to be there, and reads nothing for that. `false` says that something stood in
    /// the way, if only other work at the same time: [`Registry::adopt`] tells what. Its transaction is paid for all the same.
    ///
    /// # Errors
    /// When the tables do not answer.
    pub async fn adopt_unseen(&self, app: &AppId, client: &ClientId, device: &Device) -> Result<bool, RegistryError> {
        let (row, nothing) = (token_row(app, device.channel, &device.token), Seen::default());
        let actions = vec![
            self.put_row(&row, None, client, device)?,
            self.update_devices(app, client, &nothing, device, &[])?,
            self.join(app, &Audience::All, client, device, device.registered_at)?,
        ];
        Ok(self.transact(actions).await? == Written::Done)
    }

    /// What [`Registry::adopt`] would do by now, if the client had so many devices more. Reads only.
    ///
    /// # Errors
    /// When the tables do not answer.
    pub async fn would_adopt(
        &self,
        app: &AppId,
        client: &ClientId,
        device: &Device,
        more: usize,
    ) -> Result<Adopted, RegistryError> {
        let row = token_row(app, device.channel, &device.token);
        let (owner, mine) = futures_util::try_join!(self.owner(&row), self.seen(app, client))?;
        Ok(found(app, client, device, owner.as_ref(), &mine, more))
    }
}

/// What is to be done about a device, given its token's owner, the client's item, and how many devices the client has beside that.
fn found(app: &AppId, client: &ClientId, device: &Device, owner: Option<&Owner>, mine: &Seen, more: usize) -> Adopted {
    let has_token =
        |held: &Device| token_row(app, held.channel, &held.token) == token_row(app, device.channel, &device.token);
    match (owner, mine.device(&device.key)) {
        (Some(owner), _) if !owner.is(client, &device.key) => Adopted::Kept(Kept::OtherOwner),
        (Some(_), Some(held)) if has_token(held) && held.registered_at == device.registered_at => Adopted::Before,
        (_, Some(held)) if has_token(held) => Adopted::Kept(Kept::SameDevice),
        (_, Some(_)) => Adopted::Kept(Kept::OtherToken),
        // Read between two steps of others: the token has come and the device has gone.
        (Some(_), None) => Adopted::Kept(Kept::OtherOwner),
        (None, None) if mine.devices.len() + more >= MOST_DEVICES => Adopted::Kept(Kept::Full),
        (None, None) => Adopted::Now { unseen: mine.generation.is_none() },
    }
}
