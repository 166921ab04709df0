//! Which of the function's routes was matched: by API Gateway's route key, which says it whatever stage or domain a call came by.

/// The function's routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Register,
    Unregister,
    Devices,
    HookBadges,
    HookBadgesOf,
    Badges,
    BadgesOf,
    Me,
    MeBelow,
    Client,
    UserPush,
    UserPushSetting,
    UserAlias,
    UserTags,
    UserAllTags,
    UserBadge,
    UserRegister,
    UserBind,
    UserUnbind,
    UserDevices,
    UserRemove,
}

impl Route {
    pub(crate) const ALL: [(&'static str, Self); 21] = [
        ("/push/{appKey}/register-device", Self::Register),
        ("/push/{appKey}/unregister-device", Self::Unregister),
        ("/push/{appKey}/devices", Self::Devices),
        ("/hooks/{app}/{secret}/badges", Self::HookBadges),
        ("/hooks/{app}/{secret}/badges/{clientId}", Self::HookBadgesOf),
        ("/badges", Self::Badges),
        ("/badges/{clientId}", Self::BadgesOf),
        ("/me", Self::Me),
        ("/me/{proxy+}", Self::MeBelow),
        ("/clients/{id}", Self::Client),
        ("/user/push", Self::UserPush),
        ("/user/push/{setting}", Self::UserPushSetting),
        ("/user/push/alias", Self::UserAlias),
        ("/user/push/tag", Self::UserTags),
        ("/user/push/tag/all", Self::UserAllTags),
        ("/user/push/badge", Self::UserBadge),
        ("/user/register/push", Self::UserRegister),
        ("/user/token/bind", Self::UserBind),
        ("/user/token/unbind", Self::UserUnbind),
        ("/user/device/list", Self::UserDevices),
        ("/user/device/remove", Self::UserRemove),
    ];

    /// The route of a route key: a method or `ANY`, a space, the path as the template spells it.
    pub(crate) fn of(route_key: &str) -> Option<Self> {
        let (_, path) = route_key.split_once(' ')?;
        Self::ALL.into_iter().find(|(own, _)| *own == path).map(|(_, route)| route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_that_the_template_gives_this_function_is_known() {
        let template = include_str!("../../../template.yaml");
        let block = template.split("DevicesFunction:").nth(1).and_then(|rest| rest.split("DevicesLogs:").next());
        // `Properties: { …, Path: "/me/{proxy+}" }`, with or without quotes.
        let paths = block.unwrap_or_default().lines().filter_map(|line| line.split("Path: ").nth(1));
        let mut given: Vec<&str> =
            paths.filter_map(|rest| rest.strip_suffix(" }")).map(|path| path.trim_matches('"')).collect();
        given.sort_unstable();
        let mut known: Vec<&str> = Route::ALL.iter().map(|(path, _)| *path).collect();
        known.sort_unstable();
        assert_eq!(given, known);
    }

    #[test]
    fn another_route_is_none() {
        assert_eq!(Route::of("ANY /me"), Some(Route::Me));
        assert_eq!(Route::of("ANY /you"), None);
        assert_eq!(Route::of("$default"), None);
        assert_eq!(Route::of(""), None);
    }
}
