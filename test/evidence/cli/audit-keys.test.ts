import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  acceptKey,
  auditHmac,
  auditKeygen,
  demandMayAccept,
  readAccepted,
} from '../../../src/evidence/cli/audit-keys.js';
import { CommandFault } from '../../../src/host/output/output.js';
import { isSignedBy } from '../../../src/journal/records/ledger.js';
import { makeSignKey, parsePublicKey, parseSignKey } from '../../../src/rules/keys/sign-key.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { openFolder } from '../../kit/plain/folder.js';
import { keepScreen, placesAt, printed } from './shown.js';

void test('a new key lies in a file of its owner, and its public half is printed', async (t) => {
  const file = join(temporaryDirectory(t), 'audit-key');
  const { code, lines, complaints } = await printed((screen) => auditKeygen(screen, file));
  assert.equal(code, 0);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const signer = parseSignKey(readFileSync(file, 'utf8'));
  assert.equal(parsePublicKey(lines.join('\n')), signer.key);
  assert.ok(isSignedBy(signer.key, 'text', signer.sign('text')));
  assert.ok(complaints.includes(signer.key));
  assert.doesNotMatch(lines.join('') + complaints, /PRIVATE/);
});

void test('a file that is there is left alone', async (t) => {
  const file = join(temporaryDirectory(t), 'audit-key');
  writeFileSync(file, 'precious');
  await assert.rejects(auditKeygen(keepScreen(), file), CommandFault);
  assert.equal(readFileSync(file, 'utf8'), 'precious');
});

void test('without a file the private key alone is on stdout', async () => {
  const { lines, complaints } = await printed((screen) => auditKeygen(screen, undefined));
  assert.ok(complaints.includes(parseSignKey(lines.join('\n')).key));
  assert.match(complaints, /PUBLIC KEY/);
});

void test('the key that the configuration names is the one', async (t) => {
  const folder = temporaryDirectory(t);
  const config = join(folder, 'dovegate.yaml');
  const parts = [
    'version: 1',
    'listeners: { support: { unix: s.sock, policy: p } }',
    'backends: { mail1: { address: "unix:/run/d", password_file: none, shared_namespaces: [] } }',
    'routes: [{ users: ["*"], backend: mail1 }]',
    'policies: { p: { users: ["*"], allow: [quota get] } }',
    'audit: { directory: audit, hmac_key: other.key }',
  ];
  // The password of the backend is not there: it is none of an auditor's business.
  writeFileSync(config, parts.join('\n'));
  writeFileSync(join(folder, 'other.key'), 'k'.repeat(32));
  const { lines } = await printed((screen) => auditHmac(screen, 'x', { config, paths: [] }, undefined));
  assert.deepEqual(lines, [createHmac('sha256', 'k'.repeat(32)).update('x').digest('hex')]);
});

void test('no key, or a key that keeps nothing secret, is refused', async (t) => {
  const directory = temporaryDirectory(t);
  const run = (...paths: string[]) => auditHmac(keepScreen(), 'x', placesAt(...paths), undefined);
  await assert.rejects(run(directory), (fault) => fault instanceof CommandFault && fault.exitCode === 78);
  writeFileSync(join(directory, 'hmac.key'), 'short');
  await assert.rejects(run(directory), (fault) => fault instanceof CommandFault && fault.exitCode === 78);
  await assert.rejects(run(), CommandFault);
});

// Goal: a person accepts a key, and the daemon's own user cannot, whatever he writes.

const { key } = makeSignKey();
const ourselves = process.geteuid?.() ?? 0;
const daemon = ourselves + 1;
const by = { key, journal: 'ab', wallMs: 0, userId: ourselves, ownerId: daemon };

void test('what was accepted is read again, once, and by everybody', (t) => {
  const config = join(openFolder(t), 'dovegate.yaml');
  assert.deepEqual(readAccepted(config, by).keys, []);
  const path = acceptKey(config, by);
  assert.equal(acceptKey(config, by), path);
  const other = makeSignKey().key;
  acceptKey(config, { ...by, key: other });
  assert.deepEqual(readAccepted(config, by), { path, keys: [key, other], problem: undefined });
  assert.equal(statSync(path).mode & 0o777, 0o644);
  assert.match(readFileSync(path, 'utf8'), /accepted 1970-01-01T00:00:00\.000Z by uid \d+ for journal ab\n/);
});

void test("the daemon's user may not accept, and a file that he could write does not count", (t) => {
  const folder = openFolder(t);
  const config = join(folder, 'dovegate.yaml');
  const refused = (userId: number, ownerId: number, exitCode: number) =>
    assert.throws(
      () => demandMayAccept(config, { userId, ownerId }),
      (fault) => fault instanceof CommandFault && fault.exitCode === exitCode,
    );
  refused(daemon, daemon, 77);
  demandMayAccept(config, { userId: ourselves, ownerId: daemon });
  const path = acceptKey(config, by);
  chmodSync(path, 0o666);
  assert.match(readAccepted(config, by).problem ?? '', /can be changed by every user/);
  assert.deepEqual(readAccepted(config, by).keys, []);
  chmodSync(path, 0o644);
  chmodSync(folder, 0o777);
  refused(ourselves, daemon, 78);
  assert.deepEqual(readAccepted(config, by).keys, []);
  chmodSync(folder, 0o755);
  if (ourselves !== 0) return;
  demandMayAccept(config, { userId: 0, ownerId: 0 });
  chownSync(path, daemon, 0);
  assert.match(readAccepted(config, by).problem ?? '', /belongs to /);
  chownSync(path, 0, 0);
  chownSync(folder, daemon, 0);
  assert.deepEqual(readAccepted(config, by).keys, []);
  refused(ourselves, daemon, 78);
});

void test('what is no key is not taken for one', (t) => {
  const folder = join(openFolder(t), 'etc');
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(join(folder, 'accepted-audit-keys'), `# words\n\n${key}x\n${key} said so\n`, { mode: 0o600 });
  assert.deepEqual(readAccepted(join(folder, 'dovegate.yaml'), by).keys, [key]);
});
