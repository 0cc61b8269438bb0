// A quiet application whose every instance fails at once: 50 users, then 1,000, then 50 again.
//
//   k6 run load/k6/spike.js

import { setup } from './errors.js';
import { phased } from './phases.js';

const { options, user, handleSummary } = phased(
  'spike',
  [['before', 50, 20], ['spike', 1000, 60], ['after', 50, 20], ['down', 0, 1]],
  1000,
);

export { options, setup, handleSummary };
export default user;
