//! How Tencent's callbacks are taken.

use serde::Deserialize;

/// How Tencent's callbacks are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TencentSettings {
    /// `SdkAppid`: the app's number at Tencent. Without it no callback is taken.
    pub sdk_app_id: Option<u64>,
}
