// Goal: who reaches a mailbox is what was written beside it, rule by rule, and agrees with `prove` about the same. What must not happen:
// somebody is left out, or a rule that cannot be about that user stands in the list.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mailboxReach } from '../../../src/evidence/proof/mailbox.js';
import { prove } from '../../../src/evidence/proof/prove.js';
import type { MailboxDeed, ReachWay } from '../../../src/evidence/views/reach.js';
import { readStatement } from '../../../src/rules/answers/statement.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import { compareAnswers } from '../../kit/plain/approved.js';
import { backend, main, options, settingsOf, wide } from './proven.js';

/** `support: fetch on-request mail search facts`; a `?` behind what no command line was found for. */
function said(user: string, settings: Settings): string[] {
  const found = mailboxReach(user, settings, options);
  if (typeof found === 'string') return [found];
  assert.ok(found.isWhole);
  return found.requesters.flatMap(({ who, rules }) =>
    rules.map(({ way, command, deeds, doubts }) =>
      [
        `${who.replace('everybody at ', '')}: ${command} ${way}`,
        ...deeds,
        ...[...doubts.keys()].map((deed) => `${deed}?`),
      ].join(' '),
    ),
  );
}

void test('the rules of each requester that reach a mailbox, with what they do there', () => {
  compareAnswers(
    'test/evidence/proof/mailbox.txt',
    (
      [
        // Not support, which excepts it; and under `words` no line was found that searches in content.
        'ceo@example.com',
        'bob@example.org',
        // A deny takes all that a rule allows, and leaves the other.
        '*@example.net',
        'a b@example.org',
      ] as const
    ).map((user) => [user, () => said(user, main).join('\n')]),
  );
});

void test('whose mails are copied needs no route', () => {
  const settings = settingsOf(`version: 1
listeners: { desk: { unix: /run/desk.sock, policy: desk } }
backends: { m: { address: ${backend}, shared_namespaces: [] } }
routes: [{ users: ["*@a.org"], backend: m }]
policies: { desk: { users: ["**"], allow: [{ command: move, where: { source-user: any, query: any } }, quota get] } }
`);
  assert.deepEqual(said('x@b.org', settings), ['desk: move at-once mail change destroy']);
  for (const text of ['reach content', 'change']) {
    const statement = readStatement(`nobody may ${text} in mailboxes of "x@b.org" by name`, settings);
    assert.ok(statement.kind === 'never');
    const proof = prove(statement, settings, options);
    assert.ok(proof.kind === 'disproved' && proof.witness.words.includes('x@b.org'), JSON.stringify(proof));
  }
});

const deedWords: readonly (readonly [words: string, deeds: readonly MailboxDeed[]])[] = [
  ['reach content', ['mail', 'search']],
  ['change', ['change']],
  ['destroy', ['destroy']],
];
const users = ['ceo@example.com', 'bob@example.org', 'box-1@example.net'];
const ways: readonly (readonly [words: string, ways: readonly ReachWay[]])[] = [
  ['', ['at-once', 'break-glass']],
  [' even with approval', ['at-once', 'break-glass', 'on-request']],
];

void test('it agrees with what prove says of everybody', () => {
  for (const settings of [main, wide])
    for (const user of users) {
      const found = mailboxReach(user, settings, options);
      assert.ok(typeof found !== 'string');
      const rules = found.requesters.flatMap((each) => each.rules);
      for (const [words, deeds] of deedWords)
        for (const [more, counted] of ways) {
          const text = `nobody may ${words} in mailboxes of "${user}" by name${more}`;
          const statement = readStatement(text, settings);
          assert.ok(statement.kind === 'never', text);
          const proof = prove(statement, settings, options);
          const of = rules.filter(({ way }) => counted.includes(way));
          const isSure = of.some((rule) => deeds.some((deed) => rule.deeds.has(deed)));
          const isDoubted = of.some(({ doubts }) => deeds.some((deed) => doubts.has(deed)));
          const shown = `${text}: ${JSON.stringify(proof)} ${said(user, settings).join('; ')}`;
          if (isSure) assert.equal(proof.kind, 'disproved', shown);
          else if (isDoubted) assert.notEqual(proof.kind, 'disproved', shown);
          else if (words === 'reach content') assert.ok(true);
          else assert.equal(proof.kind, 'holds', shown);
        }
    }
});
