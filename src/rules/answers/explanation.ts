// Why a command line would be sent or refused, in words: the answer of `explain`, from the configuration or from the daemon. It describes
// rules by their content; their places are only for readers of the files.

import { wouldWords } from '../../doveadm/codes/outcomes.js';
import { conditionsIn } from '../../doveadm/commands/search-query.js';
import type { CommandLine } from '../../doveadm/protocol/command.js';
import { bounds } from '../../host/bounds/bounds.js';
import { canWords, hiddenWord, requestWords } from '../../host/words/asking.js';
import { formatDuration } from '../../host/words/durations.js';
import { formatWords } from '../../host/words/text.js';
import { assess, describeObstacle, fateOf, readingsOf, type SeriesReading } from '../policy/assess.js';
import type { Decision } from '../policy/decide.js';
import type { Judged, Judgement, Subject } from '../policy/judge.js';
import { areSame, type Compared, comparedOf, type Given, nothingGiven, whyOf } from '../policy/outcome.js';
import type { Policy } from '../policy/policy.js';
import { nothingAsked, type Obstacle, type Question, type RoutingTable } from '../policy/route.js';
import {
  type AnswerRow,
  describeRequestable,
  type RequestableRule,
  type RuleInWords,
  rowsOf,
  rowsOfRequestable,
  rowsOfRule,
  ruleAt,
} from './rights.js';

export function explainLine(
  line: CommandLine,
  subject: Subject,
  table: RoutingTable,
  nowMs: number,
  given: Given = nothingGiven,
): Explained {
  const found = assess(line, subject, table, nothingAsked, nowMs);
  const { judgement, destinations, obstacle, questions } = found;
  const noBackend =
    obstacle !== undefined
      ? describeObstacle(obstacle)
      : destinations.length === 0
        ? 'no route leads to a backend'
        : undefined;
  return {
    policy: subject.policy,
    principal: subject.principal,
    judgement,
    outcomes: comparedOf(judgement, subject.policy, given),
    obstacle: fateOf(found) === 'obstacle' ? obstacle : undefined,
    backends: noBackend === undefined ? destinations.map(({ name }) => name) : [],
    noBackend,
    readings: readingsOf(line, subject, table, found, nowMs),
    later: fateOf(found) === 'allow' ? questions.flatMap((each) => laterOf(each, destinations.length)) : [],
  };
}

function laterOf(question: Question, destinations: number): string[] {
  if (question.kind === 'userdb') {
    return ['who its users are: the userdb is asked when it comes, and what it says is judged too'];
  }
  return destinations > 1 ? ['which of these backends: the passdb is asked when it comes'] : [];
}

export interface Explained {
  readonly policy: Policy;
  readonly principal: string;
  readonly judgement: Judgement;
  /** The outcome by policy, with the stated reason and the counts; undefined: dovegate answers the command itself. */
  readonly outcomes: Compared | undefined;
  readonly obstacle: Obstacle | undefined;
  /** Its possible backends; none if `noBackend` says why. */
  readonly backends: readonly string[];
  readonly noBackend: string | undefined;
  readonly readings: readonly SeriesReading[];
  /** Look-ups that happen only when the command comes, and may turn a yes into a no. */
  readonly later: readonly string[];
}

export interface NearestRule extends RuleInWords {
  readonly missing: readonly string[];
}

export interface Explanation {
  readonly decision: 'allow' | 'deny' | 'unparsable';
  readonly code: string;
  /** The outcome by policy, and that of its candidate if it differs: words of `policyOutcomes`. */
  readonly outcome: string | undefined;
  readonly shadow: string | undefined;
  /** For an allowed command with an obstacle: its code for machines; `noBackend` is for people. */
  readonly obstacle: string | undefined;
  readonly reason: string;
  readonly would: string | undefined;
  readonly policy: string;
  readonly principal: string;
  readonly rule: RuleInWords | undefined;
  readonly command: string | undefined;
  /** The name and the arguments as they would go upstream; empty: they cannot be parsed. */
  readonly sent: readonly string[];
  readonly concerns: string | undefined;
  readonly effect: string | undefined;
  readonly backends: readonly string[];
  readonly noBackend: string | undefined;
  readonly series: readonly string[];
  readonly terms: readonly string[];
  readonly later: readonly string[];
  readonly nearest: NearestRule | undefined;
  /** For a denial that a grant could lift: its rule, and the command that asks for it. */
  readonly onRequest: RequestableRule | undefined;
  readonly request: string | undefined;
  /** If the answer depends on the series: a sentence for each. */
  readonly differs: readonly string[];
  /** The sentence of the lock that stops it, whatever the policy says; only a daemon knows it. */
  readonly locked?: string | undefined;
}

export function explanationOf(explained: Explained): Explanation {
  const { policy, principal, judgement, readings } = explained;
  const { done, candidate } = explained.outcomes ?? {};
  const around = {
    policy: policy.name,
    outcome: done?.kind,
    shadow:
      done === undefined || candidate === undefined || areSame(done, candidate) ? undefined : candidate.kind,
    principal,
    obstacle: explained.obstacle && codeOf(explained.obstacle),
    backends: explained.backends,
    noBackend: explained.noBackend,
    series: readings.map(({ series }) => series),
    later: explained.later,
    differs: differencesOf(readings),
  };
  if (judgement.kind === 'unparsable') {
    const { code, message, command } = judgement;
    const unknown = { would: undefined, rule: undefined, concerns: undefined, nearest: undefined };
    const requestable = { onRequest: undefined, request: undefined };
    const read = { command, effect: judgement.effect, sent: [], terms: [] };
    return { decision: 'unparsable', code, reason: message, ...unknown, ...requestable, ...read, ...around };
  }
  const { decision, attempt } = judgement;
  return {
    decision: decision.kind,
    code: decision.code,
    reason: decision.reason,
    would: explained.outcomes && wouldBe(explained.outcomes),
    rule: decision.rule && ruleAt(policy, decision.rule),
    command: attempt.command.name,
    sent: sentOf(judgement),
    concerns: concernOf(judgement),
    effect: attempt.effect,
    terms: termsOf(decision),
    nearest: nearestOf(policy, decision),
    onRequest: decision.onRequest && describeRequestable(decision.onRequest, policy),
    request: decision.onRequest && requestLine(judgement),
    ...around,
  };
}

function wouldBe({ done, rules }: Compared): string | undefined {
  return areSame(done, rules) ? undefined : `${wouldWords('would', rules.kind)}: ${whyOf(rules)}`;
}

function codeOf(obstacle: Obstacle): string {
  switch (obstacle.kind) {
    case 'unroutable':
      return 'no-route';
    case 'unresolved':
      return `lookup-${obstacle.code}`;
    case 'unparsable':
      return obstacle.code;
    default:
      return obstacle satisfies never;
  }
}

function sentOf({ attempt, args }: Judged): string[] {
  return [attempt.command.name, ...args.map(({ text }) => text)];
}

const requestLineMax = bounds.accessHintChars;

/** The shell command that lists the rights at a listener. */
export function canLine(socket: string | undefined): string {
  return formatWords(canWords(socket));
}

/**
 * The shell command that asks for access. Secret words are placeholders, and the shell runs nothing before they are replaced; a demanded
 * reason appears as its pattern. For a rule without approvals it begins with "at once, reviewed later".
 */
export function requestLine({ attempt, args, decision: { onRequest } }: Judged, socket?: string): string {
  const { approvals, reason } = onRequest?.terms ?? {};
  const soon = approvals === 0 ? 'at once, reviewed later: ' : '';
  const [first, ...others] = args;
  // Canonical arguments begin with `--`, which is needed only before a word that looks like an option.
  const isPlain =
    first?.text === '--' && !others.some(({ text, isSecret }) => isSecret || text.startsWith('-'));
  let hidden = 0;
  const words = (isPlain ? others : args).map(({ text, isSecret }) => {
    if (!isSecret) return formatWords([text]);
    hidden += 1;
    return hiddenWord(hidden);
  });
  const asked = [...requestWords(attempt.user, reason?.source, socket), ...attempt.command.name.split(' ')];
  const line = [soon + formatWords(asked), ...words].join(' ');
  return line.length <= requestLineMax ? line : `${line.slice(0, requestLineMax - 3)}...`;
}

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
  return `${people.length === 0 ? 'no mailbox' : people.join(', ')}${shared}${otherNamesOf(attempt)}`;
}

/** Other mailboxes that the names in the command may mean, as far as the backend's namespaces are known. */
function otherNamesOf({ command, parsed, mailboxNames }: Judged['attempt']): string {
  const named = command.params
    .filter(({ role }) => role === 'mailbox' || role === 'mailbox-mask')
    .flatMap(({ name }) => parsed.values.get(name) ?? []);
  for (const { key, values } of parsed.query === undefined ? [] : conditionsIn(parsed.query)) {
    if (key.name === 'mailbox') named.push(values[0] ?? '');
  }
  return [...new Set(named)]
    .flatMap((name) => mailboxNames.readings(name).map((other) => `, "${name}" may be "${other}"`))
    .slice(0, otherNamesShown)
    .join('');
}

const otherNamesShown = 8;

function termsOf({ kind, obligations, grant }: Decision): string[] {
  if (kind === 'deny' || obligations === undefined) return [];
  return [
    ...(grant === undefined ? [] : ['while its grant lasts']),
    ...(obligations.reason ? ['the client must say why'] : []),
    ...(obligations.limit === undefined ? [] : ['within the limit of its rule']),
    ...(obligations.maxMatches === undefined
      ? []
      : [`not when its query finds more than ${obligations.maxMatches} mails`]),
    ...(obligations.approvedMatches === undefined
      ? []
      : ['not when its query finds more mails than were approved']),
    ...(obligations.deadlineMs === undefined
      ? []
      : [`its reply must begin within ${formatDuration(obligations.deadlineMs)}`]),
  ];
}

function nearestOf(policy: Policy, decision: Decision): NearestRule | undefined {
  const { nearest } = decision.would ?? decision;
  const rule = nearest && ruleAt(policy, nearest.rule);
  return nearest && rule && { ...rule, missing: nearest.missing };
}

function differencesOf(readings: Explained['readings']): string[] {
  const answers = readings.map(({ judgement }) => answerOf(judgement));
  const isUnknown = readings.every(({ judgement }) => judgement.command === undefined);
  if (isUnknown || new Set(answers).size < 2) return [];
  return readings.map(({ series }, at) => `Dovecot ${series}: ${answers[at] ?? ''}`);
}

function answerOf(judgement: Judgement): string {
  if (judgement.kind === 'unparsable') return `cannot be read: ${judgement.message}`;
  const { decision } = judgement;
  return decision.kind === 'allow'
    ? `allowed, sent as ${sentOf(judgement).join(' ')}`
    : `denied: ${decision.reason}`;
}

export function rowsOfExplanation(explanation: Explanation): AnswerRow[] {
  const { rule, nearest, onRequest } = explanation;
  return [
    ...rowsOf('locked', explanation.locked),
    ['decision', explanation.decision],
    ['code', explanation.code],
    ['reason', explanation.reason],
    ...rowsOf('outcome', explanation.outcome),
    ...rowsOf('shadow', explanation.shadow),
    ...rowsOf('obstacle', explanation.obstacle),
    ...rowsOf('would', explanation.would),
    ['policy', explanation.policy],
    ['principal', explanation.principal],
    ...(rule === undefined ? [] : rowsOfRule('rule', rule)),
    ...rowsOf('command', explanation.command),
    ...rowsOf('sent', ...explanation.sent),
    ...rowsOf('concerns', explanation.concerns),
    ...rowsOf('effect', explanation.effect),
    ...rowsOf('backend', ...explanation.backends),
    ...rowsOf('no-backend', explanation.noBackend),
    ...rowsOf('series', ...explanation.series),
    ...rowsOf('term', ...explanation.terms),
    ...rowsOf('later', ...explanation.later),
    ...(nearest === undefined
      ? []
      : [...rowsOfRule('nearest', nearest), ...rowsOf('missing', ...nearest.missing)]),
    ...(onRequest === undefined ? [] : rowsOfRequestable(onRequest)),
    ...rowsOf('request', explanation.request),
    ...rowsOf('differs', ...explanation.differs),
  ];
}
