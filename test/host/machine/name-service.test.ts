// Goal: names come from the files at once and from a directory through a helper process; nobody waits longer than its time, strangers push
// out no names and delay no reload, and uids of containers are not asked for. The helper is a real one, the system's programs are the
// test's.

import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { openAccountFiles } from '../../../src/host/machine/account-files.js';
import { gidOf, uidOf, userNameOf } from '../../../src/host/machine/accounts.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { startNameProcess } from '../../../src/host/machine/name-process.js';
import { createNameService } from '../../../src/host/machine/name-service.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';
import { me, myUid } from '../../kit/plain/me.js';
import { fakePrograms, searchIn } from '../../kit/plain/names.js';
import { until } from '../../kit/plain/until.js';

interface Machine {
  readonly etc?: Readonly<Record<string, string>>;
  /** Texts of programs that are found before those of the system. */
  readonly programs?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
}

const accounts = 'root:x:0:0::/root:/bin/sh\nanna:x:1001:100::/:/bin/sh\n';

function open(t: TestContext, { etc = {}, programs = {}, clock = systemClock }: Machine) {
  const folder = openFolder(t);
  for (const [name, text] of Object.entries({ passwd: accounts, ...etc }))
    writeFileSync(join(folder, name), text);
  const fakes = fakePrograms(t);
  // What getent is asked, a line each.
  const log = join(folder, 'asked');
  writeFileSync(log, '');
  for (const [name, script] of Object.entries(programs))
    fakes.write(name, `printf '%s\\n' "$*" >>${log}\n${script}`);
  searchIn(t, fakes.path);
  const names = createNameService(clock, openAccountFiles(folder), startNameProcess(clock));
  t.after(() => names.close());
  const asked = (): readonly string[] => readFileSync(log, 'utf8').split('\n').slice(0, -1);
  return { names, asked, folder, fakes };
}

/** A directory with one user of each uid from 2000 to 2999. */
const directory = `case $3 in
  2???) echo "user$3:x:$3:100::/:" ;;
  user2???) echo "$3:x:\${3#user}:100::/:" ;;
  *) exit 2 ;;
esac`;

void test('a uid of the file at once; of the directory after a question, which is kept; nobody; no answer', async (t) => {
  const { names, asked, fakes } = open(t, { programs: { getent: directory } });
  assert.deepEqual(names.keptUser(1001), { kind: 'found', name: 'anna' });
  assert.equal(names.keptUser(2001), undefined);
  const found = { kind: 'found', name: 'user2001' };
  assert.deepEqual(await Promise.all([names.userOf(2001), names.userOf(2001)]), [found, found]);
  assert.deepEqual(await names.userOf(3001), { kind: 'none' });
  assert.deepEqual(names.keptUser(2001), found);
  assert.deepEqual(names.keptUser(3001), { kind: 'none' });
  assert.deepEqual(asked(), ['passwd -- 2001', 'passwd -- 3001']);
  fakes.write('getent', 'exit 1');
  assert.deepEqual(await names.userOf(2002), { kind: 'unanswered' });
  fakes.write('getent', 'kill -9 $$');
  assert.deepEqual(await names.userOf(2002), { kind: 'unanswered' });
  fakes.write('getent', 'echo "eve:x:2003:100::/:"');
  assert.deepEqual(await names.userOf(2002), { kind: 'none' }, 'an answer for another uid');
  fakes.write('getent', directory);
  assert.deepEqual(names.keptUser(2002), { kind: 'none' });
});

void test('answers are kept for a minute', async (t) => {
  const clock = createFakeClock();
  const { names } = open(t, { programs: { getent: directory }, clock });
  assert.deepEqual(await names.userOf(2001), { kind: 'found', name: 'user2001' });
  assert.deepEqual(await names.userOf(3001), { kind: 'none' });
  await clock.advance(59_999);
  assert.deepEqual([names.keptUser(2001)?.kind, names.keptUser(3001)?.kind], ['found', 'none']);
  await clock.advance(1);
  assert.deepEqual([names.keptUser(2001), names.keptUser(3001)], [undefined, undefined]);
});

void test('uids without an account push out no name; of names the least recently used one is dropped', async () => {
  const uids = (from: number, count: number) => Array.from({ length: count }, (_, n) => from + n);
  const strangers = openCounted();
  await strangers.askAll([2000, ...uids(100_000, 1001)]);
  assert.equal(strangers.names.keptUser(2000)?.kind, 'found');
  assert.equal(strangers.names.keptUser(100_000), undefined);
  assert.equal(strangers.names.keptUser(100_001)?.kind, 'none');
  const users = openCounted();
  await users.askAll([2000, 2001]);
  await users.askAll([2000, ...uids(3000, 999)]);
  assert.deepEqual([users.names.keptUser(2000)?.kind, users.names.keptUser(2001)], ['found', undefined]);
});

type Ask = ReturnType<typeof startNameProcess>['ask'];
type Reply = Awaited<ReturnType<Ask>>;

const userOf = (uid: string): Reply => ({ kind: 'found', parts: [`user${uid}:${uid}`] });

/** Without files; `answer` stands for the helper. */
function namesBy(clock: Clock, answer: (key: string) => Promise<Reply>) {
  const helper = { hasGetent: true, ask: (_: unknown, key: string) => answer(key), close: () => undefined };
  return createNameService(clock, openAccountFiles('/nowhere'), helper);
}

/** A directory in which each uid below 60,000 has a name. */
function openCounted() {
  const clock = createFakeClock();
  const names = namesBy(clock, (key) =>
    Promise.resolve(Number(key) < 60_000 ? userOf(key) : { kind: 'none' }),
  );
  const askAll = async (uids: readonly number[]): Promise<void> => {
    for (const uid of uids) {
      const answer = names.userOf(uid);
      await clock.advance(50);
      await answer;
    }
  };
  return { names, askAll };
}

// bounds.accountQuestions, bounds.accountRate, bounds.accountWaiting, bounds.accountWaitingPerTurn, bounds.accountOwnQuestions
void test('thousands of uids: one question for each of them, or for each block of them; the configuration has places of its own', async () => {
  const clock = createFakeClock();
  const waiting = new Map<string, () => void>();
  const names = namesBy(
    clock,
    (key) =>
      new Promise((resolve) => {
        waiting.set(key, () => resolve(waiting.delete(key) ? { kind: 'none' } : { kind: 'unanswered' }));
      }),
  );
  const answerAll = async (): Promise<void> => {
    const flying = [...waiting.values()];
    for (const answer of flying) answer();
    await clock.advance(0);
  };
  let unanswered = 0;
  const ask = (uid: number): void =>
    void names.userOf(uid).then(({ kind }) => {
      if (kind === 'crowded' || kind === 'unanswered') unanswered += 1;
    });
  for (let n = 0; n < 2000; n += 1) ask(1_000_000 + n);
  await clock.advance(0);
  // They are in two blocks of 65,536.
  assert.deepEqual([...waiting.keys()], ['1000000']);
  assert.equal(unanswered, 2000 - 1 - bounds.accountWaitingPerTurn);
  for (let n = 0; n < 2000; n += 1) ask(10_000 + n);
  await clock.advance(0);
  assert.equal(waiting.size, bounds.accountQuestions);
  const places = bounds.accountQuestions + bounds.accountWaiting;
  assert.equal(unanswered, 4000 - places);
  // The reload has answers while all of them wait.
  const users = Array.from({ length: 20 }, (_, n) => `name${n}`);
  const numbers = names.numbersOf({ users, groups: [] });
  await clock.advance(0);
  assert.equal(waiting.size, bounds.accountQuestions + bounds.accountOwnQuestions);
  for (const name of users) {
    waiting.get(name)?.();
    await clock.advance(0);
  }
  assert.equal((await numbers).uidOf('name0'), undefined);
  await answerAll();
  assert.equal(waiting.size, bounds.accountRate - bounds.accountQuestions);
  await answerAll();
  assert.equal(waiting.size, 0);
  await clock.advance(1000);
  assert.equal(waiting.size, bounds.accountQuestions);
  await clock.advance(4000);
  assert.equal(unanswered, 4000 - bounds.accountRate, 'after 5 s nobody waits');
});

// bounds.accountMuteQuestions
void test('uids that the directory does not answer for keep nobody else from a name, however often they connect', async () => {
  const clock = createFakeClock();
  let asking = 0;
  const names = namesBy(clock, async (key) => {
    if (key.endsWith('7')) return userOf(key);
    asking += 1;
    await new Promise<void>((resolve) => clock.setTimer(bounds.directoryAnswerMs, resolve));
    asking -= 1;
    return { kind: 'unanswered' };
  });
  const mute = [
    // Of one block of 65,536, and users of this machine.
    ...Array.from({ length: 6 }, (_, n) => 100_000 + n),
    ...Array.from({ length: 40 }, (_, n) => 2000 + 10 * n),
  ];
  const connecting = new Set(mute);
  const connectAgain = async (uid: number): Promise<void> => {
    while (connecting.has(uid)) await names.userOf(uid);
  };
  const clients = mute.map(connectAgain);
  // Each of them was asked for once.
  await clock.advance(50_000);
  assert.equal(asking, bounds.accountMuteQuestions);
  for (const uid of [100_007, 2007, 100_017]) {
    let answer: string | undefined;
    void names.userOf(uid).then(({ kind }) => (answer = kind));
    await clock.advance(1000);
    assert.equal(answer, 'found', `${uid}`);
  }
  connecting.clear();
  await clock.advance(60_000);
  await Promise.all(clients);
});

void test('a uid of a container is not asked for, and belongs to the owner of its range', async (t) => {
  const subuid =
    'anna:100000:65536\n2005:200000:10\nuser2006:300000:10\ngone:400000:10\nroot:1001:1\nroot:0:1\n';
  const { names, asked } = open(t, { etc: { subuid }, programs: { getent: directory } });
  assert.deepEqual(await names.userOf(100_001), { kind: 'unasked' });
  assert.deepEqual(names.keptUser(100_001), { kind: 'unasked' });
  const owners = [100_001, 200_001, 165_536, 2001].map((uid) => names.keptOwners(uid));
  assert.deepEqual(owners, [[{ uid: 1001, user: 'anna' }], [{ uid: 2005 }], undefined, undefined]);
  // An account is nobody's subordinate, though root may lend it to a container.
  assert.deepEqual(names.keptUser(1001), { kind: 'found', name: 'anna' });
  assert.equal(names.keptOwners(1001), undefined);
  assert.deepEqual(asked(), []);
  assert.deepEqual(names.keptOwners(300_001), [{ user: 'user2006' }]);
  const told = [{ user: 'user2006', uid: 2006, isGone: false }];
  assert.deepEqual(await Promise.all([300_001, 300_002].map(names.ownersOf)), [told, told]);
  assert.deepEqual(await names.ownersOf(400_001), [{ user: 'gone', uid: undefined, isGone: true }]);
  assert.deepEqual([names.keptOwners(300_001), names.keptOwners(400_001)?.length], [told, 1]);
  assert.deepEqual(asked().toSorted(), ['passwd -- gone', 'passwd -- user2006'], 'each was asked for once');
});

void test('names: numbers of users and groups, whether there is one, the groups of a login; no name is a command', async (t) => {
  const getent = `
case "$1 $3" in
  'passwd dora') echo 'dora:secret:2001:100:Dora:/:/bin/sh' ;;
  'passwd Dora') echo 'dora:x:2001:100::/:' ;;
  'passwd 2001') echo 'dora:x:2001:100::/:' ;;
  'group domain users') printf 'domain users:x:3001:'; seq -s, 1 40000 ;;
  'passwd odd'*) exit 3 ;;
  *) exit 2 ;;
esac`;
  const id = `[ "$3" = dora ] && echo $(seq 100 400)`;
  const { names, asked, folder } = open(t, { programs: { getent, id } });
  const users = ['anna', 'dora', '4711', 'none', '4294967295'];
  const groups = ['domain users', 'nobody'];
  const numbers = await names.numbersOf({ users, groups });
  assert.deepEqual(users.map(numbers.uidOf), [1001, 2001, 4711, undefined, undefined]);
  assert.deepEqual(groups.map(numbers.gidOf), [3001, undefined]);
  assert.deepEqual(await names.uidOf('dora'), { kind: 'found', id: 2001 });
  assert.deepEqual(await names.uidOf('none'), { kind: 'none' });
  assert.deepEqual(await names.uidOf('odd'), { kind: 'unanswered' });
  assert.deepEqual(await names.gidOf('domain users'), { kind: 'found', id: 3001 });
  const found = await Promise.all(['anna', 'dora', 'Dora', 'none', 'odd'].map(names.hasUser));
  assert.deepEqual(found, [true, true, false, false, undefined]);
  const { name, gids } = await names.loginOf(2001);
  assert.deepEqual([name, gids.length, gids[0], gids.at(-1)], ['dora', 301, 100, 400]);
  assert.deepEqual(await names.loginOf(9), { name: undefined, gids: [] });
  const before = asked().length;
  const mark = join(folder, 'mark');
  const odd = ['*', '-x', ' dora', 'dora ', '%s\\n', '\\033', '$kind'];
  const hostile = [`$(touch ${mark})`, `;touch ${mark}`, `'\`touch ${mark}\`'`, ...odd];
  for (const each of hostile) assert.deepEqual(await names.uidOf(each), { kind: 'none' }, each);
  const asTheyAre = hostile.map((each) => `passwd -- ${each}`);
  assert.deepEqual(asked().slice(before), asTheyAre);
  for (const each of ['', 'a\n7 passwd dora', 'a\0'])
    assert.deepEqual(await names.uidOf(each), { kind: 'none' });
  assert.equal(asked().length, before + hostile.length);
  assert.equal(existsSync(mark), false);
});

// bounds.directoryAnswerMs
void test('a directory that never answers: no wait is longer than its time, and the program is ended', {
  timeout: 60_000,
}, async (t) => {
  const { names, folder, fakes } = open(t, {});
  const pidFile = join(folder, 'pid');
  fakes.write('getent', `echo $$ >${pidFile}\nexec sleep 600`);
  const startMs = performance.now();
  assert.deepEqual(await names.userOf(2001), { kind: 'unanswered' });
  assert.ok(performance.now() - startMs >= bounds.directoryAnswerMs - 100);
  const pid = readFileSync(pidFile, 'utf8').trim();
  await until(() => !existsSync(`/proc/${pid}`), 'the program has ended');
  fakes.write('getent', directory);
  assert.deepEqual(await names.userOf(2001), { kind: 'found', name: 'user2001' });
});

void test('whether users can be elsewhere than on this machine', (t) => {
  const { names, folder } = open(t, { programs: { getent: directory } });
  const of = (text: string): boolean => {
    writeFileSync(join(folder, 'nsswitch.conf'), text);
    return names.hasDirectory();
  };
  assert.equal(names.hasDirectory(), false);
  assert.equal(of('passwd: files systemd\n'), false);
  assert.equal(of('passwd: compat db [NOTFOUND=return]\n'), false);
  assert.equal(of('passwd: files sss\n'), true);
  assert.equal(of('group: sss\n'), false);
  appendFileSync(join(folder, 'nsswitch.conf'), 'passwd: ldap files\n');
  assert.equal(names.hasDirectory(), true);
});

// Goal: names and numbers of users and groups, as a program gets them that serves nobody.

void test('names of the system, and their numbers', () => {
  assert.equal(uidOf('root'), 0);
  assert.equal(gidOf('root'), 0);
  assert.equal(uidOf(me), myUid);
  assert.equal(userNameOf(0), 'root');
});

void test('a number is itself, as far as the kernel has such a user', () => {
  for (const of of [uidOf, gidOf]) {
    assert.equal(of('0'), 0);
    assert.equal(of('4711'), 4711);
    assert.equal(of('4294967294'), 4_294_967_294);
    // To the kernel this one means "leave it as it is", and there is nothing above it.
    assert.equal(of('4294967295'), undefined);
    assert.equal(of('9999999999'), undefined);
  }
});

void test('nobody has such a name', () => {
  for (const name of [
    '',
    'no-such-name-here',
    'root:x',
    '-1',
    '0x0',
    ' root',
    'root\n',
    '--help',
    '99999999999',
  ]) {
    assert.equal(uidOf(name), undefined, JSON.stringify(name));
    assert.equal(gidOf(name), undefined, JSON.stringify(name));
  }
  assert.equal(userNameOf(4_294_967_294), undefined);
});
