// The waits of a carrier to a collector, by a clock turned by hand: what `Retry-After` may ask for, and after what must not be asked again.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { type Batch, beginning, createFollower, type Position } from '../../../src/ship/shipping/follow.js';
import { createOtlpCarrier } from '../../../src/ship/shipping/otlp-carrier.js';
import { shipFaultOf } from '../../../src/ship/shipping/receiver.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { linesOf } from '../../kit/plain/record-kinds.js';

interface Told {
  readonly status: number;
  readonly retryAfter?: string;
  readonly body?: string;
  readonly type?: string;
}

const lines = linesOf().map((line, at) => ({ seq: at + 1, bytes: Buffer.from(line) }));
const position: Position = { segment: 1, bytes: 1, seq: lines.length, hash: 'ab'.repeat(32) };
const batch: Batch = { lines, text: Buffer.alloc(0), position };

async function openCarrier(t: TestContext, told: Told) {
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      const { status, retryAfter, body = '{}', type = 'application/json' } = told;
      const wait = retryAfter === undefined ? {} : { 'Retry-After': retryAfter };
      response.writeHead(status, { 'Content-Type': type, ...wait }).end(body);
    });
  });
  const port = await listenHere(server);
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const clock = createFakeClock();
  const rejections: [number, string][] = [];
  const carrier = createOtlpCarrier({
    url: `http://127.0.0.1:${port}/v1/logs`,
    position: beginning,
    clock,
    sender: { hostName: 'gate1', processId: 1 },
    restarted: () => assert.fail('restarted'),
    rejected: (count, text) => rejections.push([count, text]),
    programVersion: '0.1.0',
  });
  const hurry = new AbortController();
  const follower = createFollower('/nonexistent', () => undefined);
  const open = () => carrier.open(follower, hurry.signal, { proven: () => undefined, over: () => undefined });
  return { carrier, clock, open, rejections, hurry };
}

async function waitAfter(t: TestContext, told: Told, waitMs: number): Promise<void> {
  const { carrier, clock, open } = await openCarrier(t, told);
  const line = await open();
  const fault = await line.send(batch).catch((cause: unknown) => cause);
  assert.match(shipFaultOf(fault).text, new RegExp(`answers with ${told.status}`));
  line.close(false);
  assert.equal(carrier.safe, beginning);
  let isOpen = false;
  const opened = open().then((again) => {
    isOpen = true;
    again.close(false);
  });
  await settle();
  assert.equal(isOpen, waitMs === 0);
  if (waitMs > 0) {
    await clock.advance(waitMs - 1);
    assert.equal(isOpen, false, `${told.status}: not before ${waitMs} ms`);
    await clock.advance(1);
  }
  await opened;
}

void test('the waits after each answer', async (t) => {
  // bounds.otlpRefusedMs
  await waitAfter(t, { status: 429, retryAfter: '3' }, 3_000);
  await waitAfter(t, { status: 503, retryAfter: '86400' }, 600_000);
  await waitAfter(t, { status: 504 }, 0);
  await waitAfter(t, { status: 502, retryAfter: 'soon' }, 0);
  for (const status of [400, 401, 403, 404, 413, 500, 301])
    await waitAfter(t, { status }, bounds.otlpRefusedMs);
});

void test('partial success: no more is refused than was sent, and it is reported once a minute', async (t) => {
  const body = '{"partialSuccess":{"rejectedLogRecords":"999999","errorMessage":"no"}}';
  const { carrier, clock, open, rejections } = await openCarrier(t, { status: 200, body });
  assert.deepEqual(carrier.batches, { bytes: 256 * 1024, lines: 500 });
  const line = await open();
  for (let at = 0; at < 3; at += 1) await line.send(batch);
  assert.equal(carrier.refused, 3 * lines.length);
  assert.equal(carrier.safe, position);
  assert.equal(rejections.map(([count]) => count / lines.length).join(), '1');
  assert.equal(await line.idle?.(), 60_000);
  await clock.advance(60_000);
  assert.equal(await line.idle?.(), undefined);
  assert.equal(rejections.map(([count]) => count / lines.length).join(), '1,2');
  line.close(true);
});

void test('partial success: a count is a number or a text, and may have 64 bits', async (t) => {
  for (const [refused, ...texts] of [
    [lines.length, '"9223372036854775807"', '9223372036854775807', '"9007199254740993"'],
    [2, '"2"', '2'],
    [0, '"0"', '-1', '"many"', 'null'],
  ] as const)
    for (const written of texts) {
      const body = `{"partialSuccess":{"rejectedLogRecords":${written}}}`;
      const { carrier, open, rejections } = await openCarrier(t, { status: 200, body });
      const line = await open();
      await line.send(batch);
      line.close(true);
      const counts = rejections.map(([count]) => count);
      assert.deepEqual([carrier.refused, counts], [refused, refused === 0 ? [] : [refused]], written);
      assert.equal(carrier.safe, position);
    }
});

void test('success is 200 with an object of JSON, or with the empty message of protobuf', async (t) => {
  const protobuf = 'application/x-protobuf';
  const good: readonly Told[] = [
    { status: 200, body: '{}' },
    { status: 200, body: ' {"partialSuccess":{}}\n', type: 'text/plain' },
    { status: 200, body: '', type: protobuf },
    { status: 200, body: '', type: 'Application/X-Protobuf; charset=x' },
  ];
  const bad: readonly Told[] = [
    ...['', '[]', 'ok'].map((body) => ({ status: 200, body })),
    { status: 200, body: ' ', type: protobuf },
    { status: 200, body: '', type: `${protobuf}s` },
    { status: 204, body: '' },
    { status: 204, body: '', type: protobuf },
    { status: 202, body: '{}' },
  ];
  for (const told of [...good, ...bad]) {
    const { carrier, open } = await openCarrier(t, told);
    const line = await open();
    const fault = await line.send(batch).then(
      () => undefined,
      (cause: unknown) => shipFaultOf(cause).text,
    );
    const isGood = good.includes(told);
    assert.match(fault ?? 'none', isGood ? /^none$/ : /not of OTLP/, JSON.stringify(told));
    line.close(isGood);
    assert.equal(carrier.safe, isGood ? position : beginning);
  }
});
