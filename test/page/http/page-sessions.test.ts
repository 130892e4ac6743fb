// Links and sessions of the page: once, for a minute, for one person; eight hours, or until the person is not the same any more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createPageSessions,
  type Entered,
  linkMs,
  linksPerPersonMax,
  peopleMax,
  sessionMs,
  sessionsPerPersonMax,
} from '../../../src/page/http/page-sessions.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

const opener = { uid: 1001, loginUid: 1002, loginUser: 'bob' };

function desk() {
  const clock = createFakeClock();
  const gone = new Set<string>();
  const sessions = createPageSessions({ clock });
  const isStill = (name: string) => (): boolean => !gone.has(name);
  return {
    clock,
    sessions,
    gone,
    link: (name = 'alice') => sessions.link(name, opener, isStill(name)),
    enter: (name = 'alice') =>
      opened(sessions.enter({ name, how: 'password', address: '192.0.2.1', isStill: isStill(name) })),
  };
}

function opened(entered: Entered) {
  if (entered.kind !== 'entered') throw new Error(`not entered: ${entered.kind}`);
  return entered;
}

void test('a link opens one session, of its person', () => {
  const { sessions, link } = desk();
  const text = link();
  assert.match(text, /^[A-Za-z0-9_-]{43}$/);
  const { token, session } = opened(sessions.redeem(text, '192.0.2.1'));
  assert.deepEqual(session.opener, opener);
  assert.match(token, /^[A-Za-z0-9_-]{43}$/);
  assert.notEqual(token, text);
  assert.equal(session.name, 'alice');
  assert.deepEqual(sessions.find(token), { kind: 'live', session });
  assert.equal(sessions.find(text).kind, 'unknown', 'a link is no token');
  assert.equal(sessions.redeem(token, '192.0.2.1').kind, 'unknown', 'a token is no link');
});

void test('a link holds for a minute', async () => {
  const { sessions, link, clock } = desk();
  const [early, late] = [link(), link()];
  await clock.advance(linkMs - 1);
  assert.equal(sessions.redeem(early, undefined).kind, 'entered');
  await clock.advance(1);
  assert.deepEqual(sessions.redeem(late, undefined), { kind: 'late', name: 'alice' });
});

void test('a link of a person who is gone opens nothing', () => {
  const { sessions, link, gone } = desk();
  const text = link();
  gone.add('alice');
  assert.equal(sessions.redeem(text, undefined).kind, 'late');
  gone.clear();
  assert.equal(sessions.redeem(text, undefined).kind, 'late', 'nor when the person is back');
});

void test('links of one person: the oldest gives way', () => {
  const { sessions, link } = desk();
  const texts = Array.from({ length: linksPerPersonMax + 1 }, () => link());
  const other = link('bob');
  assert.equal(sessions.redeem(texts[0] ?? '', undefined).kind, 'late');
  for (const text of [...texts.slice(1), other])
    assert.equal(sessions.redeem(text, undefined).kind, 'entered');
});

// bounds.pageSessionMs
void test('a session ends after eight hours, and leaves no timer', async () => {
  const { sessions, enter, clock } = desk();
  const { token, session } = enter();
  assert.equal(session.endsMs, clock.wallMs() + sessionMs);
  await clock.advance(sessionMs - 1);
  assert.equal(sessions.find(token).kind, 'live');
  await clock.advance(1);
  assert.deepEqual(sessions.find(token), { kind: 'ended', name: 'alice' });
  assert.ok(!sessions.isLive(session));
  assert.equal(clock.timers, 0);
});

void test('a session ends with its person: at the next request, or at a review', () => {
  const { sessions, enter, gone } = desk();
  const [first, second, other] = [enter(), enter(), enter('bob')];
  let ended = 0;
  for (const { session } of [second, other]) assert.ok(sessions.begin(session, 1, () => (ended += 1)));
  gone.add('alice');
  assert.equal(sessions.isLive(first.session), false);
  assert.deepEqual(sessions.find(first.token), { kind: 'ended', name: 'alice' });
  assert.equal(ended, 0);
  sessions.review();
  assert.equal(ended, 1, 'its request is told');
  assert.ok(sessions.isLive(other.session));
  gone.clear();
  assert.equal(sessions.find(first.token).kind, 'ended', 'a person who is back signs in again');
});

void test('signing out ends one session', () => {
  const { sessions, enter, clock } = desk();
  const [one, other] = [enter(), enter()];
  sessions.leave(one.session);
  sessions.leave(one.session);
  assert.equal(sessions.find(one.token).kind, 'ended');
  assert.equal(sessions.find(other.token).kind, 'live');
  sessions.close();
  assert.equal(sessions.find(other.token).kind, 'ended');
  assert.equal(clock.timers, 0);
});

void test('sessions of one person: the one that was used least lately gives way', async () => {
  const { sessions, enter, clock } = desk();
  const all = [];
  for (let count = 0; count < sessionsPerPersonMax; count += 1) {
    all.push(enter());
    await clock.advance(1);
  }
  assert.equal(sessions.find(all[0]?.token ?? '').kind, 'live');
  const last = enter();
  const kinds = [...all, last].map(({ token }) => sessions.find(token).kind);
  assert.deepEqual(kinds, ['live', 'ended', ...Array<string>(sessionsPerPersonMax - 1).fill('live')]);
});

// bounds.people
void test('twenty people at once; a person who comes back must wait as well; sessions that are not used take no place', async () => {
  const { sessions, enter, clock, link } = desk();
  const idle = enter('idle');
  await clock.advance(60_000);
  const all = Array.from({ length: peopleMax }, (_, index) => enter(`person-${index}`));
  const text = link('late');
  assert.equal(sessions.redeem(text, undefined).kind, 'crowded');
  assert.deepEqual(sessions.find(idle.token), { kind: 'crowded', name: 'idle' });
  assert.equal(sessions.find(all[0]?.token ?? '').kind, 'live');
  assert.equal(enter('person-1').kind, 'entered', 'a second window takes no place');
  const [first] = all;
  const done = first && sessions.begin(first.session, 1, () => undefined);
  assert.ok(done);
  await clock.advance(59_999);
  for (const { token } of all.slice(2)) sessions.find(token);
  await clock.advance(1);
  // The last two were not used; a stream runs in the first.
  assert.deepEqual(sessions.redeem(text, undefined).kind, 'late', 'a minute is over');
  assert.equal(sessions.find(idle.token).kind, 'live');
  const another = { name: 'another', how: 'link', address: undefined, isStill: () => true } as const;
  assert.equal(sessions.enter(another).kind, 'crowded');
});

void test('guesses are remembered nowhere', () => {
  const { sessions, link } = desk();
  const text = link();
  for (let guess = 0; guess < 1_000; guess += 1) sessions.redeem(`guess-${guess}`, undefined);
  assert.equal(sessions.redeem('guess-1', undefined).kind, 'unknown');
  assert.equal(sessions.redeem(text, undefined).kind, 'entered');
});

void test('so many that ended are told apart from guesses; the oldest is forgotten first', () => {
  const { sessions, enter } = desk();
  const tokens = Array.from({ length: 256 + 1 }, () => {
    const { token, session } = enter();
    sessions.leave(session);
    return token;
  });
  const kinds = tokens.map((token) => sessions.find(token).kind);
  assert.deepEqual([kinds[0], kinds[1], kinds.at(-1)], ['unknown', 'ended', 'ended']);
});
