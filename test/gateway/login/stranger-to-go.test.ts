// Goal: who goes where there is no room, by table. Never anybody who has logged in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Placed, strangerToGo } from '../../../src/gateway/login/stranger-to-go.js';

/** `a` is silent, `a!` a suspect, `a+` known; each from the place of its letter. */
function read(text: string): (Placed & { readonly at: number })[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word, at) => ({
      at,
      key: word[0] ?? '',
      standing: word.endsWith('+') ? 'known' : word.endsWith('!') ? 'suspect' : 'stranger',
    }));
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
    assert.equal(strangerToGo(read(sessions), 'n', () => false)?.at, expected, sessions);
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
    const gone = strangerToGo(read(sessions), 'n', (key) => key === 'n' || key === 'p');
    assert.equal(gone?.at, expected, sessions);
  }
});
