// Goal: an answer that is broken never looks complete, and an upstream on which something odd happened serves nobody else.
// Phases: cut replies, nonsense, silence, two statuses. What must not happen: a `+` or rows without an end for a reply that the
// backend did not end; a second command on an upstream after that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openGateway } from '../../kit/gate/gateway.js';
import { cannedScript, type ReplyFault, type Script, type ScriptedBehaviour } from '../../kit/gate/script.js';
import { fileOwner } from '../../kit/plain/file-owner.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { readAudit } from '../../kit/plain/traces.js';
import { until } from '../../kit/plain/until.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };
const owner = fileOwner();
const shared = openGateway(owner);
/** For backends that fall silent. */
const hurried = openGateway(owner, { more: 'limits: { reply_idle: 3s, deadline: { read: 3s } }' });

/** Whose upstream rests between two commands. */
const kept = openGateway(owner, { mail1: { idle: '1' } });

/** A client, and a backend whose next connection, which the next command makes, behaves so. */
async function begin(behaviour: Partial<ScriptedBehaviour> = {}, which = shared) {
  const { client, backend, daemon } = await which;
  const usual = { script: cannedScript(), fault: undefined, secondStatus: false };
  backend.change(usual);
  const one: RawClient = await client();
  // A failed status closes the upstream.
  assert.equal((await one.ask({ user: 'nouser@example.org', fields: ['quota get'] })).status, '-NOUSER');
  backend.change(behaviour);
  const from = backend.commands.length;
  return {
    one,
    client,
    backend,
    daemon,
    /** Of each command since, the number of its connection. */
    connections: () => backend.commands.slice(from).map(({ connection }) => connection),
  };
}

interface Broken {
  readonly name: string;
  readonly script: Script;
  /** What the client sees before the status. */
  readonly cells: readonly string[];
  /** Whether its session goes on. */
  readonly goesOn: boolean;
  readonly outcome: string;
  readonly isSilent?: boolean;
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
    name: 'a status that is none, in the piece with the end of a cell',
    script: async (_command, connection) => {
      await connection.body('abc');
      await connection.body('def\t\nXBAD\n');
    },
    cells: ['abc'],
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
    isSilent: true,
  },
  {
    name: 'silence before a row',
    script: (_command, connection) => connection.closed,
    cells: [],
    goesOn: true,
    outcome: 'timeout',
    isSilent: true,
  },
  {
    name: 'a referral',
    script: (_command, connection) => connection.status('-REFERRAL alice@example.org@192.0.2.7'),
    cells: [],
    goesOn: true,
    outcome: 'failed',
  },
];

for (const { name, script, cells, goesOn, outcome, isSilent } of brokenReplies) {
  test(`${name}: -TEMPFAIL, told before it, ${outcome}`, async () => {
    let isBroken = true;
    const behaviour: Partial<ScriptedBehaviour> = {
      script: async (command, connection) => {
        if (isBroken) return script(command, connection);
        await connection.row('good');
        return connection.status('+');
      },
    };
    const { one, client, daemon, connections } = await begin(behaviour, isSilent ? hurried : shared);
    const reply = await one.ask(quota);
    assert.equal(reply.status, '-TEMPFAIL');
    assert.deepEqual(reply.cells, cells);
    const [, id] = /^dovegate: .* \[[a-z-]+\], id ([0-9A-Z]{26})$/.exec(reply.logs.at(-1)?.text ?? '') ?? [];
    assert.ok(id !== undefined);
    isBroken = false;
    if (goesOn) {
      assert.deepEqual((await one.ask(quota)).cells, ['good']);
    } else {
      assert.equal((await one.readEnd()).body.length, 0);
      const other = await client();
      assert.deepEqual((await other.ask(quota)).cells, ['good']);
    }
    // Each came on a connection of its own.
    assert.equal(new Set(connections()).size, 2, JSON.stringify(connections()));
    const completion = () =>
      readAudit(daemon.path('audit')).find(
        ({ record }) => record['event'] === 'completion' && record['id'] === id,
      )?.record;
    await until(() => completion() !== undefined, 'the completion', 60_000);
    assert.equal(completion()?.['outcome'], outcome);
    assert.equal(completion()?.['sent'], true);
  });
}

const replyFaults: readonly (readonly [ReplyFault, string])[] = [
  ['reply-frame-4gib', '-TEMPFAIL'],
  ['reply-endless-status', '-TEMPFAIL'],
  ['reply-two-statuses', '+'],
  ['reply-bytes-after-status', '+'],
];
for (const [fault, status] of replyFaults) {
  test(`${fault}: ${status}, and the upstream serves nobody else`, async () => {
    const { one, backend, connections } = await begin({ fault });
    assert.equal((await one.ask(quota)).status, status);
    backend.change({ fault: undefined });
    const next = await one.ask(quota);
    assert.equal(next.status, '+');
    assert.equal(next.cells.length, 10);
    assert.equal(connections().length, 1, 'no script was asked for the broken one');
    assert.equal(connections()[0], backend.records.length);
  });
}

test('a failed status of a minor 2 backend closes the upstream: a second status line would answer the next command', async () => {
  const { one, backend, connections } = await begin({ secondStatus: true });
  const before = backend.records.length;
  assert.equal((await one.ask({ user: 'nouser@example.org', fields: ['quota get'] })).status, '-NOUSER');
  assert.equal((await one.ask(quota)).cells.length, 10);
  assert.deepEqual(connections(), [before + 1, before + 2]);
});

test('an upstream that speaks, or ends, while nobody asked it anything is never handed out', async () => {
  const { one, backend, daemon, connections } = await begin({}, kept);
  for (const kind of ['speaks', 'logs', 'ends'] as const) {
    assert.equal((await one.ask(quota)).status, '+');
    const idle = backend.live.find(({ number }) => number === connections().at(-1));
    assert.ok(idle);
    if (kind === 'speaks') await idle.body('surprise\t');
    else if (kind === 'logs') await idle.log('warning', 'Killed with signal 15 (by pid=1 uid=0 code=kill)');
    else idle.end();
    await idle.closed;
  }
  assert.deepEqual((await one.ask(quota)).cells.length, 10);
  assert.equal(new Set(connections()).size, 4);
  await daemon.waitForLog(
    (record) =>
      record['event'] === 'backend-log' &&
      record['id'] === undefined &&
      String(record['text']).includes('signal 15'),
    'the log line that no command caused',
  );
});

test('after all of that the daemons end in order', async () => {
  for (const { daemon } of await Promise.all([shared, hurried, kept]))
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
});
