// Goal: values become lists when they are few, users their domain; and no condition is made of what was not always met.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parse as parseYaml } from 'yaml';
import type { Series } from '../../../src/doveadm/commands/catalog.js';
import {
  effectOf,
  type Narrowness,
  queryConditions,
  togetherKey,
  userPattern,
  whereFor,
} from '../../../src/rules/proposals/generalise.js';
import { formatValue, type Plain } from '../../../src/rules/proposals/policy-text.js';
import { recordedMs } from '../../evidence/review/recording.js';
import { attemptsIn, attemptsOf } from '../../evidence/review/seeing.js';

function where(narrowness: Narrowness, ...lines: string[]): string {
  const uses = attemptsOf(...lines).map((attempt) => ({ attempt, firstMs: recordedMs }));
  const plain = whereFor(uses, narrowness);
  return plain === undefined ? 'none' : formatValue(plain);
}

void test('what only reads needs no condition, but fetch its fields', () => {
  assert.equal(where('narrow', 'mailbox list -s INBOX', 'mailbox list'), 'none');
  assert.equal(where('narrow', 'search mailbox INBOX seen'), 'none');
  assert.equal(where('narrow', 'fetch "uid flags" all', 'fetch uid seen'), '{ field: [flags, uid] }');
  assert.equal(where('none', 'fetch "uid flags" all'), 'none');
});

void test('what changes something is held to what was seen: always, sometimes, never', () => {
  assert.equal(where('narrow', 'mailbox create A', 'mailbox create B'), '{ mailbox: [A, B] }');
  const options = '{ subscriptions: any, mailbox: [A] }';
  assert.equal(where('narrow', 'mailbox create -s A', 'mailbox create A'), options);
  assert.equal(where('narrow', 'mailbox create -s A'), '{ subscriptions: present, mailbox: [A] }');
  const many = Array.from({ length: 9 }, (_, at) => `mailbox create Folder${at}`);
  assert.equal(where('narrow', ...many), '{ mailbox: present }');
  assert.equal(where('named', ...many), 'none');
});

void test('an empty list of flags meets any, and no list', () => {
  assert.equal(where('narrow', 'flags replace "" all', 'flags replace \\Seen all'), '{ flag: any }');
});

void test('an option that was not always given is optional; numbers become bounds', () => {
  const optional = '{ min-next-uid: { one_of: ["5"], optional: true }, mailbox: [A] }';
  assert.equal(where('narrow', 'mailbox update --min-next-uid 5 A', 'mailbox update A'), optional);
  const many = Array.from({ length: 9 }, (_, at) => `mailbox update --min-next-uid ${at * 7 + 2} A`);
  assert.equal(where('narrow', ...many), '{ min-next-uid: { at_least: "2", at_most: "58" }, mailbox: [A] }');
});

void test('a star of a value is not a wildcard of the rule', () => {
  assert.equal(where('narrow', 'force-resync *'), '{ mailbox-mask: { regex: "\\\\*" } }');
  const regex = '{ mailbox-mask: { regex: "A\\\\/\\\\*|B\\\\.c" } }';
  assert.equal(where('narrow', 'force-resync A/*', 'force-resync B.c'), regex);
});

void test('what must be named is named, also in what only reads', () => {
  assert.equal(where('named', 'stats dump'), 'none');
  assert.equal(where('named', 'stats dump --reset', 'stats dump --reset'), '{ reset: present }');
  const source = '{ source-user: ["*@example.com"] }';
  assert.equal(where('named', 'copy A user bob@example.com all', 'copy B user eve@example.com all'), source);
});

void test('masks of users and users stand for themselves: the pattern of a domain would allow its mask, too', () => {
  const masks = '{ mask: ["*@example.com", bob@example.net] }';
  assert.equal(where('narrow', 'who *@example.com', 'who bob@example.net'), masks);
  assert.equal(where('tight', 'user bob@example.net'), '{ user-mask: [bob@example.net] }');
  const many = Array.from({ length: 9 }, (_, at) => `user u${at}@example.net`);
  assert.equal(where('tight', ...many), '{ user-mask: { regex: "[^*?@]+@example\\\\.net" } }');
});

void test('more places than a list has: any day, any user of a domain, and nothing beside them', () => {
  const nights = Array.from(
    { length: 10 },
    (_, at) => `backup mdbox:/backup/2026-11-${at + 10}/u${at}@example.com`,
  );
  assert.equal(where('named', ...nights), '{ destination: ["mdbox:/backup/*/*@example.com"] }');
  assert.equal(where('named', ...nights, 'backup mdbox:/backup/../x'), '{ destination: present }');
  const others = Array.from({ length: 10 }, (_, at) => `backup mdbox:/backup${at}/x`);
  assert.equal(where('named', ...others), '{ destination: present }');
});

void test('a place that has the user of each line has <user>, and so holds for their own only', () => {
  const lineOf = (user: string, line: string) =>
    attemptsOf(line).map((attempt) => ({ attempt: { ...attempt, soleUser: user }, firstMs: recordedMs }));
  const text = (...uses: ReturnType<typeof lineOf>[]) =>
    formatValue(whereFor(uses.flat(), 'named') ?? 'none');
  const own = ['u1', 'u2'].map((user) => lineOf(user, `backup mdbox:/backup/mon/${user}`));
  assert.equal(text(...own), '{ destination: ["mdbox:/backup/mon/<user>"] }');
  const nights = Array.from({ length: 10 }, (_, at) =>
    lineOf('u1', `backup mdbox:/backup/2026-11-${at + 10}/u1`),
  );
  assert.equal(text(...nights), '{ destination: ["mdbox:/backup/*/<user>"] }');
  const other = lineOf('u1', 'backup mdbox:/backup/mon/u3');
  const three = '{ destination: ["mdbox:/backup/mon/u1", "mdbox:/backup/mon/u2", "mdbox:/backup/mon/u3"] }';
  assert.equal(text(...own, other), three);
  const keys = own.flat().map(({ attempt }) => togetherKey([attempt]));
  assert.equal(keys[0], keys[1]);
});

void test('the domain of a user', () => {
  assert.equal(userPattern('bob@example.com'), '*@example.com');
  assert.equal(userPattern('bob'), 'bob');
});

void test('a word that is known by its digest only is written nowhere', () => {
  const plain = where('narrow', 'mailbox metadata set INBOX /private/x hmac:0123456789abcdef');
  assert.match(plain, /value: present/);
  assert.doesNotMatch(plain, /hmac/);
});

void test('the effect is that of the strongest line', () => {
  const uses = attemptsOf('stats dump', 'stats dump --reset').map((attempt) => ({ attempt, firstMs: 0 }));
  assert.equal(effectOf(uses.slice(0, 1)), 'read');
  assert.equal(effectOf(uses), 'destroy');
});

// Goal: of queries only what each of them surely asks for becomes a condition, and at its loosest.
function conditions(series: Series, ...queries: string[]): string {
  const lines = queries.map((query) => `search ${query}`);
  const uses = attemptsIn(series, ...lines).map((attempt) => ({ attempt, firstMs: recordedMs }));
  const plain = queryConditions(uses);
  return plain === undefined ? 'none' : formatValue(plain);
}

const of24 = (...queries: string[]): string => conditions('2.4', ...queries);

void test('mailboxes become a list when they are few and named', () => {
  assert.equal(of24('mailbox Trash all'), '{ mailbox: [Trash] }');
  assert.equal(of24('mailbox Trash seen', 'mailbox Junk all'), '{ mailbox: [Junk, Trash] }');
  assert.equal(of24('mailbox Trash all', 'mailbox A*'), '{ mailbox: ["A*", Trash] }');
  assert.equal(of24(...Array.from({ length: 9 }, (_, at) => `mailbox F${at}`)), '{ mailbox: present }');
  assert.equal(of24('mailbox Trash', 'all'), 'none');
});

void test('ages become the least of them, in whole units', () => {
  assert.equal(of24('savedbefore 30d', 'savedbefore 45d'), '{ savedbefore: { at_least: 30d } }');
  assert.equal(of24('before 36h'), '{ before: { at_least: 1d } }');
  assert.equal(of24('older 90'), '{ older: { at_least: 1m } }');
  assert.equal(of24('savedsince 7d', 'savedsince 36h'), '{ savedsince: { at_most: 7d } }');
  assert.equal(of24('younger 90'), '{ younger: { at_most: 2m } }');
});

void test('a day is as old as it was when it was first asked for; what is younger than a day stays a key only', () => {
  // 2026-11-20T12:00:00Z: ten days and a half later.
  assert.equal(of24('savedbefore 2026-11-10'), '{ savedbefore: { at_least: 10d } }');
  // A day of 2.3 may begin half a day later.
  assert.equal(conditions('2.3', 'savedbefore 2026-11-10'), '{ savedbefore: { at_least: 10d } }');
  assert.equal(conditions('2.3', 'savedbefore 2026-11-20'), '{ savedbefore: present }');
  assert.equal(of24('savedsince 2026-11-10'), '{ savedsince: present }');
  assert.equal(of24('savedbefore 30d', 'savedbefore 2027-01-01'), '{ savedbefore: present }');
});

void test('of one query its strictest key counts, of several the loosest', () => {
  const strictest = '{ savedbefore: { at_least: 45d } }';
  assert.equal(of24('savedbefore 30d savedbefore 60d', 'savedbefore 45d'), strictest);
});

void test('sizes, flags and keywords', () => {
  assert.equal(of24('larger 1M', 'larger 5000'), '{ larger: { at_least: 5000B } }');
  assert.equal(of24('smaller 1k'), '{ smaller: { at_most: 1024B } }');
  assert.equal(of24('deleted seen', 'deleted'), '{ deleted: present }');
  assert.equal(of24('keyword spam', 'keyword junk'), '{ keyword: [junk, spam] }');
  assert.equal(of24('uid 1:5 mailbox A', 'uid 9 mailbox A'), '{ uid: present, mailbox: [A] }');
});

void test('what alternatives, NOT and FUZZY say is not sure; what says nothing is left out', () => {
  assert.equal(of24('( mailbox A OR mailbox B ) seen'), '{ seen: present }');
  assert.equal(of24('mailbox A OR mailbox B'), 'none');
  assert.equal(of24('NOT mailbox A'), 'none');
  assert.equal(of24('all'), 'none');
  assert.equal(of24('1:5'), 'none');
});

void test('words of mails are never written', () => {
  assert.equal(of24('subject salary mailbox A'), '{ subject: present, mailbox: [A] }');
  assert.equal(of24('mailbox hmac:0123456789abcdef'), '{ mailbox: present }');
});

// Goal: what is written is read back as it was meant, and nothing in it can end a line, a quote or a comment.

void test('any text, and anything made of texts, is read back the same, on one line', () => {
  const text = fc.string({ unit: 'binary', maxLength: 12 });
  const scalar = fc.oneof(
    text,
    fc.constantFrom('off', 'on', '1', '0x1f', '1_000', '30d', '5E2', '2026-01-01', '=', '<<'),
  );
  const plain: fc.Arbitrary<Plain> = fc.letrec<{ value: Plain }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      scalar,
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        fc.stringMatching(/^[a-z_]{1,8}$/).filter((key) => key !== '__proto__'),
        tie('value'),
        { maxKeys: 3 },
      ),
    ),
  })).value;
  fc.assert(
    fc.property(plain, (value) => {
      const written = formatValue(value);
      assert.doesNotMatch(written, /[\p{Cc}\u2028\u2029\u202e]/u);
      assert.deepEqual(parseYaml(`x: ${written}`, { version: '1.2' }), {
        x: JSON.parse(JSON.stringify(value)),
      });
    }),
    { seed: 20_261_120, numRuns: 500 },
  );
});
