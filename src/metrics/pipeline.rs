//! The pipeline's stages: what it counts about itself, and how far it is behind.

use errsift_ops::timestamp::Timestamp;
use errsift_pipeline::{
    counters::{Counter, Counters},
    epochs::OpenEpochs,
    histogram::Histogram,
    settings::CHANNEL_EVENTS_MAX,
};
use prometheus::proto::MetricFamily;

use super::family::{histograms, levels, number, totals};

type Read = fn(&Counters) -> &Counter;

/// Numbers that only grow.
pub const TOTALS: &[(&str, &str, Read)] = &[
    ("errsift_received_events_total", "Events offered to the channel", |c| &c.received),
    ("errsift_shed_events_total", "Events turned away because the channel was full", |c| &c.shed),
    ("errsift_invalid_events_total", "Bodies that were not events", |c| &c.invalid),
    ("errsift_acked_events_total", "Events answered as stored", |c| &c.acked),
    ("errsift_not_stored_events_total", "Events answered as not stored", |c| &c.not_stored),
    ("errsift_maybe_stored_events_total", "Events answered as perhaps stored", |c| &c.maybe_stored),
    (
        "errsift_dropped_events_total",
        "Events of sealed flights that certainly will not be executed",
        |c| &c.dropped,
    ),
    ("errsift_clamped_events_total", "Events whose time lay in the future", |c| &c.clamped),
    ("errsift_flights_total", "Flights executed", |c| &c.flights),
    ("errsift_refused_flights_total", "Commits that the journal refused", |c| &c.refused),
    ("errsift_unknown_flights_total", "Commits whose answer was lost", |c| &c.unknown),
    (
        "errsift_journal_regressions_total",
        "Times that the journal was found without flights that it had executed",
        |c| &c.regressions,
    ),
    (
        "errsift_journal_healed_jobs_total",
        "Jobs that a journal which went back was given again",
        |c| &c.healed_jobs,
    ),
    ("errsift_acked_lost_events_total", "Acknowledged events that the stores have lost", |c| {
        &c.acked_lost
    }),
    ("errsift_paged_flights_total", "Flights that apply reads back from the journal", |c| &c.paged),
    ("errsift_merged_jobs_total", "Jobs of closed epochs merged into others", |c| &c.merged),
    ("errsift_applied_epochs_total", "Epochs applied, once for each apply worker", |c| &c.epochs),
    ("errsift_count_rows_total", "Rows of counts applied", |c| &c.count_rows),
    ("errsift_details_rows_total", "Rows of details confirmed", |c| &c.details_rows),
    (
        "errsift_set_aside_rows_total",
        "Rows set aside because the tables refuse them as data",
        |c| &c.set_aside_rows,
    ),
    ("errsift_set_aside_events_total", "Events in such rows", |c| &c.set_aside),
    ("errsift_errors_retries_total", "Attempts on the tables that failed", |c| &c.errors_retries),
    (
        "errsift_pending_lost_total",
        "Batches of pending counts lost until their epoch is applied",
        |c| &c.pending_lost,
    ),
    ("errsift_duplicates_total", "Events left out because they came before", |c| &c.duplicates),
    (
        "errsift_event_ids_crowded_out_total",
        "Ids of stored events that were forgotten early, for want of room",
        |c| &c.event_ids_crowded_out,
    ),
];

/// Numbers that go up and down, or that go on from what the stores say.
pub const LEVELS: &[(&str, &str, Read)] = &[
    ("errsift_journaled_events", "Events in all flights of this shard", |c| &c.journaled),
    ("errsift_counted_events", "Events applied to the tables from this shard", |c| &c.counted),
    ("errsift_in_flight_events", "Events taken in and not resolved yet", |c| &c.in_flight),
    ("errsift_dead_dropped_events", "Events of dead letters that were dropped for good", |c| {
        &c.dead_dropped
    }),
    ("errsift_dead_letters", "Rows in the tables' dead letters", |c| &c.dead_letters),
    ("errsift_dead_jobs", "Jobs set aside because they cannot be read", |c| &c.dead_jobs),
    (
        "errsift_unfinished_starts",
        "Starts in a row whose recovery has not come through, this one included",
        |c| &c.unfinished_starts,
    ),
    ("errsift_applied_epoch", "The last epoch that every part has applied", |c| &c.applied_epoch),
    ("errsift_channel_depth", "Events between the front end and ingest", |c| &c.channel_depth),
    ("errsift_known_errors", "Errors that ingest knows to be stored", |c| &c.known),
    ("errsift_apply_backlog_bytes", "Bytes of jobs in memory that are not applied", |c| {
        &c.apply_backlog_bytes
    }),
    ("errsift_journal_jobs", "Jobs in the journal", |c| &c.journal_jobs),
    ("errsift_journal_bytes", "Bytes of the journal", |c| &c.journal_bytes),
    ("errsift_journal_up", "1 while the journal takes flights", |c| &c.journal_up),
    ("errsift_errors_up", "1 while the tables answer", |c| &c.errors_up),
    ("errsift_errors_failing", "Threads whose writes to the tables fail now", |c| {
        &c.errors_failing
    }),
    ("errsift_event_ids", "Ids of stored events that are remembered", |c| &c.event_ids),
];

/// All of the pipeline's families but the operators'.
pub fn families(counters: &Counters, epochs: &OpenEpochs, now: Timestamp) -> Vec<MetricFamily> {
    let mut families = Vec::new();
    for (name, help, read) in TOTALS {
        families.push(totals(name, help, [(&[][..], number(read(counters).get()))]));
    }
    for (name, help, read) in LEVELS {
        families.push(levels(name, help, [(&[][..], number(read(counters).get()))]));
    }
    families.extend(derived(counters, epochs, now));
    families.extend(stages(counters));
    families
}

/// What follows from several numbers, or is not a plain one.
fn derived(counters: &Counters, epochs: &OpenEpochs, now: Timestamp) -> Vec<MetricFamily> {
    let one = |name: &str, help: &str, value: f64| levels(name, help, [(&[][..], value)]);
    let lag = epochs.lag();
    let age = |since: Option<Timestamp>| {
        let ms = since.map_or(0, |since| now.millis().saturating_sub(since.millis()).max(0));
        number(ms.unsigned_abs()) / 1e3
    };
    // read in this order: what is counted was journaled before
    let counted = counters.counted.get();
    let set_aside = counters.dead_events() + counters.dead_dropped.get();
    let pending = counters.journaled.get().saturating_sub(counted + set_aside);
    let difference =
        |value: i64| number(value.unsigned_abs()).copysign(f64::from(value.signum() as i8));
    vec![
        one(
            "errsift_channel_capacity",
            "Events that the channel has room for",
            number(CHANNEL_EVENTS_MAX as u64),
        ),
        one(
            "errsift_dead_events",
            "Events set aside in dead letters and dead jobs",
            number(counters.dead_events()),
        ),
        one("errsift_pending_events", "Events journaled and not counted yet", number(pending)),
        one(
            "errsift_frontier_lag_epochs",
            "Epochs that have reached apply and are not in the tables",
            number(lag.epochs as u64),
        ),
        one(
            "errsift_frontier_lag_seconds",
            "Age of the oldest event that is not in the tables",
            age(lag.since),
        ),
        one(
            "errsift_journal_oldest_seconds",
            "Age of the oldest event that the journal still holds",
            age(lag.journal_since),
        ),
        levels(
            "errsift_ledger_difference",
            "Events that the ledger misses (above 0) or has twice (below): 0 at any time",
            [
                (&[("side", "acked")][..], difference(counters.acked_difference.get())),
                (&[("side", "applied")][..], difference(counters.applied_difference.get())),
            ],
        ),
    ]
}

fn stages(counters: &Counters) -> Vec<MetricFamily> {
    const MICROSECOND: f64 = 1e-6;
    let stages = &counters.stages;
    let one = |name: &str, help: &str, unit: f64, histogram: &Histogram| {
        histograms(name, help, unit, [(&[][..], histogram.read())])
    };
    vec![
        one(
            "errsift_channel_wait_seconds",
            "Time of an event in the channel",
            MICROSECOND,
            &stages.channel,
        ),
        one(
            "errsift_ack_seconds",
            "Time of an event from its offer to the answer that it is stored",
            MICROSECOND,
            &stages.ack,
        ),
        histograms(
            "errsift_flight_seconds",
            "Time of a flight in each stage",
            MICROSECOND,
            [
                (&[("stage", "forming")][..], stages.forming.read()),
                (&[("stage", "sealing")][..], stages.sealing.read()),
                (&[("stage", "commit")][..], stages.commit.read()),
                (&[("stage", "settling")][..], stages.settling.read()),
            ],
        ),
        one("errsift_flight_events", "Events of an executed flight", 1.0, &stages.events),
        one("errsift_flight_entries", "Entries of an executed flight", 1.0, &stages.entries),
        one("errsift_flight_bytes", "Bytes of an executed flight's job", 1.0, &stages.bytes),
    ]
}
