// Goal: lines of a peer and what is no line between them, however they are cut; and a peer that leaves is noticed while nobody asks for a line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SessionInput } from '../../../src/gateway/session/session-input.js';
import { TransportFault, WireFault } from '../../../src/ports/faults.js';
import { chunkings } from '../../kit/chunkings.js';
import { settle } from '../../kit/fake-clock.js';
import { createMemoryTransport } from '../../kit/memory-transport.js';

function open(rest = '') {
  const { transport, peer } = createMemoryTransport();
  return { transport, peer, input: new SessionInput(transport, Buffer.from(rest), 20) };
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
    await assert.rejects(
      input.nextLine(),
      (fault) => fault instanceof WireFault && fault.code === 'line-too-long',
    );
  }
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

void test('while it is watched, a peer that goes is told once, and again to who reads', async () => {
  const { transport, peer, input } = open();
  let told = 0;
  transport.onGone(() => {
    told += 1;
  });
  input.readAhead();
  peer.vanish();
  await settle();
  assert.equal(told, 1);
  transport.onGone(undefined);
  await assert.rejects(input.nextLine(), TransportFault);
});

void test('a peer that ends its side is not gone; nor is one told of that is not watched any more', async () => {
  const { transport, peer, input } = open();
  transport.onGone(() => assert.fail('told'));
  input.readAhead();
  peer.end();
  await settle();
  assert.equal(await next(input), null);
  transport.onGone(undefined);
  peer.vanish();
  await settle();
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
