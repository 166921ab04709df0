//! The end of a stack, as its parts see it.

use tokio::sync::watch;

/// Ends everything that holds its [`Closing`]. Dropping it does the same.
#[derive(Debug)]
pub struct Closer(watch::Sender<bool>);

/// Waits for the end. Clones wait for the same one.
#[derive(Debug, Clone)]
pub struct Closing(watch::Receiver<bool>);

/// A pair that belongs together.
pub fn closer() -> (Closer, Closing) {
    let (sender, receiver) = watch::channel(false);
    (Closer(sender), Closing(receiver))
}

impl Closer {
    /// Says that this is the end.
    pub fn close(&self) {
        self.0.send_replace(true);
    }
}

impl Closing {
    /// Returns at the end, at once if it has come already.
    pub async fn closed(&mut self) {
        // An error means that the closer is gone, which is an end too.
        let _ = self.0.wait_for(|closed| *closed).await;
    }
}
