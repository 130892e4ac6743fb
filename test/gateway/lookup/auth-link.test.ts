// Goal: one transport from its dial to its end, in every state. What must not happen: an id used twice, a second end, a timer or a
// transport that stays.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthLink, type LinkFailure, type LinkQuestion } from '../../../src/gateway/lookup/auth-link.js';
import type { AuthAnswer } from '../../../src/gateway/lookup/auth-protocol.js';
import { createFakeClock, settle } from '../../kit/fake-clock.js';
import {
  authAddress,
  authGreeting,
  lookupLimitsForTests as limits,
  scriptAuthService,
} from './auth-service.js';

function open(greeting: string | null = authGreeting, dial: 'accept' | 'refuse' | 'hang' = 'accept') {
  const clock = createFakeClock();
  const service = scriptAuthService(greeting ?? undefined);
  service.dialler.setAnswer(dial);
  const answers: [string, AuthAnswer['kind']][] = [];
  const ends: { failure: LinkFailure | undefined; unanswered: string[] }[] = [];
  if (greeting === null) service.dialler.onAccept(() => undefined);
  const link: AuthLink<LinkQuestion> = new AuthLink<LinkQuestion>(
    authAddress,
    service.dialler.connect,
    clock,
    limits,
    {
      greeted: () => assert.ok(link.takesQuestions),
      answered: (_link, { user }, { kind }) => answers.push([user, kind]),
      ended(_link, failure, unanswered) {
        ends.push({ failure, unanswered: unanswered.map(({ user }) => user) });
      },
    },
  );
  const assertTidy = (): void => {
    assert.equal(ends.length, 1);
    assert.equal(clock.timers, 0);
    assert.equal(service.dialler.open.length, 0);
    assert.ok(!link.isUsable && !link.takesQuestions);
    assert.equal(link.inFlight, 0);
  };
  return { clock, service, link, answers, ends, assertTidy };
}

const ask = (user: string): LinkQuestion => ({ kind: 'user', user });

void test('greeted, asked, answered in another order, idle, over', async () => {
  const { clock, service, link, answers, ends, assertTidy } = open();
  assert.ok(link.isUsable && !link.takesQuestions && !link.wasGreeted);
  await settle();
  assert.ok(link.takesQuestions && link.wasGreeted);
  link.ask(ask('a'));
  link.ask({ kind: 'pass', user: 'b' });
  assert.deepEqual(service.heard(0), [
    { command: 'USER', id: '1', user: 'a' },
    { command: 'PASS', id: '2', user: 'b' },
  ]);
  service.reply(0, 'b', 'PASS\tID\tuser=b');
  await settle();
  assert.equal(link.inFlight, 1);
  await clock.advance(120_000); // a question keeps it
  service.reply(0, 'a', 'NOTFOUND');
  await settle();
  assert.deepEqual(answers, [
    ['b', 'found'],
    ['a', 'not-found'],
  ]);
  assert.equal(link.answers, 2);
  assert.equal(clock.nextTimerMs, 60_000);
  link.ask(ask('c'));
  assert.equal(clock.timers, 0);
  service.reply(0, 'c', 'FAIL\tID');
  await clock.advance(60_000);
  assert.deepEqual(ends, [{ failure: undefined, unanswered: [] }]);
  assert.equal(service.end(0).transport.closedFor, 'idle-timeout');
  assertTidy();
});

void test('a question that nobody waits for keeps its id, and its reply is dropped', async () => {
  const { clock, service, link, answers, assertTidy } = open();
  await settle();
  const questions = [ask('a'), ask('b')] as const;
  for (const question of questions) link.ask(question);
  await clock.advance(5);
  service.reply(0, 'b', 'NOTFOUND');
  await settle();
  link.abandon(questions[0]);
  assert.equal(link.inFlight, 0);
  assert.ok(link.takesQuestions); // it talks
  link.ask(ask('c'));
  assert.deepEqual(
    service.heard(0).map(({ id }) => id),
    ['1', '2', '3'],
  );
  service.end(0).peer.send('USER\t1\ta\nNOTFOUND\t3\n');
  await settle();
  assert.deepEqual(answers, [
    ['b', 'not-found'],
    ['c', 'not-found'],
  ]);
  link.abandon(questions[0]); // again: nothing
  link.retire('draining');
  assertTidy();
});

void test('one that said nothing takes no more, and is read for a while before it is closed', async () => {
  for (const isAnsweredLate of [true, false]) {
    const { clock, service, link, ends, assertTidy } = open();
    await settle();
    await clock.advance(5);
    const question = ask('a');
    link.ask(question);
    await clock.advance(10);
    link.abandon(question);
    assert.ok(!link.isUsable);
    await clock.advance(limits.lingerMs - 1);
    assert.equal(ends.length, 0); // closing at once would kill 2.4.1
    if (isAnsweredLate) service.reply(0, 'a', 'FAIL\tID');
    await clock.advance(isAnsweredLate ? 0 : 1);
    assert.equal(service.end(0).transport.closedFor, 'reply-timeout');
    assertTidy();
  }
});

// bounds.lookupLate
void test('so many late replies and no more', async () => {
  const { clock, link, service, assertTidy } = open();
  await settle();
  for (let count = 1; count <= limits.lateMax; count += 1) {
    assert.ok(link.takesQuestions, `${count}`);
    const question = ask(`late${count}`);
    link.ask(question);
    await clock.advance(1);
    link.ask(ask(`good${count}`));
    service.reply(0, `good${count}`, 'NOTFOUND');
    await settle();
    link.abandon(question);
  }
  assert.ok(!link.takesQuestions);
  await clock.advance(limits.lingerMs);
  assertTidy();
});

void test('retired while questions are in flight: they are answered first', async () => {
  const { service, link, answers, assertTidy, clock } = open();
  await settle();
  link.ask(ask('a'));
  link.retire('lifetime');
  link.retire('draining');
  await clock.advance(100_000);
  assert.ok(!link.takesQuestions);
  service.reply(0, 'a', 'USER\tID\ta');
  await settle();
  assert.deepEqual(answers, [['a', 'found']]);
  assert.equal(service.end(0).transport.closedFor, 'lifetime');
  assertTidy();
});

void test('retired before it was greeted', async () => {
  const dialing = open();
  dialing.link.retire('draining');
  assert.deepEqual(dialing.ends, [{ failure: undefined, unanswered: [] }]);
  await settle(); // the dial may have succeeded meanwhile
  dialing.assertTidy();
  const greeting = open(null);
  await settle();
  greeting.link.retire('draining');
  assert.deepEqual(greeting.ends, [{ failure: undefined, unanswered: [] }]);
  greeting.assertTidy();
});

void test('how it fails before the greeting', async () => {
  const cases: [string, LinkFailure][] = [
    ['VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\n', 'wrong-socket'],
    ['VERSION\t2\t0\n', 'version-unsupported'],
    ['* OK Dovecot ready.\n', 'version-unsupported'],
    ['x'.repeat(2_000), 'wire-fault'],
  ];
  for (const [greeting, failure] of cases) {
    const { ends, assertTidy } = open(greeting);
    await settle();
    assert.deepEqual(ends, [{ failure, unanswered: [] }], greeting);
    assertTidy();
  }
  const refused = open(authGreeting, 'refuse');
  await settle();
  assert.deepEqual(refused.ends, [{ failure: 'dial-refused', unanswered: [] }]);
  refused.assertTidy();
  const hanging = open(authGreeting, 'hang');
  await hanging.clock.advance(limits.greetingTimeoutMs);
  assert.deepEqual(hanging.ends, [{ failure: 'dial-timeout', unanswered: [] }]);
  hanging.assertTidy();
});

// bounds.lookupGreetingMs
void test('no greeting in time: the 2.4 listener of the wrong type may say VERSION and nothing else', async () => {
  for (const greeting of [null, 'VERSION\t1\t4\n']) {
    const { clock, ends, assertTidy } = open(greeting);
    await clock.advance(limits.greetingTimeoutMs - 1);
    assert.equal(ends.length, 0);
    await clock.advance(1);
    assert.deepEqual(ends, [{ failure: 'dial-timeout', unanswered: [] }]);
    assertTidy();
  }
});

void test('how it fails with questions in flight', async () => {
  const cases: [string | null, LinkFailure][] = [
    [null, 'closed-early'],
    ['NOTFOUND\t7\n', 'wire-fault'],
    ['PASS\t1\tuser=a\n', 'wire-fault'],
    ['LIST\t1\ta\n', 'wire-fault'],
    ['OK\t1\t2\n', 'wire-fault'],
    ['HELLO\t1\n', 'wire-fault'],
    ['CUID\t1\n', 'wrong-socket'],
    ['x'.repeat(2_000), 'wire-fault'],
  ];
  for (const [bytes, failure] of cases) {
    const { service, link, ends, answers, assertTidy } = open();
    await settle();
    link.ask(ask('a'));
    link.ask(ask('b'));
    if (bytes === null) service.end(0).peer.end();
    else service.end(0).peer.send(bytes);
    await settle();
    assert.deepEqual(ends, [{ failure, unanswered: ['a', 'b'] }], String(bytes));
    assert.deepEqual(answers, []);
    assertTidy();
  }
  const { service, link, ends, assertTidy } = open();
  await settle();
  link.ask(ask('a'));
  service.end(0).peer.vanish();
  await settle();
  assert.deepEqual(ends, [{ failure: 'closed-early', unanswered: ['a'] }]);
  assertTidy();
});

void test("a reply and its link's end in one chunk: the reply counts, what is behind does not", async () => {
  const { service, link, answers, ends, assertTidy } = open();
  await settle();
  link.ask(ask('a'));
  link.retire('draining');
  service.end(0).peer.send('USER\t1\ta\nNOTFOUND\t9\n');
  await settle();
  assert.deepEqual(answers, [['a', 'found']]);
  assert.deepEqual(ends, [{ failure: undefined, unanswered: [] }]);
  assertTidy();
});
