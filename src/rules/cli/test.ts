// `dovegate test`: runs the policy tests of a configuration and lists the rules that no test used. With --replay it evaluates
// past records instead (replay.ts).

import { systemClock } from '../../host/machine/clock.js';
import { formatColumns, formatPlace, plain, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatWords } from '../../host/words/text.js';
import { plural } from '../../host/words/words.js';
import { Coverage, type CoveredRule, runTests, type TestOutcome } from '../answers/policy-tests.js';
import { isStatementTest, type PolicyTest, type Settings } from '../config/settings.js';
import { describeObstacle, fateOf } from '../policy/assess.js';
import { isAllowed, type Judgement } from '../policy/judge.js';
import { openSettings } from './named-listener.js';

/** Why a statement does not hold, or is undecided; undefined: it holds. Provided by the prover. */
export type WhyUnproven = (statement: string, settings: Settings, config: string) => string | undefined;

/** The options of `--replay`, which the part that reads records carries out. */
export interface ReplayOptions {
  readonly config: string;
  readonly coverage: boolean;
  /** A directory of an audit journal, or one segment of it. */
  readonly directory: string;
  readonly acceptHoles: boolean;
  /** A file with policies in the place of those of the configuration, as `suggest` prints them. */
  readonly candidate?: string | undefined;
}

/** Exit code 0: every test agrees with the policies; 1: some do not; 78: configuration. */
export function test(
  options: { readonly config: string; readonly coverage: boolean },
  whyUnproven: WhyUnproven,
): number {
  const settings = openSettings(options.config);
  const outcomes = runTests(settings, systemClock.wallMs());
  const failed = outcomes.filter((each) => !each.isPassed);
  const unproven = settings.tests.filter(isStatementTest).flatMap(({ prove, place }) => {
    const why = whyUnproven(prove, settings, options.config);
    return why === undefined
      ? []
      : `${formatPlace(place)}  prove: ${plain(prove)}\n${why.replaceAll(/^/gm, '    ')}`;
  });
  if (failed.length > 0) stdout(`${formatFailures(failed)}\n`);
  for (const text of unproven) stdout(`${text}\n`);
  const failures = failed.length + unproven.length;
  stdout(summaryOf(options.config, settings.tests.length, failures));
  if (options.coverage) stdout(`\n${formatCoverage(coverageOf(settings, outcomes), 'test')}`);
  return failures === 0 ? exitCodes.ok : exitCodes.failed;
}

function summaryOf(file: string, all: number, failed: number): string {
  if (all === 0) return `${plain(file)} has no policy tests (tests:)`;
  return failed === 0 ? `all ${plural(all, 'test')} passed` : `${failed} of ${plural(all, 'test')} failed`;
}

function formatFailures(outcomes: readonly TestOutcome[]): string {
  const head = ['TEST', 'EXPECTED', 'LISTENER', 'USER', 'COMMAND'];
  const rows = outcomes.map(({ test: each }) => [
    formatPlace(each.place),
    each.expect,
    each.listener,
    each.user === '' ? '-' : plain(each.user),
    formatWords(each.words),
  ]);
  const [first = '', ...lines] = formatColumns([head, ...rows]).split('\n');
  const shown = lines.flatMap((line, at) => [line, ...saidOf(outcomes[at]).map((text) => `    ${text}`)]);
  return [first, ...shown].join('\n');
}

/** The actual result; once, if it is the same for all series. */
function saidOf(outcome: TestOutcome | undefined): string[] {
  const { assessment, readings, test: expected } = outcome ?? {};
  if (expected === undefined) return [];
  if (assessment === undefined) return [plain(whyNoSession(expected))];
  const { judgement, obstacle } = assessment;
  const fate = fateOf(assessment);
  if (fate === 'obstacle' && obstacle !== undefined) {
    return [plain(`allowed, and it cannot be carried out: ${describeObstacle(obstacle)}`)];
  }
  const all = (readings ?? []).map((each) => ({
    series: each.series,
    isAllowed: isAllowed(each.judgement),
    text: answerOf(each.judgement),
  }));
  // A command that only one series allows is refused if both may be meant and they differ.
  if (fate !== 'allow' && all.every((each) => each.isAllowed)) return [plain(answerOf(judgement))];
  const said = expected?.expect === 'allow' ? all.filter((each) => !each.isAllowed) : all;
  const texts = [...new Set(said.map(({ text }) => text))];
  return texts.map((text) => {
    const series = said.filter((each) => each.text === text).map((each) => each.series);
    return plain(`${text} (Dovecot ${series.join(', ')})`);
  });
}

/** `check` reports the other causes: a test that names the wrong kind of client, or none. */
function whyNoSession({ listener, as }: PolicyTest): string {
  const { name = 'a user', groups = [] } = as ?? {};
  const inGroups = groups.length === 0 ? '' : ` of ${groups.join(', ')}`;
  return `denied: the peers of listener ${listener} do not include ${name}${inGroups}`;
}

function answerOf(judgement: Judgement): string {
  if (judgement.kind === 'unparsable') return `cannot be read: ${judgement.message}`;
  const { kind, rule, reason, nearest, onRequest } = judgement.decision;
  if (kind === 'allow') return rule === undefined ? `allowed: ${reason}` : `allowed by ${formatPlace(rule)}`;
  const by = rule === undefined ? '' : ` by ${formatPlace(rule)}`;
  const near = nearest === undefined ? '' : `; nearest rule ${formatPlace(nearest.rule)}`;
  const request = onRequest === undefined ? '' : `; available on request by ${formatPlace(onRequest.place)}`;
  return `denied${by}: ${reason}${near}${request}`;
}

function coverageOf(settings: Settings, outcomes: readonly TestOutcome[]): CoveredRule[] {
  const coverage = new Coverage(settings.policies.values());
  for (const { readings } of outcomes) coverage.take(readings);
  return coverage.rules();
}

/** Rules that nothing exercised; `by` names what should have. */
export function formatCoverage(rules: readonly CoveredRule[], by: 'test' | 'record'): string {
  const idle = rules.filter((each) => !each.isExercised);
  const count = `${rules.length - idle.length} of ${plural(rules.length, 'rule')} exercised`;
  if (idle.length === 0) return count;
  const rows = idle.map(({ policy, kind, rule }) => [formatPlace(rule.place), policy, kind, rule.command]);
  return `${count}; no ${by} exercises:\n${formatColumns(rows, '  ')}`;
}
