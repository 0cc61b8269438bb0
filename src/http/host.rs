//! The `Host` field, which every request of HTTP/1.1 has exactly once (RFC 9112 §3.2).

use hyper::{HeaderMap, Version, header::HOST};

use super::fault::Fault;

/// Refuses a request without `Host` or with two, and a value that is no host: a proxy in front may
/// have taken another than we would.
pub fn check(version: Version, headers: &HeaderMap) -> Result<(), Fault> {
    let mut hosts = headers.get_all(HOST).iter();
    let right = match hosts.next() {
        None => version != Version::HTTP_11,
        Some(host) => {
            hosts.next().is_none() && host.as_bytes().iter().all(|&byte| is_of_host(byte))
        }
    };
    if right { Ok(()) } else { Err(Fault::Host) }
}

/// The characters of `uri-host [":" port]` (RFC 3986 §3.2.2).
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:%[]!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn there_is_one_and_it_is_a_host() {
        let check = |version, hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_static(host));
            }
            check(version, &headers).is_ok()
        };
        for right in ["", "x", "127.0.0.1:9002", "[::1]:80", "a_b.example"] {
            assert!(check(Version::HTTP_11, &[right]), "{right}");
        }
        for wrong in [&[][..], &["x", "x"], &["x/y"], &["user@x"], &["x y"]] {
            assert!(!check(Version::HTTP_11, wrong), "{wrong:?}");
        }
        assert!(check(Version::HTTP_10, &[]));
    }
}
