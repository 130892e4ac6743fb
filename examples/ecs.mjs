// JSON lines of `dovegate audit export --format jsonl` as events of the Elastic Common Schema, one for each line: a beginning, for what an
// index needs. What has no field there stays below `dovegate`, under its own name.
//
//     dovegate audit export --format jsonl --since 1h | node ecs.mjs

import { createInterface } from 'node:readline';

const types = { read: 'access', write: 'change', admin: 'change', destroy: 'deletion' };
const outcomes = {
  ok: 'success',
  unknown: 'unknown',
  denied: 'failure',
  failed: 'failure',
  limited: 'failure',
};

for await (const line of createInterface({ input: process.stdin })) {
  const {
    time,
    id,
    command,
    decision,
    outcome,
    user,
    effect,
    policy,
    rule,
    peer = {},
    duration_ms,
    ...rest
  } = JSON.parse(line);
  const allowed = decision === undefined ? [] : [decision === 'allow' ? 'allowed' : 'denied'];
  const event = {
    '@timestamp': time,
    ecs: { version: '9.4.0' },
    event: {
      kind: 'event',
      category: ['api'],
      type: [types[effect] ?? 'info', ...allowed],
      module: 'dovegate',
      action: command ?? rest.action ?? rest.event,
      outcome: outcomes[outcome] ?? 'unknown',
      id,
      ...(duration_ms !== undefined && { duration: Math.round(duration_ms * 1e6) }),
    },
    user: { name: peer.user ?? rest.principal, ...(user !== undefined && { target: { name: user } }) },
    ...(peer.address !== undefined && { source: { address: peer.address } }),
    rule: { name: rule, ruleset: policy },
    dovegate: { ...rest, peer, effect },
  };
  console.log(JSON.stringify(event));
}
