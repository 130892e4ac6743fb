// The search line: what it means, what is wrong with it in a sentence, what may come next, and the command that finds the same.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import {
  commandOf,
  completeQuery,
  formatQuery,
  parseQuery,
  queryKeys,
  shellQuoted,
  trailPath,
  withFilter,
} from '../../src/web/trail-query.js';

const nowMs = Date.parse('2026-11-21T22:00:00Z');

function filterOf(line: string): unknown {
  const parsed = parseQuery(line, nowMs);
  return 'problem' in parsed ? parsed.problem : parsed.filter;
}

void test('a line becomes a filter', () => {
  assert.deepEqual(filterOf(''), {});
  assert.deepEqual(filterOf('  user:alice*  command:"mailbox list" outcome:failed since:7d '), {
    user: 'alice*',
    command: 'mailbox list',
    outcome: 'failed',
    sinceMs: nowMs - 7 * 86_400_000,
  });
  // A name alone is of any listener, as on the command line.
  assert.deepEqual(filterOf('principal:bob'), { principal: 'bob@*' });
  assert.deepEqual(filterOf('principal:bob@support'), { principal: 'bob@support' });
  assert.deepEqual(filterOf('text:"a \\"b\\" \\\\ c:d"'), { text: 'a "b" \\ c:d' });
  assert.deepEqual(filterOf('text:a:b'), { text: 'a:b' });
});

void test('times are read as the command line reads them', () => {
  const since = (text: string): unknown => Object(filterOf(`since:${text}`)).sinceMs;
  const until = (text: string): unknown => Object(filterOf(`until:${text}`)).untilMs;
  assert.equal(since('90m'), nowMs - 90 * 60_000);
  assert.equal(since('today'), Date.parse('2026-11-21T00:00:00Z'));
  assert.equal(since('yesterday'), Date.parse('2026-11-20T00:00:00Z'));
  assert.equal(until('2026-11-20'), Date.parse('2026-11-21T00:00:00Z'));
  assert.equal(since('2026-11-20T10:00:00+01:00'), Date.parse('2026-11-20T09:00:00Z'));
  for (const wrong of [
    'soon',
    '7',
    '2026-02-30',
    '2026-11-20T10:00:00',
    '-1d',
    '1e3d',
    'constructor',
    '__proto__',
  ])
    assert.match(String(filterOf(`since:${wrong}`)), /^since: is a time ago .* is none of these\.$/, wrong);
});

void test('what is wrong is said in a sentence', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['alice', /^"alice" has no key\. Write for example user:alice$/],
    ['"alice b"', /user:"alice b"$/],
    ['usr:alice', /^There is no key "usr"\. The keys are user, command, /],
    ['user:', /^user: has no value\.$/],
    ['user:"alice', /^A quote is not closed/],
    ['user:a user:b', /^user: stands there twice/],
    ['outcome:bad', /^outcome: is one of ok, .*; "bad" is not\.$/],
    ['since:1h until:2h', /^since: is not before until:/],
    ['__proto__:x', /^There is no key "__proto__"/],
    ['constructor:x', /^There is no key "constructor"/],
  ];
  for (const [line, wanted] of cases) assert.match(String(filterOf(line)), wanted, line);
});

void test('a line that is written from terms means these terms', () => {
  const values = [
    'alice*',
    'a b',
    '"',
    '\\',
    'a\\"b',
    'k:v',
    '<img onerror=x>',
    '\u202eevil',
    'x'.repeat(4096),
  ];
  for (const { key, values: list } of queryKeys) {
    if (list !== undefined || key === 'since' || key === 'until') continue;
    for (const value of values) {
      const parsed = parseQuery(formatQuery({ [key]: value, outcome: 'ok' }), nowMs);
      assert.deepEqual('terms' in parsed && parsed.terms, { [key]: value, outcome: 'ok' });
    }
  }
  assert.equal(trailPath({}), '/trail');
  assert.equal(trailPath({ user: 'a b&c' }), '/trail?q=user%3A%22a%20b%26c%22');
  assert.ok('filter' in withFilter({ user: '' }, nowMs));
});

void test('a key is completed, then its value', () => {
  const offers = (line: string, known = {}): string[] => completeQuery(line, known).map(({ text }) => text);
  assert.deepEqual(offers('co'), ['command:']);
  assert.deepEqual(offers('user:a o'), ['outcome:']);
  assert.ok(!offers('user:a ').includes('user:'));
  assert.deepEqual(offers('outcome:de'), ['denied']);
  assert.deepEqual(offers('since:'), ['1h', '24h', '7d', '30d', 'today', 'yesterday']);
  const known = { user: ['alice@example.org', 'a b'] };
  assert.deepEqual(offers('user:AL', known), ['alice@example.org']);
  const [offer] = completeQuery('outcome:ok user:a\\', known);
  assert.equal(offer, undefined);
  assert.equal(completeQuery('outcome:ok user:"a ', known)[0]?.line, 'outcome:ok user:"a b" ');
  assert.deepEqual(offers('nothing:x'), []);
});

void test('the command finds the same, and nothing in it is more than its words', () => {
  assert.equal(commandOf({}), 'dovegate audit search');
  assert.equal(
    commandOf({ user: 'alice*', since: '7d' }),
    "dovegate audit search --user 'alice*' --since 7d",
  );
  const hostile = ['$(id)', "it's", '`id`', 'a\nb', '-x', '\u001b[2J', '\u202ea', "\\'\n;", '!x', '~', 'é'];
  for (const value of hostile) {
    const word = shellQuoted(value);
    assert.doesNotMatch(word, /[\p{Cc}\p{Cf}]/u);
    const said = execFileSync('bash', ['-c', `printf %s ${word}`], {
      encoding: 'utf8',
      env: { LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] ?? '' },
    });
    assert.equal(said, value);
  }
});
