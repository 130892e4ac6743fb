// Goal: a rule on mailboxes holds for mailboxes, under whatever name: an allow for all that a name may be, a deny for any of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GlobList } from '../../../src/domain/names/glob.js';
import { createMailboxNames, doubtedNames, type Namespace } from '../../../src/domain/names/mailbox-names.js';
import type { ValueTest } from '../../../src/domain/policy/policy.js';
import { createRegex } from '../../../src/domain/policy/regex.js';
import {
  isSurelyOneOf,
  mayBeOneOf,
  nameThatFails,
  strikesMailboxes,
} from '../../../src/domain/policy/value-test.js';

const inbox: Namespace = {
  prefix: 'INBOX/',
  separator: '/',
  inbox: true,
  aliasFor: undefined,
  kind: 'private',
};
const listed = createMailboxNames(
  [inbox, { ...inbox, prefix: 'Private/', inbox: false, aliasFor: 'INBOX/' }],
  [],
);

function oneOf(...texts: string[]): ValueTest {
  return { kind: 'one-of', globs: new GlobList(texts), isOptional: false };
}

function regex(text: string): ValueTest {
  const result = createRegex(text);
  assert.ok(result.kind === 'regex');
  return { kind: 'regex', regex: result.regex, isOptional: false };
}

void test('an allow must hold for each mailbox that a name may be', () => {
  assert.equal(nameThatFails(oneOf('INBOX/*'), ['INBOX/INBOX'], doubtedNames), 'INBOX');
  assert.equal(nameThatFails(oneOf('INBOX/*'), ['INBOX/Sub', 'INBOX/INBOX'], listed), 'INBOX');
  assert.equal(nameThatFails(oneOf('INBOX/*', 'INBOX'), ['INBOX/INBOX'], listed), undefined);
  assert.equal(nameThatFails(oneOf('Private/*'), ['Private/Sub'], listed), 'INBOX/Sub');
  assert.equal(nameThatFails(oneOf('Archive/*'), ['Archive/INBOX'], listed), undefined);
  assert.equal(nameThatFails(regex('.*/.*'), ['A/INBOX'], doubtedNames), 'INBOX');
  const equals: ValueTest = { kind: 'equals', values: ['A/INBOX'], isOptional: false };
  assert.equal(nameThatFails(equals, ['A/INBOX'], doubtedNames), 'INBOX');
  const all = ['A/INBOX', 'A', 'INBOX'];
  assert.equal(nameThatFails({ ...equals, values: all }, all, doubtedNames), undefined);
  for (const each of [{ kind: 'any' }, { kind: 'present' }, oneOf('*')] as const) {
    assert.equal(nameThatFails(each, ['A/INBOX'], doubtedNames), undefined);
  }
  assert.equal(nameThatFails(oneOf('x'), undefined, doubtedNames), undefined);
  assert.ok(!isSurelyOneOf('A/INBOX', new GlobList(['A/*']), doubtedNames));
  assert.ok(isSurelyOneOf('A/INBOX', new GlobList(['*']), doubtedNames));
});

void test('a deny strikes for each mailbox that a name may be, however its own pattern is spelled', () => {
  const strikes = (value: ValueTest, name: string, names = doubtedNames, isMask = false): boolean =>
    strikesMailboxes(value, [name], names, { isMask, withWhatIsBelow: false });
  assert.ok(strikes(oneOf('inbox'), 'INBOX/INBOX'));
  assert.ok(strikes(oneOf('inbox'), 'a.Inbox'));
  assert.ok(!strikes(oneOf('inbox'), 'INBOX/Sub'));
  assert.ok(strikes(oneOf('inbox/inbox'), 'INBOX'));
  assert.ok(strikes(oneOf('a/inbox'), 'b/INBOX'));
  assert.ok(!strikes(oneOf('archive/*'), 'INBOX'));
  assert.ok(!strikes(oneOf('inbox'), 'Archive/INBOX', listed));
  assert.ok(strikes(oneOf('inbox/sub'), 'Private/Sub', listed));
  assert.ok(strikes(oneOf('private/sub'), 'INBOX/Sub', listed));
  assert.ok(strikes(oneOf('private'), 'INBOX', listed));
  assert.ok(strikes(oneOf('inbox'), 'I%', doubtedNames, true));
  assert.ok(strikes(oneOf('inbox'), '*/INBOX', doubtedNames, true));
  assert.ok(strikes(oneOf('private/sub'), 'INBOX/S*', listed, true));
  assert.ok(!strikes(oneOf('inbox'), 'Archive/*', doubtedNames, true));
  assert.ok(strikes(regex('inbox'), 'A/INBOX'));
  assert.ok(strikes(regex('inbox/.*'), 'INBOX'));
  assert.ok(strikes({ kind: 'equals', values: ['inbox'], isOptional: false }, 'A/INBOX'));
  assert.ok(strikes({ kind: 'equals', values: ['a/inbox'], isOptional: false }, 'INBOX'));
  assert.ok(!strikes({ kind: 'equals', values: ['trash'], isOptional: false }, 'INBOX'));
  assert.ok(strikes({ kind: 'present' }, 'Trash'));
  assert.ok(
    strikesMailboxes(oneOf('inbox/sub/kid'), ['Private/Sub'], listed, {
      isMask: true,
      withWhatIsBelow: true,
    }),
  );
});

void test('the mailbox of a query too', () => {
  assert.ok(mayBeOneOf('INBOX/INBOX', new GlobList(['inbox']), doubtedNames));
  assert.ok(mayBeOneOf('INBOX', new GlobList(['a/inbox']), doubtedNames));
  assert.ok(mayBeOneOf('Private/Sub', new GlobList(['inbox/sub']), listed));
  assert.ok(!mayBeOneOf('Trash', new GlobList(['inbox', 'a/inbox']), doubtedNames));
});
