// Goal: a change of policies is said in words of one sign, and commands are counted under the policies that were in force. What must not
// happen: a widening with another sign, a sentence from a text that is missing, a judgement about words that are not recorded.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { changesBetween } from '../../../src/evidence/review/policy-changes.js';
import { createPolicyPeriods } from '../../../src/evidence/review/policy-periods.js';
import { periodWords } from '../../../src/evidence/review/policy-words.js';
import { readFromDisk } from '../../../src/host/machine/process.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { policyListOf } from '../../../src/rules/config/policy-list.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import { hash } from '../../rules/config/jobs.js';
import { record, type Sent } from './recording.js';

interface Written {
  readonly policies: string;
  readonly listeners?: string;
  readonly backend?: string;
  readonly routes?: string;
  readonly more?: string;
}

/** What the journal keeps: the texts of every list and policy, by their hashes. */
const kept = new Map<string, string>();

const usualRoutes = '[{ users: ["*"], backend: mail1 }]';

function settingsOf({
  policies,
  listeners,
  backend = '',
  routes = usualRoutes,
  more = '',
}: Written): Settings {
  const text = `version: 1
listeners: ${listeners ?? '{ desk: { unix: /run/desk.sock, policy: desk } }'}
backends: { mail1: { address: "unix:/run/doveadm-server"${backend} } }
routes: ${routes}
${more}
policies:
${policies}`;
  const { settings, problems } = parseSettings('/etc/dovegate.yaml', {
    readText: () => text,
    glob: () => [],
    presetText: readFromDisk.presetText,
  });
  assert.ok(settings !== undefined, JSON.stringify(problems));
  for (const { version, effectiveText, shadow } of settings.policies.values()) {
    kept.set(version, effectiveText);
    if (shadow !== undefined) kept.set(shadow.version, shadow.effectiveText);
  }
  const list = policyListOf(settings);
  kept.set(list.hash, list.text);
  return settings;
}

const desk = (keys: string, other = ''): Written => ({
  policies: `  desk: { ${keys} }${other === '' ? '' : `\n  other: ${other}`}`,
});
const textOf = (of: string): string | undefined => kept.get(of);

function said(before: Written | undefined, after: Written): string[] {
  const [old, fresh] = [before, after].map((each) => each && policyListOf(settingsOf(each)).hash);
  const changes = changesBetween(old, fresh ?? '', textOf, (what) => assert.fail(what));
  return changes.map(({ sign, words }) => `${sign} ${words}`);
}

const allow = (rules: string): string => `users: ["*@a.org"], allow: [${rules}]`;
const plain = allow('quota get, mailbox list');
const [denying, excepting] = [`${plain}, deny: [expunge]`, `${plain}, except: [ceo@a.org]`];
const observing = `mode: observe, ${plain}`;
const twoRoutes = '[{ users: ["*@a.org"], backend: mail1 }, { users: ["*"], backend: mail1 }]';
const accounts = (all: string): string =>
  `{ web: { tcp: 127.0.0.1:1, tls: { mode: off }, accounts: { ${all} } } }`;
const password = `password_hash: "${hash}"`;

for (const [what, before, after, ...expected] of [
  [
    'a rule more',
    plain,
    allow('expunge, quota get, mailbox list, search'),
    '+ desk may now: expunge, search',
  ],
  ['a rule less', plain, allow('quota get'), '- desk may no longer: mailbox list'],
  [
    'the same rule with a condition',
    plain,
    allow('quota get, { command: mailbox list, users: ["x@a.org"] }'),
    '~ desk: its allow rule for mailbox list is now { users: [x@a.org] }, and was without conditions',
  ],
  ['another order', plain, allow('mailbox list, quota get'), '~ desk: its allow rules have another order'],
  ['a denial more', plain, denying, '- desk is now denied: expunge'],
  ['a denial less', denying, plain, '+ desk is no longer denied: expunge'],
  [
    'users',
    plain,
    plain.replace('@a', '@b'),
    '+ desk now covers: *@b.org',
    '- desk no longer covers: *@a.org',
  ],
  ['an exception more', plain, excepting, '- desk excepts now: ceo@a.org'],
  ['an exception less', excepting, plain, '+ desk no longer excepts: ceo@a.org'],
  ['observing', plain, observing, '+ desk: mode is now observe, and was enforce'],
  ['enforcing', observing, plain, '- desk: mode is now enforce, and was observe'],
  [
    'a limit',
    plain,
    `${plain}, limits: { at_once: 5 }`,
    '~ desk: limits is now { at_once: 5 }, and was not set',
  ],
  [
    'nothing but its form',
    plain,
    {
      policies:
        '  desk:\n    users: ["*@a.org"]\n    allow:\n      - quota get\n      - command: mailbox list',
    },
  ],
  [
    'shared namespaces',
    { ...desk(plain), backend: ', shared_namespaces: []' },
    { ...desk(plain), backend: ', shared_namespaces: ["shared/"]' },
    '~ the shared namespaces of mail1 are now [shared/], and were []',
  ],
  ['routes', plain, { ...desk(plain), routes: twoRoutes }, '~ route *@a.org -> mail1 is new'],
  [
    'persons and server commands',
    { ...desk(plain), more: 'persons: { anna: { users: [anna] } }' },
    { ...desk(plain), more: 'persons: { anna: { users: [anna, bob] } }\nserver_commands: { who: mail1 }' },
    '~ server_commands who is now mail1, and was not set',
    '~ person anna is now user:anna user:bob, and was user:anna',
  ],
] as const satisfies readonly (readonly [string, string | Written, string | Written, ...string[]])[])
  void test(`words: ${what}`, () => {
    const [old, fresh] = [before, after].map((each) => (typeof each === 'string' ? desk(each) : each));
    assert.deepEqual(said(old, fresh ?? assert.fail()), expected);
  });

void test('words: who has which policy', () => {
  const policies = `  desk: { ${plain} }\n  more: { users: ["*@a.org"], allow: [quota get] }`;
  const of = (all: string): Written => ({ policies, listeners: accounts(all) });
  const one = `bob: { policy: desk, ${password} }`;
  const eve = `eve: { policy: desk, ${password} }`;
  const unix = (policy: string): Written => ({
    policies,
    listeners: `{ desk: { unix: /run/desk.sock, policy: ${policy} } }`,
  });
  for (const [before, after, ...expected] of [
    [
      of(one),
      of(`bob: { policy: more, ${password} }, ${eve}`),
      '~ account bob at web has policy more now, and had desk',
      '+ new account eve at web with policy desk',
    ],
    [of(`${one}, ${eve}`), of(one), '- account eve at web is gone'],
    [unix('desk'), unix('more'), '~ at desk now everybody has more, and before everybody has desk'],
    [unix('desk'), of(one), '- listener desk is gone', '+ new listener web: account bob has desk'],
  ] as const)
    assert.deepEqual(said(before, after), expected);
});

function periodsOf(...all: readonly Settings[]) {
  const periods = createPolicyPeriods(textOf);
  let was: string | undefined;
  for (const [at, settings] of all.entries()) {
    const { hash: policies } = policyListOf(settings);
    const time = `2026-11-20T12:0${at}:00.000Z`;
    periods.takeLine(
      JSON.stringify({ time, event: at === 0 ? 'start' : 'reload', policies, was }),
      10 * at + 1,
    );
    was = policies;
  }
  return periods;
}

void test('what the policies before would have denied is counted, and what hides its words is not judged', () => {
  const own = (keys: string): Settings => settingsOf({ ...desk(keys), backend: ', shared_namespaces: []' });
  const before = own('users: ["*@example.org"], except: ["cfo@example.org"], allow: [quota get, search]');
  const rules = '[quota get, mailbox list, { command: search, content: true }]';
  const after = own(`users: ["*@example.org"], allow: ${rules}`);
  const periods = periodsOf(before, after);
  const sent = (words: readonly string[], more: Partial<Sent> = {}) =>
    periods.takeRow({ ...record(after, 'desk', { user: 'a@example.org', words, ...more }), admittedSeq: 15 });
  sent(['quota get']);
  sent(['search', 'all']);
  sent(['mailbox list']);
  sent(['mailbox list']);
  sent(['search', 'body', 'secret']);
  // No word of it could change that.
  sent(['search', 'body', 'secret'], { user: 'cfo@example.org' });
  sent(['mailbox list'], { user: 'cfo@example.org' });
  sent(['expunge', 'mailbox', 'INBOX', 'all']);
  const [first, second] = periods.periods;
  assert.deepEqual([first?.commands, second?.commands], [0, 8]);
  const newly = [...(second?.newly.values() ?? [])].map(
    ({ command, count, reason }) => `${command} ${count} ${reason}`,
  );
  const excepted = 'policy desk excepts a user of this command';
  const reasons = [
    'mailbox list 2 no rule allows "mailbox list"',
    `search 1 ${excepted}`,
    `mailbox list 1 ${excepted}`,
  ];
  assert.deepEqual([newly, second?.redacted, second?.unjudged], [reasons, 1, 0]);
  assert.deepEqual([first?.until, periods.faults.size], [second?.time, 0]);
  assert.ok(second);
  const unlike = '1 could not: 1 with words that are not recorded';
  assert.deepEqual(
    [second, { ...second, denied: 0 }, { ...second, denied: 0, redacted: 0 }].map(
      (each) => periodWords(each).counts[1],
    ),
    [
      `4 used what is new: the policies before would have denied them; ${unlike}`,
      `of those that could be judged, the policies before would have denied none; ${unlike}`,
      'nobody used what is new: the policies before would have denied none of them',
    ],
  );
});

const given: Readonly<Record<string, string>> = {
  migration: 'destination: "tcps:new.example.com:24245"',
  monitoring: 'probe: x@a.org',
};
const presets = readdirSync('config/presets')
  .map((file) => basename(file, '.yaml'))
  .map((name) =>
    given[name] === undefined ? `presets/${name}` : `{ preset: presets/${name}, with: { ${given[name]} } }`,
  );
const terms = [
  '{ command: expunge, max_matches: 5, limit: 20/hour, reason: required, deadline: 5m }',
  '{ command: fetch, where: { field: [uid, flags], query: { larger: { at_least: 1MiB } } }, expires: 2030-01-01 }',
  '{ command: search, content: true, all_users: true, shared: true, emergency: true }',
];
for (const [what, keys] of [
  ['limits', 'mode: observe, logs: full, debug: true, weight: 3, limits: { rate: 60/minute, at_once: 2 }'],
  [
    'conditions of rules',
    `deny: [mailbox delete, { command: save, users: ["x@a.org"] }], allow: [${terms.join()}]`,
  ],
  [
    'access on request',
    'on_request: [{ command: expunge, approvals: 2, uses: 3, for: 2h, reason: { regex: "T-[0-9]+" } }, { command: [search, fetch], scope: command }]',
  ],
  ['approvals of others', 'approve: [other], requests: { open: 3, wait: 2h }'],
  [
    'break-glass, and grants for longer than a journal is kept by default',
    'on_request: [{ command: expunge, approvals: 0, uses: 5, for: 24d }]',
  ],
  ...presets.map((name) => [name, `use: [${name}]`] as const),
] as const)
  void test(`a policy judges again by its text: ${what}`, () => {
    const own = keys.includes('allow: ') ? keys : `${keys}, allow: []`;
    const of = (first: string): Settings =>
      settingsOf({
        ...desk(
          `users: ["*"], ${own.replace('allow: [', `allow: [${first}`)}`,
          '{ users: ["*"], allow: [], approve: [desk], on_request: [{ command: expunge }] }',
        ),
        backend: ', shared_namespaces: []',
        listeners:
          '{ desk: { unix: /run/desk.sock, policy: desk }, other: { unix: /run/other.sock, policy: other, peers: { users: ["7"] } } }',
        more: 'persons: { olga: { users: ["7"] } }\naudit: { keep: 400d, keep_min: 380d }',
      });
    const after = of('quota get, ');
    const periods = periodsOf(of(''), after);
    periods.takeRow({
      ...record(after, 'desk', { user: 'a@example.org', words: ['quota', 'get'] }),
      admittedSeq: 15,
    });
    const { commands, unjudged, redacted, unlisted } = periods.periods[1] ?? assert.fail('no change');
    assert.deepEqual([commands, unjudged, redacted, unlisted], [1, 0, 0, 0]);
  });
