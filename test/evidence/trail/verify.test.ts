// What an intruder or a disk can do to a trail, and what verifying says about it: kind, file, line and seq, each in a table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVerifier, type Verdict } from '../../../src/evidence/trail/verify.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { createCheckpointVerifier } from '../../../src/journal/records/checkpoints.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { JournalRecord, OwnRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import {
  forge,
  key,
  makeTrail,
  nameOf,
  type PaperTrail,
  rehash,
  seal,
  started,
  verify,
} from './paper-trail.js';

/** Kind, segment, line and seq of every fault: `missing 2:4 14`. */
function told(trail: PaperTrail, more?: Parameters<typeof verify>[1]): readonly string[] {
  return verify(trail, more).faults.map(
    ({ kind, file, line, seq }) => `${kind} ${file.replace(/^0+(\d+)\.jsonl$/, '$1')}:${line} ${seq ?? '-'}`,
  );
}

/** The lines of the second segment: a checkpoint (seq 11), four exchanges (12 to 19), a checkpoint (20). */
function second(trail: PaperTrail): string[] {
  return trail.segments[1]?.lines ?? assert.fail();
}

void test('an untouched trail is whole, and its signature reaches to its last checkpoint', () => {
  const verdict = verify(makeTrail());
  assert.deepEqual(verdict.faults, []);
  assert.deepEqual(
    [verdict.records, verdict.firstSeq, verdict.lastSeq, verdict.signedSeq, verdict.openCount],
    [30, 1, 30, 30, 0],
  );
});

/** What is done to a trail, and to the lines of its second segment. */
type Tamper = (trail: PaperTrail, lines: string[]) => void;

/** Changes the text of line 4 of the second segment. */
function inLine4(from: string | RegExp, to: string): Tamper {
  return (_trail, lines) => lines.splice(3, 1, (lines[3] ?? '').replace(from, to));
}

/** A record of another user, with a right hash. */
function forged(line = ''): string {
  return forge(line, (record) => {
    record['user'] = 'mallory@example.com';
  });
}

const tampering: readonly (readonly [string, Tamper, ...told: string[]])[] = [
  ['a byte flipped in prev', inLine4(/"prev":"./, '"prev":"x'), 'changed 2:4 14'],
  ['a byte flipped in hash', inLine4(/"hash":"./, '"hash":"x'), 'changed 2:4 14'],
  ['a byte flipped in the form of the line', inLine4('{"seq"', '["seq"'), 'malformed 2:4 14'],
  [
    'a record changed and hashed again',
    (_, lines) => lines.splice(3, 1, forged(lines[3])),
    'unlinked 2:5 15',
  ],
  ['a record deleted', (_, lines) => lines.splice(3, 1), 'missing 2:4 14'],
  ['three records deleted', (_, lines) => lines.splice(3, 3), 'missing 2:4 14'],
  ['the first record of a segment deleted', (_, lines) => lines.shift(), 'missing 2:1 11'],
  ['the last record of a segment deleted', ({ segments }) => segments[0]?.lines.pop(), 'missing 2:1 10'],
  ['a forged record inserted', (_, lines) => lines.splice(3, 0, forged(lines[3])), 'inserted 2:5 14'],
  ['garbage inserted', (_, lines) => lines.splice(3, 0, '{"seq":14,"user":"mallory"}'), 'malformed 2:4 14'],
  ['two records swapped', (_, lines) => lines.splice(4, 0, ...lines.splice(3, 1)), 'reordered 2:4 14'],
  [
    'a record moved to another segment',
    ({ segments }, lines) => segments[2]?.lines.splice(4, 0, ...lines.splice(3, 1)),
    'reordered 2:4 14',
  ],
  ['a record duplicated', (_, lines) => lines.splice(3, 0, lines[3] ?? ''), 'duplicated 2:5 14'],
  [
    'an old record put in again elsewhere',
    (_, lines) => lines.splice(6, 0, lines[2] ?? ''),
    'duplicated 2:7 13',
  ],
  ['the last segment removed', ({ segments }) => segments.pop(), 'cut 2:10 21'],
  ['all but the last segment removed', ({ segments }) => segments.splice(0, 2), 'segment-missing 2:0 20'],
  ['the tail cut, with its checkpoint', ({ segments }) => segments[2]?.lines.splice(5), 'cut 3:5 26'],
  [
    'the end rewritten with a right chain, without a key',
    (trail, lines) => {
      inLine4('alice', 'mallory')(trail, lines);
      rehash(trail, 1, 3);
    },
    // A signature that was copied is not right any more for the record that it stands in.
    'bad-signature 2:10 20',
    'bad-signature 3:1 21',
    'bad-signature 3:10 30',
    'rewritten 3:10 30',
  ],
  [
    'the end rewritten, and signatures left out',
    (trail, lines) => {
      inLine4('alice', 'mallory')(trail, lines);
      for (const segment of trail.segments.slice(1))
        segment.lines = segment.lines.map((line) => line.replace(/"key":"[^"]*","signature":"[^"]*",/, ''));
      rehash(trail, 1, 0);
    },
    'untrusted 2:1 11',
    'rewritten 3:10 30',
  ],
];

for (const [what, tamper, ...expected] of tampering) {
  void test(`tampering: ${what}`, () => {
    const trail = makeTrail();
    tamper(trail, second(trail));
    assert.deepEqual(told(trail), expected);
  });
}

/** The last two segments of a trail, whose first one was removed, with a retire record made by `sign`, and a signed checkpoint. */
function removed(sign: (ledger: Ledger, retire: OwnRecord) => string, more: Partial<OwnRecord> = {}) {
  const trail = makeTrail();
  const ledger = new Ledger('dovegate test', key.secretPem, 'ab'.repeat(16));
  const lines = trail.segments[2]?.lines ?? [];
  const { seq, hash } = JSON.parse(lines.at(-1) ?? '');
  const names = { journal: 'ab'.repeat(16), stepsMs: 0, open: new Map(), oldestSeq: 1, timeMs: 0 };
  ledger.resume({ ...names, seq, hash });
  const { segment, segment_hash: end } = JSON.parse(second(trail)[0] ?? '');
  const place = { segment, segment_hash: end, oldest_seq: 11, action: 'age', until: formatTime(started) };
  lines.push(sign(ledger, { time: started + 600_000, event: 'retire', ...place }).trimEnd());
  lines.push(ledger.sealSigned({ ...ledger.checkpoint(started + 600_000), ...more }).trimEnd());
  trail.segments.shift();
  return trail;
}

void test('a retire record that nobody signed explains nothing, whatever signs later', () => {
  const trail = removed((ledger, retire) => ledger.seal(encodeBody(retire)));
  assert.deepEqual(told(trail), ['segment-missing 1:0 10', 'retire-untrusted 3:11 31']);
  assert.deepEqual(verify(trail).retired, [], 'nor is it told as an excuse');
  const [, unsigned] = told(trail, { trustedKeys: [] });
  assert.equal(unsigned, 'retire-untrusted 3:11 31', 'also without a key: the journal is signed');
});

void test('one of another key, of another place or of another journal explains nothing either', () => {
  const stranger = new Ledger('dovegate test', makeSignKey().secretPem, 'ab'.repeat(16));
  const byStranger = removed((ledger, retire) => {
    stranger.resume(ledger);
    const line = stranger.sealSigned(retire);
    ledger.resume(stranger);
    return line;
  });
  assert.deepEqual(told(byStranger), ['segment-missing 1:0 10', 'retire-untrusted 3:11 31']);
  // The signature of a true record, at another place: it covers seq and prev, and with them all of the journal before.
  const other = new Ledger('dovegate test', key.secretPem, 'cd'.repeat(16));
  const replayed = removed((ledger, retire) => {
    const { key: by, signature } = JSON.parse(other.sealSigned(retire));
    return ledger.seal(encodeBody({ ...retire, key: by, signature }));
  });
  assert.deepEqual(told(replayed), ['segment-missing 1:0 10', 'bad-signature 3:11 31']);
});

void test('the last signed checkpoint alone says what retention left', () => {
  const honest = removed((ledger) => ledger.seal(encodeBody({ time: started + 600_000, event: 'reload' })), {
    oldest_seq: 11,
  });
  assert.deepEqual(told(honest), []);
});

// Goal: a forged journal does not fill the memory of the program that checks it.

/** What is said of so many records. */
function verdictOf(count: number, recordOf: (at: number) => JournalRecord): Verdict {
  const ledger = new Ledger('dovegate test', undefined, 'ab');
  const lines: string[] = [];
  for (let at = 0; at < count; at += 1) seal(lines, ledger, recordOf(at));
  return verify({ segments: [{ name: nameOf(1), lines }], kept: [] }, { trustedKeys: [], isPart: true });
}

test('admissions without completion: so many are followed, and fewer are listed', () => {
  const admissionOf = (at: number): JournalRecord => ({ time: started, event: 'admission', id: `E${at}` });
  const { open, openCount, faultCount } = verdictOf(200_000 + 1_000, admissionOf);
  assert.deepEqual([open.length, openCount, faultCount], [20, 200_000, 0]);
});

test('keys that sign are listed up to a limit', () => {
  const verifier = createCheckpointVerifier([], [], () => undefined);
  for (let n = 0; n < 1000 + 1_000; n += 1) {
    const text = `{"seq":${n + 1},"key":"${'A'.repeat(43)}=","signature":"${'A'.repeat(86)}==","prev":"","hash":"${'0'.repeat(64)}"}`;
    verifier.judge(text, { key: `key${n}` }, { file: 'f', line: n, seq: n });
  }
  const { keys } = verifier.finish({ file: 'f', line: 1, seq: 1 }, 1);
  assert.equal(keys.length, 1000);
});

test('steps of the clock are kept up to a limit', () => {
  const step = { event: 'clock', step_ms: 60_000 } as const;
  const { steps } = verdictOf(10_000 + 10, (at) => ({ time: started + at * 60_000, ...step }));
  assert.equal(steps.length, 10_000);
});

void test('it does not matter where a receiver cut its files', () => {
  const lines = makeTrail().segments.flatMap((segment) => segment.lines);
  const kindsOf = (linesOfFile: number, isShipped: boolean): string[] => {
    const options = { trustedKeys: [key.key], kept: [], isPart: false, isShipped, faultsMax: 10 };
    const verifier = createVerifier(options);
    for (const [at, line] of lines.entries()) {
      if (at % linesOfFile === 0) verifier.beginSegment(`received.${at / linesOfFile}`);
      verifier.takeLine(Buffer.from(line), true);
    }
    return verifier.finish().faults.map(({ kind }) => kind);
  };
  for (let count = 1; count <= lines.length; count += 1)
    assert.deepEqual(kindsOf(count, true), [], `files of ${count} lines`);
  // Segment 2 begins with line 11: as the start of a file it would ask for a file of the name 00000001.jsonl.
  assert.equal(kindsOf(10, false)[0], 'segment-missing');
});
