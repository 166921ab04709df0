//! What a caller says to one vendor only. The field names are those of Lanying's push interface, section 7.2.

use serde::{Deserialize, Serialize};

/// The blocks of all vendors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vendors {
    /// APNs, directly or through SNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ios: Option<IosBlock>,
    /// Every Android vendor, where its own block says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub android: Option<AndroidBlock>,
    /// FCM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fcm: Option<VendorBlock>,
    /// Huawei Push Kit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huawei: Option<HuaweiBlock>,
    /// Xiaomi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xiaomi: Option<VendorBlock>,
    /// OPPO.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oppo: Option<VendorBlock>,
    /// vivo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vivo: Option<VivoBlock>,
    /// Meizu.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flyme: Option<VendorBlock>,
    /// Honor. Not in Lanying's interface; ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honor: Option<HuaweiBlock>,
}

/// For APNs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IosBlock {
    /// `aps.sound`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// `aps.content-available`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_available: Option<bool>,
    /// `aps.mutable-content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutable_content: Option<bool>,
    /// `aps.category`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// `aps.thread-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// `aps.alert.subtitle`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// Header `apns-collapse-id`, at most 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apns_collapse_id: Option<String>,
    /// The whole `aps` dictionary as the caller made it (Kinvey's `iOSAps`). It wins over everything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aps: Option<serde_json::Map<String, serde_json::Value>>,
    /// An alert of a body alone is a text (`"alert": "…"`), as older apps look for it, and no dictionary.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plain_alert: bool,
    /// What stands beside `aps` instead of the message's data (Kinvey's `iOSExtras`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Map<String, serde_json::Value>>,
}

/// For every Android vendor, where its own block says nothing.
pub type AndroidBlock = VendorBlock;

/// What all Android vendors understand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VendorBlock {
    /// Sound resource's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// Notification channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// What a tap does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click_action: Option<ClickAction>,
    /// The page that a tap opens, an intent URI; read with `click_action` `intent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Instead of the message's data (Kinvey's `androidPayload`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Map<String, serde_json::Value>>,
    /// Nothing is shown by the system: the app is handed the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_only: Option<DataOnly>,
}

/// A push that the app on the phone shows itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataOnly {
    /// The names under which the data has the message's body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<String>,
}

/// What a tap does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClickAction {
    /// Opens the page that `intent` names.
    Intent,
    /// Opens the app.
    OpenApp,
}

/// Huawei's and Honor's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HuaweiBlock {
    /// What all vendors understand.
    #[serde(flatten)]
    pub common: VendorBlock,
    /// The entry activity whose icon carries the badge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub badge_class: Option<String>,
}

/// vivo's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VivoBlock {
    /// What all vendors understand.
    #[serde(flatten)]
    pub common: VendorBlock,
    /// 0 production, 1 test users only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_mode: Option<i32>,
    /// 0 operational, 1 system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<i32>,
}
