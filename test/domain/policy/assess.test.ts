// Goal: what a command would come to where its backends differ, where it names nobody, and until when that holds. What must not
// happen: a command without a user reaches a backend, or a judgement outlives the time window of one of its rules.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../../src/domain/config/parse-settings.js';
import { routingTableOf } from '../../../src/domain/config/settings.js';
import { type Assessment, assess, fateOf, plainLine } from '../../../src/domain/policy/assess.js';
import { createRoutingTable, nothingAsked, type RoutingTable } from '../../../src/domain/policy/route.js';
import { newestMinor } from '../../../src/protocol/minors.js';

const nowMs = Date.UTC(2026, 10, 20, 12);
const endMs = Date.UTC(2026, 10, 20, 13);

/** Two backends, of which only the second says which namespaces it shares. */
function settingsWith(policies: string, shadow: string) {
  const text = `
version: 1
listeners: { support: { unix: /s, policy: support } }
backends:
  mail1: { address: "unix:/m1", series: "2.4" }
  mail2: { address: "unix:/m2", series: "2.4", shared_namespaces: ["Team/"] }
routes:
  - { users: ["*@one.example"], backend: mail1 }
  - { users: ["*@two.example"], backend: mail2 }
policies:
${policies}`;
  const { settings, problems } = parseSettings('x', {
    readText: (path) => (path.endsWith('shadow.yaml') ? shadow : text),
    glob: () => [],
  });
  return settings ?? assert.fail(JSON.stringify(problems.filter(({ severity }) => severity === 'error')));
}

function assessed(
  policies: string,
  user: string,
  words: readonly string[],
  change: (table: RoutingTable) => RoutingTable = (table) => table,
  shadow = '',
): Assessment {
  const settings = settingsWith(policies, shadow);
  const policy = settings.policies.get('support') ?? assert.fail();
  const subject = {
    listener: 'support',
    principal: 'carol@support',
    clientMinor: newestMinor,
    policy,
  };
  return assess(plainLine(user, words), subject, change(routingTableOf(settings)), nothingAsked, nowMs);
}

const list = 'command: mailbox list, all_users: true';
const window = 'expires: 2026-11-20T13:00:00Z';

/** Without the namespaces of mail2, Team/x is a mailbox like any other. */
const windowed = `  support:
    users: ["*"]
    allow:
      - { ${list} }
      - { ${list}, shared: true, where: { mailbox-mask: ["Team/*"] }, ${window} }
`;

void test('of two looks at a command for several backends, the sooner end counts', () => {
  const { judgement } = assessed(windowed, '', ['mailbox', 'list', '-A', 'Team/x']);
  assert.ok(judgement.kind === 'judged' && judgement.decision.kind === 'allow');
  assert.equal(judgement.holdsUntilMs, endMs);
  const plain = assessed(windowed, '', ['mailbox', 'list', '-A', 'Work/x']).judgement;
  assert.ok(plain.kind === 'judged');
  assert.equal(plain.holdsUntilMs, undefined);
});

void test('of two looks at a command for several backends, a shadow that differs in one of them is told', () => {
  const shadowed = `  support: { users: ["*"], shadow: shadow.yaml, allow: [{ ${list}, shared: true }] }\n`;
  const shadow = `users: ["*"]\nallow: [{ ${list} }]\n`;
  const { judgement } = assessed(shadowed, '', ['mailbox', 'list', '-A', 'Team/x'], undefined, shadow);
  assert.ok(judgement.kind === 'judged' && judgement.decision.kind === 'allow');
  assert.deepEqual([judgement.shadow?.kind, judgement.shadow?.code], ['deny', 'rule-misses']);
});

void test('a mailbox that one of several backends shares is denied on all of them, unless a rule says shared', () => {
  const some = `  support: { users: ["*"], allow: [{ ${list} }] }\n`;
  const shared = `  support: { users: ["*"], allow: [{ ${list}, shared: true }] }\n`;
  const differing = `  support:
    users: ["*"]
    allow: [{ ${list} }, { ${list}, shared: true, reason: required, where: { mailbox-mask: ["Team/*"] } }]
`;
  const all = (policies: string, mask: string) =>
    fateOf(assessed(policies, '', ['mailbox', 'list', '-A', mask]));
  assert.equal(all(some, 'Team/x'), 'deny');
  assert.equal(all(some, 'Team*'), 'deny');
  assert.equal(all(some, 'T%'), 'deny');
  assert.equal(all(some, 'Teams'), 'allow');
  assert.equal(all(some, 'shared/x'), 'deny', 'the usual prefixes count for mail1');
  assert.equal(all(shared, 'Team/x'), 'allow');
  assert.equal(all(differing, 'Team/x'), 'unparsable');
  assert.equal(all(differing, 'Work/x'), 'allow');
  // Of one user the backend is known: mail1 shares by the usual names only, mail2 only what it says.
  const of = (user: string, mask: string) => fateOf(assessed(some, user, ['mailbox', 'list', mask]));
  assert.deepEqual([of('a@one.example', 'Team/x'), of('a@one.example', 'shared/x')], ['allow', 'deny']);
  assert.deepEqual([of('a@two.example', 'Team/x'), of('a@two.example', 'shared/x')], ['deny', 'allow']);
});

void test('a mail command that names no user goes nowhere, even where a judgement allows it', () => {
  const named = assessed('  support: { users: ["*"], allow: [quota get] }\n', 'a@one.example', [
    'quota',
    'get',
  ]);
  assert.ok(named.judgement.kind === 'judged' && fateOf(named) === 'allow');
  const allowing = {
    ...named.judgement,
    user: '',
    attempt: { ...named.judgement.attempt, user: undefined, users: [] },
  };
  const remembered = {
    find: () => allowing,
    keep: () => undefined,
    clear: () => undefined,
    size: 1,
    bytes: 0,
  };
  const found = assessed('  support: { users: ["*"], allow: [quota get] }\n', '', ['quota', 'get'], (table) =>
    createRoutingTable({ ...table, remembered }),
  );
  assert.deepEqual(
    [fateOf(found), found.obstacle],
    ['obstacle', { kind: 'unroutable', reason: 'the command names no user' }],
  );
  assert.deepEqual(found.destinations, []);
});

void test('a policy that only observes sends a user whom it does not cover to the home of that user, without obligations', () => {
  const fates = ['observe', 'enforce'].map((mode) => {
    const policies = `  support: { mode: ${mode}, users: ["*@two.example"], allow: [{ command: quota get, reason: required }] }\n`;
    const found = assessed(policies, 'a@one.example', ['quota', 'get']);
    const { judgement } = found;
    assert.ok(judgement.kind === 'judged');
    if (judgement.decision.kind === 'allow')
      assert.deepEqual(judgement.decision.obligations, { reason: false, limitKey: '', emergency: false });
    return [fateOf(found), found.destinations.map(({ name }) => name)];
  });
  assert.deepEqual(fates, [
    ['allow', ['mail1']],
    ['deny', []],
  ]);
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
