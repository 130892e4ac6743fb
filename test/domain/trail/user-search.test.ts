// Which records count for a user, as a table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import { type AuditRecord, parseLine } from '../../../src/domain/audit/record.js';
import { createUserSearch } from '../../../src/domain/trail/user-search.js';

const alice = 'alice@example.com';
const bob = 'bob@example.com';
const cut = 'x'.repeat(9000);
const many = Array.from({ length: 200 }, (_, at) => `user-${at}@example.com`);

const cases: readonly (readonly [what: string, record: Partial<AuditRecord>, hits: string])[] = [
  ['her own', { user: alice, users: [alice] }, 'alice@example.com alice@* *li*'],
  [
    'named beside another',
    { user: bob, users: [bob, alice] },
    'alice@example.com bob@example.com alice@* *li*',
  ],
  ['a mask', { user: '', users: ['al*@example.com'] }, 'alice@example.com alice@* *li*'],
  ['a mask with ?', { user: '', users: ['?ob@example.com'] }, 'bob@example.com'],
  ['a mask of a domain', { users: ['*@example.com'] }, 'alice@example.com bob@example.com alice@* *li*'],
  ['everybody', { user: bob, users: ['*'] }, 'alice@example.com bob@example.com alice@* *li*'],
  ['nobody', { user: '', users: [], args: ['--', alice] }, ''],
  ['more than are recorded', { users: many }, 'alice@example.com bob@example.com alice@* *li*'],
  ['a name that was cut', { user: cut, users: [cut] }, '*li*'],
  [
    'her own, in the arguments of another',
    { user: bob, users: [bob], args: ['--', 'Saved', alice] },
    'bob@example.com',
  ],
];

test('names that differ in case only are two users in the records of a server that keeps their case', () => {
  const hits = (record: Partial<AuditRecord>): readonly string[] => {
    const body = encodeBody({ time: 0, event: 'admission', id: 'E', ...record });
    const stored = parseLine(`{"seq":7,${body},"prev":"ab","hash":"cd"}`) ?? assert.fail();
    return ['Alice@example.com', alice, 'A*@example.com', 'ALICE@example.com'].filter((pattern) => {
      const search = createUserSearch(pattern);
      if (search.isWanted(stored)) assert.ok(search.isLineWanted(Buffer.from(JSON.stringify(stored))));
      return search.isNamed(stored);
    });
  };
  const named = { user: alice, users: [alice] };
  assert.deepEqual(hits(named), ['Alice@example.com', alice, 'A*@example.com', 'ALICE@example.com']);
  assert.deepEqual(hits({ ...named, case: 'keep' }), [alice]);
  const other = { user: 'Alice@example.com', users: ['Alice@example.com'], case: 'keep' } as const;
  assert.deepEqual(hits(other), ['Alice@example.com', 'A*@example.com']);
});

test('records that may touch a user, table', () => {
  const told: string[] = [];
  for (const [what, record, hits] of cases) {
    const line = `{"seq":7,${encodeBody({ time: 0, event: 'admission', id: 'E', ...record })},"prev":"ab","hash":"cd"}`;
    const found: string[] = [];
    for (const pattern of [alice, bob, 'alice@*', '*li*']) {
      const search = createUserSearch(pattern);
      const isWanted = search.isWanted(parseLine(line) ?? {});
      // What the bytes say must never be less.
      const hasNeedle = search.needles?.some((needle) => line.includes(needle.toString())) ?? true;
      if (isWanted && !(hasNeedle && search.isLineWanted(Buffer.from(line))))
        told.push(`${what}: not by its bytes`);
      if (isWanted) found.push(pattern);
    }
    if (found.join(' ') !== hits) told.push(`${what}: ${found.join(' ')}`);
  }
  assert.deepEqual(told, []);
});

test('the case of the name that is asked for does not matter, and one that was recorded in capitals is still found', () => {
  for (const [user, pattern, isWanted] of [
    [alice, 'Alice@EXAMPLE.com', true],
    [alice, 'ALICE@*', true],
    ['Alice@example.com', 'Alice@example.com', true],
    [bob, 'Alice@EXAMPLE.com', false],
  ] as const) {
    const search = createUserSearch(pattern);
    const line = `{"seq":7,${encodeBody({ time: 0, event: 'admission', id: 'E', user, users: [user] })},"prev":"ab"}`;
    assert.equal(search.isWanted(parseLine(line) ?? {}), isWanted, pattern);
    assert.equal(search.isNamed(parseLine(line) ?? {}), isWanted, pattern);
    if (isWanted) {
      assert.ok(search.needles?.some((needle) => line.includes(needle.toString())));
      assert.ok(search.isLineWanted(Buffer.from(line)));
    }
  }
});

test('who is found through a mask, or a list that was cut, is not named', () => {
  const search = createUserSearch(alice);
  const named = (record: object): boolean => search.isNamed({ ...record });
  assert.ok(named({ user: alice }) && named({ user: bob, users: [bob, alice] }));
  assert.ok(!named({ users: ['*'] }) && !named({ users: ['al*@example.com'] }));
  assert.ok(!named({ users: [bob, { more: 3 }] }));
});
