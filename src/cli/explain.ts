// `dovegate explain`: what would become of a command line, and which line of the configuration says so. Asks no backend: it reads the
// files and judges as the daemon does, or asks the daemon how it would judge the line of who runs this.

import { systemClock } from '../adapters/host/clock.js';
import { commandsOf } from '../domain/commands/catalog.js';
import { allSeries, type Series } from '../domain/commands/series.js';
import { jointDestination } from '../domain/config/destination.js';
import { nearestName } from '../domain/config/problem.js';
import { createUserNames } from '../domain/identity/user-name.js';
import { type Explanation, explanationOf, explanationOfRows } from '../domain/policy/explanation.js';
import { type JudgeContext, type Judgement, judge } from '../domain/policy/judge-line.js';
import type { Policy } from '../domain/policy/rule.js';
import { exitCodes } from '../gateway/outcome/exit-codes.js';
import type { CommandLine } from '../protocol/command.js';
import { askDaemon } from './ask-daemon.js';
import {
  type CommandRoute,
  type ListenerChoice,
  openListener,
  principalAt,
  routeOf,
  settleRoute,
} from './named-listener.js';
import { formatExplanation } from './output/explanation-text.js';
import { formatJson, formatPlace, stdout } from './output/output.js';

/** A command line, who sends it, and to what. */
export type ExplainOptions = {
  /** The user field; empty: none. */
  readonly user: string;
  readonly words: readonly string[];
  readonly json: boolean;
} & (
  | (ListenerChoice & {
      /** Undefined: that of the backend. */
      readonly series?: Series | undefined;
    })
  /** Sent by who runs this, asked of the daemon. */
  | { readonly socket: string }
);

/** A client of the newest series, to whom `-A` means all users. */
const clientMinor = 4;

/** Exit code 0: allowed; 77: denied; 64: it cannot be read as a command, or there is no such listener; 69: no daemon; 78: configuration. */
export async function explain(options: ExplainOptions): Promise<number> {
  if ('socket' in options) return askForExplanation(options);
  const opened = openListener(options);
  if (typeof opened === 'number') return opened;
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
    mailboxNames: joint.mailboxNames,
    nowMs: systemClock.wallMs(),
  };
  const series = seriesOf(options.series ?? joint.series);
  const judgement = judge(line, series, context);
  const question: Question = {
    policy,
    route: settleRoute(settings, route, judgement),
    principal: context.principal,
    judgement,
    readings: series.map((one) => ({ series: one, judgement: judge(line, [one], context) })),
  };
  if (options.json) stdout(formatJson(asJson(question)));
  else {
    const explanation = explanationOf({
      ...question,
      backends: question.route.backends.map(({ name }) => name),
      noBackend: question.route.why,
      later: [],
    });
    stdout(formatExplanation(explanation, nearestCommand(explanation, options.words), placesOf(judgement)));
  }
  return exitCodeOf(judgement.kind === 'unparsable' ? judgement.kind : judgement.decision.kind);
}

async function askForExplanation(
  options: Extract<ExplainOptions, { readonly socket: string }>,
): Promise<number> {
  const { socket, user, words, json } = options;
  const args = [...(user === '' ? [] : ['-u', user]), '--', ...words];
  const explanation = await askDaemon(socket, 'dovegate explain', args, explanationOfRows);
  if (typeof explanation === 'number') return explanation;
  stdout(
    json
      ? formatJson(explanationAsJson(explanation))
      : formatExplanation(explanation, nearestCommand(explanation, words)),
  );
  return exitCodeOf(explanation.decision);
}

/** A question, and the answers to it. */
interface Question {
  readonly policy: Policy;
  readonly route: CommandRoute;
  readonly principal: string;
  /** As the daemon would judge it. */
  readonly judgement: Judgement;
  /** As a backend of each series alone would have it judged. */
  readonly readings: readonly { readonly series: Series; readonly judgement: Judgement }[];
}

function seriesOf(series: 'auto' | Series): readonly Series[] {
  return series === 'auto' ? allSeries : [series];
}

function exitCodeOf(decision: Explanation['decision']): number {
  switch (decision) {
    case 'unparsable':
      return exitCodes.usage;
    case 'allow':
      return exitCodes.ok;
    case 'deny':
      return exitCodes.notPermitted;
    default:
      return decision satisfies never;
  }
}

function placesOf(judgement: Judgement): { rule: string | undefined; nearest: string | undefined } {
  if (judgement.kind === 'unparsable') return { rule: undefined, nearest: undefined };
  const { rule, nearest } = judgement.decision.would ?? judgement.decision;
  return { rule: rule && formatPlace(rule), nearest: nearest && formatPlace(nearest.rule) };
}

/** The command whose name the first words nearly are, where they are none. */
function nearestCommand({ decision, command }: Explanation, words: readonly string[]): string | undefined {
  if (decision !== 'unparsable' || command !== undefined) return undefined;
  const names = new Set(allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name)));
  const written = [3, 2, 1].map((count) => words.slice(0, count).join(' '));
  return written.map((text) => nearestName(text, names)).find((name) => name !== undefined);
}

/** Under the keys of the other one, as far as the daemon tells it; rules by what they say. */
function explanationAsJson(explanation: Explanation): Readonly<Record<string, unknown>> {
  const { decision, sent, backends, noBackend, terms, ...more } = explanation;
  const isRead = decision !== 'unparsable';
  return {
    decision: isRead ? decision : 'deny',
    outcome: isRead ? undefined : decision,
    ...more,
    args: isRead ? sent.slice(1) : undefined,
    backend: backends.length === 1 ? backends[0] : undefined,
    backends: backends.length > 1 ? backends : undefined,
    no_backend: noBackend,
    on_terms: terms,
  };
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
