// Goal: past records are judged by other policies as of their own time, and only what would change is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import type { Settings } from '../../../src/domain/config/settings.js';
import { createReplay, type ReplayResult } from '../../../src/domain/review/replay.js';
import { settingsOf, sound } from '../config/sound.js';
import { record, recordedMs, type Sent } from './recording.js';

const withRules = (rules: string): Settings => settingsOf(sound.replace('[quota get]', rules));
const before = withRules('[quota get, mailbox list, search]');
const work: readonly Sent[] = [
  { user: 'bob@example.com', words: ['quota', 'get'] },
  { user: 'eve@example.com', words: ['quota get'], atMs: recordedMs + 5000 },
  { user: 'bob@example.com', words: ['mailbox', 'list', 'INBOX'] },
  { user: 'bob@example.com', words: ['sieve', 'list'] },
  { user: 'bob@example.com', words: ['nonsense'] },
];

function replayed(settings: Settings, sent: readonly Sent[] = work): ReplayResult {
  const replay = createReplay(settings);
  for (const each of sent) replay.take(record(before, 'support', each));
  return replay.finish();
}

void test('the same policies change nothing; what nobody could read is counted apart', () => {
  const result = replayed(before);
  assert.equal(result.judged, 4);
  assert.deepEqual(result.changes, []);
  assert.deepEqual([...result.notJudged], [['unreadable', 1]]);
});

void test('changes in both directions, each kind once, with how often and for whom', () => {
  const result = replayed(withRules('[mailbox list, sieve list]'));
  assert.deepEqual([result.allowToDeny, result.denyToAllow], [2, 1]);
  const [quota, sieve] = result.changes;
  assert.deepEqual(
    [quota?.from, quota?.to, quota?.words, quota?.count, quota?.lastMs, quota?.reason],
    ['allow', 'deny', ['quota get', '--'], 2, recordedMs + 5000, 'no rule allows "quota get"'],
  );
  assert.deepEqual([...(quota?.users ?? [])], ['bob@example.com', 'eve@example.com']);
  assert.match(quota?.before ?? '', /d\.yaml:11$/);
  assert.deepEqual([sieve?.from, sieve?.to, sieve?.rule?.line], ['deny', 'allow', 11]);
  assert.equal(sieve?.before, 'no rule allows "sieve list"');
});

void test('the nearest rule is named, and words that are hidden are said to be', () => {
  const narrow = withRules(
    '[quota get, mailbox list, { command: search, where: { query: { mailbox: [Archive] } } }]',
  );
  const search: Sent = { user: 'bob@example.com', words: ['search', 'mailbox', 'INBOX', 'seen'] };
  const [change] = replayed(narrow, [search]).changes;
  assert.equal(change?.rule?.line, 11);
  assert.equal(change?.isOpaque, false);
  const wide = withRules('[{ command: search, content: true }]');
  const hidden: Sent = { user: 'bob@example.com', words: ['search', 'mailbox', 'INBOX', 'text', 'x'] };
  const told = replayed(wide, [hidden]);
  assert.deepEqual([told.opaque, told.changes[0]?.isOpaque, told.changes[0]?.to], [1, true, 'allow']);
});

void test('a record is judged as of its time, and for the series that it was judged for', () => {
  const expiring = withRules('[{ command: quota get, expires: 2026-11-20T12:00:02Z }, mailbox list]');
  const result = replayed(expiring);
  assert.deepEqual([result.allowToDeny, result.changes[0]?.count], [1, 1]);
  const check: Sent = { user: 'bob@example.com', words: ['fts flatcurve check', 'INBOX'], series: ['2.4'] };
  assert.equal(replayed(withRules('[fts flatcurve check]'), [check]).denyToAllow, 1);
});

void test('a denial that policy would lift is a widening, also where the command could not be carried out', () => {
  const users = sound.replace('*@example.com', '*');
  const after = settingsOf(users.replace('[quota get]', '[{ command: quota get, all_users: true }]'));
  const all: Sent = { user: '', words: ['quota', 'get', '-A'] };
  assert.equal(record(before, 'support', all).fields['series'], '2.3 2.4');
  const result = replayed(after, [all]);
  assert.deepEqual([result.denyToAllow, result.toObstacle], [1, 0]);
  const [change] = result.changes;
  assert.deepEqual([change?.from, change?.to], ['deny', 'allow']);
  assert.match(change?.reason ?? '', /Dovecot 2\.3 has no command for all users/);
});

void test('a reason that is demanded now must have been said then', () => {
  const demanding = withRules('[{ command: quota get, reason: required }, mailbox list]');
  const said = { ...(work[0] ?? assert.fail()), reason: 'ticket 5' };
  const [change] = replayed(demanding).changes;
  assert.equal(change?.reason, 'the client must say why, and did not');
  assert.deepEqual(replayed(demanding, [said]).changes, []);
});

void test('what an old client meant by -A is recorded as what it is, so that a client of today judges it the same', () => {
  const words = ['mailbox', 'list', '-A', '-u', 'b*@example.com', 'INBOX'];
  const old: Sent = { user: 'bob@example.com', words, clientMinor: 2 };
  const { fields } = record(before, 'support', old);
  assert.deepEqual([fields['decision'], fields['args']], ['allow', ['--', 'INBOX']]);
  assert.deepEqual(replayed(before, [old]).changes, []);
  // The same words of a client of today are all users, and are recorded with -A.
  const { fields: today } = record(before, 'support', { ...old, clientMinor: 4 });
  assert.deepEqual([today['decision'], today['args']], ['deny', ['-A', '--', 'INBOX']]);
  assert.deepEqual(replayed(before, [{ ...old, clientMinor: 4 }]).changes, []);
});

void test('records of a listener that is gone are not judged; every judgement can be watched', () => {
  const other = settingsOf(sound.replace('  support: { unix', '  other: { unix'));
  assert.deepEqual(replayed(other).notJudged.get('no-listener'), 4);
  const seen: string[] = [];
  const replay = createReplay(before, ({ readings }) => {
    seen.push(
      readings()
        .map(({ series }) => series)
        .join(' '),
    );
  });
  replay.take(record(before, 'support', work[0] ?? assert.fail()));
  assert.deepEqual(seen, ['2.3 2.4']);
});

// bounds.replayChanges
void test('kinds of changes are kept up to a limit, and the others are counted', () => {
  const sent = Array.from({ length: bounds.replayChanges + 3 }, (_, at) => ({
    user: 'bob@example.com',
    words: ['mailbox', 'list', `m${at}`],
  }));
  const { changes, untold } = replayed(withRules('[quota get]'), sent);
  assert.deepEqual([changes.length, untold], [bounds.replayChanges, 3]);
});

// bounds.replayUsers
void test('users of a change are kept up to a limit', () => {
  const sent = Array.from({ length: bounds.replayUsers + 3 }, (_, at) => ({
    user: `user${at}@example.com`,
    words: ['quota', 'get'],
  }));
  const [change] = replayed(withRules('[mailbox list]'), sent).changes;
  assert.deepEqual([change?.users.size, change?.count], [bounds.replayUsers, bounds.replayUsers + 3]);
});
