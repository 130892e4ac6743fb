// Restores a command line from the record of its admission, to be judged again: the canonical arguments, parsed as by a server of the
// recorded series. A value recorded as a digest (secrets, words of mails) becomes an artificial word. Cut values are not guessed. A record
// is judged as of its own time, for its recorded series, so that only the policies make a difference.

import { type AddedCommands, allSeries, commandNamed, type Series } from '../../doveadm/commands/catalog.js';
import { recordedWords } from '../../doveadm/meaning/canonical.js';
import { isMask } from '../../doveadm/names/glob.js';
import { newestMinor } from '../../doveadm/protocol/minors.js';
import { asList, asNumber, asText, asTexts, type StoredRecord } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import { routingTableOf, type Settings } from '../config/settings.js';
import { type Assessment, assess, plainLine, readingsOf, type SeriesReading } from '../policy/assess.js';
import { underAnyGrant } from '../policy/grant.js';
import type { Subject } from '../policy/judge.js';
import type { Policy } from '../policy/policy.js';
import {
  type Answers,
  nothingAsked,
  type PassdbAnswer,
  type RoutingTable,
  type UserdbAnswer,
  userdbKey,
} from '../policy/route.js';

export type UnjudgeableWhy =
  /** It is not an exchange, or has an unknown form. */
  | 'unknown-form'
  /** The line was not parsed then, so its arguments were not recorded. */
  | 'unreadable'
  /** Its arguments were too long to be recorded whole. */
  | 'cut'
  /** An option is recorded as a digest, so it is unknown which one it was. */
  | 'hidden';

export interface RestoredLine {
  readonly timeMs: number;
  readonly listener: string;
  readonly principal: string;
  readonly user: string;
  readonly touched: readonly string[];
  /** The name as one word, then the canonical arguments. */
  readonly words: readonly string[];
  readonly series: readonly Series[];
  /** The client's announced minor; undefined: the record is older than that key. */
  readonly client: number | undefined;
  readonly backend: string | undefined;
  readonly isGranted: boolean;
}

export function restoreLine(fields: StoredRecord, added?: AddedCommands): RestoredLine | UnjudgeableWhy {
  const textIn = (key: string): string => asText(fields[key]) ?? '';
  const [listener, principal, user, command] = [
    textIn('listener'),
    textIn('principal'),
    textIn('user'),
    textIn('command'),
  ];
  const timeMs = parseTime(textIn('time'));
  const { decision } = fields;
  const isDecided = decision === 'allow' || decision === 'deny';
  if (timeMs === undefined || listener === '' || principal === '' || !isDecided) return 'unknown-form';
  const args = asList(fields['args']);
  if (args === undefined || command === '') return 'unreadable';
  if (user === '' && fields['user'] !== undefined && fields['user'] !== '') return 'cut';
  const recorded = textIn('series').split(' ');
  const series = allSeries.filter((each) => recorded.includes(each));
  const [first] = series;
  const known = first === undefined ? undefined : commandNamed(first, command, added);
  if (known === undefined) return 'unknown-form';
  const words = recordedWords(known, args);
  if (typeof words === 'string') return words;
  return {
    timeMs,
    listener,
    principal,
    user,
    touched: asTexts(fields['users']),
    words: [command, ...words],
    series,
    client: asNumber(fields['client']),
    backend: textIn('backend') || undefined,
    isGranted: textIn('grant') !== '',
  };
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

  assess(line: RestoredLine, policy: Policy): RecordedAssessment {
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
function aliasesIn({ touched }: RestoredLine, users: readonly string[]): UserdbAnswer {
  return { kind: 'resolved', aliases: touched.filter((name) => !users.includes(name) && !isMask(name)) };
}

/** Instead of the passdb: the record names the destination. */
function answersIn({ user, backend }: RestoredLine, table: RoutingTable): Answers & typeof nothingAsked {
  if (user === '' || backend === undefined || !table.byName.has(backend)) return nothingAsked;
  const passdb = new Map<string, PassdbAnswer>([[user, { kind: 'to', backend, aliases: [] }]]);
  return { ...nothingAsked, passdb };
}
