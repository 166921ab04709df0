//! Signature version 4, of one kind of request: a POST to `/` with a JSON body.
//! Source: IAM user guide, "Signature Version 4 for API requests".

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use ring::{digest, hmac};

use crate::env::Environment;
use crate::time::Timestamp;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs for one service, in one region, with the process's own credentials.
pub(super) struct Signer {
    access_key: String,
    secret_key: String,
    token: Option<HeaderValue>,
    region: String,
    service: &'static str,
    host: String,
    day: Mutex<Option<Arc<Day>>>,
}

/// What is the same all day.
struct Day {
    date: String,
    key: hmac::Key,
}

/// The headers that say who asks, and when.
pub(super) struct Signed {
    pub(super) date: HeaderValue,
    pub(super) authorization: HeaderValue,
    pub(super) token: Option<HeaderValue>,
}

impl Signer {
    /// `None` when the session token can be in no header.
    pub(super) fn new(env: &Environment, service: &'static str, host: &str) -> Option<Self> {
        let (access_key, secret_key, token) = env.credentials();
        let token = match token {
            Some(token) => Some(HeaderValue::from_str(token).ok()?),
            None => None,
        };
        Some(Self {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            token,
            region: env.region().to_owned(),
            service,
            host: host.to_owned(),
            day: Mutex::new(None),
        })
    }

    /// Whom requests go to, as it is signed.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Signs a request to do `target` with `body`. `None` when a part of it can be in no header.
    pub(super) fn sign(&self, target: &str, content_type: &str, body: &[u8], now: Timestamp) -> Option<Signed> {
        let time = jiff::Timestamp::from_second(i64::try_from(now.as_secs()).ok()?).ok()?;
        let time = time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = self.day(time.get(..8)?);
        let (region, service) = (&self.region, self.service);
        let mut text = String::with_capacity(512);
        let mut names = String::from("content-type;host;x-amz-date;");
        let (host, token) = (&self.host, self.token.as_ref().and_then(|token| token.to_str().ok()));
        let _ = write!(text, "POST\n/\n\ncontent-type:{content_type}\nhost:{host}\nx-amz-date:{time}\n");
        if let Some(token) = token {
            let _ = writeln!(text, "x-amz-security-token:{token}");
            names.push_str("x-amz-security-token;");
        }
        names.push_str("x-amz-target");
        let _ = write!(text, "x-amz-target:{target}\n\n{names}\n");
        push_hex(&mut text, digest::digest(&digest::SHA256, body).as_ref());
        let asked = digest::digest(&digest::SHA256, text.as_bytes());
        text.clear();
        let _ = write!(text, "{ALGORITHM}\n{time}\n{}/{region}/{service}/aws4_request\n", day.date);
        push_hex(&mut text, asked.as_ref());
        let signature = hmac::sign(&day.key, text.as_bytes());
        text.clear();
        let _ = write!(
            text,
            "{ALGORITHM} Credential={}/{}/{region}/{service}/aws4_request, SignedHeaders={names}, Signature=",
            self.access_key, day.date
        );
        push_hex(&mut text, signature.as_ref());
        Some(Signed {
            date: HeaderValue::from_str(&time).ok()?,
            authorization: HeaderValue::from_str(&text).ok()?,
            token: self.token.clone(),
        })
    }

    /// The key of a day: four hashes that need not be made for each request.
    fn day(&self, date: &str) -> Arc<Day> {
        let mut held = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(day) = held.as_ref().filter(|day| day.date == date) {
            return Arc::clone(day);
        }
        let secret = format!("AWS4{}", self.secret_key);
        let parts = [date, &self.region, self.service, "aws4_request"];
        let key = parts.into_iter().fold(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        });
        let day = Arc::new(Day { date: date.to_owned(), key });
        *held = Some(Arc::clone(&day));
        day
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::SystemTime;

    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4;

    use super::*;

    fn environment(token: Option<&'static str>) -> Environment {
        Environment::from_lookup(move |name| match name {
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            "AWS_SESSION_TOKEN" => token.map(str::to_owned),
            "STAGE" => Some("test".to_owned()),
            _ => None,
        })
        .unwrap()
    }

    /// What AWS's own library makes of the same request.
    fn of_the_sdk(env: &Environment, body: &[u8], now: Timestamp) -> String {
        let (access_key, secret_key, token) = env.credentials();
        let credentials =
            aws_credential_types::Credentials::new(access_key, secret_key, token.map(str::to_owned), None, "test");
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(env.region())
            .name("dynamodb")
            .time(SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(now.as_millis()))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let headers =
            [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "DynamoDB_20120810.UpdateItem")];
        let url = "https://dynamodb.eu-west-1.amazonaws.com/";
        let request = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body)).unwrap();
        let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
        let mut signed = http::Request::post(url).body(()).unwrap();
        instructions.apply_to_request_http1x(&mut signed);
        signed.headers()["authorization"].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_signature_is_that_of_aws_s_own_library() {
        for token in [None, Some("FwoGZXIvYXdzEBYaD+/=session")] {
            let env = environment(token);
            let signer = Signer::new(&env, "dynamodb", "dynamodb.eu-west-1.amazonaws.com").unwrap();
            // The second is of another day.
            for (body, now) in [(&b"{}"[..], 1_767_225_600_123), (b"{\"a\":1}", 1_767_312_059_000)] {
                let now = Timestamp::from_millis(now);
                let own = signer.sign("DynamoDB_20120810.UpdateItem", "application/x-amz-json-1.0", body, now).unwrap();
                assert_eq!(own.authorization.to_str().unwrap(), of_the_sdk(&env, body, now));
                assert_eq!(own.token.is_some(), token.is_some());
            }
        }
    }
}
