// Goal: an answer that is broken never looks complete, and an upstream on which something odd happened serves nobody else.
// Phases: cut replies, nonsense, silence, two statuses. What must not happen: a `+` or rows without an end for a reply that the
// backend did not end; a second command on an upstream after that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditRecords, openGateway } from '../kit/gateway.js';
import type { ReplyFault, Script } from '../kit/script.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };

interface Broken {
  readonly name: string;
  readonly script: Script;
  /** What the client sees before the status. */
  readonly cells: readonly string[];
  /** Whether its session goes on. */
  readonly goesOn: boolean;
  readonly outcome: string;
  readonly limits?: string;
}

const brokenReplies: readonly Broken[] = [
  {
    name: 'the backend dies before a byte',
    script: (_command, connection) => connection.reset(),
    cells: [],
    goesOn: true,
    outcome: 'unknown',
  },
  {
    name: 'the backend ends between rows',
    script: async (_command, connection) => {
      await connection.row('a', 'b');
      connection.end();
    },
    cells: ['a', 'b'],
    goesOn: true,
    outcome: 'unknown',
  },
  {
    name: 'the backend ends within a cell',
    script: async (_command, connection) => {
      await connection.body('a\tb');
      connection.end();
    },
    cells: ['a', 'b'],
    goesOn: false,
    outcome: 'unknown',
  },
  {
    name: 'the backend ends within the status line',
    script: async (_command, connection) => {
      await connection.body('a\t\n+');
      connection.end();
    },
    cells: ['a'],
    goesOn: true,
    outcome: 'unknown',
  },
  {
    name: 'the status is neither + nor -',
    script: (_command, connection) => connection.body('a\t\nOK\n'),
    cells: [],
    goesOn: true,
    outcome: 'unknown',
  },
  {
    name: 'bytes that are no frame',
    script: (_command, connection) => connection.raw('\x00\xff\xff\xff\xffgarbage'),
    cells: [],
    goesOn: true,
    outcome: 'unknown',
  },
  {
    name: 'silence after a row',
    script: async (_command, connection) => {
      await connection.row('a');
      await connection.closed;
    },
    cells: ['a'],
    goesOn: true,
    outcome: 'timeout',
    limits: 'limits: { reply_idle: 300ms }',
  },
  {
    name: 'silence before a row',
    script: (_command, connection) => connection.closed,
    cells: [],
    goesOn: true,
    outcome: 'timeout',
    limits: 'limits: { deadline: { read: 300ms } }',
  },
  {
    name: 'a referral',
    script: (_command, connection) => connection.status('-REFERRAL alice@example.org@192.0.2.7'),
    cells: [],
    goesOn: true,
    outcome: 'failed',
  },
];

for (const { name, script, cells, goesOn, outcome, limits } of brokenReplies) {
  test(`${name}: -TEMPFAIL, told before it, ${outcome}`, async (t) => {
    let isBroken = true;
    const { client, backend, daemon } = await openGateway(t, {
      backend: {
        script: async (command, connection) => {
          if (isBroken) return script(command, connection);
          await connection.row('good');
          return connection.status('+');
        },
      },
      ...(limits === undefined ? {} : { more: limits }),
    });
    const one = await client();
    one.sendCommand(quota);
    const reply = await one.readReply();
    assert.equal(reply.status, '-TEMPFAIL');
    assert.deepEqual(reply.cells, cells);
    assert.match(reply.logs.at(-1)?.text ?? '', /^dovegate: .*, id [0-9A-Z]{26}$/);
    isBroken = false;
    if (goesOn) {
      one.sendCommand(quota);
      assert.deepEqual((await one.readReply()).cells, ['good']);
    } else {
      assert.equal((await one.readEnd()).body.length, 0);
      const other = await client();
      other.sendCommand(quota);
      assert.deepEqual((await other.readReply()).cells, ['good']);
    }
    // Each came on a connection of its own.
    const connections = backend.commands.map((command) => command.connection);
    assert.equal(new Set(connections).size, 2, JSON.stringify(connections));
    await daemon.stop();
    const completion = auditRecords(daemon).find((record) => record['event'] === 'completion');
    assert.equal(completion?.['outcome'], outcome);
    assert.equal(completion?.['sent'], true);
  });
}

const replyFaults: readonly (readonly [ReplyFault, string])[] = [
  ['reply-frame-4gib', '-TEMPFAIL'],
  ['reply-endless-status', '-TEMPFAIL'],
  ['reply-two-statuses', '+'],
  ['reply-bytes-after-status', '+'],
];
for (const [fault, status] of replyFaults) {
  test(`${fault}: ${status}, and the upstream serves nobody else`, async (t) => {
    const { client, backend } = await openGateway(t, { backend: { fault } });
    const one = await client();
    one.sendCommand(quota);
    assert.equal((await one.readReply()).status, status);
    backend.change({ fault: undefined });
    one.sendCommand(quota);
    const next = await one.readReply();
    assert.equal(next.status, '+');
    assert.equal(next.cells.length, 10);
    assert.equal(backend.commands.at(-1)?.connection, 2);
  });
}

test('a failed status of a minor 2 backend closes the upstream: a second status line would answer the next command', async (t) => {
  const { client, backend } = await openGateway(t, { backend: { secondStatus: true } });
  const one = await client();
  one.sendCommand({ user: 'nouser@example.org', fields: ['quota get'] });
  assert.equal((await one.readReply()).status, '-NOUSER');
  one.sendCommand(quota);
  assert.equal((await one.readReply()).cells.length, 10);
  assert.deepEqual(
    backend.commands.map((command) => command.connection),
    [1, 2],
  );
});

test('an upstream that speaks, or ends, while nobody asked it anything is never handed out', async (t) => {
  const { client, backend, daemon } = await openGateway(t);
  const one = await client();
  const kinds = ['speaks', 'logs', 'ends'] as const;
  for (const [round, kind] of kinds.entries()) {
    one.sendCommand(quota);
    assert.equal((await one.readReply()).status, '+');
    const idle = backend.live.at(-1);
    assert.ok(idle);
    if (kind === 'speaks') await idle.body('surprise\t');
    else if (kind === 'logs') await idle.log('warning', 'Killed with signal 15 (by pid=1 uid=0 code=kill)');
    else idle.end();
    await idle.closed;
    assert.equal(backend.records.length, round + 1);
  }
  one.sendCommand(quota);
  assert.deepEqual((await one.readReply()).cells.length, 10);
  assert.equal(backend.records.length, kinds.length + 1);
  await daemon.waitForLog(
    (record) =>
      record['event'] === 'backend-log' &&
      record['id'] === undefined &&
      String(record['text']).includes('signal 15'),
    'the log line that no command caused',
  );
});
