// Scenarios as a row of phases, each with users of its own number, and the options that follow.
//
// TIME_SCALE  factor on every duration, for short runs: 0.1        1
// P95_MS      95th percentile that the run must stay below         the scenario's own
// FAULTS      set while faults are injected: answers may fail, and speed is not judged

import exec from 'k6/execution';

import { report, think } from './errors.js';
import { summary } from './summary.js';

const TIME_SCALE = Number(__ENV.TIME_SCALE || 1);
const FAULTS = (__ENV.FAULTS || '') !== '';
// Users arrive over this time at a phase's start, instead of in one instant that only measures
// how fast connections open. What they send until then is counted as `ramp`.
const RAMP_SECONDS = 5;
const RAMP = 'ramp';
const TREND_STATS = ['avg', 'med', 'p(95)', 'p(99)', 'max'];

export function scaled(seconds) {
  return Math.max(1, Math.round(seconds * TIME_SCALE));
}

// A metric of one phase exists in the summary only if a threshold names it: these always hold.
function perPhase(names) {
  const thresholds = {};
  for (const name of names) {
    thresholds[`http_req_duration{phase:${name}}`] = ['max>=0'];
    thresholds[`http_reqs{phase:${name}}`] = ['count>=0'];
    thresholds[`acked{phase:${name}}`] = ['count>=0'];
  }
  return thresholds;
}

// Options common to all scenarios. `judged` holds in a run without faults.
export function common(names, p95_ms, judged = {}) {
  const strict = {
    checks: ['rate==1'],
    refused: ['count==0'],
    http_req_duration: [`p(95)<${Number(__ENV.P95_MS || p95_ms)}`],
    ...judged,
  };
  return {
    summaryTrendStats: TREND_STATS,
    thresholds: { ...perPhase(names), ...(FAULTS ? { refused: ['count==0'] } : strict) },
  };
}

// phased(SCENARIO, [[PHASE, USERS, SECONDS]…], P95_MS): what a scenario's file has to export.
export function phased(scenario, phases, p95_ms) {
  const plan = phases.map(([name, users, seconds]) => ({ name, users, seconds: scaled(seconds) }));
  const ramp = scaled(RAMP_SECONDS);
  const stages = plan.flatMap(({ users, seconds }) => [
    { duration: `${ramp}s`, target: users },
    { duration: `${seconds}s`, target: users },
  ]);

  const phaseNow = () => {
    let passed = (Date.now() - exec.scenario.startTime) / 1000;
    for (const { name, seconds } of plan) {
      if (passed < ramp) return RAMP;
      if (passed < ramp + seconds) return name;
      passed -= ramp + seconds;
    }
    return RAMP;
  };

  const names = plan.map(({ name }) => name);
  return {
    options: {
      ...common(names, p95_ms),
      scenarios: {
        [scenario]: { executor: 'ramping-vus', startVUs: 0, stages, gracefulRampDown: '30s' },
      },
    },
    user: (given) => {
      report(given.run, phaseNow());
      think();
    },
    handleSummary: summary(scenario, plan),
  };
}
