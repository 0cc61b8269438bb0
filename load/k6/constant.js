// So many users, from start to end.
//
//   k6 run -e VUS=500 -e DURATION=2m load/k6/constant.js
//
// VUS        users at the same time                            50
// DURATION   how long they keep reporting, as in 90s or 5m     30s

import { setup } from './errors.js';
import { phased } from './phases.js';

const UNITS = { s: 1, m: 60, h: 3600 };

function seconds(text) {
  const [, number, unit] = /^(\d+)([smh])$/.exec(text) || [];
  if (unit === undefined) throw new Error(`DURATION is ${text}; expected 90s, 5m or 1h`);
  return Number(number) * UNITS[unit];
}

const vus = Number(__ENV.VUS || 50);

const { options, user, handleSummary } = phased(
  'constant',
  [[`${vus} users`, vus, seconds(__ENV.DURATION || '30s')], ['down', 0, 1]],
  1000,
);

export { options, setup, handleSummary };
export default user;
