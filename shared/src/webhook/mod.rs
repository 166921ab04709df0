//! Posts to addresses that apps choose, signed after the Standard Webhooks convention (standardwebhooks.com).
//!
//! Whoever writes an app's settings names the address, so it is looked at like any input of a stranger: a name is looked up, every address
//! that it has must be one of the public internet, and the connection goes to just those. There is no proxy and no second look-up, and a
//! redirect is an answer like any other.

mod address;
mod post;
mod public;
mod signature;

pub use address::Address;
pub use post::{Answer, LIMIT, Letter, PostError, post};
pub use public::is_public;
pub use signature::{KeyError, SigningKey, signatures};
