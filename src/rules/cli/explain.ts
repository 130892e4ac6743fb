// `dovegate explain`: the decision on a command line, and the line of the configuration behind it. It contacts no backend: it
// evaluates the files as the daemon does, or asks the daemon for its decision.

import { readFileSync } from 'node:fs';
import { codes, isCode } from '../../doveadm/codes/codes.js';
import { wouldWords } from '../../doveadm/codes/outcomes.js';
import type { Series } from '../../doveadm/commands/catalog.js';
import { newestMinor } from '../../doveadm/protocol/minors.js';
import { systemClock } from '../../host/machine/clock.js';
import {
  CommandFault,
  formatCanonical,
  formatColumns,
  formatPlace,
  plain,
  stdout,
  wrongUsage,
} from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatJsonLines } from '../../host/words/text.js';
import {
  type Explained,
  type Explanation,
  explainLine,
  explanationOf,
  requestLine,
} from '../answers/explanation.js';
import { explanationOfRows, sayExplanation } from '../answers/read-answer.js';
import type { RuleInWords } from '../answers/rights.js';
import { commandMeant } from '../config/problem.js';
import { routingTableOf } from '../config/settings.js';
import { plainLine } from '../policy/assess.js';
import { underAnyGrant } from '../policy/grant.js';
import type { Judgement, Subject } from '../policy/judge.js';
import { rulesOf } from '../policy/outcome.js';
import { sayRequestTerms, shownTermsOf } from '../policy/policy.js';
import type { Grant, Remedy } from '../proposals/granting.js';
import type { AskDaemon, ListenerChoice } from './named-listener.js';

export type ExplainOptions = {
  readonly user: string;
  readonly words: readonly string[];
  readonly json: boolean;
} & (
  | (ListenerChoice & {
      /** Undefined: that of the backend. */
      readonly series?: Series | undefined;
      /** Minor of the protocol that the client announces; undefined: that of a current client. */
      readonly clientMinor?: number | undefined;
      /** As under a grant of a rule of `on_request`. */
      readonly isGranted?: boolean | undefined;
    })
  | { readonly socket: string }
);

type ExplainHere = Extract<ExplainOptions, ListenerChoice>;

/** An explanation as text and as JSON; with places of rules if the configuration was read. */
interface Shown {
  readonly explanation: Explanation;
  readonly json: Readonly<Record<string, unknown>>;
  readonly rule?: string | undefined;
  readonly nearest?: string | undefined;
  /** A rule that would allow it; a daemon does not tell its clients. */
  readonly remedy?: Remedy;
}

const exitCodeOfDecision: Readonly<Record<Explanation['decision'], number>> = {
  allow: exitCodes.ok,
  deny: exitCodes.notPermitted,
  unparsable: exitCodes.usage,
};

/** As the daemon answers: some allowed commands cannot be carried out as written (`-USAGE`), others not now (`-TEMPFAIL`). */
function exitCodeOf({ decision, obstacle, locked }: Explanation): number {
  if (locked !== undefined) return exitCodes.notPermitted;
  if (obstacle === undefined) return exitCodeOfDecision[decision];
  const isUsage = isCode(obstacle) && codes[obstacle].status === 'USAGE';
  return isUsage ? exitCodes.usage : exitCodes.notCarriedOut;
}

/** Exit code: that of the answer; 64: no such listener; 69: no daemon; 78: configuration. */
export async function explain(options: ExplainOptions, ask: AskDaemon): Promise<number> {
  const shown = 'socket' in options ? await askForExplanation(options, ask) : await explainHere(options);
  const { explanation } = shown;
  stdout(options.json ? formatJsonLines(shown.json) : formatExplanation(shown, options.words));
  return exitCodeOf(explanation);
}

/**
 * Explains each call of doveadm in a script (`-`: stdin). Exit code: 0: all are allowed; 1: there is no call; 77: some are denied; 64: some
 * cannot be asked about, or cannot be sent as written.
 */
export async function explainLines({ file, ...options }: ExplainHere & { file: string }): Promise<number> {
  const { linesOfScript, withStars } = await import('./script-lines.js');
  const lines = linesOfScript(readScript(file), options.user);
  const name = file === '-' ? 'stdin' : file;
  if (lines.length === 0) throw new CommandFault(exitCodes.failed, `${name}: no line calls doveadm`);
  let exitCode: number = exitCodes.ok;
  let [allowed, unsendable, unjudged] = [0, 0, 0];
  // The lines of each edit, to be pasted at once.
  const grants = new Map<string, readonly (readonly string[])[]>();
  for (const { number, text, asked, fault, instead, isOfMany = false } of lines) {
    const parts = [`${plain(name)}:${number}: ${plain(text)}`];
    if (fault !== undefined) parts.push(`  not asked about: ${plain(fault)}`);
    const shown = asked && (await explainHere({ ...options, ...asked }));
    if (shown !== undefined) {
      const { explanation, rule, remedy } = shown;
      const whose = isOfMany ? `for ${plain(asked?.user ?? '')} alone: ` : '';
      parts.push(`  ${whose}${plain(sayExplanation(explanation, rule, undefined))}`);
      if (instead !== undefined)
        parts.push(`  "doveadm -S" does not send it${isOfMany ? ' as it stands' : ''}: ${instead}`);
      if (explanation.decision === 'deny')
        for (const { edit, lines: yaml } of remedy?.grants ?? [])
          grants.set(edit, [...(grants.get(edit) ?? []), yaml.map(withStars)]);
      if (explanation.decision === 'deny' && remedy?.hindrance !== undefined)
        parts.push(`  ${plain(remedy.hindrance)}`);
    }
    const answer = shown === undefined ? exitCodes.usage : exitCodeOf(shown.explanation);
    const code = answer === exitCodes.ok && isOfMany ? exitCodes.usage : answer;
    if (code === exitCodes.ok) allowed += 1;
    else if (shown === undefined) unjudged += 1;
    else if (answer === exitCodes.ok) unsendable += 1;
    exitCode = exitCode === exitCodes.notPermitted || code === exitCodes.ok ? exitCode : code;
    stdout(parts.join('\n'));
  }
  for (const [edit, all] of grants) {
    const key = all.flat().find((line) => line === allowKey);
    const rules = new Set(all.map((yaml) => yaml.filter((line) => line !== allowKey).join('\n')));
    const yaml = [...rules].flatMap((rule) => rule.split('\n'));
    stdout(`to allow what is denied, ${plain(edit)}:\n${indent(key === undefined ? yaml : [key, ...yaml])}`);
  }
  const others = [
    unsendable === 0 ? '' : `, ${unsendable} only in another form`,
    unjudged === 0 ? '' : `, ${unjudged} ${unjudged === 1 ? 'is' : 'are'} not judged`,
  ].join('');
  stdout(`${plain(name)}: ${allowed} of ${lines.length} calls of doveadm are allowed${others}`);
  return exitCode;
}

/** Begins the lines for a policy without rules. */
const allowKey = 'allow:';

function readScript(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (fault) {
    throw wrongUsage(`${file}: ${fault instanceof Error ? fault.message : ''}`);
  }
}

type Asked<Options> = Extract<ExplainOptions, Options>;

async function explainHere(options: ExplainHere): Promise<Shown> {
  // Loaded on demand: reading configurations takes most of a command's time.
  const [{ openListener, principalAt }, { remedyFor }] = await Promise.all([
    import('./named-listener.js'),
    import('../proposals/granting.js'),
  ]);
  const { settings, listener, policy } = openListener(options);
  const subject: Subject = {
    listener: listener.name,
    principal: principalAt(listener.name, options).text,
    clientMinor: options.clientMinor ?? newestMinor,
    policy,
    grants: options.isGranted === true ? underAnyGrant : undefined,
  };
  const table = routingTableOf(settings, options.series && [options.series]);
  const line = plainLine(options.user, options.words);
  const explained = explainLine(line, subject, table, systemClock.wallMs());
  const { judgement } = explained;
  const decision = judgement.kind === 'unparsable' ? undefined : rulesOf(judgement.decision);
  const { rule, nearest } = decision ?? {};
  const remedy: Remedy =
    decision?.kind === 'deny'
      ? remedyFor({
          policy,
          mailUsers: settings.mailUsers,
          attempts: explained.readings.flatMap(({ judgement: read }) =>
            read.kind === 'judged' ? [read.attempt] : [],
          ),
          decision,
          nowMs: systemClock.wallMs(),
        })
      : { grants: [] };
  const { grants, hindrance } = remedy;
  return {
    explanation: explanationOf(explained),
    json: {
      ...asJson(explained),
      ...(grants.length === 0 ? {} : { to_allow: grants }),
      ...(hindrance === undefined ? {} : { cannot_allow: hindrance }),
    },
    remedy,
    rule: rule && formatPlace(rule),
    nearest: nearest && formatPlace(nearest.rule),
  };
}

async function askForExplanation(
  { socket, user, words }: Asked<{ readonly socket: string }>,
  ask: AskDaemon,
): Promise<Shown> {
  const args = [...(user === '' ? [] : ['-u', user]), '--', ...words];
  const explanation = await ask(socket, 'dovegate explain', args, explanationOfRows);
  // Under the keys of `asJson`, as far as the daemon reports them; rules by their text.
  const { decision, outcome, obstacle, sent, backends, noBackend, terms, ...more } = explanation;
  const isRead = decision !== 'unparsable';
  const json = {
    decision: isRead ? decision : 'deny',
    outcome: obstacle === undefined ? outcome : 'obstacle',
    obstacle,
    ...more,
    args: isRead ? sent.slice(1) : undefined,
    ...backendsAsJson(backends, noBackend),
    on_terms: terms,
  };
  return { explanation, json };
}

function backendsAsJson(backends: readonly string[], noBackend: string | undefined) {
  return {
    backend: backends.length === 1 ? backends[0] : undefined,
    backends: backends.length > 1 ? backends : undefined,
    no_backend: noBackend,
  };
}

function asJson(explained: Explained): Readonly<Record<string, unknown>> {
  const { policy, judgement, backends, noBackend } = explained;
  const { obstacle, outcome, shadow } = explanationOf(explained);
  return {
    ...answerAsJson(judgement),
    outcome: obstacle === undefined ? outcome : 'obstacle',
    obstacle,
    shadow,
    policy: policy.name,
    version: policy.version,
    principal: explained.principal,
    ...backendsAsJson(backends, noBackend),
    series: explained.readings.map(({ series, judgement: one }) => ({ series, ...answerAsJson(one) })),
  };
}

function answerAsJson(judgement: Judgement): Readonly<Record<string, unknown>> {
  if (judgement.kind === 'unparsable') {
    const { code, message, command, effect } = judgement;
    return { decision: 'deny', code, reason: message, command, effect };
  }
  const { attempt, args, decision } = judgement;
  const { rule, nearest, would, obligations, onRequest } = decision;
  const terms = decision.kind === 'allow' ? obligations : undefined;
  return {
    decision: decision.kind,
    code: decision.code,
    reason: decision.reason,
    rule: rule && formatPlace(rule),
    nearest: nearest && { rule: formatPlace(nearest.rule), missing: nearest.missing },
    on_request: onRequest && {
      rule: formatPlace(onRequest.place),
      ...shownTermsOf(onRequest.terms),
      request: requestLine(judgement),
    },
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
    deadline_ms: terms?.deadlineMs,
  };
}

function formatExplanation({ explanation, ...places }: Shown, words: readonly string[]): string {
  const { principal, command, sent, concerns, effect, terms, later, rule, nearest, differs, onRequest } =
    explanation;
  const beside = wouldWords('shadow', explanation.shadow);
  const { backends, noBackend, series } = explanation;
  const read = plain(series.join(' and as '));
  const backend =
    noBackend === undefined
      ? `${plain(backends.join(', '))} (read as Dovecot ${read})`
      : `none: ${plain(noBackend)}${read === '' ? '' : ` (read as ${read})`}`;
  const rows = [
    ['requester', plain(principal)],
    ...(command === undefined ? [] : [['command', plain(command)]]),
    ...(sent.length === 0 ? [] : [['sent as', formatCanonical(sent)]]),
    ...(concerns === undefined ? [] : [['concerns', plain(concerns)]]),
    ...(effect === undefined || sent.length === 0 ? [] : [['effect', plain(effect)]]),
    ['backend', backend],
    ...(terms.length === 0 ? [] : [['on terms', plain(terms.join('; '))]]),
    ...later.map((text) => ['not yet', plain(text)]),
    ...(beside === undefined ? [] : [['beside it', beside]]),
  ];
  const headline = plain(sayExplanation(explanation, places.rule, commandMeant(words)));
  const parts = [headline, formatColumns(rows, '  ')];
  // Where the place of the rule is shown, a reader can look it up.
  if (rule !== undefined && places.rule === undefined) parts.push(`the rule:\n${sayRule(rule)}`);
  if (nearest !== undefined) {
    const place = places.nearest === undefined ? '' : `, ${places.nearest}`;
    const missing = indent(nearest.missing.map((text) => `  ${text}`));
    parts.push(`nearest rule${place}:\n${sayRule(nearest)}\nwhat is missing:\n${missing}`);
  }
  const { grants = [], hindrance } = places.remedy ?? {};
  parts.push(...grants.map(sayGrant));
  if (hindrance !== undefined) parts.push(plain(hindrance));
  if (onRequest !== undefined)
    parts.push(`on request, ${sayRequestTerms(onRequest.terms)}:\n${sayRule(onRequest)}`);
  if (differs.length > 0) parts.push(`the series differ:\n${indent(differs)}`);
  return parts.join('\n\n');
}

function sayGrant({ edit, lines, also }: Grant): string {
  const others = also.length === 0 ? '' : `the lines below would allow as well:\n${indent(also)}\n`;
  return `${others}to allow it, ${plain(edit)}:\n${indent(lines)}`;
}

function sayRule({ command, says }: RuleInWords): string {
  return indent([command, ...says.map((text) => `  ${text}`)]);
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `  ${plain(line)}`).join('\n');
}
