//! API keys of IMKIT's form, `<app>.<random>`.

use crate::app::{Callers, any_matches};
use crate::id::AppId;
use crate::time::Timestamp;

/// The app that a key says it is for. It is what stands before the **last** dot: an app's name may hold dots, so the random part holds
/// none.
#[must_use]
pub fn app(key: &str) -> Option<AppId> {
    let (app, random) = key.rsplit_once('.')?;
    if random.is_empty() { None } else { AppId::parse(app).ok() }
}

/// Whether the whole key is one of the app's, in time that depends on the lengths only.
#[must_use]
pub fn is_valid(callers: &Callers, key: &str, now: Timestamp) -> bool {
    any_matches(&callers.api_keys, key, now)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_app_stands_before_the_last_dot() {
        assert_eq!(app("demo.demo-api-key").unwrap().as_str(), "demo");
        assert_eq!(app("com.example.chat.r4nd0m").unwrap().as_str(), "com.example.chat");
        assert_eq!(app("demo"), None);
        assert_eq!(app("demo."), None);
        assert_eq!(app(".random"), None);
        assert_eq!(app("a/b.random"), None);
    }

    #[test]
    fn the_whole_key_is_compared() {
        let callers: Callers = serde_json::from_str(r#"{"api_keys": ["demo.right"]}"#).unwrap();
        let now = Timestamp::from_millis(1);
        assert!(is_valid(&callers, "demo.right", now));
        assert!(!is_valid(&callers, "demo.wrong", now));
        assert!(!is_valid(&callers, "right", now));
        assert!(!is_valid(&Callers::default(), "demo.right", now));
    }
}
