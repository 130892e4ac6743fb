// Goal: the first sentence of a report says what is proved and no more: each thing that speaks against it is said, and decides.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AskedTime,
  deletionSentence,
  formatPeriod,
  judgeCompleteness,
  reportSentences,
} from '../../../src/evidence/report/completeness.js';
import { createTouchCounter } from '../../../src/evidence/report/touch.js';
import type { Verdict } from '../../../src/evidence/trail/verify.js';
import { key, makeTrail, started, verify } from '../trail/paper-trail.js';

/** The paper trail is of 20 November, 08:00:58 to 08:03:05, and signed to its end. */
const whole = verify(makeTrail());
const fromMs = started + 60_000;
const asked = { fromMs, toMs: started + 185_000, nowMs: started + 86_400_000 };
const vouching = { isChecked: true, whose: "this host's own key", pathOf: (file: string) => `/j/${file}` };

function codes(verdict: Verdict, more: Partial<AskedTime> = {}, isChecked = true): string {
  const judged = judgeCompleteness(verdict, { ...asked, ...more }, { ...vouching, isChecked });
  const told = judged.doubts.map(({ code, isSerious }) => `${code}${isSerious ? '!' : ''}`);
  return [judged.isComplete, ...told].join(' ');
}

function changed(): Verdict {
  const trail = makeTrail();
  const lines = trail.segments[1]?.lines ?? [];
  lines[3] = (lines[3] ?? '').replace('alice', 'alicf');
  return verify(trail);
}

const retired = { by: 'age', segments: 2, until: '2026-11-20T08:00:58.000Z' } as const;
const early = { fromMs: fromMs - 86_400_000 };

function withStep(from: string, to: string, isAtStart = false): Verdict {
  const at = (time: string): string => `2026-11-20T${time}.000Z`;
  return { ...whole, steps: [{ from: at(from), to: at(to), seq: 9, isAtStart }] };
}

const signedUntil = (signedSeq: number, time: string): Verdict => ({
  ...whole,
  signedSeq,
  signedTime: `2026-11-20T${time}.000Z`,
});
const forgetting = (time: string): Verdict => ({
  ...whole,
  forgotten: [{ file: 'f', line: 1, seq: 9, time: `2026-11-20T${time}.000Z`, text: 't' }],
});
const unfinished = { toMs: started + 9e7, nowMs: started + 190_000 };
const cases: readonly [string, string, string][] = [
  ['all of it', codes(whole), 'true'],
  ['as far as it goes', codes(whole, { fromMs: undefined, toMs: undefined }), 'true'],
  ['a fault', codes(changed()).split(' ').slice(0, 2).join(' '), 'false fault!'],
  ['no key', codes(whole, {}, false), 'false unsigned!'],
  ['from before the journal', codes(whole, early), 'false begins-later!'],
  ['from before what retention left', codes({ ...whole, retired: [retired] }, early), 'false retired!'],
  ['retired, and nothing of that time', codes({ ...whole, retired: [retired] }), 'true'],
  ['to long after its end', codes(whole, { toMs: started + 900_000 }), 'false ends-earlier!'],
  ['to the end of a day that is not over', codes(whole, unfinished), 'true'],
  ['after its end', codes(whole, { fromMs: started + 600_000, toMs: undefined }), 'false ends-earlier!'],
  [
    'of tomorrow',
    codes(whole, { ...unfinished, fromMs: started + 9e7, toMs: started + 9.5e7 }),
    'false ends-earlier!',
  ],
  ['some seconds without a signature', codes(signedUntil(27, '08:03:00')), 'true unsigned-tail'],
  ['some minutes without a signature', codes(signedUntil(11, '07:56:00')), 'false unsigned-tail!'],
  [
    'signed up to the end of the time, and not further',
    codes(signedUntil(20, '08:02:05'), { toMs: started + 120_000 }),
    'true',
  ],
  ['memory that was lost in this time', codes(forgetting('08:02:00')), 'false lost-memory!'],
  ['memory that was lost before', codes(forgetting('08:00:00')), 'true'],
  ['a clock that was set back in this time', codes(withStep('08:02:30', '08:01:30')), 'false clock!'],
  ['a clock that was set back over this time', codes(withStep('09:00:00', '07:00:00')), 'false clock!'],
  ['a clock that was years behind until then', codes(withStep('00:00:00', '08:01:30')), 'false clock!'],
  ['a clock that was set before', codes(withStep('07:50:00', '07:55:00')), 'true'],
  ['a clock that was set afterwards', codes(withStep('08:10:00', '08:04:00')), 'true'],
  ['a long stop', codes(withStep('08:01:10', '08:02:30', true)), 'true clock'],
  ['set back while it was stopped', codes(withStep('08:02:30', '08:01:10', true)), 'false clock!'],
  ['no record', codes({ ...whole, firstTime: '', lastTime: '', signedTime: undefined }), 'false empty!'],
  ['of a later release', codes({ ...whole, isNewer: true }), 'false newer!'],
];

for (const [name, told, expected] of cases) void test(name, () => assert.equal(told, expected));

const counts = { ...createTouchCounter().counts(), commands: 14, requesters: 3, showed: 2 };

void test('the sentence of a time that is complete', () => {
  const [first, ...rest] = reportSentences(judgeCompleteness(whole, asked, vouching), counts, true);
  assert.equal(
    first,
    `complete from 2026-11-20 08:01:00 to 2026-11-20 08:03:05 UTC, signed by ${key.key} (this host's own key), ` +
      'nothing missing, 3 requesters, 14 commands, 2 of them showed content',
  );
  assert.deepEqual(rest, []);
});

void test('commands that are later than the last signature are in the first sentence', () => {
  const [first] = reportSentences(
    judgeCompleteness(whole, asked, vouching),
    { ...counts, unsigned: 3, searched: 1, commands: 1234 },
    true,
  );
  assert.match(
    first ?? '',
    /this host's own key\) until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, 3 later commands not signed yet, nothing missing, 3 requesters, 1,234 commands, 2 of them showed content, 1 searched in content$/,
  );
});

void test('a note of records that are not signed yet says that none of them is of this mailbox, where that is so', () => {
  const judged = judgeCompleteness(signedUntil(27, '08:03:00'), asked, vouching);
  const [, note] = reportSentences(judged, counts, true);
  assert.match(
    note ?? '',
    /^note: signed up to .* not signed yet; none of them is of this mailbox in this time$/,
  );
  const [, other] = reportSentences(judged, { ...counts, unsigned: 1 }, true);
  assert.match(other ?? '', / not signed yet$/);
});

void test('the sentences of one that is not, and notes', () => {
  const few = { requesters: 1, commands: 1, showed: 0, maybeShowed: 1, notNamed: 1, open: 1 };
  const found = { ...counts, ...few, stopped: 5, counted: 2, denied: 3 };
  const judged = judgeCompleteness(whole, { ...asked, toMs: started + 900_000 }, vouching);
  assert.deepEqual(reportSentences(judged, found, true), [
    'NOT proved complete from 2026-11-20 08:01:00 to 2026-11-20 08:15:00 UTC: one reason stands below; ' +
      'what was found: 1 requester, 1 command, none of them showed content, 1 may have shown content',
    'the last record is of 2026-11-20T08:03:05.000Z; nothing is known of the time after it',
    'note: 1 command may have touched it: for all users, or by a mask or a list that was cut',
    'note: 1 command without a recorded end: still running, or the outcome is unknown',
    'note: 5 more commands never reached a mail server (3 denied, 2 failed)',
    'note: dovegate itself counted mails 2 times, for a command or a request',
  ]);
});

/** Deleted, perhaps deleted, attempts that were denied, and that failed; whether the record is proved complete. */
const deletions: readonly [counts: string, isComplete: boolean, said: string][] = [
  ['0 2 2 0', true, '2 commands may have deleted something; 2 attempts were denied.'],
  ['2 0 0 0', true, '2 commands deleted what they named, as far as it was there.'],
  [
    '1 1 1 1',
    false,
    '1 command deleted what it named, as far as it was there; 1 command may have deleted something; 1 attempt was denied, 1 attempt failed.',
  ],
  ['0 0 0 0', true, 'No recorded command deleted anything.'],
  ['0 0 2 1', true, 'No recorded command deleted anything; 2 attempts were denied, 1 attempt failed.'],
  [
    '0 0 1 0',
    false,
    'No recorded command deleted anything; 1 attempt was denied. But the record is not proved complete.',
  ],
];
for (const [numbers, isComplete, expected] of deletions)
  void test(`was anything deleted? ${expected}`, () => {
    const [deleted = 0, maybeDeleted = 0, deleteDenied = 0, deleteFailed = 0] = numbers
      .split(' ')
      .map(Number);
    const found = { deleted, maybeDeleted, deleteDenied, deleteFailed };
    assert.equal(deletionSentence(found, isComplete), expected);
  });

void test('in a limited view the first sentence says whose view it is', () => {
  const say = (maybeDeleted: number): string =>
    deletionSentence({ deleted: 0, maybeDeleted, deleteDenied: 0, deleteFailed: 0 }, false, 'eve');
  assert.equal(
    say(0),
    'Of what eve may see, no recorded command deleted anything. But the record is not proved complete.',
  );
  assert.equal(say(1), 'Of what eve may see, 1 command may have deleted something.');
});

void test('a mailbox that nobody touched', () => {
  const none = createTouchCounter().counts();
  const [first = ''] = reportSentences(judgeCompleteness(whole, asked, vouching), none, true);
  assert.match(first, /nothing missing, no command touched this mailbox$/);
});

void test('whole days are said as days', () => {
  const days = ['2026-11-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z'] as const;
  assert.equal(formatPeriod(...days, true), '2026-11-01 to 2026-11-30');
  assert.equal(formatPeriod(...days, false), '2026-11-01 00:00:00 to 2026-12-01 00:00:00 UTC');
  assert.equal(formatPeriod('', '', false), 'no time at all');
});
