// Goal: a record becomes the line that it was made of, or says why it cannot.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDigest } from '../../../src/domain/meaning/canonical.js';
import { type RecordedLine, recordedLine } from '../../../src/domain/review/recorded.js';
import type { ExchangeRow } from '../../../src/domain/trail/search.js';
import { settingsOf, sound } from '../config/sound.js';
import { record, recordedMs, type Sent } from './recording.js';

const settings = settingsOf(sound.replace('[quota get]', '[quota get]\n    mode: observe'));

function row(sent: Partial<Sent> & { words: readonly string[] }): ExchangeRow {
  return record(settings, 'support', { user: 'bob@example.com', ...sent });
}

function lineOf(given: ExchangeRow): RecordedLine {
  const line = recordedLine(given);
  return line?.kind === 'line' ? line : assert.fail(JSON.stringify(line));
}

function change(fields: Readonly<Record<string, unknown>>): ExchangeRow {
  const before = row({ words: ['mailbox', 'list', '-s', 'INBOX'] });
  return { ...before, fields: { ...before.fields, ...fields } };
}

void test('words, user, series and who asked', () => {
  const line = lineOf(
    row({ words: ['mailbox', 'list', '-s', 'INBOX'], series: ['2.4'], reason: 'ticket 5' }),
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
    hasReason: true,
    isOpaque: false,
  });
  assert.deepEqual(lineOf(row({ words: ['quota', 'get'] })).series, ['2.3', '2.4']);
});

void test('a denial, and a refusal for want of a reason, are denials', () => {
  const denied = lineOf(row({ words: ['mailbox', 'list', '-A'] }));
  assert.equal(denied.decision, 'deny');
  assert.match(denied.text ?? '', /^no rule allows/);
  assert.equal(lineOf(row({ words: ['quota get'], outcome: 'denied' })).decision, 'deny');
  assert.equal(lineOf(row({ words: ['quota get'], outcome: 'limited' })).decision, 'allow');
});

void test('hidden words become words that are the same for the same secret', () => {
  const words = (secret: string): string[] => ['mailbox', 'cryptokey', 'password', '-n', secret, '-o', 'old'];
  const [one, same, other] = ['geheim', 'geheim', 'other'].map((secret) =>
    lineOf(row({ words: words(secret) })),
  );
  assert.equal(one?.isOpaque, true);
  assert.deepEqual(one?.words, same?.words);
  assert.notDeepEqual(one?.words, other?.words);
  assert.equal(one?.words.filter(isDigest).length, 2);
  // Facts about a login are read as such again.
  const user = lineOf(change({ command: 'user', args: ['-x', { hmac: 'ab'.repeat(32) }, '--', 'bob'] }));
  assert.deepEqual(user.words.slice(1), ['-x', 'service=hmac:abababababababab', '--', 'bob']);
  assert.deepEqual(user.words.map(isDigest), [false, false, true, false, false]);
  const search = lineOf(row({ words: ['search', 'mailbox', 'INBOX', 'subject', 'salary'] }));
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
  const { words } = lineOf(row({ words: ['mailbox', 'list', '--', '--', '-s'] }));
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
