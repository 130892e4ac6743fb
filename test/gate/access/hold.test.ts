// Goal: a hold stops every command that could destroy, hide, move or change mail of the held user, under each form of its line, and no
// other one. What must not happen: a command of the catalog that no form here covers; a client that reads whose mailbox is held without
// naming that user.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandsOf, type Series } from '../../../src/doveadm/commands/catalog.js';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { refusalOfHolds } from '../../../src/gate/access/hold.js';
import type { LockEntry } from '../../../src/journal/records/lock-book.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { judge } from '../../../src/rules/policy/judge.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { held } from '../../kit/plain/lock-records.js';
import { plainArguments } from '../../kit/plain/plain-arguments.js';
import { policyOf, withPolicies } from '../../rules/config/sound.js';

const bob = 'bob@example.com';
const anna = 'anna@example.com';
const policy = policyOf(withPolicies('  support: { users: ["*@example.com"], allow: [quota get] }'));

function holdOf(user: string, users?: readonly string[]): LockEntry {
  const locked = held(`H-${user}`, 0, { user, ...(users && { users }) });
  return { id: `H-${user}`, locked, untilMs: Number.POSITIVE_INFINITY };
}

interface Where {
  readonly series?: Series;
  readonly shared?: readonly string[] | undefined;
  readonly aliases?: readonly string[];
}

function attemptOf(
  user: string,
  words: readonly string[],
  where: Where = {},
): Parameters<typeof refusalOfHolds>[1] {
  const { series = '2.4', aliases } = where;
  const sharedNamespaces = 'shared' in where ? where.shared : [];
  const judged = judge(plainLine(user, words), [series], judgeContext(policy, { sharedNamespaces, aliases }));
  assert.ok(judged.kind === 'judged', `${words.join(' ')}: ${JSON.stringify(judged)}`);
  return judged.attempt;
}

function refusal(user: string, line: string, where: Where = {}) {
  const found = refusalOfHolds(
    [holdOf(bob)],
    attemptOf(
      user,
      line.split(' ').map((word) => word.replace('_', ' ')),
      where,
    ),
  );
  return found && [found.isNamed, found.why];
}

void test('each command of the catalog for the held user, and for another one', () => {
  let stopped = 0;
  for (const series of allSeries)
    for (const { name, hold, scope } of commandsOf(series)) {
      const words = [...name.split(' '), ...plainArguments(series, name, anna)];
      const isAdding = name === 'flags add';
      const own = refusalOfHolds([holdOf(bob)], attemptOf(scope === 'user' ? bob : '', words, { series }));
      const other = refusalOfHolds([holdOf(bob)], attemptOf(scope === 'user' ? anna : '', words, { series }));
      assert.equal(other === undefined, hold !== 'all', `${series} ${name}`);
      assert.equal(other?.isNamed ?? false, false);
      if (scope === 'user')
        assert.equal(own === undefined, hold === 'keeps' || isAdding, `${series} ${name}`);
      if (own !== undefined) stopped += 1;
      if (scope === 'user' && own !== undefined) assert.ok(own.isNamed, name);
    }
  assert.ok(stopped > 80, String(stopped));
});

void test('the forms of a line, as hold.txt has them: whether the held user is named, and why', () => {
  const guid = 'mailbox-guid 0123456789abcdef0123456789abcdef';
  const team = { shared: ['team/'] };
  const lines: readonly (readonly [user: string, line: string, where?: Where])[] = [
    [bob, 'expunge mailbox INBOX all'],
    ['BOB', 'expunge mailbox INBOX all'],
    [anna, 'expunge mailbox INBOX all'],
    [anna, 'expunge mailbox INBOX all', { aliases: [bob] }],
    [anna, `move Trash user ${bob} mailbox INBOX all`],
    [bob, `move Trash user ${anna} mailbox INBOX all`],
    [anna, `copy Trash user ${bob} mailbox INBOX all`],
    [bob, `copy Trash user ${anna} mailbox INBOX all`],
    [bob, 'save'],
    [anna, 'save -m shared/bob/INBOX', { shared: ['shared/'] }],
    [anna, 'copy Trash all', { shared: ['shared/'] }],
    [bob, 'fetch uid mailbox INBOX all'],
    [bob, 'flags add \\Seen mailbox INBOX all'],
    [bob, 'flags add $Label mailbox INBOX all'],
    [bob, 'flags remove \\Seen mailbox INBOX all'],
    [bob, 'flags add \\Seen_\\DELETED mailbox INBOX all'],
    [anna, 'acl set INBOX group=all lookup'],
    [anna, `expunge ${guid} all`],
    [anna, `expunge ${guid} all`, team],
    [anna, 'expunge mailbox team/x all', team],
    [anna, 'expunge mailbox own all', team],
    [anna, 'mailbox delete shared/bob/INBOX', { shared: undefined }],
    ['', 'replicator replicate b*@example.com', { series: '2.3' }],
    ['', 'replicator replicate e*@example.com', { series: '2.3' }],
  ];
  const asked = lines.map(([user, line, where]): Asked => {
    const question = `${user || '(no user)'} ${line}${where === undefined ? '' : ` ${JSON.stringify(where)}`}`;
    return [question, () => refusal(user, line, where) ?? 'goes on'];
  });
  compareAnswers('test/gate/access/hold.txt', asked);
});

void test('all users: the list without those that are held, where the policy names each', () => {
  const attempt = attemptOf('', ['expunge', '-A', 'mailbox', 'INBOX', 'all']);
  const holds = [holdOf(bob), holdOf('carol@example.com', ['carol@example.com', 'caro@example.com'])];
  const saying = (users: readonly string[]): string | undefined =>
    refusalOfHolds(holds, attempt, { users: new GlobList(users), except: new GlobList(['root@example.com']) })
      ?.why;
  const start = '"expunge" deletes mail; send it with `dovegate send --users LIST`, a list';
  assert.equal(
    saying([anna, bob, 'caro@example.com', 'dora@example.com', 'root@example.com']),
    `${start}, which has anna@example.com dora@example.com`,
  );
  assert.equal(saying([anna, '*@example.org']), `${start} without the users that are held`);
  assert.equal(saying([bob]), `${start} without the users that are held`);
});

void test('nothing is listed before it is read, and then no more users than it shows', () => {
  let looked = 0;
  class Counted extends GlobList {
    override matches(user: string): boolean {
      looked += 1;
      return super.matches(user);
    }
  }
  const names = Array.from({ length: 20_000 }, (_, at) => `u${at}@example.com`);
  const holds = names.slice(0, 150).map((user) => holdOf(user));
  const many = { users: new GlobList(names), except: new Counted(['root@example.com']) };
  const attempt = attemptOf('', ['expunge', '-A', 'mailbox', 'INBOX', 'all']);
  const found = refusalOfHolds(holds, attempt, many);
  assert.ok(found);
  assert.equal(looked, 0);
  assert.match(found.why, /a list without the users that are held$/);
  assert.ok(looked <= holds.length + 21, `${looked} users were looked at`);
});

void test('a hold of several names, and no hold', () => {
  const attempt = attemptOf('caro@example.com', ['expunge', 'mailbox', 'INBOX', 'all']);
  const carol = holdOf('carol@example.com', ['carol@example.com', 'caro@example.com']);
  assert.equal(refusalOfHolds([holdOf(bob), carol], attempt)?.lock, carol);
  assert.equal(refusalOfHolds([holdOf(bob)], attempt), undefined);
  assert.equal(refusalOfHolds([], attempt), undefined);
});
