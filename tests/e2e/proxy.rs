//! errsift behind nginx, with the configuration that the documents give.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use serde_json::Value;

use crate::{
    load::LOG,
    support::{
        certificates::{Authority, Signed},
        errsift::Errsift,
        process::{Process, Program},
    },
};

const DOCUMENTED: &str = include_str!("../../docs/nginx.conf");
const HOST: &str = "errors.example.com";

/// An nginx with the documented configuration; addresses, certificate and paths are the test's.
fn nginx(errsift: SocketAddr, server: Signed) -> Process {
    let command = move |port: u16, dir: &Path| {
        let at = |name: &str| dir.join(name).display().to_string();
        let own = format!(
            "http {{\n access_log off;\n client_body_temp_path {};\n proxy_temp_path {};",
            at("bodies"),
            at("answers"),
        );
        let mut config = DOCUMENTED.to_owned();
        for (documented, own) in [
            ("127.0.0.1:9002", errsift.to_string()),
            ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
            ("/etc/errsift/tls/server.crt", server.cert.display().to_string()),
            ("/etc/errsift/tls/server.key", server.key.display().to_string()),
            ("http {", own),
        ] {
            assert!(config.contains(documented), "{documented}");
            config = config.replace(documented, &own);
        }
        fs::write(dir.join("nginx.conf"), config).expect("cannot write the configuration");
        let mut command = Command::new("/usr/sbin/nginx");
        command.args(["-c", &at("nginx.conf"), "-e", &at("error.log")]);
        // one process, so that the one that listens is the one that was started
        command.args(["-g", &format!("daemon off; master_process off; pid {};", at("pid"))]);
        command
    };
    Process::start(Program::new("nginx", command, |_| true))
}

/// What curl says of one request over TLS: the status, the head, and the body.
fn curl(nginx: &Process, authority: &Authority, path: &str, more: &[&str]) -> (u16, String) {
    let port = nginx.port();
    let mut command = Command::new("curl");
    // another address than the trusted proxy's, and a lie about it
    command.args(["-sS", "-i", "--max-time", "20", "--interface", "127.0.0.2"]);
    command.args(["-H", "X-Forwarded-For: 6.6.6.6", "--cacert"]).arg(authority.file());
    command.args(["--resolve", &format!("{HOST}:{port}:127.0.0.1")]).args(more);
    let output = command.arg(format!("https://{HOST}:{port}{path}")).output().expect("curl");
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{output:?}")), answer)
}

#[test]
fn behind_nginx_requests_keep_their_client_and_id() {
    let authority = Authority::new();
    let log = ["--trusted-proxy", "127.0.0.1", "--log", "info,errsift::http=debug"];
    let errsift = Errsift::start(&log);
    let nginx = nginx(errsift.address(), authority.sign("nginx", &[HOST]));
    let json = ["-H", "Content-Type: application/json"];
    let post = |body| curl(&nginx, &authority, LOG, &[&json[..], &["-d", body]].concat());
    let (status, answer) = post(r#"{"message":"through nginx"}"#);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.to_ascii_lowercase().contains("x-request-id: "), "{answer}");
    assert_eq!(curl(&nginx, &authority, "/metrics", &[]).0, 404);
    assert_eq!(curl(&nginx, &authority, "/readyz", &[]).0, 200);

    let (status, answer) = post(r#"{"mesage":"misspelt"}"#);
    assert_eq!(status, 400, "{answer}");
    let lower = answer.to_ascii_lowercase();
    let id = lower.lines().find_map(|line| line.strip_prefix("x-request-id: "));
    let id = id.unwrap_or_else(|| panic!("no id: {answer}")).trim();
    assert_eq!(id.len(), 32, "nginx's own id");
    let log = errsift.process.log();
    let line = log.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("{id}: {log}"));
    let line: Value = serde_json::from_str(line).expect("a line of JSON");
    assert_eq!((&line["client"], &line["status"]), (&"127.0.0.2".into(), &400.into()), "{line}");
}
