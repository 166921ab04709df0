//! Topics of other hands, as far as an operator asks who is subscribed to them.
//! Source: the API reference of Amazon SNS, `ListSubscriptionsByTopic`; a subscription that nobody has confirmed has a word in the place of
//! its ARN.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;

use super::{PAGE, Refusal, Sns, page_start, reply};
use crate::aws::query::{Form, element};
use crate::aws::{ACCOUNT, REGION};

/// The topics by ARN; clones share them.
#[derive(Clone, Default)]
pub(super) struct Topics(Arc<Mutex<BTreeMap<String, Vec<Mail>>>>);

/// A subscription by mail.
#[derive(Clone)]
struct Mail {
    address: String,
    is_confirmed: bool,
}

impl Sns {
    /// Makes a topic that nobody is subscribed to, unless it is there.
    pub fn ensure_topic(&self, topic_arn: &str) {
        self.topics.0.lock().unwrap_or_else(PoisonError::into_inner).entry(topic_arn.to_owned()).or_default();
    }

    /// Subscribes a mail's address to a topic. No mail is sent, neither to be confirmed nor with what the topic is told.
    pub fn subscribe_mail(&self, topic_arn: &str, address: &str, is_confirmed: bool) {
        let mail = Mail { address: address.to_owned(), is_confirmed };
        let mut topics = self.topics.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic_arn.to_owned()).or_default().push(mail);
    }

    pub(super) fn list_subscriptions(&self, form: &Form) -> Result<String, Refusal> {
        let topic = form.need("TopicArn")?;
        let start = usize::try_from(page_start(form)?).unwrap_or_default();
        let mails = self.topics.0.lock().unwrap_or_else(PoisonError::into_inner).get(topic).cloned();
        let queues = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of_queues = queues.iter().filter(|subscriber| subscriber.topic == topic).map(|subscriber| {
            ("sqs", format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}", queue = subscriber.queue), true)
        });
        let of_mails = mails.iter().flatten().map(|mail| ("email", mail.address.clone(), mail.is_confirmed));
        let all: Vec<_> = of_queues.chain(of_mails).collect();
        if mails.is_none() && all.is_empty() {
            return Err(Refusal::sns(StatusCode::NOT_FOUND, "NotFound", "Topic does not exist"));
        }
        let members = all.iter().enumerate().skip(start).take(PAGE).map(|(n, (protocol, endpoint, is_confirmed))| {
            let arn = match is_confirmed {
                true => format!("{topic}:00000000-0000-0000-0000-{n:012}"),
                false => "PendingConfirmation".to_owned(),
            };
            format!(
                "<member>{}{}{}{}{}</member>",
                element("TopicArn", topic),
                element("Protocol", protocol),
                element("SubscriptionArn", &arn),
                element("Owner", ACCOUNT),
                element("Endpoint", endpoint),
            )
        });
        let members: String = members.collect();
        let end = start.saturating_add(PAGE);
        let next = if end < all.len() { element("NextToken", &end.to_string()) } else { String::new() };
        Ok(reply("ListSubscriptionsByTopic", &format!("<Subscriptions>{members}</Subscriptions>{next}")))
    }
}
