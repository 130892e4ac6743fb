// Goal: a refused client hears why at its command, and costs little. Phases: every minor; commands with input; broken lines; clients
// that are silent or slow. What must not happen: a line of input that is answered as a command, an answer to a
// broken line, a session without an end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RefusalLimits, refusePeer } from '../../../src/gate/session/refused-peer.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

const quota = '\talice@example.org\tquota get\n';
const limits: RefusalLimits = { lineBytesMax: 1024, inputBytesMax: 64, inputTimeMs: 2_000, waitMs: 5_000 };

function open(minor: number | undefined, more: Partial<RefusalLimits> = {}, refusalCell = false) {
  const clock = createFakeClock();
  const { transport, peer } = createMemoryTransport();
  const done = refusePeer({
    transport,
    clock,
    limits: { ...limits, ...more },
    text: () => 'no service today',
    refusalCell,
    reason: 'not-configured',
  });
  if (minor !== undefined) peer.send(`VERSION\tdoveadm-server\t1\t${minor}\n`);
  return {
    clock,
    transport,
    peer,
    done,
    say: async (text: string): Promise<void> => {
      peer.send(text);
      // A line a turn.
      for (let turn = 0; turn < 30; turn += 1) await settle();
    },
    /** Status lines so far. */
    answers: () => String(peer.received()).split('-TEMPFAIL\n').length - 1,
  };
}

void test('every minor is greeted and answered once; the log channel says why, where there is one', async () => {
  for (const [minor, hasLogs] of [0, 1, 2, 3, 4].flatMap((each) => [
    [each, true] as const,
    [each, false] as const,
  ])) {
    const { say, peer, answers, done, clock, transport } = open(minor);
    await say(hasLogs ? `\t\tOPTION\tlog-passthrough\n${quota}` : quota.repeat(5));
    await done;
    assert.deepEqual([answers(), transport.closedFor], [1, 'not-configured']);
    assert.equal(
      /dovegate: no service today \[not-configured\]/.test(String(peer.received())),
      minor === 1 || minor === 2 || (hasLogs && minor > 0),
    );
    assert.equal(clock.timers, 0);
  }
});

void test('where the listener says so, a client of minor 0 gets the reason as a cell; others do not', async () => {
  for (const minor of [0, 1, 2, 3, 4]) {
    const { say, peer, done } = open(minor, {}, true);
    await say(quota);
    const cell = 'dovegate: no service today [not-configured]\t\n-TEMPFAIL\n';
    assert.equal(String(peer.received()).endsWith(cell), minor === 0);
    assert.match(String(peer.received()), /\n-TEMPFAIL\n$/);
    peer.end();
    await done;
  }
});

void test('a text is read to its dot and never run; one that is too long, late or unknown ends the session all the same', async () => {
  const whole = open(2);
  await whole.say('\talice@example.org\tsave\n');
  assert.equal(whole.answers(), 0);
  await whole.say(`${quota}.\n`);
  await whole.done;
  assert.equal(whole.answers(), 1);

  const long = open(2);
  await long.say(`\talice@example.org\tsave\n${quota.repeat(10)}`);
  await long.done;
  assert.equal(long.answers(), 1);

  const late = open(2);
  await late.say(`\talice@example.org\tsave\n${quota}`);
  await late.clock.advance(2_000);
  await late.done;
  assert.equal(late.answers(), 0);

  for (const line of ['sieve put\t--frobnicate', 'SAVE', 'dsync-server']) {
    const unknown = open(2);
    await unknown.say(`\talice@example.org\t${line}\n${quota}`);
    await unknown.done;
    assert.deepEqual([unknown.answers(), unknown.transport.closedFor], [1, 'not-configured'], line);
  }
});

void test('a line that is too long is answered once it has come, and ends the session', async () => {
  const { say, done, answers, transport } = open(2);
  await say('x'.repeat(2_000));
  assert.equal(answers(), 0);
  await say(`\n${quota}`);
  await done;
  assert.deepEqual([answers(), transport.closedFor], [1, 'not-configured']);
});

void test('a broken line and another protocol are not answered', async () => {
  for (const bytes of ['\n', 'GET / HTTP/1.1\n']) {
    const { say, done, answers, transport } = open(2);
    await say(bytes);
    await done;
    assert.deepEqual([answers(), transport.closedFor], [0, 'wire-fault']);
  }
  const stranger = open(undefined);
  await stranger.say('GET / HTTP/1.1\n');
  await stranger.done;
  assert.equal(String(stranger.peer.received()), '');
});

void test('who is silent is gone after its time', async () => {
  for (const minor of [undefined, 2]) {
    const { clock, done, transport, peer } = open(minor);
    await settle();
    await clock.advance(5_000);
    await done;
    assert.deepEqual([transport.closedFor, peer.isReset], ['not-configured', true]);
  }
  // Lines that have no answer win no time.
  const busy = open(2);
  for (let second = 0; second < 5; second += 1) {
    await busy.say('\t\tOPTION\tlog-passthrough\n');
    await busy.clock.advance(1_000);
  }
  await busy.done;
  assert.deepEqual([busy.transport.closedFor, busy.answers()], ['not-configured', 0]);
});
