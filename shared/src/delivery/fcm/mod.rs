//! FCM HTTP v1: one request per device, many in flight over HTTP/2.

pub(super) mod answer;
mod payload;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, header};

use super::http2::{Address, DEADLINE, Pool};
use super::oauth;
use super::{Class, Patch, Verdict};
use crate::app::{FcmVendor, Settings};
use crate::id::Token;
use crate::message::{Message, Wording};
use crate::time::Timestamp;

pub use payload::Prepared;

/// Accounts of one service account that are remembered: the key of now and some before it, or several projects.
const MOST_OF_ONE: usize = 4;
/// Service accounts that are remembered before the list starts over.
const MOST_ACCOUNTS: usize = 1000;

/// The road to FCM, of every app. One per environment: it holds the connections and the access tokens.
pub struct Fcm {
    pool: Arc<Pool>,
    /// By the service account's address.
    accounts: Mutex<HashMap<String, Vec<Arc<Account>>>>,
}

struct Account {
    vendor: FcmVendor,
    address: Address,
    oauth: oauth::Account,
    /// FCM has delivered for it: it is the project of this app's tokens.
    proven: AtomicBool,
}

impl Account {
    fn is_of(&self, vendor: &FcmVendor) -> bool {
        let (own, other) = (&self.vendor.service_account, &vendor.service_account);
        self.vendor.endpoint == vendor.endpoint
            && own.project_id == other.project_id
            && own.token_uri == other.token_uri
            && own.private_key.expose() == other.private_key.expose()
    }
}

impl Account {
    /// "The token is another project's" may as well mean that the account is: a wrong key file would cost an app all of its tokens. So it
    /// is believed of a token only after the account has delivered to another.
    fn judge(&self, verdict: Verdict) -> Verdict {
        if verdict.class == Class::Delivered {
            self.proven.store(true, Ordering::Relaxed);
        } else if verdict.code == answer::OTHER_PROJECT && !self.proven.load(Ordering::Relaxed) {
            return Verdict { class: Class::Misconfigured, ..verdict };
        }
        verdict
    }
}

impl Default for Fcm {
    fn default() -> Self {
        Self::new()
    }
}

impl Fcm {
    /// Without connections yet.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Arc::new(Pool::default()))
    }

    /// Over connections that others use too.
    #[must_use]
    pub fn over(pool: Arc<Pool>) -> Self {
        Self { pool, accounts: Mutex::new(HashMap::new()) }
    }

    /// Renders one wording of `message`, once for all who read it.
    #[must_use]
    pub fn prepare(message: &Message, wording: Wording, settings: &Settings) -> Prepared {
        Prepared::new(message, wording, settings)
    }

    /// Sends to one device. A refused access token is renewed once; refused again, it counts as misconfigured.
    pub async fn send(
        &self,
        vendor: &FcmVendor,
        prepared: &Prepared,
        token: &Token,
        patch: &Patch,
        now: Timestamp,
    ) -> Verdict {
        let Some(account) = self.account(vendor) else {
            return Verdict::new(Class::Misconfigured, "endpoint");
        };
        let Some(body) = prepared.body(token, patch, now) else {
            return Verdict::new(Class::BadMessage, "too_large");
        };
        let body = Bytes::from(body);
        let mut renewed = false;
        loop {
            let bearer = match account.oauth.bearer(&self.pool, now).await {
                Ok(bearer) => bearer,
                Err(error) => return error.verdict(),
            };
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (header::AUTHORIZATION, bearer.value().clone()),
            ];
            let verdict = match self.pool.post(&account.address, &headers, body.clone(), DEADLINE).await {
                Ok(answer) => account.judge(answer::verdict(&answer)),
                Err(error) => return error.verdict(),
            };
            if verdict.class != Class::Unauthorized {
                return verdict;
            }
            account.oauth.refused(&bearer, now);
            if renewed {
                return Verdict { class: Class::Misconfigured, ..verdict };
            }
            renewed = true;
        }
    }

    /// What is remembered of a vendor's account; `None` when its addresses are none.
    fn account(&self, vendor: &FcmVendor) -> Option<Arc<Account>> {
        let name = vendor.service_account.client_email.as_str();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = accounts.get(name).and_then(|list| list.iter().find(|known| known.is_of(vendor))) {
            return Some(Arc::clone(known));
        }
        let endpoint = vendor.endpoint.trim_end_matches('/');
        let project = &vendor.service_account.project_id;
        let address = Address::parse(&format!("{endpoint}/v1/projects/{project}/messages:send")).ok()?;
        let oauth = oauth::Account::new(vendor.service_account.clone());
        let account = Arc::new(Account { vendor: vendor.clone(), address, oauth, proven: AtomicBool::new(false) });
        if accounts.len() >= MOST_ACCOUNTS {
            accounts.clear();
        }
        let list = accounts.entry(name.to_owned()).or_default();
        list.truncate(MOST_OF_ONE - 1);
        list.insert(0, Arc::clone(&account));
        Some(account)
    }
}
