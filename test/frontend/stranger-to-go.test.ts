// Goal: who goes where there is no room, by table. Never anybody who has logged in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Placed, strangerToGo } from '../../src/frontend/stranger-to-go.js';

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
    assert.equal(strangerToGo(read(sessions), 'n')?.at, expected, sessions);
  }
});
