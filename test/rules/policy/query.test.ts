// Goal: what a rule asks of a query holds for every mail that the query selects. Tried by selecting: queries are run over a
// small world of mails, and whenever the rule says yes, not one selected mail may break its condition.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseSearchQuery, type SearchNode } from '../../../src/doveadm/commands/search-query.js';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { doubtedNames } from '../../../src/doveadm/names/mailbox-names.js';
import type { QueryTest } from '../../../src/rules/conditions/query-test.js';
import {
  type JudgedQuery,
  judgedQuery,
  mayReachMailbox,
  queryPasses,
} from '../../../src/rules/policy/query.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

const nowMs = 1_795_176_000_000;

function query(words: string): JudgedQuery & { readonly tree: SearchNode } {
  const list = words.split(' ');
  const tree = parseSearchQuery('2.4', list);
  assert.ok(tree.kind !== 'unparsable', words);
  return { ...judgedQuery({ words: list, tree, series: '2.4', nowMs }), tree };
}

const isOld: QueryTest & { readonly kind: 'keys' } = {
  kind: 'keys',
  conditions: [
    { key: 'mailbox', test: { kind: 'one-of', globs: new GlobList(['Trash', 'Junk']) } },
    { key: 'savedbefore', test: { kind: 'age', atLeast: 30 * 86_400, atMost: undefined } },
  ],
  anyOf: [],
};

interface Mail {
  readonly mailbox: string;
  readonly ageDays: number;
  readonly isSeen: boolean;
}

const world: readonly Mail[] = ['Trash', 'Junk', 'INBOX'].flatMap((mailbox) =>
  [1, 29, 31, 90].flatMap((ageDays) => [true, false].map((isSeen) => ({ mailbox, ageDays, isSeen }))),
);

/** Runs a query as a server does. */
function selects(node: SearchNode, mail: Mail): boolean {
  switch (node.kind) {
    case 'and':
      return node.nodes.every((each) => selects(each, mail));
    case 'or':
      return node.nodes.some((each) => selects(each, mail));
    case 'not':
      return !selects(node.node, mail);
    case 'fuzzy':
      return true;
    case 'key': {
      const value = node.values[0] ?? '';
      if (node.key.name === 'mailbox') return value === '*' || mail.mailbox === value;
      if (node.key.name === 'savedbefore') return mail.ageDays > Number.parseInt(value, 10);
      if (node.key.name === 'seen') return mail.isSeen;
      return node.key.name === 'all';
    }
    default:
      return node satisfies never;
  }
}

const leaf = fc.constantFrom(
  ...['Trash', 'Junk', 'INBOX', '*'].map((name) => `mailbox ${name}`),
  ...['30d', '60d', '5d'].map((age) => `savedbefore ${age}`),
  'seen',
  'all',
);
const { tree: queries } = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.tuple(tie('tree'), tie('tree')).map(([one, other]) => `( ${one} ) ( ${other} )`),
    fc.tuple(tie('tree'), tie('tree')).map(([one, other]) => `( ${one} ) OR ( ${other} )`),
    tie('tree').map((one) => `NOT ( ${one} )`),
    tie('tree').map((one) => `fuzzy ( ${one} )`),
  ),
}));

void test('whenever the rule is content, every selected mail is old and in one of the mailboxes', () => {
  let content = 0;
  fc.assert(
    fc.property(queries, (words) => {
      const judged = query(words);
      if (!queryPasses(isOld, judged)) return;
      content += 1;
      for (const mail of world.filter((each) => selects(judged.tree, each))) {
        assert.ok(mail.mailbox !== 'INBOX' && mail.ageDays >= 30, `${words} selects ${JSON.stringify(mail)}`);
      }
    }),
    { numRuns: 8_000 * rounds },
  );
  assert.ok(content > 50, `the rule was content ${content} times`);
});

void test('whenever a deny does not strike, no selected mail is in its mailbox', () => {
  const trash = new GlobList(['trash']);
  let spared = 0;
  fc.assert(
    fc.property(queries, (words) => {
      const { tree } = query(words);
      if (mayReachMailbox(trash, tree, doubtedNames)) return;
      spared += 1;
      assert.ok(!world.some((mail) => mail.mailbox === 'Trash' && selects(tree, mail)), words);
    }),
    { numRuns: 8_000 * rounds },
  );
  assert.ok(spared > 50, `it did not strike ${spared} times`);
});

void test('no query passes nothing but any', () => {
  const none = judgedQuery({ words: [], tree: undefined, series: '2.4', nowMs });
  assert.equal(queryPasses({ kind: 'any' }, none), true);
  assert.equal(queryPasses(isOld, none), false);
  assert.equal(queryPasses({ kind: 'equals', words: ['x'] }, none), false);
});

// bounds.queryOtherNames
void test('more than eight mailboxes with several names do not pass a rule about the text of the query', () => {
  let compared = 0;
  const regex = {
    source: '.*',
    matches: (): boolean => {
      compared += 1;
      return true;
    },
  };
  const passes = (count: number): boolean =>
    queryPasses(
      { kind: 'regex', regex },
      query(Array.from({ length: count }, (_, at) => `mailbox shared/bob${at}`).join(' ')),
    );
  assert.equal(passes(8), true);
  // As it is, with each of the names, and with all of them.
  assert.equal(compared, 10);
  assert.equal(passes(9), false);
});
