//! Dialects: one module per protocol that Pushbell speaks. A protocol's JSON, envelope and error codes are known to its module and
//! to nothing else.

pub mod imkit;
pub mod kinvey;
pub mod lanying;
pub mod openim;
mod places;
pub mod recipients;
pub mod tencent;
mod timing;
