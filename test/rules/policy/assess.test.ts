// What the tables of test/rules/policy/answers cannot show of an assessment.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newestMinor } from '../../../src/doveadm/protocol/minors.js';
import { routingTableOf } from '../../../src/rules/config/settings.js';
import { assess, fateOf, plainLine } from '../../../src/rules/policy/assess.js';
import { createRoutingTable, nothingAsked } from '../../../src/rules/policy/route.js';
import { settingsOf, withPolicies } from '../config/sound.js';

void test('a mail command that names no user goes nowhere, even where a judgement allows it', () => {
  const settings = settingsOf(withPolicies('  support: { users: ["*"], allow: [quota get] }\n'));
  const policy = settings.policies.get('support') ?? assert.fail();
  const subject = { listener: 'support', principal: 'carol@support', clientMinor: newestMinor, policy };
  const routing = routingTableOf(settings);
  const words = ['quota', 'get'];
  const { judgement } = assess(plainLine('alice', words), subject, routing, nothingAsked, 0);
  assert.ok(judgement.kind === 'judged' && judgement.decision.kind === 'allow');
  const allowing = {
    ...judgement,
    user: '',
    attempt: { ...judgement.attempt, user: undefined, users: [] },
  };
  const remembered = {
    find: () => allowing,
    keep: () => undefined,
    clear: () => undefined,
    size: 1,
    bytes: 0,
  };
  const table = createRoutingTable({ ...routing, remembered });
  const found = assess(plainLine('', words), subject, table, nothingAsked, 0);
  assert.deepEqual(
    [fateOf(found), found.obstacle],
    ['obstacle', { kind: 'unroutable', reason: 'the command names no user' }],
  );
  assert.deepEqual(found.destinations, []);
});

void test('a line as people write it has no flags', () => {
  assert.deepEqual(plainLine('alice', ['quota', 'get']), {
    debug: false,
    verbose: false,
    proxyTtl: undefined,
    user: 'alice',
    words: ['quota', 'get'],
    fault: undefined,
    named: undefined,
  });
});
