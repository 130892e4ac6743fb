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

const textOf = (hash: string): string | undefined => kept.get(hash);

function listOf({ policies, listeners }: Written, more: object = {}): string {
  const { settings, problems } = parse(
    JSON.stringify({
      version: 1,
      listeners,
      backends: { mail1: { address: 'unix:/run/dovecot/doveadm-server', shared_namespaces: [] } },
      routes: [{ users: ['*'], backend: 'mail1' }],
      policies,
      persons: { dora: { users: ['dora'] } },
      ...more,
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
    const found = wideningsBetween(listOf(before), listOf(after), textOf, options);
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
    return wideningsBetween(listOf(base()), listOf(after), textOf, options);
  };
  assert.deepEqual(
    tell(({ listeners }) => void (listeners['more'] = { unix: '/run/more.sock', policy: 'spare' })),
    ['listener more is new, with everybody has spare'],
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

const rulesOf = (key: 'allow' | 'on_request', rules: Rules): Written => {
  const written = base();
  for (const policy of [written.policies.desk, written.policies.other]) {
    policy.allow = [];
    policy.on_request = [];
    policy[key] = rules;
  }
  return written;
};
const quota = { command: 'quota get', limit: '5/minute' };
const trash = (mailbox: string[], limit: string) => ({
  command: 'expunge',
  where: { query: { mailbox } },
  limit,
});
const fetch = (approvals: number, more: Record<string, unknown> = {}) => ({
  command: 'fetch',
  content: true,
  approvals,
  ...more,
});
const max = { command: 'expunge', max_matches: 10 };

// [what, key, before, after, whether somebody may do more]
const beside: readonly (readonly [string, 'allow' | 'on_request', Rules, Rules, boolean])[] = [
  [
    'the limit of one of two',
    'allow',
    [trash(['Trash'], '100/hour'), trash(['Junk'], '5/hour')],
    [trash(['Trash'], '100/hour'), trash(['Junk'], '100/hour')],
    true,
  ],
  [
    'the approvals of one of two',
    'on_request',
    [fetch(2, { users: ['ceo@a.org'] }), fetch(1, { users: ['x@a.org'] })],
    [fetch(1, { users: ['ceo@a.org'] }), fetch(1, { users: ['x@a.org'] })],
    true,
  ],
  [
    'a rule more with fewer approvals',
    'on_request',
    [fetch(2)],
    [fetch(2), fetch(1, { users: ['x@a.org'] })],
    true,
  ],
  ['a second count', 'allow', ['quota get'], ['quota get', quota], false],
  ['a second count of a limit', 'allow', [quota], ['quota get', quota], true],
  ['another order of terms', 'allow', [quota, 'quota get'], ['quota get', quota], true],
  ['what demanded is gone', 'allow', [quota, 'quota get'], ['quota get'], true],
  [
    'a reason that the first one demanded',
    'allow',
    [{ ...trash(['Trash'], '9/hour'), reason: 'required' }, 'expunge'],
    ['expunge'],
    true,
  ],
  ['the order of how many', 'allow', [max, 'expunge'], ['expunge', max], true],
  [
    'one count becomes two',
    'allow',
    [trash(['Trash', 'Junk'], '20/hour')],
    [trash(['Trash'], '20/hour'), trash(['Junk'], '20/hour')],
    true,
  ],
  ['nothing but the order of others', 'allow', [quota, 'mailbox list'], ['mailbox list', quota], false],
  ['a reason of a form', 'on_request', [fetch(2)], [fetch(2, { reason: { regex: 'T-[0-9]+' } })], false],
  ['a reason of another form', 'on_request', [fetch(2, { reason: { regex: 'T-[0-9]+' } })], [fetch(2)], true],
  ['kept from the owner no more', 'on_request', [fetch(2, { quiet: '1d' })], [fetch(2)], false],
  [
    'one command instead of all',
    'on_request',
    [fetch(2, { scope: 'user', uses: 9 })],
    [fetch(2, { scope: 'command', uses: 1 })],
    false,
  ],
  ['no emergency', 'allow', [{ command: 'quota get', emergency: true }], ['quota get'], false],
  [
    'what is over stays over',
    'allow',
    ['mailbox list', { ...quota, expires: '2026-01-01' }],
    ['mailbox list', { ...quota, expires: '2026-02-01' }],
    false,
  ],
  ['what is over begins again', 'allow', [{ ...quota, expires: '2026-01-01' }], [quota], true],
];

void test('rules beside others: who lends whom which terms', () => {
  for (const [what, key, before, after, isMore] of beside) {
    const found = wideningsBetween(
      listOf(rulesOf(key, before)),
      listOf(rulesOf(key, after)),
      textOf,
      options,
    );
    assert.equal(found.length > 0, isMore, `${what}: ${found.join(' | ')}`);
  }
});

void test('who comes, goes or moves: fewer people and narrower policies are no more', () => {
  const of = (edit: (written: Written) => void): string => {
    const written = base();
    written.policies.other['limits'] = { rate: '10/minute', at_once: 1 };
    written.policies.other.allow = ['quota get'];
    written.listeners['desk'] = {
      unix: '/run/desk.sock',
      peers: { users: ['anna', 'bob'] },
      policies: [
        { peers: { users: ['anna'] }, policy: 'desk' },
        { peers: { users: ['bob', 'carol'] }, policy: 'other' },
      ],
    };
    edit(written);
    return listOf(written);
  };
  const tell = (edit: (written: Written) => void): readonly string[] =>
    wideningsBetween(
      of(() => undefined),
      of(edit),
      textOf,
      options,
    );
  const desk =
    (more: Record<string, unknown>) =>
    (written: Written): void => {
      written.listeners['desk'] = { ...written.listeners['desk'], ...more };
    };
  const anna = { peers: { users: ['anna'] }, policy: 'desk' };
  assert.deepEqual(tell(desk({ peers: { users: ['anna'] } })), []);
  assert.deepEqual(tell(desk({ peers: { users: ['bob', 'anna'] } })), []);
  assert.deepEqual(tell(desk({ policies: [anna] })), []);
  assert.deepEqual(tell(desk({ policies: [anna, { peers: { users: ['bob'] }, policy: 'other' }] })), []);
  assert.deepEqual(
    tell(
      desk({
        policies: [
          { ...anna, policy: 'other' },
          { peers: { users: ['bob', 'carol'] }, policy: 'other' },
        ],
      }),
    ),
    [],
  );
  assert.equal(
    tell(desk({ policies: [anna, { peers: { users: ['bob', 'carol'] }, policy: 'desk' }] })).length,
    1,
  );
  assert.equal(
    tell(desk({ policies: [anna, { peers: { users: ['bob', 'dave'] }, policy: 'other' }] })).length,
    1,
  );
  assert.equal(tell(desk({ peers: { users: ['anna', 'dave'] } })).length, 1);
  // Somebody whom the first line took comes to the second one, which permits less here, and may permit more.
  assert.equal(tell(desk({ policies: [{ peers: { users: ['bob', 'carol'] }, policy: 'other' }] })).length, 1);
  // The same under another name.
  const renamed = tell((written) => {
    Object.assign(written.policies, { front: written.policies.desk });
    Reflect.deleteProperty(written.policies, 'desk');
    desk({
      policies: [
        { ...anna, policy: 'front' },
        { peers: { users: ['bob', 'carol'] }, policy: 'other' },
      ],
    })(written);
  });
  assert.deepEqual(renamed, []);
  // How many users one line may name stands around the policies.
  const names = (users: number): string => listOf(base(), { limits: { users } });
  assert.match(wideningsBetween(names(5), names(50), textOf, options).join(), /limits is now/);
  assert.deepEqual(wideningsBetween(names(50), names(5), textOf, options), []);
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
  assert.notDeepEqual(wideningsBetween(listOf(base()), listOf(over), textOf, { ...options, isOver }), []);
});
