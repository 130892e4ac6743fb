// `dovegate explain`: what would become of a command line, and which line of the configuration says so. Asks no backend and no
// daemon: it reads the files and judges as the daemon does.

import { commandsOf } from '../catalog/catalog.js';
import { allSeries, type Series } from '../catalog/series.js';
import { jointDestination } from '../config/destination.js';
import { systemClock } from '../host/clock.js';
import { createUserNames } from '../identity/user-name.js';
import { describeRule } from '../judgement/describe-rule.js';
import { type JudgeContext, type Judged, type Judgement, judge } from '../judgement/judge.js';
import type { Policy, Rule, RulePlace } from '../policy/rule.js';
import { nearestName } from '../source/problem.js';
import { exitCodes } from '../terminal/exit-codes.js';
import {
  formatCanonical,
  formatColumns,
  formatJson,
  formatPlace,
  plain,
  stdout,
} from '../terminal/output.js';
import type { CommandLine } from '../wire/command.js';
import { type CommandRoute, openListener, principalAt, routeOf, settleRoute } from './named-listener.js';

/** A command line, who sends it, and to what. */
export interface ExplainOptions {
  readonly config: string;
  readonly listener: string;
  readonly uid?: number | undefined;
  readonly account?: string | undefined;
  /** Undefined: that of the backend. */
  readonly series?: Series | undefined;
  /** The user field; empty: none. */
  readonly user: string;
  readonly words: readonly string[];
  readonly json: boolean;
}

/** A client of the newest series, to whom `-A` means all users. */
const clientMinor = 4;

/** Exit code 0: allowed; 77: denied; 64: it cannot be read as a command, or there is no such listener; 78: configuration. */
export function explain(options: ExplainOptions): Promise<number> {
  const opened = openListener(options.config, options.listener, options);
  if (typeof opened === 'number') return Promise.resolve(opened);
  const { settings, listener, policy } = opened;
  const line: CommandLine = {
    debug: false,
    verbose: false,
    proxyTtl: undefined,
    hasForward: false,
    user: options.user,
    words: [...options.words],
    isUtf8: true,
  };
  const route = routeOf(settings, line);
  const joint = jointDestination(route.backends);
  const context: JudgeContext = {
    listener: listener.name,
    principal: principalAt(listener.name, options).text,
    clientMinor,
    policy,
    userNames: createUserNames(settings.mailUsers),
    sharedNamespaces: joint.sharedNamespaces,
    nowMs: systemClock.wallMs(),
  };
  const series = seriesOf(options.series ?? joint.series);
  const judgement = judge(line, series, context);
  const question: Question = {
    policy,
    route: settleRoute(settings, route, judgement),
    principal: context.principal,
    words: options.words,
    judgement,
    readings: series.map((one) => ({ series: one, judgement: judge(line, [one], context) })),
  };
  stdout(options.json ? formatJson(asJson(question)) : asText(question));
  return Promise.resolve(exitCodeOf(question.judgement));
}

/** A question, and the answers to it. */
interface Question {
  readonly policy: Policy;
  readonly route: CommandRoute;
  readonly principal: string;
  readonly words: readonly string[];
  /** As the daemon would judge it. */
  readonly judgement: Judgement;
  /** As a backend of each series alone would have it judged. */
  readonly readings: readonly { readonly series: Series; readonly judgement: Judgement }[];
}

function seriesOf(series: 'auto' | Series): readonly Series[] {
  return series === 'auto' ? allSeries : [series];
}

function exitCodeOf(judgement: Judgement): number {
  if (judgement.kind === 'unparsable') return exitCodes.usage;
  return judgement.decision.kind === 'allow' ? exitCodes.ok : exitCodes.notPermitted;
}

function asText(question: Question): string {
  const { judgement } = question;
  const rows = [
    ['asked by', plain(question.principal)],
    ...(judgement.kind === 'judged' ? judgedRows(judgement) : unreadableRows(judgement)),
    ['backend', backendOf(question)],
    ...(judgement.kind === 'judged' ? termRows(judgement) : []),
  ];
  return `${headlineOf(question)}\n\n${formatColumns(rows, '  ')}${nearestOf(question)}${differencesOf(question)}`;
}

function headlineOf({ judgement, policy, words }: Question): string {
  if (judgement.kind === 'unparsable') {
    const meant = judgement.command === undefined ? nearestCommand(words) : undefined;
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    return plain(`refused, it cannot be read: ${judgement.message}${hint}`);
  }
  const { decision } = judgement;
  const place = decision.rule === undefined ? '' : ` by ${formatPlace(decision.rule)}`;
  if (decision.kind === 'deny') return `denied${place}: ${plain(decision.reason)}`;
  if (decision.would === undefined) return `allowed${place}, a rule of policy ${policy.name}`;
  return `allowed, since ${plain(decision.reason)}; enforced, it would be denied: ${plain(decision.would.reason)}`;
}

/** The command whose name the first words nearly are. */
function nearestCommand(words: readonly string[]): string | undefined {
  const names = new Set(allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name)));
  const written = [3, 2, 1].map((count) => words.slice(0, count).join(' '));
  return written.map((text) => nearestName(text, names)).find((name) => name !== undefined);
}

function judgedRows(judgement: Judged): string[][] {
  const { attempt, args } = judgement;
  return [
    ['command', attempt.command.name],
    ['sent as', formatCanonical([attempt.command.name, ...args.map(({ text }) => text)])],
    ['concerns', plain(concernOf(judgement))],
    ['effect', attempt.effect],
  ];
}

function unreadableRows(judgement: Judgement): string[][] {
  return judgement.command === undefined ? [] : [['command', judgement.command]];
}

/** Whose mailboxes. */
function concernOf({ attempt }: Judged): string {
  const everybody = {
    none: [],
    option: ['all users (-A)'],
    listing: ['all users: it names nobody'],
    unknown: ['anybody: whom it concerns cannot be told from its arguments'],
  }[attempt.everybody];
  const masks = attempt.masks.map(({ value, isUserMask }) =>
    isUserMask ? `all users like ${value}` : `whoever ${value} stands for`,
  );
  const people = [...new Set([...attempt.users, ...masks, ...everybody])];
  const shared = attempt.shared === undefined ? '' : `, and mailboxes that others share (${attempt.shared})`;
  return `${people.length === 0 ? 'no mailbox' : people.join(', ')}${shared}`;
}

function backendOf({ route, readings }: Question): string {
  const read = readings.map(({ series }) => series).join(' and as ');
  if (route.why !== undefined) return `none: ${route.why} (read as ${read})`;
  return `${route.backends.map(({ name }) => name).join(', ')} (read as Dovecot ${read})`;
}

/** What an allowed command has to meet besides. */
function termRows({ decision }: Judged): string[][] {
  const { obligations } = decision;
  if (decision.kind === 'deny' || obligations === undefined) return [];
  const terms = [
    ...(obligations.reason ? ['the client must say why'] : []),
    ...(obligations.limit === undefined ? [] : ['within the limit of its rule']),
    ...(obligations.maxMatches === undefined
      ? []
      : [`not when its query finds more than ${obligations.maxMatches} mails`]),
  ];
  return terms.length === 0 ? [] : [['on terms', terms.join('; ')]];
}

function nearestOf({ judgement, policy }: Question): string {
  if (judgement.kind !== 'judged') return '';
  const { nearest } = judgement.decision.would ?? judgement.decision;
  if (nearest === undefined) return '';
  const rule = ruleAt(policy, nearest.rule);
  const says =
    rule === undefined ? [] : [rule.command, ...describeRule(rule).map((text) => `  ${plain(text)}`)];
  const misses = nearest.missing.map((text) => `  ${plain(text)}`);
  return `\n\nnearest rule, ${formatPlace(nearest.rule)}:\n${indent(says)}\nwhat is missing:\n${indent(misses)}`;
}

function ruleAt(policy: Policy, place: RulePlace): Rule | undefined {
  return [...policy.allow, ...policy.deny].find((rule) => rule.place === place);
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join('\n');
}

/** Where the series of the backend is not known, and the answer depends on it. */
function differencesOf({ readings }: Question): string {
  const says = readings.map(({ series, judgement }) => `  Dovecot ${series}: ${answerOf(judgement)}`);
  const isUnknown = readings.every(({ judgement }) => judgement.command === undefined);
  const isSame = isUnknown || new Set(readings.map(({ judgement }) => answerOf(judgement))).size < 2;
  return isSame ? '' : `\n\nthe series differ:\n${says.join('\n')}`;
}

function answerOf(judgement: Judgement): string {
  if (judgement.kind === 'unparsable') return plain(`cannot be read: ${judgement.message}`);
  const { decision, args, attempt } = judgement;
  const sent = formatCanonical([attempt.command.name, ...args.map(({ text }) => text)]);
  return decision.kind === 'allow' ? `allowed, sent as ${sent}` : `denied: ${plain(decision.reason)}`;
}

function asJson(question: Question): Readonly<Record<string, unknown>> {
  const { policy, route, judgement } = question;
  return {
    ...answerAsJson(judgement),
    policy: policy.name,
    version: policy.version,
    principal: question.principal,
    backend: route.backends.length === 1 ? route.backends[0]?.name : undefined,
    backends: route.backends.length > 1 ? route.backends.map(({ name }) => name) : undefined,
    no_backend: route.why,
    series: question.readings.map(({ series, judgement: one }) => ({ series, ...answerAsJson(one) })),
  };
}

function answerAsJson(judgement: Judgement): Readonly<Record<string, unknown>> {
  if (judgement.kind === 'unparsable') {
    const { code, message, command, effect } = judgement;
    return { decision: 'deny', outcome: 'unparsable', code, reason: message, command, effect };
  }
  const { attempt, args, decision } = judgement;
  const { rule, nearest, would, obligations } = decision;
  const terms = decision.kind === 'allow' ? obligations : undefined;
  return {
    decision: decision.kind,
    code: decision.code,
    reason: decision.reason,
    rule: rule && formatPlace(rule),
    nearest: nearest && { rule: formatPlace(nearest.rule), missing: nearest.missing },
    would: would && { decision: would.kind, code: would.code, reason: would.reason },
    command: attempt.command.name,
    args: args.map(({ text }) => text),
    effect: attempt.effect,
    user: attempt.user,
    users: attempt.users,
    masks: attempt.masks.map(({ value }) => value),
    everybody: attempt.everybody,
    shared: attempt.shared,
    needs_reason: terms?.reason,
    limit: terms?.limit && { count: terms.limit.count, window_ms: terms.limit.windowMs },
    max_matches: terms?.maxMatches,
  };
}
