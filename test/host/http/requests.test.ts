import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { createReadHttp } from '../../../src/host/http/requests.js';
import { TransportFault, WireFault } from '../../../src/host/ports/faults.js';
import type { HttpRequest } from '../../../src/host/ports/transport.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

const readHttp = createReadHttp();
const head = { status: 200, headers: [['Content-Type', 'text/plain']], isLast: false } as const;

/** Answers each request with what it asked. `seen`: that, with its body, in order; `malformed` with its status. */
function openServed() {
  const { transport, peer } = createMemoryTransport();
  const requests = readHttp(transport);
  const seen: string[] = [];
  const run = async (): Promise<void> => {
    for (;;) {
      const request = await requests.next();
      if (request === null) return;
      if ('malformed' in request) return void seen.push(`malformed ${request.malformed}`);
      const body = await bodyOf(request);
      const said = `${request.method} ${request.target} ${body}${request.hasTrailers ? ' trailers' : ''}`;
      seen.push(said);
      await request.answer(head, Buffer.from(said));
    }
  };
  return { peer, seen, done: run() };
}

/** Sends it; the first request that comes of it. */
async function begin(sent: string) {
  const { transport, peer } = createMemoryTransport();
  const requests = readHttp(transport);
  peer.send(sent);
  const request = await requests.next();
  assert.ok(request !== null && !('malformed' in request), sent);
  return { peer, requests, request, said: () => peer.received().toString() };
}

async function bodyOf(request: HttpRequest): Promise<string> {
  const chunks: Buffer[] = [];
  for (let chunk = await request.read(); chunk !== null; chunk = await request.read()) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const post = 'POST /doveadm/v1 HTTP/1.1\r\nHost: gate\r\n';

void test('an absolute target, as a proxy writes it: its authority replaces Host', async () => {
  for (const [target, meant] of [
    ['http://gate:8443/doveadm/v1?x=/y', '/doveadm/v1?x=/y'],
    ['HTTPS://gate:8443', '/'],
    ['http://gate:8443?x', '/?x'],
  ]) {
    const { request } = await begin(`GET ${target} HTTP/1.1\r\nHost: other\r\nOrigin: http://other\r\n\r\n`);
    assert.equal(request.target, meant);
    const hosts = request.headers.filter(([name]) => name === 'host');
    assert.deepEqual(hosts, [['host', 'gate:8443']]);
  }
});

void test('requests one after the other, pipelined and in single bytes; both framings; HTTP/1.0', async () => {
  const sent = `${post}Content-Length: 5\r\n\r\nfirst${post}Transfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\nGET /third HTTP/1.0\r\n\r\n`;
  for (const size of [sent.length, 1, 7]) {
    const { peer, seen, done } = openServed();
    for (let at = 0; at < sent.length; at += size) {
      peer.send(sent.slice(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await done;
    assert.deepEqual(seen, ['POST /doveadm/v1 first', 'POST /doveadm/v1 second', 'GET /third ']);
    assert.equal(String(peer.received()).split('HTTP/1.1 200 OK').length, 1 + 3);
  }
});

void test('a client that ended its side gets its answer', async () => {
  const { peer, done } = openServed();
  peer.send(`${post}Content-Length: 2\r\n\r\n[]`);
  peer.end();
  await done;
  assert.match(peer.received().toString(), /\r\n\r\nPOST \/doveadm\/v1 \[\]$/);
});

// bounds.httpHeadBytes
void test('what two readers could read differently is refused', async () => {
  const many = Array.from({ length: 101 }, (_, at) => `X-${at}: 1\r\n`).join('');
  const heads: readonly (readonly [status: number, request: string])[] = [
    [400, `${post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]`],
    [400, `${post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    [400, `${post}Transfer-Encoding: chunked, identity\r\n\r\n[]`],
    [400, `${post}Content-Length: 2\n\n[]`],
    [400, `${post}Authorization: a\r\nAuthorization: b\r\nContent-Length: 2\r\n\r\n[]`],
    [400, `${post}Host: other\r\nContent-Length: 2\r\n\r\n[]`],
    [400, `${post}Trailer: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n`],
    [400, 'POST http://anna@gate/doveadm/v1 HTTP/1.1\r\nHost: gate\r\nContent-Length: 2\r\n\r\n[]'],
    [400, 'POST http:///doveadm/v1 HTTP/1.1\r\nHost: gate\r\nContent-Length: 2\r\n\r\n[]'],
    [400, 'POST ftp://gate/doveadm/v1 HTTP/1.1\r\nHost: gate\r\nContent-Length: 2\r\n\r\n[]'],
    [400, 'POST /doveadm/v1 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [400, 'GET / HTTP/1.1\r\n\r\n'],
    [400, 'GET / HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: identity\r\n\r\n'],
    [400, 'GET / HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: ch\xffunked\r\n\r\n'],
    [400, `${post} folded: x\r\n\r\n`],
    [400, `${post}Content Length: 2\r\n\r\n[]`],
    [400, `${post}Content-Length: +2\r\n\r\n[]`],
    [400, 'GET / HTTP/2.0\r\nHost: gate\r\n\r\n'],
    [431, `${post}X: ${'a'.repeat(17_000)}\r\n\r\n`],
    [431, `${post}${many}\r\n`],
  ];
  for (const [status, request] of heads) {
    const { peer, seen, done } = openServed();
    peer.send(request);
    peer.end();
    await done;
    const title = JSON.stringify(request.slice(0, 120));
    const answer = peer.received().toString();
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} .*Connection: close`, 's'), `${title}: ${answer}`);
    const isRefused = seen.every((each) => each.startsWith('malformed'));
    assert.ok(isRefused, title);
  }
});

void test('trailers that were not announced are told', async () => {
  const { peer, seen, done } = openServed();
  peer.send(`${post}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\n`);
  peer.end();
  await done;
  assert.deepEqual(seen, ['POST /doveadm/v1 a trailers']);
});

void test('a client that waits to be told to go on is told when its body is asked for', async () => {
  const { peer, request } = await begin(`${post}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`);
  assert.equal(peer.received().length, 0);
  const first = request.read();
  assert.equal(peer.received().toString(), 'HTTP/1.1 100 Continue\r\n\r\n');
  peer.send('[]');
  assert.equal((await first)?.toString(), '[]');
});

void test('a client that waits to be told to go on and is refused is never told', async () => {
  const { peer, request } = await begin(`${post}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`);
  await request.answer({ ...head, status: 413, isLast: true }, Buffer.from('no'));
  assert.equal(await request.read(), null);
  assert.match(peer.received().toString(), /^HTTP\/1\.1 413 /);
  assert.doesNotMatch(peer.received().toString(), /100 Continue/);
});

void test('an answer in pieces waits for its reader, and has an end only when it is ended', async () => {
  const { peer, request } = await begin(`${post}Content-Length: 0\r\n\r\n`);
  request.begin(head);
  assert.equal(request.write([Buffer.from('a'), Buffer.from('bc')]), undefined);
  peer.setStopped(true);
  const drained = request.write([Buffer.alloc(200_000)]);
  assert.ok(drained !== undefined);
  let isDrained = false;
  void drained.then(() => (isDrained = true));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isDrained, false);
  peer.setStopped(false);
  await drained;
  assert.ok(!peer.received().toString().endsWith('0\r\n\r\n'));
  await request.end();
  assert.ok(peer.received().toString().endsWith('0\r\n\r\n'));
});

void test('requests beyond what may wait end the connection', async () => {
  const { transport, peer } = createMemoryTransport();
  const requests = readHttp(transport);
  peer.send('GET / HTTP/1.1\r\nHost: gate\r\n\r\n'.repeat(40));
  let served = 0;
  try {
    for (let next = await requests.next(); next !== null; next = await requests.next()) served += 1;
  } catch {}
  assert.ok(served <= 33, String(served));
});

// bounds.httpWaiting: Node keeps each request until the answer in front of it is sent, also where nobody looks at it.
for (const [what, first, second] of [
  ['that asks for another protocol', 'GET / HTTP/1.1\r\nHost: gate\r\nUpgrade: other\r\n\r\n', ''],
  ['behind a refused one', 'GET / HTTP/1.1\r\nHost: gate\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n'],
] as const) {
  void test(`requests after one ${what} end the connection when they are too many`, async () => {
    const { peer, request } = await begin(first);
    peer.send(second + 'GET / HTTP/1.1\r\nHost: gate\r\n\r\n'.repeat(bounds.httpWaiting + 8));
    await settle();
    // The connection is gone: an answer to the first one cannot leave any more.
    const late = async () => request.answer(head, Buffer.from('late'));
    await assert.rejects(late, TransportFault);
  });
}

void test('what came is parsed piece by piece, each after the first in the turn of its session', async () => {
  const { transport, peer } = createMemoryTransport();
  const turns: (() => void)[] = [];
  const requests = readHttp(transport, undefined, async (run) => void turns.push(run));
  const sent = `${post}Transfer-Encoding: chunked\r\n\r\n` + '1\r\n \r\n'.repeat(20_000);
  peer.send(sent);
  const request = await requests.next();
  assert.ok(request !== null && !('malformed' in request));
  let bodyBytes = 0;
  const read = async (): Promise<void> => {
    for (let chunk = await request.read(); chunk !== null; chunk = await request.read())
      bodyBytes += chunk.length;
  };
  const gone = assert.rejects(read());
  for (let taken = 1; taken * bounds.httpPieceBytes < sent.length; taken += 1) {
    await settle();
    assert.equal(turns.length, taken);
    const before = bodyBytes;
    turns[taken - 1]?.();
    await settle();
    const chunks = bodyBytes - before;
    assert.ok(chunks <= bounds.httpPieceBytes / 6 + 1, `${chunks} chunks in one turn`);
  }
  assert.equal(bodyBytes, 20_000);
  peer.end();
  await settle();
  turns.at(-1)?.();
  await gone;
});

// Connections whose bytes stop being HTTP, or whose client goes, at a moment when something waits for them.

const empty = `${post}Content-Length: 0\r\n\r\n`;

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
    const { peer, requests, request, said } = await begin(`${post}${sent}`);
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
      const { peer, requests, request, said } = await begin(empty);
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
      const inOrder = /^HTTP\/1\.1 200 [^]*first[^]*HTTP\/1\.1 400 [^]*Connection: close[^]*Bad Request\n$/;
      assert.match(said(), inOrder);
    }
  }
});

void test('bytes behind a request that was said to be the last one do not touch its answer', async () => {
  const { request, said } = await begin(`${post}Connection: close\r\nContent-Length: 0\r\n\r\n${empty}`);
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
    const { peer, request } = await begin(empty);
    peer.setStopped(true);
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
    const { transport, peer } = createMemoryTransport();
    const requests = readHttp(transport);
    peer.send(`${refused}${empty}`);
    await settle();
    assert.deepEqual(await requests.next(), { malformed: 400 }, refused);
    assert.deepEqual(await requests.next(), { malformed: 400 }, refused);
    assert.match(peer.received().toString(), /^HTTP\/1\.1 400 [^]*Connection: close/);
  }
});

void test('what came with the end of a request that asks for another protocol is not looked at, and nothing behind it', async () => {
  for (const [first, ...others] of [
    [`${post}Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n[]${empty}`, empty],
    [`${post}Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n[`, `]${empty}`, empty],
    [`GET / HTTP/1.1\r\nHost: gate\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n`, empty],
  ]) {
    const { peer, requests, request, said } = await begin(first ?? '');
    for (const other of others) peer.send(other);
    while ((await request.read()) !== null);
    await request.answer(head, Buffer.from('x'));
    await settle();
    peer.end();
    assert.equal(await requests.next(), null, first);
    assert.match(said(), /Connection: close\r\n\r\nx$/, first);
    assert.equal(said().match(/HTTP\/1\.1/g)?.length, 1, first);
  }
});
