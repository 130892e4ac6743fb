// The transport without a socket against the words of its port; and fail-at over a story that uses it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransportFault, UpstreamFault } from '../../src/ports/faults.js';
import { failAtEach, failable, failableClock, failableTransport } from '../kit/fail-at.js';
import { createFakeClock, settle } from '../kit/fake-clock.js';
import { createMemoryTransport } from '../kit/memory-transport.js';

const isFault = (code: string) => (error: unknown) => error instanceof TransportFault && error.code === code;
const demand = { serverName: 'localhost', ca: undefined, keyPins: [] };

void test('reads chunks as they were sent, then null again and again', async () => {
  const { transport, peer } = createMemoryTransport();
  peer.send('ab');
  peer.send('c');
  assert.deepEqual(await transport.read(), Buffer.from('ab'));
  assert.deepEqual(await transport.read(), Buffer.from('c'));
  const later = transport.read();
  peer.end();
  assert.equal(await later, null);
  assert.equal(await transport.read(), null);
});

void test('two reads at a time are a bug', async () => {
  const { transport, peer } = createMemoryTransport();
  const first = transport.read();
  await assert.rejects(transport.read(), /two reads/);
  peer.send('x');
  assert.deepEqual(await first, Buffer.from('x'));
});

void test('a write waits while the peer does not read', async () => {
  const { transport, peer } = createMemoryTransport({ roomBytes: 4 });
  assert.equal(transport.write([Buffer.from('go')]), undefined);
  peer.setStopped(true);
  assert.equal(transport.write([Buffer.from('12'), Buffer.from('34')]), undefined);
  let isDone = false;
  const write = transport.write([Buffer.from('5')])?.then(() => {
    isDone = true;
  });
  await settle();
  assert.deepEqual([isDone, transport.unsentBytes, String(peer.received())], [false, 5, 'go']);
  peer.setStopped(false);
  await write;
  assert.deepEqual([isDone, transport.unsentBytes, String(peer.received())], [true, 0, 'go12345']);
});

void test('what is written whole waits until it has left, and is noted as such unless something from before had not', async () => {
  const { transport, peer } = createMemoryTransport();
  peer.setStopped(true);
  let isDone = false;
  const write = transport.writeWhole(Buffer.from('one')).then(() => {
    isDone = true;
  });
  await settle();
  assert.equal(isDone, false);
  const cut = transport.writeWhole(Buffer.from('two'));
  await assert.rejects(transport.writeWhole(Buffer.alloc(20_000)), /too long/);
  peer.setStopped(false);
  await Promise.all([write, cut]);
  assert.deepEqual([peer.wholes.map(String), String(peer.received())], [['one'], 'onetwo']);
  peer.setStopped(true);
  const lost = transport.writeWhole(Buffer.from('lost'));
  transport.close('aborted', true);
  await assert.rejects(lost, isFault('closed'));
});

void test('closing: the first reason counts, reads and waiting writes reject, an abrupt close drops what is unsent', async () => {
  for (const isAbrupt of [false, true]) {
    const { transport, peer } = createMemoryTransport({ roomBytes: 0 });
    peer.setStopped(true);
    const write = transport.write([Buffer.from('late')]);
    const read = transport.read();
    transport.close('draining', isAbrupt);
    transport.close('internal');
    assert.equal(transport.closedFor, 'draining');
    await assert.rejects(read, isFault('closed'));
    await assert.rejects(transport.read(), isFault('closed'));
    await assert.rejects(Promise.resolve(write), isFault('closed'));
    await assert.rejects(Promise.resolve(transport.write([Buffer.from('x')])), isFault('closed'));
    peer.setStopped(false);
    assert.equal(String(peer.received()), isAbrupt ? '' : 'late');
    assert.deepEqual([peer.isEnded, peer.isReset], [true, isAbrupt]);
  }
});

void test('an abrupt close after another one drops what is still on its way', async () => {
  const { transport, peer } = createMemoryTransport();
  peer.setStopped(true);
  void transport.write([Buffer.from('late')]);
  transport.close('draining');
  transport.close('internal', true);
  await transport.whenClosed();
  assert.deepEqual([transport.closedFor, peer.isReset], ['draining', true]);
  peer.setStopped(false);
  assert.equal(String(peer.received()), '');
});

void test('a peer that vanishes takes its unread bytes along', async () => {
  const { transport, peer } = createMemoryTransport();
  peer.send('lost');
  peer.vanish();
  await assert.rejects(transport.read(), isFault('peer-gone'));
  await assert.rejects(Promise.resolve(transport.write([Buffer.from('x')])), isFault('peer-gone'));
  assert.equal(transport.closedFor, undefined);
});

void test('half-close: the peer still sends', async () => {
  const { transport, peer } = createMemoryTransport();
  void transport.write([Buffer.from('bye')]);
  transport.endWriting();
  assert.equal(peer.isEnded, true);
  peer.send('answer');
  assert.deepEqual(await transport.read(), Buffer.from('answer'));
  assert.equal(String(await peer.receive((bytes) => bytes.length === 3)), 'bye');
  await assert.rejects(
    peer.receive((bytes) => bytes.length > 3),
    /ended after "bye"/,
  );
});

void test('TLS: taken, refused, held, and never over bytes in clear that came too early', async () => {
  const good = createMemoryTransport();
  good.peer.setTls('hang');
  const held = good.transport.startTls(demand);
  good.peer.setTls('accept');
  await held;
  assert.deepEqual(good.peer.tlsDemands, [demand]);
  assert.equal(good.transport.closedFor, undefined);

  const refused = createMemoryTransport();
  refused.peer.setTls('refuse');
  const injected = createMemoryTransport();
  injected.peer.send('INJECTED\n');
  for (const { transport } of [refused, injected]) {
    await assert.rejects(
      transport.startTls(demand),
      (error: unknown) => error instanceof UpstreamFault && error.code === 'tls-failed',
    );
    assert.equal(transport.closedFor, 'dial-failed');
  }
});

void test('fail-at: every port call of a story has its turn, and the last run has none', async () => {
  const outcomes: string[] = [];
  const turns = await failAtEach(async (failAt) => {
    const { transport: plain, peer } = createMemoryTransport();
    const clock = createFakeClock();
    const transport = failableTransport(failAt, 'upstream', plain);
    const append = failable(
      failAt,
      'append',
      async (text: string) => text.length,
      () => new Error('disk'),
    );
    let end = '';
    let isLate = false;
    const timer = failableClock(failAt, clock).setTimer(1000, () => {
      isLate = true;
    });
    try {
      await append('record');
      await transport.startTls(demand);
      await transport.write([Buffer.from('line\n')]);
      peer.send('reply');
      await transport.read();
      end = isLate ? 'late' : 'ok';
    } catch (error) {
      end = error instanceof Error ? error.message : String(error);
    } finally {
      timer.cancel();
      transport.close('peer-ended');
    }
    assert.equal(clock.timers, 0);
    outcomes.push(`${end}, sent ${JSON.stringify(String(peer.received()))}`);
  });
  assert.equal(turns, 5);
  assert.deepEqual(outcomes, [
    'late, sent "line\\n"',
    'disk, sent ""',
    'made to fail: upstream, sent ""',
    'made to fail: upstream, sent ""',
    'made to fail: upstream, sent "line\\n"',
    'ok, sent "line\\n"',
  ]);
});
