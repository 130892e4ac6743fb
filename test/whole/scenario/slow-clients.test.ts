// Goal: a client that does not read harms only itself. Phases: stalled reads and changes; pipelines that nobody
// reads. What must not happen: a reply with a hole that looks whole; an upstream held by a client
// that does not read; others waiting behind one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runDovegate } from '../../kit/gate/daemon.js';
import { openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { until } from '../../kit/plain/until.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };
const fetch = { user: 'alice@example.org', fields: ['fetch', 'text', 'all'] };
const create = { user: 'alice@example.org', fields: ['mailbox create', 'New'] };
const policy = `
    users: ["*@example.org"]
    allow: [quota get, { command: fetch, content: true }, mailbox create]`;
const bigBytes = 3_000_000;

test('a client that stops reading: closed after client_stall, and what it got never looks whole', async (t) => {
  const { client, daemon } = await openGateway(t, {
    policy,
    more: 'limits: { client_stall: 400ms }',
    backend: {
      script: async (_command, connection) => {
        await connection.bigCell(bigBytes);
        await connection.status('+');
      },
    },
  });
  const closed = (): number => daemon.logs.filter(({ event }) => event === 'session-closed').length;
  for (const command of [fetch, create]) {
    const before = closed();
    const slow = await client();
    slow.setStopped(true);
    slow.sendCommand(command);
    slow.sendCommand(quota);
    await daemon.waitForLog(() => closed() > before, 'the end of the session');
    slow.setStopped(false);
    const end = await slow.readEnd();
    assert.ok(end.body.length < bigBytes, `${end.body.length} bytes came`);
  }
  await daemon.stop();
  const completions = recordsOf(daemon, 'completion');
  const ends = completions.map(({ command, outcome, error, sent }) =>
    [command, outcome, error, sent].join(' '),
  );
  assert.deepEqual(ends.toSorted(), [
    'fetch aborted client-stall true',
    'mailbox create ok client-stall true',
  ]);
});

test('while others wait for a backend, status names the client that does not read', async (t) => {
  const { client, daemon } = await openGateway(t, {
    policy,
    mail1: { connections: '1' },
    more: 'admin: { unix: admin.sock }\nlimits: { client_stall: 50s, queue_timeout: 40s }',
    backend: {
      script: async (_command, connection) => {
        await connection.bigCell(bigBytes);
        await connection.status('+');
      },
    },
  });
  const slow = await client();
  slow.setStopped(true);
  slow.sendCommand(fetch);
  const waiting = await client();
  // Of the same principal: its client is not ended for it.
  waiting.sendCommand({ ...fetch, user: 'bob@example.org' });
  let shown = '';
  const isNamed = async (): Promise<boolean> => {
    ({ text: shown } = await runDovegate(['status', '--socket', daemon.path('admin.sock')]));
    return /^1 command waits for mail1, .* 1 of them waits for a slow client: \S+@support\.$/m.test(shown);
  };
  await until(isNamed, () => shown);
  assert.match(shown, /^ {2}try: end it \(dovegate kill 01\S+\), or raise backends\.mail1\.connections$/m);
  assert.match(shown, /^01\S+ +\S+@support +alice@example\.org +fetch +mail1 +for its client /m);
  assert.match(shown, /^01\S+ +\S+@support +bob@example\.org +fetch +mail1 +for the backend /m);
});

test('a pipeline that nobody reads ends its session, and holds no upstream meanwhile', async (t) => {
  const { client, daemon } = await openGateway(t, {
    policy,
    mail1: { connections: '1' },
    more: 'limits: { client_stall: 6s, queue_timeout: 5s }',
    backend: {
      script: async (_command, connection) => {
        await connection.row('x'.repeat(4000));
        await connection.status('+');
      },
    },
  });
  const slow = await client();
  slow.setStopped(true);
  for (let n = 0; n < 2000; n += 1) slow.sendCommand(quota);
  await daemon.waitForLog((record) => record['event'] === 'upstream-opened', 'the upstream');
  const other = await client();
  for (let n = 0; n < 5; n += 1) {
    assert.equal((await other.ask(quota, { keepBody: false })).status, '+');
  }
  const closed = await daemon.waitForLog((record) => record['event'] === 'session-closed', 'its end');
  assert.equal(closed['reason'], 'client-stall');
});
