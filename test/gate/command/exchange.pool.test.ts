// Goal: what a client hears of the pool behind its commands: backends that reload, a long wait, and records of admissions that wait
// for company. What must not happen: a command whose record waits although its place is free.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';

const harmless = '|alice@example.org|quota get';

/** Outcomes and codes of the completions so far. */
function endings(engine: MemoryEngine): string[] {
  return engine.recordsOf('completion').map(({ outcome, error = '-' }) => `${outcome} ${error}`);
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
