//! Metrics in Prometheus' text format.
//!
//! The front end and the stores' decorators count here; the pipeline counts for itself and is read
//! when somebody asks. Nothing here asks a store: what only a store knows is read by threads of
//! their own, so that a scrape answers whatever is away or slow. `docs/metrics.md` has every name.

mod family;
mod operators;
mod pipeline;
mod process;
mod requests;
pub mod stores;

use std::sync::Arc;

use errsift_pipeline::{
    counters::Counters, epochs::OpenEpochs, operators::Operators, ports::clock::Clock,
    ports::errors::Claim, start::Pipeline,
};
use prometheus::{Encoder, Registry, TextEncoder, proto::MetricFamily};

use self::{process::Standing, requests::FrontEnd};
use crate::{
    http::{Limits, Requests},
    settings::Serve,
    stores::Backend,
};

/// What is measured of this process.
pub struct Metrics {
    registry: Registry,
    front: FrontEnd,
    standing: Standing,
}

/// What the pipeline counts for itself.
#[derive(Clone)]
pub struct Counted {
    /// Events and stages.
    pub counters: Arc<Counters>,
    /// Epochs that are not trimmed.
    pub epochs: Arc<OpenEpochs>,
    /// Operators, if they are watched.
    pub operators: Option<Arc<Operators>>,
}

impl<W> From<&Pipeline<W>> for Counted {
    fn from(pipeline: &Pipeline<W>) -> Self {
        Self {
            counters: Arc::clone(&pipeline.counters),
            epochs: Arc::clone(&pipeline.epochs),
            operators: pipeline.operators.clone(),
        }
    }
}

impl Metrics {
    /// Nothing measured yet. Fails only if two metrics had the same name.
    pub fn new(settings: &Serve, limits: &Limits) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let front = FrontEnd::new(&registry, limits.connections_max)?;
        let standing = Standing::new(&registry, settings)?;
        Ok(Self { registry, front, standing })
    }

    /// Where further metrics are registered.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Shows the generation that the shard was taken with.
    pub fn taken(&self, claim: &Claim) -> prometheus::Result<()> {
        process::register_claim(&self.registry, claim)
    }

    /// Looks at the stores' settings. Blocks.
    pub fn look(&self, backend: &Backend) {
        self.standing.look(backend);
    }

    /// What a process that stands by measures: it has no pipeline yet.
    pub fn text_of_standby(&self, clock: &dyn Clock) -> String {
        let mut families = self.registry.gather();
        // whoever looks for two processes of one shard looks for this
        families.retain(|family| family.name() != "errsift_shard");
        text(
            families
                .into_iter()
                .chain([process::standby(true), process::uptime(clock.monotonic())]),
        )
    }

    /// All metrics as they stand. Asks no store.
    pub fn text(&self, counted: &Counted, clock: &dyn Clock) -> String {
        let mut families = self.registry.gather();
        families.push(process::standby(false));
        families.extend(pipeline::families(&counted.counters, &counted.epochs, clock.wall()));
        if let Some(watched) = &counted.operators {
            families.extend(operators::families(watched));
        }
        families.push(process::uptime(clock.monotonic()));
        text(families)
    }
}

fn text(families: impl IntoIterator<Item = MetricFamily>) -> String {
    let mut families: Vec<_> = families.into_iter().collect();
    families.sort_by(|left, right| left.name().cmp(right.name()));
    // an operator's families are empty until its dataflow is made
    families.retain(|family| !family.get_metric().is_empty());
    let mut text = Vec::new();
    if let Err(fault) = TextEncoder::new().encode(&families, &mut text) {
        tracing::error!(%fault, "metrics not encoded");
    }
    String::from_utf8_lossy(&text).into_owned()
}

impl Requests for Metrics {
    fn begun(&self) {
        self.front.begun();
    }

    fn observe(&self, method: &'static str, route: &'static str, status: u16, seconds: f64) {
        self.front.observe(method, route, status, seconds);
    }

    fn accepted(&self) {
        self.front.accepted();
    }

    fn closed(&self) {
        self.front.closed();
    }
}
