// Goal: a policy is immutable, named by the hash of its text, and finds its rules by command in the order of the file.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { formatDuration, parseDuration } from '../../../src/host/words/durations.js';
import { parseInstant } from '../../../src/host/words/instants.js';
import { createPolicy, formatTarget, serverTargetWords } from '../../../src/rules/policy/policy.js';
import { formatRate } from '../../../src/rules/policy/rate.js';
import { policyOf, withPolicies } from '../config/sound.js';

const policy = policyOf(
  withPolicies(
    '  support: { users: ["*@example.com"], allow: [search, fetch, { command: search, users: ["a*"] }] }\n',
  ),
);

void test('nobody changes it', () => {
  assert.throws(() => Object.assign(policy, { name: 'other' }), TypeError);
});

void test('rules by command keep their order', () => {
  const [first, , third] = policy.allow;
  assert.deepEqual([...policy.allowByCommand.keys()], ['search', 'fetch']);
  assert.deepEqual(policy.allowByCommand.get('search'), [first, third]);
  assert.equal(policy.allowByCommand.get('quota get'), undefined);
  assert.equal(policy.denyByCommand.size, 0);
});

void test('it is for everybody only without exceptions', () => {
  const of = (users: string[], except: string[]): boolean =>
    createPolicy({ ...policy, users: new GlobList(users), except: new GlobList(except) }).isForEverybody;
  assert.equal(of(['*'], []), true);
  assert.equal(of(['x', '**'], []), true);
  assert.equal(of(['*'], ['ceo']), false);
  assert.equal(of(['*@*'], []), false);
});

// Goal: durations mean what they say, and nothing is guessed.
void test('durations', () => {
  const [second, hour, day] = [1000, 3_600_000, 86_400_000];
  const table = {
    '500ms': 500,
    '5s': 5 * second,
    '10m': 600 * second,
    '2h': 2 * hour,
    '7d': 7 * day,
    '2w': 14 * day,
  };
  for (const [text, ms] of Object.entries(table)) assert.equal(parseDuration(text), ms, text);
  const none = ' 5 s -5s 1.5s 5S 5M 5min 1e3s 99999999999999s x5s 999999999w';
  for (const text of [...none.split(' '), '5 s', '5s\n'])
    assert.equal(parseDuration(text), undefined, JSON.stringify(text));
});

void test('durations are written as short as can be', () => {
  const table = {
    '0ms': 0,
    '999ms': 999,
    '1s': 1000,
    '1500ms': 1500,
    '90s': 90_000,
    '10m': 600_000,
    '1h': 3_600_000,
    '36h': 129_600_000,
    '1d': 86_400_000,
    '6d': 518_400_000,
    '1w': 604_800_000,
    '2w': 1_209_600_000,
  };
  for (const [text, ms] of Object.entries(table)) assert.equal(formatDuration(ms), text);
});

void test('a route in words', () => {
  assert.equal(formatTarget({ kind: 'backend', backend: 'mail1' }), 'mail1');
  const spread = formatTarget({ kind: 'spread', backends: ['mail1', 'mail2'] });
  assert.equal(spread, "one of mail1, mail2 by the user's name");
  const passdb = formatTarget({ kind: 'passdb', socket: '/run/auth', cacheTtlMs: 1 });
  assert.equal(passdb, 'what the passdb at /run/auth says');
  assert.deepEqual(serverTargetWords, ['all', 'by_user']);
});

void test('a rate is written with the name of its span', () => {
  const spans = { '20/second': 1000, '20/minute': 60_000, '20/hour': 3_600_000, '20/day': 86_400_000 };
  for (const [text, windowMs] of Object.entries(spans))
    assert.equal(formatRate({ count: 20, windowMs }), text);
});

void test('an instant is a day, which counts to its end, or a time with a zone', () => {
  const table = {
    '2027-01-31': '2027-02-01T00:00:00.000Z',
    '2027-01-31T10:20:30Z': '2027-01-31T10:20:30.000Z',
    '2027-01-31 10:20:30z': '2027-01-31T10:20:30.000Z',
    '2027-01-31t10:20:30.5Z': '2027-01-31T10:20:30.500Z',
    '2027-01-31T10:20:30.1239Z': '2027-01-31T10:20:30.123Z',
    '2027-01-31T10:20:60Z': '2027-01-31T10:21:00.000Z',
    '2027-01-31T10:20:30+02:30': '2027-01-31T07:50:30.000Z',
    '2027-01-31T10:20:30-02:30': '2027-01-31T12:50:30.000Z',
    '2027-01-31T10:20:30+24:00': '2027-01-30T10:20:30.000Z',
    '2027-01-31T10:20:30-24:00': '2027-02-01T10:20:30.000Z',
    '2027-01-31T10:20:30.05+00:00': '2027-01-31T10:20:30.050Z',
    '2027-01-31T10:20:30+00:01': '2027-01-31T10:19:30.000Z',
  };
  for (const [text, time] of Object.entries(table)) assert.equal(parseInstant(text), Date.parse(time), text);
  const time = '2027-01-31T10:20:30';
  const none = ` 2027 2027-02-29 ${time} 2027-01-31T10:20Z 2027-01-31T10:20:61Z ${time}+24:01 ${time}-24:01 ${time}.Z`;
  const more = ['2027-01-31x10:20:30Z', `${time}z `, '2027-01-31T24:20:30Z', ' 2027-01-31', '2027-01-31 '];
  for (const text of [...none.split(' '), ...more])
    assert.equal(parseInstant(text), undefined, JSON.stringify(text));
});
