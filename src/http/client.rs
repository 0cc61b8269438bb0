//! Whose request it is: the peer, or whom a trusted proxy names.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use hyper::{
    HeaderMap,
    header::{FORWARDED, HeaderValue},
};
use ipnet::IpNet;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// One value of `--trusted-proxy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxy(IpNet);

impl FromStr for TrustedProxy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let one = text.parse().map(|address: IpAddr| IpNet::from(address.to_canonical()));
        one.or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| "expected an address or a network such as 10.0.0.0/8 or fd00::/8")
    }
}

/// The proxies whose word on the client's address counts.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Trusts `proxies`.
    pub fn new(proxies: &[TrustedProxy]) -> Self {
        Self(proxies.iter().map(|proxy| proxy.0).collect())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client's address. Each proxy adds whom it was asked by at the right; what stands left
    /// of the last one that is not trusted may be made up. `X-Forwarded-For` counts before
    /// `Forwarded` (RFC 7239).
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let mut hops = hops(headers, X_FORWARDED_FOR, address);
        if hops.is_empty() {
            hops = self::hops(headers, FORWARDED.as_str(), forwarded_for);
        }
        for hop in hops.into_iter().rev() {
            let Some(address) = hop else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// What `read` makes of each element of a header that is a list, over all its lines.
fn hops(headers: &HeaderMap, name: &str, read: fn(&str) -> Option<IpAddr>) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all(name).iter();
    let lines = lines.map(|line: &HeaderValue| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(|hop| read(hop.trim())).collect()
}

/// `for=` of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(node.trim_matches('"'))
}

/// An address, with or without brackets and port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[(&'static str, &str)]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::1", "127.0.0.1"].map(|text| text.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Proxies::new(&trusted).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let claims = [("x-forwarded-for", "1.1.1.1")];
        assert_eq!(client("9.9.9.9", &claims), "9.9.9.9");
        assert_eq!(client("fd00::2", &claims), "fd00::2");
        for trusted in ["10.1.2.3", "fd00::1", "127.0.0.1", "::ffff:10.1.2.3"] {
            assert_eq!(client(trusted, &claims), "1.1.1.1", "{trusted}");
            assert_eq!(client(trusted, &[]), trusted.replace("::ffff:", ""));
        }
    }

    #[test]
    fn the_rightmost_that_is_not_trusted_is_the_client() {
        for (lines, expected) in [
            (&[("x-forwarded-for", "6.6.6.6, 1.1.1.1, 10.0.0.2")][..], "1.1.1.1"),
            (&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1,10.0.0.2")], "1.1.1.1"),
            (&[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            (&[("x-forwarded-for", "1.1.1.1, unknown, 10.0.0.2")], "10.0.0.2"),
            (&[("x-forwarded-for", "1.1.1.1:4711")], "1.1.1.1"),
            (&[("x-forwarded-for", "[2001:db8::1]:4711")], "2001:db8::1"),
            (&[("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
            (&[("x-forwarded-for", "6.6.6.6, <script>")], "10.0.0.1"),
            (&[("forwarded", "for=6.6.6.6, proto=https;For=\"[2001:db8::1]:80\"")], "2001:db8::1"),
            (&[("forwarded", "for=1.1.1.1;by=10.0.0.2, for=10.0.0.2")], "1.1.1.1"),
            (&[("forwarded", "for=_hidden")], "10.0.0.1"),
            (&[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "1.1.1.1")], "1.1.1.1"),
        ] {
            assert_eq!(client("10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        for wrong in ["", "proxy.example.com", "10.0.0.0/33", "10.0.0", "::1/129"] {
            assert!(wrong.parse::<TrustedProxy>().is_err(), "{wrong}");
        }
    }
}
