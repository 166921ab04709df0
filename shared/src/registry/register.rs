//! Registering a device.

use super::plan::{Change, Plan, plan};
use super::rows::{Owner, Seen, token_row};
use super::transact::{TRIES, Written, after_refusal};
use super::{Registered, Registry, RegistryError};
use crate::id::{AppId, ClientId};
use crate::recipient::Device;

impl Registry {
    /// Registers `device` for `client`. Whoever had its token has it no more, the token that the device had is registered no more, and
    /// the oldest devices beyond 20 go; all of it at once or not at all. An endpoint that `device` brings is not looked at: the
    /// token's own is kept. Repeating the call changes nothing but the time.
    ///
    /// # Errors
    /// When the tables do not answer, or others change the same token or client all the time.
    pub async fn register(&self, app: &AppId, client: &ClientId, device: Device) -> Result<Registered, RegistryError> {
        let device = Device { endpoint: None, ..device };
        let row = token_row(app, device.channel, &device.token);
        for attempt in 0..TRIES {
            if attempt > 0 {
                after_refusal(attempt).await;
            }
            let (owner, mine) = futures_util::try_join!(self.owner(&row), self.seen(app, client))?;
            let theirs = match &owner {
                Some(owner) if owner.client != *client => Some(self.seen(app, &owner.client).await?),
                Some(_) | None => None,
            };
            let (change, written) = match plan(app, client, device.clone(), owner.as_ref(), &mine, theirs.as_ref()) {
                Plan::Refresh(change) => {
                    // A plan to refresh was made from the device that is there.
                    let Some(seen) = mine.device(&change.device.key) else { continue };
                    let update = self.refresh_device(app, client, seen, &change.device)?;
                    let written = self.update_alone(&update).await?;
                    (change, written)
                }
                Plan::Move(change) => {
                    let written = self.move_token(app, client, &row, owner.as_ref(), &mine, &change).await?;
                    (change, written)
                }
            };
            match written {
                Written::Done => return Ok(Registered { device: change.device, released: change.released }),
                Written::Refused(_) | Written::Busy => {}
            }
        }
        Err(RegistryError::Contended)
    }

    async fn move_token(
        &self,
        app: &AppId,
        client: &ClientId,
        row: &str,
        owner: Option<&Owner>,
        mine: &Seen,
        change: &Change,
    ) -> Result<Written, RegistryError> {
        // A device under the same key is overwritten, not removed: an expression may name an attribute once.
        let leaving: Vec<&Device> =
            change.dropped.iter().chain(&change.twins).filter(|left| left.key != change.device.key).collect();
        let mut actions = vec![
            self.put_row(row, owner, client, &change.device)?,
            self.update_devices(app, client, mine, &change.device, &leaving)?,
        ];
        if let Some((other, held)) = &change.taken {
            let update = self.remove_device(app, other, held, None)?;
            actions.push(aws_sdk_dynamodb::types::TransactWriteItem::builder().update(update).build());
        }
        for (row, key) in self.own_rows(app, client, &change.dropped).await? {
            actions.push(self.delete_row(&row, client, &key, false)?);
        }
        self.transact(actions).await
    }
}
