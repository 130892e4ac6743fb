// Goal: sections that stand for themselves are read with their units, and values that could not work are told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { timerMsMax } from '../../../src/domain/config/schema-parts.js';
import { recordedBytesMax } from '../../../src/domain/records/audit/encode.js';
import { settingsOf, sound, told } from './sound.js';

void test('every simple key of the other sections', () => {
  const settings = settingsOf(`${sound}
mail_users: { default_realm: Example.COM, characters: "a-zA-Z@.-", case: keep }
state: state
audit: { directory: audit, group: auditors, strict: [write, destroy], memory: ring, memory_size: 2MiB, segment: 64KiB, deadline: 3s, keep: 30d, keep_min: 3d,
         max_size: 50%, unshipped_max: 1GiB, reserve: 1MiB, sign_key: key.pem, checkpoint_interval: 5s, hmac_key: hmac, door: ship.sock }
admin: { unix: admin.sock, mode: "0600", tcp: "[::1]:9146", token_file: token }
limits: { line: 32KiB, queue: 1, queue_timeout: 1s, reply_idle: 2s, client_stall: 3s, min_rate: 1KiB, log_lines: 8, handshake: 4s, drain: 6s,
          input: 1MiB, input_time: 7s, buffered: 2MiB, users: 250, http_body: 4MiB, http_commands: 7,
          deadline: { read: 1s, session: 2s, write: 3s, admin: 4s, destroy: 5s } }
log: { level: debug }
`);
  assert.deepEqual(settings.mailUsers, {
    defaultRealm: 'Example.COM',
    characters: 'a-zA-Z@.-',
    case: 'keep',
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
    door: '/etc/dovegate/ship.sock',
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

void test('peers keep their spelling, numbers too', () => {
  const [listener] = settingsOf(
    sound.replace('policy: support }', 'peers: { users: [alice, 1001], groups: [100] }, policy: support }'),
  ).listeners;
  assert.deepEqual(listener?.peers, { users: ['alice', '1001'], groups: ['100'] });
  assert.deepEqual(listener?.policies, [{ policy: 'support' }]);
});

void test('a path longer than a socket address', () => {
  const text = sound.replace('/run/s.sock', `/run/${'x'.repeat(120)}`);
  assert.deepEqual(told(text), [
    "3:14: listeners.support.unix: the path has 125 bytes; a socket's path can have 107",
  ]);
});

// Goal: a listener and a backend of few words are whole. schema.test.ts compares all defaults with those of docs/settings.md.
void test('what a listener and a backend are when little is said', () => {
  const settings = settingsOf(sound.replace(', shared_namespaces: []', ''));
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
      newer: 'reads',
      namespaces: undefined,
      sharedNamespaces: undefined,
      connections: 4,
      idle: 1,
      idleTimeoutMs: 300_000,
      maxLifetimeMs: 3_600_000,
      freshForMs: 1000,
      connectTimeoutMs: 5000,
      greetingTimeoutMs: 5000,
      drained: false,
    },
  ]);
  assert.match(settings.hash, /^[0-9a-f]{64}$/);
});

void test('the longest timer is one that Node can set', () => {
  assert.equal(timerMsMax, 0x7fffffff);
});

// Goal: a receiver of records is read completely, and one that could not be served as it was meant is told.
void test('every key of a receiver, and what stands for those that are absent', () => {
  const hex = 'ab'.repeat(32);
  const { ship } = settingsOf(`${sound}
audit:
  ship:
    - syslog: "[2001:DB8::1]:6514"
      ca: ca.pem
      server_name: logs.example.com
      key_pins: ["sha256:${hex}"]
      certificate: gate.pem
      key: gate.key
    - syslog: Logs.example.com:601
`).audit;
  assert.deepEqual(ship, [
    {
      kind: 'syslog',
      name: '[2001:db8::1]:6514',
      host: '2001:db8::1',
      port: 6514,
      caFile: '/etc/dovegate/ca.pem',
      serverName: 'logs.example.com',
      keyPins: [hex],
      client: { certificateFile: '/etc/dovegate/gate.pem', keyFile: '/etc/dovegate/gate.key' },
    },
    {
      kind: 'syslog',
      name: 'logs.example.com:601',
      host: 'logs.example.com',
      port: 601,
      serverName: 'logs.example.com',
      keyPins: [],
    },
  ]);
});

void test('a stream of NATS: every key, and what stands for those that are absent', () => {
  const { ship } = settingsOf(`${sound}
audit:
  ship:
    - nats: tls://Nats1.example.com:4222, tls://[2001:DB8::1]:4223
      stream: MAIL
      host: mail-gate-3
      credentials: nats.creds
      settle: 0s
      verifiers: [verifier.pub, ${'A'.repeat(43)}=]
      ca: ca.pem
    - nats: tls://nats2:4222
      certificate: gate.pem
      key: gate.key
`).audit;
  assert.deepEqual(ship, [
    {
      kind: 'nats',
      name: 'nats1.example.com:4222',
      servers: [
        { host: 'nats1.example.com', port: 4222 },
        { host: '2001:db8::1', port: 4223 },
      ],
      stream: 'MAIL',
      hostWord: 'mail-gate-3',
      credentialsFile: '/etc/dovegate/nats.creds',
      settleMs: 0,
      verifiers: ['/etc/dovegate/verifier.pub', `${'A'.repeat(43)}=`],
      caFile: '/etc/dovegate/ca.pem',
    },
    {
      kind: 'nats',
      name: 'nats2:4222',
      servers: [{ host: 'nats2', port: 4222 }],
      stream: 'DOVEGATE_AUDIT',
      settleMs: 300_000,
      verifiers: [],
      client: { certificateFile: '/etc/dovegate/gate.pem', keyFile: '/etc/dovegate/gate.key' },
    },
  ]);
});

void test('another receiver is another configuration, another line for the same one is not', () => {
  const hashOf = (text: string): string => settingsOf(`${sound}audit: { ship: [${text}] }`).hash;
  const hash = hashOf('{ syslog: "a.example.com:1" }');
  assert.equal(settingsOf(`${sound}audit:\n  ship:\n    - syslog: a.example.com:1\n`).hash, hash);
  assert.notEqual(hashOf('{ syslog: "a.example.com:2" }'), hash);
});

// The people who may look at the journal over a socket: what is read, and what is wrong.
const withPage = (page: string): string =>
  `${sound}admin:\n  page:\n    unix: page.sock\n    group: auditors\n${page}`;

void test('people, their roles and the users whose records they see', () => {
  const { admin } = settingsOf(
    withPage(
      '    people:\n      alice: { user: 1000, role: audit, users: ["*@Example.com", "bob"] }\n      carol: { user: carol, role: audit }\n      oncall: { user: ops, roles: [operate, audit, operate], users: [bob] }\n',
    ),
  );
  assert.deepEqual(admin?.page?.socket, {
    kind: 'unix',
    path: '/etc/dovegate/page.sock',
    mode: 0o660,
    group: 'auditors',
  });
  assert.deepEqual(
    admin.page.people.map(({ name, user, roles, users }) => ({ name, user, roles, ...(users && { users }) })),
    [
      { name: 'alice', user: '1000', roles: ['audit'], users: ['*@example.com', 'bob'] },
      { name: 'carol', user: 'carol', roles: ['audit'] },
      { name: 'oncall', user: 'ops', roles: ['operate', 'audit'], users: ['bob'] },
    ],
  );
  assert.equal(admin.unix, undefined);
});

void test('where the status of many gates lies', () => {
  const people = '    people: { a: { user: alice, role: view } }\n';
  assert.equal(settingsOf(withPage(people)).admin?.page?.fleetFile, undefined);
  const { admin } = settingsOf(withPage(`${people}    fleet: fleet/status.json\n`));
  assert.equal(admin?.page?.fleetFile, '/etc/dovegate/fleet/status.json');
});

void test('sign-in at an issuer: the files are relative, and an id may be a number', () => {
  const { admin } = settingsOf(`${sound}admin:
  page:
    tcp: "127.0.0.1:9147"
    oidc: { issuer: "https://sso.example.com/realms/mail", client_id: dovegate, client_secret_file: oidc.secret }
    people: { a: { oidc: { sub: 0815 }, role: view } }
`);
  assert.deepEqual(admin?.page?.oidc, {
    issuer: 'https://sso.example.com/realms/mail',
    clientId: 'dovegate',
    clientSecretFile: '/etc/dovegate/oidc.secret',
  });
  assert.deepEqual(admin.page.people[0]?.oidc, { sub: '0815' });
});

// bounds.shipReceivers
void test('records have so many receivers', () => {
  const text = (count: number): string =>
    `${sound}audit: { ship: [${Array.from({ length: count }, (_, at) => `{ syslog: "logs${at}:6514" }`).join(', ')}] }\n`;
  assert.equal(settingsOf(text(bounds.shipReceivers)).audit.ship.length, bounds.shipReceivers);
  assert.match(told(text(bounds.shipReceivers + 1)).join(), /audit\.ship: must hold at most 16 receivers/);
});
