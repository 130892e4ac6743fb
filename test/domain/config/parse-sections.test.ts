// Goal: sections that stand for themselves are read with their units, and values that could not work are told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordedBytesMax } from '../../../src/domain/audit/encode.js';
import { settingsOf, sound, testMistakes, told } from './sound.js';

void test('every simple key of the other sections', () => {
  const settings = settingsOf(`${sound}
mail_users: { default_realm: Example.COM, characters: "a-zA-Z@.-" }
state: state
audit: { directory: audit, group: auditors, strict: [write, destroy], memory: ring, memory_size: 2MiB, segment: 64KiB, deadline: 3s, keep: 30d, keep_min: 3d,
         max_size: 50%, unshipped_max: 1GiB, reserve: 1MiB, sign_key: key.pem, checkpoint_interval: 5s, hmac_key: hmac }
admin: { unix: admin.sock, mode: "0600", tcp: "[::1]:9146", token_file: token }
limits: { line: 32KiB, queue: 1, queue_timeout: 1s, reply_idle: 2s, client_stall: 3s, min_rate: 1KiB, log_lines: 8, handshake: 4s, drain: 6s,
          input: 1MiB, input_time: 7s, buffered: 2MiB, users: 250, http_body: 4MiB, http_commands: 7,
          http_stored: 64MiB, http_stored_per_principal: 32MiB,
          deadline: { read: 1s, session: 2s, write: 3s, admin: 4s, destroy: 5s } }
log: { level: debug }
`);
  assert.deepEqual(settings.mailUsers, {
    defaultRealm: 'example.com',
    characters: 'a-zA-Z@.-',
    perLineMax: 250,
  });
  assert.equal(settings.state, '/etc/dovegate/state');
  assert.deepEqual(settings.audit, {
    directory: '/etc/dovegate/audit',
    group: 'auditors',
    strict: new Set(['write', 'destroy']),
    memoryFile: '/etc/dovegate/ring',
    memoryBytes: 2_097_152,
    segmentBytes: 65_536,
    deadlineMs: 3000,
    keepMs: 30 * 24 * 3600 * 1000,
    keepMinMs: 3 * 24 * 3600 * 1000,
    sizeMax: { share: 0.5 },
    unshippedBytesMax: 1024 ** 3,
    reserveBytes: 1024 ** 2,
    checkpointIntervalMs: 5000,
    signKeyFile: '/etc/dovegate/key.pem',
    hmacKeyFile: '/etc/dovegate/hmac',
    ship: [],
  });
  assert.deepEqual(settings.admin, {
    unix: '/etc/dovegate/admin.sock',
    door: '/run/dovegate/door.sock',
    mode: 0o600,
    tcp: { host: '::1', port: 9146 },
    tokenFile: '/etc/dovegate/token',
  });
  assert.deepEqual(settings.limits, {
    lineBytesMax: 32_768,
    queue: 1,
    queueTimeoutMs: 1000,
    replyIdleMs: 2000,
    clientStallMs: 3000,
    minRateBytes: 1024,
    logLinesMax: 8,
    handshakeMs: 4000,
    drainMs: 6000,
    inputBytesMax: 1_048_576,
    inputTimeMs: 7000,
    users: 250,
    httpBodyBytesMax: 4_194_304,
    httpStoredBytesMax: 67_108_864,
    httpStoredBytesPerPrincipalMax: 33_554_432,
    httpCommandsMax: 7,
    bufferedBytesMax: 2_097_152,
    deadlineMs: { read: 1000, session: 2000, write: 3000, admin: 4000, destroy: 5000 },
  });
  assert.equal(settings.log.level, 'debug');
});

void test('the memory of records is whole pages', () => {
  const { memoryBytes } = settingsOf(`${sound}audit: { directory: audit, memory_size: 3000001B }\n`).audit;
  assert.equal(memoryBytes, 732 * 4096);
});

void test('half of the memory of records holds the records of the longest line, whatever was asked for', () => {
  for (const [line, kib] of [
    ['1KiB', 1],
    ['64KiB', 64],
    ['878KiB', 878],
  ] as const) {
    const { audit } = settingsOf(
      `${sound}audit: { directory: audit, memory_size: 64KiB }\nlimits: { line: ${line} }\n`,
    );
    assert.ok((audit.memoryBytes - 4096) / 2 >= recordedBytesMax(kib * 1024), line);
  }
});

testMistakes([
  [
    'mode that lets everybody in',
    'unix: /run/s.sock',
    'unix: /run/s.sock, mode: "0666"',
    '3:33: warning: listeners.support.mode: lets every user of this machine connect; say a group and "0660" unless that is meant',
  ],

  [
    'mode that lets nobody in',
    'unix: /run/s.sock',
    'unix: /run/s.sock, mode: "0440"',
    '3:33: listeners.support.mode: lets nobody connect: connecting needs write permission',
  ],
  [
    'no socket',
    'unix: /run/s.sock, ',
    '',
    '3:3: listeners.support: needs a socket; add unix: PATH, tcp: ADDRESS:PORT, or systemd: NAME',
  ],
  [
    'two sockets',
    'unix: /run/s.sock',
    'unix: /run/s.sock, systemd: support',
    '3:33: listeners.support.systemd: a listener has one socket: either unix, tcp or systemd',
  ],
  [
    'a mode for a socket of systemd',
    'unix: /run/s.sock',
    'systemd: support, mode: "0660"',
    '3:32: listeners.support.mode: belongs into the socket unit (SocketMode=, SocketUser=, SocketGroup=): systemd makes the socket',
  ],
  [
    'a name that systemd would not take',
    'unix: /run/s.sock',
    'systemd: "a:b"',
    '3:14: listeners.support.systemd: must be the FileDescriptorName= of a socket unit, without blanks and colons',
  ],
  ['no policy', ', policy: support }', ' }', '3:3: listeners.support: needs a policy; add policy: NAME'],
  [
    'characters that cannot be in names',
    'version: 1',
    'mail_users: { characters: "a-z*" }',
    '1:15: mail_users.characters: "*" can never stand in a user name; write single characters and ranges, as "A-Za-z0-9._+=@-"',
  ],
  [
    'characters that mean something to Dovecot',
    'version: 1',
    'mail_users: { characters: "a-z/" }',
    '1:15: warning: mail_users.characters: a user name with / can mean another path or variable to Dovecot',
  ],
  [
    'a realm with an @',
    'version: 1',
    'mail_users: { default_realm: "@example.com" }',
    '1:15: mail_users.default_realm: must be a plain domain, as example.com, of characters that user names may hold',
  ],
  [
    'an admin socket for its group',
    'version: 1',
    'admin: { unix: /run/a.sock, mode: "0660" }',
    `1:29: warning: admin.mode: lets its group's members see and change what the daemon does; say "0600" unless that is meant`,
  ],
  [
    'an admin socket for everybody',
    'version: 1',
    'admin: { unix: /run/a.sock, mode: "0666" }',
    '1:29: warning: admin.mode: lets every user of this machine see and change what the daemon does; say "0600" unless that is meant',
  ],
  [
    'an admin socket with too long a path',
    'version: 1',
    `admin: { unix: /${'x'.repeat(107)} }`,
    "1:10: admin.unix: the path has 108 bytes; a socket's path can have 107",
  ],
  [
    'a segment that is too small',
    'version: 1',
    'audit: { segment: 1KiB }',
    '1:10: audit.segment: must be 64KiB to 512MiB',
  ],
  [
    'lines longer than Dovecot takes',
    'version: 1',
    'limits: { line: 1MiB }',
    '1:11: limits.line: must be from 1KiB to 878KiB: Dovecot takes lines of up to 1 MiB',
  ],
  [
    'an input time that Dovecot does not wait for',
    'version: 1',
    'limits: { input_time: 5m }',
    '1:11: limits.input_time: must be below 300s, where Dovecot ends the input by itself',
  ],
  [
    'a stall that Dovecot does not wait for',
    'version: 1',
    'limits: { client_stall: 1m }',
    '1:11: warning: limits.client_stall: from 60s on Dovecot cuts the reply before dovegate notices',
  ],
  [
    'no time at all',
    'version: 1',
    'limits: { drain: 0s }',
    '1:11: limits.drain: must be from 1ms to 24d (the default is 30s)',
  ],
]);

testMistakes([
  [
    'both ways to say the policy',
    'policy: support }',
    'policy: support, policies: [{ policy: support }] }',
    '3:50: listeners.support.policies: cannot be given together with policy; remove one of them',
  ],
  [
    'nobody',
    'policy: support }',
    'policy: support, peers: { users: [] } }',
    '3:50: listeners.support.peers: names nobody; add users or groups, or leave it out',
  ],
  [
    'no policy at all',
    'policy: support }',
    'policies: [] }',
    '3:3: listeners.support: needs a policy; add policy: NAME',
  ],
]);

void test('peers keep their spelling, numbers too', () => {
  const [listener] = settingsOf(
    sound.replace('policy: support }', 'peers: { users: [alice, 1001], groups: [0100] }, policy: support }'),
  ).listeners;
  assert.deepEqual(listener?.peers, { users: ['alice', '1001'], groups: ['0100'] });
  assert.deepEqual(listener?.policies, [{ policy: 'support' }]);
});

void test('a path longer than a socket address', () => {
  const text = sound.replace('/run/s.sock', `/run/${'x'.repeat(120)}`);
  assert.deepEqual(told(text), [
    "3:14: listeners.support.unix: the path has 125 bytes; a socket's path can have 107",
  ]);
});
