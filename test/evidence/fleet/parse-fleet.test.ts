// Goal: fleet.yaml says what it means, with its defaults; everything that is wrong with it or with its files is told with its place, at
// once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FleetFiles, parseFleetSettings } from '../../../src/evidence/fleet/parse-fleet.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { makeSignKey, parsePublicKey } from '../../../src/rules/keys/sign-key.js';

const { key, publicPem, secretPem } = makeSignKey();

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
  const { settings, problems } = parse('store: file:///srv/trail\nhosts: { mail-gate-3: }\n');
  assert.deepEqual(problems, []);
  assert.deepEqual(settings, {
    place: { kind: 'folder', path: '/srv/trail' },
    prefix: 'dovegate',
    name: 'verifier',
    keepMs: 0,
    hosts: new Map([['mail-gate-3', { key: undefined, silentMs: 900_000 }]]),
    verifiers: new Map(),
    state: '/var/lib/dovegate-fleet',
    openMs: 7_200_000,
    driftMs: 5_000,
    tellsPolicies: false,
    metrics: { host: '127.0.0.1', port: 9148 },
    mirrorKeepMs: 400 * 86_400_000,
    mirrorBytes: 100 * 1024 ** 3,
    objectsPerDay: 288,
    bytesPerDay: 10 * 1024 ** 3,
  });
});

void test('all that can be said; files are meant from where fleet.yaml lies', () => {
  const { settings, problems } = parse(`store: https://s3.example.com:8443/audit-trail/
prefix: mail/audit
ca: ca.pem
credentials: credentials/store.ini
name: audit-1
hosts:
  gate1: { key: keys/gate1.pub, silent_after: 90s }
  gate2: { key: ${key} }
state: /srv/fleet
open_after: 1h
drift: 2s
policy_changes: true
checkpoint_key: /run/sign.key
metrics: off
keep: 30d
mirror_keep: 3650d
mirror_share: 1TiB
objects_per_day: 720
bytes_per_day: 1GiB`);
  assert.deepEqual(problems, []);
  assert.deepEqual(settings?.place, { kind: 'bucket', url: 'https://s3.example.com:8443/audit-trail' });
  const { prefix, name, caFile, credentialsFile, hosts, metrics } = settings ?? assert.fail();
  assert.deepEqual([prefix, name, metrics], ['mail/audit', 'audit-1', undefined]);
  const place = '/etc/dovegate';
  assert.deepEqual([caFile, credentialsFile], [`${place}/ca.pem`, `${place}/credentials/store.ini`]);
  assert.deepEqual(hosts.get('gate1'), { key, silentMs: 90_000 });
  assert.deepEqual(hosts.get('gate2'), { key, silentMs: 900_000 });
  const days = [settings.keepMs, settings.mirrorKeepMs].map((ms) => ms / 86_400_000);
  const sizes = [settings.mirrorBytes, settings.objectsPerDay, settings.bytesPerDay];
  assert.deepEqual([...days, ...sizes], [30, 3650, 1024 ** 4, 720, 1024 ** 3]);
});

void test('every problem at once, each at its place', () => {
  const { settings, problems } = parse(`store: http://s3.example.com/audit
hosts:
  mail.example.com: {}
  gate1: { key: gone.pub, silent_after: 5 }
  gate2: { key: README.md, silnt_after: 5m }
credentials: open.ini
checkpoint_key: open.key
metrics: 0.0.0.0:9148
name: _verifiers
prefix: ../x
keep: 12h`);
  assert.equal(settings, undefined);
  assert.deepEqual(
    problems.map(({ line, column, path: at, message }) => `${line}:${column} ${at}: ${message}`),
    [
      '1:1 store: http: is not encrypted, and s3.example.com is another machine; use https:, with ca if its authority is your own',
      '3:3 hosts.mail.example.com: a host is one word: letters, digits, dashes and underscores, at most 63, no underscore first',
      '4:12 hosts.gate1.key: /etc/dovegate/gone.pub cannot be read: there is no such file',
      '4:27 hosts.gate1.silent_after: must be a duration: a whole number and ms, s, m, h, d or w, as 500ms, 10m, 30d or 52w',
      '5:12 hosts.gate2.key: /etc/dovegate/README.md holds no Ed25519 key; write the base64 of a public key, or name such a file',
      '5:28 hosts.gate2.silnt_after: "silnt_after" is not a key here; did you mean silent_after?',
      '6:1 credentials: /etc/dovegate/open.ini can be read by every user',
      '7:1 checkpoint_key: /etc/dovegate/open.key can be read by every user',
      '8:1 metrics: must be off, or an address of this machine with a port, as 127.0.0.1:9148',
      '9:1 name: must be letters, digits, dashes and underscores, at most 63, as audit-1',
      '10:1 prefix: must be words of letters, digits, dots, dashes and underscores with slashes between, as dovegate',
      '11:1 keep: must be 0s, for ever, or at least 1d: where a journal begins with a block of half that age, what is before it counts as removed by the store',
    ],
  );
});

void test('a file of a key that has no end, and a private key', () => {
  const text = 'store: file:///srv/trail\nhosts: { gate1: { key: k } }\nverifiers: { a: { key: k } }';
  const endless = () => {
    throw new Error('it is longer');
  };
  for (const [readText, why] of [
    [endless, 'cannot be read: it is longer'],
    [() => secretPem, 'is a private key, which stays with its owner; name a file with the public one'],
  ] as const) {
    const said = `/etc/dovegate/k ${why}`;
    const { problems } = parse(text, { ...files, readText });
    assert.deepEqual(
      problems.map(({ message }) => message),
      [said, said],
    );
  }
});

void test('a bucket has credentials, in a file; a folder has none', () => {
  const texts = (text: string): string[] =>
    parse(`${text}\nhosts: { gate1: }\n`).problems.map(({ path: at, message }) => `${at}: ${message}`);
  const none = 'store: needs credentials, a file with the keys of the bucket';
  assert.deepEqual(texts('store: https://s3.example.com/audit'), [none]);
  const ofFolder = texts('store: file:///srv/trail\ncredentials: store.ini');
  assert.deepEqual(ofFolder, ['credentials: is not for a folder; take it out']);
  const [found = ''] = texts('store: https://u:secretpw@s3.example.com/audit\ncredentials: store.ini');
  assert.match(found, /use credentials/);
  assert.ok(!found.includes('secretpw'));
  assert.match(texts('prefix: x').join(), /is missing; it must be a URL/);
});

void test('the key of a host that has not joined: listed, and no key counts for it', () => {
  const empty: FleetFiles = { ...files, readText: () => '\n' };
  const text = 'store: file:///srv/trail\nhosts:\n  gate1: { key: later.pub }\n';
  for (const { settings, problems } of [parse(text), parse(text.replace('later', 'empty'), empty)]) {
    const [{ severity, path: at, message } = assert.fail(), ...more] = problems;
    assert.deepEqual([severity, at, more], ['warning', 'hosts.gate1.key', []]);
    assert.match(message, /holds no key yet, so every signature of this host is untrusted/);
    const known = settings?.hosts.get('gate1')?.key;
    assert.ok(known !== undefined && parsePublicKey(known) === undefined, 'undefined would trust every key');
  }
});

void test('no host, no file of settings that others can change, no YAML', () => {
  const texts = (text: string, from?: FleetFiles): string[] =>
    parse(text, from).problems.map(({ line, message }) => `${line} ${message}`);
  const noHost = '2 must list at least one host; its gates send under this name';
  assert.deepEqual(texts('store: file:///a\nhosts: {}\n'), [noHost]);
  assert.match(texts('store: file:///a\n').join(), /is missing; it must be a map from hosts/);
  assert.match(texts('store: [\n').join(), /not valid YAML/);
  const open: FleetFiles = {
    ...files,
    whyUnsafe: (file) => ({ text: `${file} can be changed`, isDoubtful: false }),
  };
  assert.deepEqual(texts('store: file:///a\nhosts: { a: }\n', open), [`1 ${path} can be changed`]);
});

// bounds.fleetHosts
void test('as many hosts as one verifier looks at', () => {
  const problemsOf = (count: number): string[] => {
    const hosts = Object.fromEntries(Array.from({ length: count }, (_, at) => [`h${at}`, {}]));
    return parse(JSON.stringify({ store: 'file:///a', hosts })).problems.map(({ message }) => message);
  };
  assert.deepEqual(problemsOf(bounds.fleetHosts), []);
  assert.match(problemsOf(bounds.fleetHosts + 1)[0] ?? '', /at most 1000 hosts.*another fleet/);
});

// bounds.fleetVerifiers
void test('verifiers: a key, or a file with all keys of one; each has its own, and they are not many', () => {
  const [other, third] = [makeSignKey().key, makeSignKey().key];
  const from: FleetFiles = {
    ...files,
    readText: (file) => (file.endsWith('two.pub') ? `${other}\n${third}\n` : 'x'),
  };
  const head = 'store: file:///srv/trail\nhosts: { gate1: }\nverifiers:\n';
  const good = parse(`${head}  one: { key: ${key} }\n  two: { key: keys/two.pub }\n`, from);
  assert.deepEqual(good.problems, []);
  const listed = Object.fromEntries(good.settings?.verifiers ?? []);
  assert.deepEqual(listed, { one: [key], two: [other, third] });
  const texts = (yaml: string): string[] =>
    parse(`${head}${yaml}`, from).problems.map(({ path: at, message }) => `${at}: ${message}`);
  assert.match(texts(`  one: { key: ${key} }\n  two: { key: ${key} }\n`).join(), /is a key of one too/);
  assert.match(texts('  one: { key: keys/none.pub }\n').join(), /must hold Ed25519 public keys/);
  assert.match(texts(`  one.two: { key: ${key} }\n`).join(), /a verifier is one word/);
  const verifier = (_: unknown, at: number): string => `  v${at}: { key: ${makeSignKey().key} }\n`;
  const many = Array.from({ length: bounds.fleetVerifiers + 1 }, verifier);
  assert.deepEqual(texts(many.slice(1).join('')), []);
  assert.match(texts(many.join('')).join(), /at most 16 verifiers/);
});
