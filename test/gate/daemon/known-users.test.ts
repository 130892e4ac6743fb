// Goal: who is who stays known while the directory is away, over restarts, and while names move. What must not happen: two humans made of
// one because a name has no answer now.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { KnownUsers } from '../../../src/gate/daemon/known-users.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { IdAnswer } from '../../../src/host/machine/name-service.js';
import type { Person } from '../../../src/rules/identity/person.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';

const nobody: Person = { users: [], accounts: [], keys: [], page: [], oidc: undefined };
const place = { file: 'dovegate.yaml', line: 1, column: 1 };
const settings = {
  persons: new Map([
    ['carol', { ...nobody, users: ['carol'], keys: ['desk'], place }],
    ['dave', { ...nobody, users: ['dave', '1003'], place }],
  ]),
};

function openHost(t: TestContext) {
  const stateDirectory = openFolder(t);
  const clock = createFakeClock();
  const answers = new Map<string, number | Exclude<IdAnswer['kind'], 'found'>>();
  const asked: string[] = [];
  const warned: string[] = [];
  const open = (before = () => Promise.resolve()): KnownUsers =>
    new KnownUsers({
      clock,
      log: { report: ({ event }) => void warned.push(event) },
      stateDirectory,
      uidOf: async (name) => {
        asked.push(name);
        await before();
        const answer = answers.get(name) ?? 'unanswered';
        return typeof answer === 'number' ? { kind: 'found', id: answer } : { kind: answer };
      },
    });
  return { answers, asked, warned, clock, open, file: join(stateDirectory, 'persons.json') };
}

/** How many uids each user has that has several. */
function numbers({ moved }: KnownUsers): readonly number[] {
  return moved.map(({ uids }) => uids.length);
}

async function serve(users: KnownUsers) {
  const next = await users.prepare(settings);
  next.commit();
  return next.persons;
}

// bounds.userUidsAgainMs
void test('what has no answer is asked for again, and counts as soon as it is told', async (t) => {
  const host = openHost(t);
  host.answers.set('dave', 1002).set('desk', 'none');
  const users = host.open();
  const persons = await serve(users);
  assert.deepEqual(host.asked.toSorted(), ['carol', 'dave', 'desk']);
  assert.deepEqual([users.unknown, persons.personOf(['uid:1002'])], [['carol'], 'dave']);
  host.answers.set('carol', 77_001);
  await host.clock.advance(bounds.userUidsAgainMs - 1);
  assert.equal(host.asked.length, 3);
  await host.clock.advance(1);
  assert.deepEqual(host.asked.slice(3), ['carol']);
  assert.deepEqual([users.unknown, persons.personOf(['uid:77001'])], [[], 'carol']);
  assert.equal(host.clock.timers, 0, 'all are known');
});

void test('a start without the directory knows the uids of the last one', async (t) => {
  const host = openHost(t);
  host.answers.set('carol', 77_001).set('dave', 1002).set('desk', 'none');
  await serve(host.open());
  host.answers.clear();
  const users = host.open();
  const persons = await serve(users);
  assert.deepEqual([users.unknown, persons.personOf(['uid:77001'])], [[], 'carol']);
  users.close();
  assert.equal(host.clock.timers, 0);
});

void test('a user that the name service does not know may be known later, and counts as unknown', async (t) => {
  const host = openHost(t);
  host.answers.set('carol', 'none').set('dave', 1002).set('desk', 'none');
  const users = host.open();
  await serve(users);
  assert.deepEqual(users.unknown, ['carol']);
  host.answers.set('carol', 77_001);
  await host.clock.advance(bounds.userUidsAgainMs);
  assert.deepEqual(users.unknown, []);
  assert.deepEqual(host.asked.filter((name) => name === 'desk').length, 1, 'a key need not be a user');
});

// bounds.directoryAnswerMs
void test('however many names have no answer, a start waits once; what is told later counts then', async (t) => {
  const host = openHost(t);
  let tell = (): void => undefined;
  const told = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const users = host.open(() => told);
  const preparing = users.prepare(settings);
  await host.clock.advance(bounds.directoryAnswerMs);
  const next = await preparing;
  next.commit();
  assert.deepEqual(users.unknown, ['carol', 'dave']);
  host.answers.set('carol', 77_001).set('dave', 1002).set('desk', 'none');
  tell();
  await settle();
  assert.deepEqual(users.unknown, []);
  assert.equal(next.persons.provenBy(['uid:77001']), 'carol');
});

// bounds.userUids
void test('a name that gets another uid counts with both until an operator confirms it', async (t) => {
  const host = openHost(t);
  host.answers.set('carol', 77_001).set('dave', 1002).set('desk', 'none');
  const users = host.open();
  await serve(users);
  host.answers.set('carol', 77_002);
  const persons = await serve(users);
  assert.deepEqual(users.moved, [{ user: 'carol', uids: [77_001, 77_002] }]);
  assert.deepEqual(host.warned, ['user-moved']);
  for (const uid of [77_001, 77_002]) {
    assert.equal(persons.personOf([`uid:${uid}`]), 'carol');
    assert.equal(persons.provenBy([`uid:${uid}`]), undefined, 'it forbids, and proves nothing');
  }
  host.answers.set('carol', 77_001);
  await serve(users);
  assert.deepEqual(
    users.moved,
    [{ user: 'carol', uids: [77_002, 77_001] }],
    'the last one that was told is the last',
  );
  host.answers.set('carol', 77_002);
  await serve(users);
  assert.equal(users.confirm('dave'), undefined);
  assert.equal(users.confirm('carol'), 77_002);
  const confirmed = await serve(users);
  assert.equal(confirmed.personOf(['uid:77001']), undefined);
  assert.equal(confirmed.provenBy(['uid:77002']), 'carol');
  assert.deepEqual(numbers(users), []);
  assert.deepEqual(JSON.parse(readFileSync(host.file, 'utf8')), { carol: [77_002], dave: [1002] });
  for (let uid = 80_000; uid < 80_000 + 2 * bounds.userUids; uid += 1) {
    host.answers.set('carol', uid);
    await serve(users);
  }
  assert.deepEqual(numbers(users), [bounds.userUids]);
});

// bounds.userNames
void test('users that are in no person any more are kept within a bound, those of persons always', async (t) => {
  const host = openHost(t);
  host.answers.set('carol', 77_001).set('dave', 1002).set('desk', 'none');
  writeFileSync(
    host.file,
    JSON.stringify(
      Object.fromEntries(Array.from({ length: bounds.userNames + 10 }, (_, n) => [`a${n}`, [n]])),
    ),
  );
  await serve(host.open());
  const kept = Object.keys(JSON.parse(readFileSync(host.file, 'utf8')));
  // A place for each name of persons: `desk` is no user.
  assert.equal(kept.length, bounds.userNames - 1);
  assert.ok(kept.includes('carol') && kept.includes('dave'));
});

void test('a damaged file stops the start', (t) => {
  const host = openHost(t);
  for (const text of ['{', '[]', '{"carol":"x"}', '{"carol":[-1]}', '{"carol":[1e300]}', '{"carol":[]}']) {
    writeFileSync(host.file, text);
    assert.throws(() => host.open(), /persons\.json: is no list of users and their uids/, text);
  }
});
