//! Which server a `--redis-url` names: one by its address, or the master that sentinels name.

use percent_encoding::percent_decode_str;
use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult,
    TlsCertificates,
};

use super::sentinel::{Node, Sentinels, Way};

const FORMS: &str = "expected redis://[user:password@]host[:port][/db], or \
     redis+sentinel://[user:password@]host[:port],host[:port],…/MASTER[/db] with \
     ?sentinel-user=…&sentinel-password=… if the sentinels want them, or the same with rediss for TLS, \
     and sentinel-tls=no if the sentinels are without";

/// Where sentinels listen if nothing else is said.
const SENTINEL_PORT: u16 = 26_379;

/// Reads a URL. Of sentinels' URLs, the address is a stand-in until the sentinels are asked. An
/// error does not repeat the URL, which may hold a password.
pub(super) fn read(url: &str) -> Result<(ConnectionInfo, Option<Sentinels>), String> {
    let (info, sentinels) = match url.split_once("+sentinel://") {
        Some(("redis", rest)) => behind_sentinels(rest, false)?,
        Some(("rediss", rest)) => behind_sentinels(rest, true)?,
        Some(_) => return Err(FORMS.to_owned()),
        None => (direct(url)?, None),
    };
    // it would be a command more to allow, and a refused one is logged by the server
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    Ok((info.set_redis_settings(settings), sentinels))
}

/// The address of `node`, encrypted like `like`.
pub(super) fn at(node: &Node, like: &ConnectionAddr) -> ConnectionAddr {
    let (host, port) = (node.host.clone(), node.port);
    match like {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    }
}

/// The address of `node`, encrypted.
pub(super) fn encrypted(node: Node) -> ConnectionAddr {
    let Node { host, port } = node;
    ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
}

fn direct(url: &str) -> Result<ConnectionInfo, String> {
    let info = url.into_connection_info().map_err(|error| format!("{error}; {FORMS}"))?;
    match info.addr() {
        ConnectionAddr::Tcp(..) | ConnectionAddr::TcpTls { insecure: false, .. } => Ok(info),
        ConnectionAddr::TcpTls { .. } => {
            Err("#insecure is not supported: anybody could answer".to_owned())
        }
        _ => Err(FORMS.to_owned()),
    }
}

fn behind_sentinels(
    rest: &str,
    has_tls: bool,
) -> Result<(ConnectionInfo, Option<Sentinels>), String> {
    if rest.contains('#') {
        return Err(wrong("a # must be written as %23"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) =
        rest.split_once('/').ok_or_else(|| wrong("the master's name is missing"))?;
    let (user, nodes) = match authority.rsplit_once('@') {
        Some((user, nodes)) => (user, nodes),
        None => ("", authority),
    };
    let nodes: Vec<Node> = nodes.split(',').map(node).collect::<Result<_, _>>()?;
    let (master, db) = path.split_once('/').unwrap_or((path, "0"));
    let master = decoded(master)?;
    if master.is_empty() {
        return Err(wrong("the master's name is missing"));
    }
    let db = db.parse::<u32>().map_err(|_| wrong("the database is not a number"))?;
    let settings = credentials(user)?.set_db(i64::from(db));
    let stand_in = (master.as_str(), SENTINEL_PORT).into_connection_info();
    let stand_in = described(stand_in)?.set_redis_settings(settings);
    let addr = encrypted(Node { host: master.clone(), port: SENTINEL_PORT });
    let info = if has_tls { stand_in.set_addr(addr) } else { stand_in };
    Ok((info, Some(Sentinels::new(nodes, master, way(query, has_tls)?))))
}

fn described<T>(result: RedisResult<T>) -> Result<T, String> {
    result.map_err(|error| wrong(&error.to_string()))
}

fn wrong(what: &str) -> String {
    format!("{what}; {FORMS}")
}

/// `host`, `host:port` or `[v6]:port`.
fn node(text: &str) -> Result<Node, String> {
    let (host, port) = match text.strip_prefix('[').map(|text| text.split_once(']')) {
        Some(Some((host, port))) => (host, port),
        Some(None) => return Err(wrong("a ] is missing")),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0),
        None if port.is_empty() => Some(SENTINEL_PORT),
        None => None,
    };
    let port = port.ok_or_else(|| wrong("a sentinel's port is not a number from 1 to 65535"))?;
    if host.is_empty() {
        return Err(wrong("a sentinel's host is missing"));
    }
    Ok(Node { host: host.to_owned(), port })
}

/// `user:password`, `:password`, or nothing.
fn credentials(text: &str) -> Result<RedisConnectionInfo, String> {
    let settings = RedisConnectionInfo::default();
    if text.is_empty() {
        return Ok(settings);
    }
    let (user, password) = text.split_once(':').ok_or_else(|| wrong("a user needs a password"))?;
    let settings = settings.set_password(decoded(password)?);
    Ok(if user.is_empty() { settings } else { settings.set_username(decoded(user)?) })
}

/// What the sentinels themselves ask for. They are encrypted like the nodes, if nothing else is said.
fn way(query: &str, has_tls: bool) -> Result<Way, String> {
    let mut own = RedisConnectionInfo::default().set_skip_set_lib_name();
    let mut is_encrypted = has_tls;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sentinel-user", user)) => own = own.set_username(decoded(user)?),
            Some(("sentinel-password", password)) => own = own.set_password(decoded(password)?),
            Some(("sentinel-tls", "no")) => is_encrypted = false,
            Some(("sentinel-tls", "yes")) if has_tls => is_encrypted = true,
            Some(("sentinel-tls", _)) => {
                return Err(wrong("sentinel-tls is yes or no, and yes needs rediss"));
            }
            _ => return Err(wrong("an unknown parameter")),
        }
    }
    if own.username().is_some() && own.password().is_none() {
        return Err(wrong("sentinel-user needs sentinel-password"));
    }
    // the public authorities, until it is known whom to trust
    let public = || TlsCertificates { client_tls: None, root_cert: None };
    Ok(Way { own, certificates: is_encrypted.then(public) })
}

fn decoded(text: &str) -> Result<String, String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| wrong("an escape is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_and_what_is_behind_them() {
        let url = "rediss+sentinel://app:p%40:w/@a:1,b,[::1]:3/my%20journal/2";
        assert!(read(url).is_err(), "a / in a password must be escaped");
        let url =
            "rediss+sentinel://app:p%40%2Fw@a:1,b,[::1]:3/my%20journal/2?sentinel-password=s+1";
        let (info, sentinels) = read(url).unwrap();
        let settings = info.redis_settings();
        assert_eq!((settings.username(), settings.password()), (Some("app"), Some("p@/w")));
        assert_eq!(settings.db(), 2);
        assert!(matches!(info.addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
        let sentinels = sentinels.unwrap();
        assert_eq!(sentinels.to_string(), "master my journal of sentinels a:1, b:26379, [::1]:3");
        assert_eq!(sentinels.way().own.password(), Some("s+1"));
        assert!(sentinels.way().certificates.is_some());
        let node = Node { host: "::2".to_owned(), port: 7 };
        assert_eq!(at(&node, info.addr()).to_string(), "::2:7");
    }

    #[test]
    fn sentinels_are_encrypted_like_the_nodes_unless_they_are_not() {
        for (url, expected) in [
            ("rediss+sentinel://a/m", true),
            ("rediss+sentinel://a/m?sentinel-tls=yes", true),
            ("rediss+sentinel://a/m?sentinel-tls=no", false),
            ("redis+sentinel://a/m?sentinel-tls=no", false),
            ("redis+sentinel://a/m", false),
        ] {
            let sentinels = read(url).unwrap().1.unwrap();
            assert_eq!(sentinels.way().certificates.is_some(), expected, "{url}");
        }
    }

    #[test]
    fn a_server_by_its_address_has_no_sentinels() {
        let (info, sentinels) = read("redis://:pw@host/3").unwrap();
        assert!(sentinels.is_none() && info.redis_settings().skip_set_lib_name());
        assert_eq!(info.addr().to_string(), "host:6379");
    }

    #[test]
    fn errors_say_the_forms_and_no_secret() {
        for url in [
            "http://x",
            "unix:///tmp/secret",
            "mysql+sentinel://:secret@a/m",
            "redis://:secret@host:port",
            "redis+sentinel://:secret@a",
            "redis+sentinel://:secret@a/",
            "redis+sentinel://:secret@a/m/x",
            "redis+sentinel://:secret@a:b/m",
            "redis+sentinel://:secret@a:0/m",
            "redis+sentinel://:secret@a,,b/m",
            "redis+sentinel://:secret@[::1/m",
            "redis+sentinel://:secret@a/m?password=secret",
            "redis+sentinel://:secret@a/m?sentinel-user=secret",
            "redis+sentinel://:secret@a/m?sentinel-tls=yes",
            "rediss+sentinel://:secret@a/m?sentinel-tls=secret",
            "redis+sentinel://secret@a/m",
            "redis+sentinel://:secret#@a/m",
            "redis+sentinel://:%ffsecret@a/m",
        ] {
            let error = read(url).err().unwrap_or_else(|| panic!("{url} is taken"));
            assert!(error.contains("redis+sentinel://[user:password@]host"), "{url}: {error}");
            assert!(!error.contains("secret"), "{url}: {error}");
        }
    }
}
