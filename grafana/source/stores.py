"""The overview's rows about what is around errsift: Redis, MySQL, containers, k6."""

from panels import OURS, RATE, RED, YELLOW, graph, row, steps


def operations(store, says_p99, says_rate):
    """errsift's own view of a store: it includes the network and the wait for a connection."""
    name = f"{store}_operation_duration_seconds"
    ran = f"sum by (%s) (rate({name}_%s{{{OURS}}}{RATE}))"
    return [
        graph(
            "p99 by operation, as errsift sees it", says_p99,
            [(f"histogram_quantile(0.99, {ran % ('le, operation', 'bucket')}) "
              f"and on (operation) {ran % ('operation', 'count')} > 0", "{{operation}}")],
            "s", 8, 8,
        ),
        graph(
            "operations, as errsift sees them", says_rate,
            [(f"{ran % ('operation, status', 'count')} > 0", "{{operation}} {{status}}")],
            "ops", 8, 8,
        ),
    ]


REDIS = row(
    "Redis",
    *operations(
        "redis",
        "`commit` is what every ack waits for: above 20 ms look at the fsyncs beside it, then at "
        "the disk. `trim` and `page` rising with it: Redis itself is busy.",
        "Commits per second times events of a flight are the acks. A status other than ok that "
        "stays: `unknown` is a connection that breaks, `refused` a Redis that says no.",
    ),
    graph(
        "commands, as Redis counts them",
        "A command that is not errsift's is somebody else on this Redis: give errsift one of its "
        "own, or its memory limit and its latency are shared.",
        [(f"sum by (cmd) (rate(redis_commands_total{RATE})) > 0", "{{cmd}}")], "ops", 8, 8,
    ),
    graph(
        "memory against its limit",
        "At the limit Redis refuses flights and clients get 503. Climbing: the journal is not being "
        "emptied (see `ages`), or the limit is too small for the rewrite's copy.",
        [("redis_memory_used_bytes", "used"),
         ("redis_memory_used_rss_bytes", "resident"),
         ("redis_memory_max_bytes > 0 or redis_config_maxmemory > 0", "limit")], "bytes", 8, 8,
    ),
    graph(
        "append-only file",
        "Delayed fsyncs are a disk that is too slow or a rewrite that fights for it. Size: grows "
        "until the next rewrite, then drops.",
        [("redis_aof_current_size_bytes", "size"),
         ("redis_aof_base_size_bytes", "at the last rewrite"),
         ("redis_aof_buffer_length", "buffer")], "bytes", 8, 8,
    ),
    graph(
        "the file's health, and processors",
        "`enabled` and `last write` must be 1, else nothing is durable: ErrsiftRedisNotDurable. "
        "Main thread near 1: Redis's one core is the limit.",
        [("redis_aof_enabled", "enabled"),
         ("redis_aof_last_write_status", "last write"),
         ("redis_aof_rewrite_in_progress", "rewriting"),
         ("redis_aof_delayed_fsync", "fsyncs delayed"),
         (f"rate(redis_cpu_user_main_thread_seconds_total{RATE})"
          f" + rate(redis_cpu_sys_main_thread_seconds_total{RATE})", "main thread")],
        "short", 8, 8,
    ),
)

STATUS = "mysql_global_status"
MYSQL = row(
    "MySQL",
    *operations(
        "mysql",
        "Never in an ack's way. `apply` longer than the flush interval and the journal grows; "
        "`insert_details` slow with many new errors: look at the fsyncs.",
        "`apply` ran once for each flush and group of parts. `transient` that stays: deadlocks or a "
        "failover; `denied`: a permission or a schema, errsift stops applying.",
    ),
    graph(
        "statements and commits",
        "Rises in bursts at each flush. Selects that are not errsift's (dashboards, reports) "
        "compete with apply: give them a replica.",
        [(f'sum by (command) (rate({STATUS}_commands_total{{command=~"select|insert|update|commit|rollback"}}{RATE}))',
          "{{command}}")], "ops", 8, 8,
    ),
    graph(
        "InnoDB's disk",
        "Fsyncs at the disk's limit with apply slow: a faster disk, or a longer flush interval. Log "
        "waits above 0: innodb_log_buffer_size is too small.",
        [(f"rate({STATUS}_innodb_data_fsyncs{RATE})", "fsyncs/s"),
         (f"rate({STATUS}_innodb_log_writes{RATE})", "log writes/s"),
         (f"rate({STATUS}_innodb_log_waits{RATE})", "log waits/s")], "ops", 8, 8,
    ),
    graph(
        "log written",
        "What the tables cost the disk. Near the log's size per minute MySQL has to flush pages at "
        "once: raise innodb_redo_log_capacity.",
        [(f"rate({STATUS}_innodb_os_log_written{RATE})", "redo log"),
         (f"rate({STATUS}_bytes_received{RATE})", "received"),
         (f"rate({STATUS}_bytes_sent{RATE})", "sent")], "Bps", 8, 8,
    ),
    graph(
        "threads and locks",
        "Running above the cores for long: MySQL is at its limit. Row lock waits: somebody else "
        "writes to errsift's tables, or an old writer's transaction hangs.",
        [(f"{STATUS}_threads_running", "running"),
         (f"{STATUS}_threads_connected", "connected"),
         (f"{STATUS}_innodb_row_lock_current_waits", "row lock waits"),
         ("mysql_up", "answers")], "short", 8, 8,
    ),
)

# `service` is the name in docker/compose.yml; docker/prometheus.yml sets it.
BY = "sum by (service)"
CONTAINERS = row(
    "Containers",
    graph(
        "memory against its limit",
        "Working set as a share of the container's limit. At 1 the kernel kills it: errsift and "
        "Redis lose nothing, and are away for seconds. Raise the limit or look for what grows.",
        [(f'{BY} (container_memory_working_set_bytes{{service!=""}}) / '
          f'({BY} (container_spec_memory_limit_bytes{{service!=""}}) > 0)', "{{service}}")],
        "percentunit", 8, 8, steps((0.8, YELLOW), (0.95, RED)),
    ),
    graph(
        "memory",
        "Working set, which the kernel cannot take back without a cost. Compare with the process's "
        "own number in the row below.",
        [(f'{BY} (container_memory_working_set_bytes{{service!=""}})', "{{service}}")],
        "bytes", 8, 8,
    ),
    graph(
        "processors against their limit",
        "Cores in use as a share of the container's limit, for those that have one. Near 1: raise "
        "ERRSIFT_CPUS, or add a shard.",
        [(f'{BY} (rate(container_cpu_usage_seconds_total{{service!=""}}{RATE})) / '
          f'({BY} (container_spec_cpu_quota{{service!=""}} / container_spec_cpu_period) > 0)',
          "{{service}}")],
        "percentunit", 8, 8, steps((0.8, YELLOW), (0.95, RED)),
    ),
    graph(
        "processors",
        "Cores in use. The sum at the machine's number of cores: k6 and Prometheus take from what "
        "they measure.",
        [(f'{BY} (rate(container_cpu_usage_seconds_total{{service!=""}}{RATE}))', "{{service}}")],
        "short", 8, 8, stack=True,
    ),
    graph(
        "processor time denied",
        "Share of periods in which the container used up its limit and was stopped until the next. "
        "Above 0.1 latency follows it: raise the limit before anything else.",
        [(f'{BY} (rate(container_cpu_cfs_throttled_periods_total{{service!=""}}{RATE})) / '
          f'{BY} (rate(container_cpu_cfs_periods_total{{service!=""}}{RATE}))', "{{service}}")],
        "percentunit", 8, 8, steps((0.1, YELLOW), (0.5, RED)),
    ),
    graph(
        "disk",
        "Bytes written. Redis writes each flight once, MySQL each flush several times; equal peaks "
        "of both on one disk explain a slow commit.",
        [(f'{BY} (rate(container_fs_writes_bytes_total{{service!=""}}{RATE}))', "{{service}}")],
        "Bps", 8, 8,
    ),
)

K6 = row(
    "k6",
    graph(
        "users",
        "The load's own shape: lay it over the latency to see at how many users a line bends. At "
        "its maximum in an open-loop run: k6 could not keep the rate.",
        [("sum(k6_vus)", "users"), ("sum(k6_vus_max)", "most")], "short", 6, 8,
    ),
    graph(
        "requests/s by status",
        "What k6 asked and what it got; 0 is no answer. Compare with `answers by status`: what is "
        "only here was lost on the way.",
        [(f"sum by (status) (rate(k6_http_reqs_total{RATE}))", "{{status}}"),
         (f"sum(rate(k6_acked_total{RATE}))", "acked")], "reqps", 6, 8,
    ),
    graph(
        "p95 and p99, as clients see them",
        "Since the phase began, as k6 adds them up: the worst of k6's series. Far above the ack's "
        "p99: the way there, or k6 itself, is short of processors.",
        [("max by (phase) (k6_http_req_duration_p95)", "p95 {{phase}}"),
         ("max by (phase) (k6_http_req_duration_p99)", "p99 {{phase}}")],
        "s", 6, 8, steps((0.5, YELLOW), (1, RED)),
    ),
    graph(
        "failures",
        "Share of requests that failed and of checks that did not hold; both are 0 without faults. "
        "Then docs/stack.md says how to compare the counts.",
        [("max(k6_http_req_failed_rate)", "requests failed"),
         ("1 - min(k6_checks_rate)", "checks failed")], "percentunit", 6, 8,
        steps((0.0001, RED)),
    ),
)
