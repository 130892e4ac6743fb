// Goal: a text on its way up. Phases: what is sent, at every cutting of what the client sends; an upstream that speaks before the end, in
// every way; one that does not take it; clients that leave. What must not happen: a byte of the text behind an early word, a dot that the
// client did not send, an upstream fit for another command, anything that is still held.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DotDecoder } from '../../../src/doveadm/protocol/text.js';
import type { LogMode } from '../../../src/gate/relay/relay.js';
import { heldBytesMax, UploadBuffer, upload } from '../../../src/gate/relay/upload.js';
import { ByteBudget } from '../../../src/host/concurrency/limits.js';
import { wholeBytesMax } from '../../../src/host/ports/transport.js';
import { createRedactor } from '../../../src/journal/records/redact.js';
import { logPacket, replyPacket } from '../../kit/gate/memory-backend.js';
import { chunkings } from '../../kit/plain/chunkings.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';
import { inputOf, openConversation } from './conversation.js';

const key = 'a key for tests only';
const line = '\talice@example.org\tsave\t--\n';
const mebibyte = 'x'.repeat(1024 * 1024);

interface Own {
  readonly logs?: LogMode;
  /** Bytes above which the upstream's transport holds a writer back. */
  readonly roomBytes?: number;
  readonly keepsWhole?: boolean;
  readonly args?: readonly string[];
}

async function start(setting: Own, ...chunks: readonly (string | Buffer)[]) {
  const { args = ['--'], logs = 'filtered', ...backendEnd } = setting;
  const opened = openConversation({
    serverMinor: 3,
    command: { name: 'save', args, isReading: false },
    limits: { deadlineMs: 5_000, replyIdleMs: 5_000, clientStallMs: 5_000, logLinesMax: 3 },
    logs,
    backendEnd,
  });
  const { clock, client, upstream, closedFor } = opened;
  const buffered = new ByteBudget(10_000_000);
  const meter = createRedactor(key).meterInput();
  const text = new UploadBuffer(inputOf(opened), meter, buffered, 'desk@support', clock);
  const gathering = text.gather(new AbortController().signal);
  for (const chunk of chunks) client.send(chunk);
  assert.equal(await gathering, undefined);
  const running = upload(opened.conversation, text);
  await settle();
  return {
    ...opened,
    running,
    told: () => opened.got().all,
    /** Nothing is left of it, whatever it was. */
    tidy(reason: string) {
      assert.equal(upstream.state.at, 'closed');
      assert.deepEqual([closedFor, clock.timers, buffered.bytes], [[reason], 0, 0]);
    },
  };
}

/** What a server takes `sent` for: the text, and what would be its next command. */
function taken(sent: string): { text: string; rest: string; isDone: boolean } {
  assert.ok(sent.startsWith(line));
  const { parts, rest, isDone } = new DotDecoder({ inputBytesMax: 10_000_000 }).push(
    Buffer.from(sent.slice(line.length)),
  );
  return { text: Buffer.concat(parts).toString(), rest: String(rest), isDone };
}

void test('line, text and dot, however the client cuts them; then the reply; then the upstream goes', async () => {
  const text = 'Subject: x\r\n\r\n.\n\tbob\tquota get\r\nend';
  const fromClient = Buffer.from('Subject: x\r\n\r\n..\n\tbob\tquota get\r\nend\n.\r\n');
  for (const { name, chunks } of chunkings(fromClient)) {
    const story = await start({}, ...chunks);
    assert.deepEqual(taken(story.sent()), { text, rest: '', isDone: true }, name);
    story.backend.send(replyPacket('\n+\n'));
    const end = await story.running;
    assert.deepEqual([end.value.kind, end.closeFor], ['replied', 'not-reusable']);
    assert.equal(story.told(), '\n+\n');
    story.upstream.close('not-reusable');
    assert.equal(story.clock.timers, 0);
  }
});

void test('every piece arrives whole, with whole lines, and half a line is held until the rest is here', async () => {
  const half = '\tbob@example.org\tmailbox delete\tIN';
  const story = await start({}, 'line of the text\n'.repeat(70_000));
  story.client.send(`a line ${half}`);
  await settle();
  assert.ok(!story.sent().includes('a line'));
  story.client.send('BOX\n\n');
  await settle();
  assert.ok(story.sent().endsWith(`\n.a line ${half}BOX\n`));
  assert.ok(story.backend.wholes.length > 70);
  for (const piece of story.backend.wholes) assert.ok(piece.length <= wholeBytesMax && piece.at(-1) === 0x0a);
  assert.equal(Buffer.concat(story.backend.wholes).toString(), story.sent());
  story.client.send('.\n');
  await settle();
  story.backend.send(replyPacket('\n+\n'));
  assert.equal((await story.running).value.kind, 'replied');
});

void test('what no cut makes safe is not sent: neither that line nor the dot', async () => {
  const plain = { keepsWhole: false };
  const cases: readonly (readonly [Own, string])[] = [
    [{}, `${'x'.repeat(40_000)}\tbob\tkick\n`],
    [{}, `${'\t'.repeat(40_000)}\n`],
    [plain, 'some words\tbob\tkick\tall\n'],
  ];
  for (const [setting, text] of cases) {
    for (const rest of ['.\n', `${'word\n'.repeat(300_000)}.\n`]) {
      const story = await start(setting, `first\n${text}${rest}`);
      assert.deepEqual((await story.running).value, { kind: 'input-ended', why: 'command-like' });
      assert.ok(!story.sent().includes('kick') && !taken(`${line}${story.sent().slice(line.length)}`).isDone);
      story.tidy('aborted');
    }
  }
  const story = await start(plain, 'some words\tbob\tkicks\n.\n');
  assert.equal(taken(story.sent()).text, 'some words\tbob\tkicks');
  story.backend.send(replyPacket('\n+\n'));
  assert.equal((await story.running).value.kind, 'replied');
});

void test('a command line that is longer than a piece goes in front of the text', async () => {
  const args = ['--', 'a'.repeat(40_000)];
  const story = await start({ args }, 'text\n.\n');
  assert.equal(story.sent(), `\talice@example.org\tsave\t--\t${args[1]}\n.text\r\n.\r\n`);
  assert.deepEqual(story.backend.wholes.map((piece) => piece.length > wholeBytesMax).filter(Boolean), []);
  story.backend.send(replyPacket('\n+\n'));
  assert.equal((await story.running).value.kind, 'replied');
});

// [what the upstream says or does before the dot, the ending, why it is closed]
const words: readonly (readonly [string, (backend: Story['backend']) => void, object, string])[] = [
  [
    'a log line and a failure in one',
    (backend) => backend.send(Buffer.concat([logPacket('error', 'no'), replyPacket('\n-\n')])),
    { kind: 'input-refused', answer: 'UNKNOWN' },
    'not-reusable',
  ],
  [
    'a row',
    (backend) => backend.send(replyPacket('row\t')),
    { kind: 'input-refused', answer: 'no-status' },
    'not-reusable',
  ],
  ['garbage', (backend) => backend.send(replyPacket('\n!\n')), { kind: 'fault' }, 'wire-fault'],
];
type Story = Awaited<ReturnType<typeof start>>;
for (const [name, speak, expected, reason] of words) {
  void test(`before the dot the upstream says ${name}: closed at once, nothing more is sent`, async () => {
    for (const isHeldBack of [false, true]) {
      const story = await start(isHeldBack ? { roomBytes: 100 } : {}, mebibyte);
      if (isHeldBack) {
        story.backend.setStopped(true);
        story.client.send('held back\n');
        await settle();
      }
      speak(story.backend);
      await settle();
      story.tidy(reason);
      story.client.send('more\n.\n');
      const { value } = await story.running;
      const shown =
        value.kind === 'input-refused' && typeof value.answer === 'object' ? value.answer.code : undefined;
      assert.deepEqual(
        value.kind === 'input-refused'
          ? { kind: value.kind, answer: shown ?? value.answer }
          : { kind: value.kind },
        expected,
      );
      assert.ok(!story.sent().includes('more') && !taken(story.sent()).isDone);
      if (name.startsWith('a log')) assert.deepEqual(story.heard, ['no']);
    }
  });
}

void test('a client that is too slow, or has more than its share while others wait: the upstream gets no dot', async () => {
  const ends: readonly (readonly [object, (story: Story) => unknown])[] = [
    [
      { kind: 'input-ended', why: 'slow' },
      ({ clock, upstream }) => upstream.pace.check(clock.now() + 10_000, 65_536),
    ],
    [{ kind: 'input-ended', why: 'over-share' }, ({ upstream }) => upstream.pace.yieldLease(0)],
  ];
  for (const [expected, make] of ends) {
    const story = await start({}, mebibyte);
    story.client.send('last\r\n.\r');
    await settle();
    await make(story);
    assert.deepEqual((await story.running).value, expected);
    assert.ok(!taken(story.sent()).isDone);
    story.tidy('aborted');
  }
});

void test('ended for others while the backend takes nothing, and the rest with its dot is here: no dot is sent', async () => {
  const story = await start({ roomBytes: 100 }, mebibyte);
  story.backend.setStopped(true);
  story.client.send(`${'x'.repeat(200_000)}\nend\n`);
  await settle();
  story.client.send('.\n');
  await settle();
  story.upstream.pace.yieldLease(0);
  story.backend.setStopped(false);
  assert.deepEqual((await story.running).value, { kind: 'input-ended', why: 'over-share' });
  assert.ok(!taken(story.sent()).isDone);
  story.tidy('aborted');
});

void test('a text whose dot was sent cannot be ended for others', async () => {
  const story = await start({}, 'text\n.\n');
  assert.equal(story.upstream.pace.transfer, undefined);
  story.upstream.pace.yieldLease(0);
  story.backend.send(replyPacket('\n+\n'));
  assert.equal((await story.running).value.kind, 'replied');
});

// Goal: a text on its way: how much is read before an upstream is asked for, how long its client may take, what is recorded of it, and that
// nothing is held when it is over. Phases: gathering; pieces; ends; time; the count of all sessions.
const never = new AbortController().signal;

function openBuffer({
  buffered = new ByteBudget(10_000_000),
  inputBytesMax = 10_000_000,
  holder = 'desk@support',
} = {}) {
  const { transport: clientTransport, peer } = createMemoryTransport();
  const clock = createFakeClock();
  const client = inputOf({ clock, clientTransport }, { inputBytesMax, inputTimeMs: 1_000 });
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
  const { peer, text, buffered } = openBuffer();
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
  const ends: readonly (readonly [string, (opened: ReturnType<typeof openBuffer>) => unknown])[] = [
    ['cut', ({ peer }) => peer.end()],
    ['client-gone', ({ peer }) => peer.vanish()],
    ['too-long', ({ peer }) => peer.send('x'.repeat(2_000_000))],
    ['late', ({ clock }) => clock.advance(1_000)],
  ];
  for (const [end, make] of ends) {
    for (const isGathered of [false, true]) {
      const opened = openBuffer({ inputBytesMax: 1_500_000 });
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
  const hogs = [1, 2].map(() => openBuffer({ buffered, holder: 'hog@jobs' }));
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
  const victim = openBuffer({ buffered, holder: 'victim@support' });
  victim.peer.send('text\n.\n');
  assert.equal(await victim.text.gather(never), undefined);
  await settle();
  assert.equal(isGathered, false);
  first.text.close();
  await waiting;
  for (const { text } of [second, victim]) text.close();
  assert.equal(buffered.bytes, 0);
});
