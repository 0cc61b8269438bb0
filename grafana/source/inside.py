"""The overview's rows about what happens inside: flights, journal, apply, ledger, the process."""

from expressions import JOB, OF, quantiles, rate, total
from panels import RATE, bars, graph, row

EVENTS, ENTRIES = "errsift_flight_events_sum", "errsift_flight_entries_sum"
FLIGHTS = row(
    "Flights and folding",
    graph(
        "dedup ratio",
        "Share of events that were folded into another of the same flight. Falls when errors are "
        "all different: the journal and MySQL then grow with the events.",
        [(f"1 - {rate(ENTRIES)} / {rate(EVENTS)}", "folded")],
        "percentunit", 6, 8, max=1,
    ),
    graph(
        "events of a flight",
        "Grows with the load by itself: that is the batching. Near 16,384 flights are full, and a "
        "longer commit can no longer be made up for.",
        [*quantiles("errsift_flight_events"),
         (f"{rate(EVENTS)} / {rate('errsift_flight_events_count')}", "mean")], "short", 6, 8,
    ),
    graph(
        "bytes of a flight",
        "What one commit has to sync. Large with few events: long stack traces that have not been "
        "seen before.",
        quantiles("errsift_flight_bytes"), "bytes", 6, 8,
    ),
    graph(
        "flights/s",
        "Few flights with many events each is a slow journal. Refused: Redis said no. Unknown: its "
        "answer was lost and is looked up. Paged: apply reads them back, as its memory was full. "
        "Merged: jobs that became one with others while MySQL is away.",
        [(rate("errsift_flights_total"), "executed"),
         (rate("errsift_refused_flights_total"), "refused"),
         (rate("errsift_unknown_flights_total"), "unknown"),
         (rate("errsift_paged_flights_total"), "paged"),
         (rate("errsift_merged_jobs_total"), "merged")], "ops", 6, 8,
    ),
    graph(
        "in the process",
        "Channel near its capacity: new events are answered 503. In flight stays near the channel's "
        "depth plus two flights.",
        [(total("errsift_channel_depth"), "channel"),
         (total("errsift_channel_capacity"), "capacity"),
         (total("errsift_in_flight_events"), "in flight")], "short", 12, 8, log=True,
    ),
    graph(
        "errors known to be stored",
        "Their words are not sent again. Drops to 0 at a restart; then flights are larger for a "
        "while, which is as it should be.",
        [(total("errsift_known_errors", "instance"), "{{instance}}")], "short", 12, 8,
    ),
)

JOURNAL = row(
    "Journal, apply and ledger",
    graph(
        "ages",
        "Saw teeth up to the flush interval are well. A line that climbs without a tooth is an "
        "apply that does not get through: see `failures`, then the MySQL row.",
        [(f"max(errsift_journal_oldest_seconds{OF})", "oldest in the journal"),
         (f"max(errsift_frontier_lag_seconds{OF})", "frontier"),
         (f"max(errsift_flush_interval_seconds{OF})", "flush interval")], "s", 8, 8,
    ),
    graph(
        "journal",
        "Bytes that Redis gives for jobs that are not applied. Growing through several flush "
        "intervals: compare with Redis's limit below and count the hours.",
        [(total("errsift_journal_bytes"), "in the journal"),
         (total("errsift_apply_backlog_bytes"), "of these also in memory")], "bytes", 8, 8,
    ),
    graph(
        "jobs and epochs",
        "Jobs grow within an epoch and go at its end. Epochs above 2: MySQL does not keep up.",
        [(total("errsift_journal_jobs"), "jobs"),
         (f"max(errsift_frontier_lag_epochs{OF})", "epochs behind"),
         (rate("errsift_applied_epochs_total"), "epochs applied/s")], "short", 8, 8,
    ),
    graph(
        "rows applied",
        "Counts come in bursts, one for each flush; details at once. Counts per event is what "
        "folding saves MySQL. Set aside is what it refuses: `errsift dead list`.",
        [(rate("errsift_count_rows_total"), "counts"),
         (rate("errsift_details_rows_total"), "details"),
         (rate("errsift_set_aside_rows_total"), "set aside")], "rowsps", 8, 8,
    ),
    graph(
        "failures",
        "All at 0. Retries: MySQL refuses or is away, errsift goes on trying. Threads failing for "
        "minutes: `errsift check`. Pending lost: only live counts were late. Went back: Redis came "
        "back without its last flights, healed if jobs were given back, else acked events are lost.",
        [(rate("errsift_errors_retries_total"), "retries/s"),
         (total("errsift_errors_failing"), "threads failing"),
         (rate("errsift_pending_lost_total"), "pending lost/s"),
         (rate("errsift_set_aside_events_total"), "events set aside/s"),
         (total("errsift_journal_regressions_total"), "journal went back"),
         (total("errsift_journal_healed_jobs_total"), "jobs given back"),
         (total("errsift_acked_lost_events_total"), "acknowledged and lost"),
         (f"1 - min(errsift_journal_up{OF})", "journal down"),
         (f"1 - min(errsift_errors_up{OF})", "tables down")], "short", 8, 8,
    ),
    graph(
        "ledger difference",
        "0 at any time, or a promise is broken. Stop and read docs/runbooks.md before restarting "
        "anything: a restart loses the evidence of the acked side.",
        [(total("errsift_ledger_difference", "instance, side"), "{{side}} {{instance}}")],
        "none", 8, 8, signed=True, decimals=0,
    ),
    graph(
        "ledger",
        "Journaled is the sum of counted, pending, dead and dropped. Pending that only grows is an apply "
        "that stands still.",
        [(total(f"errsift_{name}_events"), name) for name in
         ["journaled", "counted", "pending", "dead", "dead_dropped"]], "short", 12, 8,
    ),
    graph(
        "events sent again",
        "Events whose id came before are answered and not counted. Crowded out above 0: more ids "
        "than errsift remembers, and some may count twice when they come again.",
        [(rate("errsift_duplicates_total"), "left out/s"),
         (rate("errsift_event_ids_crowded_out_total"), "crowded out/s"),
         (total("errsift_event_ids"), "ids remembered")], "short", 12, 8,
    ),
    graph(
        "epoch applied and term",
        "The epoch is a time and moves at each flush. A term that grows without a restart of yours "
        "is another process that claims the shard: ErrsiftFenced.",
        [(f"time() - max by (instance) (errsift_applied_epoch{OF})", "age of the epoch {{instance}}"),
         (f"max by (instance) (errsift_term{OF})", "term {{instance}}")],
        "short", 12, 8,
    ),
)

PROCESS = row(
    "Process",
    graph(
        "memory",
        "Steady under a steady load. The apply backlog is bounded at 256 MiB; what grows beyond "
        "that is a defect to report.",
        [(f"process_resident_memory_bytes{JOB}", "{{instance}}")], "bytes", 6, 7,
    ),
    graph(
        "processors",
        "Cores in use. At the container's limit everything waits: compare with `processor time "
        "denied`.",
        [(f"rate(process_cpu_seconds_total{JOB}{RATE})", "{{instance}}")], "short", 6, 7,
    ),
    graph(
        "open files and threads",
        "Connections are files. Near the limit no further connection is accepted: raise `ulimit -n` "
        "above the connection limit.",
        [(f"process_open_fds{JOB}", "open {{instance}}"),
         (f"process_max_fds{JOB}", "limit {{instance}}"),
         (f"process_threads{JOB}", "threads {{instance}}")], "short", 6, 7, log=True,
    ),
    bars(
        "builds and durability",
        "What runs, and when it says that an event is stored. Two builds are a deploy under way; "
        "anything but fsync or replicated can lose acked events with the power.",
        [(f"max by (version, commit) (errsift_uptime_seconds{OF} * on (instance) "
          f"group_left (version, commit) errsift_build_info{OF})", "up: {{version}} {{commit}}"),
         (f"max by (asked) (errsift_uptime_seconds{OF} * on (instance) group_left (asked) "
          f"errsift_durability_info{OF})", "durability: {{asked}}")],
        "s", 6, 7,
    ),
)
