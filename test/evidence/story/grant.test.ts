// The story of one grant and its sentences, from whole records and from those that are left. What must not happen: an approval that is
// said not to be there because its record was retired, a use that is counted although it came back, an end that is lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  approvedText,
  endText,
  GrantStory,
  grantSentences,
  usedText,
} from '../../../src/evidence/story/grant.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { AccessBook, carriedOf } from '../../../src/journal/records/access-book.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import {
  approved,
  approver,
  granted,
  grantRecords,
  over,
  owner,
  requested,
} from '../../kit/plain/access-records.js';

const start = Date.UTC(2026, 10, 26, 10);
const hour = 3_600_000;

const use = (time: number): AuditRecord => ({ time, event: 'admission', command: 'fetch', grant: 'G' });
const back = (time: number): AuditRecord => ({ time, event: 'completion', sent: false, grant: 'G' });

/** As read from lines: times are texts. */
function storyOf(records: readonly AuditRecord[]): GrantStory {
  const read = records.map((record) => ({ ...record, time: formatTime(record.time) }));
  const story = new GrantStory('G', read[0] ?? assert.fail());
  for (const record of read) story.follow(record, 'fetch');
  return story;
}

const said = (story: GrantStory): readonly string[] => [approvedText(story), usedText(story), endText(story)];
const dave = { principal: 'dave@leads' };
const twice = requested('G', start, { approvals: 2 });
const revokedBy = `revoked by ${approver}, without a reason`;

void test('every part of it, as the records say', () => {
  const given = [twice, approved('G', start + 1), approved('G', start + 2, dave), granted('G', start + 3)];
  const story = storyOf([...given, use(start + 4), over('revoked', 'G', start + 5)]);
  assert.deepEqual(said(story), [`approved by ${approver}, dave@leads`, '1 of 3: fetch', revokedBy]);
  assert.deepEqual([story.to, story.needed], [owner, 2]);
  assert.equal(story.command, 'fetch hdr.subject mailbox INBOX all');
  assert.deepEqual([story.firstUse, story.lastTime], [formatTime(start + 4), formatTime(start + 5)]);
});

void test('what was tried when it was over is in its story, and is no use', () => {
  const tried = { principal: owner, decision: 'deny', request: 'G' } as const;
  const records: readonly AuditRecord[] = [
    ...grantRecords('G', start, { uses: 1 }),
    use(start + 4),
    over('used-up', 'G', start + 5),
    { time: start + 9, event: 'admission', ...tried },
    { time: start + 9, event: 'completion', sent: false, request: 'G' },
  ];
  const story = storyOf(records);
  assert.deepEqual([story.used, story.tried], [1, 1]);
  const last = grantSentences(story).slice(-2);
  assert.deepEqual(last, ['used 1 of 3: fetch', 'tried once more when it was over, denied']);
});

void test('what was asked for stays in the story of a grant that gives less', () => {
  const records = grantRecords('G', start).with(2, granted('G', start, { duration_ms: 600_000, uses: 1 }));
  const given = `approved by ${approver}, for 10 min, 1 use (1 h, 3 uses were asked for)`;
  assert.equal(grantSentences(storyOf(records))[2], given);
});

void test('of a request that waits, how many of how many; of one without approval, its review', () => {
  assert.deepEqual(said(storyOf([twice])), ['approved by nobody, of 2 who must', '', 'waits']);
  const once = approvedText(storyOf([twice, approved('G', start + 1)]));
  assert.equal(once, `approved by ${approver}, of 2 who must`);
  assert.equal(approvedText(storyOf([requested('G', start)])), 'approved by nobody');
  const given = approvedText(storyOf(grantRecords('G', start, { by: approver })));
  assert.equal(given, `approved by ${approver}, who gave it without a request`);
  const broken = [requested('G', start, { approvals: 0 }), granted('G', start + 1)];
  assert.equal(approvedText(storyOf(broken)), 'without an approval (break-glass), not reviewed');
  const reviewed = [...broken, over('expired', 'G', start + hour), over('reviewed', 'G', start + hour + 1)];
  const byOne = `without an approval (break-glass), reviewed by ${approver}`;
  assert.deepEqual(said(storyOf(reviewed)), [byOne, 'never', 'expired: its time of 1 h is over']);
});

void test('an approval counts as it counted for the gate', () => {
  const late = [...grantRecords('G', start), approved('G', start + 9, { principal: 'eve@leads' })];
  assert.equal(approvedText(storyOf(late)), `approved by ${approver}`);
  const again = [twice, approved('G', start + 1), approved('G', start + 2, { ...dave, by: dave.principal })];
  assert.match(approvedText(storyOf(again)), /^approved by dave@leads, /);
  // Nobody it concerns, so it is no request.
  assert.equal(storyOf([requested('G', start, { users: [] }), approved('G', start + 1)]).needed, undefined);
});

void test('a use that came back is none, also after the end and without the request', () => {
  const lived = [...grantRecords('G', start), use(start + 5), use(start + 6), back(start + 7)];
  assert.equal(usedText(storyOf(lived)), '1 of 3: fetch');
  assert.equal(usedText(storyOf([...lived, over('revoked', 'G', start + 8), back(start + 9)])), 'never');
  assert.equal(usedText(storyOf([use(start), use(start), back(start + 1)])), '1: fetch');
  const [first, last] = [use(start), back(start)];
  assert.equal(storyOf([first, last]).used, 0);
});

void test('copies at the head of a segment say what they copy, and nothing twice', () => {
  const book = new AccessBook();
  for (const record of [...grantRecords('G', start), use(start + 5)]) book.follow(record);
  const copies = book.carried(start + hour / 2);
  const carried = storyOf([...copies, use(start + hour / 2 + 1)]);
  assert.deepEqual(said(carried).slice(0, 2), [`approved by ${approver}`, '2 of 3: fetch']);
  assert.equal(carried.requested.time, start);
  const whole = [...grantRecords('G', start), use(start + 5), ...copies];
  assert.deepEqual(usedText(storyOf(whole)), '1 of 3: fetch');
  assert.equal(storyOf(whole).lastTime, formatTime(start + 5));
  // A start copies what ended last with its end.
  const ended = book.follow(over('revoked', 'G', start + hour)) ?? assert.fail();
  const after = [...whole, over('revoked', 'G', start + hour), ...carriedOf(ended, start + 2 * hour)];
  assert.deepEqual(said(storyOf(after)), [`approved by ${approver}`, '1 of 3: fetch', revokedBy]);
  assert.equal(storyOf(after).end?.time, formatTime(start + hour));
});

void test('of a step nothing is kept but who did it, and when: a forged journal has thousands with long texts', () => {
  const long = 'x'.repeat(5_000);
  const step = { command: long, reason: long, text: long, users: [long], identities: [long] };
  const story = storyOf([
    requested('G', start, { identities: [long], approvals: 2 }),
    { ...approved('G', start + 1), ...step },
    { ...granted('G', start + 2), ...step },
    { ...over('reviewed', 'G', start + 3), ...step },
  ]);
  assert.deepEqual(story.entry?.approvals.length, 1);
  assert.ok(JSON.stringify(story.entry).length < 2_000);
});
