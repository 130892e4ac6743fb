// What a row of a search is counted as: its kind, and the class of its outcome. Also for the browser.

import type { StoredRecord } from '../../host/values/values.js';
import type { RecordedOutcome } from '../../journal/records/keys.js';
import { textIn } from '../../journal/records/stored.js';

/** Kinds of rows of a search: a command is one row, and so is each record of another kind. */
export const rowKinds = ['command', 'access', 'operator', 'session', 'look', 'count'] as const;
export type RowKind = (typeof rowKinds)[number];

export const outcomeClasses = ['ok', 'denied', 'failed', 'unknown'] as const;
export type OutcomeClass = (typeof outcomeClasses)[number];

/**
 * `denied`: refused by policy, a limit or an approver, not answered, or not understood; nothing ran. `unknown`: it may have run. Other
 * steps of access count as `ok`.
 */
const classes: Readonly<Record<RecordedOutcome | 'open' | RefusedStep, OutcomeClass>> = {
  ok: 'ok',
  failed: 'failed',
  partly: 'failed',
  timeout: 'failed',
  denied: 'denied',
  unparsable: 'denied',
  limited: 'denied',
  refused: 'denied',
  unanswered: 'denied',
  unknown: 'unknown',
  aborted: 'unknown',
  open: 'unknown',
};

/** Ends of a request for access by which nobody got anything. */
type RefusedStep = 'refused' | 'unanswered';

/** Finds everything that somebody did not get: each command and request whose class is another one than `ok`. */
export const notOk = 'not-ok';

/** The words that a search takes for how a command, or a request for access, ended. */
export const outcomeWords: readonly string[] = [...Object.keys(classes), notOk];

export function classOfOutcome(outcome: string): OutcomeClass {
  return isKnown(outcome) ? classes[outcome] : 'unknown';
}

export function isKnown(outcome: string): outcome is keyof typeof classes {
  return Object.hasOwn(classes, outcome);
}

/** The command or request for access that dovegate itself counted mails for; undefined: a client sent it. */
export function countedForOf(
  record: StoredRecord,
): { readonly kind: 'command' | 'request'; readonly id: string } | undefined {
  const [command, request] = [textIn(record, 'for'), textIn(record, 'request')];
  if (command === '') return undefined;
  return request === '' ? { kind: 'command', id: command } : { kind: 'request', id: request };
}

/** The backend that a command was sent to, or could not be sent to; '': it was refused before, and nothing went there. */
export function backendMet(
  { outcome, backend }: { readonly outcome: string; readonly backend: string },
  sent: unknown,
): string {
  return sent !== true && classOfOutcome(outcome) === 'denied' ? '' : backend;
}

/** More than dovegate itself ever says in an answer, which `bytesOut` includes. */
const ownBytesMax = 4096;

/** Bytes of a backend's answer that went to the client, so the command ran; 0: nothing shows that it did. */
export function givenOf({
  bytesIn,
  bytesOut,
}: {
  readonly bytesIn: number;
  readonly bytesOut: number;
}): number {
  return bytesIn > 0 && bytesOut > ownBytesMax ? bytesOut : 0;
}
