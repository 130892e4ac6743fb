// Restores command lines from recorded exchanges, to be judged again: the canonical arguments of a record, parsed as by a server of the
// recorded series; and the seen lines of a listener, each kind once. A value recorded as a digest (secrets, words of mails) becomes an
// artificial word, and the line is marked. Cut values are not guessed. A record is judged as of its own time, for its recorded series, so
// that only the policies make a difference.

import {
  type AddedCommands,
  allSeries,
  commandNamed,
  ownCommands,
  type Series,
} from '../../doveadm/commands/catalog.js';
import { isDigested, recordedWords } from '../../doveadm/meaning/canonical.js';
import { isMask } from '../../doveadm/names/glob.js';
import { newestMinor } from '../../doveadm/protocol/minors.js';
import { doctorsReason } from '../../gate/health/look.js';
import { asText } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import { numberIn, textIn } from '../../journal/records/stored.js';
import { routingTableOf, type Settings } from '../../rules/config/settings.js';
import { originOfRecord } from '../../rules/identity/origin.js';
import {
  type Assessment,
  assess,
  plainLine,
  readingsOf,
  type SeriesReading,
} from '../../rules/policy/assess.js';
import { underAnyGrant } from '../../rules/policy/grant.js';
import type { Subject } from '../../rules/policy/judge.js';
import type { OutcomeKind } from '../../rules/policy/outcome.js';
import type { Policy } from '../../rules/policy/policy.js';
import {
  type Answers,
  nothingAsked,
  type PassdbAnswer,
  type RoutingTable,
  type UserdbAnswer,
  userdbKey,
} from '../../rules/policy/route.js';
import type { RecordedLine } from '../../rules/proposals/seen-line.js';
import { type Story, storyOfRow } from '../story/story.js';
import type { ExchangeRow } from '../trail/search.js';

export type UnjudgeableWhy =
  /** It is not an exchange, or has an unknown form. */
  | 'unknown-form'
  /** The line was not parsed then, so its arguments were not recorded. */
  | 'unreadable'
  /** Its arguments were too long to be recorded whole. */
  | 'cut'
  /** An option is recorded as a digest, so it is unknown which one it was. */
  | 'hidden';

export type Recorded = RecordedLine | { readonly kind: 'unjudgeable'; readonly why: UnjudgeableWhy };

/** Parses a row of a trail. Undefined for commands that no policy judges: dovegate's own searches, and questions that it answered. */
export function recordedLine(row: ExchangeRow, added?: AddedCommands): Recorded | undefined {
  const { fields } = row;
  const { asked, decided, sent, ended } = storyOfRow(row);
  const { listener, principal, user, command, args } = asked;
  if (asked.countedFor !== undefined) return undefined;
  if (ownCommands.some(({ name }) => name === command)) return undefined;
  const timeMs = parseTime(asked.time);
  const { decision } = decided;
  if (timeMs === undefined || listener === '' || principal === '' || decision === undefined)
    return unjudgeable('unknown-form');
  if (args === undefined || command === '') return unjudgeable('unreadable');
  if (user === '' && fields['user'] !== undefined && fields['user'] !== '') return unjudgeable('cut');
  const series = seriesOf(fields['series']);
  const [first] = series;
  const known = first === undefined ? undefined : commandNamed(first, command, added);
  if (known === undefined) return unjudgeable('unknown-form');
  const words = recordedWords(known, args);
  if (typeof words === 'string') return unjudgeable(words);
  const isRefused = decision === 'deny' || ended.outcome === 'denied';
  return {
    kind: 'line',
    timeMs,
    listener,
    principal,
    user,
    touched: asked.users,
    words: [command, ...(ended.error === 'cells-unknown' ? [columnOption] : []), ...words],
    series,
    policy: decided.policy || undefined,
    decision: isRefused ? 'deny' : 'allow',
    rule: textIn(fields, 'rule') || undefined,
    text: textIn(fields, 'text') || undefined,
    client: numberIn(fields, 'client'),
    backend: ended.backend || undefined,
    isObstructed: !isRefused && sent === 'no',
    isFailed: ended.error === 'backend-failed',
    isProbe: asked.reason === doctorsReason,
    origin: originOfRecord(fields),
    reason: asked.reason || undefined,
    matches: numberIn(fields, 'matches'),
    done: doneOf(decided, ended),
    isGranted: textIn(fields, 'grant') !== '',
    isOpaque: args.some(isDigested),
  };
}

/** By what refused it: what came in the way later is no policy. */
function doneOf({ decision }: Story['decided'], { outcome, denial, error }: Story['ended']): OutcomeKind {
  if (denial === 'no-reason' || denial === 'reason-short') return 'no-reason';
  if (error === 'on-request') return 'on-request';
  if (error === 'over-limit' || error === 'limits-full') return 'over-limit';
  return decision === 'deny' || outcome === 'denied' ? 'denied' : 'served';
}

/**
 * A client of Dovecot 2.3 requests a column of users with this option. It is removed before the arguments are recorded, and matters only if
 * the command was refused because of it.
 */
const columnOption = '-A';

export function unjudgeable(why: UnjudgeableWhy): Recorded {
  return { kind: 'unjudgeable', why };
}

function seriesOf(text: unknown): readonly Series[] {
  const words = asText(text)?.split(' ') ?? [];
  return allSeries.filter((series) => words.includes(series));
}

/** An assessment; `readings`: the same for each series that the line was judged for. */
export interface RecordedAssessment {
  readonly assessment: Assessment;
  readonly readings: () => readonly SeriesReading[];
}

export class RecordedAssessor {
  readonly #settings: Settings;
  readonly #tables = new Map<string, RoutingTable>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  assess(line: RecordedLine, policy: Policy): RecordedAssessment {
    const { listener, principal, user, words, series, timeMs } = line;
    const subject: Subject = {
      listener,
      principal,
      clientMinor: line.client ?? newestMinor,
      policy,
      // The grant is over; whether the policy would still give it is the question.
      grants: line.isGranted ? underAnyGrant : undefined,
    };
    const key = series.join(' ');
    const table = this.#tables.get(key) ?? routingTableOf(this.#settings, series);
    this.#tables.set(key, table);
    const asked = plainLine(user, words);
    const answers = answersIn(line, table);
    let assessment = assess(asked, subject, table, answers, timeMs);
    const question = assessment.questions.find(({ kind }) => kind === 'userdb');
    if (question?.kind === 'userdb') {
      const userdb = new Map([[userdbKey(question.users), aliasesIn(line, question.users)]]);
      assessment = assess(asked, subject, table, { ...answers, userdb }, timeMs);
    }
    return { assessment, readings: () => readingsOf(asked, subject, table, assessment, timeMs) };
  }
}

/** Instead of the userdb: the record names the users. */
function aliasesIn({ touched }: RecordedLine, users: readonly string[]): UserdbAnswer {
  return { kind: 'resolved', aliases: touched.filter((name) => !users.includes(name) && !isMask(name)) };
}

/** Instead of the passdb: the record names the destination. */
function answersIn({ user, backend }: RecordedLine, table: RoutingTable): Answers & typeof nothingAsked {
  if (user === '' || backend === undefined || !table.byName.has(backend)) return nothingAsked;
  const passdb = new Map<string, PassdbAnswer>([[user, { kind: 'to', backend, aliases: [] }]]);
  return { ...nothingAsked, passdb };
}
