//! Routes of an HTTP API, and which of them a request takes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Why a route is not one that API Gateway takes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// The path does not begin with a slash.
    #[error("the route's path {0} does not begin with a slash")]
    Relative(String),
    /// `{name+}` stands elsewhere than at the end.
    #[error("a greedy parameter of {0} is not its last segment")]
    Greedy(String),
    /// A parameter without a name, or braces in the middle of a segment.
    #[error("{0} has a parameter without a name, or text around one")]
    Parameter(String),
}

/// A method and a path with parameters: `ANY /me/{proxy+}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    key: String,
    method: Option<String>,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
    Greedy(String),
}

impl Route {
    /// Reads a route as the template writes it. `ANY` is every method.
    pub fn parse(method: &str, path: &str) -> Result<Self, RouteError> {
        let below = path.strip_prefix('/').ok_or_else(|| RouteError::Relative(path.to_owned()))?;
        let mut segments = Vec::new();
        for segment in below.split('/').filter(|_| !below.is_empty()) {
            if segments.iter().any(|earlier| matches!(earlier, Segment::Greedy(_))) {
                return Err(RouteError::Greedy(path.to_owned()));
            }
            let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            segments.push(match inner.map(|name| (name.trim_end_matches('+'), name.ends_with('+'))) {
                Some(("", _)) => return Err(RouteError::Parameter(path.to_owned())),
                Some((name, true)) => Segment::Greedy(name.to_owned()),
                Some((name, false)) => Segment::Parameter(name.to_owned()),
                None if segment.contains(['{', '}']) => return Err(RouteError::Parameter(path.to_owned())),
                None => Segment::Literal(segment.to_owned()),
            });
        }
        let method = method.to_ascii_uppercase();
        Ok(Self { key: format!("{method} {path}"), method: (method != "ANY").then_some(method), segments })
    }

    /// The route key, as events and access logs carry it: `ANY /me/{proxy+}`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The parameters of a decoded path, if this route is for it.
    fn matches(&self, method: &str, path: &str) -> Option<BTreeMap<String, String>> {
        if self.method.as_deref().is_some_and(|own| own != method) {
            return None;
        }
        let mut parameters = BTreeMap::new();
        let mut rest = Some(path.strip_prefix('/')?).filter(|below| !below.is_empty());
        for segment in &self.segments {
            let remaining = rest?;
            let (head, tail) = remaining.split_once('/').map_or((remaining, None), |(head, tail)| (head, Some(tail)));
            match segment {
                Segment::Literal(text) if text == head => {}
                Segment::Literal(_) => return None,
                Segment::Parameter(_) if head.is_empty() => return None,
                Segment::Parameter(name) => {
                    parameters.insert(name.clone(), head.to_owned());
                }
                Segment::Greedy(_) if remaining.is_empty() => return None,
                Segment::Greedy(name) => {
                    parameters.insert(name.clone(), remaining.to_owned());
                    return Some(parameters);
                }
            }
            rest = tail;
        }
        rest.is_none().then_some(parameters)
    }

    /// Smaller is more specific: a full match before a greedy one, literal text before a parameter from the left, a
    /// method before `ANY` (API Gateway developer guide, "Routing API requests").
    fn rank(&self) -> (bool, Reverse<Vec<bool>>, bool) {
        let greedy = self.segments.iter().any(|segment| matches!(segment, Segment::Greedy(_)));
        let literal = self.segments.iter().map(|segment| matches!(segment, Segment::Literal(_))).collect();
        (greedy, Reverse(literal), self.method.is_none())
    }
}

/// All routes of an API, each with what it leads to.
#[derive(Debug, Clone)]
pub struct Router<T> {
    routes: Vec<(Route, T)>,
}

/// The route that a request takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Matched<'a, T> {
    /// The route.
    pub route: &'a Route,
    /// What it leads to.
    pub target: &'a T,
    /// Path parameters, decoded.
    pub parameters: BTreeMap<String, String>,
}

impl<T> Router<T> {
    /// Takes the routes in any order.
    pub fn new(mut routes: Vec<(Route, T)>) -> Self {
        routes.sort_by_key(|(route, _)| route.rank());
        Self { routes }
    }

    /// The most specific route for a method and a [decoded](decode) path.
    pub fn find(&self, method: &str, path: &str) -> Option<Matched<'_, T>> {
        self.routes.iter().find_map(|(route, target)| {
            route.matches(method, path).map(|parameters| Matched { route, target, parameters })
        })
    }
}

/// The path as an HTTP API sees it and hands it on: decoded as a whole before it is routed, and cut at a `?` that comes
/// out of the decoding (live captures published with the Go middleware `hotsock/voker`, pull request 8).
pub fn decode(path: &str) -> String {
    let mut decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
    if let Some(question) = decoded.find('?') {
        decoded.truncate(question);
    }
    decoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn router(paths: &[&str]) -> Router<()> {
        Router::new(
            paths
                .iter()
                .map(|path| {
                    let (method, path) = path.split_once(' ').unwrap();
                    (Route::parse(method, path).unwrap(), ())
                })
                .collect(),
        )
    }

    fn found(router: &Router<()>, method: &str, path: &str) -> Option<(String, Vec<(String, String)>)> {
        let matched = router.find(method, path)?;
        Some((matched.route.key().to_owned(), matched.parameters.into_iter().collect()))
    }

    #[test]
    fn a_full_match_goes_before_a_greedy_one_and_text_before_a_parameter() {
        let router = router(&["ANY /{proxy+}", "ANY /me/{proxy+}", "ANY /me/{id}", "ANY /me/mute", "POST /me/mute"]);
        assert_eq!(found(&router, "POST", "/me/mute").unwrap().0, "POST /me/mute");
        assert_eq!(found(&router, "GET", "/me/mute").unwrap().0, "ANY /me/mute");
        assert_eq!(found(&router, "GET", "/me/x").unwrap().0, "ANY /me/{id}");
        assert_eq!(
            found(&router, "GET", "/me/x/y").unwrap(),
            ("ANY /me/{proxy+}".into(), vec![("proxy".into(), "x/y".into())])
        );
        assert_eq!(found(&router, "GET", "/you").unwrap().0, "ANY /{proxy+}");
    }

    #[test]
    fn parameters_are_whole_segments_and_never_empty() {
        let router = router(&["ANY /hooks/{app}/{secret}/imkit", "ANY /me/{proxy+}"]);
        assert_eq!(
            found(&router, "POST", "/hooks/demo/s p/imkit").unwrap().1,
            [("app".to_owned(), "demo".to_owned()), ("secret".to_owned(), "s p".to_owned())]
        );
        for path in ["/hooks//s/imkit", "/hooks/demo/s/imkit/", "/hooks/demo/s", "/me/", "/me", "/", ""] {
            assert_eq!(found(&router, "POST", path), None, "{path}");
        }
    }

    #[test]
    fn the_root_is_a_route_like_any_other() {
        assert_eq!(found(&router(&["GET /"]), "GET", "/").unwrap().0, "GET /");
        assert_eq!(found(&router(&["GET /"]), "POST", "/"), None);
    }

    #[test]
    fn a_path_is_decoded_whole_and_cut_at_a_question_mark() {
        assert_eq!(decode("/a%20b/%E4%BD%A0"), "/a b/你");
        assert_eq!(decode("/a%2Fb"), "/a/b");
        assert_eq!(decode("/a%3Fb/c"), "/a");
        assert_eq!(decode("/a+b"), "/a+b");
    }

    #[test]
    fn a_route_that_api_gateway_would_refuse_is_refused() {
        assert_eq!(Route::parse("ANY", "me"), Err(RouteError::Relative("me".into())));
        assert_eq!(Route::parse("ANY", "/{a+}/b"), Err(RouteError::Greedy("/{a+}/b".into())));
        assert_eq!(Route::parse("ANY", "/x{a}"), Err(RouteError::Parameter("/x{a}".into())));
        assert_eq!(Route::parse("ANY", "/{}"), Err(RouteError::Parameter("/{}".into())));
    }
}
