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

/** An edit of one rule, which has an object. */
const ofRule =
  (command: string, change: Readonly<Record<string, unknown>>, key: 'allow' | 'on_request' = 'allow') =>
  (policy: Policy): void => {
    const rule = ruleOf(policy[key], command);
    for (const [name, value] of Object.entries(change))
      if (value === undefined) delete rule[name];
      else rule[name] = value;
  };
const onRequest = (change: Readonly<Record<string, unknown>>) => ofRule('search', change, 'on_request');
/** Sections of the policy in place of its own. */
const sets = (sections: Readonly<Record<string, unknown>>) => (policy: Policy) =>
  void Object.assign(policy, sections);
const inBoxes = (...mailbox: string[]) => ({ where: { query: { mailbox } } });

const widening: readonly Edit[] = [
  [/may now: expunge/, ({ allow }) => void allow.push('expunge')],
  [/may now: mailbox list/, ({ allow }) => void allow.unshift('mailbox list')],
  [/rule for expunge/, ofRule('expunge', { where: undefined })],
  [/rule for expunge/, ofRule('expunge', inBoxes('Trash', 'Junk'))],
  [/rule for expunge/, ofRule('expunge', { limit: '21/hour' })],
  [/rule for expunge/, ofRule('expunge', { limit: '1/second' })],
  [/rule for expunge/, ofRule('expunge', { reason: undefined })],
  [/rule for expunge/, ofRule('expunge', { max_matches: undefined })],
  [/rule for fetch/, ofRule('fetch', { expires: '2027-06-30' })],
  [/rule for fetch/, ofRule('fetch', { content: true, where: { field: ['uid', 'flags', 'text'] } })],
  [/no longer excepts: ceo@a\.org/, sets({ except: ['cfo@b.org'] })],
  [/now covers: \*@c\.org/, ({ users }) => void users.push('*@c.org')],
  [/is no longer denied: /, sets({ deny: ['mailbox rename'] })],
  [/limits is now/, sets({ limits: { rate: '90/minute', at_once: 4 } })],
  [/limits is now/, sets({ limits: { rate: '60/minute' } })],
  [/rule for search/, onRequest({ approvals: 1 })],
  [/rule for search/, onRequest({ uses: 4 })],
  [/rule for search/, onRequest({ for: '1d' })],
  [/may now request: flags add/, (policy) => void policy.on_request.push({ command: 'flags add' })],
  [/mode is now observe/, sets({ mode: 'observe', on_request: [] })],
];

const others: readonly Edit[1][] = [
  ({ allow }) => void allow.shift(),
  (policy) => void (policy.allow = policy.allow.toReversed()),
  ({ allow }) => void (allow[0] = { command: 'quota get', limit: '5/minute' }),
  // Covered by a rule that is there.
  ({ allow }) => void allow.push({ command: 'quota get', users: ['x@a.org'] }),
  ofRule('expunge', { where: { query: { mailbox: ['Trash'], seen: 'present' } } }),
  ofRule('expunge', { limit: '10/hour' }),
  ofRule('expunge', { max_matches: 10 }),
  ofRule('fetch', { expires: '2026-12-31' }),
  ofRule('fetch', { where: { field: ['uid'] } }),
  ({ except }) => void except.push('cto@a.org'),
  ({ users }) => void users.pop(),
  // The other one covers it.
  ({ users }) => void users.push('x@a.org'),
  ({ deny }) => void deny.push('expunge'),
  // Nothing allows it.
  (policy) => void policy.deny.pop(),
  sets({ limits: { rate: '30/minute', at_once: 2 } }),
  onRequest({ approvals: 3 }),
  onRequest({ for: '1h' }),
  sets({ on_request: [] }),
  sets({ contact: 'help@a.org' }),
  sets({ logs: 'full', weight: 3 }),
];

void test('40 edits, half of which widen: each of these is told in its words, and no other', () => {
  const told: string[] = [];
  const edits: readonly Edit[] = [...widening, ...others.map((edit) => [undefined, edit] as const)];
  for (const [at, [what, edit]] of edits.entries()) {
    const before = base();
    const after = base();
    const name = at % 3 === 0 ? 'desk' : 'other';
    // Beside others that change nothing for anybody.
    if (at % 2 === 0) after.policies[name]['contact'] = 'else@a.org';
    edit(after.policies[name]);
    edit(after.policies.spare);
    const found = wideningsBetween(listOf(before), listOf(after), textOf, options);
    const shown = `edit ${at}: ${found.join(' | ')}`;
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
  const more = { unix: '/run/more.sock', policy: 'spare' };
  const added = tell(({ listeners }) => void (listeners['more'] = more));
  assert.deepEqual(added, ['new listener more: everybody has spare']);
  const fewer = tell(({ listeners }) => void delete listeners['other']);
  const ofNobody = tell(({ policies }) => void (policies.spare.except = []));
  assert.deepEqual([fewer, ofNobody], [[], []]);
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
const fetchOf = (user: string, approvals: number) => fetch(approvals, { users: [`${user}@a.org`] });
const max = { command: 'expunge', max_matches: 10 };
const oneTrash = trash(['Trash'], '20/hour');
const withReason = { ...oneTrash, reason: 'required' };
const ofForm = fetch(2, { reason: { regex: 'T-[0-9]+' } });
const until = (expires: string) => ({ ...quota, expires });
const [ofUser, ofCommand] = [fetch(2, { scope: 'user', uses: 9 }), fetch(2, { scope: 'command', uses: 1 })];
const emergency = { command: 'quota get', emergency: true };

/** Rules before and after. `more`: somebody may do more. */
type Beside = readonly [
  what: string,
  key: 'allow' | 'on_request',
  before: Rules,
  after: Rules,
  more?: 'more',
];
const beside: readonly Beside[] = [
  [
    'the limit of one of two',
    'allow',
    [trash(['Trash'], '100/hour'), trash(['Junk'], '5/hour')],
    [trash(['Trash'], '100/hour'), trash(['Junk'], '100/hour')],
    'more',
  ],
  [
    'the approvals of one of two',
    'on_request',
    [fetchOf('ceo', 2), fetchOf('x', 1)],
    [fetchOf('ceo', 1), fetchOf('x', 1)],
    'more',
  ],
  ['a rule more with fewer approvals', 'on_request', [fetch(2)], [fetch(2), fetchOf('x', 1)], 'more'],
  ['a second count', 'allow', ['quota get'], ['quota get', quota]],
  ['a second count of a limit', 'allow', [quota], ['quota get', quota], 'more'],
  ['another order of terms', 'allow', [quota, 'quota get'], ['quota get', quota], 'more'],
  ['what demanded is gone', 'allow', [quota, 'quota get'], ['quota get'], 'more'],
  ['a reason that the first one demanded', 'allow', [withReason, 'expunge'], ['expunge'], 'more'],
  ['the order of how many', 'allow', [max, 'expunge'], ['expunge', max], 'more'],
  [
    'one count becomes two',
    'allow',
    [trash(['Trash', 'Junk'], '20/hour')],
    [oneTrash, trash(['Junk'], '20/hour')],
    'more',
  ],
  ['nothing but the order of others', 'allow', [quota, 'mailbox list'], ['mailbox list', quota]],
  ['a reason of a form', 'on_request', [fetch(2)], [ofForm]],
  ['a reason of another form', 'on_request', [ofForm], [fetch(2)], 'more'],
  ['kept from the owner no more', 'on_request', [fetch(2, { quiet: '1d' })], [fetch(2)]],
  ['one command instead of all', 'on_request', [ofUser], [ofCommand]],
  ['no emergency', 'allow', [emergency], ['quota get']],
  ['what is over stays over', 'allow', ['expunge', until('2026-01-01')], ['expunge', until('2026-02-01')]],
  ['what is over begins again', 'allow', [until('2026-01-01')], [quota], 'more'],
];

void test('rules beside others: who lends whom which terms', () => {
  for (const [what, key, before, after, more] of beside) {
    const [was, now] = [before, after].map((rules) => listOf(rulesOf(key, rules)));
    const found = wideningsBetween(was ?? '', now ?? '', textOf, options);
    assert.equal(found.length > 0, more === 'more', `${what}: ${found.join(' | ')}`);
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
  const line = (policy: string, ...users: string[]) => ({ peers: { users }, policy });
  const [anna, bobAndCarol] = [line('desk', 'anna'), line('other', 'bob', 'carol')];
  for (const change of [
    { peers: { users: ['anna'] } },
    { peers: { users: ['bob', 'anna'] } },
    { policies: [anna] },
    { policies: [anna, line('other', 'bob')] },
    { policies: [line('other', 'anna'), bobAndCarol] },
  ])
    assert.deepEqual(tell(desk(change)), [], JSON.stringify(change));
  for (const change of [
    { policies: [anna, line('desk', 'bob', 'carol')] },
    { policies: [anna, line('other', 'bob', 'dave')] },
    { peers: { users: ['anna', 'dave'] } },
    // Somebody whom the first line took comes to the second one, which permits less here, and may permit more.
    { policies: [bobAndCarol] },
  ])
    assert.equal(tell(desk(change)).length, 1, JSON.stringify(change));
  // The same under another name.
  const renamed = tell((written) => {
    Object.assign(written.policies, { front: written.policies.desk });
    Reflect.deleteProperty(written.policies, 'desk');
    desk({ policies: [line('front', 'anna'), bobAndCarol] })(written);
  });
  assert.deepEqual(renamed, []);
  // How many users one line may name stands around the policies.
  const names = (users: number): string => listOf(base(), { limits: { users } });
  assert.match(wideningsBetween(names(5), names(50), textOf, options).join(), /limits is now/);
  assert.deepEqual(wideningsBetween(names(50), names(5), textOf, options), []);
});

void test('a text that is not kept is told as what cannot be decided', () => {
  const was = listOf(base());
  const now = listOf({ ...base(), listeners: { desk: { unix: '/run/desk.sock', policy: 'desk' } } });
  const [words] = wideningsBetween(was, now, (hash) => (hash === was ? undefined : kept.get(hash)), options);
  assert.match(words ?? '', /cannot be said/);
  const over = base();
  over.policies.desk.allow.push({ command: 'quota get', users: ['x@a.org'] });
  const isOver = (): boolean => true;
  assert.notDeepEqual(wideningsBetween(listOf(base()), listOf(over), textOf, { ...options, isOver }), []);
});
