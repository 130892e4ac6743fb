// Goal: what a check found stands in sentences that a newcomer understands, that are true, and in which no word of a record is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findingsOf } from '../../../src/evidence/report/findings.js';
import type { TrailFault, TrailFaultKind, Verdict } from '../../../src/evidence/trail/verify.js';
import type { VerifyResult } from '../../../src/evidence/views/proof.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { key, makeTrail, type PaperTrail, rehash, verify } from '../trail/paper-trail.js';

const own = { trustedKeys: [], ownKey: key.key };

/** As the daemon checks it: with its own key, and none that a person has accepted. */
function found(change: (trail: PaperTrail) => void = () => undefined): VerifyResult {
  const trail = makeTrail();
  change(trail);
  return findingsOf(verify(trail, own));
}

function textsOf({ findings }: VerifyResult): string[] {
  return findings.map(({ kind, text }) => `${kind}: ${text}`);
}

void test('a whole journal', () => {
  const { isWhole, findings, fromSeq, toSeq, signedSeq, signedBy, faultCount, records } = found();
  assert.deepEqual([isWhole, findings, faultCount, fromSeq], [true, [], 0, 1]);
  assert.deepEqual([toSeq, signedSeq, records], [signedSeq, toSeq, toSeq]);
  assert.equal(signedBy, key.key);
});

void test('a record that was changed, one that was removed, a cut end, a file that is gone', () => {
  const cases: readonly [(lines: string[][], trail: PaperTrail) => void, RegExp][] = [
    [
      ([, second = []]) => (second[2] = second[2]?.replace('alice', 'mallo') ?? ''),
      /^fault: Record \d+ was changed after it was written \(00000002\.jsonl, line 3\): its text does not fit its hash\.$/,
    ],
    [
      ([, second]) => second?.splice(2, 2),
      /^fault: Records are missing, from \d+ on \(00000002\.jsonl, line 3\)/,
    ],
    [([, , third]) => third?.splice(4), /^fault: The end is missing: a checkpoint names a later record/],
    [
      (_, { segments }) => segments.splice(1, 1),
      /^fault: A file of the journal is missing, and no signed record/,
    ],
    [
      (_, { segments }) => segments.splice(0, 1),
      /^fault: A file of the journal is missing.*\(00000001\.jsonl\)\.$/,
    ],
    [
      ([first]) => first?.splice(3, 0, 'alice@example.com was here'),
      /^fault: A line is not a record \(00000001\.jsonl, line 4\)/,
    ],
  ];
  for (const [change, expected] of cases) {
    const result = found((trail) => {
      change(
        trail.segments.map(({ lines }) => lines),
        trail,
      );
    });
    assert.equal(result.isWhole, false);
    assert.match(textsOf(result)[0] ?? '', expected);
    assert.doesNotMatch(textsOf(result).join('\n'), /alice|mallo/);
  }
});

void test('a journal that somebody else sealed again, with his own key or with none', () => {
  const other = findingsOf(verify(makeTrail(makeSignKey().secretPem), own));
  assert.equal(other.isWhole, false);
  assert.match(
    textsOf(other).join('\n'),
    /fault: The end of the journal is not signed by the key of this daemon/,
  );
  assert.equal(other.signedBy, undefined);
  const unsigned = found((trail) => {
    const lines = trail.segments[0]?.lines ?? [];
    lines[3] = lines[3]?.replace('alice', 'mallo') ?? '';
    rehash(trail, 0, 3);
  });
  assert.equal(unsigned.isWhole, false);
  assert.match(textsOf(unsigned).join('\n'), /A signature is not right/);
});

const hostile = '<img src=x onerror=alert(1)> alice@example.com \u202e\u001b[2J';
const whole: Verdict = {
  ...verify(makeTrail()),
  firstSeq: 3,
  lastSeq: 9,
  signedSeq: 9,
  signedTime: '2026-11-20T09:00:00.000Z',
};

const allKinds: Readonly<Record<TrailFaultKind, true>> = {
  changed: true,
  malformed: true,
  missing: true,
  reordered: true,
  duplicated: true,
  inserted: true,
  unlinked: true,
  arguments: true,
  'segment-missing': true,
  'clock-back': true,
  foreign: true,
  'journal-appended': true,
  'retire-untrusted': true,
  'bad-signature': true,
  untrusted: true,
  rewritten: true,
  cut: true,
  'key-change': true,
};

void test('no text of a record, of a forged file or of a forged key is in any sentence', () => {
  const kinds = Object.keys(allKinds).filter((kind): kind is TrailFaultKind => kind in allKinds);
  const faults = kinds.flatMap((kind): TrailFault[] =>
    [hostile, `the daemon found then: ${hostile}`].flatMap((text) => [
      { kind, file: hostile, line: 3, seq: 7, text },
      { kind, file: hostile, line: 0, seq: undefined, text },
    ]),
  );
  for (const each of faults) {
    const [first = '', ...rest] = textsOf(findingsOf({ ...whole, faults: [each], faultCount: 1 }));
    assert.doesNotMatch(first, /alice|<|\u202e|undefined/, each.kind);
    assert.match(first, /^fault: [A-Z][^]{20,}\.$/, each.kind);
    assert.deepEqual(rest, []);
  }
  const notes = findingsOf({
    ...whole,
    journal: hostile,
    signedTime: hostile,
    signedBy: hostile,
    firstTime: hostile,
    keys: [hostile, `${hostile}2`],
    retired: [{ by: 'age', segments: 2, until: hostile }],
    open: [{ id: hostile, seq: 1, file: hostile, line: 1 }],
    openCount: 1,
    forgotten: [{ file: hostile, line: 1, seq: 4, time: hostile, text: hostile }],
    isTorn: true,
    isNewer: true,
  });
  assert.doesNotMatch(JSON.stringify(notes), /alice|<|\u202e/);
  assert.equal(notes.isWhole, true);
});

void test('what retention removed is no gap, and is explained; so are a loss of memory, a clock and the newest records', () => {
  const at = (time: string): string => `2026-11-20T${time}:00.000Z`;
  const text =
    'the memory of the run before was gone (3 places), so the last reads and outcomes before this start may be missing';
  const told = findingsOf({
    ...whole,
    lastSeq: 12,
    retired: [
      { by: 'age', segments: 1, until: '2026-10-20T08:00:00.000Z' },
      { by: 'size', segments: 3, until: '2026-10-22T08:00:00.000Z' },
    ],
    openCount: 2,
    steps: [
      { from: at('08:10'), to: at('08:20'), seq: 5, isAtStart: true },
      { from: at('08:30'), to: at('08:20'), seq: 6, isAtStart: false },
    ],
    forgotten: [{ file: '00000001.jsonl', line: 1, seq: 4, time: at('08:20'), text }],
  });
  assert.deepEqual(textsOf(told), [
    'note: 1 file of old records was retired, all before 2026-10-20T08:00:00.000Z (they were older than audit.keep). Records of the journal say so, which is no gap.',
    'note: 3 files of old records were retired, all before 2026-10-22T08:00:00.000Z (audit.max_size was reached). Records of the journal say so, which is no gap.',
    'note: So the oldest record is 3. What was before it cannot be read here any more.',
    'note: 3 newer records are not signed yet, and chained to the last signature, of 2026-11-20T09:00:00.000Z, which is up to record 9.',
    'note: 2 commands have no recorded end: running now, or how it ended is not known.',
    'note: Before the start at 2026-11-20T08:20:00.000Z (record 4) the memory of the run before was gone (3 places), so the last reads and outcomes before this start may be missing. Nobody need have done anything wrong.',
    'note: dovegate did not run from 2026-11-20T08:10:00.000Z to 2026-11-20T08:20:00.000Z, or the clock was set ahead meanwhile.',
    'note: The clock was set from 2026-11-20T08:30:00.000Z to 2026-11-20T08:20:00.000Z (record 6), so times near it may be wrong.',
  ]);
});

void test('many faults are counted, and an empty journal is not whole', () => {
  const faults = Array.from({ length: 100 }, (_, seq) => ({
    kind: 'changed' as const,
    file: '',
    line: 1,
    seq,
    text: '',
  }));
  const { findings, isWhole, faultCount } = findingsOf({ ...whole, faults, faultCount: 5000 });
  assert.deepEqual([findings.length, isWhole, faultCount], [21, false, 5000]);
  assert.match(findings[20]?.text ?? '', /^And 4980 more\./);
  const none = { records: 0, firstSeq: undefined, lastSeq: undefined, signedSeq: undefined };
  const empty = findingsOf({ ...whole, ...none });
  assert.deepEqual([empty.isWhole, empty.findings[0]?.text], [false, 'There is no record.']);
});
