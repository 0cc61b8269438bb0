"""Rows that take minutes: what is stored, what memory it takes, and what an event costs in instructions."""

import hashlib
import os
import re
import subprocess
import sys
import time

from loads import Closed, Open, spread
from rows import FLUSH_S, applied, await_tables, found
from servers import ROOT, Failed, Stack, command, stop

UNIQUE_S = int(os.environ.get("BENCH_UNIQUE_S", "120"))
#: until the words of all are stored
WORDS_S = 900
MEMORY_EVENTS = int(os.environ.get("BENCH_MEMORY_EVENTS", "1000000"))
#: flush interval while they arrive; it ends early when its jobs have grown too large to keep
EPOCH_S = int(os.environ.get("BENCH_MEMORY_EPOCH_S", "120"))
#: what still comes after them; longer than jobs are kept for a Redis that loses them, which is 15 s
TRICKLE_RATE, TRICKLE_S = 10, 20
PIECE_S = 10
#: of the rate at which the tables catch up, what is sent for long; again of that if it is too much
SUSTAINED = 0.8
#: events a second with which nothing is worth measuring
RATE_MIN = 500
#: rows of one statement, as errsift has them
ROWS_MAX = 1000
STACK = "Error: ECONNREFUSED at Socket.connect (/app/db/pool.js:121:17)" * 2


def unique(bench):
    """all events unique, at a rate that the tables keep up with, against raw multi-row statements"""
    flags = ("--flush-interval", f"{FLUSH_S}s")
    with Stack() as stack:
        rate = catching_up(stack.errsift(bench.binaries["errsift"], flags=flags))
    sustained = None
    while sustained is None:
        rate *= SUSTAINED
        if rate < RATE_MIN:
            raise Failed(f"the tables do not keep up with {rate:.0f} events/s")
        # from empty tables each time, as the raw load does
        with Stack() as stack:
            errsift = stack.errsift(bench.binaries["errsift"], flags=flags)
            sustained = sustain(bench, errsift, rate)
    lags, wait_s = sustained
    with Stack() as stack:
        errsift = stack.errsift(bench.binaries["errsift"])
        stop(errsift.process)
        raw = raw_rate(errsift.database, round(rate * UNIQUE_S), stack)
    return found(
        rate / raw,
        0.4,
        unit="× raw load",
        applied_per_s=rate,
        raw_per_s=raw,
        applied_after_s=wait_s,
        behind_events=spread(lags),
    )


def sustain(bench, errsift, rate):
    """Sends unique events at this rate for long: after each piece how many were not applied, and how
    long the last took. `None` as soon as more than two epochs' are not."""
    lags = []
    for run in range(max(1, UNIQUE_S // PIECE_S)):
        Open(bench.binaries["open"], errsift, rate, PIECE_S, 256, distinct=0, run=run)
        acked = errsift.metric("errsift_journaled_events")
        # counted, and their words stored
        lags.append(acked - min(errsift.database.counted(), errsift.database.stored()))
        if lags[-1] > 2 * (FLUSH_S + 1) * rate:
            print(f"unique: {lags[-1]:.0f} behind at {rate:.0f}/s", file=sys.stderr, flush=True)
            return None
    return lags, await_words(errsift)


def await_words(errsift):
    """Waits until all that was acknowledged is counted and has its words; how long that took. Words may
    be stored after what they are the words of is counted."""
    begun = time.monotonic()
    await_tables(errsift)
    # each event is an error of its own
    acked = errsift.metric("errsift_acked_events_total")
    while errsift.database.stored() < acked:
        if time.monotonic() - begun > WORDS_S:
            raise Failed(f"words not stored after {WORDS_S} s")
        time.sleep(1)
    return time.monotonic() - begun


def catching_up(errsift):
    """Unique events a second that get into the tables when more come than they take."""
    before, begun = errsift.database.counted(), time.monotonic()
    Closed(errsift, 256, 2 * PIECE_S, "mix:0")
    await_words(errsift)
    return (errsift.database.counted() - before) / (time.monotonic() - begun)


def raw_rate(database, rows, stack):
    """Loads as many rows into empty tables by two connections, beside nothing else."""
    halves = (range(0, rows // 2), range(rows // 2, rows))
    scripts = [write_half(stack.path / f"raw_{half.start}.sql", half) for half in halves]
    client = [command("mariadb"), f"--defaults-file={database.options}", "errsift"]
    begun = time.monotonic()
    loads = [subprocess.Popen(client, stdin=open(script)) for script in scripts]
    if any([load.wait() for load in loads]):
        raise Failed("the raw load failed")
    return rows / (time.monotonic() - begun)


def write_half(path, numbers):
    with open(path, "w") as out:
        out.write("SET autocommit = 0;\n")
        for start in range(numbers.start, numbers.stop, ROWS_MAX):
            write_rows(out, start, min(ROWS_MAX, numbers.stop - start))
            if start // ROWS_MAX % 10 == 9:
                out.write("COMMIT;\n")
        out.write("COMMIT;\n")
    return path


def write_rows(out, start, count):
    numbers = range(start, start + count)
    keys = sorted((hashlib.sha256(f"order {number}".encode()).hexdigest(), number) for number in numbers)
    details = ",".join(
        f"(x'{key}',1,'Order {number:012} was not found','{STACK}','[]')" for key, number in keys
    )
    out.write(
        "INSERT IGNORE INTO error_details (fingerprint,`rule`,message,stack_trace,tags)"
        f" VALUES {details};\n"
    )
    seen = "'2026-01-01 00:00:00.000'"
    counts = ",".join(f"(x'{key}',1,{seen},{seen})" for key, _ in keys)
    out.write(
        f"INSERT INTO error_counts (fingerprint,`count`,first_seen,last_seen) VALUES {counts}"
        " ON DUPLICATE KEY UPDATE `count`=`count`+VALUES(`count`);\n"
    )
    windows = ",".join(f"('2026-01-01 00:00:00',x'{key}',1)" for key, _ in keys)
    out.write(
        f"INSERT INTO error_windows (window_start,fingerprint,`count`) VALUES {windows}"
        " ON DUPLICATE KEY UPDATE `count`=`count`+VALUES(`count`);\n"
    )


def memory(bench):
    """RSS while a million distinct errors of 300 B arrive within one flush interval"""
    with Stack() as stack:
        flags = ("--flush-interval", f"{EPOCH_S}s")
        errsift = stack.errsift(bench.binaries["errsift"], flags=flags)
        while errsift.metric("errsift_acked_events_total") < MEMORY_EVENTS:
            Closed(errsift, 256, 5, "mix:0")
        acked = errsift.metric("errsift_acked_events_total")
        await_words(errsift)
        time.sleep(5)
        still = errsift.memory_bytes("VmRSS")
        # the jobs that a Redis which lost them is given again are let go as others follow
        Open(bench.binaries["open"], errsift, TRICKLE_RATE, TRICKLE_S, 1)
        high = errsift.memory_bytes("VmHWM")
        after = errsift.memory_bytes("VmRSS")
    row = found(
        high, 1e9, True, unit="bytes", events=acked, rss_still_bytes=still, rss_after_bytes=after
    )
    row["met"] = row["met"] and after <= 200e6
    return row


def instructions(bench):
    """instructions of a repeated event in errsift's own process, by callgrind"""
    per_event = {}
    for name in ("limit", "errsift"):
        few, many = (counted(bench, name, seconds) for seconds in (3, 9))
        per_event[name] = (many[0] - few[0]) / (many[1] - few[1])
    value = per_event["errsift"] / per_event["limit"]
    return found(
        value,
        1.5,
        True,
        unit="× limit",
        limit_instructions=per_event["limit"],
        errsift_instructions=per_event["errsift"],
    )


def counted(bench, name, seconds):
    """Instructions of a whole life of the server, and the requests in it."""
    wrapper = ROOT / "load/bench/callgrind"
    with Stack() as stack:
        os.environ["CALLGRIND_BINARY"] = str(bench.binaries[name])
        if name == "limit":
            server = stack.limit(wrapper)
        else:
            server = stack.errsift(wrapper, flags=("--watchdog", "off"))
        requests = Closed(server, 64, seconds).requests
        server.process.terminate()
        server.process.wait(120)
        log = (stack.path / f"{server.name}.log").read_text(errors="replace")
    collected = re.search(r"Collected : (\d+)", log)
    if collected is None:
        raise Failed(f"callgrind counted nothing of {name}")
    return int(collected.group(1)), requests
