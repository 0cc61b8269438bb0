// 100 users for half an hour: what grows shows.
//
//   k6 run load/k6/soak.js

import { setup } from './errors.js';
import { phased } from './phases.js';

const { options, user, handleSummary } = phased(
  'soak',
  [['100 users', 100, 1800], ['down', 0, 1]],
  250,
);

export { options, setup, handleSummary };
export default user;
