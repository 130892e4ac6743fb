import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { inspectSignKey } from '../../../src/rules/setup/inspect-files.js';
import { settingsOf, sound } from '../config/sound.js';

const old = makeSignKey();
const next = makeSignKey();
const paths = `audit: { directory: /a }\nstate: /s\n`;

function told(files: Readonly<Record<string, string>>, more = paths): string[] {
  return inspectSignKey(settingsOf(`${sound}${more}`), (path) => {
    if (files[path] === 'EACCES') throw new Error('EACCES');
    return files[path];
  }).map(({ path, severity, message }) => `${severity} ${path}: ${message}`);
}

void test('a key that is gone or another one is a warning, before the daemon starts with it', () => {
  const signed = { '/a/key.pub': old.publicPem };
  assert.match(
    told(signed).join(''),
    /^warning audit\.sign_key: \/s\/audit-sign\.key is gone, the key .* that signed \/a, .*--accept-key/,
  );
  const [other = ''] = told({ ...signed, '/s/audit-sign.key': next.secretPem });
  assert.ok(other.includes(`is ${next.key}, and /a was signed by ${old.key}`), other);
  assert.ok(!other.includes('PRIVATE'));
  const named = `audit: { directory: /a, sign_key: /k }\nstate: /s\n`;
  assert.equal(told({ ...signed, '/k': next.secretPem }, named).length, 1);
});

void test('nothing is said of a first start, the same key, a configured file that is missing, and what may not be read', () => {
  const signed = { '/a/key.pub': old.publicPem };
  const named = `audit: { directory: /a, sign_key: /k }\nstate: /s\n`;
  assert.deepEqual(told({}), []);
  assert.deepEqual(told({ ...signed, '/s/audit-sign.key': old.secretPem }), []);
  assert.deepEqual(told(signed, named), [], 'that is an error by itself');
  assert.deepEqual(told({ ...signed, '/s/audit-sign.key': 'EACCES' }), []);
  assert.deepEqual(told({ '/a/key.pub': 'EACCES' }), []);
  assert.deepEqual(told({ ...signed, '/s/audit-sign.key': 'no key' }), []);
});
