// What an admission has no room for is in the records after it, to the last byte; nothing of a secret is; a line of limits.line has room.
// What a reader finds missing, changed or surplus: answers/chain.txt.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeRecord, lineBytesMax } from '../../../src/journal/records/encode.js';
import type { RecordedArgument } from '../../../src/journal/records/keys.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { joinArguments } from '../../../src/journal/records/stored.js';
import { recordedBytesMax } from '../../../src/rules/config/parse-sections.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const time = Date.UTC(2026, 10, 20, 8, 22, 34, 123);

function admission(args: readonly RecordedArgument[], more: Partial<AuditRecord> = {}): AuditRecord {
  const named = { session: 'S', id: 'E', principal: 'bob@support', command: 'mailbox delete' };
  return { time, event: 'admission', ...named, decision: 'allow', effect: 'destroy', args, ...more };
}

function joinedOf(record: AuditRecord): Readonly<Record<string, unknown>> {
  const [first = {}, ...rest] = encodeRecord(record).map((body) => JSON.parse(`{${body}}`));
  assert.equal(first['argument_records'], rest.length);
  return joinArguments(first, rest) ?? {};
}

void test('a long set of messages is put together again, and so is any text', () => {
  const set = `${Array.from({ length: 9000 }, (_, at) => 900_001 + at).join(',')},1:*`;
  const asked = ['mailbox', 'INBOX', 'uid', set];
  assert.deepEqual(joinedOf(admission(asked))['args'], asked);
  const wild = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 300 }),
    fc.integer({ min: 0, max: 30_000 }).map((count) => '\u0001'.repeat(count)),
    fc.integer({ min: 0, max: 9000 }).map((count) => '\u2028\ud83d\ude00"'.repeat(count)),
  );
  const secret = fc.string({ unit: fc.constantFrom('0', '9', 'a', 'f'), minLength: 64, maxLength: 64 });
  const digest = secret.map((hmac) => ({ hmac }));
  const args = fc.array(fc.oneof(wild, digest), { maxLength: 30 });
  fc.assert(
    fc.property(args, fc.array(wild, { maxLength: 5 }), (given, users) => {
      const whole = ['x'.repeat(7000), ...given];
      for (const body of encodeRecord(admission(whole, { users }))) {
        const { line } = sealLine(Number.MAX_SAFE_INTEGER, body, 'f'.repeat(64));
        assert.ok(Buffer.byteLength(line) <= lineBytesMax, String(Buffer.byteLength(line)));
      }
      const joined = joinedOf(admission(whole, { users }));
      assert.deepEqual([joined['args'], joined['users']], [whole, users]);
    }),
    { numRuns: 60 * rounds },
  );
});

void test('a key of an HTTP listener is found before a value is split or cut, wherever that would be', () => {
  const secret = 'dvg_AbCdEfGh_0123456789abcdefghijklmnopqrstuv';
  for (let before = 0; before < 9000; before += 13) {
    for (const effect of ['destroy', 'read']) {
      const word = `${'y'.repeat(before)}${secret}${'z'.repeat(9000 - before)}`;
      const text = encodeRecord(admission([word], { effect })).join('');
      assert.doesNotMatch(text, /0123456789a|ijklmnopqrstuv/);
    }
  }
});

void test('the records of every line within limits.line fit into half of the ring', () => {
  // Each is the worst of its kind: bytes of the line for bytes in the ring.
  const lineBytes = 64 * 1024;
  const digests = Array.from({ length: 128 }, (_, at) => ({ hmac: at.toString(16).padStart(64, '0') }));
  const rest = { hmac: 'f'.repeat(64) };
  const worst: Readonly<Record<string, readonly RecordedArgument[]>> = {
    'control characters': ['\u0001'.repeat(lineBytes)],
    'words of one character': Array.from({ length: lineBytes / 2 }, () => '\u0001'),
    'empty words': Array.from({ length: lineBytes }, () => ''),
    'secret words': [...digests, ...Array.from({ length: lineBytes / 2 - 128 }, () => rest)],
    quotes: ['"'.repeat(lineBytes)],
    'long names': Array.from({ length: 60 }, () => '\u0001'.repeat(lineBytes / 60)),
  };
  let most = 0;
  for (const [what, args] of Object.entries(worst)) {
    const users = what === 'long names' ? args.filter((one) => typeof one === 'string') : [];
    const bodies = encodeRecord(admission(args, { users }));
    const bytes = bodies.reduce((sum, body) => sum + Buffer.byteLength(body) + 40, 0);
    assert.ok(bodies.length > 1 && bytes <= recordedBytesMax(lineBytes), `${what}: ${bytes}`);
    most = Math.max(most, bytes);
  }
  // And no more room is asked for than some line nearly takes.
  assert.ok(most > 0.7 * recordedBytesMax(lineBytes), String(most));
});
