// Goal: all sessions are counted, limited, and ended together.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from '../kit/fake-clock.js';
import { replyPacket } from '../kit/memory-backend.js';
import { openMemoryEngine } from '../kit/memory-engine.js';
import { createMemoryTransport } from '../kit/memory-transport.js';

void test('no more sessions than the listener may have; one that ends makes room', async () => {
  const engine = openMemoryEngine();
  const { sessionsMax } = engine.listener;
  const clients = [];
  for (let n = 0; n < sessionsMax; n += 1) clients.push(await engine.client(2));
  const surplus = await engine.client(2);
  assert.deepEqual([surplus.transport.closedFor, surplus.said()], ['sessions-limit', '']);
  assert.ok(engine.events.some((event) => event.kind === 'session-refused' && event.listener === 'support'));
  assert.equal(engine.service.sessions, sessionsMax);
  clients[0]?.peer.end();
  await settle();
  assert.equal(engine.service.sessions, sessionsMax - 1);
  const next = await engine.client(2);
  assert.equal(next.transport.closedFor, undefined);
  engine.service.cut();
  await settle();
  assert.equal(engine.service.sessions, 0);
});

void test('each listener has its own count', async () => {
  const engine = openMemoryEngine();
  const other = { ...engine.listener, name: 'billing', sessionsMax: 1 };
  await engine.client(2);
  await engine.client(2);
  const transports = [createMemoryTransport().transport, createMemoryTransport().transport];
  for (const transport of transports) engine.service.serve(other, transport, { listener: 'billing' });
  assert.deepEqual(Object.fromEntries(engine.service.sessionsByListener()), { support: 2, billing: 1 });
  assert.deepEqual(
    transports.map(({ closedFor }) => closedFor),
    [undefined, 'sessions-limit'],
  );
  engine.service.cut();
  await settle();
  assert.equal(engine.service.sessions, 0);
});

void test('drain without sessions is over at once; afterwards nobody is served', async () => {
  const engine = openMemoryEngine();
  await engine.service.drain();
  const late = await engine.client(2);
  assert.deepEqual([late.transport.closedFor, late.said(), engine.service.sessions], ['draining', '', 0]);
});

void test('drain is over when the last session is, and its last bytes have left', async () => {
  const engine = openMemoryEngine();
  engine.setAnswer(() => undefined);
  const client = await engine.client(2);
  await client.line('|alice@example.org|quota get');
  let isOver = false;
  const drained = engine.service.drain().then(() => {
    isOver = true;
  });
  client.peer.setStopped(true);
  engine.commands[0]?.end.peer.send(replyPacket('row\t\n+\n'));
  await settle();
  assert.deepEqual([client.transport.closedFor, isOver], ['draining', false]);
  client.peer.setStopped(false);
  await drained;
  assert.match(client.said(), /row\t\n\+\n$/);
});
