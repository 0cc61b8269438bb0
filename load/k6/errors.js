// k6 scenario of an application that keeps failing: 70 % of the reports are one of five known
// errors, 30 % have never been seen before; every user thinks for 100 ms between two reports.
//
//   k6 run load/k6/errors.js
//   k6 run -e BASE_URL=http://127.0.0.1:9002 -e VUS=500 -e DURATION=2m load/k6/errors.js
//
// BASE_URL   where errsift listens                             http://127.0.0.1:9002
// VUS        users at the same time                            50
// DURATION   how long they keep reporting                      30s
// THINK_MS   pause of a user between two reports               100
// SUMMARY    file that gets the count of 200s, as JSON         k6-summary.json
//
// The run fails unless every check holds. `acked` in the summary is what must be found in MySQL
// after the next flush: load/run-k6 compares the two.

import http from 'k6/http';
import { check, sleep } from 'k6';
import { Counter } from 'k6/metrics';

const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:9002').replace(/\/+$/, '');
const THINK_SECONDS = Number(__ENV.THINK_MS || 100) / 1000;
const SUMMARY = __ENV.SUMMARY || 'k6-summary.json';
const REPEATED_SHARE = 0.7;
const PARAMS = { headers: { 'Content-Type': 'application/json' } };

const acked = new Counter('acked');

export const options = {
  vus: Number(__ENV.VUS || 50),
  duration: __ENV.DURATION || '30s',
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
  thresholds: { checks: ['rate==1'] },
};

const REPEATED = [
  ['Database connection timed out', 'Error: ETIMEDOUT\n    at Pool.acquire (/app/db/pool.js:88:9)'],
  ["Cannot read properties of undefined (reading 'id')", "TypeError\n    at getUser (/app/users.js:31:22)"],
  ['Payment provider answered 502', 'Error: Bad Gateway\n    at charge (/app/payments.js:57:11)'],
  ['JWT expired', 'TokenExpiredError\n    at verify (/app/auth/jwt.js:19:13)'],
  ['ENOSPC: no space left on device, write', 'Error: ENOSPC\n    at writeFile (/app/export.js:102:7)'],
].map(([message, stackTrace]) => JSON.stringify({ message, stackTrace }));

// The run's name keeps the unique errors of two runs apart.
export function setup() {
  return { run: Date.now().toString(36) };
}

function uniqueError(run) {
  const id = `${run}-${__VU}-${__ITER}`;
  return JSON.stringify({
    message: `Unexpected failure in request ${id}`,
    stackTrace: `Error: unexpected failure\n    at handle (/app/requests/${id}.js:1:1)`,
  });
}

function queued(body) {
  try {
    return JSON.parse(body).data.status === 'queued';
  } catch (_) {
    return false;
  }
}

export default function (data) {
  const body =
    Math.random() < REPEATED_SHARE
      ? REPEATED[Math.floor(Math.random() * REPEATED.length)]
      : uniqueError(data.run);
  const response = http.post(`${BASE_URL}/api/v1/errors/log`, body, PARAMS);
  if (response.status === 200) acked.add(1);
  check(response, {
    'status 200': (r) => r.status === 200,
    'data.status queued': (r) => queued(r.body),
  });
  sleep(THINK_SECONDS);
}

export function handleSummary(data) {
  const values = (name) => (data.metrics[name] ? data.metrics[name].values : {});
  const duration = values('http_req_duration');
  const summary = {
    acked: values('acked').count || 0,
    requests: values('http_reqs').count || 0,
    requests_per_second: values('http_reqs').rate || 0,
    checks_failed: values('checks').fails || 0,
    duration_ms: {
      p50: duration.med,
      p95: duration['p(95)'],
      p99: duration['p(99)'],
      max: duration.max,
    },
  };
  const ms = (value) => (value === undefined ? '-' : `${value.toFixed(2)} ms`);
  const rows = [
    ['requests', summary.requests],
    ['requests/s', summary.requests_per_second.toFixed(1)],
    ['acked (200)', summary.acked],
    ['failed checks', summary.checks_failed],
    ['p50', ms(summary.duration_ms.p50)],
    ['p95', ms(summary.duration_ms.p95)],
    ['p99', ms(summary.duration_ms.p99)],
    ['max', ms(summary.duration_ms.max)],
  ];
  const table = rows.map(([name, value]) => `  ${name.padEnd(14)} ${String(value).padStart(12)}`);
  return {
    [SUMMARY]: `${JSON.stringify(summary, null, 2)}\n`,
    stdout: `\n${table.join('\n')}\n`,
  };
}
