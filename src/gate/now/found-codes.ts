// What each code of a present problem means, and what to do: for docs/messages.md, so that no gate loads it. A code is never renamed.

import { forkedMeans, type Meaning } from './running.js';

/** Worst first. */
export const foundCodes = {
  'audit-failed': ['records do not reach the disk; the state on the page is "blind"'],
  'audit-missing': [
    'files of the journal were moved away or removed, and its records go on in new ones',
    'put the files back beside the new ones, then `dovegate audit verify`; lock and hold again what those records had',
  ],
  'backends-down': ['no backend is up', 'look at what they share: network, certificate, password'],
  'audit-reserve': ['the disk of the records is full but for its reserve'],
  'audit-filling': [
    'the records of the last `audit.keep_min` fill 80 % of `audit.max_size`; the largest writers are refused',
  ],
  'backend-down': ['a backend is down', 'as `try` says'],
  'backend-newer': ['a backend is newer than this dovegate knows, and gets what `newer` says'],
  'route-down': ['every backend of a route is down or drained, and others are up', 'bring one back'],
  'backend-stuck': [
    'new connections to a backend fail, and commands have hung there for 10 s or longer',
    'as `try` says',
  ],
  'backend-drained': [
    'a backend is drained: by whom, since when, why, and what it costs',
    'enable it when its work is done',
  ],
  locked: [
    'a lock is in force: on whom or what, by whom, until when, why (of a mail user where its reader may see that mail)',
    '`dovegate unlock` when it is settled',
  ],
  held: [
    'a hold is in force: by whom, since when, why, and who asked to lift it (on whom and why: as of a lock)',
    '`dovegate unlock` by two persons when it is settled',
  ],
  'lookup-failing': ["Dovecot's auth service does not answer"],
  'key-stolen': [
    'a key of an HTTP listener was used three times or more from where it is not permitted, within ten minutes',
    'replace or remove the key; if the network is yours, add it to `from`',
  ],
  'audit-unsynced': ['the oldest record has waited 2 s or longer for the disk', 'look at the disk'],
  'queue-grows': [
    'a command has waited 5 s or longer for a connection, or the queue is half full',
    'look at what runs there for long, or raise `connections`',
  ],
  'certificate-expires': ['a certificate has expired, or will within seven days', 'renew it'],
  'key-expires': ['the same of a key of an HTTP listener'],
  'audit-forked': forkedMeans,
  'ship-away': ['a receiver gets no records'],
  'ship-absent': ['receivers get nothing, since `dovegate ship` does not run'],
  'notices-away': ['a receiver of notices takes none'],
  'audit-lost': ['records never reached the disk since the start'],
  'audit-damaged': ['the start found signed records missing, or other ones in their place'],
  'journal-appended': ['the start found lines that no run of the daemon wrote'],
  'loop-stalled': ['nothing was served for half a second or longer, within the last minute'],
  'login-failed': ['30 logins or more failed within a minute', 'find out who; name networks in `from`'],
  'key-refused': [
    'a key that has expired or was replaced is still used, or one is used with the name of another',
    'give that program the key that holds now',
  ],
  'last-served': [
    'the file had problems at the start, so the configuration that was served before is served',
  ],
  'reload-failed': ['the last reload failed, so the configuration from before is served'],
} as const satisfies Readonly<Record<string, Meaning>>;
export type FoundCode = keyof typeof foundCodes;
