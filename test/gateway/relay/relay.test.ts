// Goal: one reply from an upstream to a peer. Phases: whole replies and their counts; time limits; a peer that does not read, or
// goes, while a command reads and while it changes; faults. What must not happen: a reply made to look complete, an upstream that is
// read while the peer is full, a timer that stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyCount } from '../../../src/gateway/relay/converse.js';
import { type RelayEnd, type RelayOptions, relay, waitForPeer } from '../../../src/gateway/relay/relay.js';
import { createReplyWriter } from '../../../src/gateway/relay/reply-writer.js';
import { TransportFault } from '../../../src/ports/transport-fault.js';
import { UpstreamFault } from '../../../src/ports/upstream-fault.js';
import { WireFault } from '../../../src/protocol/wire-fault.js';
import { createFakeClock, settle } from '../../kit/fake-clock.js';
import { leasedUpstream, logPacket, replyPacket } from '../../kit/memory-backend.js';
import { createMemoryTransport } from '../../kit/memory-transport.js';

const limits = { deadlineMs: 10_000, replyIdleMs: 3_000, clientStallMs: 2_000, logLinesMax: 1_000 };

/** A relay that runs, between a backend and a client of minor 0. */
function start(changes: Partial<RelayOptions> = {}) {
  const clock = createFakeClock();
  const backend = createMemoryTransport();
  const client = createMemoryTransport();
  const bytes = { statusBytesMax: 100, frameBytesMax: 1_000_000, logLineBytesMax: 100 };
  const upstream = leasedUpstream(backend.transport, clock, { limits: bytes });
  const writer = createReplyWriter(client.transport, 0);
  const count = emptyCount();
  const logs: string[] = [];
  const running = relay({
    upstream,
    writer,
    clock,
    limits,
    count,
    reshape: undefined,
    goesOnWithoutPeer: false,
    passesStatus: () => true,
    onLog: (line) => void logs.push(line.text),
    beforeStatus: () => undefined,
    ...changes,
  });
  return {
    clock,
    backend: backend.peer,
    backendTransport: backend.transport,
    client: client.peer,
    clientTransport: client.transport,
    upstream,
    writer,
    count,
    logs,
    running,
    /** The end of it, when no timer is left. */
    async end(): Promise<RelayEnd> {
      const end = await running;
      assert.equal(clock.timers, 0);
      assert.equal(upstream.state.at, end.kind === 'status' ? 'leased' : 'closed');
      return end;
    },
    /** What the client has when everything was flushed. */
    got(): string {
      void writer.flush(0)?.catch(() => undefined);
      return String(client.peer.received());
    },
  };
}

void test('a whole reply, with its counts', async () => {
  const story = start();
  await settle();
  await story.clock.advance(250);
  story.backend.send(Buffer.concat([logPacket('info', 'note'), replyPacket('a\tb')]));
  await settle();
  await story.clock.advance(100);
  story.backend.send(Buffer.concat([replyPacket('c\td\t\n+'), logPacket('info', 'late'), replyPacket('\n')]));
  const end = await story.end();
  assert.ok(end.kind === 'status');
  assert.deepEqual([end.status.kind, end.hasTrailing, end.peer], ['ok', false, 'ready']);
  assert.equal(story.got(), 'a\tbc\td\t\n+\n');
  const { cells, bytesIn, firstByteMs, logs } = story.count;
  assert.deepEqual(
    [cells, bytesIn, firstByteMs, logs.get('info'), story.logs],
    [3, 7, 250, 2, ['note', 'late']],
  );
});

void test('what comes behind the status is told and never relayed', async () => {
  for (const more of ['more\t', '\n+\n', 'x\t\n-NOUSER\n']) {
    const story = start();
    story.backend.send(replyPacket(`row\t\n+\n${more}`));
    const end = await story.end();
    assert.deepEqual([end.kind, end.kind === 'status' && end.hasTrailing], ['status', true]);
    assert.equal(story.got(), 'row\t\n+\n');
    assert.equal(story.count.cells, 1);
  }
});

void test('a status that is not passed on is not; the last word before one that is, is ours', async () => {
  const order: string[] = [];
  const kept = start({
    passesStatus: (status) => status.kind !== 'referral',
    beforeStatus: () => order.push('x'),
  });
  kept.backend.send(replyPacket('row\t\n-REFERRAL alice@mail2.example.com\n'));
  const end = await kept.end();
  assert.ok(end.kind === 'status' && end.status.kind === 'referral');
  assert.equal(kept.got(), 'row\t');
  const passed = start({ beforeStatus: (status) => order.push(status.code) });
  passed.backend.send(replyPacket('\n-NOUSER\n'));
  await passed.end();
  assert.deepEqual(order, ['NOUSER']);
});

void test('rows are reshaped, counts are those of the backend', async () => {
  const story = start({ reshape: (body) => [Buffer.from('<'), body, Buffer.from('>')] });
  story.backend.send(replyPacket('a\t'));
  story.backend.send(replyPacket('b\t\n+\n'));
  await story.end();
  assert.equal(story.got(), '<a\t><b\t>\n+\n');
  assert.deepEqual([story.count.bytesIn, story.count.cells], [4, 2]);
});

void test('PROTOCOL 12 trap 26: no first byte in time, and silence within the reply', async () => {
  const silent = start();
  await settle();
  await silent.clock.advance(limits.deadlineMs - 1);
  assert.equal(silent.upstream.state.at, 'leased');
  await silent.clock.advance(1);
  assert.deepEqual(await silent.end(), { kind: 'reply-timeout' });
  assert.ok(silent.backend.isReset);
  assert.equal(silent.count.firstByteMs, undefined);
  const half = start();
  for (let n = 0; n < 10; n += 1) {
    half.backend.send(replyPacket('row\t'));
    await settle();
    await half.clock.advance(limits.replyIdleMs - 1);
  }
  await half.clock.advance(1);
  assert.deepEqual(await half.end(), { kind: 'reply-timeout' });
  assert.equal(half.got(), 'row\t'.repeat(10));
});

void test('only bytes of the reply count: log lines neither end the deadline nor renew the time between two pieces', async () => {
  const silent = start();
  for (let n = 0; n < 4; n += 1) {
    silent.backend.send(logPacket('info', 'still at it'));
    await settle();
    await silent.clock.advance(limits.deadlineMs / 4);
  }
  assert.deepEqual(await silent.end(), { kind: 'reply-timeout' });
  assert.deepEqual([silent.count.firstByteMs, silent.logs.length], [undefined, 4]);
  const half = start();
  half.backend.send(replyPacket('row\t'));
  for (let n = 0; n < 3; n += 1) {
    await settle();
    await half.clock.advance(limits.replyIdleMs / 3);
    if (n < 2) half.backend.send(logPacket('info', 'still at it'));
  }
  assert.deepEqual(await half.end(), { kind: 'reply-timeout' });
});

void test('the time of a backend does not run while the peer is full', async () => {
  const longStall = { ...limits, clientStallMs: 10 * limits.deadlineMs };
  const story = start({ limits: longStall, onLog: (line) => story.writer.addBody(Buffer.from(line.text)) });
  story.client.setStopped(true);
  await settle();
  await story.clock.advance(limits.deadlineMs - 1_000);
  story.backend.send(logPacket('info', 'y'.repeat(99)));
  story.writer.addBody(Buffer.alloc(200_000));
  await settle();
  await story.clock.advance(limits.deadlineMs);
  assert.equal(story.upstream.state.at, 'leased');
  story.client.setStopped(false);
  await settle();
  await story.clock.advance(999);
  assert.equal(story.upstream.state.at, 'leased');
  await story.clock.advance(1);
  assert.deepEqual(await story.end(), { kind: 'reply-timeout' });
});

const big = 'x'.repeat(64 * 1024 - 1);

void test('a peer that does not read holds the backend back, and nothing is lost when it reads again', async () => {
  const story = start();
  story.client.setStopped(true);
  for (let n = 0; n < 20; n += 1) story.backend.send(replyPacket(`${big}\t`));
  story.backend.send(replyPacket('\n+\n'));
  await settle();
  // Three chunks were taken: the third is above what may wait.
  assert.equal(story.clientTransport.unsentBytes, 3 * 64 * 1024);
  assert.ok(story.backendTransport.heldBytes > 17 * 64 * 1024);
  await story.clock.advance(limits.clientStallMs - 1);
  story.client.setStopped(false);
  await story.end();
  assert.equal(story.got(), `${`${big}\t`.repeat(20)}\n+\n`);
});

/** A relay whose peer is full. */
async function startFull(
  goesOnWithoutPeer: boolean,
  clientStallMs = limits.clientStallMs,
): Promise<ReturnType<typeof start>> {
  const story = start({ goesOnWithoutPeer, limits: { ...limits, clientStallMs } });
  story.client.setStopped(true);
  for (let n = 0; n < 3; n += 1) story.backend.send(replyPacket(`${big}\t`));
  await settle();
  return story;
}

void test('a peer that does not read: a command that reads is given up', async () => {
  const story = await startFull(false);
  await story.clock.advance(limits.clientStallMs);
  assert.deepEqual(await story.end(), { kind: 'client-stall' });
  assert.ok(story.backend.isReset);
});

void test('a peer that goes while it is full: a command that reads is given up', async () => {
  const story = await startFull(false);
  story.client.vanish();
  assert.deepEqual(await story.end(), { kind: 'client-gone' });
});

void test('a peer that does not read, or goes: a change is left to finish, its reply is dropped', async () => {
  for (const leave of ['stall', 'gone'] as const) {
    const story = await startFull(true);
    if (leave === 'gone') story.client.vanish();
    else await story.clock.advance(limits.clientStallMs);
    await settle();
    const { unsentBytes } = story.clientTransport;
    story.backend.send(replyPacket(`${big}\t`));
    await settle();
    story.backend.send(replyPacket('last\t\n+\n'));
    const end = await story.end();
    assert.deepEqual([end.kind, end.kind === 'status' && end.peer], ['status', `client-${leave}`]);
    assert.equal(story.clientTransport.unsentBytes, unsentBytes, 'nothing more was written');
    assert.equal(story.count.cells, 5);
  }
});

void test('a peer that others wait for in vain is given up: a read ends, a change is left to finish', async () => {
  for (const goesOnWithoutPeer of [false, true]) {
    const story = await startFull(goesOnWithoutPeer, 60_000);
    const { pace } = story.upstream;
    for (let n = 0; n <= 10; n += 1) {
      pace.check(story.clock.now(), 65_536);
      story.client.take(5_000);
      await story.clock.advance(1_000);
    }
    // What comes later is not its fault any more.
    pace.check(story.clock.now() + 60_000, 65_536);
    if (goesOnWithoutPeer) story.backend.send(replyPacket('\n+\n'));
    const end = await story.end();
    assert.deepEqual(goesOnWithoutPeer ? end.kind === 'status' && end.peer : end.kind, 'client-slow');
  }
});

void test('faults: the reply stays cut, and the upstream is closed', async () => {
  const faults: readonly (readonly [(story: ReturnType<typeof start>) => void, unknown])[] = [
    [(story) => story.backend.end(), UpstreamFault],
    [(story) => story.backend.vanish(), TransportFault],
    [(story) => story.backend.send(replyPacket('\n!\n')), WireFault],
    [(story) => story.upstream.close('aborted', true), TransportFault],
  ];
  for (const [fail, type] of faults) {
    const story = start();
    story.backend.send(replyPacket('row\thalf a ce'));
    await settle();
    fail(story);
    const end = await story.end();
    assert.ok(end.kind === 'fault');
    assert.equal(end.fault instanceof Error && end.fault.constructor, type);
    assert.equal(story.got(), 'row\thalf a ce');
    assert.ok(story.writer.isMidCell);
  }
});

void test('waiting for a peer: it reads, goes, or does neither', async () => {
  const clock = createFakeClock();
  assert.equal(await waitForPeer(Promise.resolve(), clock, 1_000), 'ready');
  assert.equal(await waitForPeer(Promise.reject(new Error('gone')), clock, 1_000), 'client-gone');
  const never = waitForPeer(new Promise(() => undefined), clock, 1_000);
  await clock.advance(1_000);
  assert.equal(await never, 'client-stall');
  assert.equal(clock.timers, 0);
});
