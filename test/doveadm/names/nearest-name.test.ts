// Goal: the nearest name is the one that was meant.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from '../../../src/doveadm/names/nearest-name.js';

const names = ['quota get', 'quota recalc', 'mailbox list', 'mailbox delete', 'tls', 'users'];

void test('the nearest name', () => {
  const table: Record<string, string | undefined> = {
    'quota gte': 'quota get',
    'Quota Get': 'quota get',
    'mailbox lst': 'mailbox list',
    tsl: 'tls',
    user: 'users',
    'quota r': 'quota recalc',
    exec: undefined,
    x: undefined,
  };
  for (const [name, expected] of Object.entries(table))
    assert.equal(nearestName(name, names), expected, name);
});
