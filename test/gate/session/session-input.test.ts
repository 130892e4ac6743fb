// Goal: lines of a peer and what is no line between them, however they are cut; and a peer that leaves is noticed while nobody asks for a
// line. And what stands behind a command line, as a text and as bytes: whatever becomes of a text, what follows its dot is a line again
// and nothing before it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerInput, SessionInput } from '../../../src/gate/session/session-input.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { ByteBudget } from '../../../src/host/concurrency/limits.js';
import { TransportFault } from '../../../src/host/ports/faults.js';
import { chunkings } from '../../kit/plain/chunkings.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

function open(rest = '', lineBytesMax = 20) {
  const { transport, peer } = createMemoryTransport();
  return { transport, peer, input: new SessionInput(transport, Buffer.from(rest), lineBytesMax) };
}

const next = async (input: SessionInput): Promise<string | null> => {
  const line = await input.nextLine();
  return line === null ? null : String(line);
};

void test('lines, bytes that are none, and lines again, at every cutting', async () => {
  const whole = Buffer.from('one\ntwo\r\nbytes\n\r of all sorts\n.three\nfo');
  let count = 0;
  for (const { chunks } of chunkings(whole)) {
    for (const ahead of [0, 1]) {
      const { peer, input } = open(ahead === 1 ? String(chunks[0] ?? '') : '');
      for (const chunk of chunks.slice(ahead)) peer.send(chunk);
      peer.end();
      assert.deepEqual([await next(input), await next(input)], ['one', 'two']);
      let bytes = '';
      while (!bytes.includes('.')) bytes += String(await input.nextBytes());
      const dot = bytes.indexOf('.');
      assert.equal(bytes.slice(0, dot), 'bytes\n\r of all sorts\n');
      input.giveBack(Buffer.from(bytes.slice(dot + 1)));
      assert.equal(await next(input), 'three');
      // A last line without its LF is never run.
      assert.deepEqual([await next(input), await next(input)], [null, null]);
      count += 1;
    }
  }
  assert.ok(count > whole.length);
});

// bounds.commandLineBytes
void test('a line above the limit, whole or not', async () => {
  for (const text of ['x'.repeat(30), `${'x'.repeat(30)}\n`]) {
    const { peer, input } = open();
    peer.send(text);
    assert.equal(await next(input), 'line-too-long');
  }
});

/** Whether the drop is over, and what is left for others. */
async function drop(sent: readonly string[], act: (opened: ReturnType<typeof open>) => unknown) {
  const opened = open();
  const clock = createFakeClock();
  for (const text of sent) opened.peer.send(text);
  assert.equal(await next(opened.input), 'line-too-long');
  let isOver = false;
  const dropping = opened.input.dropLine(clock).finally(() => {
    isOver = true;
  });
  dropping.catch(() => undefined);
  await settle();
  const before = isOver;
  await act({ ...opened, clock } as ReturnType<typeof open>);
  await settle();
  assert.ok(isOver);
  assert.equal(clock.timers, 0);
  return { before, dropping };
}

// bounds.droppedLineBytes, bounds.droppedLineMs
void test('the rest of a refused line is dropped up to its end, or to a limit', async () => {
  const long = 'x'.repeat(30);
  assert.equal((await drop([`${long}\n`], () => undefined)).before, true);
  assert.equal((await drop([long, 'more', 'end\n'], () => undefined)).before, true);
  assert.equal((await drop([long, 'more'], ({ peer }) => peer.send('\n'))).before, false);
  assert.equal((await drop([long], ({ peer }) => peer.end())).before, false);
  const most = (count: number): Buffer => Buffer.alloc(count, 'x');
  const atLimit = await drop([long], async ({ peer }) => {
    for (let left = bounds.droppedLineBytes; left > 0; left -= 65_536)
      peer.send(most(Math.min(left, 65_536)));
    await settle();
  });
  assert.equal(atLimit.before, false);
  const clock = createFakeClock();
  const slow = open();
  slow.peer.send(long);
  assert.equal(await next(slow.input), 'line-too-long');
  const dropping = slow.input.dropLine(clock);
  await clock.advance(bounds.droppedLineMs);
  await dropping;
  const { dropping: lost } = await drop([long], ({ peer }) => peer.vanish());
  await assert.rejects(lost, TransportFault);
});

// bounds.uncountedLineBytes
void test('an unfinished line counts for its origin until its end; above the share of it a second one is refused', async () => {
  const small = bounds.uncountedLineBytes;
  const buffered = new ByteBudget(8 * small);
  const begin = (bytes: number, holder: string) => {
    const { transport, peer } = createMemoryTransport();
    const input = new SessionInput(transport, Buffer.alloc(bytes, 'x'), 64 * small, { buffered, holder });
    return { input, peer };
  };
  // Any number of these costs no more than their sessions.
  assert.equal(begin(small, 'a').input.takeLine(), undefined);
  assert.equal(buffered.bytes, 0);
  const one = begin(3 * small, 'a');
  assert.equal(one.input.takeLine(), undefined);
  assert.equal(buffered.heldBy('a'), 3 * small);
  assert.equal(begin(2 * small, 'a').input.takeLine(), 'line-no-room');
  assert.equal(buffered.heldBy('a'), 3 * small, 'what was refused is free');
  const other = begin(2 * small, 'b');
  assert.equal(other.input.takeLine(), undefined);
  // The only line of an origin goes on, however much others hold.
  const only = begin(6 * small, 'c');
  assert.equal(only.input.takeLine(), undefined);
  one.peer.send('\n');
  assert.equal((await next(one.input))?.length, 3 * small);
  assert.equal(buffered.heldBy('a'), 0);
  other.input.close();
  only.input.close();
  other.input.close();
  assert.equal(buffered.bytes, 0);
});

void test('bytes of a peer that has ended, and of one that is gone', async () => {
  const ended = open('begin');
  ended.peer.end();
  assert.equal(String(await ended.input.nextBytes()), 'begin');
  assert.deepEqual([await ended.input.nextBytes(), await ended.input.nextBytes()], [null, null]);
  const gone = open();
  const reading = gone.input.nextBytes();
  gone.peer.vanish();
  await assert.rejects(reading, TransportFault);
});

void test('one chunk is read ahead, and it is the next line', async () => {
  const { transport, peer, input } = open();
  input.readAhead();
  peer.send('one\n');
  peer.send('two\n');
  await settle();
  assert.equal(transport.heldBytes, 4);
  // Again before the first was taken: nothing more is read, and nothing lost.
  input.readAhead();
  await settle();
  assert.equal(transport.heldBytes, 4);
  assert.deepEqual([await next(input), await next(input)], ['one', 'two']);
});

void test('watched while its bytes are read: it does not read beside that', async () => {
  const { transport, peer, input } = open();
  const reading = input.nextBytes();
  transport.onGone(() => assert.fail('gone'));
  input.readAhead();
  peer.send('text\n');
  assert.equal(String(await reading), 'text\n');
  peer.send('next\n');
  assert.equal(await next(input), 'next');
});

function openText(rest = '') {
  const { transport, peer, input: session } = open(rest, 50);
  const clock = createFakeClock();
  const input = new PeerInput(session, {
    inputBytesMax: 100,
    inputTimeMs: 1_000,
    clock,
    close: (reason) => transport.close(reason),
  });
  return { transport, peer, clock, session, input };
}

type OpenedText = ReturnType<typeof openText>;

/** The whole text; `cut` behind it where the client ended before the dot. */
async function readText({ input }: OpenedText): Promise<string> {
  let text = '';
  for (;;) {
    const piece = await input.nextText();
    if (piece.kind === 'cut') return `${text}cut`;
    text += Buffer.concat([...piece.parts]).toString('latin1');
    if (piece.isLast) return text;
  }
}

void test('a text and the line behind it, at every cutting', async () => {
  const whole = Buffer.from('Subject: x\r\n\r\n..\n.y\n\tbob\tquota get\nend\r\n.\r\n\tbob\tmailbox list\n');
  for (const { name, chunks } of chunkings(whole)) {
    for (const isSkipped of [false, true]) {
      const opened = openText();
      for (const chunk of chunks) opened.peer.send(chunk);
      if (isSkipped) assert.equal(await opened.input.skipText(), 'skipped', name);
      else assert.equal(await readText(opened), 'Subject: x\r\n\r\n.\ny\n\tbob\tquota get\nend', name);
      assert.equal(await opened.input.skipText(), 'skipped');
      assert.equal(String(await opened.session.nextLine()), '\tbob\tmailbox list', name);
      assert.equal(opened.clock.timers, 0);
    }
  }
});
