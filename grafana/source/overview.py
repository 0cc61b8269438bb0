"""errsift · overview: is it well, and if not, where."""

import inside
import stores
from expressions import JOB, OF, POSTS, quantile, quantiles, rate, total
from frame import VARIABLES, dashboard
from panels import BLUE, GREEN, RATE, RED, YELLOW, graph, row, steps, verdict

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
        "Rows that MySQL refused as data, and jobs of the journal that cannot be read. They stay "
        "until somebody looks: docs/runbooks.md, ErrsiftDeadLetters.",
        f"{total('errsift_dead_letters')} + {total('errsift_dead_jobs')}", "none", steps((1, YELLOW)), decimals=0,
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
        "next panel. Applied moves at flushes, so it is looked at over a minute and comes after the "
        "others; below them for minutes, apply is behind: see `ages`.",
        [(rate("errsift_received_events_total"), "accepted"),
         (rate("errsift_acked_events_total"), "acked"),
         (f"sum(rate(errsift_counted_events{OF}[1m]))", "applied, over a minute")],
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
        "Where a flight's time goes; the colours add up. Channel: the worker is late, open the "
        "operators. Forming: waits for the flight before it. Sealing: processor time. Commit: Redis "
        "and its disk. Settling: the worker is late to hear of it. Large flights are the slow ones, "
        "so an ack's p95 is above the sum.",
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

DASHBOARD = dashboard(
    "errsift-overview",
    "errsift · overview",
    "The first row says whether errsift is well. Below it, in the order of an event's way: request, "
    "flight, journal, tables; then the stores, the containers and the load, on the same time axis.",
    VARIABLES,
    [VERDICT, FUNNEL, LATENCY, inside.FLIGHTS, inside.JOURNAL, stores.REDIS, stores.MYSQL, stores.CONTAINERS,
     inside.PROCESS, stores.K6],
)
