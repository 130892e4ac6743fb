// Goal: one stamp a day, from a real authority, checked before it counts. Servers that hang, lie, cut, flood, refuse or are away: each
// attempt ends within its bounds, is told once, and is made again with growing pauses. What must not happen: a stored stamp that
// `audit verify` would refuse.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readStamps, storeStamp } from '../../../src/adapters/stamps/stamp-folder.js';
import { type Stamper, startStamper } from '../../../src/adapters/stamps/stamper.js';
import { asWritten, bounds } from '../../../src/bounds/bounds.js';
import { formatTime } from '../../../src/domain/records/audit/record.js';
import type { StampFaultCode } from '../../../src/domain/records/stamps/fault.js';
import { makeStampRequest, stampDay } from '../../../src/domain/records/stamps/stamp.js';
import { makeAuthority } from '../../kit/certificates.js';
import { createFakeClock, type FakeClock } from '../../kit/fake-clock.js';
import { openFolder } from '../../kit/folder.js';
import { listenHere } from '../../kit/free-ports.js';
import { makeStampAuthority, nonceOf, paperStamp, type StampAuthority } from '../../kit/stamp-authority.js';
import { until } from '../../kit/until.js';

interface Stage {
  readonly stamper: Stamper;
  readonly clock: FakeClock;
  readonly folder: string;
  readonly codes: StampFaultCode[];
  readonly days: string[];
  readonly asked: () => number;
}

const dayMs = 86_400_000;

interface StageOptions {
  readonly url: string;
  readonly caFile?: string;
  readonly authority: StampAuthority;
  readonly lineMs?: number;
  readonly authorityFile?: string;
}

/** The fake clock begins now: openssl has no other time. */
function startAt(
  t: TestContext,
  { url, authority, lineMs, caFile, authorityFile = authority.rootFile }: StageOptions,
): Stage {
  const clock = createFakeClock();
  clock.leap(Date.now() - clock.wallMs());
  const folder = join(openFolder(t), 'stamps');
  const codes: StampFaultCode[] = [];
  const days: string[] = [];
  let asked = 0;
  const stamper = startStamper({
    clock,
    chance: () => 0,
    settings: { url, authorityFile, caFile },
    folder,
    newest() {
      asked += 1;
      return Promise.resolve(Buffer.from(`{"time":"${formatTime(lineMs ?? clock.wallMs())}"}\n`));
    },
    onStamped: (day) => void days.push(day),
    onFault: ({ code }) => void codes.push(code),
  });
  t.after(() => stamper.close());
  return { stamper, clock, folder, codes, days, asked: () => asked };
}

/** A server that signs by paper, so that it has the clock of the test. */
function paperServer(
  authority: StampAuthority,
  timeMs: () => number,
  lineOf: () => Buffer,
  change = (answer: Buffer): Buffer => answer,
): RequestListener {
  return (request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const query = Buffer.concat(pieces);
      response.end(
        change(paperStamp(authority, { timeMs: timeMs(), stamped: lineOf(), nonce: nonceOf(query) })),
      );
    });
  };
}

void test('a stamp of openssl is stored with its line, and one a day is taken', async (t) => {
  const authority = makeStampAuthority(t, { keys: 'ec' });
  const { stamper, clock, folder, codes, days, asked } = startAt(t, {
    url: await authority.listen(t),
    authority,
  });
  await until(() => days.length === 1 || codes.length > 0, 'the first stamp');
  assert.deepEqual(codes, []);
  const [day = ''] = days;
  const [stored] = [...readStamps(folder)];
  assert.equal(stored?.day, day);
  assert.match(String(stored?.line), /^\{"time":"[^"]+"\}\n$/);
  assert.ok(stored !== undefined && stored.answer.length > 500);
  assert.deepEqual(stamper.state, { lastMs: Date.parse(day), failed: 0, fault: undefined });
  // Nothing is asked again on this day, but for the beginning of the next one.
  const beforeNextMs = Date.parse(day) + dayMs - clock.wallMs();
  await clock.advance(Math.max(0, beforeNextMs));
  assert.equal(asked(), 1);
  // Never at the very beginning of a day, when an answer may be of the day before.
  await clock.advance(bounds.stampSkewMs - 60_000);
  assert.equal(asked(), 1);
  await clock.advance(180_000);
  await until(() => asked() === 2, 'that of the next day');
});

void test('a day is not stamped again after a restart, and never without its line', async (t) => {
  const authority = makeStampAuthority(t, { keys: 'ec' });
  const folder = join(openFolder(t), 'stamps');
  await storeStamp(folder, { day: '2026-01-02', line: Buffer.from('line\n'), answer: Buffer.from('answer') });
  assert.deepEqual(readdirSync(folder).toSorted(), ['2026-01-02.jsonl', '2026-01-02.tsr']);
  const clock = createFakeClock();
  let asked = 0;
  const stamper = startStamper({
    clock,
    chance: () => 0,
    settings: { url: 'http://127.0.0.1:9/', authorityFile: authority.rootFile },
    folder,
    newest: () => {
      asked += 1;
      return Promise.reject(new Error('not due'));
    },
    onStamped: () => undefined,
    onFault: () => undefined,
  });
  t.after(() => stamper.close());
  await until(() => stamper.state.lastMs === Date.UTC(2026, 0, 2), 'the day of the last one');
  await clock.advance(dayMs / 2);
  assert.equal(asked, 0);
  await stamper.close();

  // The oldest go beyond bounds.stampDays.
  for (let at = 0; at < bounds.stampDays; at += 1)
    writeFileSync(join(folder, `${stampDay(Date.UTC(2027, 0, 1) + at * dayMs)}.tsr`), '');
  await storeStamp(folder, { day: '2040-01-01', line: Buffer.from('line\n'), answer: Buffer.from('answer') });
  assert.ok(!existsSync(join(folder, '2026-01-02.tsr')) && !existsSync(join(folder, '2026-01-02.jsonl')));
  assert.equal([...readStamps(folder)].length, bounds.stampDays);
});

const flood = (request: Parameters<RequestListener>[0], response: Parameters<RequestListener>[1]): void => {
  request.resume();
  response.writeHead(200).end(Buffer.alloc(bounds.stampAnswerBytes + 1));
};

const servers: Readonly<
  Record<string, { readonly listener: RequestListener; readonly code: StampFaultCode }>
> = {
  // More than bounds.stampAnswerBytes.
  'one that floods': { listener: flood, code: 'not-http' },
  'one that answers half': {
    listener: (request, response) => {
      request.resume();
      response.writeHead(200, { 'Content-Length': 1000 }).write('x');
      response.socket?.end();
    },
    code: 'unreachable',
  },
  'one that sends a page': {
    listener: (request, response) => request.resume() && response.end('<html>no</html>'),
    code: 'malformed',
  },
  'one that redirects': {
    listener: (request, response) => request.resume() && response.writeHead(302, { Location: '/else' }).end(),
    code: 'redirected',
  },
  'one that fails': {
    listener: (request, response) => request.resume() && response.writeHead(503).end('<b>evil</b>'),
    code: 'status',
  },
};
for (const [what, { listener, code }] of Object.entries(servers))
  void test(`${what} is found: ${code}`, async (t) => {
    const authority = makeStampAuthority(t, { keys: 'ec' });
    const { stamper, codes, folder } = startAt(t, { url: await authority.listen(t, listener), authority });
    await until(() => codes.length > 0, 'a fault');
    assert.deepEqual(codes, [code]);
    assert.equal(stamper.state.fault?.code, code);
    assert.ok(!existsSync(folder));
  });

void test('one that hangs is left after its time, told once, and asked again with growing pauses', async (t) => {
  const authority = makeStampAuthority(t, { keys: 'ec' });
  let requests = 0;
  const url = await authority.listen(t, (request) => {
    request.resume();
    requests += 1;
  });
  const { stamper, clock, codes } = startAt(t, { url, authority });
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await until(() => requests === attempt, `attempt ${attempt}`);
    await clock.advance(bounds.stampMs - 1);
    assert.equal(stamper.state.failed, attempt - 1);
    await clock.advance(1);
    await until(() => stamper.state.failed === attempt, 'the end of an attempt');
    // Without chance: 10 s, 20 s, 40 s, up to bounds.stampRetryMaxMs.
    await until(() => clock.nextTimerMs === 10_000 * 2 ** (attempt - 1), 'the pause');
    await clock.advance(10_000 * 2 ** (attempt - 1));
  }
  assert.deepEqual(codes, ['timeout']);
  assert.equal(asWritten.stampRetryMaxMs, '1h');
  assert.equal(asWritten.stampSpreadMs, '1h');
});

void test('an answer that is replayed, changed, or of a clock that lies, is not stored', async (t) => {
  const authority = makeStampAuthority(t, { keys: 'ec' });
  const nowMs = Date.now();
  const line = Buffer.from(`{"time":"${formatTime(nowMs)}"}\n`);
  const replayed = authority.answer(makeStampRequest(line, Buffer.from([1])));
  const answers: readonly (readonly [StampFaultCode, RequestListener])[] = [
    ['other-nonce', (request, response) => request.resume() && response.end(replayed)],
    [
      'clocks-apart',
      paperServer(
        authority,
        () => nowMs + 3_600_000,
        () => line,
      ),
    ],
    [
      'too-early',
      paperServer(
        authority,
        () => nowMs - 3_600_000,
        () => line,
      ),
    ],
    [
      'other-bytes',
      paperServer(
        authority,
        () => nowMs,
        () => Buffer.from('else'),
      ),
    ],
    [
      'malformed',
      paperServer(
        authority,
        () => nowMs,
        () => line,
        (answer) => answer.subarray(0, 99),
      ),
    ],
    [
      'untrusted',
      paperServer(
        makeStampAuthority(t, { keys: 'ec' }),
        () => nowMs,
        () => line,
      ),
    ],
  ];
  for (const [code, listener] of answers) {
    const { codes, folder } = startAt(t, {
      url: await authority.listen(t, listener),
      authority,
      lineMs: nowMs,
    });
    await until(() => codes.length > 0, code);
    assert.deepEqual(codes, [code]);
    assert.ok(!existsSync(folder), code);
  }
});

void test('an authority that is away, or whose file is none', async (t) => {
  const authority = makeStampAuthority(t, { keys: 'ec' });
  const away = startAt(t, { url: 'http://127.0.0.1:9/tsr', authority });
  await until(() => away.codes.length > 0, 'away');
  assert.deepEqual(away.codes, ['connection-refused']);
  const file = join(openFolder(t), 'empty.pem');
  for (const authorityFile of [file, `${file}.gone`]) {
    writeFileSync(file, 'nothing');
    const without = startAt(t, { url: 'http://127.0.0.1:9/tsr', authority, authorityFile });
    await until(() => without.codes.length > 0, 'no certificates');
    assert.deepEqual(without.codes, ['authority-file']);
    assert.equal(without.asked(), 0);
  }
});

void test('over https: its server is known by `ca`, and its name', async (t) => {
  const authority = makeStampAuthority(t, { keys: 'ec' });
  const trust = makeAuthority({ name: 'of servers' });
  const folder = openFolder(t);
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, trust.certificatePem);
  const listen = async (name: string): Promise<string> => {
    const { certificatePem: cert, keyPem: key } = trust.issue({ names: [name] });
    const server = createServer({ cert, key }, (request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => response.end(authority.answer(Buffer.concat(pieces))));
    });
    const port = await listenHere(server);
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return `https://127.0.0.1:${port}/tsr`;
  };
  const url = await listen('127.0.0.1');
  const good = startAt(t, { url, authority, caFile });
  await until(() => good.days.length + good.codes.length > 0, 'the stamp');
  assert.deepEqual(good.codes, []);
  const cases: readonly (readonly [StampFaultCode, StageOptions])[] = [
    ['tls-failed', { url: await listen('127.0.0.2'), authority, caFile }],
    ['tls-failed', { url, authority }],
    ['ca-file', { url, authority, caFile: join(folder, 'gone') }],
  ];
  for (const [code, options] of cases) {
    const { codes } = startAt(t, options);
    await until(() => codes.length > 0, code);
    assert.deepEqual(codes, [code]);
  }
});
