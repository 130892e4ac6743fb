// Goal: policies name commands that exist, hold for users in normal form, and have one version for one meaning.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { allSeries, commandsOf } from '../../../src/doveadm/commands/catalog.js';
import { touchedUsers } from '../../../src/doveadm/meaning/reach.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { whyUnnamable } from '../../../src/rules/config/parse-where.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { judge } from '../../../src/rules/policy/judge.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { projectRoot } from '../../kit/plain/root.js';
import { parse, settingsOf, sound, told } from './sound.js';

void test('users of policies and routes are compared in lower case', () => {
  const text = sound.replaceAll('*@example.com', '*@Example.COM').replace('"*"]', '"*@EXAMPLE.com"]');
  const settings = settingsOf(text);
  assert.equal(settings.policies.get('support')?.users.matches('alice@example.com'), true);
  assert.equal(settings.routes[0]?.users.matches('alice@example.com'), true);
});

const supportOf = (text: string) => settingsOf(text).policies.get('support');

void test('a weight is 1 unless it is said, and one that is said is a part of the meaning', () => {
  const plain = supportOf(sound);
  const said = (weight: number) =>
    supportOf(sound.replace('    allow:', `    weight: ${weight}\n    allow:`));
  assert.equal(plain?.weight, 1);
  assert.equal(said(1)?.version, plain.version);
  assert.equal(said(5)?.weight, 5);
  assert.notEqual(said(5)?.version, plain.version);
});

void test('equal meanings have equal hashes and versions, different ones do not', () => {
  const one = settingsOf(sound);
  const other = settingsOf(`# a comment\n${sound.replace('[quota get]', '\n      - "quota get"')}`);
  assert.equal(other.hash, one.hash);
  assert.equal(other.policies.get('support')?.version, one.policies.get('support')?.version);
  for (const [from, to] of [
    ['quota get', 'quota recalc'],
    ['*@example.com', '*@example.org'],
  ] as const) {
    const changed = settingsOf(sound.replace(from, to));
    assert.notEqual(changed.policies.get('support')?.version, one.policies.get('support')?.version);
    assert.notEqual(changed.hash, one.hash);
  }
  assert.notEqual(settingsOf(sound.replace('24245', '24246')).hash, one.hash);
  assert.notEqual(settingsOf(sound.replace('users: ["*"]', 'users: ["**"]')).hash, one.hash);
  // The default realm changes which users a policy holds for.
  const realm = settingsOf(`${sound}mail_users: { default_realm: example.com }\n`);
  assert.notEqual(realm.policies.get('support')?.version, one.policies.get('support')?.version);
});

// Goal: a rule says all that it can say, and one that could never match, or promises what does not hold, is told.
void test('a rule as it comes out', () => {
  const text = sound.replace(
    '[quota get]',
    `
      - command: expunge
        expires: 2027-01-31
        limit: 20/hour
        reason: required
        where: { query: { savedbefore: { at_least: 30d }, mailbox: [Trash] } }`,
  );
  const rule = supportOf(text)?.allow[0] ?? assert.fail();
  assert.deepEqual(rule.place, { file: '/etc/dovegate/d.yaml', line: 12, column: 9 });
  assert.equal(rule.expiresMs, Date.UTC(2027, 1, 1));
  assert.deepEqual(rule.where, []);
  const { limitKey, ...obligations } = rule.obligations;
  const limit = { count: 20, windowMs: 3_600_000 };
  assert.deepEqual(obligations, { reason: true, limit, emergency: false });
  const otherTerms = text.replace('20/hour', '30/hour').replace('2027-01-31', '2028-01-31');
  const changed = supportOf(otherTerms.replace('        reason: required\n', ''))?.allow[0];
  assert.equal(changed?.obligations.limitKey, limitKey, 'its counter goes on');
  const narrower = supportOf(text.replace('[Trash]', '[Junk]'))?.allow[0];
  assert.notEqual(narrower?.obligations.limitKey, limitKey, 'it is another rule');
});

// Goal: names that sections use of each other exist, and what can never have an effect is told once.
void test('where names get a realm, patterns without one match nobody; and an exception for nobody is an error', () => {
  const except = 'except: [ceo, "boss*", eve@example.com, "**x"]';
  const text = sound
    .replace('["*"]', '[carol, "*"]')
    .replace('["*@example.com"]', `["*@example.com", bob, eve@example.com]\n    ${except}`);
  const alias =
    '11:5: warning: policies.support.except: an alias of such a user gets around it; set mail_users.resolve';
  const excepted = '10:35: warning: policies.support.users[2]: is covered by except entirely';
  assert.deepEqual(told(text), [excepted, alias]);
  assert.deepEqual(told(`${text}mail_users: { resolve: /run/auth }\n`), [excepted]);
  const nobody = (name: string): string =>
    `matches nobody: names have a realm (default_realm); write ${name}@example.com`;
  assert.deepEqual(told(`${text}mail_users: { default_realm: example.com }\n`), [
    `7:15: warning: routes[0].users[0]: ${nobody('carol')}`,
    `10:30: warning: policies.support.users[1]: ${nobody('bob')}`,
    excepted,
    alias,
    `11:14: policies.support.except[0]: ${nobody('ceo')}`,
    `11:19: policies.support.except[1]: ${nobody('boss*')}`,
  ]);
});

// Goal: each place of a configuration that stands for mail users is asked for names that nobody can have, which are an error where it
// denies and a warning where it allows, and denies each spelling of a name. The places come from the schema and from the catalog: a new
// one needs a row, or the check.
const odd: readonly (readonly [name: string, why: string])[] = [
  ['ceo@example.com ', 'names hold no U+0020 (mail_users.characters)'],
  ['\tceo@example.com', 'names hold no U+0009 (mail_users.characters)'],
  ['ceo\u200b@example.com', 'names hold no U+200B (mail_users.characters)'],
  ['c\u0435o@example.com', 'names hold no U+0435 (mail_users.characters)'],
  ['ceo@example.com@example.com', 'a name holds one @'],
  ['ceo@', 'a name has something before and after its @'],
  ['ceo', 'names have a realm (default_realm); write ceo@example.com'],
];
const named = (patterns: readonly string[]) => `[${patterns.map((each) => JSON.stringify(each)).join(', ')}]`;
const ruleFor = (patterns: readonly string[]) => `[{ command: quota get, users: ${named(patterns)} }]`;
const inPage = (text: string) =>
  `${sound}admin: { unix: /run/a.sock, door: /run/d.sock, page: { unix: /run/p.sock, people: { ann: { user: ann, role: audit, ${text} } } } }\n`;
type Place = readonly [path: string, denies: boolean, text: (patterns: readonly string[]) => string];
const inSchema: readonly Place[] = [
  ['routes[0].users: ', false, (of) => sound.replace('["*"]', named(of))],
  ['policies.support.users: ', false, (of) => sound.replace('["*@example.com"]', named(of))],
  ['policies.support.except: ', true, (of) => `${sound}    except: ${named(of)}\n`],
  ['policies.support.allow: ', false, (of) => sound.replace('[quota get]', ruleFor(of))],
  ['policies.support.on_request: ', false, (of) => `${sound}    on_request: ${ruleFor(of)}\n`],
  ['policies.support.deny: ', true, (of) => `${sound}    deny: ${ruleFor(of)}\n`],
  ['admin.page.people.ann.users: ', false, (of) => inPage(`users: ${named(of)}`)],
];

/** Each parameter by which an argument names a user, by what the code reads there; `user=`: of the id of an ACL. */
const inCatalog = allSeries.flatMap((series) =>
  commandsOf(series).flatMap((command) =>
    command.params.flatMap(({ name, role = '' }) => {
      if (whyUnnamable([command], name) !== undefined) return [];
      const sign = ['', 'user='].find((each) => {
        const values = new Map([[name, [`${each}ceo@example.com`]]]);
        const { users } = touchedUsers({ kind: 'parsed', command, series, values, query: undefined }, '');
        return users.some(({ parameter, value }) => parameter === name && value === 'ceo@example.com');
      });
      return sign === undefined ? [] : [{ command: command.name, name, role, sign }];
    }),
  ),
);
const inWhere = (denies: boolean): readonly Place[] =>
  inCatalog
    .filter(({ sign }) => denies || sign === '')
    .map(({ command, name, sign }) => [
      `policies.support.${denies ? 'deny' : 'allow'}: where: ${name} `,
      denies,
      (of) => {
        const rule = `[{ command: ${command}, where: { ${name}: ${named(of.map((each) => sign + each))} } }]`;
        return denies ? `${sound}    deny: ${rule}\n` : sound.replace('[quota get]', rule);
      },
    ]);

void test('a name that nobody can have: an error where it denies, a warning where it allows', () => {
  const schema = readFileSync(new URL('config/dovegate.schema.json', projectRoot), 'utf8');
  const lists = schema.match(/"description": "[^"]*patterns o[nf] [^"]*users/g) ?? [];
  assert.equal(lists.length, inSchema.length, 'each list of patterns on mail users has a row');
  assert.ok(inCatalog.length > 30, `${inCatalog.length} parameters`);
  for (const [path, denies, text] of [...inSchema, ...inWhere(true), ...inWhere(false)]) {
    const about = (patterns: readonly string[]): readonly string[] =>
      told(`${text(patterns)}mail_users: { default_realm: example.com }\n`)
        .filter((each) => each.includes('matches nobody'))
        .map((each) => each.replace(/^\d+:\d+: /, '').replace(/\[\d+\]: matches/, ': matches'));
    const expected = odd.map(([, why]) => `${denies ? '' : 'warning: '}${path}matches nobody: ${why}`);
    assert.deepEqual(about(odd.map(([name]) => name)), expected, text([]));
    assert.deepEqual(about(['CEO@Example.com', '*@example.com', 'ceo**', '*', 'ceo@*']), [], text([]));
  }
});

/** By the role of the parameter: a command, and the words of a line that names that user there. */
const linesByRole: Readonly<Record<string, readonly [command: string, words: (name: string) => string[]]>> = {
  'source-user': ['copy', (name) => ['copy', 'Sent', 'user', name, 'mailbox', 'INBOX']],
  user: ['indexer add', (name) => ['indexer add', name, 'INBOX']],
  'user-mask': ['user', (name) => ['user', name]],
  'user-mask-or-ip': ['kick', (name) => ['kick', name]],
  'acl-id': ['acl set', (name) => ['acl set', 'INBOX', `user=${name}`, 'lookup']],
};

void test('what denies a user denies each case of the name, and the name without its realm', () => {
  const roles = new Set(inCatalog.map(({ role }) => role));
  assert.deepEqual([...roles].toSorted(), Object.keys(linesByRole).toSorted());
  const all = 'masks: true, all_users: true, content: true, root_equivalent: true, shared: true';
  for (const [role, [command, words]] of Object.entries(linesByRole)) {
    const found = inCatalog.find((each) => each.command === command && each.role === role);
    const { name, sign } = found ?? assert.fail(role);
    const free = sound
      .replace('"*@example.com"', '"**"')
      .replace('[quota get]', `[{ command: ${command}, where: { ${name}: any }, ${all} }]`);
    const denials = [
      '',
      'except: [CEO@Example.com]',
      `deny: [{ command: ${command}, users: [CEO@Example.com] }]`,
      `deny: [{ command: ${command}, where: { ${name}: ["${sign}CEO@Example.com"] } }]`,
    ];
    for (const nameCase of ['fold', 'keep'] as const)
      for (const denial of denials) {
        const text = `${free}    ${denial}\nmail_users: { default_realm: example.com, case: ${nameCase} }\n`;
        const { settings } = parse(text);
        const policy = settings?.policies.get('support') ?? assert.fail(String(told(text)));
        const userNames = createUserNames(settings?.mailUsers ?? assert.fail());
        // Where case is kept, a server gets such a name as it is written: without its realm it is nobody.
        const isAsWritten = nameCase === 'keep' && role === 'user-mask-or-ip';
        for (const spelled of ['cEo@EXAMPLE.com', ...(isAsWritten ? [] : ['ceo', 'CEO'])]) {
          const line = plainLine('bob@example.com', words(spelled));
          const judged = judge(line, ['2.4'], { ...judgeContext(policy), userNames });
          const { kind, reason } =
            judged.kind === 'judged' ? judged.decision : { kind: '', reason: judged.message };
          assert.equal(kind, denial === '' ? 'allow' : 'deny', `${text} ${spelled}: ${reason}`);
        }
      }
  }
});

void test('without a default realm an exception without one is an error, where all users of its policy have one', () => {
  const withDeny = `${sound}    except: ["ceo*"]\n    deny: ${ruleFor(['ceo'])}\n`;
  const why = 'matches nobody: all users here have a realm; write';
  const about = (text: string) => told(text).filter((each) => each.includes('matches nobody'));
  assert.deepEqual(about(withDeny), [
    `12:14: policies.support.except[0]: ${why} ceo*@*`,
    `13:12: policies.support.deny: ${why} ceo@*`,
  ]);
  assert.deepEqual(about(withDeny.replace('["*@', '["info", "*@')), []);
});

// Goal: a rule can name every parameter of every command but those that no rule may speak of.
void test('what is never allowed is named by no rule, in any command', () => {
  for (const command of allSeries.flatMap((series) => commandsOf(series)))
    for (const { name, role } of command.params)
      if (role === 'user-file' || role === 'internal') assert.ok(whyUnnamable([command], name), name);
});

// Goal: whoever allows a command that may leave the mailbox out is told that a backend must say its shared namespaces for that.
const unsaid = sound.replace(', shared_namespaces: []', '');

void test('a backend that does not say its shared namespaces is told where a rule lets mailboxes be left out', () => {
  const warning = (command: string, line: number): string =>
    `5:3: warning: backends.mail1: does not say its shared_namespaces ([] for none), so "${command}" without a mailbox is refused (/etc/dovegate/d.yaml:${line})`;
  const withRule = (rule: string): readonly string[] => told(unsaid.replace('quota get', rule));
  assert.deepEqual(withRule('mailbox list'), [warning('mailbox list', 11)]);
  assert.deepEqual(withRule('{ command: fetch, where: { field: [uid] } }'), [warning('fetch', 11)]);
  for (const rule of [
    'mailbox status',
    '{ command: mailbox list, shared: true }',
    '{ command: mailbox list, where: { mailbox-mask: ["INBOX*"] } }',
    '{ command: expunge, where: { query: { mailbox: [Trash] } } }',
  ]) {
    assert.deepEqual(withRule(rule), [], rule);
  }
  assert.deepEqual(told(sound.replace('quota get', 'search')), []);
});

void test('a mailbox that is denied may have other names while a backend does not list its namespaces', () => {
  const withDeny = (rule: string, backend: string): readonly string[] =>
    told(`${sound.replace('shared_namespaces: []', backend)}    deny: [${rule}]\n`);
  const warning =
    '5:3: warning: backends.mail1: does not list its namespaces, so a mailbox that is denied may have names that pass (/etc/dovegate/d.yaml:12)';
  const listed = 'namespaces: [{ prefix: "", separator: "/", inbox: true }]';
  for (const rule of [
    '{ command: mailbox delete, where: { mailbox: INBOX } }',
    '{ command: mailbox delete, where: { mailbox: { equals: INBOX } } }',
    '{ command: mailbox delete, where: { mailbox: { at_least: 2020 } } }',
    '{ command: mailbox status, where: { mailbox-mask: { regex: "In.*" } } }',
    '{ command: fetch, where: { query: { mailbox: Trash } } }',
  ]) {
    assert.deepEqual(withDeny(rule, 'shared_namespaces: []'), [warning], rule);
    assert.deepEqual(withDeny(rule, listed), [], rule);
  }
  for (const rule of [
    'mailbox delete',
    '{ command: mailbox delete, where: { mailbox: present } }',
    '{ command: mailbox delete, where: { recursive: any } }',
    '{ command: mailbox list, where: { mailbox-mask: absent } }',
  ]) {
    assert.deepEqual(withDeny(rule, 'shared_namespaces: []'), [], rule);
  }
});
