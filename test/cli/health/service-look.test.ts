// Goal: what is looked at is looked at with the rights of the daemon's user, and a service that fails at each start is known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemonUidOf } from '../../../src/cli/health/looks.js';
import { noService, readService } from '../../../src/cli/health/service-look.js';

void test('the user of the daemon: of its socket, of its unit, of its state; the owner of the journal counts last', () => {
  const settings = { admin: { unix: '/a.sock' }, state: '/state', audit: { directory: '/audit' } };
  const owners = new Map([
    ['/a.sock', 1],
    ['/state', 2],
    ['/audit', 3],
  ]);
  const find = (uid?: number): number | undefined =>
    daemonUidOf(settings, { ...noService, uid }, (path) => owners.get(path));
  assert.equal(find(4), 1);
  owners.delete('/a.sock');
  assert.equal(find(4), 4);
  assert.equal(find(), 2);
  owners.delete('/state');
  assert.equal(find(), 3);
});

void test('the unit: its user, and whether it fails at each start', () => {
  const uidOf = (name: string): number | undefined => (name === 'dovegate' ? 999 : undefined);
  const lines = (active: string, sub: string): string =>
    `LoadState=loaded\nActiveState=${active}\nSubState=${sub}\nUser=dovegate\n`;
  assert.deepEqual(readService(lines('active', 'running'), uidOf), { uid: 999, isFailing: false });
  assert.deepEqual(readService(lines('inactive', 'dead'), uidOf), { uid: 999, isFailing: false });
  assert.deepEqual(readService(lines('activating', 'auto-restart'), uidOf), { uid: 999, isFailing: true });
  assert.deepEqual(readService(lines('failed', 'failed'), uidOf), { uid: 999, isFailing: true });
  assert.deepEqual(readService('LoadState=not-found\nUser=\n', uidOf), noService);
});
