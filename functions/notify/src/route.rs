//! Which of the function's routes was matched: by API Gateway's route key, which says it whatever stage or domain a call came by.

/// The function's routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Notify,
    Cancel,
    Certificate,
    SendMessage,
    SendBroadcast,
    Event,
    PushToClients,
}

impl Route {
    pub(crate) const ALL: [(&'static str, Self); 7] = [
        ("/push/notify", Self::Notify),
        ("/push/task/cancel", Self::Cancel),
        ("/push/certificate", Self::Certificate),
        ("/push/{appKey}/sendMessage", Self::SendMessage),
        ("/push/{appKey}/sendBroadcast", Self::SendBroadcast),
        ("/push/{appKey}/events/{name}", Self::Event),
        ("/push/push2clients", Self::PushToClients),
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
        let block = template.split("NotifyFunction:").nth(1).and_then(|rest| rest.split("NotifyLogs:").next());
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
        assert_eq!(Route::of("ANY /push/notify"), Some(Route::Notify));
        assert_eq!(Route::of("ANY /push/notify/all"), None);
        assert_eq!(Route::of("$default"), None);
        assert_eq!(Route::of(""), None);
    }
}
