"""The servers of a measurement: the limit server, errsift, Redis, MariaDB.

Each runs on 127.0.0.1, on a free port, with its files in one directory on the disk of this
checkout (on a tmpfs fsync would cost nothing), and is stopped by its own pid.
"""

import glob
import os
import pathlib
import secrets
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_S = 60
STOP_S = 40
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Something that a measurement needs did not happen."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(name):
    """Where a program is; Debian keeps servers where users do not look."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin")
    if found is None:
        raise Failed(f"{name} is missing; .ci/setup installs it")
    return found


class Stack:
    """What was started, and the directory that it is in; both end with the block."""

    def __enter__(self):
        (ROOT / "target").mkdir(exist_ok=True)
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="bench.", dir=ROOT / "target"))
        self.started = []
        self.ports = {}
        return self

    def __exit__(self, kind, _value, _traceback):
        for process in reversed(self.started):
            stop(process)
        if kind is None:
            shutil.rmtree(self.path)
        else:
            print(f"logs and data are left in {self.path}")

    def launch(self, name, arguments, environment=None):
        log = open(self.path / f"{name}.log", "wb")
        process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
        )
        self.started.append(process)
        return process

    def limit(self, binary):
        port = free_port()
        process = self.launch("limit", [binary, "--listen", f"127.0.0.1:{port}"])
        return Server("limit", process, port, "/")

    def redis(self, name):
        port, path = free_port(), self.path / f"{name}-redis"
        path.mkdir()
        arguments = "--bind 127.0.0.1 --save '' --appendonly yes --appendfsync always"
        arguments = [argument.strip("'") for argument in arguments.split()]
        policy = ["--maxmemory-policy", "noeviction"]
        self.launch(
            f"{name}-redis",
            [command("redis-server"), "--port", port, "--dir", path, *arguments, *policy],
        )
        await_port(port)
        self.ports[name] = port
        return port

    def mariadb(self, name):
        port, path = free_port(), self.path / f"{name}-mariadb"
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        install = [
            command("mariadb-install-db"),
            "--no-defaults",
            f"--user={user}",
            f"--datadir={path}",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        server = [
            command("mariadbd"),
            "--no-defaults",
            f"--user={user}",
            f"--datadir={path}",
            "--socket=s.sock",
            "--pid-file=s.pid",
            "--bind-address=127.0.0.1",
            f"--port={port}",
            "--character-set-server=utf8mb4",
            "--innodb-flush-log-at-trx-commit=1",
            # as in docker/mysql/errsift.cnf
            "--innodb-buffer-pool-size=512M",
            "--innodb-log-file-size=512M",
            "--innodb-flush-method=O_DIRECT",
            "--innodb-io-capacity=2000",
            "--innodb-io-capacity-max=4000",
            "--skip-name-resolve",
        ]
        self.launch(f"{name}-mariadb", server)
        await_port(port)
        secret = secrets.token_hex(12)
        database = Database(port, self.path / f"{name}.cnf", "root", "")
        database.run(
            "CREATE DATABASE errsift CHARACTER SET utf8mb4;"
            f"CREATE USER errsift@'127.0.0.1' IDENTIFIED BY '{secret}';"
            "GRANT ALL ON errsift.* TO errsift@'127.0.0.1';"
        )
        return Database(port, self.path / f"{name}.cnf", "errsift", secret)

    def errsift(self, binary, name="errsift", store="redis", flags=()):
        """errsift on stores of its own; `store` is `redis` or `embedded`."""
        port, path = free_port(), self.path / name
        path.mkdir()
        environment = {"ERRSIFT_LISTEN": f"127.0.0.1:{port}"}
        if store == "redis":
            database = self.mariadb(name)
            environment["ERRSIFT_REDIS_URL"] = f"redis://127.0.0.1:{self.redis(name)}"
            environment["ERRSIFT_MYSQL_URL"] = database.url()
        else:
            database = Files(path)
            environment["ERRSIFT_DATA"] = str(path / "errsift.db")
        process = self.launch(name, [binary, "serve", *flags], environment)
        server = Server(name, process, port, "/readyz")
        server.database = database
        return server


class Server:
    """One HTTP server."""

    def __init__(self, name, process, port, ready):
        self.name, self.process, self.port = name, process, port
        self.url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.get(ready)
                return
            except (OSError, urllib.error.URLError) as fault:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"{name} is not ready: {fault}") from fault
                time.sleep(0.05)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return answer.read().decode()

    def metric(self, name):
        """The sum of a metric over its labels."""
        lines = self.get("/metrics").splitlines()
        values = [line.rsplit(" ", 1) for line in lines if line.startswith((name + " ", name + "{"))]
        return sum(float(value) for _, value in values)

    def cpu_s(self):
        """Seconds of CPU that its process has used."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def memory_bytes(self, what):
        """A line of its process' status, such as VmRSS."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024
        raise Failed(f"{self.name} has no {what}")


class Database:
    """A MySQL or MariaDB server's database, asked through its command-line client."""

    def __init__(self, port, options, user, secret):
        self.port, self.options, self.user, self.secret = port, options, user, secret
        # a file, so that no password stands in a process listing
        options.write_text(
            f"[client]\nprotocol=tcp\nhost=127.0.0.1\nport={port}\nuser={user}\n"
            f'password="{secret}"\n'
        )
        options.chmod(0o600)

    def url(self):
        return f"mysql://{self.user}:{self.secret}@127.0.0.1:{self.port}/errsift"

    def run(self, sql):
        client = [command("mariadb"), f"--defaults-file={self.options}", "--batch"]
        asked = subprocess.run(
            [*client, "--skip-column-names"], input=sql, text=True, capture_output=True
        )
        if asked.returncode != 0:
            raise Failed(asked.stderr.strip())
        return asked.stdout.strip()

    def counted(self):
        return int(self.run("SELECT COALESCE(SUM(`count`), 0) FROM errsift.error_counts"))

    def stored(self):
        return int(self.run("SELECT COUNT(*) FROM errsift.error_details"))


class Files:
    """The embedded store's files."""

    def __init__(self, path):
        self.path = path

    def counted(self):
        total = 0
        for file in glob.glob(f"{self.path}/*.db"):
            with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5) as store:
                tables = "SELECT 1 FROM sqlite_master WHERE name = 'error_counts'"
                if store.execute(tables).fetchone():
                    total += store.execute('SELECT COALESCE(SUM("count"), 0) FROM error_counts').fetchone()[0]
        return total


def await_port(port):
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError as fault:
            if time.monotonic() > deadline:
                raise Failed(f"nothing listens on {port}") from fault
            time.sleep(0.05)


def stop(process):
    """SIGTERM, and SIGKILL when that took too long."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
