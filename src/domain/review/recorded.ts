// Owns the way back from a recorded exchange to a command line that can be judged again: the canonical arguments that the
// record holds, read as a server of the recorded series would.
// It does not judge. The rule: what a record keeps only as a digest (secrets, words of mails) becomes a word that nothing was ever
// called, and the line says that it holds such a word; what a record cut short is not guessed at.

import { isObject, parseTime } from '../audit/record.js';
import type { ExchangeRow } from '../audit/search.js';
import {
  allSeries,
  type Command,
  commandNamed,
  ownCommands,
  type Parameter,
  type Series,
} from '../commands/catalog.js';
import { saysWhy } from '../policy/rule.js';

/** Why a record cannot be judged again; each is counted. */
export type UnjudgeableWhy =
  /** It is no exchange, or not of a form that is known here. */
  | 'unknown-form'
  /** The line could not be read then, so its arguments were not recorded. */
  | 'unreadable'
  /** Its arguments were too long to be recorded whole. */
  | 'cut'
  /** An option stands there as a digest, and which one it was cannot be told. */
  | 'hidden';

/** A recorded command line. */
export interface RecordedLine {
  readonly kind: 'line';
  /** Milliseconds since 1970 of the admission. */
  readonly timeMs: number;
  readonly listener: string;
  /** `NAME@LISTENER`. */
  readonly principal: string;
  /** The user field; empty: none. */
  readonly user: string;
  /** The name as one word, then the canonical arguments. */
  readonly words: readonly string[];
  /** For which it was judged. */
  readonly series: readonly Series[];
  /** Name of the policy that it was judged by; undefined: the record does not say. */
  readonly policy: string | undefined;
  /** What became of it: `deny` also where only the stated reason was missing. */
  readonly decision: 'allow' | 'deny';
  /** The line that decided, as `FILE:LINE`. */
  readonly rule: string | undefined;
  /** Why it was denied, in the words of the record. */
  readonly text: string | undefined;
  /** Minor that its client announced; undefined: the record is older than that key. */
  readonly client: number | undefined;
  /** The backend that it went to, or would have; undefined: none, or several. */
  readonly backend: string | undefined;
  /** It was allowed, and something else stood in its way before it was sent. */
  readonly isObstructed: boolean;
  /** Whether the client said why it asks. */
  readonly hasReason: boolean;
  /** Some words are digests: a rule that looks at them cannot be judged. */
  readonly isOpaque: boolean;
}

/** A recorded line, or why there is none. */
export type Recorded = RecordedLine | { readonly kind: 'unjudgeable'; readonly why: UnjudgeableWhy };

/** Reads a row of a trail. Undefined for what no policy judges: searches that dovegate made by itself, questions that it answered. */
export function recordedLine({ fields }: ExchangeRow): Recorded | undefined {
  if (fields['for'] !== undefined) return undefined;
  const { listener, principal, user, command } = fields;
  if (ownCommands.some(({ name }) => name === command)) return undefined;
  const timeMs = typeof fields['time'] === 'string' ? parseTime(fields['time']) : undefined;
  const decision = fields['decision'];
  if (
    timeMs === undefined ||
    typeof listener !== 'string' ||
    typeof principal !== 'string' ||
    (decision !== 'allow' && decision !== 'deny')
  ) {
    return unjudgeable('unknown-form');
  }
  const { args } = fields;
  if (!Array.isArray(args) || typeof command !== 'string') return unjudgeable('unreadable');
  if (user !== undefined && typeof user !== 'string') return unjudgeable('cut');
  const series = seriesOf(fields['series']);
  const [first] = series;
  const known = first === undefined ? undefined : commandNamed(first, command);
  if (known === undefined) return unjudgeable('unknown-form');
  const words = wordsOf(known, args);
  if (typeof words === 'string') return unjudgeable(words);
  const isRefused = decision === 'deny' || fields['outcome'] === 'denied';
  return {
    kind: 'line',
    timeMs,
    listener,
    principal,
    user: user ?? '',
    words: [command, ...(fields['error'] === 'cells-unknown' ? [columnOption] : []), ...words],
    series,
    policy: typeof fields['policy'] === 'string' ? fields['policy'] : undefined,
    decision: isRefused ? 'deny' : 'allow',
    rule: typeof fields['rule'] === 'string' ? fields['rule'] : undefined,
    text: typeof fields['text'] === 'string' ? fields['text'] : undefined,
    client: typeof fields['client'] === 'number' ? fields['client'] : undefined,
    backend: typeof fields['backend'] === 'string' ? fields['backend'] : undefined,
    isObstructed: !isRefused && fields['sent'] === false,
    hasReason: typeof fields['reason'] === 'string' && saysWhy(fields['reason']),
    isOpaque: args.some((word) => digestOf(word) !== undefined),
  };
}

/**
 * What a client of Dovecot 2.3 asks for a column of users with. It is taken out before the arguments are recorded, and matters only
 * where the command was refused because of it.
 */
const columnOption = '-A';

function unjudgeable(why: UnjudgeableWhy): Recorded {
  return { kind: 'unjudgeable', why };
}

function seriesOf(text: unknown): readonly Series[] {
  const words = typeof text === 'string' ? text.split(' ') : [];
  return allSeries.filter((series) => words.includes(series));
}

/** The words of the canonical form, options up to `--` and positionals behind it. */
function wordsOf(command: Command, args: readonly unknown[]): string[] | 'cut' | 'hidden' {
  const words: string[] = [];
  let option: Parameter | undefined;
  let isBehindOptions = false;
  for (const arg of args) {
    const digest = digestOf(arg);
    if (typeof arg === 'string') words.push(arg);
    else if (digest === undefined) return 'cut';
    else if (option !== undefined)
      words.push(option.role === 'auth-info' ? `${factPrefix}${digest}` : digest);
    else if (isBehindOptions) words.push(digest);
    // An option that is written in one word with its value; no command has one that is secret.
    else return 'hidden';
    if (option !== undefined) option = undefined;
    else if (arg === '--') isBehindOptions = true;
    else if (!isBehindOptions) option = optionWithValue(command, arg);
  }
  return words;
}

/** Facts about a login are KEY=VALUE; this key takes any value. */
const factPrefix = 'service=';

function optionWithValue(command: Command, word: unknown): Parameter | undefined {
  return command.params.find(
    ({ short, type }) => short !== undefined && type !== 'bool' && word === `-${short}`,
  );
}

/** What stands for a value that was recorded as a digest: equal values have equal names. */
function digestOf(arg: unknown): string | undefined {
  if (!isObject(arg) || typeof arg['hmac'] !== 'string') return undefined;
  return `hmac:${arg['hmac'].slice(0, digestShown)}`;
}

const digestShown = 16;

/** Whether a word of a recorded line stands for one that is known by its digest only. */
export function isDigest(word: string): boolean {
  return /^(?:service=)?hmac:[0-9a-f]{16}$/.test(word);
}
