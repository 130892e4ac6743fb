// Goal: a remembered decision is given out only to the very same question, and only as long as it holds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import type { Series } from '../../../src/doveadm/commands/catalog.js';
import { createMailboxNames, doubtedNames } from '../../../src/doveadm/names/mailbox-names.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { type NamedParameter, parseCommandLine } from '../../../src/doveadm/protocol/command.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import type { Decision } from '../../../src/rules/policy/decide.js';
import {
  AnswerCache,
  type JudgeContext,
  type Judged,
  type Judgement,
  type JudgementCache,
  judge,
  judgedBytes,
  judgementKey,
  judgeOnce,
} from '../../../src/rules/policy/judge.js';
import type { Policy } from '../../../src/rules/policy/policy.js';
import { lesser } from '../../../src/rules/policy/terms.js';
import { openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { policyOf, withPolicies } from '../config/sound.js';

const allowed: Decision = { kind: 'allow', code: 'allowed', reason: 'a rule allows it' };

void test('a decision is found until its time', () => {
  const cache = new AnswerCache<Decision>({ entriesMax: 10, bytesMax: 10_000, bytesOf: () => 1 });
  cache.keep('for ever', allowed);
  cache.keep('until 100', { ...allowed, holdsUntilMs: 100 });
  assert.deepEqual(cache.find('for ever', 1e15), allowed);
  assert.equal(cache.find('until 100', 99)?.code, 'allowed');
  assert.equal(cache.find('until 100', 100), undefined);
  assert.equal(cache.find('until 100', 99), undefined, 'it is gone, also for a clock that went back');
  assert.equal(cache.find('never asked', 0), undefined);
});

void test('it is bounded in entries and in memory', () => {
  const bytesOf = (key: string) => key.length;
  const cache = new AnswerCache<Decision>({ entriesMax: 100, bytesMax: 12_800, bytesOf });
  for (let index = 0; index < 1000; index += 1) cache.keep(`key ${index}`, allowed);
  assert.ok(cache.size <= 100);
  assert.equal(cache.find('key 999', 0), allowed);
  assert.equal(cache.find('key 0', 0), undefined);
  cache.keep('x'.repeat(100_000), allowed);
  assert.equal(cache.find('x'.repeat(100_000), 0), undefined);
  for (let index = 0; index < 100; index += 1) cache.keep(`${index}${'y'.repeat(1000)}`, allowed);
  assert.ok(cache.size < 20);
});

// bounds.contentArgumentBytes
void test('what reads content has few enough arguments to be recorded whole; other reads have as many as they like', () => {
  const fetching = '  support: { users: ["*"], allow: [{ command: fetch, content: true }] }';
  const policy = policyOf(withPolicies(fetching));
  const ask = (field: string, bytes: number): Judgement => {
    // Each word counts with one byte more: `--`, the field, and `or mailbox NAME`, the first one without `or`.
    const [frame, name] = ['or mailbox '.length + 1, 'x'.repeat(1000)];
    const names: string[] = [];
    let left = bytes - field.length - 1;
    for (; left > name.length + 2 * frame; left -= name.length + frame) names.push('or', 'mailbox', name);
    names.push('or', 'mailbox', 'x'.repeat(left - frame));
    const line = plainLine('alice@example.com', ['fetch', field, ...names.slice(1)]);
    return judge(line, ['2.4'], judgeContext(policy));
  };
  const found = (field: string, bytes: number): string => {
    const judged = ask(field, bytes);
    if (judged.kind !== 'judged') return judged.message;
    const sum = judged.args.reduce((before, { text }) => before + text.length + 1, 0);
    assert.deepEqual([sum, judged.decision.kind], [bytes, 'allow']);
    return judged.unable?.reason ?? 'served';
  };
  assert.equal(found('text', bounds.contentArgumentBytes), 'served');
  const refusal = '"fetch" reads content and has more than 16 KiB of arguments; use several commands';
  assert.equal(found('text', bounds.contentArgumentBytes + 1), refusal);
  assert.equal(found('uid', 30_000), 'served');
});

// Goal: a remembered judgement is given out only to the very same question.
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

const policyOfKey: Policy = openMemoryEngine().settings.policies.get('support') ?? assert.fail();

interface Question {
  readonly version: string;
  readonly listener: string;
  readonly principal: string;
  readonly series: readonly Series[];
  readonly namespaces: readonly string[] | undefined;
  readonly clientMinor: number;
  readonly user: string;
  readonly words: readonly string[];
}

function keyOf({ version, user, words, series, namespaces, ...who }: Question): string {
  const context = { ...who, policy: { ...policyOfKey, version }, sharedNamespaces: namespaces };
  return judgementKey({ user, words: [...words], named: undefined }, series, context);
}

/** Texts that run into each other when they are merely joined; no field of a line and no name can hold a NUL. */
const text = fc.string({ unit: fc.constantFrom('a', ' ', '\t', '\n', '2.4'), maxLength: 3 });
const questions: fc.Arbitrary<Question> = fc.record({
  version: fc.constant('one'),
  listener: text,
  principal: text,
  series: fc.constantFrom<readonly Series[]>(['2.3'], ['2.4'], ['2.3', '2.4']),
  namespaces: fc.constantFrom<readonly string[] | undefined>(undefined, [], ['a'], ['a', 'b'], ['ab']),
  clientMinor: fc.constantFrom(0, 2, 24),
  user: text,
  // A line of fewer fields is no command.
  words: fc.array(text, { minLength: 1, maxLength: 4 }),
});

void test('two questions have one key only when they are one question', () => {
  fc.assert(
    fc.property(questions, questions, (one, other) => {
      assert.equal(keyOf(one) === keyOf(other), isDeepStrictEqual(one, other));
    }),
    { numRuns: 2_000 * rounds },
  );
  // Neighbours of one question: what stands in one field moves into the next.
  fc.assert(
    fc.property(questions, fc.nat(), (one, at) => {
      const words = [one.user, ...one.words];
      const cut = at % (words.length + 1);
      const glued = [...words.slice(0, cut), words.slice(cut).join(''), ''];
      const [user = '', ...rest] = glued;
      if (isDeepStrictEqual([user, ...rest], words)) return;
      assert.notEqual(keyOf(one), keyOf({ ...one, user, words: rest }));
    }),
    { numRuns: 2_000 * rounds },
  );
});

// From a command line to a judgement: what is sent is what was judged, and what cannot be read is refused.
const configuration = withPolicies(`  support:
    users: ["*@example.org"]
    except: ["ceo@example.org"]
    allow: [quota get, mailbox list, mailbox status, search, fetch, save, copy, who]
`);

const contextOfLines = judgeContext(policyOf(configuration), {
  userNames: createUserNames({ characters: 'A-Za-z0-9._+=@-', defaultRealm: 'example.org' }),
});

const rememberingConfiguration = `
version: 1
listeners:
  support: { unix: /run/s, policy: support }
  other: { unix: /run/o, policy: other }
  team: { unix: /run/t, policy: team }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server" } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*"]
    except: ["ceo@example.org"]
    allow:
      - { command: quota get, expires: "2026-11-20T12:00:00Z" }
      - { command: mailbox list, expires: 2026-11-21 }
      - { command: mailbox list, shared: true, expires: "2026-11-20T12:00:00Z", where: { mailbox-mask: ["shared/*"] } }
      - { command: search, content: true }
      - { command: expunge, where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } } }
      - { command: fetch, where: { field: [uid], query: { mailbox: [INBOX], savedsince: { at_most: 7d } } } }
      - { command: mailbox metadata set }
      - { command: import, root_equivalent: true, where: { source-location: any } }
      - { command: kick, masks: true, where: { mask: any, force: any } }
  other:
    users: ["*"]
    allow: [mailbox list]
  names:
    users: ["*"]
    deny:
      - { command: mailbox create, where: { mailbox: [Legal] } }
      - { command: mailbox create, where: { mailbox: ["secret/*"] } }
    allow:
      - { command: mailbox create, where: { mailbox: ["A/*", B] } }
      - { command: mailbox create, where: { mailbox: ["A/*", "B*"] } }
  team:
    users: ["*"]
    allow: [purge]
    shadow: candidate.yaml
`;
const candidate = `
users: ["*"]
allow: [{ command: purge, expires: "2026-11-20T12:00:00Z" }]
`;
const remembering = parseSettings('test.yaml', {
  readText: (path) => (path === 'test.yaml' ? rememberingConfiguration : candidate),
  glob: () => [],
});
const noonMs = Date.UTC(2026, 10, 20, 12);

function policyNamed(name: string): Policy {
  return remembering.settings?.policies.get(name) ?? assert.fail(JSON.stringify(remembering.problems));
}

interface Asked extends Partial<Omit<JudgeContext, 'policy'>> {
  readonly line: string;
  readonly policy?: string;
  readonly series?: readonly Series[];
}

/** Asks through a cache. */
function asker(): { ask: (asked: Asked) => Judgement; cache: JudgementCache } {
  const limits = { entriesMax: 1000, bytesMax: 1024 ** 2, bytesOf: judgedBytes };
  const cache: JudgementCache = new AnswerCache<Judged>(limits);
  const ask = ({ line, policy: name = 'support', series = ['2.4'], ...changes }: Asked): Judgement => {
    const read = parseCommandLine(Buffer.from(line.replaceAll('|', '\t'), 'latin1'));
    if (read.kind !== 'command') throw new Error('no command');
    const asked = { ...contextOfLines, nowMs: noonMs - 1000, policy: policyNamed(name), ...changes };
    const judgement = judgeOnce(read.command, series, asked, cache);
    const afresh = judge(read.command, series, asked);
    assert.deepEqual(saidOf(judgement), saidOf(afresh), 'remembered or not, it is the same');
    return judgement;
  };
  return { ask, cache };
}

/** All of it but what was parsed, which holds functions. */
function saidOf(judgement: Judgement): unknown {
  return judgement.kind === 'judged' ? { ...judgement, attempt: judgement.attempt.users } : judgement;
}

test('other names of a mailbox are found once a line, however many rules and series ask', () => {
  const asked: string[] = [];
  const noted = (what: 'readings' | 'spellings') => (name: string) => {
    asked.push(`${what} ${name}`);
    return doubtedNames[what](name);
  };
  const mailboxNames = { ...doubtedNames, readings: noted('readings'), spellings: noted('spellings') };
  const { ask } = asker();
  const judgeBoth = (): Judgement =>
    ask({ line: '|alice|mailbox create|B|A/INBOX', policy: 'names', series: ['2.3', '2.4'], mailboxNames });
  assert.equal(decisionOf(judgeBoth()), 'deny');
  // Judged twice: `ask` compares with what is judged afresh.
  const each = ['spellings A/INBOX', 'spellings B', 'readings A/INBOX', 'readings B'];
  assert.deepEqual(asked.toSorted(), [...each, ...each].toSorted());
});

function decisionOf(judgement: Judgement): string {
  return judgement.kind === 'judged' ? judgement.decision.kind : judgement.code;
}

test('the same question is judged once, and whatever makes another question is judged again', () => {
  const { ask, cache } = asker();
  const base: Asked = { line: '|alice|mailbox list|INBOX*' };
  const first = ask(base);
  assert.equal(decisionOf(first), 'allow');
  assert.equal(ask(base), first);
  const lines = ['|bob|mailbox list|INBOX*', '|alice|mailbox list|INBOX', '|alice|mailbox|list|INBOX*'];
  const changes: readonly Partial<Asked>[] = [
    ...[...lines, '|alice|mailbox list|INBOX*|', '|alice|mailbox list|-A|INBOX*'].map((line) => ({ line })),
    { policy: 'other' },
    { listener: 'other' },
    { principal: 'eve@support' },
    { clientMinor: 2 },
    { series: ['2.3'] },
    { series: ['2.3', '2.4'] },
    ...[undefined, ['shared/'], ['shared/', 'Public/']].map((sharedNamespaces) => ({ sharedNamespaces })),
    ...[undefined, []].map((each) => ({ mailboxNames: createMailboxNames(each, []) })),
  ];
  const others = changes.map((change) => ({ ...base, ...change }));
  const answers = others.map(ask);
  assert.equal(new Set([first, ...answers]).size, others.length + 1);
  assert.equal(cache.size, others.length + 1);
  assert.deepEqual(others.map(ask), answers);
});

test('no answer without aliases is taken for one with them, nor the other way round', () => {
  const { ask } = asker();
  const line = '|boss@example.org|mailbox list';
  const answers = [[], ['ceo@example.org'], []].map((aliases) => decisionOf(ask({ line, aliases })));
  assert.deepEqual(answers, ['allow', 'deny', 'allow']);
});

test('what the userdb said, what is not UTF-8, and what nobody can read is not remembered', () => {
  const { ask, cache } = asker();
  ask({ line: '|alice|mailbox list', aliases: ['bob'] });
  ask({ line: '|alice|mailbox list|\xff' });
  ask({ line: '|alice|no such command' });
  ask({ line: '|alice|mailbox list|--abbreviated' });
  ask({ line: `|alice|mailbox list|${'x'.repeat(5000)}` });
  assert.equal(cache.size, 0);
});

test('no line with a secret in it is remembered, allowed or denied', () => {
  const { ask, cache } = asker();
  const lines = [
    '|alice|search|text|invoice',
    '|alice|search|mailbox|INBOX|NOT|(|subject|invoice|)',
    '|alice|expunge|mailbox|INBOX|from|eve',
    '|alice|mailbox metadata set|INBOX|/private/comment|dear diary',
    '|alice|import|imapc:host=x:password=y||all',
    '|alice|mailbox cryptokey password|-n|new|-o|old',
    '||user|-x|pass=hunter2|alice',
  ];
  for (const series of [['2.3'], ['2.4'], ['2.3', '2.4']] as const) {
    for (const line of lines) ask({ line, series });
  }
  assert.equal(cache.size, 0);
  ask({ line: '|alice|search|mailbox|INBOX' });
  assert.equal(cache.size, 1);
});

// [line, its answer before noon, at noon, an hour later]. What looks at the age of mails is kept for a second, what ends to the moment.
const timed: readonly (readonly [line: string, before: string, at: string, later: string])[] = [
  ['|alice|quota get', 'allow', 'deny', 'deny'],
  ['|alice|mailbox list', 'allow', 'allow', 'allow'],
  // The other rule ends; what another allows goes on.
  ['|alice|mailbox list|shared/*', 'allow', 'allow', 'allow'],
  // 30 days before noon: too young a moment ago.
  ['|alice|expunge|mailbox|Trash|savedbefore|1792584000', 'deny', 'allow', 'allow'],
  // 7 days before noon: younger than that until noon.
  ['|alice|fetch|uid|mailbox|INBOX|savedsince|1794571200', 'allow', 'allow', 'deny'],
];
for (const [line, ...expected] of timed) {
  test(`an answer does not outlive its time: ${line}`, () => {
    const { ask } = asker();
    for (const [at, wanted] of expected.entries()) {
      const nowMs = [noonMs - 2000, noonMs, noonMs + 3_600_000][at] ?? 0;
      // Twice: the second one is remembered.
      for (const _ of [1, 2]) assert.equal(decisionOf(ask({ line, nowMs })), wanted, String(at));
    }
  });
}

test('an expired rule ends to the millisecond', () => {
  const { ask } = asker();
  const line = '|alice|quota get';
  const answers = [noonMs - 1, noonMs - 1, noonMs].map((nowMs) => decisionOf(ask({ line, nowMs })));
  assert.deepEqual(answers, ['allow', 'allow', 'deny']);
});

test('nor does what a shadow says of it', () => {
  const { ask } = asker();
  const shadowAt = (nowMs: number): string | undefined => {
    const judgement = ask({ line: '|alice|purge', policy: 'team', nowMs });
    return judgement.kind === 'judged' ? judgement.shadow?.kind : judgement.code;
  };
  assert.equal(shadowAt(noonMs - 1), 'allow');
  assert.equal(shadowAt(noonMs), 'deny');
});

void test('the sooner of two ends, where there are any', () => {
  const rows = [
    [undefined, undefined, undefined],
    [1, undefined, 1],
    [undefined, 1, 1],
    [1, 2, 1],
    [2, 1, 1],
  ] as const;
  for (const [one, other, end] of rows) assert.equal(lesser(one, other), end);
});

void test('the key of a question, whole: equal keys in one release are equal questions', () => {
  const context = {
    ...contextOfLines,
    policy: { ...policyOfKey, version: '0123456789abcdef0123456789abcdef' },
  };
  const key = (
    words: readonly string[],
    more: Partial<JudgeContext> = {},
    series: readonly Series[] = ['2.4'],
  ) => judgementKey({ user: 'alice', words: [...words], named: undefined }, series, { ...context, ...more });
  const names = doubtedNames.key;
  const who = '0123456789abcdef0123\0support\0anna@support\x004';
  assert.equal(key(['a', 'b']), `${who}\x002.4\0\x04${names}\0alice\0a\0b`);
  const both = `${who}\x002.3 2.4\0\x02\x04${names}\0alice\0a`;
  assert.equal(key(['a'], { sharedNamespaces: undefined }, ['2.3', '2.4']), both);
  const mailboxNames = createMailboxNames([], []);
  const listed = `${who}\x002.4\0x/\x01y/\x04${mailboxNames.key}\0alice\0a`;
  assert.equal(key(['a'], { sharedNamespaces: ['x/', 'y/'], mailboxNames }), listed);
  const named = { user: 'alice', words: ['a', 'b'], named: [] };
  assert.equal(judgementKey(named, ['2.4'], context), `${who}\x002.4 named\0\x04${names}\0alice\0a\0b`);
});

void test('the memory of a cached judgement', () => {
  const bytes = (...words: readonly string[]): number => {
    const judgement = judge(plainLine('alice@example.org', words), ['2.4'], contextOfLines);
    return judgement.kind === 'judged'
      ? judgedBytes('0123456789', judgement)
      : assert.fail(judgement.message);
  };
  // 2,000 + 4 each character of the key + 85 each word + 140 each key of the query.
  assert.equal(bytes('quota get'), 2_125);
  assert.equal(bytes('search', 'seen', 'flagged'), 2_000 + 40 + 3 * 85 + 2 * 140);
});

void test('a cache keeps keys up to its limit, counts whole bytes, and is emptied', () => {
  const sizes: string[] = [];
  const cache = new AnswerCache<Decision>({
    entriesMax: 10,
    bytesMax: 10,
    bytesOf: (key, { code }) => {
      sizes.push(`${key.length} ${code}`);
      return 2.5;
    },
  });
  const longest = 'k'.repeat(1024);
  cache.keep(longest, allowed);
  cache.keep(`${longest}k`, allowed);
  cache.keep('a', allowed);
  assert.deepEqual([cache.find(longest, 0), cache.find(`${longest}k`, 0)], [allowed, undefined]);
  assert.deepEqual([cache.size, cache.bytes], [2, 6]);
  for (const key of ['b', 'c']) cache.keep(key, allowed);
  // The one that was not asked for is dropped.
  assert.deepEqual([cache.size, cache.bytes, cache.find('a', 0)], [3, 9, undefined]);
  cache.keep('late', { ...allowed, holdsUntilMs: 5 });
  assert.equal(cache.find('late', 5), undefined);
  assert.equal(cache.size, 2);
  cache.clear();
  assert.deepEqual([cache.size, cache.bytes], [0, 0]);
  assert.deepEqual(sizes, [
    `${longest.length} allowed`,
    ...['a', 'b', 'c', 'late'].map((key) => `${key.length} allowed`),
  ]);
});

void test('lines of more than 512 words or parameters are not looked for', () => {
  const found: string[] = [];
  const cache: JudgementCache = {
    find: (key, nowMs) => {
      found.push(`${key.split('\0').length > 500 ? 'long' : key} at ${nowMs}`);
      return undefined;
    },
    keep: () => undefined,
    clear: () => undefined,
    size: 0,
    bytes: 0,
  };
  const looks = (count: number, named?: number): number => {
    const line = plainLine('alice', ['mailbox list', ...Array.from({ length: count - 1 }, () => '')]);
    const parameter: NamedParameter = { name: 'mailbox mask', value: { kind: 'string', text: 'a' } };
    const parameters = named === undefined ? undefined : Array.from({ length: named }, () => parameter);
    const before = found.length;
    judgeOnce({ ...line, named: parameters }, ['2.4'], contextOfLines, cache);
    return found.length - before;
  };
  assert.deepEqual([looks(512), looks(513), looks(1, 0), looks(1, 512), looks(1, 513)], [1, 0, 1, 1, 0]);
});
