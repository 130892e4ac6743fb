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
