// Goal: what stands behind a command line, as a text and as bytes, however it is cut; and whatever becomes of a text, what follows its dot
// is a line again and nothing before it is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerInput, SessionInput } from '../../../src/gateway/session/session-input.js';
import { chunkings } from '../../kit/chunkings.js';
import { createFakeClock } from '../../kit/fake-clock.js';
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
