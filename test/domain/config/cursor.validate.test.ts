// Goal: what is broken is taken out, so that the rest is still looked at, and nothing is told under a wrong number.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sound, told } from './sound.js';

void test('a broken item of a list neither moves the places nor the numbers of the others', () => {
  const text = sound.replace('[quota get]', '[{ comand: x }, quota gte, [], quota gte]');
  assert.deepEqual(
    told(text).map((line) => line.slice(0, line.indexOf(': ', 20))),
    [
      '11:13: policies.support.allow[0].command',
      '11:15: policies.support.allow[0].comand',
      '11:28: policies.support.allow[1]',
      '11:39: policies.support.allow[2]',
      '11:43: policies.support.allow[3]',
    ],
  );
});
