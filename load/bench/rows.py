"""The rows of the table, each a measurement with its target.

A row is a function of a [`Bench`]; it returns what it found as a dictionary with `value`, `target`,
`met`, `unit` and whatever belongs to it. Everything that is compared is measured in turns, in the
same minute; servers start anew for each row, so that no row pays for the one before.
"""

import json
import subprocess
import time

from loads import Closed, Open, spread
from report import number
from servers import Failed, Stack

WARM_UP_S = 2
#: the interval at which errsift applies to the tables while it is measured
FLUSH_S = 1
#: two epochs, and some time for a busy machine
APPLIED_S = 2 * FLUSH_S + 30


class Bench:
    """What is measured, and how long."""

    def __init__(self, binaries, runs, seconds):
        self.binaries, self.runs, self.seconds = binaries, runs, seconds

    def pair(self, stack, store="redis", flags=()):
        """The limit server and errsift, warm."""
        limit = stack.limit(self.binaries["limit"])
        flags = ("--flush-interval", f"{FLUSH_S}s", *flags)
        errsift = stack.errsift(self.binaries["errsift"], store=store, flags=flags)
        for server in (limit, errsift):
            Closed(server, 64, WARM_UP_S)
        return limit, errsift

    def flight(self, stack, flights=2000):
        """One flight's round trip on a Redis of its own, with nothing else on the machine."""
        port = stack.redis("flight")
        command = [self.binaries["flight"], "--to", f"127.0.0.1:{port}", "--flights", str(flights)]
        return json.loads(subprocess.check_output(command, text=True))


def applied(errsift):
    """Waits until what was acknowledged is counted in the tables; how long that took."""
    begun = time.monotonic()
    acked = -1
    while True:
        before, acked = acked, errsift.metric("errsift_acked_events_total")
        counted = errsift.database.counted()
        if before == acked == counted:
            return time.monotonic() - begun
        if time.monotonic() - begun > APPLIED_S:
            raise Failed(f"acknowledged {acked:.0f}, counted {counted} after {APPLIED_S} s")
        time.sleep(0.25)


def await_tables(errsift):
    """As `applied`, as long as the tables take."""
    while True:
        try:
            return applied(errsift)
        except Failed:
            if errsift.process.poll() is not None:
                raise


def found(value, target, at_most=False, **more):
    met = value <= target if at_most else value >= target
    bound = f"{'≤' if at_most else '≥'} {number(target)}"
    return {"value": value, "target": bound, "met": met, **more}


def ratio(bench, connections, target, script="errors", store="redis"):
    """errsift's rate as a part of the limit server's, both closed loops."""
    with Stack() as stack:
        limit, errsift = bench.pair(stack, store)
        runs, waits = [], []
        for _ in range(bench.runs):
            one = [Closed(server, connections, bench.seconds, script) for server in (limit, errsift)]
            runs.append(one)
            waits.append(applied(errsift))
    rates = [spread([run[at].rate for run in runs]) for at in (0, 1)]
    cpu = [spread([run[at].cpu_us for run in runs]) for at in (0, 1)]
    return found(
        rates[1]["median"] / rates[0]["median"],
        target,
        unit="× limit",
        paired=spread([run[1].rate / run[0].rate for run in runs]),
        limit_per_s=rates[0],
        errsift_per_s=rates[1],
        limit_cpu_us=cpu[0],
        errsift_cpu_us=cpu[1],
        errsift_p50_us=spread([run[1].p50_us for run in runs]),
        errsift_p99_us=spread([run[1].p99_us for run in runs]),
        applied_after_s=spread(waits),
    )


def closed_256(bench):
    """repeated errors, 256 connections"""
    return ratio(bench, 256, 0.75)


def closed_64(bench):
    """repeated errors, 64 connections"""
    return ratio(bench, 64, 0.65)


def mix(bench):
    """the predecessor's mix, 256 connections"""
    return ratio(bench, 256, 0.4, script="mix")


def embedded(bench):
    """repeated errors on the embedded store, 256 connections"""
    return ratio(bench, 256, 0.5, store="embedded")


def cpu(bench):
    """CPU of a repeated event, errsift's process alone"""
    row = ratio(bench, 256, 0)
    value = row["errsift_cpu_us"]["median"] / row["limit_cpu_us"]["median"]
    limit, errsift = row["limit_cpu_us"], row["errsift_cpu_us"]
    return found(value, 1.5, True, unit="× limit", limit_cpu_us=limit, errsift_cpu_us=errsift)


def one(bench):
    """one connection: p50 beyond bare hyper's and one flight's"""
    with Stack() as stack:
        flights, runs = [], []
        limit, errsift = bench.pair(stack)
        for _ in range(bench.runs):
            flights.append(bench.flight(stack) if not flights else again(bench, stack))
            runs.append([Closed(server, 1, bench.seconds) for server in (limit, errsift)])
        applied(errsift)
    bare, ours = (spread([run[at].p50_us for run in runs]) for at in (0, 1))
    flight = spread([flight["p50_us"] for flight in flights])
    beyond = ours["median"] - bare["median"] - flight["median"]
    return found(
        beyond, 40, True, unit="µs", limit_p50_us=bare, errsift_p50_us=ours, flight_p50_us=flight
    )


def again(bench, stack):
    """The flight's round trip once more, on the Redis that is there."""
    command = [bench.binaries["flight"], "--to", f"127.0.0.1:{stack.ports['flight']}"]
    return json.loads(subprocess.check_output(command, text=True))


def open_loop(bench):
    """open loop at half of bare hyper's rate, 256 connections: p99"""
    with Stack() as stack:
        limit, errsift = bench.pair(stack)
        rate = Closed(limit, 256, bench.seconds).rate / 2
        flights, runs = [bench.flight(stack)], []
        for _ in range(bench.runs):
            flights.append(again(bench, stack))
            both = (limit, errsift)
            runs.append(
                [Open(bench.binaries["open"], server, rate, bench.seconds, 256) for server in both]
            )
        applied(errsift)
    bare, ours = (spread([run[at]["p99_us"] for run in runs]) for at in (0, 1))
    flight = spread([flight["p99_us"] for flight in flights])
    target = bare["median"] + 2 * flight["median"]
    return found(
        ours["median"],
        target,
        True,
        unit="µs",
        rate_per_s=rate,
        limit_p99_us=bare,
        errsift_p99_us=ours,
        errsift_p50_us=spread([run[1]["p50_us"] for run in runs]),
        flight_p99_us=flight,
    )


def rows():
    """All rows, in the table's order."""
    from costly import instructions, memory, unique
    from grown import growth, soak, workers

    costly = {"unique": unique, "memory": memory, "soak": soak, "growth": growth, "workers": workers}
    return {**ROWS, **costly, "instructions": instructions}


ROWS = {
    "closed-256": closed_256,
    "closed-64": closed_64,
    "mix": mix,
    "one": one,
    "open": open_loop,
    "embedded": embedded,
    "cpu": cpu,
}
