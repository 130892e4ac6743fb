// Connections whose bytes stop being HTTP, or whose client goes, at a moment when something waits for them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReadHttp } from '../../../src/host/http/requests.js';
import { WireFault } from '../../../src/host/ports/faults.js';
import type { HttpRequest, HttpRequests } from '../../../src/host/ports/transport.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport, type MemoryPeer } from '../../kit/plain/memory-transport.js';

const readHttp = createReadHttp();
const head = { status: 200, headers: [['Content-Type', 'text/plain']], isLast: false } as const;
const post = 'POST /doveadm/v1 HTTP/1.1\r\nHost: gate\r\n';
const empty = `${post}Content-Length: 0\r\n\r\n`;

function open(): { peer: MemoryPeer; requests: HttpRequests; said: () => string } {
  const { transport, peer } = createMemoryTransport();
  return { peer, requests: readHttp(transport), said: () => peer.received().toString() };
}

async function nextOf(requests: HttpRequests): Promise<HttpRequest> {
  const request = await requests.next();
  assert.ok(request !== null && !('malformed' in request));
  return request;
}

void test('a body that stops being HTTP ends the wait for it, and its request can still be answered', async () => {
  for (const [sent, more] of [
    ['Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', 'zz\r\n'],
    ['Transfer-Encoding: chunked\r\n\r\n', '-1\r\n'],
    ['Transfer-Encoding: chunked\r\n\r\n', 'fffffffffffffffff\r\n'],
    ['Transfer-Encoding: chunked\r\n\r\n3\r\nabc', 'abc'],
    ['Transfer-Encoding: chunked\r\n\r\n3\r\nab', undefined],
    ['Content-Length: 10\r\n\r\nab', undefined],
    ['Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 10\r\n\r\nab', undefined],
    [
      'Upgrade: h2c\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n',
      undefined,
    ],
  ] as const) {
    const { peer, requests, said } = open();
    peer.send(`${post}${sent}`);
    const request = await nextOf(requests);
    const read = async (): Promise<void> => {
      while ((await request.read()) !== null);
    };
    const ended = read().then(
      () => 'whole',
      (fault: unknown) => fault,
    );
    await settle();
    if (more === undefined) peer.end();
    else peer.send(more);
    await settle();
    const title = JSON.stringify([sent, more]);
    assert.ok((await Promise.race([ended, settle().then(() => 'nothing')])) instanceof WireFault, title);
    assert.equal(said(), '', title);
    void request.answer({ ...head, status: 400, isLast: true }, Buffer.from('no'));
    await settle();
    assert.match(said(), /^HTTP\/1\.1 400 [^]*\r\n\r\nno$/, title);
    const next = await Promise.race([requests.next(), settle().then(() => 'nothing')]);
    assert.ok(next === null || (typeof next === 'object' && 'malformed' in next), title);
  }
});

void test('what is no HTTP behind a request is answered after it, never before or within its answer', async () => {
  for (const isStreamed of [false, true]) {
    for (const broken of ['garbage\r\n\r\n', `${post}Host: twice\r\nContent-Length: 0\r\n\r\n`]) {
      const { peer, requests, said } = open();
      peer.send(empty);
      const request = await nextOf(requests);
      if (isStreamed) {
        request.begin(head);
        void request.write([Buffer.from('first')]);
      }
      peer.send(broken);
      await settle();
      assert.ok(!said().includes(' 400 '), said());
      if (isStreamed) void request.end();
      else void request.answer(head, Buffer.from('first'));
      await settle();
      assert.deepEqual(await requests.next(), { malformed: 400 });
      await settle();
      assert.match(
        said(),
        /^HTTP\/1\.1 200 [^]*first[^]*HTTP\/1\.1 400 [^]*Connection: close[^]*Bad Request\n$/,
      );
    }
  }
});

void test('bytes behind a request that was said to be the last one do not touch its answer', async () => {
  const { peer, requests, said } = open();
  peer.send(`${post}Connection: close\r\nContent-Length: 0\r\n\r\n${empty}`);
  const request = await nextOf(requests);
  await settle();
  assert.equal(said(), '');
  void request.answer(head, Buffer.from('first'));
  await settle();
  assert.match(said(), /^HTTP\/1\.1 200 [^]*first$/);
});

void test('a client that goes while its broken request waits for room: nobody is left waiting', async () => {
  const unhandled: unknown[] = [];
  const keep = (fault: unknown): void => void unhandled.push(fault);
  process.on('unhandledRejection', keep);
  try {
    const { peer, requests } = open();
    peer.setStopped(true);
    peer.send(empty);
    const request = await nextOf(requests);
    const answered = request.answer(head, Buffer.alloc(300_000))?.catch(() => 'gone');
    peer.send(`${post}Host: twice\r\nContent-Length: 0\r\n\r\n`);
    await settle();
    peer.vanish();
    await settle();
    assert.equal(await answered, 'gone');
    await settle();
    assert.deepEqual(unhandled, []);
  } finally {
    process.off('unhandledRejection', keep);
  }
});

void test('nothing behind a refused request is looked at', async () => {
  for (const refused of [
    'POST /doveadm/v1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n',
    `${post}Host: twice\r\nContent-Length: 0\r\n\r\n`,
    'POST http://a@gate/doveadm/v1 HTTP/1.1\r\nHost: gate\r\nContent-Length: 0\r\n\r\n',
  ]) {
    const { peer, requests, said } = open();
    peer.send(`${refused}${empty}`);
    await settle();
    assert.deepEqual(await requests.next(), { malformed: 400 }, refused);
    assert.deepEqual(await requests.next(), { malformed: 400 }, refused);
    assert.match(said(), /^HTTP\/1\.1 400 [^]*Connection: close/);
  }
});

void test('what came with the end of a request that asks for another protocol is not looked at, and nothing behind it', async () => {
  for (const [first, ...others] of [
    [`${post}Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n[]${empty}`, empty],
    [`${post}Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n[`, `]${empty}`, empty],
    [`GET / HTTP/1.1\r\nHost: gate\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n`, empty],
  ]) {
    const { peer, requests, said } = open();
    peer.send(first ?? '');
    const request = await nextOf(requests);
    for (const other of others) peer.send(other);
    while ((await request.read()) !== null);
    await request.answer({ ...head, isLast: false }, Buffer.from('x'));
    await settle();
    peer.end();
    assert.equal(await requests.next(), null, first);
    assert.match(said(), /Connection: close\r\n\r\nx$/, first);
    assert.equal(said().match(/HTTP\/1\.1/g)?.length, 1, first);
  }
});
