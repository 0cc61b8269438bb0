//! gzip for large answers to those who take it (RFC 9110 §12.5.3).

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{HeaderMap, header::ACCEPT_ENCODING};

use super::limit;

/// Whether an answer of this size may be sent compressed, so that it depends on the request's
/// `Accept-Encoding`.
pub fn is_worth_it(body: &Bytes) -> bool {
    body.len() >= limit::COMPRESS_BYTES_MIN
}

/// The body compressed, unless that does not make it smaller. A large one is compressed on a
/// thread that may take its time.
pub async fn gzip(body: Bytes) -> Option<Bytes> {
    let bytes = body.len();
    let packed = if bytes > limit::COMPRESS_AT_ONCE_BYTES_MAX {
        tokio::task::spawn_blocking(move || pack(&body)).await.ok()?
    } else {
        pack(&body)
    };
    packed.filter(|packed| packed.len() < bytes)
}

fn pack(body: &[u8]) -> Option<Bytes> {
    // the fastest level: JSON and metrics shrink tenfold already
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// Whether the client takes gzip, and does not like it less than nothing at all.
pub fn is_wanted(request: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    let lines = request.get_all(ACCEPT_ENCODING).iter();
    for coding in lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let place = match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "*" => &mut any,
            "identity" => &mut identity,
            _ => continue,
        };
        *place = Some(thousandths(weight));
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// A weight `q=0.123` in thousandths; 1 if absent, 0 if it is none.
fn thousandths(weight: &str) -> u16 {
    let weight = weight.trim();
    if weight.is_empty() {
        return 1_000;
    }
    let number = weight.strip_prefix(['q', 'Q']).map(str::trim_start);
    let number = number.and_then(|rest| rest.strip_prefix('=')).map(str::trim);
    let Some((whole, places)) = number.map(|text| text.split_once('.').unwrap_or((text, "")))
    else {
        return 0;
    };
    if places.len() > 3 || !places.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" => 1_000,
        "0" => format!("{places:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn weights_decide() {
        let wanted = |value: &'static str| {
            let headers =
                HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            is_wanted(&headers)
        };
        for yes in [
            "gzip",
            "br, GZIP",
            "x-gzip",
            "*",
            "gzip;q=0.001",
            "deflate, gzip;q=1.000, *;q=0",
            "gzip ; q = 0.5, identity;q=0.5",
        ] {
            assert!(wanted(yes), "{yes}");
        }
        for no in [
            "",
            "br",
            "identity",
            "gzip;q=0",
            "gzip;q=0.000",
            "*;q=0",
            "gzip;q=0, *",
            "gzip;q=0.5, identity",
            "gzip;q=2",
            "gzip;q=0.1234",
            "gzip;level=1",
        ] {
            assert!(!wanted(no), "{no}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn what_is_packed_unpacks() {
        for bytes in [limit::COMPRESS_BYTES_MIN, 2 * limit::COMPRESS_AT_ONCE_BYTES_MAX] {
            let body = Bytes::from("abcdefgh".repeat(bytes / 8));
            assert!(is_worth_it(&body));
            let packed = gzip(body.clone()).await.unwrap();
            let mut unpacked = Vec::new();
            GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, body);
        }
        assert_eq!(gzip(Bytes::from_static(b"short")).await, None);
    }
}
