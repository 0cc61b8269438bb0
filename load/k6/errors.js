// What every scenario reports, and how: an application that keeps failing. 70 % of the reports are
// one of five known errors, 30 % have never been seen before.
//
// BASE_URL   where errsift listens                               http://127.0.0.1:9002
// THINK_MS   pause of a user between two reports                 100

import http from 'k6/http';
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';

const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:9002').replace(/\/+$/, '');
const THINK_SECONDS = Number(__ENV.THINK_MS || 100) / 1000;
const REPEATED_SHARE = 0.7;
// Less than k6 leaves a user to finish (30 s): no request ends without its fate being counted.
const PARAMS = { headers: { 'Content-Type': 'application/json' }, timeout: '20s' };

const acked = new Counter('acked');
const unanswered = new Counter('unanswered');
const server_errors = new Counter('server_errors');
const refused = new Counter('refused');

const REPEATED = [
  ['Database connection timed out', 'Error: ETIMEDOUT\n    at Pool.acquire (/app/db/pool.js:88:9)'],
  ["Cannot read properties of undefined (reading 'id')", "TypeError\n    at getUser (/app/users.js:31:22)"],
  ['Payment provider answered 502', 'Error: Bad Gateway\n    at charge (/app/payments.js:57:11)'],
  ['JWT expired', 'TokenExpiredError\n    at verify (/app/auth/jwt.js:19:13)'],
  ['ENOSPC: no space left on device, write', 'Error: ENOSPC\n    at writeFile (/app/export.js:102:7)'],
].map(([message, stackTrace]) => JSON.stringify({ message, stackTrace }));

// The run's name keeps the unique errors of two runs apart. Every scenario exports this.
export function setup() {
  return { run: Date.now().toString(36) };
}

function uniqueError(run) {
  const id = `${run}-${exec.vu.idInTest}-${exec.vu.iterationInInstance}`;
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

// Every request is exactly one of these four.
function count(status, tags) {
  if (status === 200) acked.add(1, tags);
  else if (status === 0) unanswered.add(1, tags);
  else if (status >= 500) server_errors.add(1, tags);
  else refused.add(1, tags);
}

// One report, counted under `phase`.
export function report(run, phase) {
  const body =
    Math.random() < REPEATED_SHARE
      ? REPEATED[Math.floor(Math.random() * REPEATED.length)]
      : uniqueError(run);
  const tags = { phase };
  const response = http.post(`${BASE_URL}/api/v1/errors/log`, body, { ...PARAMS, tags });
  count(response.status, tags);
  check(
    response,
    { 'status 200': (r) => r.status === 200, 'data.status queued': (r) => queued(r.body) },
    tags,
  );
}

export function think() {
  sleep(THINK_SECONDS);
}
