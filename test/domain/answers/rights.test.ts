// Goal: what a policy permits is told in words, survives the way over the wire, and names no file and nobody else's policy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectOfName, rightsOf, rightsOfRows, rowsOfRights } from '../../../src/domain/answers/rights.js';
import { parse, withPolicies } from '../config/sound.js';

const text = withPolicies(`  support:
    users: ["*@example.com"]
    except: [ceo@example.com]
    allow:
      - quota get
      - { command: fetch, where: { field: [uid, flags] }, reason: required, limit: 20/hour }
    deny: [mailbox delete]
    limits: { rate: 60/minute, distinct_users: 50/hour, at_once: 2 }
    debug: true
  watch: { mode: observe, users: ["*"], allow: [who] }
`);

function policyNamed(name: string) {
  const { settings, problems } = parse(text);
  const policy = settings?.policies.get(name);
  assert.ok(policy, JSON.stringify(problems));
  return policy;
}

void test('the rows of a policy', () => {
  const rights = rightsOf(policyNamed('support'), 'support', 'alice@support');
  assert.deepEqual(
    rowsOfRights(rights).map((row) => row.join(' ')),
    [
      'listener support',
      'principal alice@support',
      'policy support',
      'mode enforce',
      'user *@example.com',
      'except ceo@example.com',
      'limit 60 a minute',
      'limit 50 an hour of different users',
      'limit 2 at once',
      'logs filtered',
      'debug yes',
      'allow quota get',
      'effect read',
      'allow fetch',
      'effect read',
      'if field: uid or flags',
      'if no other options',
      'if the client must say why',
      'if at most 20 an hour',
      'deny mailbox delete',
      'effect destroy',
    ],
  );
  assert.deepEqual(rightsOfRows(rowsOfRights(rights)), rights);
});

void test('observe, nobody in particular, and what is no answer', () => {
  const rights = rightsOf(policyNamed('watch'), 'audit', undefined);
  assert.equal(rights.isObserving, true);
  assert.deepEqual(rightsOfRows(rowsOfRights(rights)), rights);
  assert.equal(rightsOfRows([]), undefined);
  assert.equal(rightsOfRows([['listener', 'x']]), undefined);
});

void test('the effect of a name is the one in the series where it does most', () => {
  assert.equal(effectOfName('quota get'), 'read');
  assert.equal(effectOfName('mailbox delete'), 'destroy');
});
