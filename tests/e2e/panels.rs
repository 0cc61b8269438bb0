//! The committed dashboards, read: their panels, and all that they ask Prometheus.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::prometheus::read;

pub const DASHBOARDS: [&str; 2] =
    ["grafana/dashboards/operators.json", "grafana/dashboards/overview.json"];
/// Whose metrics cannot be had in the suite: k6's need a run, cAdvisor's need containers.
pub const K6: &str = "k6_";
pub const CADVISOR: &str = "container_";
/// Only while something is wrong: they are evaluated, and have no data at rest.
pub const ALERTS: &str = "ALERTS";
/// What Prometheus knows of every target by itself.
const UP: &str = "up";

/// A query, and where it is written.
#[derive(Debug)]
pub struct Query {
    pub place: String,
    pub expr: String,
}

impl Query {
    pub fn of(place: String, expr: &str) -> Self {
        let given = [("$__rate_interval", "10s"), ("$instance", ".+"), ("$worker", ".+")];
        let expr =
            given.iter().fold(expr.to_owned(), |expr, (name, value)| expr.replace(name, value));
        assert!(!expr.contains('$'), "{place}: unknown variable in {expr}");
        Self { place, expr }
    }

    /// Metrics that it reads: words outside of strings and braces, without functions and labels.
    pub fn metrics(&self) -> BTreeSet<String> {
        let mut plain = String::new();
        let (mut quoted, mut depth) = (false, 0);
        for letter in self.expr.chars() {
            match letter {
                '"' => quoted = !quoted,
                '{' | '[' if !quoted => depth += 1,
                '}' | ']' if !quoted => depth -= 1,
                letter if !quoted && depth == 0 => plain.push(letter),
                _ => {}
            }
        }
        let between = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
        let plain = plain.replace(" (", "(");
        let words = plain.split_inclusive(between).filter(|word| !word.ends_with('('));
        let words = words.map(|word| word.trim_end_matches(between));
        let is_metric = |word: &&str| *word == ALERTS || *word == UP || word.contains('_');
        words.filter(is_metric).filter(|word| *word != COUNT_VALUES).map(str::to_owned).collect()
    }

    pub fn reads(&self, prefix: &str) -> bool {
        self.metrics().iter().any(|metric| metric.starts_with(prefix))
    }
}

/// The one function whose name does not stand before its parenthesis.
const COUNT_VALUES: &str = "count_values";

pub fn dashboard(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// All panels, those of collapsed rows too.
pub fn panels(dashboard: &Value) -> Vec<&Value> {
    let (rows, mut found): (Vec<_>, Vec<_>) =
        list(dashboard, "panels").iter().partition(|panel| panel["type"] == "row");
    found.extend(rows.iter().flat_map(|row| list(row, "panels")));
    found
}

/// What panels, annotations and variables ask.
pub fn queries() -> Vec<Query> {
    let mut found = Vec::new();
    for path in DASHBOARDS {
        let dashboard = dashboard(path);
        for panel in panels(&dashboard) {
            let place = format!("{} · {}", text(&dashboard, "title"), text(panel, "title"));
            let exprs = list(panel, "targets").iter().map(|target| text(target, "expr"));
            found.extend(exprs.map(|expr| Query::of(place.clone(), expr)));
        }
        for annotation in list(&dashboard["annotations"], "list") {
            let expr = text(&annotation["target"], "expr");
            found.push(Query::of(format!("annotation {}", text(annotation, "name")), expr));
        }
        for variable in list(&dashboard["templating"], "list") {
            let query = text(&variable["query"], "query");
            let asked = query.strip_suffix(')').and_then(|query| {
                let of_label = query.strip_prefix("label_values(").and_then(|q| q.rsplit_once(','));
                query.strip_prefix("query_result(").or(of_label.map(|(expr, _label)| expr))
            });
            let expr = asked.unwrap_or_else(|| panic!("{query} asks neither way"));
            found.push(Query::of(format!("variable {}", text(variable, "name")), expr));
        }
    }
    found
}
