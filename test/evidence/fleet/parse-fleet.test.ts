// Goal: fleet.yaml says what it means, with its defaults; everything that is wrong with it or with its files is told with its place, at
// once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FleetFiles, parseFleetSettings } from '../../../src/evidence/fleet/parse-fleet.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { makeSignKey, parsePublicKey } from '../../../src/rules/keys/sign-key.js';

const { key, publicPem } = makeSignKey();

const files: FleetFiles = {
  readText: (path) => (path.endsWith('.pub') ? publicPem : 'no key'),
  whyUnreadable: (path) => (path.includes('gone') ? 'there is no such file' : undefined),
  isMissing: (path) => path.includes('later'),
  whyUnsafe: (path, isSecret) =>
    isSecret && path.includes('open')
      ? { text: `${path} can be read by every user`, isDoubtful: false }
      : undefined,
};

const path = '/etc/dovegate/fleet.yaml';
const parse = (text: string, from = files) => parseFleetSettings(path, text, from);

void test('the least that can be said, and what is taken for the rest', () => {
  const { settings, problems } = parse('nats: tls://nats1.example.com:4222\nhosts: { mail-gate-3: }\n');
  assert.deepEqual(problems, []);
  assert.deepEqual(settings, {
    servers: [{ host: 'nats1.example.com', port: 4222 }],
    client: undefined,
    stream: 'DOVEGATE_AUDIT',
    hosts: new Map([['mail-gate-3', { key: undefined, silentMs: 300_000 }]]),
    verifiers: new Map(),
    state: '/var/lib/dovegate-fleet',
    openMs: 7_200_000,
    driftMs: 5_000,
    tellsPolicies: false,
    metrics: { host: '127.0.0.1', port: 9148 },
    replicas: 1,
    keepMs: 7 * 86_400_000,
    maxBytes: undefined,
    shares: new Map([['mail-gate-3', 10 * 1024 ** 3]]),
    mirrorKeepMs: 400 * 86_400_000,
    mirrorBytes: 100 * 1024 ** 3,
  });
});

void test('all that can be said; files are meant from where fleet.yaml lies', () => {
  const { settings, problems } = parse(
    [
      'nats: tls://nats1.example.com:4222, tls://[2001:db8::1]:4222',
      'stream: AUDIT',
      'ca: ca.pem',
      'certificate: own.pem',
      'key: credentials/own.key',
      'hosts:',
      '  gate1: { key: keys/gate1.pub, silent_after: 90s, share: 80GiB }',
      `  gate2: { key: ${key} }`,
      'state: /srv/fleet',
      'open_after: 1h',
      'drift: 2s',
      'policy_changes: true',
      'checkpoint_key: /run/sign.key',
      'metrics: off',
      'replicas: 3',
      'keep: 30d',
      'max_size: 100GiB',
      'mirror_keep: 3650d',
      'mirror_share: 1TiB',
    ].join('\n'),
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(settings?.servers, [
    { host: 'nats1.example.com', port: 4222 },
    { host: '2001:db8::1', port: 4222 },
  ]);
  assert.deepEqual(settings?.client, {
    certificateFile: '/etc/dovegate/own.pem',
    keyFile: '/etc/dovegate/credentials/own.key',
  });
  assert.deepEqual(settings?.hosts.get('gate1'), { key, silentMs: 90_000 });
  assert.deepEqual(settings?.hosts.get('gate2'), { key, silentMs: 300_000 });
  assert.deepEqual([settings?.mirrorKeepMs, settings?.mirrorBytes], [3650 * 86_400_000, 1024 ** 4]);
  assert.equal(settings?.metrics, undefined);
  assert.equal(settings?.maxBytes, 100 * 1024 ** 3);
  assert.deepEqual(
    settings?.shares,
    new Map([
      ['gate1', 80 * 1024 ** 3],
      ['gate2', 20 * 1024 ** 3],
    ]),
  );
});

void test('every problem at once, each at its place', () => {
  const { settings, problems } = parse(
    [
      'nats: nats://nats1.example.com:4222',
      'hosts:',
      '  mail.example.com: {}',
      '  gate1: { key: gone.pub, silent_after: 5 }',
      '  gate2: { key: README.md, silnt_after: 5m }',
      'credentials: open.creds',
      'certificate: own.pem',
      'checkpoint_key: open.key',
      'metrics: 0.0.0.0:9148',
      'max_size: much',
      'replicas: 9',
    ].join('\n'),
  );
  assert.equal(settings, undefined);
  assert.deepEqual(
    problems.map(({ line, column, path: at, message }) => `${line}:${column} ${at}: ${message}`),
    [
      '1:1 nats: nats:// is not encrypted: must be tls://HOST:PORT, several with commas, as tls://nats1.example.com:4222',
      '3:3 hosts.mail.example.com: a host is one word: letters, digits, dashes and underscores, at most 63',
      '4:12 hosts.gate1.key: /etc/dovegate/gone.pub cannot be read: there is no such file',
      '4:27 hosts.gate1.silent_after: must be a duration: a whole number and ms, s, m, h, d or w, as 500ms, 10m, 30d or 52w',
      '5:12 hosts.gate2.key: /etc/dovegate/README.md holds no Ed25519 key; write the base64 of a public key, or name such a file',
      '5:28 hosts.gate2.silnt_after: "silnt_after" is not a key here; did you mean silent_after?',
      '6:1 credentials: a server knows us by credentials or by a certificate; take one of them out',
      '6:1 credentials: /etc/dovegate/open.creds can be read by every user',
      '7:1 certificate: needs key as well',
      '8:1 checkpoint_key: /etc/dovegate/open.key can be read by every user',
      '9:1 metrics: must be off, or an address of this machine with a port, as 127.0.0.1:9148',
      '10:1 max_size: must be a size: a whole number and B, KiB, MiB, GiB or TiB, as 100GiB',
      '11:1 replicas: must be a whole number from 1 to 5',
    ],
  );
});

void test('a user and a password in an address are refused, and not repeated', () => {
  const { problems } = parse('nats: tls://u:secretpw@nats1.example.com:4222\nhosts: { gate1: }\n');
  assert.deepEqual(
    problems.map(({ message }) => message),
    [
      'an address holds no user and no password; use `certificate` and `key`, or `credentials`: must be tls://HOST:PORT, several with commas, as tls://nats1.example.com:4222',
    ],
  );
});

void test('names of users that the server has already are no hosts', () => {
  for (const name of ['verifier', 'administrator']) {
    const { problems } = parse(`nats: tls://nats1.example.com:4222\nhosts: { ${name}: }\n`);
    assert.equal(problems.length, 1, name);
    assert.match(problems[0]?.message ?? '', new RegExp(`^"${name}" `));
  }
});

void test('the key of a host that has not joined: listed, and no key counts for it', () => {
  const empty: FleetFiles = { ...files, readText: () => '\n' };
  const text = 'nats: tls://nats1.example.com:4222\nhosts:\n  gate1: { key: later.pub }\n';
  for (const { settings, problems } of [parse(text), parse(text.replace('later', 'empty'), empty)]) {
    assert.deepEqual(
      problems.map(({ severity, path: at }) => [severity, at]),
      [['warning', 'hosts.gate1.key']],
    );
    assert.match(
      problems[0]?.message ?? '',
      /holds no key yet, so every signature of this host is untrusted/,
    );
    const known = settings?.hosts.get('gate1')?.key;
    assert.ok(known !== undefined && parsePublicKey(known) === undefined, 'undefined would trust every key');
  }
});

void test('no host, no file of settings that others can change, no YAML', () => {
  const texts = (text: string, from?: FleetFiles): string[] =>
    parse(text, from).problems.map(({ line, message }) => `${line} ${message}`);
  assert.deepEqual(texts('nats: tls://a:4222\nhosts: {}\n'), [
    '2 must list at least one host; its gates send under this name',
  ]);
  assert.match(texts('nats: tls://a:4222\n').join(), /is missing; it must be a map from hosts/);
  assert.match(texts('nats: [\n').join(), /not valid YAML/);
  const open: FleetFiles = {
    ...files,
    whyUnsafe: (file) => ({ text: `${file} can be changed`, isDoubtful: false }),
  };
  assert.deepEqual(texts('nats: tls://a:4222\nhosts: { a: }\n', open), [`1 ${path} can be changed`]);
});

// bounds.fleetHosts
void test('as many hosts as one cluster carries', () => {
  const many = (count: number) =>
    JSON.stringify({
      nats: 'tls://a:4222',
      hosts: Object.fromEntries(Array.from({ length: count }, (_, at) => [`h${at}`, {}])),
    });
  assert.deepEqual(parse(many(bounds.fleetHosts)).problems, []);
  assert.match(
    parse(many(bounds.fleetHosts + 1)).problems[0]?.message ?? '',
    /at most 1000 hosts.*another fleet/,
  );
});

// bounds.fleetVerifiers
void test('verifiers: a key, or a file with all keys of one; each has its own, and they are not many', () => {
  const [other, third] = [makeSignKey().key, makeSignKey().key];
  const from: FleetFiles = {
    ...files,
    readText: (file) => (file.endsWith('two.pub') ? `${other}\n${third}\n` : 'x'),
  };
  const head = 'nats: tls://nats1.example.com:4222\nhosts: { gate1: }\nverifiers:\n';
  const good = parse(`${head}  one: { key: ${key} }\n  two: { key: keys/two.pub }\n`, from);
  assert.deepEqual(good.problems, []);
  assert.deepEqual(
    good.settings?.verifiers,
    new Map([
      ['one', [key]],
      ['two', [other, third]],
    ]),
  );
  const texts = (yaml: string): string[] =>
    parse(`${head}${yaml}`, from).problems.map(({ path: at, message }) => `${at}: ${message}`);
  assert.match(texts(`  one: { key: ${key} }\n  two: { key: ${key} }\n`).join(), /is a key of one too/);
  assert.match(texts('  one: { key: keys/none.pub }\n').join(), /must hold Ed25519 public keys/);
  assert.match(texts(`  one.two: { key: ${key} }\n`).join(), /a verifier is one word/);
  const many = Array.from(
    { length: bounds.fleetVerifiers + 1 },
    (_, at) => `  v${at}: { key: ${makeSignKey().key} }\n`,
  );
  assert.deepEqual(texts(many.slice(1).join('')), []);
  assert.match(texts(many.join('')).join(), /at most 16 verifiers/);
});
