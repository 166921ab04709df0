//! What the template's roles allow each function, kept as IAM keeps it: a call that no statement allows is denied.
//!
//! A function signs with its package's name as access key. Whoever signs with another one may do everything: tests,
//! benchmarks and operators are not in the template.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Action and resource, both as IAM names them: `dynamodb:GetItem`, `arn:aws:dynamodb:...`.
pub(crate) type Call = (String, String);

/// A statement that allows every action of the first list on every resource that a pattern of the second one fits.
pub(crate) type Statement = (Vec<String>, Vec<String>);

/// The statements of every function; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Permissions(Arc<BTreeMap<String, Vec<Statement>>>);

impl Permissions {
    /// By access key. With no key at all everything is allowed to everybody.
    pub(crate) fn new(statements: BTreeMap<String, Vec<Statement>>) -> Self {
        Self(Arc::new(statements))
    }

    /// The first of the calls that whoever signed the request may not make. `calls` is not asked for when the caller
    /// may do everything.
    pub(crate) fn denied(&self, headers: &HeaderMap, calls: impl FnOnce() -> Vec<Call>) -> Option<Call> {
        let caller = caller(headers)?;
        let statements = self.0.get(caller)?;
        let denied = calls().into_iter().find(|(action, resource)| {
            !statements.iter().any(|(actions, patterns)| {
                actions.contains(action) && patterns.iter().any(|pattern| fits(pattern.as_bytes(), resource.as_bytes()))
            })
        })?;
        tracing::warn!(function = caller, action = denied.0, resource = denied.1, "the template's role denies a call");
        Some(denied)
    }
}

/// The access key that signed a request: `AWS4-HMAC-SHA256 Credential=<key>/20261120/us-east-1/sqs/aws4_request, ...`
pub(crate) fn caller(headers: &HeaderMap) -> Option<&str> {
    let (_, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once("Credential=")?;
    credential.split('/').next()
}

/// The service that a request was signed for.
pub(crate) fn service(headers: &HeaderMap) -> Option<&str> {
    let (_, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once("Credential=")?;
    credential.split('/').nth(3)
}

/// IAM's patterns: `*` is any text, `?` one character.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => fits(rest, text),
        (Some((b'*', rest)), Some((_, shorter))) => fits(rest, text) || fits(pattern, shorter),
        (Some((b'?', rest)), Some((_, shorter))) => fits(rest, shorter),
        (Some((wanted, rest)), Some((found, shorter))) => wanted == found && fits(rest, shorter),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn permissions() -> Permissions {
        let statement = |action: &str, pattern: &str| (vec![action.to_owned()], vec![pattern.to_owned()]);
        Permissions::new(BTreeMap::from([(
            "deliver".to_owned(),
            vec![statement("sqs:SendMessage", "arn:q"), statement("sns:Publish", "arn:endpoint/APNS/*")],
        )]))
    }

    fn denied(caller: &str, action: &str, resource: &str) -> bool {
        let mut headers = HeaderMap::new();
        let signed = format!("AWS4-HMAC-SHA256 Credential={caller}/20261120/us-east-1/sqs/aws4_request, Signature=0");
        headers.insert(AUTHORIZATION, signed.parse().unwrap());
        permissions().denied(&headers, || vec![(action.to_owned(), resource.to_owned())]).is_some()
    }

    #[test]
    fn what_no_statement_allows_is_denied() {
        assert!(!denied("deliver", "sqs:SendMessage", "arn:q"));
        assert!(denied("deliver", "sqs:SendMessage", "arn:other"));
        assert!(denied("deliver", "sqs:DeleteMessage", "arn:q"));
        assert!(!denied("deliver", "sns:Publish", "arn:endpoint/APNS/demo/1"));
        assert!(denied("deliver", "sns:Publish", "arn:endpoint/GCM/demo/1"));
    }

    #[test]
    fn one_denied_call_of_several_denies_the_request() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, "AWS4-HMAC-SHA256 Credential=deliver/x".parse().unwrap());
        let call = |resource: &str| ("sqs:SendMessage".to_owned(), resource.to_owned());
        let first = permissions().denied(&headers, || vec![call("arn:q"), call("arn:other")]);
        assert_eq!(first, Some(call("arn:other")));
    }

    #[test]
    fn whoever_is_not_a_function_may_do_everything() {
        assert!(!denied("local", "sqs:DeleteQueue", "arn:q"));
        assert_eq!(permissions().denied(&HeaderMap::new(), || vec![Call::default()]), None);
    }

    #[test]
    fn a_pattern_fits_as_iam_says() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*/callers-??????", "x/y/callers-aB3dEf", true),
            ("*/callers-??????", "x/callers-aB3dEfg", false),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
