// Goal: a socket that a member of the team cannot reach is told, with what stands in the way.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lookAtListener } from '../../../src/gate/health/listener-look.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import type { ListenerSettings } from '../../../src/rules/config/settings.js';
import { openFolder } from '../../kit/plain/folder.js';

function listenerAt(path: string, more: Partial<ListenerSettings> = {}): ListenerSettings {
  return {
    name: 'support',
    socket: { kind: 'unix', path, mode: 0o666 },
    protocol: 'doveadm',
    refusalCell: false,
    // A user that every machine has, and that owns nothing.
    peers: { users: ['root', 'nobody'], groups: [] },
    policies: [],
    sessions: 10,
    sessionsPerPeer: 10,
    from: [],
    tls: undefined,
    accounts: [],
    keys: [],
    ...more,
  };
}

void test('a socket of systemd that the daemon has not: what makes it', () => {
  const listener = listenerAt('', { socket: { kind: 'systemd', name: 'billing' } });
  const { status, next } = lookAtListener(listener, false, systemClock);
  assert.deepEqual(
    [status, next],
    ['bad', 'systemctl enable dovegate@billing.socket && systemctl restart dovegate.service'],
  );
  assert.equal(lookAtListener(listener, true, systemClock).status, 'ok');
});

void test('a TCP address that nobody serves is no ok', () => {
  const listener = listenerAt('', { socket: { kind: 'tcp', host: '127.0.0.1', port: 8443 } });
  const look = (isServing: boolean | undefined): string => {
    const { status, text } = lookAtListener(listener, isServing, systemClock);
    return `${status}: ${text}`;
  };
  assert.equal(look(undefined), 'warning: tcp:127.0.0.1:8443: no daemon answered that serves it');
  assert.equal(look(true), 'ok: served at tcp:127.0.0.1:8443');
  assert.equal(look(false), 'bad: the daemon does not serve tcp:127.0.0.1:8443');
});

void test('the socket, its mode, and each directory above it', async (t) => {
  const folder = openFolder(t);
  chmodSync(folder, 0o755);
  const inner = join(folder, 'run');
  mkdirSync(inner);
  const path = join(inner, 's.sock');
  const look = (isServing: boolean | undefined) => {
    const { status, text } = lookAtListener(listenerAt(path), isServing, systemClock);
    return `${status}: ${text}`;
  };
  assert.match(look(undefined), /^warning: .* is not there yet/);
  assert.match(look(true), /^bad: .* is not there/);
  assert.match(look(false), /^bad: the daemon does not serve/);
  writeFileSync(path, '');
  assert.match(look(true), /^bad: .* is no socket/);
  rmSync(path);
  const server = net.createServer();
  await once(server.listen(path), 'listening');
  t.after(() => server.close());
  chmodSync(path, 0o600);
  assert.match(look(true), /^bad: .* has mode 0600, not 0666/);
  chmodSync(path, 0o666);
  // The folder for temporary files itself may be closed to others on some machines.
  const { status } = lookAtListener(listenerAt(path), true, systemClock);
  if (tmpdir() === '/tmp') assert.equal(status, 'ok');
  chmodSync(inner, 0o700);
  assert.match(look(true), new RegExp(`^bad: nobody cannot pass ${inner}$`));
});
