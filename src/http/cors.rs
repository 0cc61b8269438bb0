//! Browsers on other origins: which may ask, and the headers that tell them so (the Fetch
//! standard's CORS protocol, <https://fetch.spec.whatwg.org/#http-cors-protocol>).

use std::str::FromStr;

use hyper::{
    HeaderMap,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderValue, ORIGIN, VARY,
    },
};
use url::Url;

/// What a page may send beyond what any page may.
const REQUEST_HEADERS: &str =
    "Authorization, Content-Encoding, Content-Type, X-API-Key, X-Request-Id";

/// What a page may read beyond what any page may.
const ANSWER_HEADERS: &str = "X-Request-Id, Retry-After";

/// How long a browser may remember what it was told, in seconds; Chromium takes no more.
const MAX_AGE_S: &str = "7200";

/// One value of `--cors-origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// `*`
    Any,
    /// One, as browsers write it.
    Exactly(HeaderValue),
}

impl FromStr for AllowedOrigin {
    type Err = String;

    /// Takes what a browser would send, so that a value that can never match is refused.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let origin = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        origin
            .filter(|url| url.origin().ascii_serialization() == text && !text.contains('*'))
            .and_then(|_| HeaderValue::from_str(text).ok())
            .map(Self::Exactly)
            .ok_or_else(|| {
                "expected * or an origin such as https://app.example.com: lower case, no path, no \
                 default port"
                    .to_owned()
            })
    }
}

/// The origins whose pages may use the answers.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    any: bool,
    origins: Vec<HeaderValue>,
}

/// What one request's origin is told.
pub struct Grant {
    /// `Access-Control-Allow-Origin`; `None` for an origin that may not.
    origin: Option<HeaderValue>,
    /// Whether another origin would be told something else.
    varies: bool,
}

impl Cors {
    /// Allows `origins`; none means that nobody may.
    pub fn new(origins: &[AllowedOrigin]) -> Self {
        let any = origins.contains(&AllowedOrigin::Any);
        let origins = origins.iter().filter_map(|origin| match origin {
            AllowedOrigin::Any => None,
            AllowedOrigin::Exactly(origin) => Some(origin.clone()),
        });
        Self { any, origins: origins.collect() }
    }

    /// What to tell the sender of a request with these headers; `None` when no origin is allowed.
    pub fn grant(&self, request: &HeaderMap) -> Option<Grant> {
        if self.any {
            let asked = request.contains_key(ORIGIN);
            let origin = asked.then(|| HeaderValue::from_static("*"));
            return Some(Grant { origin, varies: false });
        }
        if self.origins.is_empty() {
            return None;
        }
        let mut sent = request.get_all(ORIGIN).iter();
        let origin = sent.next().filter(|origin| self.origins.contains(origin));
        Some(Grant { origin: origin.filter(|_| sent.next().is_none()).cloned(), varies: true })
    }
}

impl Grant {
    /// Writes it into an answer. `methods` are those of the path when a browser asks beforehand.
    pub fn write(self, answer: &mut HeaderMap, methods: Option<&'static str>) {
        if self.varies {
            answer.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = self.origin else { return };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let mut put = |name, value| answer.insert(name, HeaderValue::from_static(value));
        if let Some(methods) = methods {
            put(ACCESS_CONTROL_ALLOW_METHODS, methods);
            put(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            put(ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
        } else {
            put(ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        for right in [
            "*",
            "https://app.example.com",
            "http://localhost:3000",
            "https://xn--bcher-kva.example",
        ] {
            assert!(right.parse::<AllowedOrigin>().is_ok(), "{right}");
        }
        for wrong in [
            "",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://app.example.com:443",
            "https://*.example.com",
            "ftp://app.example.com",
            "file:///",
        ] {
            assert!(wrong.parse::<AllowedOrigin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_allowed_origins_are_told_anything() {
        let told = |allowed: &[&str], sent: &[&'static str]| {
            let allowed: Vec<_> = allowed.iter().map(|text| text.parse().unwrap()).collect();
            let mut request = HeaderMap::new();
            for origin in sent {
                request.append(ORIGIN, HeaderValue::from_static(origin));
            }
            let mut answer = HeaderMap::new();
            if let Some(grant) = Cors::new(&allowed).grant(&request) {
                grant.write(&mut answer, None);
            }
            let origin = answer.get(ACCESS_CONTROL_ALLOW_ORIGIN).cloned();
            (origin.map(|value| value.to_str().unwrap().to_owned()), answer.contains_key(VARY))
        };
        let a = "https://a.example";
        assert_eq!(told(&[], &[a]), (None, false));
        assert_eq!(told(&["*"], &[a]), (Some("*".to_owned()), false));
        assert_eq!(told(&["*"], &[]), (None, false));
        assert_eq!(told(&[a, "https://b.example"], &[a]), (Some(a.to_owned()), true));
        assert_eq!(told(&[a], &["https://c.example"]), (None, true));
        assert_eq!(told(&[a], &["https://a.example.evil"]), (None, true));
        assert_eq!(told(&[a], &[a, a]), (None, true));
        assert_eq!(told(&[a], &[]), (None, true));
    }
}
