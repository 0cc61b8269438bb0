// 10, 50, 100, 200 and 500 users, a row of the table each.
//
//   k6 run load/k6/steps.js

import { setup } from './errors.js';
import { phased } from './phases.js';

const STEPS = [10, 50, 100, 200, 500];

const { options, user, handleSummary } = phased(
  'steps',
  [...STEPS.map((users) => [`${users} users`, users, 30]), ['down', 0, 1]],
  500,
);

export { options, setup, handleSummary };
export default user;
