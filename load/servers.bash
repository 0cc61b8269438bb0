# Starts and stops the servers of a measurement. Sourced by the programs
# of load/ and by tests/stack/trial.
#
# Every server runs on 127.0.0.1, on a free port, in $stack (a directory under target/, so on the
# disk of this checkout: on a tmpfs fsync would cost nothing) and is stopped by its own pid, also
# when the script is interrupted. Call `stack_open` first.

stack=
stack_pids=()
mysql_url=
redis_url=

fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
note() { printf '%s\n' "$*" >&2; }

# need COMMAND…: fails when one is missing; Debian keeps servers where users do not look.
need() {
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  local command
  for command in "$@"; do
    command -v "$command" >/dev/null || fail "$command is missing; .ci/setup installs it"
  done
}

stack_open() {
  mkdir -p "$root/target"
  stack=$(mktemp -d "$root/target/stack.XXXXXX")
  trap stack_close EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# Stops what was started, last first, and keeps the logs only when something went wrong.
stack_close() {
  local status=$? i
  trap - EXIT
  for ((i = ${#stack_pids[@]} - 1; i >= 0; i--)); do
    stop_pid "${stack_pids[i]}"
  done
  if ((status == 0)); then rm -rf "$stack"; else note "logs and data are left in $stack"; fi
  exit "$status"
}

# stop_pid PID: SIGTERM, and SIGKILL when that took more than 30 s.
stop_pid() {
  local pid=$1 tries
  kill -TERM "$pid" 2>/dev/null || return 0
  for ((tries = 0; tries < 300; tries++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

free_port() {
  local port
  while :; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

# launch NAME COMMAND…: in the background, output to $stack/NAME.log; its pid is in $launched.
launch() {
  local name=$1
  shift
  "$@" >"$stack/$name.log" 2>&1 </dev/null &
  launched=$!
  stack_pids+=("$launched")
}

# await NAME COMMAND…: until COMMAND succeeds, for at most 60 s and while the server just launched lives.
await() {
  local name=$1 tries
  shift
  for ((tries = 0; tries < 600; tries++)); do
    kill -0 "$launched" 2>/dev/null || { tail -n 40 "$stack/$name.log" >&2; fail "$name ended"; }
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  tail -n 40 "$stack/$name.log" >&2
  fail "$name is not ready after 60 s"
}

start_redis() {
  local port
  port=$(free_port)
  mkdir -p "$stack/redis"
  launch redis redis-server --port "$port" --bind 127.0.0.1 --dir "$stack/redis" --save '' \
    --appendonly yes --appendfsync always --maxmemory-policy noeviction
  await redis redis_is "$port" "$launched"
  redis_url=redis://127.0.0.1:$port
}
redis_is() { redis-cli -p "$1" info server | tr -d '\r' | grep -qx "process_id:$2"; }

# A server of MariaDB with the settings of docker/mysql/errsift.cnf.
start_mariadb() {
  local port user secret
  port=$(free_port) user=$(id -un) secret=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
  mkdir -p "$stack/mariadb" "$stack/mariadb-tmp"
  mariadb-install-db --no-defaults --user="$user" --datadir="$stack/mariadb" \
    --tmpdir="$stack/mariadb-tmp" --skip-test-db \
    --auth-root-authentication-method=normal >"$stack/mariadb-install.log" 2>&1 ||
    { tail -n 40 "$stack/mariadb-install.log" >&2; fail 'mariadb-install-db failed'; }
  # The socket is relative to the data directory: an absolute path may be too long for one.
  launch mariadb mariadbd --no-defaults --user="$user" --datadir="$stack/mariadb" \
    --tmpdir="$stack/mariadb-tmp" --socket=s.sock --pid-file=s.pid \
    --bind-address=127.0.0.1 --port="$port" --character-set-server=utf8mb4 \
    --innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=512M --innodb-log-file-size=512M \
    --innodb-flush-method=O_DIRECT --innodb-io-capacity=2000 --innodb-io-capacity-max=4000 \
    --skip-name-resolve
  mysql_login "mysql://root@127.0.0.1:$port"
  await mariadb mariadb_is
  mysql_run "CREATE DATABASE errsift CHARACTER SET utf8mb4;
    CREATE USER errsift@'127.0.0.1' IDENTIFIED BY '$secret';
    GRANT ALL ON errsift.* TO errsift@'127.0.0.1';"
  mysql_url=mysql://errsift:$secret@127.0.0.1:$port/errsift
  mysql_login "$mysql_url"
}
mariadb_is() { [[ $(mysql_run 'SELECT @@datadir') == "$stack/mariadb/" ]]; }

# replay_seconds ERRSIFT WORKERS LOG EVENTS: replays a log into the database, emptied, prints the seconds
# that it took, and notes in $stack/memory the most memory that it had, in MB, and in $stack/committed the
# seconds until all was committed. Fails unless the
# database has counted so many events.
replay_seconds() {
  mysql_run 'DROP DATABASE errsift; CREATE DATABASE errsift CHARACTER SET utf8mb4;' >/dev/null
  ERRSIFT_MYSQL_URL=$mysql_url python3 - "$stack" "$1" replay --json --workers "$2" "$3" \
    2>"$stack/replay.log" <<'PYTHON' || { cat "$stack/replay.log" >&2; fail "errsift replay failed on $3"; }
import json, resource, subprocess, sys
run = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, check=True)
said = json.loads(run.stdout)
print(f"{said['seconds']:.3f}")
with open(sys.argv[1] + "/committed", "w") as committed:
    print(f"{said['committed_seconds']:.3f}", file=committed)
with open(sys.argv[1] + "/memory", "a") as memory:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 // 1_000_000, file=memory)
PYTHON
  local counted
  counted=$(mysql_counted)
  ((counted == $4)) || fail "MariaDB has counted $counted of $4"
}

# mysql_login URL: writes an option file, so that no password stands in a process listing.
mysql_login() {
  local rest=${1#mysql://} login address
  rest=${rest%%\?*}
  login=${rest%@*} address=${rest##*@}
  [[ $rest == *@* ]] || login=root
  local database=${address#*/} host=${address%%/*} password=${login#*:}
  [[ $address == */* ]] || database=
  [[ $login == *:* ]] || password=
  (umask 077 && cat >"$stack/mysql.cnf") <<CNF
[client]
protocol = tcp
host = ${host%%:*}
port = $([[ $host == *:* ]] && echo "${host##*:}" || echo 3306)
user = ${login%%:*}
password = "$(url_decoded "$password")"
${database:+[mysql]
database = $database}
CNF
}
url_decoded() { printf '%b' "${1//%/\\x}"; }
mysql_run() { "$(command -v mariadb || command -v mysql)" --defaults-file="$stack/mysql.cnf" --batch --skip-column-names --execute "$1"; }

# What is counted in MySQL so far; 0 before errsift has made its tables.
mysql_counted() {
  local tables
  tables=$(mysql_run "SELECT COUNT(*) FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'error_counts'") || return
  if ((tables == 0)); then echo 0; else mysql_run 'SELECT COALESCE(SUM(`count`), 0) FROM error_counts'; fi
}

# The compose stack, with the services of every profile, and what is counted in its MySQL.
compose() { docker compose --file "$root/docker/compose.yml" --profile load --profile ha "$@"; }
compose_counted() {
  # shellcheck disable=SC2016  # the password is read in the container: no listing shows it
  compose exec -T mysql sh -c 'MYSQL_PWD=$(cat /run/secrets/mysql_password) exec mysql --user=errsift \
    --batch --skip-column-names --execute "SELECT COALESCE(SUM(count), 0) FROM error_counts" errsift'
}

# embedded_counted DIRECTORY: what is counted so far in the embedded store's file there.
embedded_counted() {
  python3 - "$1" <<'PYTHON'
import glob, sqlite3, sys

total = 0
for file in glob.glob(sys.argv[1] + "/*.db"):
    store = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)
    if store.execute("SELECT 1 FROM sqlite_master WHERE name = 'error_counts'").fetchone():
        total += store.execute('SELECT COALESCE(SUM("count"), 0) FROM error_counts').fetchone()[0]
print(total)
PYTHON
}

# start_http NAME URL_PATH COMMAND… : COMMAND gets `--listen ADDRESS` at its end. Sets $base_url.
start_http() {
  local name=$1 ready=$2 port
  shift 2
  port=$(free_port)
  launch "$name" "$@" --listen "127.0.0.1:$port"
  base_url=http://127.0.0.1:$port
  await "$name" curl -fsS --max-time 2 "$base_url$ready"
}

# metric URL NAME: the sum of a metric over its labels; 0 when it is not there.
metric() {
  curl -fsS --max-time 5 "$1/metrics" |
    awk -v name="$2" '{ split($1, part, "{") } part[1] == name { sum += $NF } END { printf "%.0f\n", sum }'
}

# await_equal SECONDS EXPECTED COMMAND…: until COMMAND prints EXPECTED. Sets $seen to the last it printed.
await_equal() {
  local deadline=$((SECONDS + $1)) expected=$2
  shift 2
  while :; do
    seen=$("$@" 2>/dev/null) || seen='unreadable'
    [[ $seen == "$expected" ]] && return 0
    ((SECONDS < deadline)) || return 1
    sleep 0.5
  done
}
