// 0 → 50 → 200 → 500 users.
//
//   k6 run load/k6/ramp.js

import { setup } from './errors.js';
import { phased } from './phases.js';

const { options, user, handleSummary } = phased(
  'ramp',
  [['50 users', 50, 60], ['200 users', 200, 60], ['500 users', 500, 60], ['down', 0, 1]],
  500,
);

export { options, setup, handleSummary };
export default user;
