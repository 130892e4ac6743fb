// Goal: lines of one kind are counted together, others of the listener apart, and what cannot be judged is counted by why.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { RecordedAssessor, Sightings, understand } from '../../../src/domain/review/recorded.js';
import { settingsOf, sound } from '../config/sound.js';
import { record, recordedMs } from './recording.js';

const settings = settingsOf(
  sound
    .replace('  support: {', '  other: { unix: /run/o.sock, policy: support }\n  support: {')
    .replace('[quota get]', '[quota get]\n    mode: observe\n    deny: [mailbox delete]'),
);
const bob = 'bob@example.com';

void test('the same words for the same user, however they were spelled, are one kind', () => {
  const sightings = new Sightings({ listener: 'support' });
  const send = (user: string, words: string[], atMs: number, principal = 'carol@support'): void =>
    sightings.take(record(settings, 'support', { user, words, atMs, principal }));
  send(bob, ['mailbox list', 'INBOX', '-s'], recordedMs + 7);
  send('BOB@example.com', ['mailbox', 'list', '--subscriptions', 'INBOX'], recordedMs, 'dave@support');
  send('eve@example.com', ['mailbox', 'list', '-s', 'INBOX'], recordedMs);
  send(bob, ['mailbox', 'list', 'INBOX'], recordedMs);
  send(bob, ['nonsense'], recordedMs);
  sightings.take(record(settings, 'other', { user: bob, words: ['quota get'] }));
  assert.deepEqual(
    sightings.lines.map(({ line, count }) => [line.user, line.words.join(' '), count]),
    [
      [bob, 'mailbox list -s -- INBOX', 2],
      ['eve@example.com', 'mailbox list -s -- INBOX', 1],
      [bob, 'mailbox list -- INBOX', 1],
    ],
  );
  const [first] = sightings.lines;
  assert.deepEqual([first?.firstMs, first?.lastMs], [recordedMs, recordedMs + 7]);
  assert.deepEqual([...(first?.principals ?? [])], ['carol@support', 'dave@support']);
  assert.deepEqual([...sightings.passedOver], [['unreadable', 1]]);
  assert.equal(sightings.isOverfull, false);
});

void test('a line is understood as its server would, with what enforce says of it today', () => {
  const policy = settings.policies.get('support') ?? assert.fail();
  const codeOf = (words: string[]): string | undefined => {
    const sightings = new Sightings({ listener: 'support' });
    sightings.take(record(settings, 'support', { user: bob, words }));
    const [seen] = sightings.lines;
    const understood = understand(new RecordedAssessor(settings), policy, seen ?? assert.fail());
    assert.deepEqual(
      understood?.attempts.map(({ series }) => series),
      ['2.3', '2.4'],
    );
    return understood?.decision.code;
  };
  assert.equal(codeOf(['quota get']), 'allowed');
  assert.equal(codeOf(['mailbox list']), 'no-rule');
  assert.equal(codeOf(['mailbox', 'delete', 'A']), 'deny-rule');
});

void test('a line that this version cannot read any more is none', () => {
  const sightings = new Sightings({ listener: 'support' });
  const row = record(settings, 'support', { user: bob, words: ['mailbox list', 'A'] });
  sightings.take({ ...row, fields: { ...row.fields, args: ['--unknown', '--', 'A'] } });
  const policy = settings.policies.get('support') ?? assert.fail();
  assert.equal(
    understand(new RecordedAssessor(settings), policy, sightings.lines[0] ?? assert.fail()),
    undefined,
  );
});

// bounds.reviewedLines, bounds.reviewKinds
test('kinds of lines are kept up to a limit, and then it says so', () => {
  const made = record(settingsOf(sound), 'support', { user: 'bob@example.com', words: ['quota', 'get'] });
  const rowOf = (at: number) => ({ ...made, fields: { ...made.fields, user: `user${at}@example.com` } });
  for (const [sightings, most] of [
    [new Sightings({}), bounds.reviewedLines],
    [new Sightings({}, bounds.reviewKinds), bounds.reviewKinds],
  ] as const) {
    for (let at = 0; at < most; at += 1) sightings.take(rowOf(at));
    assert.deepEqual([sightings.lines.length, sightings.isOverfull], [most, false]);
    sightings.take(rowOf(most));
    assert.deepEqual([sightings.lines.length, sightings.isOverfull], [most, true]);
  }
});

// bounds.reviewedPrincipals
test('principals of a line are kept up to a limit', () => {
  const made = record(settingsOf(sound), 'support', { user: 'bob@example.com', words: ['quota', 'get'] });
  const sightings = new Sightings({});
  const count = bounds.reviewedPrincipals + 5;
  for (let at = 0; at < count; at += 1)
    sightings.take({ ...made, fields: { ...made.fields, principal: `p${at}@support` } });
  const [seen] = sightings.lines;
  assert.deepEqual([seen?.count, seen?.principals.size], [count, bounds.reviewedPrincipals]);
});
