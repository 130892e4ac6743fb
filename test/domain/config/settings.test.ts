// Goal: every default that the manual promises is the one that the code has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timerMsMax } from '../../../src/domain/config/schema-parts.js';
import { settingsOf, sound } from './sound.js';

void test('every default is filled in', () => {
  const settings = settingsOf(sound.replace(', shared_namespaces: []', ''));
  assert.deepEqual(settings.limits, {
    lineBytesMax: 65_536,
    queue: 256,
    queueTimeoutMs: 30_000,
    replyIdleMs: 600_000,
    clientStallMs: 45_000,
    minRateBytes: 65_536,
    logLinesMax: 10_000,
    handshakeMs: 5000,
    drainMs: 30_000,
    inputBytesMax: 1_073_741_824,
    inputTimeMs: 240_000,
    users: 100,
    httpBodyBytesMax: 16_777_216,
    httpStoredBytesMax: 536_870_912,
    httpStoredBytesPerPrincipalMax: 134_217_728,
    httpCommandsMax: 100,
    bufferedBytesMax: 268_435_456,
    deadlineMs: { read: 600_000, session: 60_000, write: 1_800_000, admin: 600_000, destroy: 1_800_000 },
  });
  assert.deepEqual(settings.listeners, [
    {
      name: 'support',
      socket: { kind: 'unix', path: '/run/s.sock', mode: 0o660 },
      protocol: 'doveadm',
      refusalCell: false,
      policies: [{ policy: 'support' }],
      sessions: 1000,
      sessionsPerPeer: 500,
      from: [],
      tls: undefined,
      accounts: [],
      keys: [],
      place: { file: '/etc/dovegate/d.yaml', line: 3, column: 3 },
    },
  ]);
  assert.deepEqual(settings.backends, [
    {
      name: 'mail1',
      address: { kind: 'tcp', host: '127.0.0.1', port: 24_245 },
      tls: 'off',
      serverName: '127.0.0.1',
      keyPins: [],
      username: 'doveadm',
      passwordFiles: ['/etc/p'],
      series: 'auto',
      namespaces: undefined,
      sharedNamespaces: undefined,
      connections: 4,
      idle: 1,
      idleTimeoutMs: 300_000,
      maxLifetimeMs: 3_600_000,
      connectTimeoutMs: 5000,
      greetingTimeoutMs: 5000,
      drained: false,
      place: { file: '/etc/dovegate/d.yaml', line: 5, column: 3 },
    },
  ]);
  assert.deepEqual(settings.mailUsers, { characters: 'A-Za-z0-9._+=@-', perLineMax: 100 });
  assert.equal(settings.state, '/var/lib/dovegate');
  assert.deepEqual([...settings.audit.strict], ['write', 'destroy', 'session', 'admin']);
  assert.equal(settings.audit.memoryFile, '/run/dovegate/audit.ring');
  assert.equal(settings.audit.memoryBytes, 16 * 1024 ** 2);
  assert.equal(settings.audit.segmentBytes, 67_108_864);
  assert.deepEqual(settings.audit.ship, []);
  assert.deepEqual(settings.log, { level: 'info' });
  assert.match(settings.hash, /^[0-9a-f]{64}$/);
});

void test('the longest timer is one that Node can set', () => {
  assert.equal(timerMsMax, 0x7fffffff);
});
