// Owns what a listener was seen doing: its recorded command lines, each kind once, with how often, when, and by whom; and what present
// policy says of them.
// It does not make rules. The rule: memory holds kinds of lines, not records; beyond a bound it says so instead of forgetting.

import type { ExchangeRow } from '../audit/search.js';
import type { Settings } from '../config/settings.js';
import type { Attempt } from '../policy/attempt.js';
import type { Decision } from '../policy/decide.js';
import type { Policy } from '../policy/rule.js';
import { type RecordedLine, recordedLine, type UnjudgeableWhy } from './recorded.js';
import { createRecordedAssessor, type RecordedAssessor } from './replay.js';

/** One kind of line: the same words for the same user. */
export interface SeenLine {
  readonly line: RecordedLine;
  count: number;
  firstMs: number;
  lastMs: number;
  readonly principals: Set<string>;
}

/** All that was seen. */
export interface Sightings {
  take(row: ExchangeRow): void;
  readonly lines: readonly SeenLine[];
  /** Rows that say nothing here, by why. */
  readonly passedOver: ReadonlyMap<UnjudgeableWhy, number>;
  /** More kinds of lines came than are kept: what is here is not all. */
  readonly isOverfull: boolean;
}

/** Kinds of lines that are kept: some 60 MB of them. */
const linesMax = 200_000;
const principalsMax = 100;

/** Of one listener. */
export function createSightings(listener: string): Sightings {
  const lines = new Map<string, SeenLine>();
  const passedOver = new Map<UnjudgeableWhy, number>();
  let isOverfull = false;
  return {
    take(row) {
      const line = recordedLine(row);
      if (line === undefined) return;
      if (line.kind === 'unjudgeable') {
        passedOver.set(line.why, (passedOver.get(line.why) ?? 0) + 1);
        return;
      }
      if (line.listener !== listener) return;
      const key = JSON.stringify([line.decision, line.series, line.user, line.words]);
      const known = lines.get(key);
      if (known === undefined && lines.size >= linesMax) {
        isOverfull = true;
        return;
      }
      const { timeMs } = line;
      const seen = known ?? {
        line,
        count: 0,
        firstMs: timeMs,
        lastMs: timeMs,
        principals: new Set<string>(),
      };
      seen.count += 1;
      seen.firstMs = Math.min(seen.firstMs, timeMs);
      seen.lastMs = Math.max(seen.lastMs, timeMs);
      if (seen.principals.size < principalsMax) seen.principals.add(line.principal);
      if (known === undefined) lines.set(key, seen);
    },
    get lines() {
      return [...lines.values()];
    },
    passedOver,
    get isOverfull() {
      return isOverfull;
    },
  };
}

/** What a line means, in each series that it was judged for, and what present policy says of it. */
export interface Understood {
  readonly attempts: readonly Attempt[];
  /** The least friendly of the decisions; what enforce says, under `mode: observe`. */
  readonly decision: Decision;
}

/** Reads a line again. Undefined: this version cannot read it any more. */
export function understand(
  settings: Settings,
  policy: Policy,
  { line, lastMs }: SeenLine,
  assessor: RecordedAssessor = createRecordedAssessor(settings),
): Understood | undefined {
  const attempts: Attempt[] = [];
  let worst: Decision | undefined;
  for (const { judgement } of assessor.assess({ ...line, timeMs: lastMs }, policy).readings()) {
    if (judgement.kind === 'unparsable') return undefined;
    attempts.push(judgement.attempt);
    const decision = judgement.decision.would ?? judgement.decision;
    if (worst === undefined || decision.kind === 'deny') worst = decision;
  }
  return worst === undefined ? undefined : { attempts, decision: worst };
}
