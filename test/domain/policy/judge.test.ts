// Goal: a line is judged in every series that its backend may be of, and passes only if all agree.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Series } from '../../../src/domain/commands/catalog.js';
import { createUserNames } from '../../../src/domain/identity/user-name.js';
import { plainLine } from '../../../src/domain/policy/assess.js';
import { isAllowed, type Judgement, judge } from '../../../src/domain/policy/judge.js';
import { judgeLine } from '../../kit/judge-line.js';
import { casesNowMs, readCases } from './cases.js';

const { settings } = readCases('catalog-2.4.cases');
const policy = settings.policies.get('admin') ?? assert.fail();
const userNames = createUserNames({ characters: 'A-Za-z0-9.@-', defaultRealm: 'example.com' });

function line(user: string, ...words: readonly string[]) {
  return { listener: 'admin', principal: 'root@admin', user, words, clientMinor: 4 };
}

function everywhere(series: readonly Series[], user: string, ...words: readonly string[]): Judgement {
  return judge(plainLine(user, words), series, {
    listener: 'admin',
    principal: 'root@admin',
    clientMinor: 4,
    policy,
    userNames,
    sharedNamespaces: [],
    nowMs: casesNowMs,
  });
}

void test('a command of one series passes only where the series is known', () => {
  const check = ['fts', 'flatcurve', 'check', 'INBOX'];
  const codeOf = (judgement: Judgement) => (judgement.kind === 'unparsable' ? judgement.code : 'judged');
  assert.equal(codeOf(everywhere(['2.3', '2.4'], 'alice', ...check)), 'command-unknown');
  assert.equal(isAllowed(everywhere(['2.4'], 'alice', ...check)), true);
  assert.equal(isAllowed(everywhere(['2.3', '2.4'], 'alice', 'quota', 'get')), true);
});

void test('the canonical form is what would be sent', () => {
  const judgement = judgeLine(
    policy,
    line('Alice', 'mailbox', 'delete', 'Old', '-s', '-u', 'alice@example.com'),
    '2.3',
    [],
    userNames,
    casesNowMs,
  );
  assert.ok(judgement.kind === 'judged');
  assert.equal(judgement.attempt.user, 'alice@example.com');
  assert.deepEqual(judgement.canonical, ['mailbox delete', '-s', '--', 'Old']);
  assert.equal(judgement.wantsUsernameCell, false);
});

void test('the -A of an old client is a column', () => {
  const old = { ...line('alice', 'quota', 'get', '-A'), clientMinor: 2 };
  const judgement = judgeLine(policy, old, '2.4', [], userNames, casesNowMs);
  assert.ok(judgement.kind === 'judged');
  assert.deepEqual(judgement.canonical, ['quota get', '--']);
  assert.equal(judgement.wantsUsernameCell, true);
});

void test('what cannot be read says why', () => {
  const codes = [
    ['nonsense'],
    ['fetch', '--nonsense'],
    ['quota', 'get', '-u', 'carol'],
    ['copy', 'Dest', 'user', 'a@b@c', 'all'],
  ].map((words) => {
    const judgement = everywhere(['2.4'], 'alice', ...words);
    return judgement.kind === 'unparsable' ? judgement.code : 'judged';
  });
  assert.deepEqual(codes, ['command-unknown', 'unknown-option', 'user-invalid', 'user-invalid']);
  const unnamable = everywhere(['2.4'], 'a b', 'quota', 'get');
  assert.ok(unnamable.kind === 'unparsable' && unnamable.code === 'user-invalid');
});
