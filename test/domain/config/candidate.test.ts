// Goal: a changed candidate is another configuration: its hash differs, so a reload is told from the one before, and doctor sees that the
// file is not the one in use.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../../src/domain/config/parse-settings.js';
import { memoryFiles, withPolicies } from './sound.js';

const file = '/etc/dovegate/d.yaml';
const with_ = withPolicies('  support: { users: ["*"], allow: [quota get], shadow: next.yaml }\n');

function hashWith(text: string, candidate: string): string {
  const files = memoryFiles({ [file]: text, '/etc/dovegate/next.yaml': candidate });
  return parseSettings(file, files).settings?.hash ?? assert.fail(candidate);
}

void test('the hash of a configuration has the candidates of its policies', () => {
  const one = hashWith(with_, 'users: ["*"]\nallow: [quota get]\n');
  assert.equal(hashWith(with_, 'users: ["*"]\nallow: [quota get] # the same\n'), one);
  assert.notEqual(hashWith(with_, 'users: ["*"]\nallow: [who]\n'), one);
  assert.notEqual(hashWith(with_.replace(', shadow: next.yaml', ''), ''), one);
});
