// Goal: a record becomes the line that it was made of, or says why it cannot.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDigest } from '../../../src/doveadm/meaning/canonical.js';
import { RecordedAssessor, recordedLine } from '../../../src/evidence/review/recorded.js';
import { Sightings, understand } from '../../../src/evidence/review/sightings.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import type { RecordedLine } from '../../../src/rules/proposals/seen-line.js';
import { settingsOf, sound } from '../../rules/config/sound.js';
import { record, recordedMs, type Sent } from './recording.js';

const settings = settingsOf(sound.replace('[quota get]', '[quota get]\n    mode: observe'));

function recordedRow(sent: Partial<Sent> & { words: readonly string[] }): ExchangeRow {
  return record(settings, 'support', { user: 'bob@example.com', ...sent });
}

function lineOf(given: ExchangeRow): RecordedLine {
  const line = recordedLine(given);
  return line?.kind === 'line' ? line : assert.fail(JSON.stringify(line));
}

function change(fields: Readonly<Record<string, unknown>>): ExchangeRow {
  const before = recordedRow({ words: ['mailbox', 'list', '-s', 'INBOX'] });
  return { ...before, fields: { ...before.fields, ...fields } };
}

void test('words, user, series and who asked', () => {
  const line = lineOf(
    recordedRow({ words: ['mailbox', 'list', '-s', 'INBOX'], series: ['2.4'], reason: 'ticket 5' }),
  );
  assert.deepEqual(line, {
    kind: 'line',
    timeMs: recordedMs,
    listener: 'support',
    principal: 'carol@support',
    user: 'bob@example.com',
    touched: ['bob@example.com'],
    words: ['mailbox list', '-s', '--', 'INBOX'],
    series: ['2.4'],
    policy: 'support',
    decision: 'allow',
    rule: undefined,
    text: undefined,
    client: 4,
    backend: 'mail1',
    isObstructed: false,
    isProbe: false,
    origin: '-',
    reason: 'ticket 5',
    matches: undefined,
    done: 'served',
    isFailed: false,
    isGranted: false,
    isOpaque: false,
  });
  assert.deepEqual(lineOf(recordedRow({ words: ['quota', 'get'] })).series, ['2.3', '2.4']);
});

void test('a denial, and a refusal for want of a reason, are denials', () => {
  const denied = lineOf(recordedRow({ words: ['mailbox', 'list', '-A'] }));
  assert.equal(denied.decision, 'deny');
  assert.match(denied.text ?? '', /^no rule allows/);
  assert.equal(lineOf(recordedRow({ words: ['quota get'], outcome: 'denied' })).decision, 'deny');
  assert.equal(lineOf(recordedRow({ words: ['quota get'], outcome: 'limited' })).decision, 'allow');
});

void test('hidden words become words that are the same for the same secret', () => {
  const words = (secret: string): string[] => ['mailbox', 'cryptokey', 'password', '-n', secret, '-o', 'old'];
  const [one, same, other] = ['geheim', 'geheim', 'other'].map((secret) =>
    lineOf(recordedRow({ words: words(secret) })),
  );
  assert.equal(one?.isOpaque, true);
  assert.deepEqual(one?.words, same?.words);
  assert.notDeepEqual(one?.words, other?.words);
  assert.equal(one?.words.filter(isDigest).length, 2);
  // Facts about a login are read as such again.
  const user = lineOf(change({ command: 'user', args: ['-x', { hmac: 'ab'.repeat(32) }, '--', 'bob'] }));
  assert.deepEqual(user.words.slice(1), ['-x', 'service=hmac:abababababababab', '--', 'bob']);
  assert.deepEqual(user.words.map(isDigest), [false, false, true, false, false]);
  const search = lineOf(recordedRow({ words: ['search', 'mailbox', 'INBOX', 'subject', 'salary'] }));
  assert.deepEqual(
    search.words.map((word) => (isDigest(word) ? 'hidden' : word)),
    ['search', '--', 'mailbox', 'INBOX', 'subject', 'hidden'],
  );
});

void test('an option that is hidden with its name is not guessed at', () => {
  const hmac = { hmac: 'ab'.repeat(32) };
  const only = change({ command: 'fts tokenize', args: [hmac, '--', 'x'] });
  assert.deepEqual(recordedLine(only), { kind: 'unjudgeable', why: 'hidden' });
  assert.deepEqual(lineOf(change({ args: ['-s', '--', hmac] })).words.slice(1, 3), ['-s', '--']);
});

void test('a value that looks like an option, or like the end of options, stays a value', () => {
  const { words } = lineOf(recordedRow({ words: ['mailbox', 'list', '--', '--', '-s'] }));
  assert.deepEqual(words, ['mailbox list', '--', '--', '-s']);
});

void test('what cannot be judged says why', () => {
  const why = (fields: Readonly<Record<string, unknown>>): string | undefined => {
    const line = recordedLine(change(fields));
    return line?.kind === 'unjudgeable' ? line.why : line?.kind;
  };
  assert.equal(why({}), 'line');
  assert.equal(why({ time: 'yesterday' }), 'unknown-form');
  assert.equal(why({ decision: 'perhaps' }), 'unknown-form');
  assert.equal(why({ principal: 5 }), 'unknown-form');
  assert.equal(why({ series: '3.0' }), 'unknown-form');
  assert.equal(why({ command: 'mailbox burn' }), 'unknown-form');
  assert.equal(why({ args: undefined }), 'unreadable');
  assert.equal(why({ user: { cut: 'bo', bytes: 9000, sha256: '' } }), 'cut');
  assert.equal(why({ args: ['--', { cut: 'INB', bytes: 9000, sha256: '' }] }), 'cut');
  assert.equal(why({ args: ['--', { more: 7, bytes: 9000, sha256: '' }] }), 'cut');
  assert.equal(why({ for: '01J' }), undefined);
});

// Goal: lines of one kind are counted together, others of the listener apart, and what cannot be judged is counted by why.
const settingsOfSeen = settingsOf(
  sound
    .replace('  support: {', '  other: { unix: /run/o.sock, policy: support }\n  support: {')
    .replace('[quota get]', '[quota get]\n    mode: observe\n    deny: [mailbox delete]'),
);
const bob = 'bob@example.com';

void test('the same words for the same user, however they were spelled, are one kind', () => {
  const sightings = new Sightings({ listener: 'support' });
  const send = (user: string, words: string[], atMs: number, principal = 'carol@support'): void =>
    sightings.take(record(settingsOfSeen, 'support', { user, words, atMs, principal }));
  send(bob, ['mailbox list', 'INBOX', '-s'], recordedMs + 7);
  send('BOB@example.com', ['mailbox', 'list', '--subscriptions', 'INBOX'], recordedMs, 'dave@support');
  send('eve@example.com', ['mailbox', 'list', '-s', 'INBOX'], recordedMs);
  send(bob, ['mailbox', 'list', 'INBOX'], recordedMs);
  send(bob, ['nonsense'], recordedMs);
  sightings.take(record(settingsOfSeen, 'other', { user: bob, words: ['quota get'] }));
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
  const policy = settingsOfSeen.policies.get('support') ?? assert.fail();
  const codeOf = (words: string[]): string | undefined => {
    const sightings = new Sightings({ listener: 'support' });
    sightings.take(record(settingsOfSeen, 'support', { user: bob, words }));
    const [seen] = sightings.lines;
    const understood = understand(new RecordedAssessor(settingsOfSeen), policy, seen ?? assert.fail());
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
  const row = record(settingsOfSeen, 'support', { user: bob, words: ['mailbox list', 'A'] });
  sightings.take({ ...row, fields: { ...row.fields, args: ['--unknown', '--', 'A'] } });
  const policy = settingsOfSeen.policies.get('support') ?? assert.fail();
  assert.equal(
    understand(new RecordedAssessor(settingsOfSeen), policy, sightings.lines[0] ?? assert.fail()),
    undefined,
  );
});

test('kinds of lines are kept up to a limit, and then it says so', () => {
  const made = record(settingsOf(sound), 'support', { user: 'bob@example.com', words: ['quota', 'get'] });
  const rowOf = (at: number) => ({ ...made, fields: { ...made.fields, user: `user${at}@example.com` } });
  for (const [sightings, most] of [
    [new Sightings({}), 200_000],
    [new Sightings({}, 5000), 5000],
  ] as const) {
    for (let at = 0; at < most; at += 1) sightings.take(rowOf(at));
    assert.deepEqual([sightings.lines.length, sightings.isOverfull], [most, false]);
    sightings.take(rowOf(most));
    assert.deepEqual([sightings.lines.length, sightings.isOverfull], [most, true]);
  }
});

test('principals of a line are kept up to a limit', () => {
  const made = record(settingsOf(sound), 'support', { user: 'bob@example.com', words: ['quota', 'get'] });
  const sightings = new Sightings({});
  const count = 100 + 5;
  for (let at = 0; at < count; at += 1)
    sightings.take({ ...made, fields: { ...made.fields, principal: `p${at}@support` } });
  const [seen] = sightings.lines;
  assert.deepEqual([seen?.count, seen?.principals.size], [count, 100]);
});
