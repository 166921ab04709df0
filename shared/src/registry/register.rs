//! Registering a device.

use std::convert::Infallible;

use aws_sdk_dynamodb::types::TransactWriteItem;

use super::plan::{Change, Plan, plan};
use super::rows::{Owner, Seen, token_row};
use super::transact::{MOST_ACTIONS, TRIES, Written, after_refusal};
use super::{Registered, Registry, RegistryError};
use crate::id::{AppId, ClientId};
use crate::recipient::Device;

impl Registry {
    /// Registers `device` for `client`. Whoever had its token has it no more, the token that the device had is registered no more, and
    /// the oldest devices beyond 20 go; all of it at once or not at all. An endpoint that `device` brings is not looked at: the
    /// token's own is kept. Repeating the call changes nothing but the time.
    ///
    /// Only where that is more than one transaction takes (devices leave that have dozens of tags, and so has the one that comes) those
    /// that leave go first, each whole.
    ///
    /// # Errors
    /// When the tables do not answer, or others change the same token or client all the time.
    pub async fn register(&self, app: &AppId, client: &ClientId, device: Device) -> Result<Registered, RegistryError> {
        let device = Device { endpoint: None, ..device };
        let registered = self.register_if(app, client, device, |_, _| Ok::<_, Infallible>(())).await?;
        registered.map_err(|never| match never {})
    }

    /// Registers a device if that is `wanted`, given the token's owner and the client's item; if not, why not.
    pub(super) async fn register_if<No>(
        &self,
        app: &AppId,
        client: &ClientId,
        device: Device,
        mut wanted: impl FnMut(Option<&Owner>, &Seen) -> Result<(), No>,
    ) -> Result<Result<Registered, No>, RegistryError> {
        let row = token_row(app, device.channel, &device.token);
        let mut gone_before = Vec::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                after_refusal(attempt).await;
            }
            let (owner, mine) = futures_util::try_join!(self.owner(&row), self.seen(app, client))?;
            if let Err(no) = wanted(owner.as_ref(), &mine) {
                return Ok(Err(no));
            }
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
                    let actions =
                        self.move_token(app, client, &row, owner.as_ref(), &mine, theirs.as_ref(), &change).await?;
                    if actions.len() > MOST_ACTIONS {
                        let left = self.take_one_out(app, client, &mine, theirs.as_ref(), &change).await?;
                        gone_before.extend(left);
                        continue;
                    }
                    let written = self.transact(actions).await?;
                    (change, written)
                }
            };
            match written {
                Written::Done => {
                    let released = change.released.into_iter().chain(gone_before).collect();
                    return Ok(Ok(Registered { device: change.device, released }));
                }
                Written::Refused(_) | Written::Busy => {}
            }
        }
        Err(RegistryError::Contended)
    }

    /// One of the devices that are to leave goes on its own. It is answered once it is gone.
    async fn take_one_out(
        &self,
        app: &AppId,
        client: &ClientId,
        mine: &Seen,
        theirs: Option<&Seen>,
        change: &Change,
    ) -> Result<Option<Device>, RegistryError> {
        let (leaver, seen, device) = match (&change.taken, theirs) {
            (Some((other, held)), Some(theirs)) => (other, theirs, held),
            (Some(_) | None, _) => match leaving(change).next() {
                Some(device) => (client, mine, device),
                None => return Ok(None),
            },
        };
        let written = self.take_out(app, leaver, seen, device).await?;
        Ok((written == Written::Done).then(|| device.clone()))
    }

    #[expect(clippy::too_many_arguments, reason = "all that was read, and what follows from it")]
    async fn move_token(
        &self,
        app: &AppId,
        client: &ClientId,
        row: &str,
        owner: Option<&Owner>,
        mine: &Seen,
        theirs: Option<&Seen>,
        change: &Change,
    ) -> Result<Vec<TransactWriteItem>, RegistryError> {
        let device = &change.device;
        let mut actions = vec![
            self.put_row(row, owner, client, device)?,
            self.update_devices(app, client, mine, device, &leaving(change).collect::<Vec<_>>())?,
        ];
        // A device that has another token now is a member already, since then.
        for audience in mine.labels.audiences() {
            actions.push(self.join(app, &audience, client, device, device.registered_at)?);
        }
        for left in leaving(change) {
            actions.extend(self.leave_all(app, client, mine, &left.key)?);
        }
        if let (Some((other, held)), Some(theirs)) = (&change.taken, theirs) {
            let update = self.remove_device(app, other, theirs, &held.key)?;
            actions.push(TransactWriteItem::builder().update(update).build());
            actions.extend(self.leave_all(app, other, theirs, &held.key)?);
        }
        for (row, key) in self.own_rows(app, client, &change.dropped).await? {
            actions.push(self.delete_row(&row, client, &key)?);
        }
        Ok(actions)
    }
}

/// Devices of the client's own that go. One under the same key is overwritten, and a member still: an expression may name an attribute once.
fn leaving(change: &Change) -> impl Iterator<Item = &Device> {
    change.dropped.iter().chain(&change.twins).filter(|left| left.key != change.device.key)
}
