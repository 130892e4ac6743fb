// Goal: every name that a command may touch is known before it is judged. What must not happen: a failure that passes for "no alias", an
// endless chain, an alias that no policy could name.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUserNames, defaultCharacters } from '../../../src/doveadm/names/user-name.js';
import type { LookupAnswer } from '../../../src/gate/lookup/lookup.js';
import { createUserResolver, type ResolvedUsers } from '../../../src/gate/lookup/resolve-user.js';

const userNames = createUserNames({ characters: defaultCharacters, defaultRealm: 'example.com' });

/** A userdb: what it answers to a name; a name that it does not list is not found, and '' is a failure. */
async function resolve(
  database: Readonly<Record<string, string>>,
  users: readonly string[],
): Promise<{ result: ResolvedUsers; asked: string[] }> {
  const asked: string[] = [];
  const user = (name: string): Promise<LookupAnswer> => {
    asked.push(name);
    const found = database[name];
    if (found === undefined) return Promise.resolve({ kind: 'not-found' });
    if (found === '') return Promise.resolve({ kind: 'failed', code: 'auth-failed' });
    return Promise.resolve({ kind: 'found', user: found, fields: new Map() });
  };
  return { result: await createUserResolver({ user }, userNames).resolve(users), asked };
}

const alice = 'alice@example.com';
const ceo = 'ceo@example.com';
const boss = 'boss@example.com';
const isFree = { kind: 'resolved', aliases: [] };

void test('who is meant', async () => {
  const [a, b, c] = ['a@example.com', 'b@example.com', 'c@example.com'] as const;
  const cases: [string, Record<string, string>, readonly string[], readonly string[]][] = [
    ['himself', { [alice]: alice }, [alice], []],
    ['himself, in another case', { [alice]: 'Alice@Example.COM' }, [alice], []],
    ['himself, without his realm', { [alice]: 'alice' }, [alice], []],
    ['nobody that the userdb knows', {}, [alice], []],
    ['no user at all', {}, [], []],
    ['somebody else', { [boss]: ceo, [ceo]: ceo }, [boss], [ceo]],
    ['somebody else, as the database wrote him', { [boss]: 'CEO' }, [boss], [ceo]],
    ['somebody else who does not exist', { [boss]: ceo }, [boss], [ceo]],
    ['somebody else who is given too', { [boss]: ceo, [ceo]: ceo }, [boss, ceo], []],
    ['one of several', { [alice]: alice, [boss]: ceo, [ceo]: ceo }, [alice, boss], [ceo]],
    ['the same one twice', { [boss]: ceo, [alice]: ceo, [ceo]: ceo }, [boss, alice], [ceo]],
    ['a chain', { a: 'b', [a]: 'b', [b]: 'c', [c]: 'c' }, [a], [b, c]],
    ['a ring', { [a]: 'b', [b]: 'a' }, [a], [b]],
    ['a ring behind him', { [alice]: 'a', [a]: 'b', [b]: 'a' }, [alice], [a, b]],
  ];
  for (const [name, database, users, aliases] of cases) {
    assert.deepEqual((await resolve(database, users)).result, { kind: 'resolved', aliases }, name);
  }
});

void test('what cannot be found out is a failure, whoever else is well known', async () => {
  const failed = { kind: 'failed', code: 'auth-failed' };
  assert.deepEqual((await resolve({ [alice]: '' }, [alice])).result, failed);
  assert.deepEqual((await resolve({ [alice]: alice, [boss]: '' }, [alice, boss])).result, failed);
  assert.deepEqual((await resolve({ [boss]: ceo, [ceo]: '' }, [boss])).result, failed);
});

void test('an alias that is no name is a failure, and not said in it', async () => {
  for (const name of ['we+ird/user@example.com', 'a b', 'a@b@c', '@', '*', 'ü', 'x'.repeat(400), '%u']) {
    const { result } = await resolve({ [alice]: name }, [alice]);
    assert.deepEqual(result, { kind: 'failed', code: 'alias-unnamable' }, name);
  }
});

// bounds.aliasSteps
void test('a chain has an end', async () => {
  const chain = (length: number): Record<string, string> =>
    Object.fromEntries(
      Array.from({ length }, (_, at) => [
        `u${at}@example.com`,
        `u${Math.min(at + 1, length - 1)}@example.com`,
      ]),
    );
  const long = await resolve(chain(5), ['u0@example.com']);
  assert.deepEqual(long.result, {
    kind: 'resolved',
    aliases: [1, 2, 3, 4].map((at) => `u${at}@example.com`),
  });
  const tooLong = await resolve(chain(20), ['u0@example.com']);
  assert.deepEqual(tooLong.result, { kind: 'failed', code: 'alias-chain' });
  assert.ok(tooLong.asked.length <= 5);
});

// bounds.aliasUsers
void test('each user is asked once, and of thousands nobody', async () => {
  const { asked } = await resolve({ [alice]: alice }, [alice, alice, alice]);
  assert.deepEqual(asked, [alice]);
  const many = Array.from({ length: 257 }, (_, at) => `u${at}@example.com`);
  const refused = await resolve({}, many);
  assert.deepEqual(refused, { result: { kind: 'failed', code: 'users-many' }, asked: [] });
  assert.deepEqual((await resolve({}, many.slice(1))).result, isFree);
});
