// Goal: the file by which a gate joins is read as it was written; anything else is no such file, above all what would write more into a
// configuration than names.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatJoinFile, type JoinFile, parseJoinFile } from '../../../src/evidence/fleet-cli/join-file.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';

const { key } = makeSignKey();
const file: JoinFile = {
  host: 'mail-gate-1',
  servers: 'tls://nats1.example.com:4222,tls://[2001:db8::7]:4222',
  stream: 'DOVEGATE_AUDIT',
  authority: '-----BEGIN CERTIFICATE-----\nabc\n',
  credentials: 'credentials',
  verifiers: { verifier: `${key}\n${key}\n` },
};

test('written and read', () => {
  assert.deepEqual(parseJoinFile(formatJoinFile(file)), file);
});

test('no such file', () => {
  for (const text of ['', '{}', 'mail-gate-1', '[]', formatJoinFile(file).slice(0, -10)])
    assert.equal(parseJoinFile(text), undefined, text);
  const changes: readonly Partial<Record<keyof JoinFile, unknown>>[] = [
    { verifiers: { '../gate': key } },
    { verifiers: { verifier: 'no key' } },
    { host: 'a.b' },
    { host: 'verifier' },
    { host: 'a"\nlisteners: {}' },
    { servers: 'tls://a:1"\n' },
    { servers: '' },
    { stream: 'A B' },
  ];
  for (const change of changes)
    assert.equal(
      parseJoinFile(JSON.stringify({ ...JSON.parse(formatJoinFile(file)), ...change })),
      undefined,
      JSON.stringify(change),
    );
});

test('a file above the bound is not parsed', () => {
  const rest = 64 * 1024 - formatJoinFile(file).length;
  const long = (more: number): string =>
    formatJoinFile({ ...file, credentials: file.credentials + 'k'.repeat(more) });
  assert.notEqual(parseJoinFile(long(rest)), undefined);
  assert.equal(parseJoinFile(long(rest + 1)), undefined);
});
