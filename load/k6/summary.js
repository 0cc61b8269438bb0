// What is printed at a run's end, and saved as JSON.
//
// SUMMARY    file that gets it                                   k6-summary.json

const FILE = __ENV.SUMMARY || 'k6-summary.json';

function milliseconds(duration) {
  return {
    p50: duration.med,
    p95: duration['p(95)'],
    p99: duration['p(99)'],
    max: duration.max,
  };
}

function phaseRow(values, { name, users, rate, seconds }) {
  const of = (metric) => values(`${metric}{phase:${name}}`);
  const requests = of('http_reqs').count || 0;
  return {
    name,
    users,
    rate,
    seconds,
    requests,
    requests_per_second: requests / seconds,
    failed: requests - (of('acked').count || 0),
    duration_ms: milliseconds(of('http_req_duration')),
  };
}

const ms = (value) => (value === undefined ? '-' : value.toFixed(1));

function table(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)));
  return rows
    .map((row) => row.map((cell, i) => (i ? String(cell).padStart(widths[i]) : String(cell).padEnd(widths[i]))))
    .map((row) => `  ${row.join('  ')}`)
    .join('\n');
}

function printed(result) {
  const line = (name, load, row) => [
    name,
    load,
    row.requests,
    row.requests_per_second.toFixed(1),
    row.failed,
    ms(row.duration_ms.p50),
    ms(row.duration_ms.p95),
    ms(row.duration_ms.p99),
    ms(row.duration_ms.max),
  ];
  const rows = [['phase', 'load', 'requests', 'requests/s', 'not 200', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms']];
  for (const phase of result.phases) {
    rows.push(line(phase.name, phase.users ? `${phase.users} VUs` : `${phase.rate}/s`, phase));
  }
  rows.push(line('whole run', '', result));
  const fates = `acked ${result.acked}, 5xx ${result.server_errors}, unanswered ${result.unanswered}, ` +
    `refused ${result.refused}, not started in time ${result.dropped_iterations}`;
  return `\n${result.scenario}\n${table(rows)}\n  ${fates}\n`;
}

// summary(SCENARIO, PLAN): a `handleSummary`. PLAN's phases are those that carry users or a rate.
export function summary(scenario, plan) {
  return (data) => {
    const values = (name) => (data.metrics[name] ? data.metrics[name].values : {});
    const count = (name) => values(name).count || 0;
    const result = {
      scenario,
      acked: count('acked'),
      server_errors: count('server_errors'),
      unanswered: count('unanswered'),
      refused: count('refused'),
      dropped_iterations: count('dropped_iterations'),
      requests: count('http_reqs'),
      requests_per_second: values('http_reqs').rate || 0,
      failed: count('http_reqs') - count('acked'),
      duration_ms: milliseconds(values('http_req_duration')),
      phases: plan.filter(({ users, rate }) => users || rate).map((phase) => phaseRow(values, phase)),
    };
    return { [FILE]: `${JSON.stringify(result, null, 2)}\n`, stdout: printed(result) };
  };
}
