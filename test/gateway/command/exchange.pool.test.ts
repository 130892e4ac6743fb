// Goal: what a client hears of the pool behind its commands: backends that reload, a long wait, and records of admissions that wait
// for company. What must not happen: a command whose record waits although its place is free.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allSynced,
  emptyReply,
  type MemoryEngine,
  memorySettings,
  openMemoryEngine,
} from '../../kit/memory-engine.js';

const harmless = '|alice@example.org|quota get';

/** Outcomes and codes of the completions so far. */
function endings({ records }: MemoryEngine): string[] {
  return records.flatMap(({ record }) =>
    record.event === 'completion' ? `${record.outcome} ${record.error ?? '-'}` : [],
  );
}

void test('a Dovecot that reloads is not the fault of a command', async () => {
  const engine = openMemoryEngine();
  engine.setAnswer(() => undefined);
  const [one, two] = [await engine.client(2), await engine.client(2)];
  const change = '|alice@example.org|mailbox subscribe|Work';
  await one.line(change);
  await two.line(change);
  await engine.clock.advance(1_000);
  for (const { peer } of engine.dialler.open) peer.end();
  await engine.clock.advance(0);
  await engine.clock.advance(0);
  assert.deepEqual(endings(engine), ['unknown closed-early', 'unknown closed-early']);
});

void test('who waits for long is told where it stands, on the log channel', async () => {
  const engine = openMemoryEngine();
  engine.setAnswer(() => undefined);
  const clients = [];
  for (let n = 0; n < 3; n += 1) clients.push(await engine.client(2, { user: `u${n}` }));
  for (const client of clients) await client.line(harmless);
  await engine.clock.advance(4_999);
  assert.equal(clients[2]?.said(), '');
  await engine.clock.advance(1);
  assert.match(clients[2]?.said() ?? '', /dovegate: waiting for mail1 \[waiting\]\n$/);
  assert.equal(clients[0]?.said(), '');
});

void test('an admission waits for company only where its principal has a queue before it', async () => {
  const engine = openMemoryEngine({
    settings: memorySettings.replace('sessions: 3', 'sessions: 9').concat(allSynced),
  });
  engine.setAnswer(() => undefined);
  const clients = [];
  // Two upstreams for mail1: two run, four wait, and from then on nobody is in a hurry.
  for (let n = 0; n < 7; n += 1) {
    const client = await engine.client(2);
    await client.line(harmless);
    clients.push(client);
  }
  const newcomer = await engine.client(2, { user: 'eve' });
  await newcomer.line(harmless);
  const admissions = engine.records.filter(({ record }) => record.event === 'admission');
  assert.deepEqual(
    admissions.map(({ durable, isPatient }) => [durable, isPatient]),
    [false, false, false, false, false, false, true, false].map((isPatient) => [true, isPatient]),
  );
  for (const client of [...clients, newcomer]) client.transport.close('draining');
});

void test('server commands that wait for a place of their own make no admission of a mail command wait', async () => {
  const engine = openMemoryEngine({
    settings: memorySettings
      .replace('sessions: 3', 'sessions: 9')
      .replace('fetch, who', '{ command: who, masks: true, where: { mask: any } }')
      .concat(allSynced),
  });
  engine.setAnswer((line, at) => (line.includes('who') ? undefined : emptyReply(line, at)));
  const clients = [];
  // One of the two upstreams for mail1 is theirs: one runs, four wait, and the sixth has time.
  for (let n = 0; n < 6; n += 1) {
    const client = await engine.client(2);
    await client.line('||who|alice@example.org');
    clients.push(client);
  }
  const reader = await engine.client(2);
  await reader.line(harmless);
  assert.match(reader.said(), /\+\n$/);
  const admissions = engine.records.filter(({ record }) => record.event === 'admission');
  assert.deepEqual(
    admissions.map(({ isPatient }) => isPatient),
    [false, false, false, false, false, true, false],
  );
  for (const client of [...clients, reader]) client.transport.close('draining');
});
