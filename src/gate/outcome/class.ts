// What a row of a search is counted as: its kind, and the class of its outcome. Also for the browser.

import type { StoredRecord } from '../../host/values/values.js';
import type { RecordedOutcome } from '../../journal/records/record.js';
import { textIn } from '../../journal/records/stored.js';

/** What people do, as a search tells it apart: one row for a command, and for each record of something else. */
export const rowKinds = ['command', 'access', 'operator', 'session', 'look', 'count'] as const;
export type RowKind = (typeof rowKinds)[number];

export const outcomeClasses = ['ok', 'denied', 'failed', 'unknown'] as const;
export type OutcomeClass = (typeof outcomeClasses)[number];

/**
 * `denied`: refused by policy, a limit or an approver, not answered, or not understood; nothing ran. `unknown`: it may have run. Other
 * steps of access went well.
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

/** What a request for access came to, where nobody got anything by it. */
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

/** What dovegate itself counted mails for: a command, or a request for access. Undefined: a client sent it. */
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

/** What dovegate itself says in an answer is shorter, and is counted with it. */
const ownBytesMax = 4096;

/** Bytes of a backend's answer that went to the client, so it ran; 0: nothing shows that some did. */
export function givenOf({
  bytesIn,
  bytesOut,
}: {
  readonly bytesIn: number;
  readonly bytesOut: number;
}): number {
  return bytesIn > 0 && bytesOut > ownBytesMax ? bytesOut : 0;
}
