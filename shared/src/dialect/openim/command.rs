//! The names of OpenIM's push hooks, by release, and what they tell.

use percent_encoding::percent_decode_str;

use crate::app::BeforePushStage;

/// A push hook by the name that its release gives it. Source: the constants of OpenIM's branches 2.3 to 3.8, and its public pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// 3.7 and later: phones that nobody reads on.
    BeforeOffline,
    /// 3.7 and later: live delivery in a single chat.
    BeforeOnline,
    /// 3.7 and later: live delivery in a group.
    BeforeGroupOnline,
    /// 2.3 to 3.6.
    Offline,
    /// 2.3 to 3.6.
    Online,
    /// 2.3 to 3.6.
    SuperGroupOnline,
    /// The public page, in no release that is known. An app's setting tells its stage.
    BeforePush,
    /// Older public pages.
    BeforeSuperGroupOnline,
}

/// When a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// After live delivery, for those whom it did not reach on a phone.
    Offline,
    /// Before live delivery over the socket, in a single chat.
    Online,
    /// Before live delivery over the socket, in a group. No recipients are named.
    GroupOnline,
}

impl Stage {
    /// The word in logs, metrics and the documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Online => "online",
            Self::GroupOnline => "group_online",
        }
    }

    /// Whether people wait for the answer at their screens. Only rules on content hold there, and nothing is delivered by us.
    #[must_use]
    pub const fn is_online(self) -> bool {
        match self {
            Self::Offline => false,
            Self::Online | Self::GroupOnline => true,
        }
    }
}

impl Command {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::BeforeOffline,
        Self::BeforeOnline,
        Self::BeforeGroupOnline,
        Self::Offline,
        Self::Online,
        Self::SuperGroupOnline,
        Self::BeforePush,
        Self::BeforeSuperGroupOnline,
    ];

    /// The name in the protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeOffline => "callbackBeforeOfflinePushCommand",
            Self::BeforeOnline => "callbackBeforeOnlinePushCommand",
            Self::BeforeGroupOnline => "callbackBeforeGroupOnlinePushCommand",
            Self::Offline => "callbackOfflinePushCommand",
            Self::Online => "callbackOnlinePushCommand",
            Self::SuperGroupOnline => "callbackSuperGroupOnlinePushCommand",
            Self::BeforePush => "callbackBeforePushCommand",
            Self::BeforeSuperGroupOnline => "callbackBeforeSuperGroupOnlinePushCommand",
        }
    }

    /// The hook that a call is for: the first of `names` that says something decides. They are that of the body, of the path, and of the
    /// query's `command` and `callbackCommand`, in this order. `None` for any other of OpenIM's webhooks, which all share one address
    /// since 3.7, and for a call without a name.
    #[must_use]
    pub fn find(names: [Option<&str>; 4]) -> Option<Self> {
        let name = names.into_iter().flatten().find(|name| !name.trim().is_empty())?;
        Self::parse(name)
    }

    /// The hook called `name`, which may be percent-encoded and have `?contenttype=json` behind it, as newer pages show the path.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = percent_decode_str(name.trim()).decode_utf8().ok()?;
        let name = name.split(['?', '&']).next().unwrap_or_default().trim_matches('/').trim();
        Self::ALL.into_iter().find(|command| command.name() == name)
    }

    /// When it is called.
    #[must_use]
    pub const fn stage(self, before_push: BeforePushStage) -> Stage {
        match self {
            Self::BeforeOffline | Self::Offline => Stage::Offline,
            Self::BeforeOnline | Self::Online => Stage::Online,
            Self::BeforeGroupOnline | Self::SuperGroupOnline | Self::BeforeSuperGroupOnline => Stage::GroupOnline,
            Self::BeforePush => match before_push {
                BeforePushStage::Offline => Stage::Offline,
                BeforePushStage::Online => Stage::Online,
            },
        }
    }

    /// Whether a denial is spelt for 3.7 and later (`actionCode` 0, `nextCode` 1). There `actionCode` 1 means "allow", and in the
    /// releases of the names without it, it means "deny".
    #[must_use]
    pub const fn has_before(self) -> bool {
        match self {
            Self::BeforeOffline
            | Self::BeforeOnline
            | Self::BeforeGroupOnline
            | Self::BeforePush
            | Self::BeforeSuperGroupOnline => true,
            Self::Offline | Self::Online | Self::SuperGroupOnline => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_tells_its_stage() {
        let stages: Vec<(&str, &str, bool)> = Command::ALL
            .into_iter()
            .filter(|command| Command::parse(command.name()) == Some(*command))
            .map(|command| (command.name(), command.stage(BeforePushStage::Offline).as_str(), command.has_before()))
            .collect();
        assert_eq!(
            stages,
            [
                ("callbackBeforeOfflinePushCommand", "offline", true),
                ("callbackBeforeOnlinePushCommand", "online", true),
                ("callbackBeforeGroupOnlinePushCommand", "group_online", true),
                ("callbackOfflinePushCommand", "offline", false),
                ("callbackOnlinePushCommand", "online", false),
                ("callbackSuperGroupOnlinePushCommand", "group_online", false),
                ("callbackBeforePushCommand", "offline", true),
                ("callbackBeforeSuperGroupOnlinePushCommand", "group_online", true),
            ]
        );
    }

    #[test]
    fn the_pages_name_has_the_stage_that_the_app_says() {
        assert_eq!(Command::BeforePush.stage(BeforePushStage::Online), Stage::Online);
        assert_eq!(Command::Offline.stage(BeforePushStage::Online), Stage::Offline);
    }

    #[test]
    fn the_bodys_name_wins_then_the_paths_then_the_querys() {
        let (body, path, query) =
            ("callbackOnlinePushCommand", "callbackOfflinePushCommand", "callbackBeforePushCommand");
        assert_eq!(Command::find([Some(body), Some(path), Some(query), None]), Some(Command::Online));
        assert_eq!(Command::find([None, Some(path), Some(query), None]), Some(Command::Offline));
        assert_eq!(Command::find([Some(""), Some(""), Some(query), None]), Some(Command::BeforePush));
        assert_eq!(Command::find([Some(""), Some(""), Some(" "), Some(query)]), Some(Command::BeforePush));
        assert_eq!(Command::find([None; 4]), None);
    }

    #[test]
    fn another_webhook_of_the_server_is_no_push_hook() {
        let other = "callbackBeforeSendSingleMsgCommand";
        assert_eq!(Command::parse(other), None);
        let names = [Some(other), Some("callbackOfflinePushCommand"), None, None];
        assert_eq!(Command::find(names), None, "the body's name wins");
    }

    #[test]
    fn a_name_may_be_encoded_and_have_a_query_behind_it() {
        for name in [
            "callbackBeforeOfflinePushCommand?contenttype=json",
            "callbackBeforeOfflinePushCommand%3Fcontenttype%3Djson",
            "callbackBeforeOfflinePush%43ommand",
            "/callbackBeforeOfflinePushCommand/",
        ] {
            assert_eq!(Command::parse(name), Some(Command::BeforeOffline), "{name}");
        }
        assert_eq!(Command::parse("callbackbeforeofflinepushcommand"), None);
        assert_eq!(Command::parse("%ff"), None);
    }
}
