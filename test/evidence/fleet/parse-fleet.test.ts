// Goal: fleet.yaml says what it means, with its defaults; everything that is wrong with it or with its files is told with its place, at
// once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FleetFiles, parseFleetSettings } from '../../../src/evidence/fleet/parse-fleet.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { makeSignKey, parsePublicKey } from '../../../src/rules/keys/sign-key.js';
import { compareAnswers } from '../../kit/plain/approved.js';

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

/** The settings, with keys as `KEY`, and each problem. */
function said(text: string, from = files): string {
  const { settings, problems } = parse(text, from);
  const shown = JSON.stringify(settings, (_, value) =>
    value instanceof Map ? Object.fromEntries(value) : value,
  );
  const lines = problems.map(
    ({ severity, line, column, path: at, message }) => `${severity} ${line}:${column} ${at}: ${message}`,
  );
  return [shown ?? 'no settings', ...lines].join('\n').replaceAll(key, 'KEY');
}

void test('what is said, taken for the rest, or wrong: settings.txt, which a person approved', () => {
  const ofKeys = 'store: file:///srv/trail\nhosts: { gate1: { key: k } }\nverifiers: { a: { key: k } }';
  const endless = () => {
    throw new Error('it is longer');
  };
  const changeable = (file: string) => ({ text: `${file} can be changed`, isDoubtful: false });
  const ofOne = (text: string) => () => said(`${text}\nhosts: { gate1: }\n`);
  compareAnswers('test/evidence/fleet/answers/settings.txt', [
    [
      'the least that can be said, and what is taken for the rest',
      () => said('store: file:///srv/trail\nhosts: { mail-gate-3: }\n'),
    ],
    [
      'all that can be said; files are meant from where fleet.yaml lies',
      () =>
        said(`store: https://s3.example.com:8443/audit-trail/
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
bytes_per_day: 1GiB`),
    ],
    [
      'every problem at once, each at its place',
      () =>
        said(`store: http://s3.example.com/audit
hosts:
  mail.example.com: {}
  gate1: { key: gone.pub, silent_after: 5 }
  gate2: { key: README.md, silnt_after: 5m }
credentials: open.ini
checkpoint_key: open.key
metrics: 0.0.0.0:9148
name: _verifiers
prefix: ../x
keep: 12h`),
    ],
    ['a file of a key that has no end', () => said(ofKeys, { ...files, readText: endless })],
    ['a private key', () => said(ofKeys, { ...files, readText: () => secretPem })],
    ['a bucket without credentials', ofOne('store: https://s3.example.com/audit')],
    ['a folder with them', ofOne('store: file:///srv/trail\ncredentials: store.ini')],
    [
      'a bucket with a password in its address',
      ofOne('store: https://u:secretpw@s3.example.com/audit\ncredentials: store.ini'),
    ],
    ['no store', ofOne('prefix: x')],
    ['no host', () => said('store: file:///a\nhosts: {}\n')],
    ['no hosts', () => said('store: file:///a\n')],
    ['no YAML', () => said('store: [\n')],
    [
      'a file that others can change',
      () => said('store: file:///a\nhosts: { a: }\n', { ...files, whyUnsafe: changeable }),
    ],
  ]);
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
