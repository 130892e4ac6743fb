// Goal: a backend is read completely, and one that could only be dialled unsafely is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf, sound, testMistakes } from './sound.js';

void test('every key of a backend', () => {
  const hex = 'ab'.repeat(32);
  const base64 = Buffer.from(hex, 'hex').toString('base64');
  const settings = settingsOf(
    sound.replace(
      'mail1: { address: "127.0.0.1:24245", tls: off, password_file: /etc/p, shared_namespaces: [] }',
      `mail1:
    address: "[2001:DB8::1]:24245"
    tls: implicit
    ca: ca.pem
    server_name: mail1.example.com
    key_pins: ["sha256:${hex.toUpperCase()}", "sha256:${base64}", "sha256:${base64.replace('=', '')}"]
    username: admin
    password_file: [new, old/p]
    series: 2.3
    shared_namespaces: [shared/, 007]
    connections: 8
    idle: 2
    idle_timeout: 1m
    max_lifetime: 1d
    connect_timeout: 500ms
    greeting_timeout: 2s
    drained: true`,
    ),
  );
  const { place, ...backend } = settings.backends[0] ?? assert.fail();
  assert.equal(place.line, 5);
  assert.deepEqual(backend, {
    name: 'mail1',
    address: { kind: 'tcp', host: '2001:db8::1', port: 24_245 },
    tls: 'implicit',
    caFile: '/etc/dovegate/ca.pem',
    serverName: 'mail1.example.com',
    keyPins: [hex, hex, hex],
    username: 'admin',
    passwordFiles: ['/etc/dovegate/new', '/etc/dovegate/old/p'],
    series: '2.3',
    namespaces: undefined,
    sharedNamespaces: ['shared/', '007'],
    connections: 8,
    idle: 2,
    idleTimeoutMs: 60_000,
    maxLifetimeMs: 86_400_000,
    connectTimeoutMs: 500,
    greetingTimeoutMs: 2000,
    drained: true,
  });
});

void test('a backend behind a UNIX socket needs neither TLS nor a password', () => {
  const settings = settingsOf(
    sound.replace('"127.0.0.1:24245", tls: off, password_file: /etc/p', 'unix:run/d.sock'),
  );
  const [backend] = settings.backends;
  assert.deepEqual(backend?.address, { kind: 'unix', path: '/etc/dovegate/run/d.sock' });
  assert.equal(backend?.tls, 'off');
  assert.deepEqual(backend?.passwordFiles, []);
});

testMistakes([
  [
    'clear text over the network',
    '127.0.0.1:24245',
    'mail1.example.com:24245',
    '5:48: backends.mail1.tls: off would send the password in clear over the network; use starttls, or say allow_plaintext: true as well',
  ],
  [
    'localhost is a name, not a loopback address',
    '127.0.0.1:24245',
    'localhost:24245',
    '5:40: backends.mail1.tls: off would send the password in clear over the network; use starttls, or say allow_plaintext: true as well',
  ],
  [
    'no password',
    ', password_file: /etc/p',
    '',
    '5:3: backends.mail1: needs a password_file: Dovecot asks every TCP client for a password',
  ],
  [
    'no port',
    '127.0.0.1:24245',
    '127.0.0.1',
    '5:12: backends.mail1.address: must be HOST:PORT, [IPV6]:PORT or unix:PATH, as mail1.example.com:24245',
  ],
  [
    'a duration that no timer can hold',
    'tls: off',
    'tls: off, idle_timeout: 60d',
    '5:50: backends.mail1.idle_timeout: must be from 1ms to 24d (the default is 5m)',
  ],
  [
    'idle above connections',
    'tls: off',
    'tls: off, connections: 1, idle: 2',
    '5:66: backends.mail1.idle: cannot be above connections (1)',
  ],
  [
    'a pin that is none',
    'tls: off',
    'tls: starttls, key_pins: ["sha256:abc"]',
    '5:66: backends.mail1.key_pins[0]: must be "sha256:" and the SHA-256 of the SubjectPublicKeyInfo in base64 or 64 hex digits',
  ],

  [
    'a port out of range',
    '127.0.0.1:24245',
    '127.0.0.1:70000',
    '5:12: backends.mail1.address: must be HOST:PORT, [IPV6]:PORT or unix:PATH, as mail1.example.com:24245',
  ],
  [
    'TLS to a UNIX socket without a name to check',
    '"127.0.0.1:24245", tls: off, password_file: /etc/p',
    '"unix:/run/d", tls: starttls',
    '5:36: backends.mail1.tls: a UNIX socket has no name to check the certificate against; add server_name, or tls: off',
  ],
  [
    'TLS settings without TLS',
    'tls: off',
    'tls: off, ca: x.pem',
    '5:50: warning: backends.mail1.ca: has no effect without TLS',
  ],
  [
    'a permission that has no effect',
    'tls: off',
    'tls: starttls, allow_plaintext: true',
    '5:55: warning: backends.mail1.allow_plaintext: has no effect unless tls is off',
  ],
  [
    'a user name with a NUL',
    'tls: off',
    'tls: off, username: "a\\0b"',
    '5:50: backends.mail1.username: contains a control character',
  ],
  [
    'every mailbox as shared',
    'shared_namespaces: []',
    'shared_namespaces: [""]',
    '5:93: backends.mail1.shared_namespaces[0]: an empty prefix would be every mailbox',
  ],
  [
    'a prefix that could pass for two',
    'shared_namespaces: []',
    'shared_namespaces: ["a/\\x01b/"]',
    '5:93: backends.mail1.shared_namespaces[0]: contains a control character',
  ],
  [
    'a route without a backend',
    ', backend: mail1 }',
    ' }',
    '7:5: routes[0]: needs a backend; add backend: NAME (or spread: [NAMES], or passdb: SOCKET)',
  ],
]);
