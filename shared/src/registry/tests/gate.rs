//! A gate before DynamoDB: calls are made in an order that a test gives, or until a test's crash.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::sync::Notify;

/// What comes after the last turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Everybody calls as they like.
    Free,
    /// Nobody calls any more.
    Crash,
}

/// Whose call is the next one.
#[derive(Debug)]
pub(super) struct Turns {
    order: Mutex<VecDeque<usize>>,
    then: Then,
    changed: Notify,
    crashed: Notify,
    /// One call at a time, so that the next one meets what the one before has left.
    one: tokio::sync::Mutex<()>,
}

impl Turns {
    pub(super) fn new(order: impl IntoIterator<Item = usize>, then: Then) -> Arc<Self> {
        let order = Mutex::new(order.into_iter().collect());
        Arc::new(Self {
            order,
            then,
            changed: Notify::new(),
            crashed: Notify::new(),
            one: tokio::sync::Mutex::default(),
        })
    }

    async fn turn(&self, who: usize) {
        loop {
            let changed = self.changed.notified();
            let next = {
                let mut order = self.order.lock().unwrap();
                order.pop_front_if(|next| *next == who).or_else(|| order.front().copied())
            };
            match next {
                Some(next) if next == who => return,
                Some(_) => changed.await,
                None if self.then == Then::Free => return,
                None => {
                    self.crashed.notify_one();
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// `who` makes no more calls: the others do not wait.
    pub(super) fn is_done(&self, who: usize) {
        self.order.lock().unwrap().retain(|next| *next != who);
        self.changed.notify_waiters();
    }

    pub(super) async fn crashed(&self) {
        self.crashed.notified().await;
    }
}

/// `client`, whose calls wait for their turns.
pub(super) fn gated(client: &Client, who: usize, turns: &Arc<Turns>) -> Client {
    let (inner, turns) = (client.config().http_client().unwrap(), turns.clone());
    let http = http_client_fn(move |settings, components| {
        let inner = inner.http_connector(settings, components);
        SharedHttpConnector::new(Gated { inner, who, turns: turns.clone() })
    });
    Client::from_conf(client.config().to_builder().http_client(http).build())
}

#[derive(Debug)]
struct Gated {
    inner: SharedHttpConnector,
    who: usize,
    turns: Arc<Turns>,
}

impl HttpConnector for Gated {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, who, turns) = (self.inner.clone(), self.who, self.turns.clone());
        HttpConnectorFuture::new(async move {
            turns.turn(who).await;
            let one = turns.one.lock().await;
            let answer = inner.call(request).await;
            drop(one);
            turns.changed.notify_waiters();
            answer
        })
    }
}
