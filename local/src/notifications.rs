//! What SNS does with a topic's notifications: hands each to the functions that are subscribed, as asynchronous invocations.

use std::sync::Arc;

use bytes::Bytes;
use pushbell::time::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::asynchronous::Asynchronously;
use crate::aws::sns::Notification;
use crate::aws::sqs::Queues;
use crate::closing::Closing;
use crate::store::random_id;

/// A function that is subscribed to a topic.
#[derive(Clone)]
pub struct Subscriber {
    /// The topic's ARN.
    pub topic: String,
    /// How it is started.
    pub runs: Arc<Asynchronously>,
}

/// Hands on what comes until the stack closes. What is waiting for its next try then is lost, as nothing keeps it here.
pub async fn run(
    mut notifications: mpsc::UnboundedReceiver<Notification>,
    subscribers: Vec<Subscriber>,
    queues: Queues,
    mut closing: Closing,
) {
    let mut runs = JoinSet::new();
    loop {
        let notification = tokio::select! {
            biased;
            () = closing.closed() => return,
            Some(_) = runs.join_next() => continue,
            notification = notifications.recv() => notification,
        };
        let Some(notification) = notification else { return };
        let event = event(&notification, Timestamp::from_millis(queues.stamp_ms()));
        for subscriber in subscribers.iter().filter(|subscriber| subscriber.topic == notification.topic) {
            let (runs_of, event) = (Arc::clone(&subscriber.runs), event.clone());
            runs.spawn(async move { runs_of.run(event).await });
        }
    }
}

/// An event of SNS's as Lambda hands it over. The message's own time is when SNS tells of it.
fn event(notification: &Notification, now: Timestamp) -> Bytes {
    let mut message = notification.message.clone();
    message["Time"] = json!(now.to_rfc3339());
    json!({
        "Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": format!("{}:{}", notification.topic, random_id()),
            "Sns": {
                "Type": "Notification",
                "MessageId": random_id(),
                "TopicArn": notification.topic,
                "Subject": format!("{}: {}", message["EventType"].as_str().unwrap_or_default(), "platform endpoint"),
                "Message": message.to_string(),
                "Timestamp": now.to_rfc3339(),
                "SignatureVersion": "1",
                "Signature": "bG9jYWw=",
                "SigningCertUrl": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService.pem",
                "UnsubscribeUrl": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
                "MessageAttributes": {},
            },
        }],
    })
    .to_string()
    .into()
}
