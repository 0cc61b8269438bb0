"""Rows that take minutes: what is stored, what memory it takes, and what an event costs in instructions."""

import hashlib
import os
import re
import subprocess
import time

from loads import Closed, Open, spread
from rows import FLUSH_S, applied, await_tables, found
from servers import ROOT, Failed, Stack, command

UNIQUE_S = int(os.environ.get("BENCH_UNIQUE_S", "120"))
MEMORY_EVENTS = int(os.environ.get("BENCH_MEMORY_EVENTS", "1000000"))
#: flush interval while they arrive; it ends early when its jobs have grown too large to keep
EPOCH_S = int(os.environ.get("BENCH_MEMORY_EPOCH_S", "120"))
PIECE_S = 10
#: of the rate at which the tables catch up, what is sent for long
SUSTAINED = 0.9
RAW_ROWS = 300_000
#: rows of one statement, as errsift has them
ROWS_MAX = 1000
STACK = "Error: ECONNREFUSED at Socket.connect (/app/db/pool.js:121:17)" * 2


def unique(bench):
    """all events unique, at a rate that the tables keep up with, against raw multi-row statements"""
    with Stack() as stack:
        _, errsift = bench.pair(stack)
        await_tables(errsift)
        rate = SUSTAINED * catching_up(errsift)
        lags = []
        for run in range(max(1, UNIQUE_S // PIECE_S)):
            Open(bench.binaries["open"], errsift, rate, PIECE_S, 256, distinct=0, run=run)
            acked = errsift.metric("errsift_journaled_events")
            lags.append(acked - errsift.metric("errsift_counted_events"))
        wait_s = applied(errsift)
        raw = raw_rate(errsift.database, RAW_ROWS, stack)
    row = found(
        rate / raw,
        0.4,
        unit="× raw load",
        applied_per_s=rate,
        raw_per_s=raw,
        applied_after_s=wait_s,
        behind_events=spread(lags),
    )
    # what is not applied yet is of two epochs at most, and does not grow
    row["met"] = row["met"] and max(lags) <= 2 * (FLUSH_S + 1) * rate
    return row


def catching_up(errsift):
    """Unique events a second that get into the tables when more come than they take."""
    before, begun = errsift.database.counted(), time.monotonic()
    Closed(errsift, 256, 2 * PIECE_S, "mix:0")
    await_tables(errsift)
    return (errsift.database.counted() - before) / (time.monotonic() - begun)


def raw_rate(database, rows, stack):
    """Loads as many rows into tables alike, on a machine that does nothing else."""
    sql = stack.path / "raw.sql"
    names = ("error_details", "error_counts", "error_windows")
    with open(sql, "w") as out:
        for name in names:
            out.write(f"CREATE TABLE raw_{name} LIKE {name};\n")
        out.write("SET autocommit = 0;\n")
        for start in range(0, rows, ROWS_MAX):
            write_rows(out, start, min(ROWS_MAX, rows - start))
            if start // ROWS_MAX % 10 == 9:
                out.write("COMMIT;\n")
        out.write("COMMIT;\n")
    client = [command("mariadb"), f"--defaults-file={database.options}", "errsift"]
    begun = time.monotonic()
    with open(sql) as source:
        subprocess.run(client, stdin=source, check=True)
    took = time.monotonic() - begun
    database.run("USE errsift;" + "".join(f"DROP TABLE raw_{name};" for name in names))
    return rows / took


def write_rows(out, start, count):
    numbers = range(start, start + count)
    keys = sorted((hashlib.sha256(f"order {number}".encode()).hexdigest(), number) for number in numbers)
    details = ",".join(
        f"(x'{key}',1,'Order {number:012} was not found','{STACK}','[]')" for key, number in keys
    )
    out.write(
        "INSERT IGNORE INTO raw_error_details (fingerprint,`rule`,message,stack_trace,tags)"
        f" VALUES {details};\n"
    )
    seen = "'2026-01-01 00:00:00.000'"
    counts = ",".join(f"(x'{key}',1,{seen},{seen})" for key, _ in keys)
    out.write(
        f"INSERT INTO raw_error_counts (fingerprint,`count`,first_seen,last_seen) VALUES {counts}"
        " ON DUPLICATE KEY UPDATE `count`=`count`+VALUES(`count`);\n"
    )
    windows = ",".join(f"('2026-01-01 00:00:00',x'{key}',1)" for key, _ in keys)
    out.write(
        f"INSERT INTO raw_error_windows (window_start,fingerprint,`count`) VALUES {windows}"
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
        begun = time.monotonic()
        # words may be stored after what they are the words of is counted
        while min(errsift.database.counted(), errsift.database.stored()) < acked:
            if time.monotonic() - begun > 900:
                raise Failed("not applied after 15 minutes")
            time.sleep(1)
        time.sleep(5)
        high = errsift.memory_bytes("VmHWM")
        after = errsift.memory_bytes("VmRSS")
    row = found(high, 1e9, True, unit="bytes", events=acked, rss_after_bytes=after)
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
