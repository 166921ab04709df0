//! Sends in flight of one environment: a bound for each channel, and a share of it for each app, so that a vendor that hangs for one
//! app leaves room for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pushbell::delivery::Channel;
use pushbell::id::AppId;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Of four sends in flight on a channel, one app may have three.
const SHARE: (usize, usize) = (3, 4);
/// Apps that are remembered before those without sends in flight are forgotten.
const MOST_APPS: usize = 1000;

/// The sends of a channel that may be in flight.
const fn most(channel: Channel) -> usize {
    match channel {
        // SNS speaks HTTP/1.1: each of them takes a connection of its own.
        Channel::Sns => 100,
        // Eight connections of a hundred streams.
        Channel::Fcm
        | Channel::Apns
        | Channel::Huawei
        | Channel::Xiaomi
        | Channel::Oppo
        | Channel::Vivo
        | Channel::Meizu
        | Channel::Honor => 800,
    }
}

/// Of every channel and app.
pub(crate) struct Shares {
    channels: [Semaphore; Channel::COUNT],
    apps: Mutex<HashMap<AppId, Arc<Share>>>,
}

/// One app's.
pub(crate) struct Share([Semaphore; Channel::COUNT]);

/// A send in flight, until it is dropped.
#[must_use]
pub(crate) struct InFlight<'a> {
    _of_app: Option<SemaphorePermit<'a>>,
    _of_channel: Option<SemaphorePermit<'a>>,
}

impl Shares {
    pub(crate) fn new() -> Self {
        Self { channels: Channel::every().map(|channel| Semaphore::new(most(channel))), apps: Mutex::default() }
    }

    /// The share of `app`.
    pub(crate) fn of(&self, app: &AppId) -> Arc<Share> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = apps.get(app) {
            return Arc::clone(share);
        }
        if apps.len() >= MOST_APPS {
            apps.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let share = Channel::every().map(|channel| Semaphore::new(most(channel) * SHARE.0 / SHARE.1));
        let share = Arc::new(Share(share));
        apps.insert(app.clone(), Arc::clone(&share));
        share
    }

    /// Waits for a place on `channel`: first within the app's share, so that who has used up his own stands in nobody's way.
    pub(crate) async fn place<'a>(&'a self, share: &'a Share, channel: Channel) -> InFlight<'a> {
        // The semaphores are never closed: they live as long as the process.
        let of_app = share.0[channel as usize].acquire().await.ok();
        let of_channel = self.channels[channel as usize].acquire().await.ok();
        InFlight { _of_app: of_app, _of_channel: of_channel }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn an_app_whose_sends_hang_leaves_a_quarter_to_the_others() {
        let shares = Shares::new();
        let (slow, quick) = (AppId::parse("slow").unwrap(), AppId::parse("quick").unwrap());
        let (slow, quick) = (shares.of(&slow), shares.of(&quick));
        let hanging: Vec<_> = (0..100).map_while(|_| at_once(shares.place(&slow, Channel::Sns))).collect();
        assert_eq!(hanging.len(), 75);
        let others: Vec<_> = (0..100).map_while(|_| at_once(shares.place(&quick, Channel::Sns))).collect();
        assert_eq!(others.len(), 25);
        assert!(at_once(shares.place(&quick, Channel::Fcm)).is_some(), "another channel has its own");
        drop(hanging);
        assert!(at_once(shares.place(&quick, Channel::Sns)).is_some());
    }

    #[test]
    fn an_app_s_share_is_one_however_often_it_is_asked_for() {
        let shares = Shares::new();
        let app = AppId::parse("demo").unwrap();
        assert!(Arc::ptr_eq(&shares.of(&app), &shares.of(&app)));
    }
}
