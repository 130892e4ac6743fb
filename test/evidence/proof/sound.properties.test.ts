// Goal: for random policies and statements no command line that the daemon would accept contradicts "holds", and each line that disproves
// does what the statement excludes. What a line does is read here from its attempt, not by the code that decides.
// DOVEGATE_ROUNDS multiplies the policies; DOVEGATE_SEED repeats a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, type Command, commandNamed, commandsOf } from '../../../src/doveadm/commands/catalog.js';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { maskCovers } from '../../../src/doveadm/names/mask.js';
import { proveNoMore } from '../../../src/evidence/proof/more.js';
import { prove } from '../../../src/evidence/proof/prove.js';
import { type NeverStatement, readStatement } from '../../../src/rules/answers/statement.js';
import { routingTableOf, type Settings } from '../../../src/rules/config/settings.js';
import { assess, fateOf, plainLine } from '../../../src/rules/policy/assess.js';
import type { Attempt } from '../../../src/rules/policy/attempt.js';
import { underAnyGrant } from '../../../src/rules/policy/grant.js';
import { createPolicy, type Policy } from '../../../src/rules/policy/policy.js';
import { randomValues, spell } from '../../doveadm/commands/spelling.js';
import { pick, type Random, seededRandom } from '../../kit/plain/chunkings.js';
import { parse } from '../../rules/config/sound.js';

const nowMs = Date.parse('2026-11-29T00:00:00Z');
const options = { nowMs, isOver: () => false };
const rounds = 15 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_261_129);
const linesPerProof = 40;

const commands = [
  ...new Map(allSeries.flatMap((series) => commandsOf(series)).map((each) => [each.name, each])).values(),
];
/** Rules are about these more often: most statements are. */
const usual =
  'expunge,fetch,search,mailbox delete,move,copy,kick,who,user,quota get,mailbox list,acl set,sieve delete,purge'.split(
    ',',
  );

const words = (text: string): readonly string[] => text.split(' ');
const people = words(
  'alice@example.com a1@example.com bob@example.org b2@example.org carol@example.net ceo@example.com',
);
/** Whom a mask and a pattern of a statement have in common, if anybody. */
const inMasks = [
  ...people,
  ...words('a1@example.com a1@example.org a1@example.net c1@example.com c1@example.org c1@example.net'),
];
const userPatterns = words(
  '* *@example.com *@example.org a*@example.com ** bob@example.org *1@example.com *@*.net c*@**',
);
const named = [
  ...people,
  ...words('*@example.com *@example.org * a* ?1@example.com 10.0.0.1 a*@example.com'),
];
const mailboxes = ['INBOX', 'Trash', 'Work', 'Work/Plans', 'Old/x', 'shared/bob/INBOX', '*', 'Work/*'];

function some(random: Random, from: readonly string[], most = 2): string[] {
  return Array.from({ length: 1 + Math.floor(random() * most) }, () => pick(random, from));
}

const list = (texts: readonly string[]): string => JSON.stringify(texts);

function randomCommand(random: Random): Command {
  const name = random() < 0.7 ? pick(random, usual) : pick(random, commands).name;
  return commands.find((each) => each.name === name) ?? assert.fail(name);
}

function valuesFor(random: Random, role: string, values: readonly string[]): readonly string[] {
  if (/^(?:user|user-mask|user-mask-or-ip|source-user)$/.test(role))
    return values.map(() => pick(random, named));
  return role === 'mailbox' || role === 'mailbox-mask' ? values.map(() => pick(random, mailboxes)) : values;
}

function condition(random: Random, role: string): string {
  const isUser = role.includes('user');
  const texts = isUser
    ? some(random, [...userPatterns, ...named])
    : some(random, [...mailboxes, 'uid', 'text', 'flags', 'x*', 'main', '*']);
  const roll = random();
  if (roll < 0.2) return 'any';
  if (roll < 0.35) return 'present';
  if (roll < 0.4) return 'absent';
  if (roll < 0.5) return `{ equals: ${list(texts.slice(0, 1))} }`;
  if (roll < 0.58)
    return `{ regex: ${JSON.stringify(pick(random, ['.*', 'W.*', '[a-z]+@example\\.com', 'x|INBOX']))} }`;
  return random() < 0.3 ? `{ one_of: ${list(texts)}, optional: true }` : list(texts);
}

const queries = [
  'any',
  '{ mailbox: [Trash] }',
  '{ mailbox: [Trash, "Work/*"], seen: present }',
  '{ mailbox: present, savedbefore: { at_least: 30d } }',
  '{ text: absent, subject: absent }',
  '{ equals: [mailbox, Work, all] }',
  '{ regex: "mailbox [a-zA-Z]+ all" }',
  '{ mailbox: present, any_of: [{ subject: present }, { seen: present }] }',
];

function randomRule(random: Random, kind: 'allow' | 'deny' | 'on_request'): string {
  const command = randomCommand(random);
  const parts = [`command: ${command.name}`];
  const may = (chance: number): boolean => random() < chance;
  if (may(kind === 'deny' ? 0.5 : 0.3)) parts.push(`users: ${list(some(random, userPatterns))}`);
  if (may(0.5)) {
    const conditions = command.params.flatMap(({ name, role = '', caution, isPositional }) => {
      const chance = isPositional ? 0.4 : caution === 'named' ? 0.5 : 0.15;
      if (
        !may(chance) ||
        caution === 'never' ||
        caution === 'all-users' ||
        (role === 'user' && command.scope === 'user')
      )
        return [];
      if (name === 'source-type') return [];
      if (role === 'search-query')
        return [`query: ${kind === 'deny' ? '{ mailbox: [Trash] }' : pick(random, queries)}`];
      return [`${name.replace(/^(field|flag)str$/, '$1')}: ${condition(random, role)}`];
    });
    if (conditions.length > 0)
      parts.push(
        `where: { ${[...new Map(conditions.map((each) => [each.split(':')[0], each])).values()].join(', ')} }`,
      );
  }
  if (kind === 'deny') return `{ ${parts.join(', ')} }`;
  if (command.grant === 'never') parts.push('root_equivalent: true');
  for (const key of ['shared', 'content']) if (may(0.25)) parts.push(`${key}: true`);
  if (kind === 'allow') for (const key of ['masks', 'all_users']) if (may(0.2)) parts.push(`${key}: true`);
  if (kind === 'allow' && may(0.1)) parts.push('reason: required');
  if (may(0.1)) parts.push(`expires: ${pick(random, ['2020-01-01', '2099-01-01'])}`);
  if (kind === 'on_request' && may(0.3)) parts.push('approvals: 0, uses: 2');
  return `{ ${parts.join(', ')} }`;
}

function randomPolicy(random: Random): string[] {
  const rules = (kind: 'allow' | 'deny' | 'on_request', most: number): string =>
    Array.from(
      { length: Math.floor(random() * (most + 1)) },
      () => `\n      - ${randomRule(random, kind)}`,
    ).join('') || ' []';
  const isObserving = random() < 0.1;
  return [
    ...(isObserving ? ['mode: observe'] : []),
    `users: ${list(some(random, userPatterns))}`,
    ...(random() < 0.4
      ? [`except: ${list(some(random, ['ceo@example.com', 'a*@example.com', '*@example.org'], 1))}`]
      : []),
    `allow:${rules('allow', 4)}`,
    `deny:${rules('deny', 2)}`,
    ...(isObserving || random() < 0.6 ? [] : [`on_request:${rules('on_request', 2)}`]),
  ];
}

/** Undefined: a rule of it makes no sense. */
function settingsFor(policy: readonly string[], backend: string, realm: string): Settings | undefined {
  return parse(`listeners:
  p: { unix: /run/p, policy: p }
  q: { unix: /run/q, policy: q }
backends: { m: { address: "unix:/run/d"${backend} } }
routes: [{ users: ["*"], backend: m }]
mail_users: { resolve: /run/auth${realm} }
persons: { carol: { users: [carol] } }
policies:
  p:
    ${policy.join('\n    ')}
  q: { users: ["*"], allow: [], approve: [p] }`).settings;
}

const verbs = 'read,end sessions,change,administer,destroy,reach content,read content,run anything'.split(
  ',',
);

function randomStatement(random: Random): string {
  const who = pick(random, ['nobody', 'nobody but policy q', 'policy p', 'listener p']);
  const modal = who.startsWith('nobody') ? 'may' : pick(random, ['may never', 'can not', 'may only']);
  const deeds = Array.from({ length: random() < 0.7 ? 1 : 2 }, () =>
    random() < 0.8 ? pick(random, verbs) : `run ${randomCommand(random).name}`,
  );
  const own = deeds.filter((each) => modal !== 'may only' || each !== 'run anything');
  const scope =
    random() < 0.6
      ? ` in mailboxes of ${some(random, userPatterns.slice(1))
          .map((each) => JSON.stringify(each))
          .join(' or ')}`
      : '';
  return `${who} ${modal} ${(own.length === 0 ? ['read'] : own).join(' or ')}${scope}${random() < 0.3 ? ' even with approval' : ''}`;
}

function randomLine(random: Random, policy: Policy): { user: string; words: readonly string[] } | undefined {
  const names = [...policy.allowByCommand.keys(), ...policy.onRequestByCommand.keys()];
  const name = names.length > 0 && random() < 0.85 ? pick(random, names) : randomCommand(random).name;
  const series = pick(random, allSeries);
  const command = commandNamed(series, name);
  if (command === undefined) return undefined;
  const values = new Map(
    [...randomValues(random, command)]
      .filter(([each]) => !['user-file', 'trans-flags', 'no-userdb-lookup'].includes(each) || random() < 0.05)
      .map(([each, given]) => {
        const role = command.params.find((one) => one.name === each)?.role ?? '';
        const content =
          role === 'search-query' && random() < 0.5
            ? [
                'mailbox',
                pick(random, mailboxes),
                ...pick(random, [['all'], ['text', 'invoice'], ['seen'], ['savedbefore', '40d']]),
              ]
            : given;
        return [each, valuesFor(random, role, content)] as const;
      }),
  );
  // The user of a line is no option of it.
  if (command.scope === 'user' && random() < 0.9)
    for (const each of ['user', 'all-users', 'socket-path']) values.delete(each);
  const user = command.scope === 'user' ? (random() < 0.95 ? pick(random, people) : '') : '';
  return { user, words: [command.name, ...spell(random, command, values)] };
}

/** What the daemon does under that policy with a backend of each series, or of one that it does not know yet. */
function attemptsOf(
  settings: Settings,
  policy: Policy,
  line: { user: string; words: readonly string[] },
  reason: string | undefined,
): Attempt[] {
  // A backend that says its series has no other.
  const isSaid = settings.backends.some(({ series }) => series !== 'auto');
  return [undefined, ...(isSaid ? [] : allSeries)].flatMap((series) => {
    const subject = {
      listener: 'p',
      principal: '-@p',
      clientMinor: 4,
      policy,
      grants: policy.onRequest.length > 0 ? underAnyGrant : undefined,
    };
    const found = assess(
      plainLine(line.user, line.words),
      subject,
      routingTableOf({ ...settings, mailUsers: { ...settings.mailUsers } }, series && [series]),
      { passdb: new Map(), userdb: new Map(), whenOpen: 'suppose' },
      nowMs,
    );
    if (fateOf(found) !== 'allow' || found.judgement.kind !== 'judged') return [];
    const { obligations } = found.judgement.decision;
    return obligations?.reason === true && reason === undefined ? [] : [found.judgement.attempt];
  });
}

function asStated(policy: Policy, { isWithApproval }: { readonly isWithApproval: boolean }): Policy {
  const onRequest = policy.onRequest.filter(({ terms }) => isWithApproval || terms.approvals === 0);
  return createPolicy({ ...policy, onRequest });
}

const givesAll =
  /^(?:backup|sync|dsync-server|batch|import|fs get|mail fs get|mailbox cryptokey (?:export|password))$/;

function does(attempt: Attempt, deed: NeverStatement['deeds'][number]): boolean {
  const { command, effect, content, parsed } = attempt;
  const mayAll = command.hold === 'all';
  switch (deed.kind) {
    case 'anything':
      return true;
    case 'command':
      return command.name === deed.name;
    case 'content':
      if (givesAll.test(command.name) || parsed.values.has('source-user')) return true;
      return content.length > 0 && (!deed.isRead || command.effect === 'read');
    case 'effect':
      switch (deed.verb) {
        case 'read':
          return effect === 'read';
        case 'end sessions':
          return effect === 'session';
        case 'administer':
          return effect === 'admin';
        case 'change':
          return mayAll || !['read', 'session'].includes(effect);
        case 'destroy':
          return mayAll || effect === 'destroy';
        default:
          return deed.verb satisfies never;
      }
    default:
      return deed satisfies never;
  }
}

function contradicts(attempt: Attempt, { deeds, isOnly, users }: NeverStatement): boolean {
  // "May only administer" does not mean what may destroy as well.
  const isMeant = ({ kind, ...more }: (typeof deeds)[number]): boolean =>
    !isOnly ||
    attempt.command.hold !== 'all' ||
    kind !== 'effect' ||
    ('verb' in more && ['change', 'destroy'].includes(more.verb));
  const isDone = deeds.some((deed) => isMeant(deed) && does(attempt, deed));
  if (isDone === isOnly) return false;
  if (users === undefined) return true;
  const patterns = new GlobList(users);
  if (attempt.everybody !== 'none' || attempt.command.hold === 'all') return true;
  if ([...attempt.users, ...attempt.aliases].some((user) => patterns.matches(user))) return true;
  const meant = inMasks.filter((user) => patterns.matches(user));
  const masks = attempt.masks.filter(({ parameter }) => parameter !== 'id');
  if (masks.some(({ value, isUserMask }) => !isUserMask || meant.some((user) => maskCovers(value, user))))
    return true;
  return attempt.shared !== undefined && !attempt.isSharedUnsaid;
}

function world(random: Random): { backend: string; realm: string } {
  return {
    backend: pick(random, [
      ', shared_namespaces: []',
      ', shared_namespaces: ["shared/"]',
      '',
      ', shared_namespaces: [], series: "2.4"',
    ]),
    realm: random() < 0.5 ? ', default_realm: example.com' : '',
  };
}

void test(`what holds is contradicted by no line, what is disproved is done (${rounds} policies)`, (t) => {
  const random = seededRandom(seed);
  const counts = { holds: 0, disproved: 0, undecided: 0, lines: 0 };
  for (let round = 0; round < rounds; ) {
    const { backend, realm } = world(random);
    const text = randomPolicy(random);
    const settings = settingsFor(text, backend, realm);
    if (settings === undefined) continue;
    round += 1;
    const said = randomStatement(random);
    const statement = readStatement(said, settings);
    assert.ok(statement.kind === 'never', `${said}: ${JSON.stringify(statement)}`);
    const proof = prove(statement, settings, options);
    counts[proof.kind] += 1;
    const policy = asStated(settings.policies.get('p') ?? assert.fail(), statement);
    const shown = (line: unknown): string =>
      `${said}\n${JSON.stringify(line)}\n${text.join('\n')}\n${backend}${realm}`;
    if (proof.kind === 'disproved') {
      const { witness } = proof;
      const attempts = attemptsOf(settings, policy, witness, 'a reason');
      assert.ok(
        attempts.some((attempt) => contradicts(attempt, statement)),
        shown(witness),
      );
    } else if (proof.kind === 'holds') {
      for (let count = 0; count < linesPerProof; count += 1) {
        const line = randomLine(random, policy);
        if (line === undefined) continue;
        counts.lines += 1;
        for (const attempt of attemptsOf(settings, policy, line, 'a reason'))
          assert.ok(!contradicts(attempt, statement), shown(line));
      }
    }
  }
  t.diagnostic(`seed ${seed}: ${JSON.stringify(counts)}`);
  assert.ok(counts.holds > rounds / 10 && counts.disproved > rounds / 10, JSON.stringify(counts));
});

/** One thing more, less or other. */
function changed(random: Random, policy: readonly string[]): string[] {
  const other = randomPolicy(random);
  const key = pick(random, ['users', 'except', 'allow', 'deny', 'on_request', 'mode']);
  const isIt = (text: string): boolean => text.startsWith(`${key}:`);
  const rest = policy.filter((text) => !isIt(text));
  const fresh = random() < 0.3 ? [] : other.filter(isIt);
  return [...rest, ...(key === 'users' && fresh.length === 0 ? policy.filter(isIt) : fresh)];
}

void test(`after a change that allows no more, no line is allowed that was not (${rounds} changes)`, (t) => {
  const random = seededRandom(seed + 1);
  const counts = { holds: 0, disproved: 0, undecided: 0, lines: 0 };
  for (let round = 0; round < rounds; ) {
    const { backend, realm } = world(random);
    const text = randomPolicy(random);
    const next = changed(random, text);
    const [before, after] = [settingsFor(text, backend, realm), settingsFor(next, backend, realm)];
    if (before === undefined || after === undefined) continue;
    round += 1;
    const statement = readStatement(
      `nobody may do more than before${random() < 0.3 ? ' even with approval' : ''}`,
      after,
    );
    assert.ok(statement.kind === 'more');
    const proof = proveNoMore(statement, before, after, options);
    counts[proof.kind] += 1;
    const [old, fresh] = [before, after].map((each) =>
      asStated(each.policies.get('p') ?? assert.fail(), statement),
    );
    assert.ok(old !== undefined && fresh !== undefined);
    const isMore = (line: { user: string; words: readonly string[] }): boolean =>
      [undefined, 'a reason'].some((reason) => {
        const are = attemptsOf(after, fresh, line, reason).map(({ series }) => series);
        return are.length > 0 && attemptsOf(before, old, line, reason).length === 0;
      });
    const shown = (line: unknown): string =>
      `${JSON.stringify(line)}\n${text.join('\n')}\n->\n${next.join('\n')}\n${backend}${realm}`;
    if (proof.kind === 'disproved') assert.ok(isMore(proof.witness), shown(proof.witness));
    if (proof.kind !== 'holds') continue;
    for (let count = 0; count < linesPerProof; count += 1) {
      const line = randomLine(random, fresh);
      if (line === undefined) continue;
      counts.lines += 1;
      assert.ok(!isMore(line), shown(line));
    }
  }
  t.diagnostic(`seed ${seed + 1}: ${JSON.stringify(counts)}`);
  assert.ok(counts.holds > rounds / 10 && counts.disproved > rounds / 10, JSON.stringify(counts));
});
