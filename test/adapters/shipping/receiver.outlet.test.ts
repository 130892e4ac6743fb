// The sending end: a receiver's end is noticed whenever it comes, what it says is dropped, one that takes nothing is given up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOutlet, received, stallMs } from '../../../src/adapters/shipping/receiver.js';
import { TransportFault } from '../../../src/ports/faults.js';
import { createFakeClock, settle } from '../../kit/fake-clock.js';
import { createMemoryTransport } from '../../kit/memory-transport.js';

function open() {
  const clock = createFakeClock();
  const { transport, peer } = createMemoryTransport();
  let overs = 0;
  const outlet = createOutlet(transport, clock, () => {
    overs += 1;
  });
  return { clock, transport, peer, outlet, overs: () => overs };
}

void test('what is sent leaves in its order, and what comes is dropped', async () => {
  const { clock, transport, peer, outlet, overs } = open();
  peer.send('who are you?');
  await outlet.send(Buffer.from('1 a'));
  await outlet.send(Buffer.from('1 b'));
  peer.send('x'.repeat(1_000_000));
  await settle();
  assert.equal(peer.received().toString(), '1 a1 b');
  assert.deepEqual([transport.heldBytes, outlet.fault, overs(), clock.timers], [0, undefined, 0, 0]);
});

void test('each end is told once, with what it was', async () => {
  const ended = open();
  ended.peer.end();
  await settle();
  assert.match(ended.outlet.fault?.message ?? '', /ended the connection/);
  const gone = open();
  gone.peer.vanish();
  await settle();
  assert.equal(gone.outlet.fault?.code, 'peer-gone');
  await assert.rejects(gone.outlet.send(Buffer.from('1 a')), TransportFault);
  const ours = open();
  ours.transport.close('draining');
  await settle();
  assert.equal(ours.outlet.fault?.code, 'closed');
  for (const { overs } of [ended, gone, ours]) assert.equal(overs(), 1);
});

// bounds.receiverStallMs
void test('a receiver that takes nothing has its time, and one that takes it has it again', async () => {
  const { clock, transport, peer, outlet } = open();
  const much = Buffer.alloc(100_000);
  for (let turn = 0; turn < 3; turn += 1) {
    peer.setStopped(true);
    const sending = outlet.send(much);
    await clock.advance(stallMs - 1);
    peer.setStopped(false);
    await sending;
    assert.equal(clock.timers, 0);
  }
  peer.setStopped(true);
  const sending = outlet.send(much);
  sending.catch(() => undefined);
  await clock.advance(stallMs);
  await assert.rejects(sending, (fault) => fault instanceof TransportFault && fault.code === 'closed');
  assert.equal(transport.closedFor, 'receiver-stall');
  assert.equal(peer.isReset, true);
});

// bounds.receiverBurstBytes, bounds.receiverRate
void test('a receiver that sends a flood is given up, and no more of it is read', async () => {
  const { clock, transport, peer, outlet, overs } = open();
  for (let second = 0; second < 60; second += 1) {
    peer.send('x'.repeat(received.bytesPerSecond));
    await clock.advance(1000);
  }
  assert.equal(overs(), 0);
  peer.send('x'.repeat(received.burstBytes + 1));
  await settle();
  assert.match(outlet.fault?.message ?? '', /sent more than a receiver does/);
  assert.deepEqual([outlet.fault?.code, overs()], ['peer-gone', 1]);
  peer.send('x'.repeat(1000));
  await settle();
  assert.equal(transport.heldBytes, 1000);
});

// bounds.receiverBurstBytes
void test('a small piece counts for 256 bytes: it costs as much as a larger one', async () => {
  const { peer, outlet } = open();
  const pieces = received.burstBytes / 256;
  for (let at = 0; at < pieces; at += 1) {
    peer.send('x');
    await settle();
  }
  assert.equal(outlet.fault === undefined, true);
  peer.send('x');
  await settle();
  assert.match(outlet.fault?.message ?? '', /sent more than a receiver does/);
});
