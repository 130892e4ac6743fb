// Goal: a client that does not read, leaves, or floods harms only itself. Phases: stalled reads and changes; pipelines that nobody
// reads; clients that go away; floods. What must not happen: a reply with a hole that looks whole; an upstream held by a client
// that does not read; others waiting behind one.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { runDovegate } from '../kit/daemon.js';
import { auditRecords, openGateway } from '../kit/gateway.js';
import { cannedScript, createGate } from '../kit/script.js';
import { until } from '../kit/until.js';

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
  const completions = auditRecords(daemon).filter((record) => record['event'] === 'completion');
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

// bounds.unreadBytes
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
    other.sendCommand(quota);
    assert.equal((await other.readReply({ keepBody: false })).status, '+');
  }
  const closed = await daemon.waitForLog((record) => record['event'] === 'session-closed', 'its end');
  assert.equal(closed['reason'], 'client-stall');
});

test('one daemon, and clients and backends that do as they like', async (t) => {
  const { client, daemon, backend } = await openGateway(t, { policy, mail1: { connections: '1' } });

  await t.test(
    'bytes that a backend still owes, or sent too early, never become the answer of the next command',
    async () => {
      let how: 'open-frame' | 'early' | 'good' = 'open-frame';
      backend.change({
        script: async (command, connection) => {
          if (how === 'open-frame') {
            // A frame of 24 bytes, of which the reply is the first 8; the rest would be an answer of its own.
            await connection.raw(Buffer.concat([Buffer.from([0, 0, 0, 0, 24]), Buffer.from('mine\t\n+\n')]));
            how = 'good';
            await connection.closed;
          } else {
            await connection.row(command.user);
            await connection.status('+');
          }
        },
      });
      const one = await client();
      one.sendCommand(quota);
      assert.deepEqual((await one.readReply()).cells, ['mine']);
      const other = await client();
      other.sendCommand({ user: 'bob@example.org', fields: ['quota get'] });
      assert.deepEqual((await other.readReply()).cells, ['bob@example.org']);
      assert.deepEqual(
        backend.commands.map((command) => command.connection),
        [1, 2],
      );
    },
  );

  await t.test(
    'a cell that was cut is seen as cut, also when a fault comes in the same piece as its end',
    async () => {
      backend.change({
        script: async (_command, connection) => {
          await connection.body('abc');
          await connection.body('def\t\nXBAD\n');
        },
      });
      const one = await client();
      one.sendCommand(quota);
      assert.equal((await one.readReply()).status, '-TEMPFAIL');
      assert.equal((await one.readEnd()).body.length, 0);
    },
  );

  await t.test('a client that leaves during a change: it is left to finish, and recorded', async () => {
    const gate = createGate();
    backend.change({
      script: async (_command, connection) => {
        await gate.opened;
        await connection.status('+');
      },
    });
    const before = backend.commands.length;
    const one = await client();
    one.sendCommand(create);
    await backend.waitFor(({ commands }) => commands.length > before, 'the command');
    one.close();
    gate.open();
    const completion = () =>
      auditRecords(daemon).find(
        ({ event, command }) => event === 'completion' && command === 'mailbox create',
      );
    await until(() => completion() !== undefined, 'the end of the exchange');
    assert.equal(completion()?.['outcome'], 'ok');
  });

  await t.test('clients that come and go leave no descriptor behind', async () => {
    backend.change({ script: cannedScript() });
    const descriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;
    const visit = async (): Promise<void> => {
      const one = await client();
      one.sendCommand(quota);
      await one.readReply();
      one.close();
    };
    await visit();
    const before = descriptors();
    for (let n = 0; n < 200; n += 1) await visit();
    const last = await client();
    last.sendCommand(quota);
    await last.readReply();
    await until(() => descriptors() <= before + 3, `${before} descriptors again`);
  });

  await t.test('a flood of refused lines does not keep others waiting', async () => {
    const flood = await client({ minor: 0 });
    const other = await client();
    other.sendCommand(quota);
    await other.readReply();
    const line = '\talice@example.org\tmailbox delete\tx\n';
    const flooding = flood.write(line.repeat(40_000)).catch(() => undefined);
    const turns: number[] = [];
    for (let n = 0; n < 10; n += 1) {
      other.sendCommand(quota);
      assert.equal((await other.readReply()).status, '+');
      let answered = 0;
      for (let at = 0; (at = flood.received().indexOf('-NOPERM', at)) >= 0; at += 7) answered += 1;
      turns.push(answered);
    }
    // The other's ten commands were answered while the flood was still being worked off.
    assert.ok((turns.at(-1) ?? 0) < 40_000, turns.join(' '));
    flood.close();
    await flooding;
  });
});
