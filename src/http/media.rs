//! What a request's headers say of its body.

use errsift_ops::batch::Format;
use hyper::{
    HeaderMap,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING},
};

use super::{coding::Coding, fault::Fault};

/// Checks that the headers announce a body that can be read: JSON, compressed in a way that is
/// understood, of an announced length or chunked. A missing `Content-Type` passes: the body will show.
pub fn check(headers: &HeaderMap) -> Result<Coding, Fault> {
    let is_json = |value: &HeaderValue| {
        // what nearly all send is known at sight
        value == "application/json" || value.to_str().is_ok_and(is_json)
    };
    if !headers.get_all(CONTENT_TYPE).iter().all(is_json) {
        return Err(Fault::ContentType);
    }
    transfer(headers)
}

/// As [`check`], of a batch: JSON, or lines of it, which are lines whatever the first one begins with.
pub fn check_batch(headers: &HeaderMap) -> Result<(Coding, Format), Fault> {
    let mut format = Format::Either;
    for value in headers.get_all(CONTENT_TYPE) {
        let value = value.to_str().map_err(|_| Fault::BatchContentType)?;
        if is_lines(value) {
            format = Format::Lines;
        } else if !is_json(value) {
            return Err(Fault::BatchContentType);
        }
    }
    Ok((transfer(headers)?, format))
}

fn transfer(headers: &HeaderMap) -> Result<Coding, Fault> {
    let coding = Coding::of(headers)?;
    // hyper reads any list that ends in chunked as chunks alone; a proxy in front may not
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = encodings.next().is_none_or(|value| {
        value.as_bytes().eq_ignore_ascii_case(b"chunked") && encodings.next().is_none()
    });
    if !chunked {
        return Err(Fault::TransferEncoding);
    }
    if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING) {
        Ok(coding)
    } else {
        Err(Fault::NoLength)
    }
}

/// Whether a media type (RFC 9110 §8.3.1) is JSON's or one with the suffix `+json`, and its
/// charset, if given, UTF-8.
fn is_json(media_type: &str) -> bool {
    let mut pieces = media_type.split(';');
    let kind = pieces.next().unwrap_or_default().trim();
    (kind.eq_ignore_ascii_case("application/json") || is_json_suffixed(kind))
        && pieces.all(is_utf8_if_charset)
}

/// Whether a media type is one of those that lines of JSON go by, in UTF-8.
fn is_lines(media_type: &str) -> bool {
    let mut pieces = media_type.split(';');
    let kind = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
    let names = [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
    ];
    names.contains(&kind.as_str()) && pieces.all(is_utf8_if_charset)
}

fn is_json_suffixed(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind.strip_prefix("application/")
        .and_then(|subtype| subtype.strip_suffix("+json"))
        .is_some_and(|name| !name.is_empty() && !name.contains([' ', '/', ',']))
}

fn is_utf8_if_charset(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return true;
    };
    !name.trim().eq_ignore_ascii_case("charset")
        || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_announced_once_and_alone() {
        let check = |encodings: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for encoding in encodings {
                headers
                    .append(TRANSFER_ENCODING, hyper::header::HeaderValue::from_static(encoding));
            }
            check(&headers)
        };
        assert_eq!(check(&["Chunked"]), Ok(Coding::Identity));
        for wrong in
            [&["gzip, chunked"][..], &["chunked, chunked"], &["chunked", "chunked"], &["identity"]]
        {
            assert_eq!(check(wrong), Err(Fault::TransferEncoding), "{wrong:?}");
        }
        assert_eq!(check(&[]), Err(Fault::NoLength));
    }

    #[test]
    fn json_goes_by_several_names() {
        for json in [
            "application/json",
            "Application/JSON ; Charset=\"UTF-8\"",
            "application/json;",
            "application/problem+json; profile=x; charset=utf-8",
            "application/vnd.api+JSON",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "",
            "text/json",
            "application/jsonx",
            "application/+json",
            "application/json; charset=latin1",
            "application/vnd.api+json; charset=utf-16",
            "application/json, text/plain",
            "text/plain; application/json",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }
}
