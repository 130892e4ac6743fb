// Goal: a text on its way: how much is read before an upstream is asked for, how long its client may take, what is recorded of it, and
// that nothing is held when it is over. Phases: gathering; pieces; ends; time; the count of all sessions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heldBytesMax, UploadBuffer } from '../../../src/gate/relay/upload.js';
import { PeerInput, SessionInput } from '../../../src/gate/session/session-input.js';
import { ByteBudget } from '../../../src/host/concurrency/limits.js';
import { createRedactor } from '../../../src/journal/records/redact.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

const key = 'a key for tests only';
const never = new AbortController().signal;

function open({
  buffered = new ByteBudget(10_000_000),
  inputBytesMax = 10_000_000,
  holder = 'desk@support',
} = {}) {
  const { transport, peer } = createMemoryTransport();
  const clock = createFakeClock();
  const client = new PeerInput(new SessionInput(transport, Buffer.alloc(0), 100), {
    inputBytesMax,
    inputTimeMs: 1_000,
    clock,
    close: (reason) => transport.close(reason),
  });
  const text = new UploadBuffer(client, createRedactor(key).meterInput(), buffered, holder, clock);
  return { peer, clock, text, buffered };
}

/** All pieces up to the end, as one text, and how it ended. */
async function drain(text: UploadBuffer): Promise<readonly [string, string]> {
  let all = '';
  for (;;) {
    const piece = await text.next();
    if (typeof piece === 'string') return [all, piece];
    all += Buffer.concat([...piece.parts]).toString();
    if (piece.isLast) return [all, 'whole'];
  }
}

void test('a long one is gathered to a MiB, and read on only as it is taken', async () => {
  const { peer, text, buffered } = open();
  const gathering = text.gather(never);
  const chunk = 'x'.repeat(100_000);
  for (let n = 0; n < 20; n += 1) peer.send(chunk);
  peer.send('\n.\n');
  assert.equal(await gathering, undefined);
  assert.ok(buffered.bytes >= heldBytesMax && buffered.bytes < heldBytesMax + chunk.length);
  text.start(() => assert.fail('late'));
  const first = await text.next();
  assert.ok(typeof first === 'object' && !first.isLast);
  assert.equal(buffered.bytes, 0);
  const [rest, end] = await drain(text);
  assert.deepEqual([(first.parts[0]?.length ?? 0) + rest.length, end], [20 * chunk.length, 'whole']);
  text.close();
});

void test('why a text ends before its dot, while it is gathered and after that', async () => {
  const ends: readonly (readonly [string, (opened: ReturnType<typeof open>) => unknown])[] = [
    ['cut', ({ peer }) => peer.end()],
    ['client-gone', ({ peer }) => peer.vanish()],
    ['too-long', ({ peer }) => peer.send('x'.repeat(2_000_000))],
    ['late', ({ clock }) => clock.advance(1_000)],
  ];
  for (const [end, make] of ends) {
    for (const isGathered of [false, true]) {
      const opened = open({ inputBytesMax: 1_500_000 });
      const { peer, clock, text, buffered } = opened;
      peer.send('begin\n');
      const gathering = text.gather(never);
      await settle();
      let lates = 0;
      if (isGathered) {
        peer.send('x'.repeat(1_100_000));
        assert.equal(await gathering, undefined);
        text.start(() => {
          lates += 1;
        });
        await text.next();
        const next = text.next();
        await settle();
        await make(opened);
        assert.equal(await next, end);
        assert.equal(await text.next(), end);
      } else {
        await make(opened);
        assert.equal(await gathering, end);
      }
      assert.equal(text.end, end);
      assert.equal(lates, end === 'late' && isGathered ? 1 : 0);
      assert.equal(text.recorded()?.hmac, undefined);
      text.close();
      assert.deepEqual([buffered.bytes, clock.timers], [0, 0], end);
    }
  }
});

void test('texts of one principal leave room for another one', async () => {
  const buffered = new ByteBudget(1_000);
  const hogs = [1, 2].map(() => open({ buffered, holder: 'hog@jobs' }));
  const [first, second] = hogs;
  assert.ok(first && second);
  const gathering = first.text.gather(never);
  first.peer.send('x'.repeat(600));
  assert.equal(await gathering, undefined, 'no more of it is read');
  second.peer.send('text\n.\n');
  let isGathered = false;
  const waiting = second.text.gather(never).then(() => {
    isGathered = true;
  });
  const victim = open({ buffered, holder: 'victim@support' });
  victim.peer.send('text\n.\n');
  assert.equal(await victim.text.gather(never), undefined);
  await settle();
  assert.equal(isGathered, false);
  first.text.close();
  await waiting;
  for (const { text } of [second, victim]) text.close();
  assert.equal(buffered.bytes, 0);
});
