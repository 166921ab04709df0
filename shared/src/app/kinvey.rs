//! Settings of Kinvey's push module.

use serde::Deserialize;

/// Kinvey's push module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KinveySettings {
    /// Whether `{{name}}` in a message is a place to be filled. A call may say otherwise.
    pub templates: bool,
    /// What a plain text is on Android.
    pub android: KinveyAndroid,
    /// Whether the push tokens in the users' documents are registered by a send.
    pub import_tokens: bool,
}

impl Default for KinveySettings {
    fn default() -> Self {
        Self { templates: true, android: KinveyAndroid::default(), import_tokens: false }
    }
}

/// What a plain text is on Android.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KinveyAndroid {
    /// Data, as Kinvey's own servers send it: the app shows it.
    #[default]
    Data,
    /// A notification that the system shows.
    Notification,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_are_templates_and_android_s_are_data_unless_the_app_says_otherwise() {
        let settings = |text: &str| serde_json::from_str::<KinveySettings>(text).unwrap();
        assert_eq!(settings("{}"), KinveySettings::default());
        assert_eq!((settings("{}").templates, settings("{}").android), (true, KinveyAndroid::Data));
        let own = settings(r#"{"templates": false, "android": "notification", "import_tokens": true}"#);
        let expected = KinveySettings { templates: false, android: KinveyAndroid::Notification, import_tokens: true };
        assert_eq!(own, expected);
        assert!(serde_json::from_str::<KinveySettings>(r#"{"android": "both"}"#).is_err());
    }
}
