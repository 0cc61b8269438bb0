//! Dashboards and alerts: every query has data from a running stack, and every metric is shown.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    exporters::Exporters,
    load::Barrage,
    panels::{ALERTS, CADVISOR, DASHBOARDS, K6, Query, dashboard, panels, queries, text},
    prometheus::{Prometheus, Targets, read},
    stack::{DATABASE, Servers, Stack},
    support::{mariadb::Mariadb, redis::Redis},
    wait,
};

/// Fails unless the query has a number that is one.
fn assert_has_data(prometheus: &Prometheus, query: &Query) -> Result<(), String> {
    let fault = |what: String| format!("{}: {what}: {}", query.place, query.expr);
    let values = prometheus.query(&query.expr).map_err(fault)?;
    if values.iter().any(|value| value.is_finite()) {
        return Ok(());
    }
    Err(fault(format!("no data, {values:?}")))
}

/// A metric that is only on one side of an `or` is not proven by the whole's data.
fn assert_each_metric_is_there(prometheus: &Prometheus, queries: &[&Query]) {
    let metrics: BTreeSet<String> = queries.iter().flat_map(|query| query.metrics()).collect();
    let is_there = |name: &String| prometheus.query(name).is_ok_and(|found| !found.is_empty());
    let absent: Vec<_> = metrics.iter().filter(|name| !is_there(name)).collect();
    assert!(absent.is_empty(), "in a query, and nowhere else: {absent:?}");
}

/// The same event each time.
const AGAIN: &str = r#"{"message":"again","eventId":"0123456789abcdef0123456789abcdef"}"#;

/// A stack under load, with what the dashboards look at.
struct Watched {
    prometheus: Prometheus,
    barrage: Barrage,
    exporters: Exporters,
    stack: Stack,
}

impl Watched {
    fn start() -> Self {
        let mariadb = Mariadb::start();
        let mysql_url = mariadb.database(DATABASE);
        let redis = Redis::start_with(&["--maxmemory", "256mb"]);
        let servers = Servers { redis, mariadb, mysql_url };
        let exporters = Exporters::start(&servers);
        let stack = Stack::of(servers.errsift(&["--flush-interval", "1s"]), servers);
        let barrage = Barrage::start(stack.errsift.address(), 4);
        let prometheus = Prometheus::start(&Targets {
            errsift: stack.errsift.address(),
            redis_exporter: exporters.redis.address(),
            mysqld_exporter: exporters.mysqld.address(),
        });
        Self { prometheus, barrage, exporters, stack }
    }

    /// Waits until each of the queries has data, while all kinds of requests go on.
    fn await_data(&self, queries: &[&Query]) {
        let mut client = self.stack.errsift.client();
        wait::until("data in every panel", 2 * wait::SOON, || {
            client.post("/errors/log", "{}");
            client.post("/errors/log", AGAIN);
            client.post("/errors/batch", AGAIN);
            client.get(&format!("/errors/{}", "0".repeat(64)));
            let missing =
                queries.iter().filter_map(|query| assert_has_data(&self.prometheus, query).err());
            let missing: Vec<String> = missing.collect();
            if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
        });
        assert_each_metric_is_there(&self.prometheus, queries);
    }

    /// The dataflow grows, and its drawing must.
    fn assert_operators_are_shown(&self, queries: &[&Query]) {
        let (_, page) = self.stack.errsift.client().get("/metrics");
        let of_operators = |line: &&str| line.starts_with("errsift_operator_schedules_total{");
        let operators: BTreeSet<&str> = page
            .lines()
            .filter(of_operators)
            .map(|line| line.split('"').nth(3).expect("a dataflow and an operator"))
            .collect();
        let is_hidden = |name: &&&str| !queries.iter().any(|query| query.expr.contains(**name));
        let hidden: Vec<_> = operators.iter().filter(is_hidden).collect();
        assert!(operators.len() > 15 && hidden.is_empty(), "on no dashboard: {hidden:?}");
    }

    /// Waits until Prometheus has evaluated each alert and none is on its way.
    fn await_rest(&self) {
        let expected = read("docker/alerts.yml").matches("- alert: ").count();
        wait::until("all alerts to rest", wait::SOON, || {
            let alerts = self.prometheus.alerts();
            assert_eq!(alerts.len(), expected);
            let rests = |alert: &&Value| alert["health"] == "ok" && alert["state"] == "inactive";
            match alerts.iter().find(|alert| !rests(alert)) {
                Some(alert) => Err(alert.to_string()),
                None => Ok(()),
            }
        });
        let alerts = self.prometheus.alerts();
        let queries =
            alerts.iter().map(|alert| Query::of(text(alert, "name").into(), text(alert, "query")));
        let queries: Vec<Query> = queries.collect();
        assert_each_metric_is_there(&self.prometheus, &queries.iter().collect::<Vec<_>>());
    }
}

#[test]
fn every_panel_has_data_and_no_alert_fires() {
    let queries = queries();
    let (elsewhere, here): (Vec<_>, Vec<_>) = queries
        .iter()
        .partition(|query| [K6, CADVISOR, ALERTS].iter().any(|prefix| query.reads(prefix)));
    assert!(here.len() > 150, "{} queries", here.len());
    let watched = Watched::start();
    watched.await_data(&here);
    for query in elsewhere {
        watched.prometheus.query(&query.expr).unwrap_or_else(|fault| panic!("{query:?}: {fault}"));
    }
    watched.await_rest();
    watched.assert_operators_are_shown(&here);
    let Watched { barrage, stack, exporters, .. } = watched;
    assert!(barrage.stop().len() > 100);
    drop((stack, exporters));
}

/// `cargo test --test e2e k6 -- --ignored`, after `.ci/setup`.
#[test]
#[ignore = "needs k6, which only the full .ci/setup installs"]
fn every_panel_of_k6_has_data() {
    let queries = queries();
    let of_k6: Vec<_> = queries.iter().filter(|query| query.reads(K6)).collect();
    assert!(of_k6.len() > 5, "{} queries", of_k6.len());
    let watched = Watched::start();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let write = format!("http://{}/api/v1/write", watched.prometheus.process.address());
    let mut k6 = Command::new(root.join("target/tools/k6"))
        .args(["run", "--quiet", "--no-usage-report", "--out", "experimental-prometheus-rw"])
        .args(["--env", "VUS=5", "--env", "DURATION=20s"])
        .args(["--env", &format!("BASE_URL={}", watched.stack.errsift.base_url())])
        .arg("--env")
        .arg(format!("SUMMARY={}", watched.prometheus.process.dir().join("summary.json").display()))
        .envs([
            ("K6_PROMETHEUS_RW_SERVER_URL", write.as_str()),
            ("K6_PROMETHEUS_RW_TREND_STATS", "p(50),p(95),p(99),max"),
            ("K6_PROMETHEUS_RW_PUSH_INTERVAL", "1s"),
        ])
        .arg(root.join("load/k6").join("constant.js"))
        .spawn()
        .expect("k6, of .ci/setup");
    watched.await_data(&of_k6);
    assert!(k6.wait().expect("k6 ends").success());
}

/// Runs a tool of this repository, or on its files, to its end.
fn run(program: &str, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ran = Command::new(program).args(arguments).current_dir(root).output();
    let ran = ran.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {arguments:?}: {said}");
}

#[test]
fn dashboards_are_what_their_source_says() {
    run("python3", &["grafana/generate", "--check"]);
    for path in DASHBOARDS {
        for panel in panels(&dashboard(path)) {
            assert!(text(panel, "description").len() > 40, "{path}: {}", text(panel, "title"));
        }
    }
}

#[test]
fn alerts_fire_when_they_must_and_have_a_runbook() {
    run("promtool", &["check", "rules", "docker/alerts.yml"]);
    run("promtool", &["test", "rules", "docker/alerts.test.yml"]);
    let (alerts, runbooks) = (read("docker/alerts.yml"), read("docs/runbooks.md"));
    let names: Vec<_> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let sections: Vec<_> =
        runbooks.lines().filter_map(|line| line.strip_prefix("## Errsift")).collect();
    for name in &names {
        let section = name.strip_prefix("Errsift").expect("errsift's alerts are called so");
        assert!(sections.contains(&section), "docs/runbooks.md has no section {name}");
        let link = format!("runbook: docs/runbooks.md#{}\n", name.to_lowercase());
        assert!(alerts.contains(&link), "{name} does not link to its section");
    }
    assert_eq!(names.len(), sections.len());
}

/// Names in the first column of a document's tables.
fn named(document: &str) -> BTreeSet<String> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

#[test]
fn every_metric_is_shown_or_left_out_on_purpose() {
    let known = named(&read("docs/metrics.md"));
    let page = read("docs/dashboards.md");
    let (_, after) = page.split_once("\n## Not shown\n").expect("a section");
    let left_out = named(after.split("\n## ").next().unwrap_or_default());
    let used: BTreeSet<String> = queries().iter().flat_map(Query::metrics).collect();
    let family = |name: &str| {
        let ends = ["_bucket", "_sum", "_count"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let shown: BTreeSet<String> = used
        .iter()
        .map(|name| if known.contains(name) { name.clone() } else { family(name) })
        .collect();
    let silent: Vec<_> =
        known.iter().filter(|name| !shown.contains(*name) && !left_out.contains(*name)).collect();
    assert!(silent.is_empty(), "neither on a dashboard nor in docs/dashboards.md: {silent:?}");
    let both: Vec<_> =
        left_out.iter().filter(|name| shown.contains(*name) || !known.contains(*name)).collect();
    assert!(both.is_empty(), "said to be left out, but shown or unknown: {both:?}");
    let unknown: Vec<_> = shown
        .iter()
        .filter(|name| ["errsift_", "http_", "process_"].iter().any(|own| name.starts_with(own)))
        .filter(|name| !known.contains(*name))
        .collect();
    assert!(unknown.is_empty(), "shown, but not in docs/metrics.md: {unknown:?}");
}

#[test]
fn provisioning_names_what_is_there() {
    let source = read("grafana/provisioning/datasources/prometheus.yml");
    assert!(source.contains("\n    uid: prometheus\n"));
    for path in DASHBOARDS {
        let dashboard = dashboard(path);
        for panel in panels(&dashboard) {
            assert_eq!(
                panel["datasource"]["uid"],
                "prometheus",
                "{path}: {}",
                text(panel, "title")
            );
        }
    }
    let provider = read("grafana/provisioning/dashboards/errsift.yml");
    assert!(provider.contains("path: /etc/grafana/dashboards\n"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards");
    assert_eq!(fs::read_dir(root).expect("a directory").count(), DASHBOARDS.len());
}
