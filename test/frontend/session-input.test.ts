// Goal: lines and thrown-away input of a peer, however they are cut; and a peer that leaves is noticed while nobody asks for a line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSessionInput, type SessionInput } from '../../src/frontend/session-input.js';
import { TransportFault } from '../../src/ports/transport-fault.js';
import { WireFault } from '../../src/wire/wire-fault.js';
import { chunkings } from '../kit/chunkings.js';
import { settle } from '../kit/fake-clock.js';
import { createMemoryTransport } from '../kit/memory-transport.js';

const limits = { inputBytesMax: 1_000 };

function open(rest = '') {
  const { transport, peer } = createMemoryTransport();
  return { transport, peer, input: createSessionInput(transport, Buffer.from(rest), 20) };
}

const next = async (input: SessionInput): Promise<string | null> => {
  const line = await input.nextLine();
  return line === null ? null : String(line);
};

void test('lines, input that is dropped, and lines again, at every cutting', async () => {
  const whole = Buffer.from('one\ntwo\r\nSubject: x\n..three\nthree\n.\nthree\nfo');
  let count = 0;
  for (const { chunks } of chunkings(whole)) {
    for (const ahead of [0, 1]) {
      const { peer, input } = open(ahead === 1 ? String(chunks[0] ?? '') : '');
      for (const chunk of chunks.slice(ahead)) peer.send(chunk);
      peer.end();
      assert.deepEqual([await next(input), await next(input)], ['one', 'two']);
      assert.equal(await input.skipDotStream(limits), true);
      assert.equal(await next(input), 'three');
      // A last line without its LF is never run.
      assert.deepEqual([await next(input), await next(input)], [null, null]);
      count += 1;
    }
  }
  assert.ok(count > whole.length);
});

void test('a line above the limit, whole or not', async () => {
  for (const text of ['x'.repeat(30), `${'x'.repeat(30)}\n`]) {
    const { peer, input } = open();
    peer.send(text);
    await assert.rejects(
      input.nextLine(),
      (fault) => fault instanceof WireFault && fault.code === 'line-too-long',
    );
  }
});

void test('input that never ends: the end of the peer, and the limit', async () => {
  const ended = open('begin');
  ended.peer.send('more\n');
  ended.peer.end();
  assert.equal(await ended.input.skipDotStream(limits), false);
  const endless = open();
  for (let n = 0; n < 30; n += 1) endless.peer.send('x'.repeat(50));
  await assert.rejects(endless.input.skipDotStream(limits), WireFault);
  const gone = open();
  const skipping = gone.input.skipDotStream(limits);
  gone.peer.vanish();
  await assert.rejects(skipping, TransportFault);
});

void test('while it is watched, one chunk is read ahead, and it is the next line', async () => {
  const { transport, peer, input } = open();
  input.watch(() => assert.fail('gone'));
  peer.send('one\n');
  peer.send('two\n');
  await settle();
  assert.equal(transport.heldBytes, 4);
  input.unwatch();
  // Watched again before the first was taken: nothing more is read, and nothing lost.
  input.watch(() => assert.fail('gone'));
  await settle();
  assert.equal(transport.heldBytes, 4);
  input.unwatch();
  assert.deepEqual([await next(input), await next(input)], ['one', 'two']);
});

void test('while it is watched, a peer that goes is told once, and again to who reads', async () => {
  const { peer, input } = open();
  let told = 0;
  input.watch(() => {
    told += 1;
  });
  peer.vanish();
  await settle();
  assert.equal(told, 1);
  input.unwatch();
  await assert.rejects(input.nextLine(), TransportFault);
});

void test('a peer that ends its side is not gone; nor is one told of that is not watched any more', async () => {
  const { peer, input } = open();
  input.watch(() => assert.fail('told'));
  peer.end();
  await settle();
  assert.equal(await next(input), null);
  input.unwatch();
  peer.vanish();
  await settle();
});

void test('watched while its input is dropped: it does not read beside that', async () => {
  const { peer, input } = open();
  const skipping = input.skipDotStream(limits);
  input.watch(() => assert.fail('gone'));
  peer.send('text\n');
  await settle();
  peer.send('.\nnext\n');
  assert.equal(await skipping, true);
  assert.equal(await next(input), 'next');
});
