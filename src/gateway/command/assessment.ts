// Assesses a command line before anything is recorded or sent: asks domain/policy, looks up what that leaves open, and asks again until
// nothing is. Remembers the lines whose assessment follows from the configuration alone. It does not record, count or send.

import {
  type Assessment,
  assess,
  fateOf,
  judgeFor,
  nothingKnown,
  type RoutedBackend,
  seriesOf,
  type Unanswered,
} from '../../domain/policy/assess.js';
import { type Judgement, judgedBytes, type Subject } from '../../domain/policy/judge.js';
import type { Policy } from '../../domain/policy/rule.js';
import type { CommandLine } from '../../protocol/command.js';
import type { AssessedCommand, ExchangeContext, ExchangeSession, KnownLine } from './exchange-context.js';
import { recordedJudgement, type SessionNames } from './exchange-records.js';
import type { Destination } from './router.js';

/** Who asks in a session. */
export function subjectOf({
  names,
  clientMinor,
  policy,
}: Pick<ExchangeSession, 'names' | 'clientMinor' | 'policy'>): Subject {
  return { listener: names.listener, principal: names.principal, clientMinor, policy };
}

/** A promise only where something has to be looked up; it never rejects. */
export function assessCommand(
  context: ExchangeContext,
  session: ExchangeSession,
  line: CommandLine,
): AssessedCommand | Promise<AssessedCommand> {
  const subject = subjectOf(session);
  const found = assess(line, subject, context.router.table, nothingKnown, context.clock.wallMs());
  return found.judgement === undefined ? lookUp(context, subject, line, found) : sendable(found);
}

async function lookUp(
  { router, clock }: ExchangeContext,
  subject: Subject,
  line: CommandLine,
  open: Unanswered,
): Promise<AssessedCommand> {
  let { questions } = open;
  for (let answers = nothingKnown; ; ) {
    answers = await router.ask(questions, answers);
    const found = assess(line, subject, router.table, answers, clock.wallMs());
    if (found.judgement !== undefined) return sendable(found);
    ({ questions } = found);
  }
}

/** What goes nowhere has no destination: neither its record nor its ending names one. */
function sendable(found: Assessment<Destination>): AssessedCommand {
  return fateOf(found) === 'allow' ? found : { ...found, destinations: none };
}

const none: readonly never[] = [];

/** Judges a line again for a backend that is known by now. */
export function judgeAt(
  context: ExchangeContext,
  session: Pick<ExchangeSession, 'names' | 'policy' | 'clientMinor'>,
  line: CommandLine,
  backend: RoutedBackend,
  aliases: readonly string[],
): Judgement {
  const { router, clock } = context;
  return judgeFor(line, subjectOf(session), router.table, [backend], aliases, clock.wallMs());
}

/** A longer line is not asked for again and again. */
const lineBytesMax = 512;

/** What lines of a session are looked at by, besides their bytes. No text of it may hold a NUL. */
export function lineScope(policy: Policy, names: SessionNames, clientMinor: number): string {
  return `${policy.version}\0${policy.name}\0${names.listener}\0${names.principal}\0${clientMinor}\0`;
}

/** The key of a line; undefined: it is too long to be remembered. */
export function lineKey(scope: string, line: Buffer): string | undefined {
  return line.length > lineBytesMax ? undefined : scope + line.toString('latin1');
}

/** What is known of the line with that key and still holds. */
export function findLine(context: ExchangeContext, key: string): KnownLine | undefined {
  const known = context.knownLines.find(key, context.clock.wallMs());
  if (known === undefined) return undefined;
  return known.assessed.destinations[0]?.series === known.series ? known : undefined;
}

/** What a remembered line takes, in bytes: its judgement, and the same words as they came, as they are recorded and as they are sent. */
export function knownLineBytes(key: string, { line, assessed }: KnownLine): number {
  const { judgement } = assessed;
  const judged = judgement.kind === 'judged' ? judgedBytes(key, judgement) : 0;
  return judged + 1_500 + key.length * 4 + line.words.length * 60;
}

/** Remembers what was found out about a line, if it is to be remembered. */
export function keepLine(
  context: ExchangeContext,
  key: string,
  line: CommandLine,
  assessed: AssessedCommand,
): KnownLine | undefined {
  const { judgement, destinations, obstacle, isSettled } = assessed;
  const [destination] = destinations;
  if (!isSettled || obstacle !== undefined || judgement.kind !== 'judged') return undefined;
  if (destination === undefined || destinations.length > 1) return undefined;
  if (judgement.args.some((word) => word.isSecret)) return undefined;
  // An upstream that was greeted in between may be of another series, and what is remembered would hold for that one then.
  if (judgement.series.join() !== seriesOf(destinations).join()) return undefined;
  const known: KnownLine = {
    line,
    assessed,
    backends: destinations.map(({ pool }) => pool.backend),
    recorded: recordedJudgement(judgement, context.redact),
    series: destination.series,
    holdsUntilMs: judgement.holdsUntilMs,
    sent: undefined,
  };
  context.knownLines.keep(key, known);
  return known;
}
