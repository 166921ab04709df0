//! What the floor sends: the requests of `deliver`, recorded, so that only sending them is left to do.

use serde::{Deserialize, Serialize};

/// A run: what is sent in each invocation, the first one first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Script {
    /// Where DynamoDB listens, `127.0.0.1:4711`.
    pub(crate) dynamodb: String,
    /// The base URL of the fake FCM.
    pub(crate) fcm: String,
    /// By invocation.
    pub(crate) invocations: Vec<Invocation>,
}

/// What one invocation sends.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Invocation {
    /// The counts of its recipients, each signed.
    pub(crate) counts: Vec<Recorded>,
    /// What else goes to DynamoDB: result rows, after the sends.
    pub(crate) others: Vec<Recorded>,
    /// The sends.
    pub(crate) sends: Vec<Recorded>,
}

/// A request as it was sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recorded {
    /// Its path.
    pub(crate) path: String,
    /// Its headers, those of the connection left out.
    pub(crate) headers: Vec<(String, String)>,
    /// Its body, which is JSON everywhere.
    pub(crate) body: String,
}
