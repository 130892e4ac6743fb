// Goal: of edits of policies each that permits somebody more is told in its own words, and no other one is. What must not happen: a
// widening that is not told, also where it is one of terms that no proof compares; one where nobody may do more; a change of a text that
// is not kept and passes for none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wideningsBetween } from '../../../src/evidence/review/widenings.js';
import { policyListOf } from '../../../src/rules/config/policy-list.js';
import { parse } from '../../rules/config/sound.js';

type Rules = (string | Record<string, unknown>)[];
interface Written {
  policies: Record<
    'desk' | 'other' | 'spare',
    Record<string, unknown> &
      Record<'users' | 'except', string[]> &
      Record<'allow' | 'deny' | 'on_request', Rules>
  >;
  listeners: Record<string, Record<string, unknown>>;
}

const kept = new Map<string, string>();
const options = { nowMs: Date.parse('2026-11-29T00:00:00Z'), isOver: () => false };

function base(): Written {
  const policy = () => ({
    users: ['*@a.org', '*@b.org'],
    except: ['ceo@a.org', 'cfo@b.org'],
    limits: { rate: '60/minute', at_once: 4 },
    contact: 'desk@a.org',
    allow: [
      'quota get',
      'mailbox delete',
      {
        command: 'expunge',
        where: { query: { mailbox: ['Trash'] } },
        limit: '20/hour',
        reason: 'required',
        max_matches: 100,
      },
      { command: 'fetch', where: { field: ['uid', 'flags'] }, expires: '2027-01-31' },
    ],
    deny: [{ command: 'mailbox delete', users: ['board@a.org'] }, 'mailbox rename'],
    on_request: [{ command: 'search', content: true, approvals: 2, uses: 3, for: '2h' }],
  });
  return {
    policies: { desk: policy(), other: policy(), spare: policy() },
    listeners: {
      desk: { unix: '/run/desk.sock', policies: [{ peers: { users: ['anna'] }, policy: 'desk' }] },
      other: { unix: '/run/other.sock', policy: 'other' },
    },
  };
}

function listOf({ policies, listeners }: Written): string {
  const { settings, problems } = parse(
    JSON.stringify({
      version: 1,
      listeners,
      backends: { mail1: { address: 'unix:/run/dovecot/doveadm-server', shared_namespaces: [] } },
      routes: [{ users: ['*'], backend: 'mail1' }],
      policies,
    }),
  );
  assert.ok(settings !== undefined, JSON.stringify(problems));
  for (const { version, effectiveText } of settings.policies.values()) kept.set(version, effectiveText);
  const { hash, text } = policyListOf(settings);
  kept.set(hash, text);
  return hash;
}

type Policy = Written['policies']['desk'];
type Edit = readonly [what: RegExp | undefined, edit: (policy: Policy) => void];
const ruleOf = (rules: Rules, command: string): Record<string, unknown> => {
  const found = rules.find((each) => typeof each !== 'string' && each['command'] === command);
  return typeof found === 'object' ? found : assert.fail(command);
};

const widening: readonly Edit[] = [
  [/may now: expunge/, ({ allow }) => void allow.push('expunge')],
  [/may now: mailbox list/, ({ allow }) => void allow.unshift('mailbox list')],
  [/rule for expunge/, ({ allow }) => void delete ruleOf(allow, 'expunge')['where']],
  [
    /rule for expunge/,
    ({ allow }) => void (ruleOf(allow, 'expunge')['where'] = { query: { mailbox: ['Trash', 'Junk'] } }),
  ],
  [/rule for expunge/, ({ allow }) => void (ruleOf(allow, 'expunge')['limit'] = '21/hour')],
  [/rule for expunge/, ({ allow }) => void (ruleOf(allow, 'expunge')['limit'] = '1/second')],
  [/rule for expunge/, ({ allow }) => void delete ruleOf(allow, 'expunge')['reason']],
  [/rule for expunge/, ({ allow }) => void delete ruleOf(allow, 'expunge')['max_matches']],
  [/rule for fetch/, ({ allow }) => void (ruleOf(allow, 'fetch')['expires'] = '2027-06-30')],
  [
    /rule for fetch/,
    ({ allow }) =>
      void ((ruleOf(allow, 'fetch')['content'] = true),
      (ruleOf(allow, 'fetch')['where'] = { field: ['uid', 'flags', 'text'] })),
  ],
  [/no longer excepts: ceo@a\.org/, (policy) => void (policy.except = ['cfo@b.org'])],
  [/now covers: \*@c\.org/, ({ users }) => void users.push('*@c.org')],
  [/is no longer denied: /, (policy) => void (policy.deny = ['mailbox rename'])],
  [/limits is now/, (policy) => void (policy['limits'] = { rate: '90/minute', at_once: 4 })],
  [/limits is now/, (policy) => void (policy['limits'] = { rate: '60/minute' })],
  [/rule for search/, (policy) => void (ruleOf(policy.on_request, 'search')['approvals'] = 1)],
  [/rule for search/, (policy) => void (ruleOf(policy.on_request, 'search')['uses'] = 4)],
  [/rule for search/, (policy) => void (ruleOf(policy.on_request, 'search')['for'] = '1d')],
  [/may now request: flags add/, (policy) => void policy.on_request.push({ command: 'flags add' })],
  [/mode is now observe/, (policy) => void ((policy['mode'] = 'observe'), policy.on_request.splice(0))],
];

const others: readonly Edit[] = [
  [undefined, ({ allow }) => void allow.shift()],
  [undefined, (policy) => void (policy.allow = policy.allow.toReversed())],
  [undefined, ({ allow }) => void (allow[0] = { command: 'quota get', limit: '5/minute' })],
  // Covered by a rule that is there.
  [undefined, ({ allow }) => void allow.push({ command: 'quota get', users: ['x@a.org'] })],
  [
    undefined,
    ({ allow }) =>
      void (ruleOf(allow, 'expunge')['where'] = { query: { mailbox: ['Trash'], seen: 'present' } }),
  ],
  [undefined, ({ allow }) => void (ruleOf(allow, 'expunge')['limit'] = '10/hour')],
  [undefined, ({ allow }) => void (ruleOf(allow, 'expunge')['max_matches'] = 10)],
  [undefined, ({ allow }) => void (ruleOf(allow, 'fetch')['expires'] = '2026-12-31')],
  [undefined, ({ allow }) => void (ruleOf(allow, 'fetch')['where'] = { field: ['uid'] })],
  [undefined, ({ except }) => void except.push('cto@a.org')],
  [undefined, ({ users }) => void users.pop()],
  // The other one covers it.
  [undefined, ({ users }) => void users.push('x@a.org')],
  [undefined, ({ deny }) => void deny.push('expunge')],
  // Nothing allows it.
  [undefined, (policy) => void policy.deny.pop()],
  [undefined, (policy) => void (policy['limits'] = { rate: '30/minute', at_once: 2 })],
  [undefined, (policy) => void (ruleOf(policy.on_request, 'search')['approvals'] = 3)],
  [undefined, (policy) => void (ruleOf(policy.on_request, 'search')['for'] = '1h')],
  [undefined, (policy) => void policy.on_request.splice(0)],
  [undefined, (policy) => void (policy['contact'] = 'help@a.org')],
  [undefined, (policy) => void ((policy['logs'] = 'full'), (policy['weight'] = 3))],
];

void test('40 edits, half of which widen: each of these is told in its words, and no other', () => {
  const told: string[] = [];
  for (const [at, [what, edit]] of [...widening, ...others].entries()) {
    const before = base();
    const after = base();
    const name = at % 3 === 0 ? 'desk' : 'other';
    // Beside others that change nothing for anybody.
    if (at % 2 === 0) after.policies[name]['contact'] = 'else@a.org';
    edit(after.policies[name]);
    edit(after.policies.spare);
    const found = wideningsBetween(listOf(before), listOf(after), (hash) => kept.get(hash), options);
    const shown = `${edit.toString()}: ${found.join(' | ')}`;
    if (what === undefined) assert.deepEqual(found, [], shown);
    else assert.match(found.join(), new RegExp(`^${name}[^]*${what.source}`), shown);
    told.push(...found);
  }
  assert.ok(
    told.every((words) => !words.startsWith('spare')),
    told.join(),
  );
});

void test('who gets which policy is told, and what nobody gets is not', () => {
  const tell = (edit: (written: Written) => void): readonly string[] => {
    const after = base();
    edit(after);
    return wideningsBetween(listOf(base()), listOf(after), (hash) => kept.get(hash), options);
  };
  assert.deepEqual(
    tell(({ listeners }) => void (listeners['more'] = { unix: '/run/more.sock', policy: 'spare' })),
    ['listener more is new, with everybody has spare'],
  );
  assert.match(
    tell(({ listeners }) => void (listeners['other'] = { unix: '/run/other.sock', policy: 'desk' })).join(),
    /at other now everybody has desk/,
  );
  assert.deepEqual(
    tell(({ listeners }) => void delete listeners['other']),
    [],
  );
  assert.deepEqual(
    tell(({ policies }) => void (policies.spare.except = [])),
    [],
  );
});

void test('a text that is not kept is told as what cannot be decided', () => {
  const [was, now] = [
    listOf(base()),
    listOf({ ...base(), listeners: { desk: { unix: '/run/desk.sock', policy: 'desk' } } }),
  ];
  const [words] = wideningsBetween(was, now, (hash) => (hash === was ? undefined : kept.get(hash)), options);
  assert.match(words ?? '', /cannot be said/);
  const over = base();
  over.policies.desk.allow.push({ command: 'quota get', users: ['x@a.org'] });
  const isOver = (): boolean => true;
  assert.notDeepEqual(
    wideningsBetween(listOf(base()), listOf(over), (hash) => kept.get(hash), { ...options, isOver }),
    [],
  );
});
