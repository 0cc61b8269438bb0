// Open loop: reports arrive at their own rate, however slow the answers are, without think time. A
// closed loop asks less of a slow server and so flatters it.
//
//   k6 run load/k6/arrival.js
//   k6 run -e SHAPE=ramping -e RATE=3000 load/k6/arrival.js
//
// SHAPE      constant, or ramping (a quarter, a half, all of RATE)     constant
// RATE       reports a second                                          1000
// MAX_VUS    users k6 may start to keep the rate                       RATE / 2

import exec from 'k6/execution';

import { report, setup } from './errors.js';
import { common, scaled } from './phases.js';
import { summary } from './summary.js';

const RATE = Number(__ENV.RATE || 1000);
const MAX_VUS = Number(__ENV.MAX_VUS || Math.max(50, Math.ceil(RATE / 2)));
const SHAPE = __ENV.SHAPE || 'constant';
const SECONDS = scaled(60);

const part = (share) => Math.max(1, Math.round(RATE * share));
const PLANS = {
  constant: [{ name: 'constant', rate: RATE, seconds: SECONDS }],
  ramping: [0.25, 0.5, 1].map((share) => ({
    name: `${part(share)} a second`,
    rate: part(share),
    seconds: SECONDS,
  })),
};
const plan = PLANS[SHAPE];
if (!plan) throw new Error(`SHAPE is ${SHAPE}; expected constant or ramping`);

const users = { preAllocatedVUs: Math.min(MAX_VUS, 200), maxVUs: MAX_VUS, timeUnit: '1s' };
const scenario =
  SHAPE === 'constant'
    ? { executor: 'constant-arrival-rate', rate: RATE, duration: `${SECONDS}s`, ...users }
    : {
        executor: 'ramping-arrival-rate',
        startRate: plan[0].rate,
        stages: plan.flatMap(({ rate, seconds }) => [
          { duration: '0s', target: rate },
          { duration: `${seconds}s`, target: rate },
        ]),
        ...users,
      };

export const options = {
  // An iteration that k6 could not start in time was never sent: the rate was not the one asked for.
  ...common(plan.map(({ name }) => name), 250, { dropped_iterations: ['count==0'] }),
  scenarios: { arrival: scenario },
};

export default function (given) {
  const passed = (Date.now() - exec.scenario.startTime) / 1000;
  report(given.run, plan[Math.min(plan.length - 1, Math.floor(passed / SECONDS))].name);
}

export const handleSummary = summary('arrival', plan);
export { setup };
