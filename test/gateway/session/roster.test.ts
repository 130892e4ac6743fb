// Goal: who goes where there is no room, by table. Never anybody who has logged in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Roster, type RunningSession } from '../../../src/gateway/session/roster.js';

function sessionOf(standing: RunningSession['standing']): RunningSession {
  const nothing = (): void => undefined;
  return {
    place: undefined,
    done: new Promise(nothing),
    standing,
    isPermitted: () => true,
    giveWay: nothing,
    drain: nothing,
    abort: nothing,
    cut: nothing,
    running: undefined,
  };
}

/** `a` is silent, `a!` a suspect, `a+` known; each from the place of its letter. The position of the one that goes for `n`. */
function leaver(text: string, isProven: (key: string) => boolean): number | undefined {
  const roster = new Roster();
  const words = text.split(' ').filter((word) => word !== '');
  const sessions = words.map((word) => {
    const session = sessionOf(
      word.endsWith('+') ? 'known' : word.endsWith('!') ? 'suspect' : 'unauthenticated',
    );
    roster.add('support', word[0] ?? '', session);
    return session;
  });
  const [gone, ofAll] = (['listener', 'all'] as const).map((scope) =>
    roster.whoGivesWay(scope, 'support', 'n', isProven),
  );
  assert.equal(gone?.session, ofAll?.session, text);
  for (const [at, word] of words.entries()) {
    const session = sessions[at];
    if (session !== undefined) roster.delete('support', word[0] ?? '', session);
  }
  assert.deepEqual([roster.size, roster.sizes.size], [0, 0]);
  assert.equal(roster.whoGivesWay('all', 'support', 'n', isProven), undefined);
  return gone === undefined ? undefined : sessions.indexOf(gone.session);
}

void test('who goes for a newcomer from n', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['', undefined],
    ['a+ b+ n+', undefined],
    ['a b c', undefined],
    ['a+ b a! c', 2],
    // Of the place with most strangers, its oldest.
    ['a! b! b b!', 1],
    ['a a', 0],
    ['b a a', 1],
    // The newcomer would have as many.
    ['a a n', undefined],
    ['a a a n', 0],
    ['n n n', undefined],
    ['n n n!', 2],
    ['n! a+', 0],
  ];
  for (const [sessions, expected] of cases) {
    assert.equal(
      leaver(sessions, () => false),
      expected,
      sessions,
    );
  }
});

void test('who goes for a newcomer from n, where somebody logged in lately, as at p', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['', undefined],
    ['a+ b+', undefined],
    ['a b c', 0],
    ['a b b', 1],
    ['p a p', 1],
    ['a p!', 1],
    // Of those who are as good, as of everybody.
    ['p n', undefined],
    ['p p', 0],
  ];
  for (const [sessions, expected] of cases) {
    const gone = leaver(sessions, (key) => key === 'n' || key === 'p');
    assert.equal(gone, expected, sessions);
  }
});

void test('whoever logs in, or is taken out, is no candidate any more; a second time is no harm', () => {
  const roster = new Roster();
  const session: { -readonly [Key in keyof RunningSession]: RunningSession[Key] } =
    sessionOf('unauthenticated');
  const go = () => roster.whoGivesWay('listener', 'support', 'n', (key) => key === 'n')?.session;
  roster.update(session);
  roster.add('support', 'a', session);
  assert.equal(go(), session);
  assert.equal(
    roster.whoGivesWay('peer', 'support', 'a', () => true),
    undefined,
  );
  session.standing = 'suspect';
  roster.update(session);
  assert.equal(roster.whoGivesWay('peer', 'support', 'a', () => true)?.session, session);
  session.standing = 'known';
  roster.update(session);
  assert.equal(go(), undefined);
  assert.deepEqual([roster.size, roster.sizeAt('support'), roster.sizeAt('support', 'a')], [1, 1, 1]);
  roster.delete('support', 'a', session);
  roster.delete('support', 'a', session);
  assert.deepEqual([roster.size, roster.sizeAt('support'), [...roster].length], [0, 0, 0]);
});
