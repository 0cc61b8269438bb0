"""errsift · overview: is it well, and if not, where."""

import stores
from panels import (
    BLUE, GREEN, OURS, RATE, RED, VARIABLES, YELLOW, bars, dashboard, graph, row, steps, verdict,
)

JOB = f'{{job="errsift",{OURS}}}'
OF = f"{{{OURS}}}"
POSTS = f'{{job="errsift",method="POST",{OURS}}}'


def rate(name, of=OF, by=""):
    by = f" by ({by})" if by else ""
    return f"sum{by} (rate({name}{of}{RATE}))"


def quantile(q, histogram, of=OF, by=""):
    by = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(histogram + '_bucket', of, by)})"


def quantiles(histogram, of=OF):
    return [(quantile(q, histogram, of), name) for q, name in
            [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")]]


def total(name, by=""):
    return f"sum{f' by ({by})' if by else ''} ({name}{OF})"


VERDICT = row(
    "Verdict",
    verdict(
        "acked/s",
        "Events answered as stored. 0 under load: look at 5xx, then at the journal.",
        rate("errsift_acked_events_total"), "eps", steps(base=BLUE), decimals=0,
    ),
    verdict(
        "p99 of an ack",
        "From an event's offer until it is durable. Above 50 ms: open the latency by stage; the "
        "highest stage names the next panel.",
        quantile(0.99, "errsift_ack_seconds"), "s", steps((0.05, YELLOW), (0.25, RED)),
    ),
    verdict(
        "5xx",
        "Share of reports that the server could not store. Above 0: see `not acknowledged, by "
        "reason`; a full channel and a journal that is down look alike only here.",
        f'(sum(rate(http_requests_total{POSTS[:-1]},status=~"5.."}}{RATE})) or vector(0))'
        f" / sum(rate(http_requests_total{POSTS}{RATE}))",
        "percentunit", steps((0.0001, YELLOW), (0.001, RED)), decimals=2,
    ),
    verdict(
        "journal age",
        "Age of the oldest event that is not in the tables, measured in flush intervals. Below 2 is "
        "well. Above: see `ages`, and the alert ErrsiftApplyStalled in docs/runbooks.md.",
        f"max(errsift_journal_oldest_seconds{OF} / errsift_flush_interval_seconds{OF})",
        "none", steps((2, YELLOW), (4, RED)), decimals=1,
    ),
    verdict(
        "dead letters",
        "Rows that MySQL refused as data. They stay until somebody looks: "
        "`SELECT * FROM dead_letters`, then docs/runbooks.md.",
        total("errsift_dead_letters"), "none", steps((1, YELLOW)), decimals=0,
    ),
    verdict(
        "ledger difference",
        "Events that are missing (above 0) or there twice (below 0). It is 0 at any load; anything "
        "else is a broken promise: docs/runbooks.md, ErrsiftLedgerBroken.",
        f"max(abs(errsift_ledger_difference{OF}))", "none", steps((1, RED)), decimals=0,
    ),
    verdict(
        "stores",
        "1 while the journal takes flights and the tables answer. 0.5: one of the two is down; see "
        "`failures`. Acks go on while only the tables are down.",
        f"min((errsift_journal_up{OF} + errsift_errors_up{OF}) / 2)",
        "none", steps((0.5, YELLOW), (1, GREEN), base=RED),
    ),
    verdict(
        "weaker settings",
        "Settings of the stores that are weaker than the promise asks for. Above 0: `errsift check` "
        "names them; set them before the next power cut.",
        f"max(errsift_weaker_settings{OF} + errsift_weaker_allowed{OF})", "none",
        steps((1, RED)), decimals=0,
    ),
)

FUNNEL = row(
    "From the request to the tables",
    graph(
        "accepted → acked → applied",
        "Three lines that lie on one another. Acked below accepted: events are turned away, see the "
        "next panel. Applied below acked: apply is behind, see `ages`. Applied moves at flushes, so "
        "it is looked at over two minutes.",
        [(rate("errsift_received_events_total"), "accepted"),
         (rate("errsift_acked_events_total"), "acked"),
         (f"sum(rate(errsift_counted_events{OF}[2m]))", "applied, over 2 min")],
        "eps", 12, 9,
    ),
    graph(
        "not acknowledged, by reason",
        "Shed: the channel was full, so the journal is too slow or the worker at its limit. Not "
        "stored, maybe stored: Redis failed. Invalid: a client's mistake. Dropped: given up before "
        "it was sent.",
        [(rate(f"errsift_{name}_events_total"), name.replace("_", " "))
         for name in ["shed", "invalid", "not_stored", "maybe_stored", "dropped", "clamped"]],
        "eps", 6, 9,
    ),
    graph(
        "answers by status",
        "503 tells the client to come back and is in the SLO; 4xx is the client's. A rise of 429 or "
        "413 is a limit that somebody reached: docs/http.md.",
        [(rate("http_requests_total", JOB, "status"), "{{status}}")], "reqps", 6, 9,
    ),
)

STAGES = "errsift_flight_seconds"
LATENCY = row(
    "Latency",
    graph(
        "ack",
        "From an event's offer until the journal says that it is durable. Compare with the sum of "
        "the stages beside it; a p99 far from p95 is one slow commit in many.",
        quantiles("errsift_ack_seconds"), "s", 8, 9, steps((0.05, YELLOW), (0.25, RED)),
    ),
    graph(
        "mean by stage",
        "Where an ack's time goes; the colours add up. Channel: the worker is late, open the "
        "operators. Forming: waits for the flight before it. Sealing: processor time. Commit: Redis "
        "and its disk. Settling: the worker is late to hear of it.",
        [(f"{rate('errsift_channel_wait_seconds_sum')} / {rate('errsift_channel_wait_seconds_count')}",
          "channel"),
         (f"{rate(STAGES + '_sum', OF, 'stage')} / {rate(STAGES + '_count', OF, 'stage')}",
          "{{stage}}")],
        "s", 8, 9, stack=True,
    ),
    graph(
        "p95 by stage",
        "The stage that rises with the load is the one to look at: commit → Redis row, sealing or "
        "settling → operators dashboard, channel → both.",
        [(quantile(0.95, "errsift_channel_wait_seconds"), "channel"),
         (quantile(0.95, STAGES, OF, "stage"), "{{stage}}")], "s", 8, 9,
    ),
    graph(
        "requests, p95 by route",
        "From a request's head to its answer. Higher than the ack of the same time: slow clients, or "
        "the front end waits for a processor.",
        [(quantile(0.95, "http_request_duration_seconds", JOB, "route"), "{{route}}")], "s", 12, 8,
    ),
    graph(
        "requests and connections",
        "At the limit further connections wait in the kernel, which clients see as latency: raise "
        "the limit or reuse connections. Many accepted per second: clients do not keep theirs open.",
        [(f"sum(http_requests_in_flight{JOB})", "requests in flight"),
         (f"sum(http_connections_open{JOB})", "connections open"),
         (f"sum(http_connections_limit{JOB})", "limit"),
         (f"sum(rate(http_connections_accepted_total{JOB}{RATE}))", "accepted/s")],
        "short", 12, 8, log=True,
    ),
)

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
        "answer was lost and is looked up. Paged: apply reads them back, as its memory was full.",
        [(rate("errsift_flights_total"), "executed"),
         (rate("errsift_refused_flights_total"), "refused"),
         (rate("errsift_unknown_flights_total"), "unknown"),
         (rate("errsift_paged_flights_total"), "paged")], "ops", 6, 8,
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
        "folding saves MySQL.",
        [(rate("errsift_count_rows_total"), "counts"),
         (rate("errsift_details_rows_total"), "details")], "rowsps", 8, 8,
    ),
    graph(
        "failures",
        "All at 0. Retries: MySQL refuses or is away, errsift goes on trying. Threads failing for "
        "minutes: `errsift check`. Pending lost: only live counts were late.",
        [(rate("errsift_errors_retries_total"), "retries/s"),
         (total("errsift_errors_failing"), "threads failing"),
         (rate("errsift_pending_lost_total"), "pending lost/s"),
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
        "Journaled is the sum of counted, pending and dead. Pending that only grows is an apply "
        "that stands still.",
        [(total(f"errsift_{name}_events"), name) for name in
         ["journaled", "counted", "pending", "dead"]], "short", 12, 8,
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

DASHBOARD = dashboard(
    "errsift-overview",
    "errsift · overview",
    "The first row says whether errsift is well. Below it, in the order of an event's way: request, "
    "flight, journal, tables; then the stores, the containers and the load, on the same time axis.",
    VARIABLES,
    [VERDICT, FUNNEL, LATENCY, FLIGHTS, JOURNAL, stores.REDIS, stores.MYSQL, stores.CONTAINERS,
     PROCESS, stores.K6],
)
