// Goal: a test of an allow holds only if every value passes; one of a deny strikes if any value may be meant.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import {
  createMailboxNames,
  doubtedNames,
  type Namespace,
} from '../../../src/doveadm/names/mailbox-names.js';
import {
  comparesValues,
  describeDemand,
  describeParameter,
  isSurelyOneOf,
  mayBeOneOf,
  nameThatFails,
  passes,
  strikes,
  strikesMailboxes,
  type ValueTest,
  writtenTest,
} from '../../../src/rules/conditions/value-test.js';
import { createRegex } from '../../../src/rules/policy/regex.js';

const expression = createRegex('a+');
assert.ok(expression.kind === 'regex');

const tests = {
  any: { kind: 'any' },
  present: { kind: 'present' },
  absent: { kind: 'absent' },
  oneOf: { kind: 'one-of', globs: new GlobList(['a', 'b*']), isOptional: false },
  optional: { kind: 'one-of', globs: new GlobList(['a']), isOptional: true },
  equals: { kind: 'equals', values: ['a', 'b'], isOptional: false },
  number: { kind: 'number', atLeast: 2n, atMost: 5n, isOptional: false },
  atMost: { kind: 'number', atLeast: undefined, atMost: 5n, isOptional: false },
  long: { kind: 'number', atLeast: 10n, atMost: undefined, isOptional: false },
  regex: { kind: 'regex', regex: expression.regex, isOptional: false },
} as const satisfies Record<string, ValueTest>;

type Row = readonly [
  keyof typeof tests,
  values: readonly string[] | undefined,
  allow: boolean,
  deny: boolean,
];

const table: readonly Row[] = [
  ['any', undefined, true, true],
  ['any', ['x'], true, true],
  ['present', undefined, false, false],
  ['present', ['x'], true, true],
  ['absent', undefined, true, true],
  ['absent', ['x'], false, false],
  ['oneOf', undefined, false, true],
  ['oneOf', [], false, false],
  ['oneOf', ['a'], true, true],
  ['oneOf', ['a', 'bc'], true, true],
  ['oneOf', ['a', 'x'], false, true],
  ['oneOf', ['A'], false, true],
  ['oneOf', ['x'], false, false],
  ['optional', undefined, true, true],
  ['optional', ['x'], false, false],
  ['equals', undefined, false, true],
  ['number', undefined, false, true],
  ['regex', undefined, false, true],
  ['equals', ['a', 'b'], true, true],
  ['equals', ['A', 'b'], false, true],
  ['equals', ['b', 'a'], false, false],
  ['equals', ['a'], false, false],
  ['number', ['2'], true, true],
  ['number', ['5'], true, true],
  ['number', ['1'], false, false],
  ['number', ['2', '9'], false, true],
  ['number', ['99999999999999999999'], false, false],
  ['number', ['3x'], false, false],
  ['number', [''], false, false],
  ['number', ['0x3'], false, false],
  ['atMost', ['0'], true, true],
  ['atMost', ['-1'], false, false],
  ['long', ['12345678901234567890'], true, true],
  ['long', ['1'.repeat(41)], false, false],
  ['regex', ['aa'], true, true],
  ['regex', ['aa', 'b'], false, true],
  ['regex', ['AA'], false, true],
];

for (const [name, values, allow, deny] of table) {
  void test(`${name} of ${JSON.stringify(values)}`, () => {
    assert.equal(passes(tests[name], values), allow);
    assert.equal(strikes(tests[name], values, false), deny);
  });
}

void test('a mask may mean what a deny names', () => {
  const secret: ValueTest = { kind: 'one-of', globs: new GlobList(['secret*']), isOptional: false };
  for (const value of ['*', 'S%', '*et', 's?cret', '%']) {
    assert.equal(strikes(secret, [value], true), true, value);
    assert.equal(strikes(secret, [value], false), false, value);
  }
  assert.equal(strikes(secret, ['public*'], true), false);
});

// Goal: a rule on mailboxes holds for mailboxes, under whatever name: an allow for all that a name may be, a deny for any of it.
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
  const isStruck = (value: ValueTest, name: string, names = doubtedNames, isMask = false): boolean =>
    strikesMailboxes(value, [name], names, { isMask, withWhatIsBelow: false });
  assert.ok(isStruck(oneOf('inbox'), 'INBOX/INBOX'));
  assert.ok(isStruck(oneOf('inbox'), 'a.Inbox'));
  assert.ok(!isStruck(oneOf('inbox'), 'INBOX/Sub'));
  assert.ok(isStruck(oneOf('inbox/inbox'), 'INBOX'));
  assert.ok(isStruck(oneOf('a/inbox'), 'b/INBOX'));
  assert.ok(!isStruck(oneOf('archive/*'), 'INBOX'));
  assert.ok(!isStruck(oneOf('inbox'), 'Archive/INBOX', listed));
  assert.ok(isStruck(oneOf('inbox/sub'), 'Private/Sub', listed));
  assert.ok(isStruck(oneOf('private/sub'), 'INBOX/Sub', listed));
  assert.ok(isStruck(oneOf('private'), 'INBOX', listed));
  assert.ok(isStruck(oneOf('inbox'), 'I%', doubtedNames, true));
  assert.ok(isStruck(oneOf('inbox'), '*/INBOX', doubtedNames, true));
  assert.ok(isStruck(oneOf('private/sub'), 'INBOX/S*', listed, true));
  assert.ok(!isStruck(oneOf('inbox'), 'Archive/*', doubtedNames, true));
  assert.ok(isStruck(regex('inbox'), 'A/INBOX'));
  assert.ok(isStruck(regex('inbox/.*'), 'INBOX'));
  assert.ok(isStruck({ kind: 'equals', values: ['inbox'], isOptional: false }, 'A/INBOX'));
  assert.ok(isStruck({ kind: 'equals', values: ['a/inbox'], isOptional: false }, 'INBOX'));
  assert.ok(!isStruck({ kind: 'equals', values: ['trash'], isOptional: false }, 'INBOX'));
  assert.ok(isStruck({ kind: 'present' }, 'Trash'));
  const below = { isMask: true, withWhatIsBelow: true };
  assert.ok(strikesMailboxes(oneOf('inbox/sub/kid'), ['Private/Sub'], listed, below));
});

/** A test of each kind, and whether one of the mailboxes it covers may be the INBOX. Tests of text name it by another name. */
const doubted: Readonly<Record<ValueTest['kind'], readonly [ValueTest, boolean]>> = {
  any: [{ kind: 'any' }, true],
  present: [{ kind: 'present' }, true],
  absent: [{ kind: 'absent' }, false],
  'one-of': [oneOf('a/inbox'), true],
  equals: [{ kind: 'equals', values: ['a/inbox'], isOptional: false }, true],
  number: [{ kind: 'number', atLeast: 0n, atMost: undefined, isOptional: false }, false],
  regex: [regex('inbox[./].+'), true],
};

for (const [kind, [denied, isStruck]] of Object.entries(doubted)) {
  void test(`a deny of kind "${kind}" ${isStruck ? 'applies' : 'does not apply'} to an INBOX of which not all names are known`, () => {
    const options = { isMask: false, withWhatIsBelow: false };
    assert.equal(strikesMailboxes(denied, ['INBOX'], doubtedNames, options), isStruck);
  });
}

void test('the mailbox of a query too', () => {
  assert.ok(mayBeOneOf('INBOX/INBOX', new GlobList(['inbox']), doubtedNames));
  assert.ok(mayBeOneOf('INBOX', new GlobList(['a/inbox']), doubtedNames));
  assert.ok(mayBeOneOf('Private/Sub', new GlobList(['inbox/sub']), listed));
  assert.ok(!mayBeOneOf('Trash', new GlobList(['inbox', 'a/inbox']), doubtedNames));
});

type Written = readonly [test: ValueTest, text: ReturnType<typeof writtenTest>, words: string];

const written: Readonly<Record<ValueTest['kind'], Written>> = {
  any: [tests.any, 'any', 'x is given or not, whatever it is'],
  present: [tests.present, 'present', 'x is given, whatever it is'],
  absent: [tests.absent, 'absent', 'x is not given'],
  'one-of': [oneOf('a', 'b', 'c*'), ['a', 'b', 'c*'], 'x: a, b or c*'],
  equals: [{ ...tests.equals, values: ['a', 'b c'] }, { equals: ['a', 'b c'] }, 'x: exactly "a" "b c"'],
  number: [tests.number, { at_least: '2', at_most: '5' }, 'x: at least 2, at most 5'],
  regex: [regex('[a-z]+'), { regex: '[a-z]+' }, 'x: matches [a-z]+, as "a"'],
};

for (const [kind, [value, text, words]] of Object.entries(written)) {
  void test(`a test of kind "${kind}" is written as in a configuration, and in words`, () => {
    assert.deepEqual(writtenTest(value), text);
    assert.equal(describeParameter('x', value), words);
    if (!comparesValues(value)) return;
    const optional = { ...value, isOptional: true };
    const map = kind === 'one-of' ? { one_of: text } : text;
    assert.deepEqual(writtenTest(optional), Object.assign({ optional: true }, map));
    assert.equal(describeParameter('x', optional), `${words}, or not given`);
  });
}

void test('only the bounds that there are', () => {
  assert.deepEqual(writtenTest(tests.atMost), { at_most: '5' });
  assert.equal(describeParameter('x', tests.atMost), 'x: at most 5');
});

void test('a demand of many names is one line', () => {
  const names = Array.from({ length: 20 }, (_, at) => `Folder${at}`);
  const said = `mailbox must be ${names.slice(0, 8).join(', ')} or one of 12 more`;
  assert.equal(describeDemand('mailbox', oneOf(...names)), said);
  assert.equal(describeDemand('mailbox', tests.regex), 'mailbox must match a+');
  assert.equal(describeDemand('mailbox', tests.number), 'mailbox must be at least 2, at most 5');
});
