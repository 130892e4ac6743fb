// What was seen of each line in the records: how often, when, by whom, and what became of it; for suggest and replay.

import type { AddedCommands } from '../../doveadm/commands/catalog.js';
import type { RecordedAssessor, UnjudgeableWhy } from '../../rules/answers/recorded-line.js';
import type { Attempt } from '../../rules/policy/attempt.js';
import type { Decision } from '../../rules/policy/decide.js';
import { rulesOf } from '../../rules/policy/outcome.js';
import type { Policy } from '../../rules/policy/policy.js';
import type { SeenLine, Understood } from '../../rules/proposals/seen-line.js';
import type { ExchangeRow } from '../trail/search.js';
import { recordedLine } from './recorded.js';

/** Why a row is left out: it cannot be judged, or `dovegate doctor` sent it. */
export type LeftOutWhy = UnjudgeableWhy | 'probe';

/** Words that follow a count. */
export const leftOutWords: Readonly<Record<LeftOutWhy, string>> = {
  unreadable: 'with no command that could be read',
  cut: 'too long to be recorded whole',
  hidden: 'hiding which option a secret belongs to',
  'unknown-form': 'of another form than this version writes',
  probe: 'which `dovegate doctor` sent',
};

/** Limit of the kinds of lines that are kept: some 60 MB. */
const linesMax = 200_000;
const principalsMax = 100;

/** The origin of lines; all given fields must match. */
interface SightingsOf {
  readonly listener?: string;
  readonly policy?: string;
  readonly added?: AddedCommands | undefined;
}

/** The lines seen at a listener, or under a policy. Memory holds kinds of lines, not records; `isOverfull` says that kinds are missing. */
export class Sightings {
  readonly passedOver = new Map<LeftOutWhy | 'failed', number>();
  taken = 0;
  /** There were more kinds of lines than the limit: the result is incomplete. */
  isOverfull = false;
  readonly #of: SightingsOf;
  readonly #linesMax: number;
  readonly #lines = new Map<string, SeenLine>();

  constructor(of: SightingsOf, kindsMax: number = linesMax) {
    this.#of = of;
    this.#linesMax = kindsMax;
  }

  take(row: ExchangeRow): void {
    const line = recordedLine(row, this.#of.added);
    if (line === undefined) return;
    if (line.kind === 'unjudgeable') return this.#passOver(line.why);
    const { listener, policy } = this.#of;
    if (listener !== undefined && line.listener !== listener) return;
    if (policy !== undefined && line.policy !== policy) return;
    if (line.isFailed) return this.#passOver('failed');
    if (line.isProbe) return this.#passOver('probe');
    this.taken += 1;
    const { decision, isGranted, series, user, words, touched } = line;
    const key = JSON.stringify([decision, isGranted, series, user, words, touched]);
    const { timeMs } = line;
    let seen = this.#lines.get(key);
    if (seen === undefined) {
      if (this.#lines.size >= this.#linesMax) {
        this.isOverfull = true;
        return;
      }
      seen = { line, count: 0, firstMs: timeMs, lastMs: timeMs, principals: new Set() };
      this.#lines.set(key, seen);
    }
    seen.count += 1;
    seen.firstMs = Math.min(seen.firstMs, timeMs);
    seen.lastMs = Math.max(seen.lastMs, timeMs);
    if (seen.principals.size < principalsMax) seen.principals.add(line.principal);
  }

  #passOver(why: LeftOutWhy | 'failed'): void {
    this.passedOver.set(why, (this.passedOver.get(why) ?? 0) + 1);
  }

  get lines(): readonly SeenLine[] {
    return [...this.#lines.values()];
  }
}

/** Parses a line again. Undefined: this version cannot parse it any more. */
export function understand(
  assessor: RecordedAssessor,
  policy: Policy,
  { line, lastMs }: SeenLine,
): Understood | undefined {
  const attempts: Attempt[] = [];
  let worst: Decision | undefined;
  for (const { judgement } of assessor.assess({ ...line, timeMs: lastMs }, policy).readings()) {
    if (judgement.kind === 'unparsable') return undefined;
    attempts.push(judgement.attempt);
    const decision = rulesOf(judgement.decision);
    if (worst === undefined || decision.kind === 'deny') worst = decision;
  }
  return worst === undefined ? undefined : { attempts, decision: worst };
}
