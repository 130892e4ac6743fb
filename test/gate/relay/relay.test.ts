// Goal: one reply from an upstream to a peer. Phases: whole replies and their counts; time limits; a peer that does not read, or
// goes, while a command reads and while it changes; faults. What must not happen: a reply made to look complete, an upstream that is
// read while the peer is full, a timer that stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReplyRows } from '../../../src/doveadm/meaning/columns.js';
import type { Ending } from '../../../src/gate/outcome/outcome.js';
import type { LeaseEnd } from '../../../src/gate/pool/lease.js';
import { type Conversation, converse, waitForPeer } from '../../../src/gate/relay/relay.js';
import { logPacket, replyPacket, rowsOf } from '../../kit/gate/memory-backend.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { openConversation } from './conversation.js';

const limits = { deadlineMs: 10_000, replyIdleMs: 3_000, clientStallMs: 2_000, logLinesMax: 1_000 };

interface Changes extends Partial<Pick<Conversation, 'limits' | 'logs' | 'onLog'>> {
  readonly isReading?: boolean;
  readonly prefixed?: ReplyRows;
  readonly clientMinor?: number;
}

/** A relay that runs, between a backend of minor 3 and a client of minor 0. */
function start({ isReading = true, prefixed, clientMinor = 0, logs = 'none', ...changes }: Changes = {}) {
  const command = { user: 'u', args: [], prefixed, isReading };
  const opened = openConversation({ serverMinor: 3, clientMinor, command, limits, logs, ...changes });
  const { clock, client, upstream, writer } = opened;
  const running = converse(opened.conversation);
  return {
    ...opened,
    running,
    /** The end of it; of its timers the one of the upstream is left, which serves the next one. */
    async end(): Promise<LeaseEnd<Ending>> {
      const end = await running;
      const hasStatus = end.value.kind === 'replied' || end.value.kind === 'referral';
      assert.ok(clock.timers <= (hasStatus ? 1 : 0));
      assert.equal(upstream.state.at, hasStatus ? 'leased' : 'closed');
      return end;
    },
    /** What the client has when everything was flushed. */
    got(): string {
      void writer.flush(0)?.catch(() => undefined);
      return String(client.received());
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
  const { value, closeFor } = await story.end();
  assert.ok(value.kind === 'replied');
  assert.deepEqual([value.status.kind, closeFor, value.peer], ['ok', undefined, 'ready']);
  assert.equal(story.got(), 'a\tbc\td\t\n+\n');
  const { cells, bytesIn, firstByteMs, logs } = story.count;
  assert.deepEqual(
    [cells, bytesIn, firstByteMs, logs?.get('info'), story.heard],
    [3, 7, 250, 2, ['note', 'late']],
  );
});

void test('what comes behind the status is told and never relayed', async () => {
  for (const more of ['more\t', '\n+\n', 'x\t\n-NOUSER\n']) {
    const story = start();
    story.backend.send(replyPacket(`row\t\n+\n${more}`));
    const { value, closeFor } = await story.end();
    assert.deepEqual([value.kind, closeFor], ['replied', 'not-reusable']);
    assert.equal(story.got(), 'row\t\n+\n');
    assert.equal(story.count.cells, 1);
  }
});

void test('a status that is not passed on is not; the last word before one that is, is ours', async () => {
  const kept = start();
  kept.backend.send(replyPacket('row\t\n-REFERRAL alice@mail2.example.com\n'));
  const { value } = await kept.end();
  assert.equal(value.kind, 'referral');
  assert.equal(kept.got(), 'row\t');
  const passed = start({ logs: 'filtered', clientMinor: 2 });
  passed.backend.send(replyPacket('\n-NOUSER\n'));
  await passed.end();
  const text = '\x04dovegate: the backend says: no such user [backend-failed]\n';
  assert.deepEqual(passed.got(), String(Buffer.concat([framed(76, text), framed(0, '\n-NOUSER\n')])));
});

/** A packet of a channel. */
function framed(channel: number, text: string): Buffer {
  return Buffer.concat([Buffer.of(channel, 0, 0, 0, text.length), Buffer.from(text)]);
}

void test('rows are reshaped, counts are those of the backend', async () => {
  const story = start({ prefixed: rowsOf(1) });
  story.backend.send(replyPacket('a\t'));
  story.backend.send(replyPacket('b\t\n+\n'));
  await story.end();
  assert.equal(story.got(), 'u\ta\tu\tb\t\n+\n');
  assert.deepEqual([story.count.bytesIn, story.count.cells], [4, 2]);
});

// bounds.replyIdleMs
void test('PROTOCOL 12 trap 26: no first byte in time, and silence within the reply', async () => {
  const silent = start();
  await settle();
  await silent.clock.advance(limits.deadlineMs - 1);
  assert.equal(silent.upstream.state.at, 'leased');
  await silent.clock.advance(1);
  assert.equal((await silent.end()).value.kind, 'reply-timeout');
  assert.ok(silent.backend.isReset);
  assert.equal(silent.count.firstByteMs, undefined);
  const half = start();
  for (let n = 0; n < 10; n += 1) {
    half.backend.send(replyPacket('row\t'));
    await settle();
    await half.clock.advance(limits.replyIdleMs - 1);
  }
  await half.clock.advance(1);
  assert.equal((await half.end()).value.kind, 'reply-timeout');
  assert.equal(half.got(), 'row\t'.repeat(10));
});

void test('only bytes of the reply count: log lines neither end the deadline nor renew the time between two pieces', async () => {
  const silent = start();
  for (let n = 0; n < 4; n += 1) {
    silent.backend.send(logPacket('info', 'still at it'));
    await settle();
    await silent.clock.advance(limits.deadlineMs / 4);
  }
  assert.equal((await silent.end()).value.kind, 'reply-timeout');
  assert.deepEqual([silent.count.firstByteMs, silent.heard.length], [undefined, 4]);
  const half = start();
  half.backend.send(replyPacket('row\t'));
  for (let n = 0; n < 3; n += 1) {
    await settle();
    await half.clock.advance(limits.replyIdleMs / 3);
    if (n < 2) half.backend.send(logPacket('info', 'still at it'));
  }
  assert.equal((await half.end()).value.kind, 'reply-timeout');
});

// bounds.relayedBytes
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
  assert.equal((await story.end()).value.kind, 'reply-timeout');
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
  isReading: boolean,
  clientStallMs = limits.clientStallMs,
): Promise<ReturnType<typeof start>> {
  const story = start({ isReading, limits: { ...limits, clientStallMs } });
  story.client.setStopped(true);
  for (let n = 0; n < 3; n += 1) story.backend.send(replyPacket(`${big}\t`));
  await settle();
  return story;
}

// bounds.clientStallMs
void test('a peer that does not read: a command that reads is given up', async () => {
  const story = await startFull(true);
  await story.clock.advance(limits.clientStallMs);
  assert.deepEqual((await story.end()).value, { kind: 'client-stall' });
  assert.ok(story.backend.isReset);
});

void test('a peer that goes while it is full: a command that reads is given up', async () => {
  const story = await startFull(true);
  story.client.vanish();
  assert.deepEqual((await story.end()).value, { kind: 'client-gone', isSent: true });
});

void test('a peer that does not read, or goes: a change is left to finish, its reply is dropped', async () => {
  for (const leave of ['stall', 'gone'] as const) {
    const story = await startFull(false);
    if (leave === 'gone') story.client.vanish();
    else await story.clock.advance(limits.clientStallMs);
    await settle();
    const { unsentBytes } = story.clientTransport;
    story.backend.send(replyPacket(`${big}\t`));
    await settle();
    story.backend.send(replyPacket('last\t\n+\n'));
    const { value } = await story.end();
    assert.deepEqual([value.kind, value.kind === 'replied' && value.peer], ['replied', `client-${leave}`]);
    assert.equal(story.clientTransport.unsentBytes, unsentBytes, 'nothing more was written');
    assert.equal(story.count.cells, 5);
  }
});

void test('a peer that others wait for in vain is given up: a read ends, a change is left to finish', async () => {
  for (const isReading of [true, false]) {
    const story = await startFull(isReading, 60_000);
    const { pace } = story.upstream;
    for (let n = 0; n <= 10; n += 1) {
      pace.check(story.clock.now(), 65_536);
      story.client.take(5_000);
      await story.clock.advance(1_000);
    }
    // What comes later is not its fault any more.
    pace.check(story.clock.now() + 60_000, 65_536);
    if (!isReading) story.backend.send(replyPacket('\n+\n'));
    const { value } = await story.end();
    assert.deepEqual(isReading ? value.kind : value.kind === 'replied' && value.peer, 'client-slow');
  }
});

void test('a reply ends for others, whether its client is waited for or not, and never looks complete', async () => {
  for (const isFull of [true, false]) {
    const story = isFull ? await startFull(true, 60_000) : start();
    story.backend.send(replyPacket('row\t'));
    await settle();
    story.upstream.pace.yieldLease(0);
    const { value, closeFor } = await story.end();
    assert.deepEqual([value, closeFor], [{ kind: 'over-share' }, 'aborted']);
    assert.ok(story.backend.isReset);
    assert.ok(!story.got().includes('+'));
    story.upstream.pace.yieldLease(0);
  }
});

void test('a change cannot be ended for others', async () => {
  const story = await startFull(false, 60_000);
  assert.equal(story.upstream.pace.transfer, undefined);
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
