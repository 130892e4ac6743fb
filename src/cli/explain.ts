// `dovegate explain`: what would become of a command line, and which line of the configuration says so. Asks no backend: it reads the
// files and judges as the daemon does, or asks the daemon how it would judge the line of who runs this.

import { systemClock } from '../adapters/host/clock.js';
import { allSeries, commandsOf, type Series } from '../domain/commands/catalog.js';
import { nearestName } from '../domain/config/problem.js';
import { routingTableOf } from '../domain/config/settings.js';
import { type Fate, fateOf, minorOfToday, plainLine } from '../domain/policy/assess.js';
import {
  type Explained,
  type Explanation,
  explainLine,
  explanationOf,
  explanationOfRows,
} from '../domain/policy/explanation.js';
import type { Judgement, Subject } from '../domain/policy/judge.js';
import { exitCodes } from '../ports/exit-codes.js';
import { askDaemon } from './ask-daemon.js';
import { type ListenerChoice, openListener, principalAt } from './named-listener.js';
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
      /** Minor of the protocol that the client announces; undefined: that of a client of today. */
      readonly clientMinor?: number | undefined;
    })
  /** Sent by who runs this, asked of the daemon. */
  | { readonly socket: string }
);

/**
 * Exit code 0: allowed; 77: denied; 75: allowed, and it cannot be carried out; 64: it cannot be read as a command, or there is no such
 * listener; 69: no daemon; 78: configuration.
 */
export async function explain(options: ExplainOptions): Promise<number> {
  if ('socket' in options) return askForExplanation(options);
  const opened = openListener(options);
  if (typeof opened === 'number') return opened;
  const { settings, listener, policy } = opened;
  const subject: Subject = {
    listener: listener.name,
    principal: principalAt(listener.name, options).text,
    clientMinor: options.clientMinor ?? minorOfToday,
    policy,
  };
  const table = routingTableOf(settings, options.series && [options.series]);
  const line = plainLine(options.user, options.words);
  const explained = explainLine(line, subject, table, systemClock.wallMs());
  if (options.json) stdout(formatJson(asJson(explained)));
  else {
    const explanation = explanationOf(explained);
    const places = placesOf(explained.judgement);
    stdout(formatExplanation(explanation, nearestCommand(explanation, options.words), places));
  }
  return exitCodeOf(fateOf(explained));
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
  return exitCodeOf(explanation.obstacle === undefined ? explanation.decision : 'obstacle');
}

function exitCodeOf(fate: Fate): number {
  switch (fate) {
    case 'unparsable':
      return exitCodes.usage;
    case 'allow':
      return exitCodes.ok;
    case 'deny':
      return exitCodes.notPermitted;
    case 'obstacle':
      return exitCodes.notCarriedOut;
    default:
      return fate satisfies never;
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
  const { decision, obstacle, sent, backends, noBackend, terms, ...more } = explanation;
  const isRead = decision !== 'unparsable';
  return {
    decision: isRead ? decision : 'deny',
    outcome: isRead ? obstacle && 'obstacle' : decision,
    obstacle,
    ...more,
    args: isRead ? sent.slice(1) : undefined,
    backend: backends.length === 1 ? backends[0] : undefined,
    backends: backends.length > 1 ? backends : undefined,
    no_backend: noBackend,
    on_terms: terms,
  };
}

function asJson(explained: Explained): Readonly<Record<string, unknown>> {
  const { policy, judgement, backends, noBackend } = explained;
  const { obstacle } = explanationOf(explained);
  return {
    ...answerAsJson(judgement),
    ...(obstacle === undefined ? {} : { outcome: 'obstacle', obstacle }),
    policy: policy.name,
    version: policy.version,
    principal: explained.principal,
    backend: backends.length === 1 ? backends[0] : undefined,
    backends: backends.length > 1 ? backends : undefined,
    no_backend: noBackend,
    series: explained.readings.map(({ series, judgement: one }) => ({ series, ...answerAsJson(one) })),
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
