//! Taking a device out: because its app asked, or because its vendor says that the token is dead.

use aws_sdk_dynamodb::types::TransactWriteItem;

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
    /// Takes one of the client's devices out, with its token's row; `None` when the client has no such device. Another client's
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
            let update = self.remove_device(app, client, device, None)?;
            let mut actions = vec![TransactWriteItem::builder().update(update).build()];
            for (row, key) in self.own_rows(app, client, std::slice::from_ref(device)).await? {
                actions.push(self.delete_row(&row, client, &key, false)?);
            }
            match self.transact(actions).await? {
                Written::Done => return Ok(Some(device.clone())),
                Written::Refused(_) | Written::Busy => {}
            }
        }
        Err(RegistryError::Contended)
    }

    /// Takes out a device that a vendor called dead, unless it has another token now or was registered at `before` or since: then
    /// the vendor's answer was about something that is no more. Whether it was taken out.
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
            let update = self.remove_device(app, client, device, Some(before))?;
            let actions = vec![
                TransactWriteItem::builder().update(update.clone()).build(),
                self.delete_row(&row, client, &device.key, true)?,
            ];
            let mut written = self.transact(actions).await?;
            if written == Written::Refused(vec![1]) {
                // The row is another's: it stays, and this device goes.
                written = self.update_alone(&update).await?;
            }
            match written {
                Written::Done => return Ok(true),
                Written::Refused(_) => return Ok(false),
                Written::Busy => {}
            }
        }
        Err(RegistryError::Contended)
    }
}
