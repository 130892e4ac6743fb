import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { auditHmac, auditKeygen } from '../../../src/cli/audit/audit-keys.js';
import { CommandFault } from '../../../src/cli/output/output.js';
import { isSignedBy, parsePublicKey, parseSignKey } from '../../../src/domain/audit/ledger.js';
import { makeHmacKey } from '../../../src/domain/audit/record.js';
import { temporaryDirectory } from '../../adapters/journal/reading.js';
import { keepScreen } from './shown.js';

void test('a new key lies in a file of its owner, and its public half is printed', async (t) => {
  const file = join(temporaryDirectory(t), 'audit-key');
  const screen = keepScreen();
  assert.equal(await auditKeygen(screen, file), 0);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const signer = parseSignKey(readFileSync(file, 'utf8'));
  const key = parsePublicKey(screen.lines().join('\n'));
  assert.equal(key, signer.key);
  assert.ok(isSignedBy(signer.key, 'text', signer.sign('text')));
  assert.ok(screen.complaints().includes(signer.key));
  assert.doesNotMatch(screen.lines().join('') + screen.complaints(), /PRIVATE/);
});

void test('a file that is there is left alone', async (t) => {
  const file = join(temporaryDirectory(t), 'audit-key');
  writeFileSync(file, 'precious');
  await assert.rejects(auditKeygen(keepScreen(), file), CommandFault);
  assert.equal(readFileSync(file, 'utf8'), 'precious');
});

void test('without a file the private key alone is on stdout', async () => {
  const screen = keepScreen();
  await auditKeygen(screen, undefined);
  const signer = parseSignKey(screen.lines().join('\n'));
  assert.ok(screen.complaints().includes(signer.key));
  assert.match(screen.complaints(), /PUBLIC KEY/);
});

void test('a value looks as it does in records, with the key of the journal or one that is named', async (t) => {
  const directory = temporaryDirectory(t);
  const text = makeHmacKey();
  writeFileSync(join(directory, 'hmac.key'), text);
  const expected = createHmac('sha256', text.trim()).update('größe').digest('hex');
  for (const [paths, keyFile] of [
    [[directory], undefined],
    [[], join(directory, 'hmac.key')],
  ] as const) {
    const screen = keepScreen();
    assert.equal(await auditHmac(screen, 'größe', { config: undefined, paths }, keyFile), 0);
    assert.deepEqual(screen.lines(), [expected]);
  }
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
  const screen = keepScreen();
  await auditHmac(screen, 'x', { config, paths: [] }, undefined);
  assert.deepEqual(screen.lines(), [createHmac('sha256', 'k'.repeat(32)).update('x').digest('hex')]);
});

void test('no key, or a key that keeps nothing secret, is refused', async (t) => {
  const directory = temporaryDirectory(t);
  const run = () => auditHmac(keepScreen(), 'x', { config: undefined, paths: [directory] }, undefined);
  await assert.rejects(run(), (fault) => fault instanceof CommandFault && fault.exitCode === 78);
  writeFileSync(join(directory, 'hmac.key'), 'short');
  await assert.rejects(run(), (fault) => fault instanceof CommandFault && fault.exitCode === 78);
  const none = { config: undefined, paths: [] };
  await assert.rejects(
    auditHmac(keepScreen(), 'x', none, undefined),
    (fault) => fault instanceof CommandFault,
  );
});
