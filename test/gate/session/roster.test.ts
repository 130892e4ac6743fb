// Goal: which session is closed where there is no room, by table. Never one that has logged in; and those count apart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Roster, type RunningSession } from '../../../src/gate/session/roster.js';

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

const standings: Readonly<Record<string, RunningSession['standing']>> = {
  '?': 'checking',
  '+': 'known',
};

/** `a` is silent, `a?` is being checked, `a+` known; each from the place of its letter. */
function rosterOf(words: readonly string[]): { roster: Roster; sessions: RunningSession[] } {
  const roster = new Roster();
  const sessions = words.map((word) => {
    const session = sessionOf(standings[word.at(-1) ?? ''] ?? 'unauthenticated');
    roster.add('support', word[0] ?? '', session);
    return session;
  });
  return { roster, sessions };
}

/** The position of the one that is closed for a newcomer from `n`. */
function leaver(text: string, isProven: (key: string) => boolean): number | undefined {
  const words = text.split(' ').filter((word) => word !== '');
  const { roster, sessions } = rosterOf(words);
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

/** By default one more than are checked for one place. */
const many = (word: string, length = 17): string => Array.from({ length }, () => word).join(' ');

void test('who goes for a newcomer from n', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['', undefined],
    ['a+ b+ n+', undefined],
    ['a b c', 0],
    // Of the place with most strangers, its oldest.
    ['a a', 0],
    ['b a a', 1],
    ['a b? b b?', 2],
    // The newcomer would have as many: its own goes.
    ['a a n', 2],
    ['a a a n', 0],
    ['n n n', 0],
    // What is being checked stays, while there is another one.
    ['a? a? b', 2],
    ['a? b?', 0],
    ['a? b? n?', 2],
    ['n n? n', 0],
    ['n? a+', 0],
    // More than are checked for one place.
    [`b ${many('a?', 16)}`, 0],
    [`b ${many('a?')}`, 1],
    [`b ${many('a?')} a`, 1],
  ];
  for (const [sessions, expected] of cases) {
    const gone = leaver(sessions, () => false);
    assert.equal(gone, expected, sessions);
  }
});

void test('who goes for a newcomer from n, where somebody logged in lately, as at p', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['', undefined],
    ['a+ b+', undefined],
    ['a b c', 0],
    ['a b b', 1],
    ['p a p', 1],
    ['p p? a?', 0],
    [`p ${many('a?')}`, 1],
    // Of those who are as good, as of everybody.
    ['p n', 1],
    ['p p', 0],
  ];
  for (const [sessions, expected] of cases) {
    const gone = leaver(sessions, (key) => key === 'n' || key === 'p');
    assert.equal(gone, expected, sessions);
  }
});

void test('which one is closed for a newcomer of the same place', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['', undefined],
    ['n+', undefined],
    ['a n n', 1],
    ['n? n n', 1],
    ['n? n?', 0],
    [`n ${many('n?', 16)}`, 0],
    // More passwords and keys than are checked for one place.
    [`n ${many('n?')}`, 1],
  ];
  for (const [text, expected] of cases) {
    const { roster, sessions } = rosterOf(text.split(' ').filter((word) => word !== ''));
    const gone = roster.whoGivesWay('peer', 'support', 'n', () => false);
    assert.equal(gone === undefined ? undefined : sessions.indexOf(gone.session), expected, text);
  }
});

void test('known sessions and unauthenticated ones count apart', () => {
  const { roster, sessions } = rosterOf(['a', 'a+', 'a?', 'b+']);
  const counts = () => [
    roster.size,
    roster.sizeAt('support'),
    roster.sizeAt('support', 'a'),
    roster.unauthenticatedAt('support'),
    roster.unauthenticatedAt('support', 'a'),
  ];
  assert.deepEqual(counts(), [4, 2, 1, 2, 2]);
  assert.equal(new Set([...roster, ...sessions]).size, sessions.length);
  assert.equal([...roster].length, sessions.length);
  const { session } = roster.whoGivesWay('peer', 'support', 'a', () => false) ?? {};
  assert.ok(session);
  Reflect.set(session, 'standing', 'known');
  roster.update(session);
  assert.deepEqual(counts(), [4, 3, 2, 1, 1]);
});

void test('whoever logs in, or is taken out, is no candidate any more; a second time is no harm', () => {
  const roster = new Roster();
  const session: { -readonly [Key in keyof RunningSession]: RunningSession[Key] } =
    sessionOf('unauthenticated');
  const go = () => roster.whoGivesWay('listener', 'support', 'n', (key) => key === 'n')?.session;
  roster.update(session);
  roster.add('support', 'a', session);
  assert.equal(go(), session);
  assert.equal(roster.whoGivesWay('peer', 'support', 'a', () => true)?.session, session);
  session.standing = 'checking';
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
