// Keys of the page: `g` waits for its letter, for a while.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKeyReader, type KeyMeaning, secondKeyMs } from '../../../src/page/web/keys.js';

void test('a letter after g is a screen, alone it is what it is', () => {
  const cases: [string, KeyMeaning[]][] = [
    ['gn', [{ do: 'wait' }, { do: 'go', key: 'n' }]],
    ['gjj', [{ do: 'wait' }, { do: 'go', key: 'j' }, { do: 'next' }]],
    ['gg', [{ do: 'wait' }, { do: 'go', key: 'g' }]],
    ['g?', [{ do: 'wait' }, { do: 'help' }]],
    ['k/', [{ do: 'previous' }, { do: 'search' }]],
    ['nK', [{ do: 'nothing' }, { do: 'nothing' }]],
  ];
  for (const [keys, meanings] of cases) {
    const reader = createKeyReader();
    assert.deepEqual(
      keys.split('').map((key, at) => reader.press(key, at * 100)),
      meanings,
      keys,
    );
  }
});

void test('g is forgotten after a while', () => {
  const reader = createKeyReader();
  reader.press('g', 0);
  assert.deepEqual(reader.press('j', secondKeyMs + 1), { do: 'next' });
});
