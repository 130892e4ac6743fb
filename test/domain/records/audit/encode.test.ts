import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { encodeBody, lineBytesMax, printable, quote } from '../../../../src/domain/records/audit/encode.js';
import { recordKeys, rowOf } from '../../../../src/domain/records/audit/keys.js';
import { sealLine } from '../../../../src/domain/records/audit/ledger.js';
import type { AuditRecord, JournalRecord } from '../../../../src/domain/records/audit/record.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

const time = Date.UTC(2026, 10, 20, 8, 22, 34, 123);

function parse(record: JournalRecord): Record<string, unknown> {
  return JSON.parse(`{${encodeBody(record)}}`);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The order of the documentation; keys that came later stand before `error`. */
const documented =
  `time event journal format session id for listener peer principal policy version rule series decision
  reason command user args input effect backend upstream backends matches program catalog policies was segment segment_hash
  head oldest_seq key signature action by count requesters level text status outcome sent rows cells bytes_in bytes_out wait_ms
  first_byte_ms duration_ms logs users next_key open_seq step_ms steps_ms earliest lost torn until error`.split(
    /\s+/,
  );

const everything: JournalRecord = {
  error: 'poison',
  until: '2026-11-13T08:22:34.123Z',
  torn: { sha256: 'cc', bytes: 3, file: '00000001.jsonl.torn' },
  lost: 1,
  earliest: '2026-11-12T08:22:34.123Z',
  steps_ms: -5,
  step_ms: 5,
  open_seq: 4,
  next_key: 'bmV4dA==',
  users: ['alice@example.org', 'b*@example.org'],
  logs: { panic: 0, fatal: 5, error: 4, warning: 3, info: 2, debug: 1 },
  duration_ms: 1.23456,
  first_byte_ms: 1,
  wait_ms: 0,
  bytes_out: 10,
  bytes_in: 9,
  cells: 2,
  rows: 1,
  sent: false,
  outcome: 'unknown',
  status: '-NOUSER',
  text: 'a line',
  level: 'info',
  requesters: 2,
  count: 11,
  by: 'root@admin',
  action: 'recover',
  signature: 'c2ln',
  key: 'a2V5',
  oldest_seq: 1,
  head: 'ab',
  segment_hash: 'cd',
  segment: '00000001.jsonl',
  was: 'ea',
  policies: 'eb',
  catalog: 'ef',
  program: 'dovegate 0.1.0',
  matches: 500,
  backends: ['mail1', 'mail2'],
  upstream: 'mail1-3',
  backend: 'mail1',
  effect: 'destroy',
  input: { hmac: 'aa', bytes: 12 },
  args: ['-d', { hmac: 'bb' }, '--'],
  user: 'alice@example.com',
  command: 'expunge',
  reason: 'ticket 4711',
  decision: 'allow',
  series: '2.3',
  rule: 'dovegate.yaml:17',
  version: 'ff',
  policy: 'support',
  principal: 'bob@support',
  peer: {
    certificate: 'CN=x',
    address: '192.0.2.1:4',
    login_uid: 1000,
    unit_unproven: '/box/cron.service',
    unit: 'cron.service',
    exe_unproven: '/bin/dash',
    exe: '/bin/sh',
    user: 'bob',
    pid: 3,
    gid: 2,
    uid: 1,
  },
  listener: 'support',
  for: '01J3',
  id: '01J2',
  session: '01J1',
  format: 1,
  journal: 'aabb',
  event: 'checkpoint',
  time,
};

void test('the keys stand in the documented order, whatever the order of the record', () => {
  const body = parse(everything);
  assert.deepEqual(Object.keys(body), documented);
  assert.equal(
    Object.keys(body['peer'] ?? {}).join(' '),
    'uid gid pid user exe exe_unproven unit unit_unproven login_uid address certificate',
  );
  assert.deepEqual(body, {
    ...everything,
    time: '2026-11-20T08:22:34.123Z',
    duration_ms: 1.235,
  });
});

void test('keys that do not apply are absent, also where the engine says undefined', () => {
  assert.equal(
    encodeBody({
      time,
      event: 'completion',
      user: undefined,
      peer: { uid: 0, exe: undefined },
      cells: Number.NaN,
    }),
    '"time":"2026-11-20T08:22:34.123Z","event":"completion","peer":{"uid":0}',
  );
});

// bounds.recordBytes, bounds.recordUsersBytes
void test('a list of users says how many it does not hold, and leaves the arguments their room', () => {
  const users = Array.from({ length: 4000 }, (_, at) => `user-${at}@example.org`);
  const args = ['--', 'x'.repeat(3000)];
  const body = parse({ time, event: 'admission', args, users });
  assert.deepEqual(body['args'], args);
  const recorded: unknown[] = Object(body['users']);
  assertCut(recorded, users, 60);
});

void test('no line is longer than 7 KiB, whatever is in the record, and it is JSON', () => {
  // Every character of these costs six bytes in JSON.
  const wild = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.integer({ min: 0, max: 8000 }).map((count) => '\u0001'.repeat(count)),
    fc.integer({ min: 0, max: 3000 }).map((count) => '\u2028\ud83d\ude00'.repeat(count)),
    fc.integer({ min: 0, max: 8000 }).map((count) => '\ud800'.repeat(count)),
  );
  const record = fc.record<AuditRecord>(
    {
      time: fc.constant(time),
      event: fc.constantFrom('admission', 'completion', 'log'),
      session: wild,
      id: wild,
      for: wild,
      listener: wild,
      principal: wild,
      policy: wild,
      version: wild,
      rule: wild,
      reason: wild,
      command: wild,
      user: wild,
      args: fc.array(fc.oneof(wild, fc.record({ hmac: wild })), { maxLength: 12 }),
      backends: fc.array(wild, { maxLength: 30 }),
      upstream: wild,
      text: wild,
      status: wild,
      error: wild,
      peer: fc.record({ user: wild, exe: wild, unit: wild, address: wild, certificate: wild }),
    },
    { requiredKeys: ['time', 'event'] },
  );
  fc.assert(
    fc.property(record, (value) => {
      const { line } = sealLine(Number.MAX_SAFE_INTEGER, encodeBody(value), 'f'.repeat(64));
      assert.ok(Buffer.byteLength(line) <= lineBytesMax, `${Buffer.byteLength(line)}`);
      assert.equal(line.indexOf('\n'), line.length - 1);
      assert.equal(typeof JSON.parse(line), 'object');
    }),
    { numRuns: 60 * rounds },
  );
});

void test('the worst record of all fits', () => {
  const worst = '\u0001'.repeat(70_000);
  const isNumber = (key: (typeof recordKeys)[number]): boolean =>
    ['count', 'ms', 'step', 'flag', 'true', 'lost'].includes(rowOf(key).form ?? '');
  const record = {
    time,
    event: 'checkpoint',
    ...Object.fromEntries(recordKeys.map((key) => [key, isNumber(key) ? Number.MAX_SAFE_INTEGER : worst])),
    // What the program itself makes, always of one length.
    version: sha256('1'),
    policies: sha256('2'),
    was: sha256('3'),
    deed: '0123456789abcdef',
    ...Object.fromEntries(['request', 'grant', 'lock'].map((key) => [key, '01KDYAK3487FXJ0FWSFTT3D0WN'])),
    args: Array.from({ length: 5000 }, () => worst.slice(0, 60)),
    backends: Array.from({ length: 5000 }, () => worst.slice(0, 60)),
    peer: { user: worst, exe: worst, unit: worst, address: worst, certificate: worst },
    input: { bytes: 1, hmac: worst },
    users: [worst],
    logs: { error: 1 },
    appended: { file: worst, bytes: 1, sha256: worst },
    torn: { file: worst, bytes: 1, sha256: worst },
  };
  const fields: JournalRecord = JSON.parse(JSON.stringify(record));
  const body = encodeBody(fields);
  assert.ok(Buffer.byteLength(body) < lineBytesMax);
  assert.deepEqual(Object.keys(JSON.parse(`{${body}}`)), [
    'time',
    'event',
    ...recordKeys.filter((key) => !['added', 'others'].includes(rowOf(key).of ?? '')),
  ]);
  const members = { rule: worst, line: worst, credential: worst, login: worst };
  const access = { ...fields, event: 'access', identities: [worst, worst], bound: members } as const;
  const otherBody = encodeBody(access);
  assert.ok(Buffer.byteLength(otherBody) < lineBytesMax);
  assert.deepEqual(Object.keys(JSON.parse(`{${otherBody}}`)), [
    'time',
    'event',
    ...recordKeys.filter((key) => !['added', 'own'].includes(rowOf(key).of ?? '')),
  ]);
});

/** The first values and the last stand there, and between them how many are left out. */
function assertCut(shown: readonly unknown[], all: readonly unknown[], least: number): void {
  const at = shown.findIndex((one) => Object(one)['more'] !== undefined);
  const last = shown.length - at - 1;
  assert.ok(at > last && last > 10 && shown.length > least, `${at} ${last}`);
  assert.deepEqual(shown.slice(0, at), all.slice(0, at));
  assert.deepEqual(shown.slice(at + 1), all.slice(-last));
  const rest = all.slice(at, -last).map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
  const joined = rest.join('\0');
  assert.deepEqual(shown[at], {
    more: rest.length,
    bytes: Buffer.byteLength(joined),
    sha256: sha256(joined),
  });
}

void test('a terminal that is shown a line obeys nothing in it', () => {
  const hostile = '\u001b[2J\r\b\u0007\u007f\u009b31m\u202ereversed\u2066\ufeff\u200b\u2028"\\';
  const text = quote(hostile);
  assert.match(text, /^[ -~]+$/);
  assert.equal(JSON.parse(text), hostile);
  assert.equal(
    quote('größe 漢字 \ud83d\ude00'),
    '"größe 漢字 \ud83d\ude00"',
    'but people can read their language',
  );
});

void test('people see that a text has characters which nobody sees', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['größe 漢字 \u{1f600} a b', 'größe 漢字 \u{1f600} a b'],
    ['x\u200b\u202e\u00ad\ufeff', 'x\\u{200b}\\u{202e}\\xad\\u{feff}'],
    ['\u3164\u115f\uffa0', '\\u{3164}\\u{115f}\\u{ffa0}'],
    ['ticket\u{e0041}\u{e007f}', 'ticket\\u{e0041}\\u{e007f}'],
    ['\u00a0\u3000\u2009\u202f\u1680', '\\xa0\\u{3000}\\u{2009}\\u{202f}\\u{1680}'],
    ['\u2800\ufffc\u{1d159}', '\\u{2800}\\u{fffc}\\u{1d159}'],
    ['\n\r\t\0\u0085\ud800', '\\n\\r\\t\\x00\\x85\\u{d800}'],
  ];
  for (const [text, shown] of cases) assert.equal(printable(text), shown);
});

void test('a lone surrogate becomes the replacement character', () => {
  assert.equal(quote('a\ud800b\udc00\ud83d\ude00'), '"a\ufffdb\ufffd\ud83d\ude00"');
});

void test('every string survives, but for lone surrogates', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(JSON.parse(quote(text)), text);
    }),
  );
});

void test('a value that was recorded before gives the same text, under every budget', () => {
  const name = '\u0001'.repeat(100);
  const short = { time, event: 'admission', user: name, command: 'quota get' } as const;
  const long = { ...short, args: Array.from({ length: 300 }, () => '\u202e'.repeat(300)) };
  for (const record of [short, long, short, long]) {
    assert.deepEqual(encodeBody(record), encodeBody(structuredClone(record)));
    assert.ok(Buffer.byteLength(encodeBody(record)) < lineBytesMax);
  }
  assert.equal(parse(short)['user'], name);
});

void test('what was remembered of a line is not said of a record that differs in any key', () => {
  const other = (value: unknown): unknown => {
    if (typeof value === 'string') return `${value}!`;
    if (typeof value === 'number') return value + 1;
    if (Array.isArray(value)) return [...value, 'one more'];
    return typeof value === 'boolean' ? !value : {};
  };
  for (const [key, value] of Object.entries(everything)) {
    if (key === 'event') continue;
    for (const replaced of [other(value), undefined, value]) {
      const record: JournalRecord = Object.assign({}, everything, { [key]: replaced });
      assert.equal(encodeBody(record), encodeBody(structuredClone(record)), key);
      assert.equal(encodeBody(everything), encodeBody(structuredClone(everything)), key);
    }
  }
});

// bounds.refusedRecordBytes
void test('a brief record has at most 2 KiB, whatever was said, and still shows how it began', () => {
  const long = 'x'.repeat(60_000);
  const peer = { uid: 1, exe: `/${long}`, unit: long };
  const asked = { principal: 'bob@support', user: long, reason: long.slice(0, 512), text: long };
  for (const args of [
    [long],
    ['-u', 'bob', '--', 'fetch', long],
    Array.from({ length: 5000 }, () => 'word'),
  ]) {
    const body = encodeBody({ time, event: 'admission', peer, ...asked, args }, true);
    assert.ok(Buffer.byteLength(body) <= 2048, `${body.length} bytes`);
    const { principal } = JSON.parse(`{${body}}`);
    assert.equal(principal, 'bob@support');
  }
  const question: unknown[] = JSON.parse(
    `{${encodeBody({ time, event: 'admission', args: ['-u', 'bob', '--', 'fetch', long] }, true)}}`,
  ).args;
  assert.deepEqual(question.slice(0, 4), ['-u', 'bob', '--', 'fetch']);
  assert.equal(Buffer.byteLength(JSON.stringify(question)) <= 1024, true);
  const short = { time, event: 'admission', user: 'bob', args: ['a', 'b'] } as const;
  assert.equal(encodeBody(short, true), encodeBody(short));
});

// bounds.recordPeerBytes
void test('a peer who runs a program below a long path does not fill each record with it', () => {
  const peer = { uid: 1, exe: `/${'p'.repeat(4000)}` };
  assert.ok(Buffer.byteLength(encodeBody({ time, event: 'admission', peer })) < 600);
});

void test('what one record was too long for is whole in the next', () => {
  // Above what is kept of a value that no budget cuts, and short when it is cut to nothing.
  const name = '\u0001'.repeat(30);
  const long = '\u0001'.repeat(70_000);
  const short: JournalRecord = { time, event: 'admission', user: name };
  const texts = `session id for listener principal policy version rule series decision would mode outcome reason command effect
    backend upstream program catalog policies was segment segment_hash head key signature action by level text status error journal
    next_key`;
  const others = Object.fromEntries(texts.split(/\s+/).map((key) => [key, long]));
  const args = Array.from({ length: 500 }, () => long.slice(0, 60));
  const peer = { user: long, exe: long, unit: long, address: long, certificate: long };
  const torn = { file: long, bytes: 1, sha256: long };
  const input = { bytes: 1, hmac: long };
  encodeBody({ ...others, ...short, event: 'checkpoint', args, backends: args, peer, torn, input });
  assert.equal(parse(short)['user'], name);
});

/** The documentation's words, with the standard library: no table, no memory of what came before. */
function reference(value: string): string {
  const json = JSON.stringify(value.replace(/\p{Surrogate}/gu, '\ufffd'));
  const shy = /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
  return json.replace(shy, (one) => `\\u${`000${one.charCodeAt(0).toString(16)}`.slice(-4)}`);
}

void test('short records are what a plain encoder makes of them, whatever came before them', () => {
  const hostile = [
    '__proto__',
    'constructor',
    'toString',
    '',
    '\0',
    '\n',
    '"',
    '\\',
    '\u2028',
    '\ud800x',
    'x\udc00',
  ];
  const word = fc.oneof(
    fc.constantFrom(...hostile),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.string({ maxLength: 20 }),
  );
  const strange = [0, -0, 1e21, 2 ** 53, -1.0005, 0.0004, 0.9996, 1e9 + 0.5, NaN, Infinity, -Infinity];
  const number = fc.oneof(
    fc.double(),
    fc.double({ min: 0, max: 1e6 }),
    fc.integer(),
    fc.constantFrom(...strange),
  );
  const record = fc.record<AuditRecord>(
    {
      time: fc.constant(time),
      event: fc.constant('completion'),
      listener: word,
      principal: word,
      rule: word,
      reason: word,
      user: word,
      args: fc.array(fc.oneof(word, fc.record({ hmac: word })), { maxLength: 5 }),
      status: word,
      sent: fc.boolean(),
      cells: number,
      duration_ms: number,
      error: word,
    },
    { requiredKeys: ['time', 'event'] },
  );
  const textOf = (value: unknown): string | undefined => {
    if (typeof value === 'string') return reference(value);
    if (Array.isArray(value)) return `[${value.map(textOf).join(',')}]`;
    if (typeof value === 'object' && value !== null && 'hmac' in value)
      return `{"hmac":${textOf(value.hmac)}}`;
    if (typeof value !== 'number') return JSON.stringify(value);
    const shown = Number.isInteger(value) ? value : Math.round(value * 1000) / 1000;
    return Number.isFinite(shown) ? JSON.stringify(shown) : undefined;
  };
  fc.assert(
    fc.property(record, (value) => {
      const shown: Record<string, unknown> = { ...value, time: '2026-11-20T08:22:34.123Z' };
      const members = documented.flatMap((key) => {
        const text = textOf(shown[key]);
        return text === undefined ? [] : [`"${key}":${text}`];
      });
      assert.equal(encodeBody(value), members.join(','));
    }),
    { numRuns: 2000 },
  );
});

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

function heapBytes(): number {
  if (typeof collect === 'function') collect();
  return process.memoryUsage().heapUsed;
}

// bounds.recordWords
void test('words of records that never come again are not kept', () => {
  const write = (from: number, count: number): void => {
    for (let at = from; at < from + count; at += 1)
      encodeBody({ time, event: 'completion', id: 'X', backend: `backend-${at}-${'x'.repeat(50)}` });
  };
  write(0, 2_000);
  const before = heapBytes();
  write(2_000, 150_000);
  const grown = heapBytes() - before;
  // A thousand of them are some 200 KiB; all of them were 30 MiB.
  assert.ok(grown < 5 << 20, `${grown} bytes`);
});
