// Goal: a client that is gone is noticed while its command runs, also where no event of its socket tells; one that has only ended its
// side is not gone. Phases: half-closed and then away; away behind a pipeline that nobody reads; half-closed and waiting. What must not
// happen: a backend that works for nobody, a client that waits for its answer and gets none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { createGate } from '../../kit/gate/script.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };
const create = { user: 'alice@example.org', fields: ['mailbox create', 'New'] };
const policy = `
    users: ["*@example.org"]
    allow: [quota get, mailbox create]`;

/** A backend that answers when the gate is opened. */
async function openHeld(t: Parameters<typeof openGateway>[0]) {
  const gate = createGate();
  t.after(() => gate.open());
  const gateway = await openGateway(t, {
    policy,
    more: 'log: { level: debug }',
    backend: {
      script: async (_command, connection) => {
        await gate.opened;
        await connection.row('1');
        await connection.status('+');
      },
    },
  });
  return { ...gateway, gate };
}

test('half-closed and then away: the upstream of a read is closed within half a second', async (t) => {
  const { client, daemon } = await openHeld(t);
  const one = await client();
  one.sendCommand(quota);
  one.halfClose();
  await daemon.waitForLog((record) => record['event'] === 'upstream-opened', 'an upstream');
  const leftMs = performance.now();
  one.close();
  await daemon.waitForLog((record) => record['event'] === 'exchange-aborted', 'the end of the exchange');
  const tookMs = performance.now() - leftMs;
  t.diagnostic(`noticed after ${Math.round(tookMs)} ms`);
  await daemon.waitForLog((record) => record['event'] === 'upstream-closed', 'the upstream');
});

test('away behind more than is read ahead', async (t) => {
  const { client, daemon } = await openHeld(t);
  const one = await client();
  const line = `\talice@example.org\tquota get\n`;
  await one.write(line.repeat(8_000)).catch(() => undefined);
  await daemon.waitForLog((record) => record['event'] === 'upstream-opened', 'an upstream');
  one.close();
  await daemon.waitForLog((record) => record['event'] === 'exchange-aborted', 'the end of the exchange');
  await daemon.stop();
  const completions = recordsOf(daemon, 'completion');
  assert.equal(completions.length, 1, 'what it had not waited for was not run');
});

test('half-closed and waiting: it gets its answer, and a change is left to finish when it goes', async (t) => {
  const { client, daemon, gate } = await openHeld(t);
  const waiting = await client();
  waiting.sendCommand(quota);
  waiting.halfClose();
  const leaving = await client();
  leaving.sendCommand(create);
  leaving.halfClose();
  await daemon.waitForLog(
    (record) => record['event'] === 'upstream-opened' && String(record['upstream']).endsWith('-2'),
    'two upstreams',
  );
  leaving.close();
  // Longer than it takes to notice.
  await pause(700);
  gate.open();
  const reply = await waiting.readReply();
  assert.equal(reply.status, '+');
  // What runs is let to its end: a command that went well is no line of the log.
  await daemon.stop();
  const completions = recordsOf(daemon, 'completion');
  const outcomes = completions.map((record) => `${String(record['command'])}: ${String(record['outcome'])}`);
  assert.deepEqual(outcomes.toSorted(), ['mailbox create: ok', 'quota get: ok']);
});
