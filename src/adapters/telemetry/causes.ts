// Which outsiders can cause the lines of each code of the log. The lines of strangers, clients, backends and receivers are limited
// (line-limit.ts).
// The rule: every code is listed here; the compiler refuses a new code without a cause.

import { bounds } from '../../bounds/bounds.js';
import type { LogCode } from './codes.js';

/**
 * The outsiders who can cause lines of a code without end: these lines are limited. Otherwise, why no outsider can, or which other limit
 * applies.
 */
export type Cause = 'stranger' | 'client' | 'backend' | 'receiver' | { readonly ours: string };

/** Lines of one code and one listener, backend or receiver within a second. */
export const linesMax = bounds.codeLines;
/** The same for level debug, which an operator has requested. */
export const debugLinesMax = bounds.debugCodeLines;

const atStart = { ours: 'once at a start' };
const atEnd = { ours: 'once, at the end' };
const byReload = { ours: 'a reload, which an operator asks for' };
const byFiles = { ours: 'files that an operator replaces' };
const byClock = { ours: 'by the clock: once a day' };

/** By the code, in the order of {@link logCodes}. */
export const causes: Readonly<Record<LogCode, Cause>> = {
  exchange: 'client',
  denied: 'client',
  unparsable: 'client',
  limited: 'client',
  'exchange-failed': 'client',
  'exchange-aborted': 'client',
  'backend-log': 'backend',
  'session-opened': 'stranger',
  'session-closed': 'stranger',
  'session-refused': 'stranger',
  flood: { ours: 'at most 17 a second of each `type` (gateway/outcome/journal.ts)' },
  suppressed: { ours: 'one a second for each code and listener, backend or receiver' },
  'login-failed': 'stranger',
  'page-opened': byReload,
  'door-away': { ours: 'once each time the daemon goes' },
  'page-refused': 'stranger',
  'upstream-opened': 'backend',
  'upstream-closed': 'backend',
  'dial-failed': 'backend',
  'backend-down': 'backend',
  'backend-up': 'backend',
  'lookup-failing': 'backend',
  'lookup-working': 'backend',
  'audit-failed': 'client',
  'audit-writable': 'client',
  'audit-lost': 'client',
  'audit-reserve': 'client',
  'audit-filling': {
    ours: 'when the records begin or cease to fill 80 % of `audit.max_size`, after a look at the segments',
  },
  'audit-key-made': atStart,
  'audit-key-changed': atStart,
  'audit-memory': atStart,
  'audit-damaged': atStart,
  'journal-appended': atStart,
  'audit-recovered': atStart,
  'audit-checkpoint': {
    ours: 'by the clock: one each `audit.checkpoint_interval`, and one when segments are retired',
  },
  'audit-retired': 'client',
  'audit-not-tended': 'client',
  'audit-unshipped': 'receiver',
  'limits-not-rebuilt': atStart,
  'ship-connected': 'receiver',
  'ship-away': 'receiver',
  'ship-missing': 'receiver',
  'ship-restarted': 'receiver',
  'audit-forked': 'receiver',
  'ship-damaged': 'receiver',
  'ship-position-failed': 'receiver',
  started: atStart,
  stopping: atEnd,
  stopped: atEnd,
  operator: { ours: 'operators and people who have signed in; each line has a record' },
  reloaded: byReload,
  'reload-failed': byReload,
  'reload-unfinished': byReload,
  'restart-needed': byReload,
  'certificate-replaced': byFiles,
  'certificate-kept': byFiles,
  'certificate-expires': byClock,
  'key-expires': byClock,
  'configuration-warning': atStart,
  'not-configured': { ours: 'by the clock: one each 10 s' },
  configured: atStart,
  'start-failed': atStart,
  'listen-failed': atStart,
  'accept-failed': 'stranger',
  'admin-failed': 'client',
  'socket-unused': atStart,
  'few-descriptors': atStart,
  'loop-stalled': 'client',
  'not-hardened': atStart,
  'close-failed': atEnd,
  'internal-error': { ours: 'it ends the daemon' },
};
