// Goal: what is said of a command line is right as a whole: decision, sentences, users, terms, destinations, look-ups. Each file of
// test/rules/policy/answers has a configuration, a line of dashes, and command lines with their complete answers below them:
//
//   POLICY | SERIES | USER | COMMAND | KNOWN
//
//   SERIES  2.3, 2.4 or both: of all backends; `-`: as configured. `/2` after it: the minor of the client.
//   USER    `-`: none. COMMAND: words separated by blanks, "in quotes" with blanks in them.
//   KNOWN   empty: nobody answers look-ups. `ask`: they are asked for. `passdb USER=BACKEND+ALIAS`, `userdb USER,USER=ALIAS,ALIAS`:
//           their answers; `=!CODE`: a failure. `latin1`: the line is not UTF-8. `json`: its form of HTTP. `readings`: of each series
//           alone.
//
// An answer has only what differs from the usual: the words as they came, with the command's effect in the catalog, in the series of the
// row, for the user as written or with the default realm; what the decision says is done by the one backend that there is, and settled
// if it is allowed; the nearest rule misses what the reason ends with.
// After a change, `DOVEGATE_ANSWERS=write` and this test write the files: read the difference.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { allSeries, commandNamed, type Series } from '../../../src/doveadm/commands/catalog.js';
import type { CommandLine } from '../../../src/doveadm/protocol/command.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { formatProblem } from '../../../src/rules/config/problem.js';
import { routingTableOf, type Settings } from '../../../src/rules/config/settings.js';
import {
  type Assessment,
  assess,
  describeObstacle,
  fateOf,
  plainLine,
  readingsOf,
  type Unanswered,
} from '../../../src/rules/policy/assess.js';
import { usersTouchedBy } from '../../../src/rules/policy/attempt.js';
import type { Decision } from '../../../src/rules/policy/decide.js';
import type { Judged, Judgement } from '../../../src/rules/policy/judge.js';
import { unmetConditions } from '../../../src/rules/policy/match.js';
import { rulesOf } from '../../../src/rules/policy/outcome.js';
import type { Policy } from '../../../src/rules/policy/policy.js';
import { formatRate } from '../../../src/rules/policy/rate.js';
import {
  type Answers,
  createRoutingTable,
  nothingAsked,
  nothingKnown,
  type PassdbAnswer,
  type Question,
  type RoutingTable,
  type UserdbAnswer,
} from '../../../src/rules/policy/route.js';
import { limitAsks } from '../../../src/rules/policy/terms.js';
import { jsonFormOf, lineOfForm } from '../../kit/plain/json-form.js';
import { projectRoot } from '../../kit/plain/root.js';
import { casesNowMs } from './cases.js';

const folder = new URL('test/rules/policy/answers/', projectRoot);

for (const name of readdirSync(folder).toSorted()) {
  void test(`answers, ${name}`, () => {
    const file = new URL(name, folder);
    const written = readFileSync(file, 'utf8');
    const [head = '', rows = ''] = written.split(/^-{5,}\n/m);
    const settings = settingsIn(head);
    const lines = rows.split('\n').filter((line) => !line.startsWith('    '));
    const answered = lines.flatMap((line) =>
      line === '' || line.startsWith('#')
        ? [line]
        : [line, ...answerTo(line, settings).map((each) => `    ${each}`)],
    );
    const text = `${head}${'-'.repeat(64)}\n${answered.join('\n')}`;
    if (process.env['DOVEGATE_ANSWERS'] === 'write') writeFileSync(file, text);
    else assert.equal(text, written);
  });
}

function settingsIn(head: string): Settings {
  const { settings, problems } = parseSettings('a.yaml', {
    readText: (path) =>
      path === 'a.yaml' ? head : (/^# shadow: (.*)$/m.exec(head)?.[1] ?? assert.fail(path)),
    glob: () => [],
  });
  const errors = problems.filter(({ severity }) => severity === 'error').map((each) => formatProblem(each));
  assert.deepEqual(errors, []);
  return settings ?? assert.fail();
}

function answerTo(row: string, settings: Settings): string[] {
  const [name = '', kind = '', who = '', command = '', said = ''] = row.split('|').map((cell) => cell.trim());
  const policy = settings.policies.get(name) ?? assert.fail(row);
  const [series = '', minor = '4'] = kind.split('/');
  const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
  const known = said.split(' ; ').filter((each) => each !== '');
  const table = tableOf(settings, series);
  const line = lineOf(series, who === '-' ? '' : who, words, known);
  const subject = { listener: 'desk', principal: 'bob@desk', clientMinor: Number(minor), policy };
  const found = assess(line, subject, table, answersIn(known), casesNowMs);
  if (found.judgement === undefined) return questionsOf(found);
  const readings = known.includes('readings') ? readingsOf(line, subject, table, found, casesNowMs) : [];
  const asked = { line, policy, series, realm: settings.mailUsers.defaultRealm };
  return [
    ...textOf(found.judgement, asked),
    ...placesOf(found, table),
    ...readings.flatMap((each) =>
      textOf(each.judgement, { ...asked, series: each.series }).map((text) => `${each.series}: ${text}`),
    ),
  ];
}

function tableOf(settings: Settings, series: string): RoutingTable {
  const table = routingTableOf(settings);
  if (series === '-') return table;
  const one: Series | undefined = allSeries.find((each) => each === series);
  assert.ok(one !== undefined || series === 'both', series);
  return createRoutingTable({ ...table, backends: table.backends.map((each) => ({ ...each, series: one })) });
}

function lineOf(
  series: string,
  user: string,
  words: readonly string[],
  known: readonly string[],
): CommandLine {
  if (known.includes('json')) {
    const form = jsonFormOf(series === '2.3' ? '2.3' : '2.4', user, words);
    return lineOfForm(form ?? assert.fail(words.join(' ')));
  }
  return { ...plainLine(user, words), fault: known.includes('latin1') ? 'not-utf8' : undefined };
}

function answersIn(known: readonly string[]): Answers {
  const passdb = new Map<string, PassdbAnswer>();
  const userdb = new Map<string, UserdbAnswer>();
  for (const each of known) {
    const [, kind, key = '', answer = ''] = /^(passdb|userdb) (.*?)=(.*)$/.exec(each) ?? [];
    const code = answer.startsWith('!') ? answer.slice(1) : undefined;
    const [backend = '', ...aliases] = answer.split('+');
    if (kind === 'passdb' && code === 'nowhere')
      passdb.set(key, { kind: code, reason: 'the passdb says so' });
    else if (kind === 'passdb')
      passdb.set(key, code === undefined ? { kind: 'to', backend, aliases } : { kind: 'failed', code });
    if (kind !== 'userdb') continue;
    const names = answer.split(',').filter((name) => name !== '');
    const found =
      code === undefined ? { kind: 'resolved' as const, aliases: names } : { kind: 'failed' as const, code };
    userdb.set(key.replaceAll(',', '\0'), found);
  }
  const base = known.includes('ask') ? nothingKnown : nothingAsked;
  return { ...base, passdb, userdb };
}

interface AskedLine {
  readonly line: CommandLine;
  readonly policy: Policy;
  /** `2.3`: it is judged as of 2.3 alone. */
  readonly series: string;
  readonly realm: string | undefined;
}

function textOf(judgement: Judgement, asked: AskedLine): string[] {
  const { policy } = asked;
  if (judgement.kind === 'unparsable')
    return [`${judgement.code}: ${judgement.message}`, factsOf(judgement, asked)];
  const { decision, holdsUntilMs, shadow, unable } = judgement;
  return [
    ...decisionText(decision),
    ...(holdsUntilMs === decision.holdsUntilMs ? [] : [`in all: until ${untilText(holdsUntilMs)}`]),
    ...(shadow === undefined || shadow.kind === rulesOf(decision).kind
      ? []
      : decisionText(shadow).map((text) => `shadow: ${text}`)),
    ...(unable === undefined ? [] : [`unable: ${unable.kind} ${unable.code}: ${unable.reason}`]),
    ...commandText(judgement, asked),
    ...attemptText(judgement),
    ...unmetText(judgement, policy),
    ...limitsText(judgement, policy),
  ];
}

function factsOf({ command, effect, user, input }: Judgement, { line, realm }: AskedLine): string {
  const isUsual = user === line.user || user === `${line.user}@${realm}`;
  return [
    command ?? 'no command',
    effect ?? 'no effect',
    ...(input === 'none' ? [] : [`input ${input}`]),
    ...(isUsual ? [] : [`user ${user}`]),
  ].join(', ');
}

function commandText(judgement: Judged, asked: AskedLine): string[] {
  const { command, wantsUsernameCell, series, args } = judgement;
  const column = wantsUsernameCell ? ', with a column of users' : '';
  const known = series.includes('2.4') || asked.series === '2.3' ? '' : ` for ${series.join()}`;
  const words = args.map(({ text, isSecret }) => (isSecret ? `<${text}>` : text)).join(' ');
  const facts = `${factsOf(judgement, asked)}${column}${known}`;
  const usual = `${command}, ${commandNamed('2.4', command ?? '')?.effect}`;
  const isAsSent = asked.line.words.join(' ') === `${command} ${words.slice('-- '.length)}`.trimEnd();
  return facts === usual && isAsSent ? [] : [`${facts}: ${words}`];
}

function untilText(ms: number | undefined): string {
  return ms === undefined ? 'for ever' : `+${ms - casesNowMs} ms`;
}

function decisionText(decision: Decision): string[] {
  const { kind, code, rule, reason, nearest, would, obligations, holdsUntilMs } = decision;
  const place =
    rule === undefined ? '' : ` ${rule.file.endsWith('a.yaml') ? '' : 'shadow '}${rule.line}:${rule.column}`;
  const until = holdsUntilMs === undefined ? '' : ` until ${untilText(holdsUntilMs)}`;
  const terms =
    obligations === undefined
      ? []
      : Object.entries(obligations).flatMap(([key, value]) => {
          const isPlain = value === false || (key === 'limitKey' && obligations.limit === undefined);
          return isPlain ? [] : `${key} ${shortened(JSON.stringify(value))}`;
        });
  const near = nearest === undefined ? '' : `nearest ${nearest.rule.line}:${nearest.rule.column}`;
  const missing = nearest?.missing.join('; ') ?? '';
  const isInReason = nearest === undefined || reason.endsWith(`: ${missing}`);
  return [
    `${kind} ${code}${place}${until}${near !== '' && isInReason ? `, ${near}` : ''}: ${reason}`,
    ...(isInReason ? [] : [`${near}: ${missing}`]),
    ...(would === undefined ? [] : decisionText(would).map((text) => `would ${text}`)),
    ...(kind === 'deny' || obligations !== undefined ? [] : ['no terms']),
    ...(terms.length === 0 ? [] : [`terms: ${terms.join(', ')}`]),
  ];
}

/** Hashes are cut. */
function shortened(text: string): string {
  return text.replace(/[0-9a-f]{64}/g, (hash) => hash.slice(0, 8));
}

/** What policy looks at, where it is not the usual. */
function attemptText(judgement: Judged): string[] {
  const { attempt } = judgement;
  const { user, users, aliases, masks, named, everybody, shared, isSharedUnsaid, content } = attempt;
  const isPlain = JSON.stringify(users) === JSON.stringify(user === undefined ? [] : [user]);
  const touched = usersTouchedBy(attempt);
  const seen = [
    ...(attempt.listener === 'desk' && attempt.principal === 'bob@desk' ? [] : ['another principal']),
    ...(attempt.command.name === judgement.command ? [] : [attempt.command.name]),
    ...(attempt.effect === judgement.effect ? [] : [`effect ${attempt.effect}`]),
    ...(user === judgement.user || (user === undefined && judgement.user === '') ? [] : [`user ${user}`]),
    ...(isPlain ? [] : [`users ${users.join(' ')}`]),
    ...(aliases.length === 0 ? [] : [`aliases ${aliases.join(' ')}`]),
    ...masks.map(
      ({ parameter, value, isUserMask }) => `${isUserMask ? 'mask' : 'not a mask'} ${parameter}=${value}`,
    ),
    ...(named === users.length ? [] : [`${named} named`]),
    ...(everybody === 'none' ? [] : [`everybody ${everybody}`]),
    ...(shared === undefined ? [] : [`shared ${shared}${isSharedUnsaid ? ' (unsaid)' : ''}`]),
    ...(content.length === 0 ? [] : [`content ${content.join(', ')}`]),
    ...(attempt.mustBeNamed.length === 0 ? [] : [`must be named ${attempt.mustBeNamed.join(' ')}`]),
    ...(attempt.never.length === 0 ? [] : [`never ${attempt.never.join(' ')}`]),
    ...(JSON.stringify(touched) === JSON.stringify(users) ? [] : [`touches ${touched.join(' ')}`]),
  ];
  return seen.length === 0 ? [] : [seen.join('; ')];
}

/** The conditions of the nearest rule that it does not meet. */
function unmetText({ decision: { nearest }, attempt }: Judged, policy: Policy): string[] {
  const rule = policy.allow.find(({ place }) => place === nearest?.rule);
  if (rule === undefined) return [];
  const unmet = unmetConditions(rule, policy, attempt, casesNowMs);
  const each = [
    ...[...unmet.parameters].map((name) => `parameter ${name}`),
    ...(unmet.isQueryUnmet ? ['query'] : []),
    ...[...unmet.keys].map((key) => `key ${key}`),
    ...(unmet.areAlternativesUnmet ? ['alternatives'] : []),
    ...(unmet.areUsersUnmet ? ['users'] : []),
  ];
  return each.length === 0 ? [] : [`unmet: ${each.join(', ')}`];
}

/** The counts that it takes. */
function limitsText({ decision, attempt }: Judged, policy: Policy): string[] {
  if (decision.kind === 'deny') return [];
  const asks = limitAsks(policy, decision.obligations, attempt, attempt.principal).map((ask) => {
    const member = ask.kind === 'distinct' ? ` of ${ask.member}` : '';
    return `${ask.kind}${member} ${formatRate(ask.rate)} by ${shortened(ask.key.replaceAll('\0', ' '))}`;
  });
  return asks.length === 0 ? [] : [`counts ${asks.join('; ')}`];
}

function placesOf(found: Assessment, { backends }: RoutingTable): string[] {
  const { destinations, obstacle, aliases, isSettled, judgement } = found;
  const decided = judgement.kind === 'judged' ? judgement.decision.kind : judgement.kind;
  const isUsual =
    fateOf(found) === decided &&
    destinations.length === 1 &&
    backends.length === 1 &&
    isSettled === (decided === 'allow') &&
    aliases.length === 0;
  const where =
    destinations.length === 0 ? 'to nobody' : `to ${destinations.map(({ name }) => name).join(', ')}`;
  return [
    ...(isUsual
      ? []
      : [
          `${fateOf(found)} ${where}${isSettled ? ', settled' : ''}${aliases.length === 0 ? '' : `, aliases ${aliases.join(' ')}`}`,
        ]),
    ...(obstacle === undefined ? [] : [obstacleText(obstacle)]),
    ...questionsOf(found),
  ];
}

function obstacleText(obstacle: NonNullable<Assessment['obstacle']>): string {
  const code = obstacle.kind === 'unroutable' ? '' : ` ${obstacle.code}`;
  return `obstacle ${obstacle.kind}${code}: ${describeObstacle(obstacle)}`;
}

function questionsOf({ questions }: Assessment | Unanswered): string[] {
  return questions.map((question: Question) =>
    question.kind === 'passdb'
      ? `asks passdb ${question.socket} for ${question.cacheTtlMs} ms: ${question.user}`
      : `asks userdb: ${question.users.join(' ')}`,
  );
}
