"""errsift · operators: the dataflow, drawn as rows in its own order."""

from frame import VARIABLES, WORKER, dashboard
from panels import OURS, RATE, RED, YELLOW, bars, graph, row, steps

# (dataflow, operator, what flows, what it does, what to do when it is the busy one)
FLOW = [
    ("ingest", "Decode", "bodies → events",
     "Reads a body as an event.",
     "Busy here means large bodies: look at the batch sizes and stack traces that clients send."),
    ("ingest", "Refuse", "bodies that are not events",
     "Answers 400 to a body that is not an event.",
     "Records here are a client's mistake: the server's log names the field."),
    ("ingest", "Fingerprint", "events → events with their fingerprint",
     "SHA-256 of the canonical form.",
     "Its cost follows the length of messages; about a microsecond each is well."),
    ("ingest", "FoldIds", "events → those that did not come before",
     "Leaves out events whose id came before. Those without an id pass in whole batches.",
     "Far fewer out than in: a client sends again what was stored, look at its time-outs."),
    ("ingest", "AnswerRepeated", "events that came before",
     "Answers those whose event came before as that one was answered.",
     "Records here are events sent again: a client's time-out may be shorter than the ack latency."),
    ("ingest", "FoldBatchIds", "batches → what did not come before of them",
     "Leaves out events of batches whose id came before. A record is a batch, folded by the front end.",
     "Busy here means that the events of batches have ids; without, a batch passes at once."),
    ("ingest", "AnswerBatches", "batches of which nothing goes on",
     "Answers those of whose batches all came before, or must wait no longer to hear of it.",
     "Records here are batches sent again: a client's time-out may be shorter than the ack latency."),
    ("ingest", "Tally", "events → a flight's tallies",
     "Folds a flight's events by fingerprint and window. One record out is a whole flight, with all "
     "that wait for it.",
     "ns per record grows with the share of errors never seen before; compare the dedup ratio."),
    ("ingest", "Journal", "tallies → executed flights",
     "Seals a flight, hands it to the journal and waits. Busy time is the sealing; the waiting is "
     "not in it: see `commit` in the latency by stage.",
     "Few records in and a full channel: the journal is slow, go to the overview's Redis row."),
    ("ingest", "HandOver", "executed flights → apply",
     "Gives each executed flight to the apply workers.",
     "A queue here that stays means that apply's memory is full; flights are then read back."),
    ("apply", "ByPart", "entries → the worker of their part",
     "Exchanges entries by the top bits of the fingerprint. Records out differ by worker as the "
     "fingerprints do.",
     "One worker with far more than the others: one part of the fingerprints is hot, and more "
     "workers will not help."),
    ("apply", "FirstSeen", "entries → words of new errors, and entries",
     "Splits off the details of errors that this worker has not passed on. Its second output is as "
     "large as its input.",
     "More out than in says how many errors are new; compare with StoreDetails."),
    ("apply", "StoreDetails", "words → MySQL, at once",
     "Has new errors' details written and holds the epoch until they are.",
     "A queue or a lag with little busy time: MySQL is slow, go to `insert_details` on the overview."),
    ("apply", "Pending", "entries → counts not yet applied",
     "Adds up what each error has grown by within the open epoch, once a second.",
     "Records out follow distinct errors per second, not events."),
    ("apply", "KeepPending", "counts not yet applied → Redis",
     "Has them added to Redis, so that reads see them before the epoch closes.",
     "Never in the way of an epoch: if it lags, only live counts are late."),
    ("apply", "WindowUpdates", "entries → updates of windows",
     "Turns entries into (fingerprint, window) with a tally.",
     "Only busy together with ByPart; compare their records."),
    ("apply", "WindowCounts", "updates → an epoch's batch",
     "Holds the open epoch's counts and lets them go when the epoch closes. One record out is a "
     "whole epoch, so there is one for each flush interval.",
     "Nothing out for longer than the flush interval: the epoch does not close, look at the "
     "frontier's lag."),
    ("apply", "AsCollection", "an epoch's batch → its rows",
     "Reads an epoch's counts out of the batch, in one burst for each flush interval.",
     "Its height against ByPart's records in is what folding saves MySQL."),
    ("apply", "ApplyCounts", "an epoch's counts → MySQL",
     "Has counts upserted and holds the epoch until they are in.",
     "A lag with little busy time here is MySQL's: go to `apply` on the overview."),
]
PLUMBING = {
    "ingest": ["UnorderedInput", "Probe"],
    "apply": ["Input", "Concatenate", "Probe"],
}


def selector(dataflow, operator):
    return f'{{dataflow="{dataflow}",operator="{operator}",{OURS},worker=~"$worker"}}'


def per_worker(name, of):
    return f"sum by (worker) (rate(errsift_operator_{name}{of}{RATE}))"


def operator_row(number, dataflow, operator, flows, does, then):
    of = selector(dataflow, operator)
    records_in, busy = per_worker("records_in_total", of), per_worker("busy_seconds_total", of)
    return row(
        f"{dataflow} {number} · {operator}: {flows}",
        graph(
            "records/s in and out", f"{does} {then}",
            [(records_in, "in, worker {{worker}}"),
             (per_worker("records_out_total", of), "out, worker {{worker}}")],
            "recps", 6, 6,
        ),
        graph(
            "busy share",
            f"Share of the time that the operator ran. {does} The highest of all operators is where "
            "a worker's time goes; near 1 this operator is the limit.",
            [(busy, "worker {{worker}}")], "percentunit", 6, 6,
            steps((0.7, YELLOW), (0.9, RED)),
        ),
        graph(
            "time per record",
            f"Busy time for each record received. Steady under load is well; growing with load is "
            f"not. {then}",
            [(f"{busy} / ({records_in} > 0) * 1e9", "worker {{worker}}")], "ns", 6, 6,
        ),
        graph(
            "queue",
            "Records sent to it by any worker that it has not received: above 0 for long, the "
            f"operator is behind those before it. {then}",
            [(f"sum by (worker) (errsift_operator_queue_records{of})", "worker {{worker}}")],
            "short", 6, 6,
        ),
    )


def worker_panels(dataflow):
    of = f'{{dataflow="{dataflow}",{OURS},worker=~"$worker"}}'
    busy = f"sum by (worker) (rate(errsift_worker_busy_seconds_total{of}{RATE}))"
    parked = f"sum by (worker) (rate(errsift_worker_parked_seconds_total{of}{RATE}))"
    return [
        graph(
            f"{dataflow}: busy against parked",
            "Busy near 1 is a worker at its limit: find the highest operator below. Neither busy "
            "nor parked is time that the machine gave to others: look at the container's CPU.",
            [(busy, "busy, worker {{worker}}"), (parked, "parked, worker {{worker}}")],
            "percentunit", 8, 7, max=1,
        ),
    ]


def shares():
    """The busy share of each operator as a bar, in the dataflow's order."""
    return [
        (
            "sum(rate(errsift_operator_busy_seconds_total"
            f"{selector(dataflow, operator)}{RATE}))",
            f"{dataflow} · {operator}",
        )
        for dataflow, operator, *_ in FLOW
    ]


def plumbing(dataflow, names):
    of = selector(dataflow, "|".join(names)).replace("operator=", "operator=~")
    moved = f"sum by (operator) (rate(errsift_operator_records_%s_total{of}{RATE}))"
    return [
        graph(
            f"{dataflow}: records/s in and out",
            "Timely's own operators. What leaves the input is what the dataflow was given: compare "
            "it with the first operator's.",
            [(moved % "in", "in, {{operator}}"), (moved % "out", "out, {{operator}}")],
            "recps", 6, 6,
        ),
        graph(
            f"{dataflow}: schedules/s",
            "How often each operator ran. Many more schedules than records is a worker that wakes "
            "for nothing.",
            [("sum by (operator) (rate(errsift_operator_schedules_total"
              f'{{dataflow="{dataflow}",{OURS},worker=~"$worker"}}{RATE}))', "{{operator}}")],
            "ops", 6, 6, legend=False,
        ),
    ]


def operator_rows():
    numbers = {"ingest": 0, "apply": 0}
    for dataflow, operator, flows, does, then in FLOW:
        numbers[dataflow] += 1
        yield operator_row(numbers[dataflow], dataflow, operator, flows, does, then)


DASHBOARD = dashboard(
    "errsift-operators",
    "errsift · operators",
    "The dataflow in its own order, ingest and then apply, four panels for each operator. Start "
    "with the workers: which is busy, then which operator makes it so.",
    [*VARIABLES, WORKER],
    [
        row(
            "Workers",
            *worker_panels("ingest"),
            *worker_panels("apply"),
            graph(
                "frontier lag",
                "Age of the oldest event that is not in the tables, and the flush interval that it "
                "may reach in good health. Above twice the interval: apply is behind, see "
                "StoreDetails and ApplyCounts.",
                [(f"max by (instance) (errsift_frontier_lag_seconds{{{OURS}}})", "lag {{instance}}"),
                 (f"max(errsift_flush_interval_seconds{{{OURS}}})", "flush interval")],
                "s", 8, 7,
            ),
            bars(
                "busy share by operator, in the dataflow's order",
                "Where a worker's time goes now. The longest bar is the row to open; all short and "
                "the channel full means that nobody computes and the journal is waited for.",
                shares(), "percentunit", 12, 11, steps((0.7, YELLOW), (0.9, RED)), max=1,
            ),
            graph(
                "epochs behind",
                "Epochs that have reached apply and are not in the tables: 1 is the open one. "
                "Growing means that the tables do not keep up or do not answer.",
                [(f"max by (instance) (errsift_frontier_lag_epochs{{{OURS}}})", "{{instance}}")],
                "short", 6, 11, steps((3, YELLOW), (10, RED)),
            ),
            graph(
                "channel",
                "Events that wait for the ingest worker. Filling up while Decode and Tally are idle "
                "is a slow journal; filling up while they are busy is a worker at its limit.",
                [(f"sum by (instance) (errsift_channel_depth{{{OURS}}})", "depth {{instance}}")],
                "short", 6, 11,
            ),
        ),
        *operator_rows(),
        row(
            "Timely's own operators",
            *[panel for dataflow, names in PLUMBING.items() for panel in plumbing(dataflow, names)],
        ),
    ],
)
