// Goal: a TCP listener is read whole, and every key that would not do what it says is told, at its place.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../../src/domain/config/parse-settings.js';
import { formatProblem } from '../../../src/domain/config/problem.js';
import { formatListenerSocket } from '../../../src/domain/config/settings.js';
import { hashKey, keyBytes, makeKey } from '../../../src/domain/people/keys/key.js';
import { hash, hash as passwordHash, withJobs } from './jobs.js';
import { memoryFiles, settingsOf, sound, told } from './sound.js';

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
      },
      {
        name: 'backup',
        policy: 'support',
        certificateName: 'b.example.com',
        keyPins: [],
      },
    ],
    keys: [],
  });
});

void test('refusal_cell is off, and for the doveadm protocol only', () => {
  const [support, jobs] = settingsOf(withJobs('refusal_cell: true')).listeners;
  assert.deepEqual([support?.refusalCell, jobs?.refusalCell], [false, true]);
  assert.equal(settingsOf(withJobs('refusal_cell: all')).listeners[1]?.refusalCell, 'all');
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

void test('off on loopback', () => {
  for (const address of ['127.0.0.1:1', '[::1]:1']) {
    const account = `accounts: { a: { password_hash: "${hash}", policy: support } }`;
    const [, jobs] = settingsOf(
      withJobs(`tcp: "${address}"\n    tls: { mode: off }\n    ${account}`, ['tls', 'accounts']),
    ).listeners;
    assert.deepEqual(jobs?.tls, { mode: 'off' });
  }
});

// Goal: whoever could come in without having proved who he is, or as somebody else, is told when the file is read.
const pin = `sha256:${'ab'.repeat(32)}`;
const accounts = (text: string): string => withJobs(`accounts: { ${text} }`);

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

// Goal: the keys of an HTTP listener are read whole, and everything that would let nobody in, or in too long, is told at its place. What
// must not happen: a key that stands in a configuration is shown.
const keyText = makeKey(Buffer.alloc(keyBytes, 5));
const first = hashKey(keyText);
const second = hashKey('second');
const third = hashKey('third');

/** `first` in line 5 of a listener that speaks HTTP, its tls in the next one, or where `first` says it. */
function withPanel(firstLine: string, tls = 'tls: { certificate: c, key: k }'): string {
  const other = tls === '' ? [] : [tls];
  const lines = [firstLine, 'protocol: http', ...other, 'tcp: "0.0.0.0:8443"'];
  const text = lines.map((line) => `    ${line}\n`).join('');
  return sound.replace('backends:', `  panel:\n${text}backends:`);
}

const withKeys = (text: string): string => withPanel(`keys: { ${text} }`);

void test('all of it', () => {
  const text = withKeys(
    `modoboa: { hash: "${first}", policy: support, expires: 2027-06-30, from: [192.0.2.10/32, "2001:db8::/32"] }, graph: { hash: [{ hash: "${second}", until: 2027-01-31T18:00:00Z }, { hash: "${third}" }], policy: support }`,
  );
  const [, panel] = settingsOf(text).listeners;
  assert.equal(panel?.protocol, 'http');
  assert.equal(panel.tls?.mode, 'implicit', 'HTTP has no STARTTLS, so that is what TLS means there');
  assert.deepEqual(
    panel.keys.map(({ name, policy, hashes, expiresMs, from }) => ({
      name,
      policy,
      hashes,
      expiresMs,
      from,
    })),
    [
      {
        name: 'modoboa',
        policy: 'support',
        hashes: [{ sha256: first.slice(7), untilMs: undefined }],
        // The end of that day.
        expiresMs: Date.UTC(2027, 6, 1),
        from: ['192.0.2.10/32', '2001:db8::/32'],
      },
      {
        name: 'graph',
        policy: 'support',
        hashes: [
          { sha256: second.slice(7), untilMs: Date.UTC(2027, 0, 31, 18) },
          { sha256: third.slice(7), untilMs: undefined },
        ],
        expiresMs: undefined,
        from: [],
      },
    ],
  );
});

const good = `keys: { a: { hash: "${first}", policy: support } }`;

void test('accounts beside keys, and instead of them; off on loopback; a socket of systemd', () => {
  const both = `accounts: { b: { password_hash: "${passwordHash}", policy: support } }`;
  for (const text of [
    withPanel(`${good}\n    ${both}`),
    withPanel(both),
    withPanel(good, 'tls: { mode: implicit, certificate: c, key: k }'),
    withPanel(good, 'tls: { mode: off }').replace('0.0.0.0', '127.0.0.1'),
    withPanel(good).replace('tcp: "0.0.0.0:8443"', 'systemd: panel'),
  ])
    settingsOf(text);
  const unix = 'unix: /run/p.sock\n    protocol: http\n    policies: [{ policy: support }]';
  const [, panel] = settingsOf(sound.replace('backends:', `  panel:\n    ${unix}\nbackends:`)).listeners;
  assert.deepEqual([panel?.protocol, panel?.keys, panel?.tls], ['http', [], undefined]);
});

void test('the same hash on two listeners is no mistake: one program, two doors', () => {
  const more = `  more: { tcp: "0.0.0.0:8444", protocol: http, tls: { certificate: c, key: k }, ${good} }\nbackends:`;
  settingsOf(withPanel(good).replace('backends:', more));
});

void test('a key that was written instead of its hash is told, and not shown', () => {
  const file = '/etc/dovegate/d.yaml';
  const text = withKeys(`a: { hash: ${keyText}, policy: support }`);
  const { problems } = parseSettings(file, memoryFiles({ [file]: text }));
  const lines = problems.map((problem) => formatProblem(problem, text)).join('\n');
  assert.match(lines, /5:18: .*keys\.a\.hash: is a key itself, which must not stand here/);
  assert.ok(!lines.includes(keyText), lines);
  assert.ok(!lines.includes(keyText.slice(13, 56)), lines);
});

/** Warnings on 2026-06-01. */
function warnings(text: string): string[] {
  const file = '/etc/dovegate/d.yaml';
  const { problems } = parseSettings(file, memoryFiles({ [file]: withKeys(text) }), {
    nowMs: Date.UTC(2026, 5, 1),
  });
  return problems.map(({ column, severity, path, message, code }) => {
    assert.equal(code, 'key-expiry');
    return `${column}: ${severity} ${path.replace('listeners.panel.keys.', '')}: ${message}`;
  });
}

void test('what is told of the end of a key, and when', () => {
  const expiring = (day: string): string[] =>
    warnings(`a: { hash: "${first}", policy: support, expires: ${day} }`);
  const at = '116: warning a.expires: ';
  assert.deepEqual(warnings(`a: { hash: "${first}", policy: support }`), [
    '13: warning a: never expires; add expires: DATE, within a year or so',
  ]);
  assert.deepEqual(expiring('2026-05-31'), [`${at}is in the past: the key is refused`]);
  assert.deepEqual(expiring('2026-06-01T00:00:00Z'), [`${at}is in the past: the key is refused`]);
  const soon = (left: string): string[] => [`${at}the key expires in ${left}; add the hash of its successor`];
  assert.deepEqual(expiring('2026-06-01T23:59:59Z'), soon('less than a day'));
  assert.deepEqual(expiring('2026-06-01'), soon('1 day'));
  assert.deepEqual(expiring('2026-06-13'), soon('13 days'));
  assert.deepEqual(expiring('2026-06-14'), []);
  assert.deepEqual(expiring('2027-05-31'), []);
  assert.deepEqual(expiring('2027-07-05'), []);
  assert.deepEqual(expiring('2027-07-06'), [
    `${at}is more than 400 days away; a key should be replaced before`,
  ]);
  assert.deepEqual(
    warnings(
      `a: { hash: [{ hash: "${first}", until: 2026-05-31 }, { hash: "${second}" }], policy: support, expires: 2027-01-01 }`,
    ),
    ['108: warning a.hash[0].until: is in the past: this hash is refused, and can be removed'],
  );
});
