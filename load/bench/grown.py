"""Rows about what grows: with the errors that were seen, and with the workers."""

import json
import os
import subprocess

from loads import Closed, Open, spread
from rows import applied, await_tables, found
from servers import Failed, Stack

#: distinct errors seen in all, up to which a repeated event's cost is measured; the target's is 10^7
GROWTH_MAX = int(os.environ.get("BENCH_GROWTH_MAX", "1000000"))
WORKERS_EVENTS = 150_000
SOAK_S = int(os.environ.get("BENCH_SOAK_S", "1800"))
SOAK_RATE = int(os.environ.get("BENCH_SOAK_RATE", "3000"))
#: a round of the soak, and of it what has an error of its own for each event
ROUND_S, UNIQUE_S = 30, 6
TRACE_BYTES = 1_800


def growth(bench):
    """CPU of a repeated event when ever more distinct errors were seen, against the first thousand"""
    costs, seen = {}, 1_000
    with Stack() as stack:
        _, errsift = bench.pair(stack)
        while seen <= GROWTH_MAX:
            while errsift.metric("errsift_acked_events_total") < seen:
                Closed(errsift, 64, 2, "mix:0")
                await_tables(errsift)
            runs = [Closed(errsift, 256, bench.seconds).cpu_us for _ in range(bench.runs)]
            costs[seen] = spread(runs)
            await_tables(errsift)
            seen *= 10
    medians = [cost["median"] for cost in costs.values()]
    value = max(medians) / medians[0]
    named = {f"seen_{seen}_cpu_us": cost for seen, cost in costs.items()}
    return found(value, 1.5, True, unit="× the first", **named)


def soak(bench):
    """RSS in half an hour of a steady rate, a fifth of it new errors: the last sixth against the middle"""
    rounds = max(6, SOAK_S // ROUND_S)
    rss = []
    with Stack() as stack:
        errsift = stack.errsift(bench.binaries["errsift"])
        for run in range(rounds):
            for distinct, seconds in ((200, ROUND_S - UNIQUE_S), (0, UNIQUE_S)):
                Open(bench.binaries["open"], errsift, SOAK_RATE, seconds, 64, distinct, run)
            rss.append(errsift.memory_bytes("VmRSS"))
        acked = errsift.metric("errsift_acked_events_total")
        applied(errsift)
    sixth = rounds // 6
    middle, last = (spread(rss[at : at + sixth]) for at in (rounds // 2, rounds - sixth))
    return found(
        last["median"] / middle["median"],
        1.1,
        True,
        unit="×",
        events=acked,
        middle_bytes=middle,
        last_bytes=last,
        high_bytes=max(rss),
    )


def workers(bench):
    """two workers against one: unique events of 2 KiB, folded in process, without stores and HTTP"""
    with Stack() as stack:
        log = stack.path / "unique.ndjson"
        write_unique(log)
        runs = [[folded(bench, log, count) for count in (1, 2)] for _ in range(bench.runs)]
    one, two = (spread([run[at] for run in runs]) for at in (0, 1))
    paired = spread([run[1] / run[0] for run in runs])
    value = two["median"] / one["median"]
    return found(value, 1.6, unit="×", paired=paired, one_per_s=one, two_per_s=two)


def folded(bench, log, count):
    """Events a second that are read, named and counted by so many workers."""
    replay = [bench.binaries["errsift"], "replay", "--dry-run", "--json", "--workers", str(count), log]
    answer = json.loads(subprocess.check_output(replay, text=True, stderr=subprocess.DEVNULL))
    if answer["events"] != WORKERS_EVENTS:
        raise Failed(f"{answer['events']} of {WORKERS_EVENTS} events were counted")
    return answer["events"] / answer["seconds"]


def write_unique(path):
    with open(path, "w") as out:
        for number in range(WORKERS_EVENTS):
            trace = f"    at handle{number} (/app/api.js:{number % 997}:5)" * (TRACE_BYTES // 40)
            event = {
                "message": f"Order {number:012} was not found",
                "stackTrace": trace[:TRACE_BYTES],
                "timestamp": 1_700_000_000_000 + number,
            }
            out.write(json.dumps(event) + "\n")
