//! One device: the road to it, the wait for a place on it, the send, and what its verdict asks for.

use std::time::{Duration, Instant};

use pushbell::app::FcmVendor;
use pushbell::delivery::breaker::Pass;
use pushbell::delivery::{Channel, Class, Patch, Verdict, fcm, sns};
use pushbell::id::ClientId;
use pushbell::message::Wording;
use pushbell::recipient::Device;
use pushbell::shutdown;
use pushbell::task::Reason;
use pushbell::telemetry::metrics::{self, Metric, Of};
use pushbell::time::Timestamp;

use crate::backoff::Wish;
use crate::chunk::Job;
use crate::content::Content;

/// How long one send may take, an access token and a second try with another included.
const SEND: Duration = Duration::from_secs(5);
/// How long before a send was started a device must have been registered for a vendor's "unregistered" to delete it: clocks differ.
const REGISTERED_BEFORE: Duration = Duration::from_secs(5);

/// What became of one device.
pub(crate) enum Sent {
    /// There is no channel to its vendor.
    NoChannel,
    /// The app has no credentials for the channel.
    NotSetUp,
    /// Not sent now, or not known to be.
    Later(Wish, Reason),
    /// The vendor's answer.
    Ended(Class),
}

/// The road to one device.
enum Road<'a> {
    Fcm(&'a FcmVendor),
    /// The platform application's ARN.
    Sns(&'a str),
}

impl Job<'_> {
    /// Sends to one device, and does what the verdict asks for at once: a dead token is deleted.
    pub(crate) async fn send(
        &self,
        content: &Content<'_>,
        client: &ClientId,
        device: &Device,
        patch: &Patch,
        wording: Wording,
    ) -> Sent {
        let road = match device.channel {
            Channel::Fcm => self.vendors.fcm.as_ref().map(Road::Fcm),
            Channel::Sns => self.settings.sns.application(device.sandbox).map(Road::Sns),
            Channel::Apns
            | Channel::Huawei
            | Channel::Xiaomi
            | Channel::Oppo
            | Channel::Vivo
            | Channel::Meizu
            | Channel::Honor => return Sent::NoChannel,
        };
        let app = &self.chunk.message.origin.app;
        let Some(road) = road else {
            // No metric: an app that has devices of a channel and was never set up for it would raise an alarm for ever.
            self.log(device, Class::Misconfigured, "no_credentials");
            return Sent::NotSetUp;
        };
        let _place = self.state.shares.place(&self.share, device.channel).await;
        let started = self.clock.now();
        if started >= self.expiry {
            return Sent::Later(Wish::default(), Reason::Over);
        }
        if self.is_late() {
            return Sent::Later(Wish::default(), Reason::NotBegun);
        }
        // After the wait for a place: what was learned meanwhile counts.
        let pass = self.breaker.pass(device.channel, started).await;
        if let Pass::Wait(until) = pass {
            metrics::count(Metric::BreakerPaused, Of::Channel(app, device.channel), 1);
            return Sent::Later(Wish::until(until), Reason::LeftAlone);
        }
        let exchange = async {
            match road {
                Road::Fcm(vendor) => {
                    (self.send_fcm(vendor, content.fcm(wording, &self.settings), device, patch).await, None)
                }
                // Boxed, like every call below: as many as this wait at once, and the state of an SDK call takes kilobytes.
                Road::Sns(application) => {
                    Box::pin(self.send_sns(application, content.sns(wording, &self.settings), device, patch)).await
                }
            }
        };
        let asked = Instant::now();
        let (verdict, endpoint) = tokio::select! {
            biased;
            ended = tokio::time::timeout(SEND, exchange) => {
                ended.unwrap_or((Verdict::new(Class::Retry { after: None }, "timeout"), None))
            }
            // It says nothing about the vendor. The phone shows the next try in its place, if this one came through.
            () = shutdown::calls_end() => return Sent::Later(Wish::default(), Reason::NotBegun),
        };
        metrics::sent(app, device.channel, verdict.class, Some(asked.elapsed()));
        self.breaker.tell(device.channel, pass, verdict.class, started, self.clock.now()).await;
        if let Some(endpoint) = endpoint {
            Box::pin(self.keep(client, device, &endpoint)).await;
        }
        if verdict.class != Class::Delivered {
            self.log(device, verdict.class, &verdict.code);
        }
        if verdict.class == Class::DeadToken {
            Box::pin(self.bury(client, device, started)).await;
        }
        Sent::Ended(verdict.class)
    }

    fn log(&self, device: &Device, class: Class, code: &str) {
        tracing::warn!(
            app = %self.chunk.message.origin.app,
            task = self.chunk.key.task.get(),
            channel = device.channel.as_str(),
            class = class.as_str(),
            code,
            "not delivered"
        );
    }

    /// Deletes a device whose token its vendor called dead in answer to a send that was started at `started`. What is not deleted now is
    /// found dead by the next send.
    async fn bury(&self, client: &ClientId, device: &Device, started: Timestamp) {
        let app = &self.chunk.message.origin.app;
        let before = started.minus(REGISTERED_BEFORE);
        match self.state.registry.remove_dead(app, client, device, before).await {
            Ok(false) => {}
            Ok(true) => {
                let application = self.settings.sns.application(device.sandbox);
                if let (Channel::Sns, Some(application), Some(endpoint)) =
                    (device.channel, application, &device.endpoint)
                    && let Err(error) = self.state.sns.endpoints().delete(application, endpoint).await
                {
                    tracing::warn!(app = %app, error = %error, "the endpoint of a dead token was not deleted");
                }
            }
            Err(error) => {
                tracing::warn!(app = %app, error = %error, metric = "dead_token_left", "a dead token was not deleted");
            }
        }
    }

    async fn send_fcm(&self, vendor: &FcmVendor, prepared: &fcm::Prepared, device: &Device, patch: &Patch) -> Verdict {
        self.state.fcm.send(vendor, prepared, &device.token, patch, self.clock.now()).await
    }

    /// The verdict, and an endpoint that was made on the way.
    async fn send_sns(
        &self,
        application: &str,
        prepared: &sns::Prepared,
        device: &Device,
        patch: &Patch,
    ) -> (Verdict, Option<String>) {
        let sent = self.state.sns.send(application, prepared, device, patch, self.clock.now()).await;
        (sent.verdict, sent.endpoint)
    }

    async fn keep(&self, client: &ClientId, device: &Device, endpoint: &str) {
        let app = &self.chunk.message.origin.app;
        let kept = self.state.recipients.set_endpoint(app, client, &device.key, &device.token, endpoint).await;
        if let Err(error) = kept {
            // The next send asks SNS for it again.
            tracing::warn!(app = %app, error = %error, "an endpoint was not kept");
        }
        let Some(application) = self.settings.sns.application(device.sandbox) else { return };
        if let Err(error) = self.state.registry.note_application(app, application).await {
            tracing::warn!(app = %app, error = %error, "a platform application was not noted");
        }
    }
}
