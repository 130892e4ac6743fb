// The command line of a row of a trail, restored to be judged again (`rules/answers/recorded-line`), with what became of it. `isOpaque`
// marks lines with values that were recorded as digests.

import { type AddedCommands, ownCommands } from '../../doveadm/commands/catalog.js';
import { isDigested } from '../../doveadm/meaning/canonical.js';
import { doctorsReason } from '../../gate/health/look.js';
import { numberIn, textIn } from '../../journal/records/stored.js';
import { restoreLine, type UnjudgeableWhy } from '../../rules/answers/recorded-line.js';
import { originOfRecord } from '../../rules/identity/origin.js';
import type { OutcomeKind } from '../../rules/policy/outcome.js';
import type { RecordedLine } from '../../rules/proposals/seen-line.js';
import { type Story, storyOfRow } from '../story/story.js';
import type { ExchangeRow } from '../trail/search.js';

export type Recorded = RecordedLine | { readonly kind: 'unjudgeable'; readonly why: UnjudgeableWhy };

/** Parses a row of a trail. Undefined for commands that no policy judges: dovegate's own searches, and questions that it answered. */
export function recordedLine(row: ExchangeRow, added?: AddedCommands): Recorded | undefined {
  const { fields } = row;
  const { asked, decided, sent, ended } = storyOfRow(row);
  if (asked.countedFor !== undefined) return undefined;
  if (ownCommands.some(({ name }) => name === asked.command)) return undefined;
  const line = restoreLine(fields, added);
  if (typeof line === 'string') return { kind: 'unjudgeable', why: line };
  const [name = '', ...words] = line.words;
  const isRefused = decided.decision === 'deny' || ended.outcome === 'denied';
  return {
    kind: 'line',
    ...line,
    words: [name, ...(ended.error === 'cells-unknown' ? [columnOption] : []), ...words],
    policy: decided.policy || undefined,
    decision: isRefused ? 'deny' : 'allow',
    rule: textIn(fields, 'rule') || undefined,
    text: textIn(fields, 'text') || undefined,
    backend: ended.backend || undefined,
    isObstructed: !isRefused && sent === 'no',
    isFailed: ended.error === 'backend-failed',
    isProbe: asked.reason === doctorsReason,
    origin: originOfRecord(fields),
    reason: asked.reason || undefined,
    matches: numberIn(fields, 'matches'),
    done: doneOf(decided, ended),
    isOpaque: asked.args?.some(isDigested) === true,
  };
}

/** The outcome by policy, whatever stopped the command later. */
function doneOf({ decision }: Story['decided'], { outcome, denial, error }: Story['ended']): OutcomeKind {
  if (denial === 'no-reason' || denial === 'reason-short') return 'no-reason';
  if (error === 'on-request') return 'on-request';
  if (error === 'over-limit' || error === 'limits-full') return 'over-limit';
  return decision === 'deny' || outcome === 'denied' ? 'denied' : 'served';
}

/** A client of Dovecot 2.3 asks for a column of users with it. It is not recorded, and matters only if the command was refused for it. */
const columnOption = '-A';
