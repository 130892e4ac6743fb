// Reads and runs the tables of test/rules/policy/cases: a file holds policies (and presets' parameters) as in a configuration, a
// line of dashes, and one case a line:
//
//   EXPECTED | WHO | SERIES | USER | COMMAND
//
//   EXPECTED  `allow LINE`: by the rule in that line of the file. `deny CODE`, `deny CODE LINE`, `observe CODE`. With an effect
//             (`read` to `destroy`) at its end: that of the invocation, which decides what is on disk before it is sent.
//             `request LINE`: denied, and available on request by the rule in that line. `granted LINE`: by a grant of it.
//             `unparsable CODE`: the line means nothing that is sure, and policy is not asked.
//   WHO       NAME@POLICY: there is a listener of its name for each policy. `+` before it: as under a grant of any rule.
//   SERIES    2.3, 2.4, or both; `/2` behind it: a client of minor 2, who is of the 2.3 series.
//   USER      the user field; `-`: none. COMMAND: words separated by blanks, "in quotes" with blanks in them.
//
// A line that begins with # is a comment: the trick that the lines below it try.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { allSeries, type Series } from '../../../src/doveadm/commands/catalog.js';
import { namesAmong } from '../../../src/doveadm/names/mailbox-names.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { formatProblem } from '../../../src/rules/config/problem.js';
import { routingTableOf, type Settings } from '../../../src/rules/config/settings.js';
import { underAnyGrant } from '../../../src/rules/policy/grant.js';
import { jointNamespaces } from '../../../src/rules/policy/route.js';
import { judgeLine, type LineJudgement } from '../../kit/plain/judge-line.js';
import { projectRoot } from '../../kit/plain/root.js';

/** 2026-11-20T12:00:00Z: the time in which the cases are judged. */
export const casesNowMs = 1_795_176_000_000;

const folder = new URL('test/rules/policy/cases/', projectRoot);

/** The names of all tables. */
export const caseFiles: readonly string[] = readdirSync(folder)
  .filter((name) => name.endsWith('.cases'))
  .toSorted();

export interface Case {
  readonly line: number;
  readonly expected: string;
  readonly who: string;
  readonly series: readonly Series[];
  readonly minor: number;
  readonly user: string;
  readonly words: readonly string[];
}

/** The settings and cases of one table. */
export function readCases(name: string): { settings: Settings; cases: readonly Case[] } {
  const lines = readFileSync(new URL(name, folder), 'utf8').split('\n');
  const rule = lines.findIndex((line) => /^-{5,}$/.test(line));
  assert.ok(rule > 0, `${name} has no line of dashes`);
  return {
    settings: settingsOf(name, lines.slice(0, rule).join('\n')),
    cases: lines.flatMap((line, index) => (index <= rule ? [] : (caseIn(line, index + 1) ?? []))),
  };
}

/** One test a table. */
export function testCases(name: string): void {
  const { settings, cases } = readCases(name);
  void test(`${name}: ${cases.length} cases`, () => {
    assert.ok(cases.length > 0);
    const wrong = cases.flatMap((each) =>
      each.series.flatMap((series) => {
        const shown = show(judge(settings, each, series), each.expected);
        const line = `${name}:${each.line}: ${each.who} ${series} ${each.user} ${each.words.join(' ')}`;
        return shown === each.expected ? [] : [`${line}: expected ${each.expected}, is ${shown}`];
      }),
    );
    assert.deepEqual(wrong, []);
  });
}

/** Judges a case in one series. */
export function judge(settings: Settings, each: Case, series: Series): LineJudgement {
  const [, plus, principal = '', listener = ''] = /^(\+)?(.*@([^@]*))$/.exec(each.who) ?? [];
  const policy = settings.policies.get(listener);
  assert.ok(policy, `there is no policy ${listener}`);
  const { user, words, minor: clientMinor } = each;
  const grants = plus === undefined ? {} : { grants: underAnyGrant };
  const line = { listener, principal, user, words, clientMinor, ...grants };
  const { backends, userNames } = routingTableOf(settings);
  const mailboxNames = namesAmong(backends);
  const sharedNamespaces = jointNamespaces(backends.map((backend) => backend.sharedNamespaces));
  return judgeLine(policy, line, series, sharedNamespaces, userNames, casesNowMs, mailboxNames);
}

/** The judgement in the words of EXPECTED, with as much detail as is expected. */
function show(judgement: LineJudgement, expected: string): string {
  if (judgement.kind === 'unparsable') return `unparsable ${judgement.code}`;
  const { decision, attempt } = judgement;
  const { would } = decision;
  const [effect = ''] = / (?:read|session|write|admin|destroy)$/.exec(expected) ?? [];
  if (effect !== '') return `${show(judgement, expected.slice(0, -effect.length))} ${attempt.effect}`;
  const place = decision.rule ?? would?.rule;
  const hasLine = / \d+$/.test(expected);
  const line = hasLine && place !== undefined ? ` ${place.line}` : '';
  if (would !== undefined) return `observe ${would.code}${line}`;
  if (decision.kind === 'allow') return `${decision.grant === undefined ? 'allow' : 'granted'}${line}`;
  const { onRequest } = decision;
  if (expected.startsWith('request') && onRequest !== undefined) return `request ${onRequest.place.line}`;
  const missing = decision.nearest === undefined ? '' : ` (${decision.nearest.missing.join('; ')})`;
  return `deny ${decision.code}${line}${expected.includes('(') ? missing : ''}`;
}

function settingsOf(name: string, text: string): Settings {
  const policies = [...text.matchAll(/^ {2}([a-z0-9-]+):/gm)].map(([, policy]) => policy ?? '');
  const listeners = policies.map((policy) => `  ${policy}: { unix: /run/${policy}, policy: ${policy} }`);
  const files = [
    ['cases.yaml', `include: [${name}]\nlisteners:\n${listeners.join('\n')}\n${common(text)}`],
    [name, text],
  ] as const;
  const result = parseSettings('cases.yaml', {
    readText: (path) => files.find(([file]) => file === path)?.[1] ?? assert.fail(path),
    glob: () => [],
    presetText: (preset) =>
      readFileSync(new URL(`../../../../../config/presets/${preset}.yaml`, folder), 'utf8'),
  });
  const errors = result.problems.filter(({ severity }) => severity === 'error');
  const told = errors.map((problem) => formatProblem(problem));
  assert.deepEqual(told, []);
  return result.settings ?? assert.fail();
}

/** What a table does not say by itself. */
function common(text: string): string {
  const has = (key: string): boolean => new RegExp(`^${key}:`, 'm').test(text);
  return [
    ...(has('backends') ? [] : ['backends: { mail1: { address: "unix:/run/d", shared_namespaces: [] } }']),
    'routes: [{ users: ["*"], backend: mail1 }]',
  ].join('\n');
}

function caseIn(text: string, line: number): Case | undefined {
  if (text.trim() === '' || text.startsWith('#')) return undefined;
  const [expected = '', who = '', kind = '', user = '', ...command] = text
    .split('|')
    .map((cell) => cell.trim());
  const [series = '', minor] = kind.split('/');
  const one = allSeries.filter((each) => series === 'both' || series === each);
  assert.ok(one.length > 0 && command.length > 0, `line ${line}: ${text}`);
  const words = [...command.join('|').matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? '',
  );
  return {
    line,
    expected,
    who,
    series: one,
    minor: Number(minor ?? 4),
    user: user === '-' ? '' : user,
    words,
  };
}
