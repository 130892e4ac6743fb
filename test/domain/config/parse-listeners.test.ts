// Goal: a TCP listener is read whole, and every key that would not do what it says is told, at its place.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatListenerSocket } from '../../../src/domain/config/settings.js';
import { hash, withJobs } from './jobs.js';
import { settingsOf, sound, told } from './sound.js';

void test('all of it', () => {
  const [, jobs] = settingsOf(withJobs('sessions_per_peer: 3')).listeners;
  assert.deepEqual(jobs, {
    name: 'jobs',
    protocol: 'doveadm',
    refusalCell: false,
    socket: { kind: 'tcp', host: '0.0.0.0', port: 24_246 },
    policies: [],
    sessions: 1000,
    sessionsPerPeer: 3,
    from: [],
    tls: {
      mode: 'starttls',
      certificate: '/etc/dovegate/tls.crt',
      key: '/etc/dovegate/tls.key',
      clientCa: '/etc/dovegate/ca.crt',
    },
    accounts: [
      {
        name: 'migrator',
        policy: 'support',
        passwordHash: hash,
        keyPins: [],
        place: { file: '/etc/dovegate/d.yaml', line: 8, column: 17 },
      },
      {
        name: 'backup',
        policy: 'support',
        certificateName: 'b.example.com',
        keyPins: [],
        place: { file: '/etc/dovegate/d.yaml', line: 8, column: jobs?.accounts[1]?.place.column },
      },
    ],
    keys: [],
    place: { file: '/etc/dovegate/d.yaml', line: 4, column: 3 },
  });
});

void test('refusal_cell is off, and for the doveadm protocol only', () => {
  const [support, jobs] = settingsOf(withJobs('refusal_cell: true')).listeners;
  assert.deepEqual([support?.refusalCell, jobs?.refusalCell], [false, true]);
  const http = (cell: boolean) =>
    sound.replace('policy: support', `policy: support, protocol: http, refusal_cell: ${cell}`);
  assert.equal(settingsOf(http(false)).listeners[0]?.refusalCell, false);
  assert.deepEqual(told(http(true)), [
    '3:66: listeners.support.refusal_cell: is for protocol: doveadm; over HTTP every error has its reason',
  ]);
});

void test('addresses, and how they are shown', () => {
  for (const [written, shown] of [
    ['127.0.0.1:1', 'tcp:127.0.0.1:1'],
    ['[::]:24246', 'tcp:[::]:24246'],
    ['[2001:DB8::1]:65535', 'tcp:[2001:db8::1]:65535'],
    ['Gate.example.com:24246', 'tcp:gate.example.com:24246'],
  ]) {
    const [, jobs] = settingsOf(withJobs(`tcp: "${written}"`)).listeners;
    assert.equal(jobs && formatListenerSocket(jobs.socket), shown);
  }
});

void test('a socket of systemd with TLS is one of TCP', () => {
  const [, jobs] = settingsOf(withJobs('systemd: jobs', ['tcp'])).listeners;
  assert.deepEqual(jobs?.socket, { kind: 'systemd', name: 'jobs' });
  assert.equal(jobs.accounts.length, 2);
});

const mistakes: readonly (readonly [name: string, text: string, ...expected: string[]])[] = [
  [
    'no port',
    withJobs('tcp: 0.0.0.0'),
    '5:5: listeners.jobs.tcp: must be ADDRESS:PORT or [IPV6]:PORT, as 0.0.0.0:24246 or "[::]:24246"',
  ],
  [
    'a mode, an owner, a group',
    withJobs('mode: "0660"\n    owner: root\n    group: root'),
    '5:5: listeners.jobs.mode: is for UNIX sockets; say from: [NETWORK] for who may connect',
    '6:5: listeners.jobs.owner: is for UNIX sockets; say from: [NETWORK] for who may connect',
    '7:5: listeners.jobs.group: is for UNIX sockets; say from: [NETWORK] for who may connect',
  ],
  [
    'peers and a policy',
    withJobs('peers: { users: [alice] }\n    policy: support'),
    '5:5: listeners.jobs.peers: is for UNIX sockets: the kernel does not say who connects by TCP',
    '6:5: listeners.jobs.policy: is for UNIX sockets: each account has its own',
  ],
  [
    'two sockets',
    withJobs('unix: /run/j.sock'),
    '6:5: listeners.jobs.tcp: a listener has one socket: either unix, tcp or systemd',
  ],
  [
    'keys of TCP on a UNIX socket',
    withJobs('unix: /run/j.sock\n    policy: support\n    from: [192.0.2.1]', ['tcp']),
    ...['from', 'tls', 'accounts'].map(
      (key, index) =>
        `${7 + index}:5: listeners.jobs.${key}: is for TCP sockets; the kernel says who connects to a UNIX socket`,
    ),
  ],
  [
    'off beyond loopback',
    withJobs('tls: { mode: off }\n    accounts: { a: { password_hash: "' + hash + '", policy: support } }', [
      'accounts',
    ]),
    '5:12: listeners.jobs.tls.mode: off is for loopback addresses (127.0.0.1, [::1]): passwords would travel in clear',
  ],
  [
    'off at a name that could be made to mean another address',
    withJobs(
      'tcp: "localhost:1"\n    tls: { mode: off }\n    accounts: { a: { password_hash: "' +
        hash +
        '", policy: support } }',
      ['accounts', 'tls'],
    ),
    '6:12: listeners.jobs.tls.mode: off is for loopback addresses (127.0.0.1, [::1]): passwords would travel in clear',
  ],
];
for (const [name, text, ...expected] of mistakes) {
  void test(`mistake: ${name}`, () => assert.deepEqual(told(text), expected));
}

void test('off on loopback', () => {
  for (const address of ['127.0.0.1:1', '[::1]:1']) {
    const account = `accounts: { a: { password_hash: "${hash}", policy: support } }`;
    const [, jobs] = settingsOf(
      withJobs(`tcp: "${address}"\n    tls: { mode: off }\n    ${account}`, ['tls', 'accounts']),
    ).listeners;
    assert.deepEqual(jobs?.tls, { mode: 'off' });
  }
});
