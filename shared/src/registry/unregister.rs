//! Taking a device out: because its app asked, or because its vendor says that the token is dead.

use super::rows::token_row;
use super::transact::{TRIES, Written, after_refusal};
use super::{Registry, RegistryError};
use crate::delivery::Channel;
use crate::id::{AppId, ClientId, DeviceKey, Token};
use crate::recipient::Device;
use crate::time::Timestamp;

/// Which of a client's devices.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// The one with this key.
    Key(&'a DeviceKey),
    /// The one with this token.
    Token(Channel, &'a Token),
}

impl Registry {
    /// Takes one of the client's devices out, with its token's row and its members' rows; `None` when the client has no such device. Another client's
    /// device with that token stays. The SNS endpoint is the caller's to delete.
    ///
    /// # Errors
    /// When the tables do not answer, or others change the same client all the time.
    pub async fn unregister(
        &self,
        app: &AppId,
        client: &ClientId,
        which: Which<'_>,
    ) -> Result<Option<Device>, RegistryError> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                after_refusal(attempt).await;
            }
            let seen = self.seen(app, client).await?;
            let found = match which {
                Which::Key(key) => seen.device(key),
                Which::Token(channel, token) => {
                    let row = token_row(app, channel, token);
                    seen.devices.iter().find(|held| token_row(app, held.channel, &held.token) == row)
                }
            };
            let Some(device) = found else { return Ok(None) };
            match self.take_out(app, client, &seen, device).await? {
                Written::Done => return Ok(Some(device.clone())),
                Written::Refused(_) | Written::Busy => {}
            }
        }
        Err(RegistryError::Contended)
    }

    /// Takes out a device that a vendor called dead, unless it has another token now or was registered at `before` or since: then
    /// the vendor's answer was about something that is no more. Whether it was taken out. Two reads besides the transaction: tags are nowhere but
    /// in the item, and dead tokens are rare.
    ///
    /// `before` is when the request to the vendor was started, less the slack between clocks.
    ///
    /// # Errors
    /// When the tables do not answer, or others change the same client all the time.
    pub async fn remove_dead(
        &self,
        app: &AppId,
        client: &ClientId,
        device: &Device,
        before: Timestamp,
    ) -> Result<bool, RegistryError> {
        let row = token_row(app, device.channel, &device.token);
        for attempt in 0..TRIES {
            if attempt > 0 {
                after_refusal(attempt).await;
            }
            let seen = self.seen(app, client).await?;
            let same = |held: &&Device| token_row(app, held.channel, &held.token) == row && held.registered_at < before;
            let Some(held) = seen.device(&device.key).filter(same) else { return Ok(false) };
            match self.take_out(app, client, &seen, held).await? {
                Written::Done => return Ok(true),
                Written::Refused(_) | Written::Busy => {}
            }
        }
        Err(RegistryError::Contended)
    }
}
