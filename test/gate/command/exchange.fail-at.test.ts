// Goal: whichever call of a port fails, an exchange leaves nothing behind and its records are true. One story over session, exchange
// and pool: reads, a change, refusals, refused input, a command that waits for an upstream. The N-th call of a read, write, dial,
// append or timer fails, N = 1, 2, ... until none does. What must not happen: a lease, timer or transport that stays, an
// admission with no completion or with two, a command at the backend that no admission speaks of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { logPacket, poolSizes, replyPacket } from '../../kit/gate/memory-backend.js';
import {
  type MemoryClient,
  type MemoryEngine,
  memorySettings,
  openMemoryEngine,
} from '../../kit/gate/memory-engine.js';
import { type FailAt, failAtEach } from '../../kit/plain/fail-at.js';
import { settle } from '../../kit/plain/fake-clock.js';

type Ids = ReadonlyMap<string, readonly AuditRecord[]>;

function byExchange(records: MemoryEngine['offered'], event: AuditRecord['event']): Ids {
  const ids = new Map<string, AuditRecord[]>();
  for (const record of records) {
    if (record.event === event) ids.set(record.id ?? '', [...(ids.get(record.id ?? '') ?? []), record]);
  }
  return ids;
}

/**
 * What must hold after every run, whatever failed in it: nothing leased, held, timed or open; each admission one completion; each command
 * at the backend an admission that was on disk before. Lines of a text count as none: as we send them they cannot be commands.
 */
async function assertTidy(engine: MemoryEngine, clients: readonly MemoryClient[]): Promise<void> {
  await engine.untilIdle();
  for (const { transport } of clients)
    assert.notEqual(transport.closedFor, undefined, 'a client is left open');
  engine.pool.drain();
  await settle();
  assert.deepEqual(poolSizes(engine.pool), [0, 0, 0, 0]);
  assert.equal(engine.dialler.open.length, 0, 'an upstream is left open');
  assert.equal(engine.clock.timers, 0, 'a timer is left');
  assert.equal(engine.context.exchanges().buffered.bytes, 0, 'input is held');
  // A record that was refused may still be written by a journal that heals: so it must have its other half as well.
  const admissions = byExchange(engine.offered, 'admission');
  const completions = byExchange(engine.offered, 'completion');
  for (const [id, ended] of completions) {
    assert.equal(ended.length, 1, `exchange ${id} ended twice`);
    assert.ok(admissions.has(id), `exchange ${id} ended without an admission`);
  }
  for (const [id, admitted] of admissions) {
    assert.equal(admitted.length, 1, `exchange ${id} was admitted twice`);
    assert.ok(completions.has(id), `exchange ${id} never ended`);
  }
  // Every command that the backend got has an allowed admission that was safe before, on disk for what is no read; only what reads
  // may come twice.
  const admitted = engine.records.filter(({ record }) => record.event === 'admission');
  const came = new Map<string, number>();
  for (const command of engine.commands) {
    if (/^(?:[.\r]|$)/.test(command.line)) continue;
    const [, , name = ''] = command.line.split('\t');
    const times = (came.get(name) ?? 0) + 1;
    came.set(name, times);
    const allowed = admitted
      .slice(0, command.admissions)
      .filter(({ record }) => record.command === name && record.decision === 'allow')
      .filter(({ record, durable }) => durable || record.effect === 'read');
    const most = allowed.reduce((sum, { record }) => sum + (record.effect === 'read' ? 2 : 1), 0);
    assert.ok(times <= most, `${name} came ${times} times for ${allowed.length} admissions`);
  }
  // What was told as done was done, and what was not sent is not told to be unknown.
  for (const { outcome, sent } of [...completions.values()].flat()) {
    if (outcome === 'ok' || outcome === 'unknown') assert.equal(sent, true);
    if (outcome === 'denied' || outcome === 'unparsable') assert.equal(sent, false);
  }
}

/** A client that is gone sends no more. */
async function say(client: MemoryClient, text: string): Promise<void> {
  if (client.transport.closedFor === undefined) await client.line(text);
}

void test('one client: reads, a change, refusals and refused input', async () => {
  let outcomes = new Map<string, number>();
  const calls = await failAtEach(async (failAt) => {
    const engine = openMemoryEngine({ failAt });
    engine.setAnswer((asked) =>
      asked.includes('quota')
        ? Buffer.concat([replyPacket('row\t'), logPacket('info', 'note'), replyPacket('\n+\n')])
        : replyPacket(asked.includes('list') ? '\n-NOUSER\n' : '\n+\n'),
    );
    const client = await engine.client(3);
    await say(client, '||OPTION|log-passthrough');
    await say(client, '|alice@example.org|quota get');
    await say(client, '|alice@example.org|mailbox list|INBOX');
    await say(client, '|alice@example.org|mailbox subscribe|Work');
    await say(client, '||who|alice@example.org');
    await say(client, '|alice@example.org|who|--nonsense');
    await say(client, '|alice@example.org|expunge|mailbox|INBOX|all');
    await say(client, '|alice@example.org|save|-m|INBOX');
    await say(client, 'Subject: x\n\n|alice@example.org|mailbox subscribe|Smuggled\n.');
    await say(client, '|alice@example.org|quota get');
    if (client.transport.closedFor === undefined) client.peer.end();
    await assertTidy(engine, [client]);
    assert.ok(!engine.commands.some(({ line }) => line.includes('Smuggled')));
    outcomes = new Map();
    for (const { record } of engine.records) {
      if (record.event === 'completion') {
        outcomes.set(String(record.outcome), (outcomes.get(String(record.outcome)) ?? 0) + 1);
      }
    }
  });
  // Of the last run, in which nothing failed.
  assert.deepEqual(Object.fromEntries(outcomes), { ok: 4, failed: 1, unparsable: 1, denied: 2 });
  assert.ok(calls > 60, `${calls} calls`);
});

void test('three clients on two upstreams: one waits, one leaves, one is slow to be answered', async () => {
  const calls = await failAtEach(async (failAt) => {
    const engine = openMemoryEngine({ failAt, answer: () => undefined });
    const clients = [await engine.client(1), await engine.client(2), await engine.client(0)];
    for (const client of clients) await say(client, '|alice@example.org|mailbox subscribe|Work');
    await settle();
    clients[1]?.peer.vanish();
    await settle();
    for (const { end } of engine.commands.slice(0, 2)) {
      if (end.transport.closedFor === undefined) end.peer.send(replyPacket('\n+\n'));
    }
    await settle();
    engine.setAnswer(() => replyPacket('\n+\n'));
    for (const client of clients) {
      await say(client, '|alice@example.org|quota get').catch(() => undefined);
      if (client.transport.closedFor === undefined) client.peer.end();
    }
    await assertTidy(engine, clients);
  });
  assert.ok(calls > 40, `${calls} calls`);
});

// Whichever call of a port fails while a command has input, nothing is left behind, its record is true, and no text ends at the backend
// that did not end at the client.
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
    const [first, second, third] = [
      await engine.client(2),
      await engine.client(2),
      await engine.client(2),
    ] as const;
    const clients = [first, second, third];
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
    const [first, second, third] = [
      await engine.client(2),
      await engine.client(2),
      await engine.client(2),
    ] as const;
    const clients = [first, second, third];
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
