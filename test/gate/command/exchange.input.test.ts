// Goal: whichever call of a port fails while a command has input, nothing is left behind, its record is true, and no text ends at the
// backend that did not end at the client. Phases: texts that are short, long, refused, answered early; bytes both ways; clients that
// leave; a stop. What must not happen: what assertTidy looks for; an `ok` without the final dot; a dot that the client did not send.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  type MemoryClient,
  type MemoryEngine,
  memorySettings,
  openMemoryEngine,
} from '../../kit/gate/memory-engine.js';
import { type FailAt, failAtEach } from '../../kit/plain/fail-at.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { assertTidy } from './tidy.js';

const settings = memorySettings.replace(
  'fetch, who',
  'who, save, { command: dsync-server, where: { replicator-notify: any } }',
);
const trap = '|alice@example.org|mailbox subscribe|Smuggled\n'.replaceAll('|', '\t');
/** More than is held, in lines: where a long one may be cut is searched for byte by byte. */
const mebibyte = trap + `${'x'.repeat(8191)}\n`.repeat(128);

function open(failAt: FailAt | undefined): MemoryEngine {
  const engine = openMemoryEngine({ settings, ...(failAt !== undefined && { failAt }) });
  engine.setAnswer((line) => {
    if (line === '.\r') return replyPacket('\n+\n');
    // The command that waits for its text, and lines of a text.
    return line.includes('\tsave\t') || /^(?:[.\r]|$)/.test(line) ? undefined : replyPacket('\n+\n');
  });
  return engine;
}

async function send(client: MemoryClient, text: string): Promise<void> {
  if (client.transport.closedFor !== undefined) return;
  client.peer.send(text);
  await settle();
}

const save = (client: MemoryClient): Promise<void> => send(client, '\talice@example.org\tsave\n');

/** As many final dots at the backend as texts that may have been carried out. */
function assertDots(engine: MemoryEngine): void {
  const dots = engine.commands.filter(({ line }) => line === '.\r').length;
  const done = engine
    .recordsOf('completion')
    .filter(({ command, outcome }) => command === 'save' && outcome === 'ok');
  const unsure = engine.recordsOf('completion').filter(({ command, outcome, sent }) => {
    return command === 'save' && sent === true && (outcome === 'unknown' || outcome === 'timeout');
  });
  assert.ok(dots >= done.length && dots <= done.length + unsure.length, `${dots} dots, ${done.length} done`);
  assert.ok(!engine.commands.some(({ line }) => line.startsWith('\t') && line.includes('Smuggled')));
}

void test('texts short and long, refused ones, and commands between them', async () => {
  let outcomes: unknown[] = [];
  const calls = await failAtEach(async (failAt) => {
    const engine = open(failAt);
    const client = await engine.client(2);
    await save(client);
    await send(client, `Subject: x\n${trap}`);
    await send(client, '.\n');
    await send(client, '\talice@example.org\tquota get\n');
    await save(client);
    await send(client, mebibyte);
    await send(client, trap);
    await send(client, `.\n\talice@example.org\tquota get\n`);
    await send(client, `\tbob@elsewhere.org\tsave\n${trap}.\n`);
    await send(client, `\talice@example.org\tquota get\n`);
    await send(client, `\talice@example.org\tsave\t--bogus\n${trap}`);
    if (client.transport.closedFor === undefined) client.peer.end();
    await assertTidy(engine, [client]);
    // A journal that fails has no records to compare with.
    if (failAt.failed?.startsWith('append') !== true) assertDots(engine);
    outcomes = engine
      .recordsOf('completion')
      .map(({ command, outcome }) => `${command ?? ''} ${outcome ?? ''}`);
  });
  assert.deepEqual(outcomes, [
    'save ok',
    'quota get ok',
    'save ok',
    'quota get ok',
    'save denied',
    'quota get ok',
    'save unparsable',
  ]);
  assert.ok(calls > 60, `${calls} calls`);
});

void test('clients that leave within a text, an upstream that answers early, a text that takes too long', async () => {
  const calls = await failAtEach(async (failAt) => {
    const engine = open(failAt);
    const clients = [await engine.client(2), await engine.client(2), await engine.client(2)];
    const [first, second, third] = clients;
    assert.ok(first && second && third);
    for (const client of clients) await save(client);
    await send(first, mebibyte);
    await send(second, mebibyte);
    await send(third, 'Subject: x\n');
    if (first.transport.closedFor === undefined) first.peer.vanish();
    await settle();
    for (const { end } of engine.commands) {
      if (end.transport.closedFor === undefined) end.peer.send(replyPacket('\n-USAGE\n'));
    }
    await send(second, `${trap}.\n`);
    if (second.transport.closedFor === undefined) second.peer.end();
    // Nothing more comes from the third.
    await assertTidy(engine, clients);
    assert.ok(!engine.commands.some(({ line }) => line === '.\r'));
    if (failAt.failed === undefined) {
      const found = engine
        .recordsOf('completion')
        .map(({ outcome, error, sent }) => `${outcome ?? ''} ${error ?? ''} ${sent}`);
      assert.deepEqual(found.toSorted(), [
        'aborted client-gone true',
        'failed early-answer true',
        'timeout input-late false',
      ]);
    }
  });
  assert.ok(calls > 40, `${calls} calls`);
});

void test('we stop within texts and within bytes both ways', async () => {
  const calls = await failAtEach(async (failAt) => {
    const engine = open(failAt);
    const clients = [await engine.client(2), await engine.client(2), await engine.client(2)];
    const [first, second, third] = clients;
    assert.ok(first && second && third);
    await save(first);
    await send(first, mebibyte);
    await save(second);
    await send(second, 'Subject: x\n');
    await send(third, '\talice@example.org\tdsync-server\n.up\n');
    const drained = engine.service.drain();
    await settle();
    engine.pool.drain();
    engine.service.abort();
    await engine.untilIdle();
    await drained;
    await assertTidy(engine, clients);
    assert.ok(!engine.commands.some(({ line }) => line === '.\r'));
  });
  assert.ok(calls > 30, `${calls} calls`);
});

void test('bytes both ways, each exchange with an upstream of its own', async () => {
  const calls = await failAtEach(async (failAt) => {
    const engine = open(failAt);
    const client = await engine.client(2);
    await send(client, '\talice@example.org\tdsync-server\n');
    await send(client, '.up\n');
    for (const { end } of engine.commands) {
      if (end.transport.closedFor === undefined) end.peer.send(replyPacket('down'));
    }
    await settle();
    if (client.transport.closedFor === undefined) client.peer.end();
    await settle();
    for (const { end } of engine.commands) if (end.transport.closedFor === undefined) end.peer.end();
    await settle();
    await assertTidy(engine, [client]);
    if (failAt.failed === undefined) {
      const [done] = engine.recordsOf('completion');
      assert.deepEqual([done?.outcome, done?.status, done?.input], ['ok', '+', { bytes: 4 }]);
      assert.equal(client.transport.closedFor, 'peer-ended');
      assert.ok(client.said().endsWith('down'));
    }
  });
  assert.ok(calls > 10, `${calls} calls`);
});
