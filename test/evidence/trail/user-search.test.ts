// Which exchanges a search for a user finds, and which of them name the user: each record beside each pattern.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNameTest } from '../../../src/evidence/trail/search.js';
import { createUserSearch } from '../../../src/evidence/trail/user-search.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { rowsIn } from './paper-trail.js';

const alice = 'alice@example.com';
const bob = 'bob@example.com';
const capital = 'Alice@example.com';
const patterns = [alice, bob, 'alice@*', '*li*', capital, 'ALICE@example.com', 'A*@example.com'];
const cut = 'x'.repeat(9000);
const many = Array.from({ length: 200 }, (_, at) => `user-${at}@example.com`);

/** For each pattern `=`: found and named; `~`: found, since a mask or a list that was cut may mean the user; `-`: not found. */
const cases: readonly (readonly [what: string, record: Partial<AuditRecord>, hits: string])[] = [
  ['her own', { user: alice, users: [alice] }, '=-====='],
  ['in no list', { user: alice }, '=-====='],
  ['recorded in capitals', { user: capital, users: [capital] }, '---==-='],
  ['named beside another', { user: bob, users: [bob, alice] }, '======='],
  ['a mask', { user: '', users: ['al*@example.com'] }, '~-~~~~~'],
  ['a mask with ?', { user: '', users: ['?ob@example.com'] }, '-~----~'],
  ['a mask of a domain', { users: ['*@example.com'] }, '~~~~~~~'],
  ['everybody', { user: bob, users: ['*'] }, '~=~~~~~'],
  ['nobody', { user: '', users: [], args: ['--', alice] }, '-------'],
  ['more than are recorded', { users: many }, '~~~~~~~'],
  ['a name that was cut', { user: cut, users: [cut] }, '---~---'],
  ['in the arguments of another', { user: bob, users: [bob], args: ['--', 'Saved', alice] }, '-=-----'],
  ['of a server that keeps case', { user: alice, users: [alice], case: 'keep' }, '=-==---'],
  ['of one, in capitals', { user: capital, users: [capital], case: 'keep' }, '---==-='],
];

for (const [what, record, hits] of cases) {
  test(`a search for a user: ${what}`, () => {
    const line = `{"seq":7,${encodeBody({ time: 0, event: 'admission', id: 'E', ...record })},"prev":"ab","hash":"cd"}\n`;
    const found = patterns.map((user) => {
      const [row] = rowsIn({ user }, line);
      if (row === undefined) return '-';
      return createNameTest({ user })(row) ? '=' : '~';
    });
    assert.equal(found.join(''), hits);
  });
}

test('lines are searched for the longest part of a pattern', () => {
  assert.equal(String(createUserSearch('a*@example.com*').needles?.[0]), '@example.com');
});
