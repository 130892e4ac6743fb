// Goal: the drop-in's own options stand in front of the command, its socket anywhere; the environment's counts where none is named.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeDoveadm } from '../../../src/cli/completion/candidates.js';

async function offered(text: string, socket?: string): Promise<[string, string[]]> {
  const asked: string[] = [];
  const found = await completeDoveadm(text.split(' '), socket, (at) => {
    asked.push(at);
    return Promise.resolve(undefined);
  });
  return [found.kind === 'words' ? found.words.map(({ word }) => word).join(' ') : found.kind, asked];
}

const table: readonly (readonly [text: string, offered: string, ...asked: string[]])[] = [
  ['-', '-D -v -f -h'],
  ['-v -', '-D -v -f -h'],
  ['-f ', 'table tab json flow pager'],
  ['-vf t', 'table tab'],
  ['-f tab quo', 'quota', '/env'],
  ['-D quota ', 'get recalc', '/env'],
  ['-- quo', 'quota', '/env'],
  ['quota get -', '-A -S -u -F'],
  ['doveg', 'dovegate', '/env'],
  ['help quota ', 'get recalc', '/env'],
  ['help doveg', '', '/env'],
];

for (const [text, expected, ...asked] of table) {
  void test(text, async () => assert.deepEqual(await offered(text, '/env'), [expected, asked]));
}

void test('nobody is asked where no socket is known', async () => {
  assert.deepEqual(await offered('quo'), ['quota', []]);
});
