// Goal: a changed candidate is another configuration: its hash differs, so a reload is told from the one before, and doctor sees that the
// file is not the one in use.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
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

void test('one file has the candidates of several policies; a policy that it lacks has none', () => {
  const policies =
    '  support: { users: ["*"], allow: [quota get] }\n  other: { users: ["*"], allow: [who] }\n';
  const parsed = (text: string, candidates: string) =>
    parseSettings(file, memoryFiles({ [file]: text, '/etc/dovegate/next.yaml': candidates }));
  const all = `${withPolicies(policies)}shadow: next.yaml\n`;
  const one = 'policies:\n  support: { users: ["*"], allow: [purge] }\n';
  const { settings } = parsed(all, one);
  assert.equal(settings?.policies.get('support')?.shadow?.allowByCommand.has('purge'), true);
  assert.equal(settings?.policies.get('other')?.shadow, undefined);
  const both = `${one}  other: { users: ["*"], allow: [search] }\n`;
  assert.equal(parsed(all, both).settings?.policies.get('other')?.shadow?.allowByCommand.has('search'), true);
  // A policy may name that file, too.
  assert.equal(
    parsed(with_, one.replace('\n', '\n  other: { users: ["*"], allow: [] }\n')).problems.length,
    0,
  );
  const messages = (candidates: string) =>
    parsed(all, candidates).problems.flatMap(({ severity, message }) =>
      severity === 'error' ? message : [],
    );
  assert.deepEqual(messages(`${one}  nobody: { users: ["*"], allow: [] }\n`), [
    '/etc/dovegate/next.yaml has a candidate for nobody, and there is no such policy',
  ]);
  assert.match(messages('users: ["*"]\n').join(), /holds no policies: NAME/);
});
