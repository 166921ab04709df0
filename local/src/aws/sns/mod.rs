//! SNS as far as mobile push needs it: platform applications, endpoints and the publish to an endpoint, and who is subscribed to a topic, in
//! the awsQuery protocol with its XML.
//! Source of the behaviour: the API reference of Amazon SNS and "Creating an Amazon SNS platform endpoint".

mod applications;
mod credentials;
mod endpoints;
mod publish;
mod topics;

use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use pushbell::time::Timestamp;
use rusqlite::OptionalExtension;
use serde_json::{Value, json};

use super::Refusal;
use super::query::{self, Form, element, entries_xml};
use super::sqs::{Outgoing, Queues};
use crate::phones::{Phones, Taken};
use crate::store::{Store, StoreError, random_id};
use crate::vendors::Apple;
use endpoints::Endpoint;
use topics::Topics;

/// The XML namespace of its answers.
pub(super) const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
/// Endpoints and applications on one page of a list.
const PAGE: usize = 100;
/// The application's attributes that name topics.
const DELIVERY_FAILURE: &str = "EventDeliveryFailure";
const ENDPOINT_UPDATED: &str = "EventEndpointUpdated";

fn reply(action: &str, result: &str) -> String {
    query::reply(NAMESPACE, action, result)
}

/// The platform applications and endpoints of a stack; clones share them.
#[derive(Clone)]
pub struct Sns {
    store: Store,
    phones: Phones,
    apple: Apple,
    subscribers: Arc<Mutex<Vec<Subscriber>>>,
    topics: Topics,
}

/// A queue that is subscribed to a topic, with raw message delivery.
#[derive(Clone)]
struct Subscriber {
    topic: String,
    queue: String,
    queues: Queues,
}

impl Sns {
    /// The applications and endpoints in this store; what is published arrives at these phones, if this Apple takes the credentials that an
    /// application was given.
    pub fn new(store: Store, phones: Phones, apple: Apple) -> Result<Self, StoreError> {
        store.prepare(endpoints::SCHEMA)?;
        store.prepare(credentials::SCHEMA)?;
        Ok(Self { store, phones, apple, subscribers: Arc::default(), topics: Topics::default() })
    }

    /// Makes a platform application unless it is there, and gives its ARN. `platform` is `APNS`, `APNS_SANDBOX`,
    /// `GCM` or another of SNS's names.
    pub fn ensure_application(&self, platform: &str, name: &str) -> Result<String, StoreError> {
        let arn = endpoints::application_arn(platform, name);
        self.store.write(|tx| endpoints::create_application(tx, &arn, &[]))?;
        Ok(arn)
    }

    /// Has an application tell this topic of failed deliveries and of endpoints that are changed.
    pub fn watch_application(&self, application_arn: &str, topic_arn: &str) -> Result<(), StoreError> {
        let attributes = [DELIVERY_FAILURE, ENDPOINT_UPDATED].map(|name| (name.to_owned(), topic_arn.to_owned()));
        self.store.write(|tx| endpoints::set_application(tx, application_arn, &attributes))?;
        Ok(())
    }

    /// Puts what a topic is told from now on on this queue.
    pub fn subscribe(&self, topic_arn: &str, queue: &str, queues: &Queues) {
        let subscriber = Subscriber { topic: topic_arn.to_owned(), queue: queue.to_owned(), queues: queues.clone() };
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(subscriber);
    }

    /// Tells the topic that the endpoint's application names for such events, if it names one.
    fn tell(&self, attribute: &str, endpoint: &Endpoint, mut event: Value) -> Result<(), StoreError> {
        let application = &endpoint.application;
        let attributes = self.store.read(|db| endpoints::application_attributes(db, application))?;
        let topic = attributes.into_iter().flatten().find(|(name, _)| name == attribute);
        let Some((_, topic)) = topic.filter(|(_, topic)| !topic.is_empty()) else { return Ok(()) };
        event["EndpointArn"] = json!(endpoint.arn);
        event["Resource"] = json!(application);
        event["Service"] = json!("SNS");
        let subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for Subscriber { queue, queues, .. } in subscribers.iter().filter(|subscriber| subscriber.topic == topic) {
            event["Time"] = json!(Timestamp::from_millis(queues.stamp_ms()).to_rfc3339());
            if let Err(error) = queues.send(queue, &Outgoing { body: event.to_string(), ..Outgoing::default() }) {
                tracing::warn!(queue, error = &error as &dyn std::error::Error, "a notification is lost");
            }
        }
        Ok(())
    }

    /// Switches an endpoint on or off, as SNS does by itself after the platform has refused its token. False when
    /// there is no such endpoint.
    pub fn set_enabled(&self, endpoint_arn: &str, enabled: bool) -> Result<bool, StoreError> {
        self.store.write(|tx| endpoints::set_enabled(tx, endpoint_arn, enabled))
    }

    /// How many endpoints an application has.
    pub fn endpoints(&self, application_arn: &str) -> Result<usize, StoreError> {
        self.store.read(|db| {
            let sql = "SELECT count(*) FROM sns_endpoints WHERE application = ?1";
            let count: i64 = db.query_row(sql, [application_arn], |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or_default())
        })
    }

    pub(super) fn call(&self, action: &str, form: &Form) -> Result<String, Refusal> {
        match action {
            "CreatePlatformApplication" => self.create_application(form),
            "ListPlatformApplications" => self.list_applications(form),
            "GetPlatformApplicationAttributes" => {
                let arn = form.need("PlatformApplicationArn")?;
                let attributes =
                    self.store.read(|db| endpoints::application_attributes(db, arn))?.ok_or_else(no_application)?;
                Ok(reply(action, &entries_xml("Attributes", &attributes)))
            }
            "SetPlatformApplicationAttributes" => self.set_application(form),
            "DeletePlatformApplication" => {
                let arn = form.need("PlatformApplicationArn")?;
                self.store.write(|tx| endpoints::delete_application(tx, arn))?;
                Ok(reply(action, ""))
            }
            "CreatePlatformEndpoint" => self.create_endpoint(form),
            "GetEndpointAttributes" => {
                let endpoint = self.endpoint(form.need("EndpointArn")?)?.ok_or_else(no_endpoint)?;
                let attributes = endpoint.attributes();
                Ok(reply(action, &entries_xml("Attributes", &attributes)))
            }
            "SetEndpointAttributes" => self.set_endpoint(form),
            "DeleteEndpoint" => {
                let arn = form.need("EndpointArn")?;
                self.store.write(|tx| tx.execute("DELETE FROM sns_endpoints WHERE arn = ?1", [arn]))?;
                Ok(reply(action, ""))
            }
            "ListEndpointsByPlatformApplication" => self.list_endpoints(form),
            "ListSubscriptionsByTopic" => self.list_subscriptions(form),
            "Publish" => self.publish(form),
            _ => Err(Refusal::sns(
                StatusCode::BAD_REQUEST,
                "InvalidAction",
                "The action or operation requested is invalid.",
            )),
        }
    }

    /// The token a call is about, for the faults.
    pub(super) fn token_of(&self, form: &Form) -> Option<String> {
        if let Some(token) = form.get("Token") {
            return Some(token.to_owned());
        }
        let arn = form.get("TargetArn").or_else(|| form.get("EndpointArn"))?;
        Some(self.endpoint(arn).ok()??.token)
    }

    /// Switches off the endpoint a call is about, for the faults.
    pub(super) fn disable_target(&self, form: &Form) {
        if let Some(arn) = form.get("TargetArn") {
            // A store that fails here fails the call itself too, which then answers.
            let _ = self.set_enabled(arn, false);
        }
    }

    fn endpoint(&self, arn: &str) -> Result<Option<Endpoint>, StoreError> {
        self.store.read(|db| endpoints::find(db, arn))
    }

    fn list_applications(&self, form: &Form) -> Result<String, Refusal> {
        let after = page_start(form)?;
        let rows = self.store.read(|db| endpoints::applications(db, after, PAGE + 1))?;
        let (members, next) = page(rows, "PlatformApplicationArn");
        let list = format!("<PlatformApplications>{members}</PlatformApplications>{next}");
        Ok(reply("ListPlatformApplications", &list))
    }

    fn list_endpoints(&self, form: &Form) -> Result<String, Refusal> {
        let arn = form.need("PlatformApplicationArn")?;
        let after = page_start(form)?;
        let rows = self.store.read(|db| {
            if endpoints::application_attributes(db, arn)?.is_none() {
                return Ok(None);
            }
            endpoints::of_application(db, arn, after, PAGE + 1).map(Some)
        })?;
        let (members, next) = page(rows.ok_or_else(no_application)?, "EndpointArn");
        let list = format!("<Endpoints>{members}</Endpoints>{next}");
        Ok(reply("ListEndpointsByPlatformApplication", &list))
    }

    fn create_endpoint(&self, form: &Form) -> Result<String, Refusal> {
        let application = form.need("PlatformApplicationArn")?;
        let token = form.need("Token")?;
        let attributes = form.entries("Attributes");
        let attribute = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let user_data = form.get("CustomUserData").or_else(|| attribute("CustomUserData"));
        check_user_data(user_data)?;
        check_token(application, token)?;
        let enabled = attribute("Enabled").map(|enabled| enabled.eq_ignore_ascii_case("true"));
        let created = self.store.write(|tx| {
            if endpoints::application_attributes(tx, application)?.is_none() {
                return Ok(None);
            }
            if let Some(there) = endpoints::by_token(tx, application, token)? {
                let same = enabled.is_none_or(|enabled| enabled == there.enabled)
                    && user_data.is_none_or(|data| data == there.user_data);
                return Ok(Some(if same { Ok(there.arn) } else { Err(there.arn) }));
            }
            let arn =
                endpoints::create(tx, application, token, user_data.unwrap_or_default(), enabled.unwrap_or(true))?;
            Ok(Some(Ok(arn)))
        })?;
        match created {
            None => Err(no_application()),
            Some(Ok(arn)) => Ok(reply("CreatePlatformEndpoint", &element("EndpointArn", &arn))),
            Some(Err(arn)) => Err(invalid(&format!(
                "Token Reason: Endpoint {arn} already exists with the same Token, but different attributes."
            ))),
        }
    }

    fn set_endpoint(&self, form: &Form) -> Result<String, Refusal> {
        let arn = form.need("EndpointArn")?;
        let mut endpoint = self.endpoint(arn)?.ok_or_else(no_endpoint)?;
        for (name, value) in form.entries("Attributes") {
            match name.as_str() {
                "Token" => {
                    check_token(&endpoint.application, &value)?;
                    let other = self.store.read(|db| endpoints::by_token(db, &endpoint.application, &value))?;
                    if let Some(other) = other.filter(|other| other.arn != endpoint.arn) {
                        return Err(invalid(&format!(
                            "Token Reason: Endpoint {} already exists with the same Token, but different attributes.",
                            other.arn
                        )));
                    }
                    endpoint.token = value;
                }
                "Enabled" => endpoint.enabled = value.eq_ignore_ascii_case("true"),
                "CustomUserData" => {
                    check_user_data(Some(&value))?;
                    endpoint.user_data = value;
                }
                _ => {
                    return Err(invalid("Attributes Reason: Invalid attribute name"));
                }
            }
        }
        self.store.write(|tx| endpoints::update(tx, &endpoint))?;
        self.tell(ENDPOINT_UPDATED, &endpoint, json!({ "EventType": "EndpointUpdated" }))?;
        Ok(reply("SetEndpointAttributes", ""))
    }

    fn publish(&self, form: &Form) -> Result<String, Refusal> {
        let message = form.need("Message")?;
        if message.len() > publish::MAX_ENVELOPE {
            return Err(invalid("Message too long"));
        }
        if form.get("TopicArn").is_some() || form.get("PhoneNumber").is_some() {
            return Err(Refusal::sns(StatusCode::NOT_FOUND, "NotFound", "Topic does not exist"));
        }
        let arn = form.need("TargetArn")?;
        let endpoint = self
            .endpoint(arn)?
            .ok_or_else(|| invalid("TargetArn Reason: No endpoint found for the target arn specified"))?;
        let live = self.store.read(|db| {
            db.query_row("SELECT enabled FROM sns_applications WHERE arn = ?1", [&endpoint.application], |row| {
                row.get::<_, bool>(0)
            })
            .optional()
        })?;
        if live == Some(false) {
            return Err(Refusal::sns(
                StatusCode::BAD_REQUEST,
                "PlatformApplicationDisabled",
                "Platform application is disabled",
            ));
        }
        // The message is looked at before the endpoint's state, as every bad request is.
        let push = publish::push(form, message, &endpoint)?;
        if !endpoint.enabled {
            return Err(Refusal::sns(StatusCode::BAD_REQUEST, "EndpointDisabled", "Endpoint is disabled"));
        }
        let message_id = random_id();
        if !self.is_let_in(&endpoint.application)? {
            // SNS has accepted by then, and hears of it when it goes to Apple. AWS's support of `PlatformApplicationDisabled`
            // (aws-sdk-java#1869): the push service rejects the application's credentials.
            self.disable_application(&endpoint.application)?;
            return Ok(reply("Publish", &element("MessageId", &message_id)));
        }
        // SNS accepts, delivers later, and switches the endpoint off when the platform says that the token is dead.
        if self.phones.accept(&push)? == Taken::Dead {
            self.set_enabled(arn, false)?;
            let failure = json!({
                "DeliveryAttempts": 1,
                "EventType": "DeliveryFailure",
                "FailureMessage": "Platform token associated with the endpoint is not valid",
                "FailureType": "InvalidPlatformToken",
                "MessageId": message_id,
            });
            self.tell(DELIVERY_FAILURE, &endpoint, failure)?;
            self.tell(ENDPOINT_UPDATED, &endpoint, json!({ "EventType": "EndpointUpdated" }))?;
        }
        Ok(reply("Publish", &element("MessageId", &message_id)))
    }
}

fn check_user_data(data: Option<&str>) -> Result<(), Refusal> {
    if data.is_some_and(|data| data.len() > 2048) {
        return Err(invalid("CustomUserData Reason: must be at most 2048 bytes long in UTF-8 encoding"));
    }
    Ok(())
}

fn check_token(application: &str, token: &str) -> Result<(), Refusal> {
    if token.is_empty() {
        return Err(invalid("Token Reason: cannot be empty"));
    }
    // SNS also wants an APNs token to be hexadecimal. Not so here: a demo is easier to read with names.
    if endpoints::is_apns(application) && token.len() > 400 {
        return Err(invalid("Token Reason: iOS device tokens must be no more than 400 hexadecimal characters"));
    }
    Ok(())
}

fn page_start(form: &Form) -> Result<i64, Refusal> {
    match form.get("NextToken") {
        None | Some("") => Ok(0),
        Some(token) => token.parse().map_err(|_| invalid("NextToken Reason: invalid token")),
    }
}

/// The members of a page, and the token of the next one where there is one. `rows` has one more than fits.
fn page(mut rows: Vec<endpoints::Listed>, arn_name: &str) -> (String, String) {
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let members: String = rows
        .iter()
        .map(|row| {
            let arn = element(arn_name, &row.arn);
            let attributes = entries_xml("Attributes", &row.attributes);
            format!("<member>{arn}{attributes}</member>")
        })
        .collect();
    let next = rows.last().filter(|_| more).map(|row| element("NextToken", &row.seq.to_string())).unwrap_or_default();
    (members, next)
}

fn invalid(reason: &str) -> Refusal {
    Refusal::sns(StatusCode::BAD_REQUEST, "InvalidParameter", &format!("Invalid parameter: {reason}"))
}

fn no_endpoint() -> Refusal {
    Refusal::sns(StatusCode::NOT_FOUND, "NotFound", "Endpoint does not exist")
}

fn no_application() -> Refusal {
    Refusal::sns(StatusCode::NOT_FOUND, "NotFound", "PlatformApplication does not exist")
}

impl From<StoreError> for Refusal {
    fn from(_: StoreError) -> Self {
        Self::sns(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "The local store failed.")
    }
}
