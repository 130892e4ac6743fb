// Goal: every question is answered once, within its time, whatever the service does. Phases: questions and what is remembered; timeouts; a
// service that dies of a question; faults and back-off; ages; the end; a failure of each port call; seeded random events.
// What must not happen: another's answer, a failure that is taken for an answer, a password in what is handed out, something that stays.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { createUserNames, defaultCharacters } from '../../../src/doveadm/names/user-name.js';
import type { LinkFailure } from '../../../src/gate/lookup/auth-link.js';
import { Lookup, type LookupAnswer, type LookupLimits } from '../../../src/gate/lookup/lookup.js';
import { createUserResolver, type ResolvedUsers } from '../../../src/gate/lookup/resolve-user.js';
import { UpstreamFault } from '../../../src/host/ports/faults.js';
import { randomInteger, seededRandom } from '../../kit/plain/chunkings.js';
import { failAtEach, failable, failableClock, failableTransport } from '../../kit/plain/fail-at.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { authAddress, authGreeting, lookupLimitsForTests, scriptAuthService } from './auth-service.js';

function open(changes: Partial<LookupLimits> = {}, greeting = authGreeting) {
  const clock = createFakeClock();
  const service = scriptAuthService(greeting);
  const told: (LinkFailure | undefined)[] = [];
  const limits = { ...lookupLimitsForTests, ...changes };
  const { connect } = service.dialler;
  const lookup = new Lookup({
    address: authAddress,
    connect,
    clock,
    limits,
    tell: (failure) => void told.push(failure),
  });
  /** Answers by user, as they come. */
  const answers = new Map<string, string>();
  const note = (user: string, answer: Promise<LookupAnswer>): void => {
    void answer.then((given) => {
      assert.ok(!answers.has(user), `${user} was answered twice`);
      answers.set(user, given.kind === 'failed' ? given.code : given.kind);
    });
  };
  /** Asks the userdb for each, and lets run what can. */
  const ask = async (...names: string[]): Promise<void> => {
    for (const user of names) note(user, lookup.user(user));
    await settle();
  };
  const reply = async (index: number, user: string, line: string): Promise<void> => {
    service.reply(index, user, line);
    await settle();
  };
  const finish = async (): Promise<void> => {
    const closed = lookup.close();
    await clock.advance(limits.lingerMs);
    await closed;
    assert.equal(clock.timers, 0);
    assert.equal(service.dialler.open.length, 0);
  };
  return { clock, service, lookup, told, answers, ask, reply, finish };
}

/** Answers in the order in which they came. */
const shown = (answers: ReadonlyMap<string, string>): string =>
  [...answers].map(([user, answer]) => `${user} ${answer}`).join(', ');

const usersOf = (heard: readonly { user: string }[]): string[] => heard.map(({ user }) => user);

void test('Dovecot was restarted: the next question goes to the service that listens now', async () => {
  const { service, answers, ask, reply, finish } = open();
  await ask('a');
  await reply(0, 'a', 'NOTFOUND');
  service.dialler.ends[0]?.peer.replace();
  await ask('b');
  assert.deepEqual([service.dialler.dials, usersOf(service.heard(1))], [2, ['b']]);
  await reply(1, 'b', 'NOTFOUND');
  assert.equal(shown(answers), 'a not-found, b not-found');
  await finish();
});

void test('many questions on one transport, answered in any order', async () => {
  const { service, lookup, answers, ask, reply, finish, told } = open();
  assert.equal(service.dialler.dials, 0);
  await ask('a', 'b', 'c');
  const pass = lookup.pass('a');
  await settle();
  assert.deepEqual(
    service.heard(0).map(({ command, user }) => `${command} ${user}`),
    ['USER a', 'USER b', 'USER c', 'PASS a'],
  );
  await reply(0, 'c', 'NOTFOUND');
  service.end(0).peer.send('USER\t1\tBob\tuid=5\n');
  await reply(0, 'b', 'FAIL\tID\treason=no database');
  assert.equal(shown(answers), 'c not-found, a found, b auth-failed');
  service.end(0).peer.send('PASS\t4\tuser=a\tproxy=y\thost=mail2\tpass=hop-secret\n');
  const answer = await pass;
  assert.deepEqual(answer, {
    kind: 'found',
    user: 'a',
    fields: new Map([
      ['proxy', 'y'],
      ['host', 'mail2'],
    ]),
  });
  assert.doesNotMatch(inspect([answer, lookup], { depth: 9, showHidden: true }), /hop-secret/);
  assert.equal(service.dialler.dials, 1);
  assert.deepEqual(told, [undefined, undefined, undefined, undefined]);
  await finish();
});

/** Whether the service is asked for a user; `line`: its answer. */
async function askService(
  { service, lookup }: ReturnType<typeof open>,
  user: string,
  line: string,
): Promise<boolean> {
  const before = service.dialler.ends.length === 0 ? 0 : service.heard(0).length;
  const answer = lookup.user(user);
  await settle();
  const isAsked = service.heard(0).length > before;
  if (isAsked) service.reply(0, user, line);
  const given = await answer;
  assert.equal(given.kind, line.startsWith('USER') ? 'found' : line === 'NOTFOUND' ? 'not-found' : 'failed');
  return isAsked;
}

void test('answers are remembered for a time, missing users for a shorter one, failures never', async () => {
  const opened = open();
  const { service, clock, lookup, finish } = opened;
  const asked = (user: string, line: string) => askService(opened, user, line);
  const found = 'USER\tID\ta';
  assert.deepEqual([await asked('a', found), await asked('a', found)], [true, false]);
  assert.deepEqual([await asked('b', 'NOTFOUND'), await asked('b', 'NOTFOUND')], [true, false]);
  assert.deepEqual([await asked('c', 'FAIL\tID'), await asked('c', 'FAIL\tID')], [true, true]);
  assert.equal(await asked('A', 'NOTFOUND'), true); // another name
  await clock.advance(999);
  assert.deepEqual([await asked('a', found), await asked('b', 'NOTFOUND')], [false, false]);
  await clock.advance(1);
  assert.deepEqual([await asked('a', found), await asked('b', 'NOTFOUND')], [false, true]);
  await clock.advance(2_000);
  assert.deepEqual([await asked('a', found), await asked('a', found)], [true, false]);
  const pass = lookup.pass('a'); // another question
  await settle();
  assert.equal(service.heard(0).at(-1)?.command, 'PASS');
  await finish();
  assert.deepEqual(await pass, { kind: 'failed', code: 'closed' });
});

// bounds.lookupBytes
void test('what is remembered is bounded by its bytes and its number: the oldest answers go first', async () => {
  for (const [limits, count, kept, gone] of [
    [{ rememberedBytesMax: 20_000, rememberedMax: 1_000 }, 40, [39], 10],
    [{ rememberedMax: 2 }, 3, [2, 1], 0],
  ] as const) {
    const opened = open(limits);
    const ask = (at: number) => askService(opened, `${at}${'x'.repeat(300)}`, 'NOTFOUND');
    for (let at = 0; at < count; at += 1) assert.equal(await ask(at), true);
    for (const at of kept) assert.equal(await ask(at), false);
    assert.equal(await ask(gone), true);
    await opened.finish();
  }
});

void test('nothing is remembered where its time is 0', async () => {
  const { service, ask, reply, finish, answers } = open({ foundTtlMs: 0, notFoundTtlMs: 0 });
  for (const line of ['USER\tID\ta', 'NOTFOUND']) {
    answers.clear();
    await ask('a');
    await reply(0, 'a', line);
  }
  assert.equal(service.heard(0).length, 2);
  await finish();
});

void test('the same question at the same time is one', async () => {
  const { service, lookup, finish } = open();
  const both = [lookup.user('a'), lookup.user('a')];
  await settle();
  assert.equal(service.heard(0).length, 1);
  service.reply(0, 'a', 'NOTFOUND');
  assert.deepEqual(await Promise.all(both), [{ kind: 'not-found' }, { kind: 'not-found' }]);
  await finish();
});

void test('a name that would be another one to the service is never asked for', async () => {
  const { service, lookup, finish } = open();
  for (const name of ['', 'alice\0junk', 'a\nb', 'a\tservice=imap', 'alice*bob', 'x'.repeat(1_000)]) {
    assert.deepEqual(await lookup.user(name), { kind: 'failed', code: 'name-unaskable' });
    assert.deepEqual(await lookup.pass(name), { kind: 'failed', code: 'name-unaskable' });
  }
  assert.equal(service.dialler.dials, 0);
  await finish();
});

// bounds.lookupQueue
void test('a queue has an end, and so has what is in flight', async () => {
  const { service, ask, reply, answers, finish } = open();
  await ask('a', 'b', 'c', 'd');
  await ask('1', '2', '3', '4', '5', '6');
  assert.deepEqual(usersOf(service.heard(0)), ['a', 'b', 'c', 'd']);
  await ask('7');
  assert.equal(shown(answers), '7 queue-full');
  await reply(0, 'b', 'NOTFOUND');
  assert.deepEqual(usersOf(service.heard(0)), ['a', 'b', 'c', 'd', '1']);
  await finish();
  assert.equal(answers.get('6'), 'closed');
});

// bounds.lookupQueue
void test('a queue that is full of questions of one place, from many accounts, shuts out no other place', async () => {
  const { lookup, finish } = open();
  const failed = new Map<string, string>();
  const askFor = (user: string, principal: string, origin: string): void => {
    void lookup.user(user, { principal, origin }).then((answer) => {
      if (answer.kind === 'failed') failed.set(user, answer.code);
    });
  };
  for (let n = 1; n <= 10; n += 1) {
    askFor(`hog${n}`, `account${n % 5}@jobs`, '192.0.2.1');
    await settle();
  }
  askFor('victim', 'desk@support', 'uid 1000');
  await settle();
  assert.deepEqual([...failed.values()], ['queue-full']);
  assert.ok(!failed.has('victim'));
  askFor('hog11', 'account1@jobs', '192.0.2.1');
  await settle();
  assert.equal(failed.get('hog11'), 'queue-full');
  await finish();
});

// bounds.lookupMs
void test('a question without a reply fails in time; where others are answered, the transport stays', async () => {
  const { clock, service, ask, reply, answers, finish } = open();
  await ask('slow');
  await clock.advance(9_000);
  await ask('quick');
  await reply(0, 'quick', 'NOTFOUND');
  await clock.advance(1_000);
  assert.equal(answers.get('slow'), 'reply-timeout');
  await ask('next');
  await reply(0, 'slow', 'USER\tID\tslow'); // late: dropped
  await reply(0, 'next', 'NOTFOUND');
  assert.equal(answers.get('next'), 'not-found');
  assert.equal(service.dialler.dials, 1);
  await finish();
});

void test('of a transport with so many late replies no more is asked', async () => {
  const { clock, service, ask, reply, finish } = open();
  for (let count = 1; count <= lookupLimitsForTests.lateMax; count += 1) {
    await ask(`late${count}`);
    await clock.advance(5_000);
    await ask(`good${count}`);
    await reply(0, `good${count}`, 'NOTFOUND');
    assert.equal(service.dialler.dials, 1, `${count}`);
    await clock.advance(5_000);
  }
  await ask('next');
  assert.deepEqual([service.dialler.dials, usersOf(service.heard(1))], [2, ['next']]);
  await finish();
});

void test('one that is silent is left, but not closed at once', async () => {
  const { clock, service, ask, reply, answers, finish } = open();
  await ask('a');
  await clock.advance(10_000);
  assert.equal(answers.get('a'), 'reply-timeout');
  assert.equal(service.dialler.open.length, 1);
  await ask('b');
  assert.equal(service.dialler.open.length, 2);
  await reply(1, 'b', 'USER\tID\tb');
  assert.equal(answers.get('b'), 'found');
  await clock.advance(5_000);
  assert.equal(service.end(0).transport.closedFor, 'reply-timeout');
  assert.equal(service.dialler.open.length, 1);
  await finish();
});

void test('the end of the service with questions in flight: each is asked again once, alone', async () => {
  const { service, clock, ask, reply, answers, finish, told } = open();
  await ask('first');
  await reply(0, 'first', 'NOTFOUND');
  await ask('a', 'b');
  service.end(0).peer.end();
  await settle();
  await ask('new');
  assert.equal(service.dialler.dials, 2);
  assert.deepEqual(usersOf(service.heard(1)), ['a']);
  await reply(1, 'a', 'USER\tID\ta');
  assert.deepEqual(usersOf(service.heard(1)), ['a', 'b']);
  await reply(1, 'b', 'NOTFOUND');
  assert.deepEqual(usersOf(service.heard(1)), ['a', 'b', 'new']);
  await reply(1, 'new', 'NOTFOUND');
  assert.deepEqual([...answers.keys()], ['first', 'a', 'b', 'new']);
  assert.deepEqual(told, [undefined, undefined, undefined, undefined]);
  await clock.advance(0);
  await finish();
});

void test('who kills the service alone is not asked for a while; the others are answered', async () => {
  const { service, clock, ask, reply, answers, finish, lookup } = open();
  service.dialler.onAccept(({ peer }) => peer.send(authGreeting));
  await ask('a', 'poison', 'b');
  service.end(0).peer.vanish();
  await clock.advance(100);
  await reply(1, 'a', 'NOTFOUND');
  assert.deepEqual(usersOf(service.heard(1)), ['a', 'poison']);
  service.end(1).peer.end();
  await clock.advance(100);
  assert.equal(answers.get('poison'), 'closed-early');
  assert.deepEqual(usersOf(service.heard(2)), ['b']);
  await reply(2, 'b', 'NOTFOUND');
  assert.equal(answers.get('b'), 'not-found');
  const { dials } = service.dialler;
  assert.deepEqual(await lookup.user('poison'), { kind: 'failed', code: 'closed-early' });
  assert.deepEqual(usersOf(service.heard(2)), ['b']);
  assert.equal(service.dialler.dials, dials);
  await clock.advance(30_000);
  answers.clear();
  await ask('poison');
  assert.deepEqual(usersOf(service.heard(2)), ['b', 'poison']);
  await finish();
});

void test('nobody listens: all fail at once, dials become rarer, and each dial is told', async () => {
  const { service, clock, ask, reply, answers, finish, told } = open();
  service.dialler.setAnswer('refuse');
  await ask('a', 'b');
  assert.equal(shown(answers), 'a dial-refused, b dial-refused');
  let waitedMs = 0;
  const waits = [100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000];
  for (const [index, wait] of waits.entries()) {
    await ask(`w${index}`);
    assert.ok(!answers.has(`w${index}`));
    await clock.advance(wait - 1);
    assert.equal(service.dialler.dials, index + 1, `after ${waitedMs} ms`);
    await clock.advance(1);
    assert.equal(answers.get(`w${index}`), 'dial-refused');
    waitedMs += wait;
  }
  service.dialler.setAnswer('accept');
  await ask('c');
  await clock.advance(5_000);
  await reply(0, 'c', 'NOTFOUND');
  assert.equal(answers.get('c'), 'not-found');
  assert.deepEqual(told, [...Array.from({ length: 9 }, () => 'dial-refused'), undefined]);
  service.end(0).peer.end();
  await settle();
  service.dialler.setAnswer('refuse');
  await ask('d');
  assert.equal(answers.get('d'), 'dial-refused'); // dialled at once: the last one had worked
  await finish();
});

// bounds.lookupGreetingMs
void test('what is no auth service, or one of the wrong type', async () => {
  const cases: [string, LinkFailure][] = [
    ['VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\n', 'wrong-socket'],
    ['VERSION\t2\t0\nSPID\t1\n', 'version-unsupported'],
    ['VERSION\t1\t4\n', 'dial-timeout'],
    ['x'.repeat(2_000), 'wire-fault'],
  ];
  for (const [greeting, failure] of cases) {
    const { clock, ask, answers, finish, told, service } = open({}, greeting);
    await ask('a', 'b');
    await clock.advance(1_000);
    assert.equal(shown(answers), `a ${failure}, b ${failure}`);
    assert.deepEqual(told, [failure]);
    assert.equal(service.dialler.open.length, 0);
    await finish();
  }
});

void test('bytes that are no replies end it; nobody gets an answer of them', async () => {
  for (const bytes of [
    'USER\t9\ta\n',
    'PASS\t1\tuser=root\n',
    'LIST\t1\troot\n',
    '\0\n',
    'y'.repeat(2_000),
  ]) {
    const { clock, service, ask, answers, finish, told } = open();
    await ask('a', 'b', 'c', 'd', 'waits');
    service.end(0).peer.send(bytes);
    await settle();
    assert.deepEqual([...answers.values()], Array<string>(5).fill('wire-fault'));
    assert.equal(service.end(0).transport.closedFor, 'wire-fault');
    assert.deepEqual(told, ['wire-fault']);
    await ask('e');
    assert.equal(service.dialler.dials, 1);
    await clock.advance(100);
    assert.equal(service.dialler.dials, 2);
    await finish();
  }
});

void test('an answer that holds no sound name is a failure', async () => {
  const { service, ask, answers, finish } = open();
  await ask('a', 'b');
  service.end(0).peer.send(Buffer.from('USER\t1\t\xff\nUSER\t2\ta\x010\n', 'latin1'));
  await settle();
  assert.deepEqual([...answers.values()], ['bad-answer', 'bad-answer']);
  await finish();
});

void test('a transport that is old gets no more questions, and finishes those that it has', async () => {
  const { clock, service, ask, reply, answers, finish } = open({ questionTimeoutMs: 500_000 });
  await ask('a');
  await clock.advance(179_999);
  await ask('b');
  await clock.advance(1);
  await ask('c');
  assert.deepEqual([usersOf(service.heard(0)), usersOf(service.heard(1))], [['a', 'b'], ['c']]);
  await reply(1, 'c', 'NOTFOUND');
  await reply(0, 'b', 'NOTFOUND');
  assert.equal(service.dialler.open.length, 2);
  await reply(0, 'a', 'NOTFOUND');
  assert.equal(service.end(0).transport.closedFor, 'lifetime');
  assert.deepEqual([...answers.values()], ['not-found', 'not-found', 'not-found']);
  await finish();
});

void test('closed: everybody is answered, and what is in flight is read to its end', async () => {
  const { service, ask, answers, lookup, clock } = open();
  await ask('a', 'b', 'c', 'd', 'waits');
  service.end(0).peer.send('NOTFOUND\t2\n');
  await settle();
  const closed = [lookup.close(), lookup.close()];
  let isClosed = false;
  void Promise.all(closed).then(() => {
    isClosed = true;
  });
  await settle();
  assert.deepEqual(answers.get('a'), 'closed');
  assert.equal(answers.size, 5);
  assert.deepEqual(await lookup.user('e'), { kind: 'failed', code: 'closed' });
  service.end(0).peer.send('FAIL\t1\n');
  await settle();
  assert.ok(!isClosed && service.dialler.open.length === 1);
  service.end(0).peer.send('FAIL\t3\nFAIL\t4\nFAIL\t5\n');
  await settle();
  assert.ok(isClosed);
  assert.equal(clock.timers, 0);
  assert.equal(service.dialler.open.length, 0);
});

void test('whatever port call fails: every question has an answer, and nothing stays', async () => {
  const calls = await failAtEach(async (failAt) => {
    const clock = createFakeClock();
    const service = scriptAuthService();
    const dial = failable(
      failAt,
      'dial',
      service.dialler.connect,
      () => new UpstreamFault('dial-refused', 'no'),
    );
    const lookup = new Lookup({
      address: authAddress,
      connect: async (address, signal) => failableTransport(failAt, 'auth', await dial(address, signal)),
      clock: failableClock(failAt, clock),
      limits: lookupLimitsForTests,
      tell: () => undefined,
    });
    const kinds: string[] = [];
    for (const user of ['a', 'b', 'c']) {
      const answer = lookup.user(user);
      // The service answers whatever was asked on any transport that is open.
      for (let turn = 0; turn < 4; turn += 1) {
        await clock.advance(100);
        for (const [index, { transport, peer }] of service.dialler.ends.entries()) {
          if (transport.closedFor !== undefined || peer.received().length === 0) continue;
          if (service.heard(index).at(-1)?.user === user) service.reply(index, user, `USER\tID\t${user}`);
          await settle();
        }
      }
      await clock.advance(20_000);
      const given = await answer;
      kinds.push(given.kind);
      if (given.kind === 'found') assert.equal(given.user, user);
    }
    if (failAt.failed === undefined) assert.deepEqual(kinds, ['found', 'found', 'found']);
    else assert.ok(kinds.filter((kind) => kind === 'found').length >= 1, kinds.join());
    const closed = lookup.close();
    await clock.advance(5_000);
    await closed;
    assert.equal(clock.timers, 0);
    assert.equal(service.dialler.open.length, 0);
  });
  assert.ok(calls >= 10, `${calls} calls`);
});

void test('random events: answers are right or failures, and come in time', async (t) => {
  const random = seededRandom(Number(process.env['DOVEGATE_SEED'] ?? 20_260_101));
  const outcomes = new Map<string, number>();
  for (let story = 0; story < 300; story += 1) {
    const { clock, service, lookup, finish } = open({ queueMax: 20, foundTtlMs: 50, notFoundTtlMs: 20 });
    const pending = new Set<{ user: string; sinceMs: number }>();
    const ask = (user: string): void => {
      const entry = { user, sinceMs: clock.now() };
      pending.add(entry);
      void lookup.user(user).then((answer) => {
        pending.delete(entry);
        assert.ok(clock.now() - entry.sinceMs <= 10_000);
        if (answer.kind === 'found') assert.equal(answer.user, `${user}!`);
        const outcome = answer.kind === 'failed' ? answer.code : answer.kind;
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      });
    };
    const answered = new Set<string>();
    for (let event = 0; event < 60; event += 1) {
      const { ends, open: alive } = service.dialler;
      const index = randomInteger(random, 0, Math.max(0, ends.length - 1));
      const chosen = ends[index];
      const isAlive = chosen !== undefined && alive.includes(chosen) && chosen.peer.received().length > 0;
      const dice = random();
      if (dice < 0.4) ask(`u${randomInteger(random, 0, 9)}`);
      else if (dice < 0.8 && isAlive) {
        const missing = service.heard(index).filter(({ id }) => !answered.has(`${index} ${id}`));
        const question = missing[randomInteger(random, 0, Math.max(0, missing.length - 1))];
        if (question !== undefined) {
          answered.add(`${index} ${question.id}`);
          const line = random() < 0.2 ? 'FAIL\tID' : random() < 0.2 ? 'NOTFOUND\tID' : 'USER\tID\tNAME!';
          chosen.peer.send(`${line.replace('ID', question.id).replace('NAME', question.user)}\n`);
        }
      } else if (dice < 0.84 && isAlive) {
        if (random() < 0.5) chosen.peer.vanish();
        else chosen.peer.end();
        await settle();
      } else if (dice < 0.86 && isAlive) chosen.peer.send('HELLO\n');
      else if (dice < 0.88) service.dialler.setAnswer(random() < 0.7 ? 'accept' : 'refuse');
      else await clock.advance(randomInteger(random, 1, random() < 0.1 ? 12_000 : 200));
      if (random() < 0.7) await settle();
    }
    service.dialler.setAnswer('accept');
    await clock.advance(10_000);
    assert.equal(pending.size, 0, `story ${story}`);
    await finish();
  }
  for (const outcome of [
    'found',
    'not-found',
    'auth-failed',
    'reply-timeout',
    'closed-early',
    'wire-fault',
    'dial-refused',
  ]) {
    assert.ok((outcomes.get(outcome) ?? 0) > 0, outcome);
  }
  t.diagnostic([...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', '));
});

// Goal: every name that a command may touch is known before it is judged. What must not happen: a failure that passes for "no alias", an
// endless chain, an alias that no policy could name.

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
