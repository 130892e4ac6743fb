// Goal: whoever could come in without having proved who he is, or as somebody else, is told when the file is read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hash, withJobs } from './jobs.js';
import { settingsOf, told } from './sound.js';

const pin = `sha256:${'ab'.repeat(32)}`;
const accounts = (text: string): string => withJobs(`accounts: { ${text} }`);

const mistakes: readonly (readonly [name: string, text: string, ...expected: string[]])[] = [
  [
    'no TLS',
    withJobs('', ['tls']),
    '4:3: listeners.jobs: needs TLS: add tls: { certificate: FILE, key: FILE }; without it passwords would travel in clear',
  ],
  [
    'no certificate, no key',
    withJobs('tls: { client_ca: ca.crt }'),
    '5:5: listeners.jobs.tls: needs a certificate; add certificate: FILE (PEM, with its chain)',
    '5:5: listeners.jobs.tls: needs the key of the certificate; add key: FILE',
  ],
  [
    'no accounts',
    withJobs('', ['accounts']),
    '4:3: listeners.jobs: needs accounts: nobody else can log in by TCP',
  ],
  [
    'none of them',
    withJobs('accounts: {}'),
    '5:5: listeners.jobs.accounts: needs accounts: nobody else can log in by TCP',
  ],
  [
    'an account without a proof',
    accounts('a: { policy: support }, b: { certificate_name: b, policy: support }'),
    '5:17: listeners.jobs.accounts.a: could never log in; add password_hash (see dovegate hash-password), or certificate_name',
  ],
  [
    'a certificate that nobody verifies',
    withJobs(
      `tls: { certificate: c, key: k }\n    accounts: { a: { certificate_name: a, key_pins: ["${pin}"], policy: support } }`,
      ['accounts'],
    ),
    '6:22: listeners.jobs.accounts.a.certificate_name: needs tls.client_ca: the authority whose client certificates count',
    '6:43: listeners.jobs.accounts.a.key_pins: needs tls.client_ca: the authority whose client certificates count',
  ],
  [
    'a certificate without TLS',
    withJobs(
      'tcp: "127.0.0.1:1"\n    tls: { mode: off, client_ca: ca }\n    accounts: { a: { certificate_name: a, policy: support } }',
      ['tls', 'accounts'],
    ),
    '6:23: warning: listeners.jobs.tls.client_ca: has no effect without TLS',
    '7:22: listeners.jobs.accounts.a.certificate_name: needs TLS: without it no certificate is shown',
  ],
  [
    'one certificate of two accounts',
    accounts(
      'a: { certificate_name: X.example.com, policy: support }, b: { certificate_name: x.example.com, policy: support }',
    ),
    '5:79: listeners.jobs.accounts.b.certificate_name: is the certificate of account a already',
  ],
  [
    'one key of two accounts',
    accounts(`a: { key_pins: ["${pin}"], policy: support }, b: { key_pins: ["${pin}"], policy: support }`),
    '5:133: listeners.jobs.accounts.b.key_pins: is the certificate of account a already',
  ],
  [
    'one key of two accounts, of which one asks for a name too',
    accounts(
      `a: { key_pins: ["${pin}"], policy: support }, b: { certificate_name: x, key_pins: ["${pin}"], policy: support }`,
    ),
    '5:154: listeners.jobs.accounts.b.key_pins: is the certificate of account a already',
  ],
  [
    'one name of two accounts, of which one asks for a key too',
    accounts(
      `a: { certificate_name: x, key_pins: ["${pin}"], policy: support }, b: { certificate_name: x, policy: support }`,
    ),
    '5:154: listeners.jobs.accounts.b.certificate_name: is the certificate of account a already',
  ],
  [
    'a name that no certificate has',
    accounts('a: { certificate_name: "*.example.com", policy: support }'),
    '5:22: listeners.jobs.accounts.a.certificate_name: must be one name as it stands in the certificate, as backup.example.com',
  ],
  [
    'a pin that is none',
    accounts('a: { key_pins: [abc], policy: support }'),
    '5:33: listeners.jobs.accounts.a.key_pins[0]: must be "sha256:" and the SHA-256 of the SubjectPublicKeyInfo in base64 or 64 hex digits',
  ],
  [
    'a hash that is none',
    accounts('a: { password_hash: secret, policy: support }, b: { certificate_name: b, policy: support }'),
    '5:22: listeners.jobs.accounts.a.password_hash: must be scrypt$N$r$p$SALT$HASH, as dovegate hash-password prints it',
  ],
  [
    'a hash that is cheap',
    accounts(
      `a: { password_hash: "${hash.replace('32768', '4096')}", policy: support }, b: { certificate_name: b, policy: support }`,
    ),
    '5:22: warning: listeners.jobs.accounts.a.password_hash: is cheap to guess against; make a new one with dovegate hash-password',
  ],
  [
    'an authority that nobody needs',
    accounts(`a: { password_hash: "${hash}", policy: support }`),
    '7:64: warning: listeners.jobs.tls.client_ca: has no effect: no account has a certificate_name or key_pins',
  ],
];
for (const [name, text, ...expected] of mistakes) {
  void test(`mistake: ${name}`, () => {
    assert.deepEqual(told(text), expected);
  });
}

void test('one name with two keys are two certificates', () => {
  const other = `sha256:${'cd'.repeat(32)}`;
  const two = `a: { certificate_name: x, key_pins: ["${pin}"], policy: support }, b: { certificate_name: x, key_pins: ["${other}"], policy: support }`;
  const [, jobs] = settingsOf(accounts(two)).listeners;
  assert.deepEqual(
    jobs?.accounts.map(({ keyPins }) => keyPins),
    [['ab'.repeat(32)], ['cd'.repeat(32)]],
  );
});

void test('two names, or a name and a key, are two certificates unless one carries both', () => {
  for (const two of [
    'a: { certificate_name: x, policy: support }, b: { certificate_name: y, policy: support }',
    `a: { certificate_name: x, policy: support }, b: { key_pins: ["${pin}"], policy: support }`,
    `a: { certificate_name: x, key_pins: ["${pin}"], policy: support }, b: { certificate_name: y, key_pins: ["${pin}"], policy: support }`,
  ]) {
    assert.equal(settingsOf(accounts(two)).listeners[1]?.accounts.length, 2);
  }
});

void test('starttls when nothing is said', () => {
  const [, jobs] = settingsOf(withJobs('tls: { certificate: c, key: k, client_ca: ca }')).listeners;
  assert.equal(jobs?.tls?.mode, 'starttls');
});
