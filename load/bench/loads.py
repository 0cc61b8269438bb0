"""What is sent: closed loops with wrk, open ones with the generator beside."""

import json
import os
import statistics
import subprocess

from servers import ROOT, Failed, command

PATH = "/errors/log"


class Closed:
    """One run of wrk: as many requests as the answers allow.

    `script` is `errors`, `mix`, or `mix:N` with N tenths of the events from few errors.
    """

    def __init__(self, server, connections, seconds, script="errors", threads=2):
        script, _, common = script.partition(":")
        environment = {**os.environ, "ERRORS_PATH": PATH, "ERRORS_MESSAGES": "200"}
        environment["ERRORS_COMMON"] = common or "7"
        before = server.cpu_s()
        threads = str(min(threads, connections))
        answer = subprocess.run(
            [command("wrk"), "-t", threads, "-c", str(connections), "-d", f"{seconds}s"]
            + ["--timeout", "10s", "-s", ROOT / "load/wrk" / f"{script}.lua", server.url],
            env=environment,
            text=True,
            capture_output=True,
        )
        lines = [line for line in answer.stdout.splitlines() if line.startswith("RESULT ")]
        if not lines:
            raise Failed(f"wrk gave no result for {server.name}: {answer.stderr.strip()}")
        pairs = (pair.split("=") for pair in lines[0].split()[1:])
        seen = {name: float(value) for name, value in pairs}
        faults = sum(seen[name] for name in ("non2xx", "connect", "read", "write", "timeout"))
        if faults:
            raise Failed(f"{server.name}: {faults:.0f} requests were not answered with 200")
        self.requests = int(seen["requests"])
        self.rate = seen["requests"] * 1e6 / seen["duration_us"]
        self.p50_us, self.p99_us = seen["p50_us"], seen["p99_us"]
        self.cpu_us = (server.cpu_s() - before) * 1e6 / max(self.requests, 1)


class Open:
    """One run of the open-loop generator: requests by the clock."""

    def __init__(self, binary, server, rate, seconds, connections, distinct=200, run=0):
        answer = subprocess.run(
            [binary, "--to", f"127.0.0.1:{server.port}", "--rate", str(rate)]
            + ["--seconds", str(seconds), "--connections", str(connections)]
            + ["--distinct", str(distinct), "--run", str(run), "--path", PATH],
            text=True,
            capture_output=True,
        )
        if answer.returncode != 0:
            raise Failed(f"open loop on {server.name}: {answer.stderr.strip()}")
        self.seen = json.loads(answer.stdout)
        if self.seen["other"] or self.seen["lost"]:
            raise Failed(f"open loop on {server.name}: {answer.stdout.strip()}")

    def __getitem__(self, name):
        return self.seen[name]


def spread(values):
    """Median, smallest and largest, as they are written to JSON."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "runs": len(values),
    }
