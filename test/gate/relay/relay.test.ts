// Goal: one reply from an upstream to a peer. Phases: whole replies and their counts; time limits; a peer that does not read, or
// goes, while a command reads and while it changes; faults. What must not happen: a reply made to look complete, an upstream that is
// read while the peer is full, a timer that stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReplyRows } from '../../../src/doveadm/meaning/columns.js';
import type { Ending } from '../../../src/gate/outcome/outcome.js';
import type { LeaseEnd } from '../../../src/gate/pool/lease.js';
import {
  type Conversation,
  converse,
  type LogMode,
  RelayCount,
  waitForPeer,
} from '../../../src/gate/relay/relay.js';
import { logPacket, replyPacket, rowsOf } from '../../kit/gate/memory-backend.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { type Fields, openConversation, type Setting } from './conversation.js';

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

void test('the last word before a status that is passed on is ours', async () => {
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
void test('a peer that does not read, or goes while it is full: a command that reads is given up', async () => {
  for (const isGone of [false, true]) {
    const story = await startFull(true);
    if (isGone) story.client.vanish();
    else await story.clock.advance(limits.clientStallMs);
    const { value } = await story.end();
    assert.deepEqual(value, isGone ? { kind: 'client-gone', isSent: true } : { kind: 'client-stall' });
    assert.ok(story.backend.isReset);
  }
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

// A command goes out encoded afresh, and its end tells what becomes of the upstream.
/** A conversation that runs, with a client of minor 2. */
function talk(setting: Setting = {}) {
  const opened = openConversation(setting);
  return { ...opened, running: converse(opened.conversation) };
}

void test('the line: flags as asked and granted, extra fields only where they are understood', () => {
  const lines: readonly (readonly [Setting, string])[] = [
    [{}, '\talice@example.org\tquota get\t--\n'],
    [{ command: { verbose: true } }, 'v\talice@example.org\tquota get\t--\n'],
    [{ command: { debug: true, verbose: true } }, 'D\talice@example.org\tquota get\t--\n'],
    [{ command: { proxyTtl: 4 } }, '\talice@example.org\tquota get\t--\n'],
    [{ serverMinor: 3, command: { proxyTtl: 4 } }, 'x\tproxy-ttl=4\talice@example.org\tquota get\t--\n'],
    [{ command: { args: ['--', 'a\tb\nc', ''] } }, '\talice@example.org\tquota get\t--\ta\x01tb\x01nc\t\n'],
  ];
  for (const [setting, line] of lines) assert.equal(talk(setting).sent(), line);
});

void test('the log channel: nothing, a sentence of ours, or the lines, but for those that name another user', async () => {
  const told: readonly (readonly [LogMode, string])[] = [
    ['none', ''],
    ['filtered', '\x04dovegate: the backend says: no such user [backend-failed]\n'],
    [
      'full',
      '\x03doveadm(alice@example.org): text of the backend\n\x04dovegate: the backend says: no such user [backend-failed]\n',
    ],
  ];
  for (const [logs, expected] of told) {
    const story = talk({ logs });
    story.backend.send(
      Buffer.concat([
        logPacket('warning', 'doveadm(alice@example.org): text of the backend'),
        logPacket('error', 'doveadm(bob@example.org): of another'),
        replyPacket('\n-NOUSER\n'),
      ]),
    );
    await story.running;
    const { out, log } = story.got();
    assert.deepEqual([out, log], ['\n-NOUSER\n', expected]);
    // The observer hears all of them in every mode.
    assert.equal(story.heard.length, 2);
  }
  const good = talk({ logs: 'filtered' });
  good.backend.send(Buffer.concat([logPacket('warning', 'text of the backend'), replyPacket('\n+\n')]));
  await good.running;
  assert.equal(good.got().all, '\n+\n');
});

// bounds.logLines
void test('log lines beyond the limit of a command are counted, and go nowhere', async () => {
  const count = new RelayCount();
  const story = talk({ logs: 'full', count });
  for (let n = 1; n <= 50; n += 1) story.backend.send(logPacket('info', `line ${n}`));
  story.backend.send(Buffer.concat([logPacket('error', 'Quota exceeded'), replyPacket('row\t\n-\n')]));
  const { value } = await story.running;
  assert.equal(value.kind, 'replied');
  assert.deepEqual([count.logs?.get('info'), count.logs?.get('error')], [50, 1]);
  const last =
    'dovegate: more than 3 log lines for this command (limits.log_lines); the others are only counted [log-lines]';
  assert.deepEqual(story.heard, ['line 1', 'line 2', 'line 3', last]);
  assert.deepEqual(
    story
      .got()
      .log.split('\n')
      .map((line) => line.slice(1)),
    ['line 1', 'line 2', 'line 3', last, 'dovegate: the backend says: over quota [over-quota]', ''],
  );
  // What the status is explained by is looked at even so.
  const short = talk({ logs: 'filtered' });
  for (let n = 1; n <= 5; n += 1) short.backend.send(logPacket('info', `line ${n}`));
  short.backend.send(Buffer.concat([logPacket('error', 'Quota exceeded'), replyPacket('\n-\n')]));
  await short.running;
  assert.match(short.got().log, /the backend says: over quota \[over-quota\]/);
});

// [what it shows, minor of the server, what the command is, reply, what becomes of the upstream]
const ends: readonly (readonly [string, number, Partial<Fields>, string, string | undefined])[] = [
  ['a clean end', 2, {}, 'row\t\n+\n', undefined],
  ['a clean end', 3, {}, 'row\t\n+\n', undefined],
  // A second status line follows a failure of some releases of minor 2 and below.
  ['PROTOCOL 8.1, 12 trap 7', 2, {}, '\n-NOUSER\n', 'not-reusable'],
  ['PROTOCOL 8.1, 12 trap 7', 1, {}, '\n-NOTFOUND\n', 'not-reusable'],
  ['one status', 3, {}, '\n-NOUSER\n', undefined],
  // A process whose Dovecot was stopped lives on, and says this to everything.
  ['PROTOCOL 9, 12 trap 27', 3, {}, '\n-TEMPFAIL\n', 'not-reusable'],
  ['bytes behind the status', 3, {}, '\n+\nmore\t', 'not-reusable'],
  ['PROTOCOL 8.1, 12 trap 8: a server command', 3, { isLast: true }, '\n+\n', 'not-reusable'],
];
for (const [what, serverMinor, changes, reply, closeFor] of ends) {
  void test(`${what}: minor ${serverMinor}, ${JSON.stringify(reply)}: ${closeFor ?? 'reusable'}`, async () => {
    const story = talk({ serverMinor, command: changes });
    story.backend.send(replyPacket(reply));
    const end = await story.running;
    assert.equal(end.closeFor, closeFor);
    assert.equal(end.value.kind, 'replied');
    // The limit of the reply ended with it.
    await story.clock.advance(3_600_000);
    assert.deepEqual([story.upstream.state.at, story.clock.timers], ['leased', 0]);
  });
}

void test('a referral is an ending of its own, and the client does not see it', async () => {
  const story = talk({ serverMinor: 3 });
  story.backend.send(replyPacket('row\t\n-REFERRAL alice@mail2.example.com\n'));
  assert.deepEqual(await story.running, {
    value: { kind: 'referral', backend: 'mail1', target: { user: 'alice', host: 'mail2.example.com' } },
    closeFor: undefined,
    answer: 'other',
  });
  assert.equal(story.got().all, 'row\t');
});

void test('what breaks off: a word for the record, and one for the upstream', async () => {
  const late = talk();
  await settle();
  await late.clock.advance(1_000);
  assert.deepEqual(await late.running, {
    value: { kind: 'reply-timeout', backend: 'mail1' },
    closeFor: 'reply-timeout',
  });
  const faults: readonly (readonly [(story: ReturnType<typeof talk>) => void, string])[] = [
    [(story) => story.backend.end(), 'peer-gone'],
    [(story) => story.backend.vanish(), 'peer-gone'],
    [(story) => story.backend.send(replyPacket('\n!\n')), 'wire-fault'],
  ];
  for (const [fail, closeFor] of faults) {
    const story = talk();
    fail(story);
    const end = await story.running;
    assert.equal(end.closeFor, closeFor);
    assert.ok(end.value.kind === 'fault' && end.value.isSent && end.value.backend === 'mail1');
    assert.equal(story.clock.timers, 0);
  }
});

void test('given up from outside: that is how it ended, not the fault that it looks like', async () => {
  const story = talk({ cutOff: () => ({ kind: 'cut-off', isSent: true }) });
  story.upstream.close('aborted', true);
  assert.deepEqual(await story.running, { value: { kind: 'cut-off', isSent: true }, closeFor: 'aborted' });
});

void test('full: where no error line of this command was passed on, the sentence is ours', async () => {
  const ours = '\x04dovegate: the backend says: no such user [backend-failed]\n';
  for (const [text, isPassed] of [
    ['doveadm(4711): text', false],
    ['doveadm(alias@example.org)<1><s>: text', false],
    ['doveadm(alice)<1><s>: text', false],
    ['doveadm(alice@example.org)<1><s>: text', true],
    ['text without a prefix', true],
  ] as const) {
    const story = talk({ logs: 'full' });
    story.backend.send(Buffer.concat([logPacket('error', text), replyPacket('\n-NOUSER\n')]));
    await story.running;
    assert.equal(story.got().log, isPassed ? `\x04${text}\n` : ours, text);
  }
});

void test('what doveadm_allowed_commands refuses did not run; the same words of anything else prove nothing', async () => {
  const refused = "doveadm client isn't allowed to use command: quota get";
  for (const [sent, kind] of [
    [[logPacket('error', refused)], 'backend-refused'],
    [[logPacket('error', `doveadm: doveadm: ${refused}`)], 'backend-refused'],
    [[logPacket('error', `doveadm(127.0.0.1): ${refused}`)], 'backend-refused'],
    [[logPacket('error', `${refused} x`)], 'fault'],
    [[logPacket('error', `Mailbox ${refused}`)], 'fault'],
    [[logPacket('error', refused.replace('get', 'recalc'))], 'fault'],
    [[logPacket('warning', refused)], 'fault'],
    [[logPacket('info', 'begun'), logPacket('error', refused)], 'fault'],
    [[logPacket('error', refused), logPacket('error', refused)], 'fault'],
    [[replyPacket('cell\t'), logPacket('error', refused)], 'fault'],
  ] as const) {
    const story = talk();
    story.backend.send(Buffer.concat(sent));
    story.backend.end();
    const { value, closeFor } = await story.running;
    assert.equal(value.kind, kind, String(Buffer.concat(sent)));
    assert.notEqual(closeFor, undefined);
  }
});
