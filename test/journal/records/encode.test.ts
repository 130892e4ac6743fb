import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { encodeBody, lineBytesMax } from '../../../src/journal/records/encode.js';
import { recordKeys, rowOf } from '../../../src/journal/records/keys.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import type { AuditRecord, JournalRecord } from '../../../src/journal/records/record.js';

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

void test('no line is longer than 7 KiB, whatever is in the record, and it is JSON', () => {
  // Every character of these costs six bytes in JSON.
  const wild = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.integer({ min: 0, max: 8000 }).map((count) => '\u0001'.repeat(count)),
    fc.integer({ min: 0, max: 3000 }).map((count) => '\u2028\ud83d\ude00'.repeat(count)),
    fc.integer({ min: 0, max: 8000 }).map((count) => '\ud800'.repeat(count)),
  );
  const words =
    'session id for listener principal policy version rule reason command user upstream text status error';
  const record = fc.record<AuditRecord>(
    {
      time: fc.constant(time),
      event: fc.constantFrom('admission', 'completion', 'log'),
      ...Object.fromEntries(words.split(' ').map((key) => [key, wild])),
      args: fc.array(fc.oneof(wild, fc.record({ hmac: wild })), { maxLength: 12 }),
      backends: fc.array(wild, { maxLength: 30 }),
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
  const members = { rule: worst, line: worst, credential: worst, login: worst };
  const access = { ...fields, event: 'access', identities: [worst, worst], bound: members } as const;
  for (const [whole, ...without] of [
    [fields, 'added', 'others'],
    [access, 'added', 'own'],
  ] as const) {
    const body = encodeBody(whole);
    assert.ok(Buffer.byteLength(body) < lineBytesMax);
    const keys = recordKeys.filter((key) => !without.some((of) => of === rowOf(key).of));
    assert.deepEqual(Object.keys(JSON.parse(`{${body}}`)), ['time', 'event', ...keys]);
  }
});

void test('what was remembered of a line is not said of a record that differs in any key', () => {
  const values: Readonly<Record<string, unknown>> = { count: 1, ms: 1.5, step: -5, flag: true, true: true };
  const everything: JournalRecord = Object.assign(
    { time, event: 'checkpoint' } as const,
    Object.fromEntries(recordKeys.map((key) => [key, values[rowOf(key).form ?? ''] ?? `a ${key}`])),
    { args: ['-d', { hmac: 'bb' }], users: ['a@example.org'], backends: ['mail1'] },
    { peer: { uid: 1, exe: '/bin/sh' }, input: { hmac: 'aa', bytes: 12 } },
    { torn: { sha256: 'cc', bytes: 3, file: 'x.torn' }, logs: { fatal: 5, debug: 1 } },
  );
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
  const hostile = '__proto__|constructor|toString||\0|\n|"|\\|\u2028|\ud800x|x\udc00'.split('|');
  const word = fc.oneof(
    fc.constantFrom(...hostile),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.string({ maxLength: 20 }),
  );
  const strange = [0, -0, 1e21, 2 ** 53, -1.0005, 0.0004, 0.9996, 1e9 + 0.5, NaN, Infinity, -Infinity];
  const ordinary = [fc.double(), fc.double({ min: 0, max: 1e6 }), fc.integer()];
  const number = fc.oneof(...ordinary, fc.constantFrom(...strange));
  const words = 'listener principal rule reason user status error'.split(' ').map((key) => [key, word]);
  const record = fc.record<AuditRecord>(
    {
      time: fc.constant(time),
      event: fc.constant('completion'),
      ...Object.fromEntries(words),
      args: fc.array(fc.oneof(word, fc.record({ hmac: word })), { maxLength: 5 }),
      sent: fc.boolean(),
      cells: number,
      duration_ms: number,
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
