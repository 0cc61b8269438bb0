//! What is sent back: JSON in the predecessor's two shapes, or metrics as text.

use std::cell::RefCell;

use bytes::Bytes;
use errsift_ops::timestamp::Timestamp;
use http_body_util::{Either, Full};
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
        WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{coding, fault::Fault, held::Held, limit};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROMETHEUS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

/// One answer, before it is known whether the connection outlives it.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Not of an answer without a body.
    content_type: Option<HeaderValue>,
    /// `Allow` of a 405, `Retry-After` of a 503.
    advice: Option<(HeaderName, HeaderValue)>,
    /// Those of the path, in the answer to OPTIONS.
    pub methods: Option<&'static str>,
    /// Its body.
    pub body: Bytes,
    /// Whether that is compressed.
    pub packed: bool,
    /// The room that a large body takes until the client has it.
    pub room: Option<OwnedSemaphorePermit>,
}

/// What hyper writes: most answers at once, large ones piece by piece.
pub type AnswerBody = Either<Full<Bytes>, Held>;

#[derive(Serialize)]
struct SuccessBody<T> {
    success: bool,
    data: T,
    timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FaultBody<T> {
    success: bool,
    status_code: u16,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
    timestamp: String,
}

impl Answer {
    /// `data`, as of `at`.
    pub fn success(data: impl Serialize, at: Timestamp) -> Self {
        Self::ok(JSON, json(&SuccessBody { success: true, data, timestamp: at.to_string() }))
    }

    /// An event is stored.
    pub fn stored(at: Timestamp) -> Self {
        Self::ok(JSON, stored_body(at))
    }

    /// Metrics in Prometheus' text format.
    pub fn metrics(text: String) -> Self {
        Self::ok(PROMETHEUS_TEXT, text.into())
    }

    /// A document in JSON that is not enveloped.
    pub fn document(json: &'static str) -> Self {
        Self::ok(JSON, Bytes::from_static(json.as_bytes()))
    }

    /// Nothing but the methods of the path.
    pub fn options(methods: &'static str) -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            content_type: None,
            advice: Some((ALLOW, HeaderValue::from_static(methods))),
            methods: Some(methods),
            body: Bytes::new(),
            packed: false,
            room: None,
        }
    }

    /// What was wrong, as of `at`.
    pub fn fault(fault: &Fault, at: Timestamp) -> Self {
        let status = fault.status();
        let advice = match fault {
            Fault::Method(allowed) => Some((ALLOW, HeaderValue::from_static(allowed))),
            Fault::NoKey | Fault::UnknownKey => {
                Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Fault::ContentEncoding => {
                Some((ACCEPT_ENCODING, HeaderValue::from_static(coding::UNDERSTOOD)))
            }
            Fault::TooLong(_) => None,
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                Some((RETRY_AFTER, HeaderValue::from_static(limit::RETRY_AFTER_S)))
            }
            _ => None,
        };
        let body = json(&FaultBody {
            success: false,
            status_code: status.as_u16(),
            message: fault.to_string(),
            data: None::<()>,
            timestamp: at.to_string(),
        });
        let content_type = Some(JSON);
        Self { status, content_type, advice, methods: None, body, packed: false, room: None }
    }

    /// No event of a batch was taken; `data` says why.
    pub fn no_good_event(is_forbidden: bool, data: impl Serialize, at: Timestamp) -> Self {
        let status = if is_forbidden { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
        let body = json(&FaultBody {
            success: false,
            status_code: status.as_u16(),
            message: "events: none was taken".to_owned(),
            data: Some(data),
            timestamp: at.to_string(),
        });
        Self { status, ..Self::ok(JSON, body) }
    }

    fn ok(content_type: HeaderValue, body: Bytes) -> Self {
        let (status, content_type) = (StatusCode::OK, Some(content_type));
        Self { status, content_type, advice: None, methods: None, body, packed: false, room: None }
    }

    /// For hyper. `headers` are the request's: their map is used again, as hyper will use the
    /// answer's for the next request, so that a kept-alive connection makes no maps.
    pub fn into_response(self, mut headers: HeaderMap, close: bool) -> Response<AnswerBody> {
        headers.clear();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some((name, value)) = self.advice {
            headers.insert(name, value);
        }
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let mut response = Response::new(match self.room {
            Some(room) => Either::Right(Held::new(self.body, room)),
            None => Either::Left(Full::new(self.body)),
        });
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

thread_local! {
    /// The last millisecond's answer: under load many events are stored in one.
    static STORED: RefCell<(Option<Timestamp>, Bytes)> = const {
        RefCell::new((None, Bytes::new()))
    };
}

fn stored_body(at: Timestamp) -> Bytes {
    STORED.with_borrow_mut(|(made_at, body)| {
        if *made_at != Some(at) {
            *made_at = Some(at);
            *body = format!(
                r#"{{"success":true,"status":"queued","data":{{"status":"queued"}},"timestamp":"{at}"}}"#
            )
            .into();
        }
        body.clone()
    })
}

fn json(body: &impl Serialize) -> Bytes {
    // text, numbers and maps with text keys: none of it can fail
    serde_json::to_vec(body).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_700_000_000_123);

    #[test]
    fn the_answer_to_a_stored_event_is_the_predecessors() {
        let body = r#"{"success":true,"status":"queued","data":{"status":"queued"},"timestamp":"2023-11-14T22:13:20.123Z"}"#;
        assert_eq!(Answer::stored(AT).body, body);
        assert_eq!(Answer::stored(AT).body, body);
        let later = body.replace(".123Z", ".124Z");
        assert_eq!(Answer::stored(AT.plus_millis(1)).body, later);
    }

    #[test]
    fn faults_and_successes_have_their_shapes() {
        let fault = Answer::fault(&Fault::NoLength, AT);
        assert_eq!(
            fault.body,
            r#"{"success":false,"statusCode":411,"message":"Content-Length: required, unless Transfer-Encoding is chunked","timestamp":"2023-11-14T22:13:20.123Z"}"#
        );
        let success = Answer::success([1, 2], AT);
        assert_eq!(
            success.body,
            r#"{"success":true,"data":[1,2],"timestamp":"2023-11-14T22:13:20.123Z"}"#
        );
    }
}
