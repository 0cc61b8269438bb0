//! The process itself: what it is, how it was told to run, and what it uses.

use std::time::Duration;

use errsift_pipeline::ports::errors::Claim;
use prometheus::{Gauge, IntGauge, Opts, Registry, core::Collector};

use crate::{check::Verdict, settings::Serve, stores::Backend};

/// What only the caller knows.
pub struct Standing {
    /// Settings that are weaker than asked, and allowed, as last looked at.
    weaker: IntGauge,
}

impl Standing {
    /// Registers what does not change, and what [`Standing::look`] will say.
    pub fn new(registry: &Registry, settings: &Serve) -> prometheus::Result<Self> {
        let build = constant(
            Opts::new("errsift_build_info", "1, with what this binary is")
                .const_label("version", env!("CARGO_PKG_VERSION"))
                .const_label("commit", option_env!("ERRSIFT_COMMIT").unwrap_or("unknown"))
                .const_label("rustc", option_env!("ERRSIFT_RUSTC").unwrap_or("unknown")),
            1.0,
        )?;
        let durability = constant(
            Opts::new("errsift_durability_info", "1, with when an event counts as stored")
                .const_label("asked", settings.stores.durability.to_string()),
            1.0,
        )?;
        let flush = constant(
            Opts::new("errsift_flush_interval_seconds", "How often counts reach the tables"),
            settings.flush_interval.as_secs_f64(),
        )?;
        let allowed = constant(
            Opts::new("errsift_weaker_allowed", "1 if stores may be weaker than asked"),
            f64::from(u8::from(settings.stores.allow_weaker)),
        )?;
        let shard = constant(
            Opts::new("errsift_shard", "Number of the journal that is written"),
            f64::from(settings.stores.shard),
        )?;
        let weaker = IntGauge::new(
            "errsift_weaker_settings",
            "Settings of the stores that are weaker than asked, or unknown, and allowed",
        )?;
        for gauge in [build, durability, flush, allowed, shard] {
            registry.register(gauge)?;
        }
        registry.register(Box::new(weaker.clone()))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self { weaker })
    }

    /// Looks at the stores' settings. Blocks. Of a store that does not answer none is weaker.
    pub fn look(&self, backend: &Backend) {
        let weaker = backend.settings().into_iter();
        let weaker = weaker
            .filter(|check| matches!(check.verdict, Verdict::Weaker | Verdict::Unknown))
            .count();
        self.weaker.set(i64::try_from(weaker).unwrap_or(i64::MAX));
    }
}

/// Registers the writer's generation.
pub fn register_claim(registry: &Registry, claim: &Claim) -> prometheus::Result<()> {
    let term = Opts::new("errsift_term", "Generation of the shard's writer, which is this process");
    registry.register(constant(term, super::family::number(claim.term.0))?)
}

/// How long the process has run, by the clock that started with it.
pub fn uptime(monotonic: Duration) -> prometheus::proto::MetricFamily {
    let seconds = monotonic.as_secs_f64();
    let help = "Time since the server started";
    super::family::levels("errsift_uptime_seconds", help, [(&[][..], seconds)])
}

/// Whether the process waits for a shard that another holds.
pub fn standby(stands_by: bool) -> prometheus::proto::MetricFamily {
    let help = "1 while another process holds the shard and this one waits";
    super::family::levels("errsift_standby", help, [(&[][..], f64::from(u8::from(stands_by)))])
}

fn constant(options: Opts, value: f64) -> prometheus::Result<Box<dyn Collector>> {
    let gauge = Gauge::with_opts(options)?;
    gauge.set(value);
    Ok(Box::new(gauge))
}
