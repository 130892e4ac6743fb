// Goal: one answer to who the user of the daemon is, and to what lets it read a file.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemonUidOf, howToPermit } from '../../../src/rules/setup/inspect.js';

const settings = { admin: { unix: '/a.sock' }, state: '/state', audit: { directory: '/audit' } };

void test('the user of the daemon: of its socket, of its unit, of its state, of its journal, of its package', () => {
  const owners = new Map([
    ['/a.sock', 1],
    ['/state', 2],
    ['/audit', 3],
  ]);
  const system = {
    ownerOf: (path: string): number | undefined => owners.get(path),
    uidOf: (name: string): number | undefined => (name === 'dovegate' ? 5 : undefined),
  };
  const packaged = new Set(['/etc/dovegate/dovegate.yaml']);
  const find = (unitUid?: number, files = packaged): number | undefined =>
    daemonUidOf(settings, files, unitUid, system);
  assert.equal(find(4), 1);
  owners.delete('/a.sock');
  assert.equal(find(4), 4);
  assert.equal(find(), 2);
  owners.delete('/state');
  assert.equal(find(), 3);
  owners.delete('/audit');
  assert.equal(find(), 5);
  assert.equal(find(undefined, new Set(['/srv/dovegate.yaml'])), undefined);
});

void test('of a file that is not there, or that nobody denies, there is nothing to permit', () => {
  const nobody = { uid: 65534, gids: [65534] };
  for (const path of ['/no such folder/file', '/etc/passwd', ''])
    assert.equal(howToPermit(path, nobody, new Set()), '');
});
