//! Who is calling: hook secrets, API keys, master and user credentials.

pub mod api_key;
pub mod basic;
pub mod hook;
pub mod jwt;
pub mod password;
pub mod tencent;
pub mod user;
