// Goal: statements get the answers that were written beside them; a line that disproves one is allowed by `explain`, and does what the
// statement excludes. What must not happen: a text that is no statement gets an answer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandNamed } from '../../../src/doveadm/commands/catalog.js';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { findText, setOfPatterns, setOfUserNames } from '../../../src/evidence/proof/language.js';
import { linesFor } from '../../../src/evidence/proof/lines.js';
import { proveNoMore } from '../../../src/evidence/proof/more.js';
import { type Proof, prove, type Witness } from '../../../src/evidence/proof/prove.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { explainLine } from '../../../src/rules/answers/explanation.js';
import { readStatement } from '../../../src/rules/answers/statement.js';
import { routingTableOf, type Settings } from '../../../src/rules/config/settings.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { underAnyGrant } from '../../../src/rules/policy/grant.js';
import { createPolicy, type Policy } from '../../../src/rules/policy/policy.js';
import { backend, main, nowMs, options, settingsOf, settingsWith, wide } from './proven.js';
import { changes, type Expected, statements, wideStatements } from './statements.js';

function decide(text: string, settings: Settings, before?: Settings): Proof {
  const statement = readStatement(text, settings, ...(before === undefined ? [] : [before]));
  switch (statement.kind) {
    case 'bad':
      return assert.fail(`${text}: ${statement.message}`);
    case 'never':
      return prove(statement, settings, options);
    case 'more':
      return proveNoMore(statement, before ?? assert.fail(text), settings, options);
    default:
      return statement satisfies never;
  }
}

function isAllowed(settings: Settings, witness: Witness): boolean {
  const policy = settings.policies.get(witness.policy) ?? assert.fail();
  const subject = {
    listener: witness.listener,
    principal: '-@x',
    clientMinor: 4,
    policy,
    grants: witness.isGranted ? underAnyGrant : undefined,
  };
  const table = routingTableOf(settings, witness.series && [witness.series]);
  const line = plainLine(witness.user, witness.words);
  const { judgement, obstacle } = explainLine(line, subject, table, nowMs);
  return judgement.kind === 'judged' && judgement.decision.kind === 'allow' && obstacle === undefined;
}

function check(proof: Proof, { statement, answer, because }: Expected, settings: Settings): void {
  const shown = `${statement}: ${JSON.stringify(proof)}`;
  assert.equal(proof.kind, answer, shown);
  switch (proof.kind) {
    case 'holds':
      return;
    case 'undecided':
      assert.ok(proof.reason.startsWith(because ?? assert.fail(shown)), shown);
      return;
    case 'disproved':
      assert.ok(isAllowed(settings, proof.witness), shown);
      if (because !== undefined) assert.ok(proof.witness.words.join(' ').startsWith(because), shown);
      return;
    default:
      proof satisfies never;
  }
}

void test('each statement has the answer that was written before', () => {
  assert.ok(statements.length >= 30);
  for (const each of statements) check(decide(each.statement, main), each, main);
  for (const each of wideStatements) check(decide(each.statement, wide), each, wide);
});

void test('what a change allows, refuses, or leaves open', () => {
  const of = (own: string): Settings =>
    settingsWith('persons: { carol: { users: [carol] } }', own, ['p', 'q']);
  for (const each of changes) {
    const [before, after] = [of(each.before), of(each.after)];
    const shown = { ...each, statement: `${each.statement}\n${each.before}${each.after}` };
    check(decide(each.statement, after, before), shown, after);
    assert.equal(decide('nobody may do more than before even with approval', before, before).kind, 'holds');
  }
});

void test('who gets a policy, and what decides beside it, is compared too', () => {
  const policies =
    '\n  p: { users: ["*"], allow: [quota get] }\n  q: { users: ["*"], allow: [mailbox list] }\n';
  const of = (listeners: string, routes = '["*"]', shared = '[]'): Settings =>
    settingsOf(`listeners: { ${listeners} }
backends: { m: { address: ${backend}, shared_namespaces: ${shared} } }
routes: [{ users: ${routes}, backend: m }]
policies:${policies}`);
  const one = of('a: { unix: /a, policy: p }');
  const answers = (before: Settings, after: Settings): string => {
    const proof = decide('nobody may do more than before', after, before);
    return proof.kind === 'undecided' ? `undecided: ${proof.reason.split(/[:,(]/)[0]}` : proof.kind;
  };
  assert.equal(answers(one, one), 'holds');
  assert.equal(answers(one, of('a: { unix: /a, policy: q }')), 'disproved');
  const both = of('a: { unix: /a, policy: p }, b: { unix: /b, policy: p }');
  assert.equal(answers(one, both), 'disproved');
  assert.equal(answers(both, one), 'holds');
  const [ofOne = one, ofAll = one] = ['quota get', '{ command: quota get, all_users: true }'].map((rule) =>
    settingsWith('', `\n  p: { users: ["*"], allow: [${rule}] }\n`, ['p']),
  );
  const proof = decide('nobody may do more than before', ofAll, ofOne);
  assert.deepEqual(proof.kind === 'disproved' && [proof.witness.user, ...proof.witness.words], [
    '',
    'quota',
    'get',
    '-A',
  ]);
  assert.equal(decide('nobody may do more than before', ofOne, ofAll).kind, 'holds');
  const byGroup = of('a: { unix: /a, policies: [{ peers: { groups: [g] }, policy: q }, { policy: p }] }');
  assert.equal(answers(byGroup, of('a: { unix: /a, policy: q }')), 'undecided: groups');
  const admitting = (peers: string): Settings => of(`a: { unix: /a, peers: ${peers}, policy: p }`);
  const anna = admitting('{ users: [anna] }');
  assert.equal(answers(anna, admitting('{ users: [anna, bob] }')), 'disproved');
  assert.equal(answers(admitting('{ users: [anna, bob] }'), anna), 'holds');
  assert.equal(answers(anna, admitting('{ users: [anna], groups: [g] }')), 'undecided: groups');
  // Whoever has that uid may be called so.
  assert.equal(answers(admitting('{ users: ["1000"] }'), anna), 'undecided: groups');
  const choosing = (peers: string): Settings =>
    of(`a: { unix: /a, policies: [{ peers: ${peers}, policy: q }, { policy: p }] }`);
  assert.equal(answers(choosing('{ users: [anna] }'), choosing('{ users: [anna, bob] }')), 'disproved');
  assert.equal(answers(byGroup, choosing('{ users: [anna], groups: [g] }')), 'undecided: groups');
  assert.equal(answers(one, choosing('{ users: [anna] }')), 'disproved');
  const fewer = of('a: { unix: /a, policy: p }', '["*@x.org"]');
  const shared = of('a: { unix: /a, policy: p }', '["*"]', '["shared/"]');
  assert.equal(answers(fewer, one), 'undecided: what decides beside the rules differs');
  assert.equal(answers(one, fewer), 'holds');
  assert.equal(answers(shared, one), 'undecided: what decides beside the rules differs');
});

const withPage = `version: 1
listeners:
  a: { unix: /a, policy: p }
  b: { unix: /b, policy: q }
  api:
    tcp: "127.0.0.1:8080"
    protocol: http
    tls: { mode: off }
    keys: { panel: { hash: "sha256$${'0'.repeat(64)}", policy: p, from: [10.0.0.0/8] } }
backends: { m: { address: ${backend}, shared_namespaces: [], newer: reads } }
routes: [{ users: ["*"], backend: m }]
audit: { group: auditors }
persons: { carol: { users: [carol] } }
admin: { page: { unix: /p, people: { carol: { user: carol, role: view } } } }
policies:
  p:
    users: ["*"]
    allow: [quota get, { command: expunge, max_matches: 10 }]
    on_request: [{ command: mailbox list, approvals: 0, uses: 2, for: 1h, scope: command }]
  q: { users: ["*"], approve: [p] }
`;

void test('a setting that no proof knows leaves it undecided, by its name', () => {
  const [before, noMore] = [settingsOf(withPage), 'nobody may do more than before'] as const;
  const said = (after: Settings, was = before): string => {
    const proof = decide(noMore, after, was);
    return proof.kind === 'undecided' ? proof.reason : proof.kind;
  };
  for (const [old, fresh, key] of [
    ['people: {', 'people: { dora: { user: dora, role: operate },', 'admin.page.people.dora'],
    ['role: view', 'role: operate', 'admin.page.people.carol.roles'],
    ['{ page: {', '{ page: { approve: true,', 'admin.page.approve'],
    ['  p:', '  p:\n    approve: [q]', 'policies.p.approve'],
    ['  p:', '  p:\n    logs: full', 'policies.p.logs'],
    ['  p:', '  p:\n    debug: true', 'policies.p.debug'],
    [', from: [10.0.0.0/8]', '', 'listeners.api.keys.panel.from'],
    ['keys: { panel: {', 'keys: { panel: { owner_reports: true,', 'listeners.api.keys.panel.owner_reports'],
    ['$0', '$1', 'listeners.api.keys.panel.hash'],
    ['protocol: http', 'protocol: http\n    from: [192.0.2.0/24]', 'listeners.api.from'],
    ['auditors', 'everybody', 'audit.group'],
    ['newer: reads', 'newer: serve', 'backends.m.newer'],
    ['max_matches: 10', 'max_matches: 11', 'max_matches'],
    ['max_matches: 10', 'max_matches: 10, emergency: true', 'emergency'],
    ['for: 1h', 'for: 2h', 'for'],
    ['scope: command', 'scope: user', 'scope'],
  ] as const) {
    assert.ok(withPage.includes(old), old);
    const reason = said(settingsOf(withPage.replace(old, fresh)));
    assert.ok(reason.split(/[ ,:;]+/).includes(key), `${key}: ${reason}`);
  }
  // What is gone allows nothing more, and what nobody gets a right by is free.
  const dora = settingsOf(withPage.replace('people: {', 'people: { dora: { user: dora, role: operate },'));
  assert.equal(said(before, dora), 'holds');
  for (const [old, fresh] of [
    ['max_matches: 10', 'max_matches: 9'],
    ['for: 1h', 'for: 30m'],
    ['  p:', '  p:\n    contact: helpdesk'],
    ['newer: reads', 'newer: reads, connections: 9'],
  ] as const)
    assert.equal(said(settingsOf(withPage.replace(old, fresh))), 'holds', fresh);
  // A setting of a later day, wherever it stands.
  const fresh = { laterSetting: true };
  const policies = (change: (policy: Policy) => object): Settings => ({
    ...before,
    policies: new Map([...before.policies].map(([name, policy]) => [name, { ...policy, ...change(policy) }])),
  });
  const [backends, listeners] = [before.backends, before.listeners].map((all) =>
    all.map((each) => ({ ...each, ...fresh })),
  );
  for (const [after, key] of [
    [fresh, ''],
    [{ audit: { ...before.audit, ...fresh } }, 'audit.'],
    [{ backends }, 'backends.m.'],
    [{ listeners }, 'listeners.a.'],
    [policies(() => fresh), 'policies.p.'],
  ] as const) {
    const reason = said(Object.assign({}, before, after));
    assert.ok(reason.includes(`${key}later_setting`), `${key}: ${reason}`);
  }
  const later = policies((policy) => {
    const [first, ...rest] = policy.allow;
    const allow = first === undefined ? [] : [{ ...first, ...fresh }, ...rest];
    return { ...createPolicy({ ...policy, allow }), version: `later ${policy.version}` };
  });
  assert.match(said(later), /^later_setting: policy p may allow more of "quota get"/);
});

void test('a text that is no statement is refused, with the place and what was meant', () => {
  for (const [text, message] of [
    ['', /^at its end there must be "nobody", or who: policy NAME/],
    [
      'nobody may destory',
      /^at character 12, before "destory", there must be a verb: .*; did you mean "destroy"\?$/,
    ],
    ['policy suport may never read', /^there is no policy "suport"; did you mean support\?$/],
    [
      'nobody may run mailbx list',
      /there must be the full name of a command.*did you mean "mailbox list"\?$/,
    ],
    ['policy support may read', /"never" or "only": a statement says what cannot happen/],
    ['nobody may never read', /leave out "never"/],
    ['nobody may read in mailboxes of bob', /a pattern in double quotes/],
    [
      'nobody may read in mailboxes of "b?b@example.com"',
      /^the pattern at character 33: only \* and \*\* are wildcards here/,
    ],
    ['nobody may read in mailboxes of "*" or "@example.com"', /names no user; write \*@example\.com/],
    ['nobody may read "', /the quotes at character 17 are not closed/],
    ['nobody may read twice', /before "twice", there must be the end of the statement/],
    ['after this change nobody may read', /"nobody may do more than before"/],
    ['policy support may only run anything', /excludes nothing/],
    [`nobody may read${' '.repeat(bounds.statementChars)}`, /^is longer than 4096 characters$/],
    ['key:modoboa may never read', /there is no key "modoboa"; there are: billing/],
  ] as const) {
    const statement = readStatement(text, main);
    assert.match(statement.kind === 'bad' ? statement.message : `no fault in ${text}`, message);
  }
});

void test('a statement about users whom nobody can be is undecided', () => {
  const reason = (users: string, settings: Settings): string => {
    const proof = decide(`nobody may administer in mailboxes of ${users} by name`, settings);
    return proof.kind === 'undecided' ? proof.reason : proof.kind;
  };
  const policy = '\n  p: { users: ["*"], allow: [quota get] }\n';
  const realm = settingsWith('mail_users: { default_realm: example.com }', policy, ['p']);
  assert.match(
    reason('"bob"', realm),
    /^users: "bob" matches no name that a user can have .*; write "bob@example\.com"$/,
  );
  assert.match(reason('"*@example.com" or "bob@example.com "', realm), /^users: "bob@example\.com " [^;]*$/);
  for (const users of ['"bob@example.com"', '"*"', '"**"', '"BOB@example.com"'])
    assert.equal(reason(users, realm), 'holds', users);
  assert.equal(reason('"bob"', main), 'holds');
});

void test('a pattern of a configuration matches nobody where no name of a proof is one of its texts', () => {
  const signs = ['a', 'A', '@', '*', ' '];
  const ranges = ['@@', 'az'].map((range) => [range.charCodeAt(0), range.charCodeAt(1)] as const);
  let patterns = [''];
  for (let length = 1; length <= 4; length += 1) {
    patterns = patterns.flatMap((text) => signs.map((sign) => `${text}${sign}`));
    for (const defaultRealm of [undefined, 'aa'])
      for (const pattern of patterns.filter((text) => !text.startsWith('@'))) {
        const names = createUserNames({ characters: 'a-z@', ...(defaultRealm && { defaultRealm }) });
        const all = setOfUserNames(ranges, defaultRealm !== undefined);
        const found = findText([all, setOfPatterns([pattern.toLowerCase()], true)], [], () => false);
        const isSomebody = names.whyNobody(pattern, true) === undefined;
        assert.equal(isSomebody, found.kind === 'text', `${pattern} ${defaultRealm}`);
      }
  }
});

void test('no time, or too many cases, is undecided', () => {
  const statement = readStatement('nobody may administer', main);
  assert.ok(statement.kind === 'never');
  const slow = readStatement('nobody may destroy in mailboxes of "*a*b*c*d*e*f*@**" by name', main);
  assert.ok(slow.kind === 'never');
  assert.equal(prove(statement, main, options).kind, 'holds');
  let asked = 0;
  const proof = prove(slow, main, { nowMs, isOver: () => (asked += 1) > 5 });
  assert.ok(proof.kind === 'undecided' && proof.reason.includes(`${10_000 / 1000} s`), JSON.stringify(proof));
});

void test('a search with too many cases ends, and so do the lines that are tried', () => {
  const rule = '{ command: kick, where: { mask: { regex: "[ab]*a[ab]{20}" } } }';
  const many = settingsWith('', `\n  p: { users: ["*"], allow: [${rule}] }\n`, ['p']);
  // Each of the last 20 letters doubles the cases: far more than are tried.
  const proof = decide('nobody may end sessions in mailboxes of "*" by name', many);
  assert.ok(proof.kind === 'undecided' && proof.reason.includes('too many cases'), JSON.stringify(proof));
  const command = commandNamed('2.4', 'search') ?? assert.fail();
  const policy = main.policies.get('audit') ?? assert.fail();
  const others = Array.from({ length: 90 }, (_, at) => {
    const isBox = { kind: 'one-of', globs: new GlobList([`Box${at}`]) } as const;
    const query = { kind: 'keys', conditions: [{ key: 'mailbox', test: isBox }], anyOf: [] } as const;
    return { ...(policy.allow[0] ?? assert.fail()), query };
  });
  const wish = { command, series: '2.4', rule: policy.allow[0], user: 'x', given: [] } as const;
  assert.equal(linesFor({ ...wish, isAboutContent: false, others }).length, 400);
});
