// Goal: what stands behind a command line, as a text and as bytes, however it is cut; and whatever becomes of a text, what follows its dot
// is a line again and nothing before it is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerInput, SessionInput } from '../../../src/gateway/session/session-input.js';
import { TransportFault, WireFault } from '../../../src/ports/faults.js';
import { chunkings } from '../../kit/chunkings.js';
import { createFakeClock, settle } from '../../kit/fake-clock.js';
import { createMemoryTransport } from '../../kit/memory-transport.js';

function open(rest = '') {
  const { transport, peer } = createMemoryTransport();
  const clock = createFakeClock();
  const session = new SessionInput(transport, Buffer.from(rest), 50);
  const input = new PeerInput(session, {
    inputBytesMax: 100,
    inputTimeMs: 1_000,
    clock,
    close: (reason) => transport.close(reason),
  });
  return { transport, peer, clock, session, input };
}

type Opened = ReturnType<typeof open>;

/** The whole text; `cut` behind it where the client ended before the dot. */
async function readText({ input }: Opened): Promise<string> {
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
      const opened = open();
      for (const chunk of chunks) opened.peer.send(chunk);
      if (isSkipped) assert.equal(await opened.input.skipText(), 'skipped', name);
      else assert.equal(await readText(opened), 'Subject: x\r\n\r\n.\ny\n\tbob\tquota get\nend', name);
      assert.equal(await opened.input.skipText(), 'skipped');
      assert.equal(String(await opened.session.nextLine()), '\tbob\tmailbox list', name);
      assert.equal(opened.clock.timers, 0);
    }
  }
});

void test('a text whose reader has left: what it waited for is not lost, and the rest is dropped up to the dot', async () => {
  const opened = open('begin\n');
  assert.deepEqual(await opened.input.nextText(), {
    kind: 'piece',
    parts: [Buffer.from('begin')],
    isLast: false,
  });
  const left = opened.input.nextText();
  const skipping = opened.input.skipText();
  opened.peer.send('middle\n');
  opened.peer.send('.\nnext\n');
  assert.equal(await skipping, 'skipped');
  assert.equal((await left).kind, 'piece');
  assert.equal(String(await opened.session.nextLine()), 'next');
});

void test('a client that ends, is gone, sends too much, takes too long', async () => {
  const ended = open();
  ended.peer.send('half\n.');
  ended.peer.end();
  assert.equal(await readText(ended), 'halfcut');
  assert.equal(await ended.input.skipText(), 'peer-ended');

  const gone = open();
  const reading = gone.input.nextText();
  gone.peer.vanish();
  await assert.rejects(reading, TransportFault);
  assert.equal(await gone.input.skipText(), 'peer-gone');

  const long = open();
  long.peer.send('x'.repeat(101));
  await assert.rejects(long.input.nextText(), WireFault);
  const endless = open();
  for (let n = 0; n < 5; n += 1) endless.peer.send('x'.repeat(40));
  assert.equal(await endless.input.skipText(), 'input-limit');

  const late = open();
  const skipping = late.input.skipText();
  late.peer.send('text\n');
  await settle();
  await late.clock.advance(1_000);
  assert.equal(await skipping, 'input-limit');
  assert.equal(late.transport.closedFor, 'input-limit');
  for (const { clock } of [ended, gone, endless, late]) assert.equal(clock.timers, 0);
});

void test('bytes as they are, from behind the line to the end', async () => {
  const { peer, input } = open('behind\n');
  peer.send('.\n\0');
  peer.end();
  assert.deepEqual([String(await input.readRaw()), String(await input.readRaw())], ['behind\n', '.\n\0']);
  assert.equal(await input.readRaw(), null);
});
