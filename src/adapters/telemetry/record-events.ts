// The codes of log lines about records: the journal, its files and memory, receivers. A part of the list in `codes`, which checks its form;
// the same rules apply.

/** Outsiders who can cause its lines without end, which are limited then; else why none can, or which other limit holds. */
export type Cause = 'stranger' | 'client' | 'backend' | 'receiver' | { readonly ours: string };

export const atStart = { ours: 'once at a start' };
export const atEnd = { ours: 'once, at the end' };
export const byReload = { ours: 'a reload, which an operator asks for' };
export const byFiles = { ours: 'files that an operator replaces' };
export const byClock = { ours: 'by the clock: once a day' };

export const recordEvents = {
  'audit-failed': [
    ['error'],
    'client',
    'records do not reach the disk (in time); what `audit.strict` names is refused, and after an error all',
    'free the disk, or give the directory back',
  ],
  'audit-writable': [['info'], 'client', 'records reach the disk again'],
  'audit-lost': [
    ['error'],
    'client',
    'records were lost: `audit.memory` was full (their commands were refused, or had ended) or damaged',
    'free the disk; `count` says how many',
  ],
  'audit-left': [
    ['warn'],
    { ours: 'at a stop while the disk takes no record' },
    'the daemon stopped, and its last records are in `audit.memory` only: the next start writes them',
    'free the disk, and start it before the machine is shut down; `count` says how many',
  ],
  'audit-reserve': [
    ['error'],
    'client',
    'the disk is full but for `audit.reserve`, or smaller than it, or `audit.max_size` is reached within `audit.keep_min`: only rules with `emergency` are served',
    'free the disk, lower `reserve` or raise `max_size`, as `text` says; it is noticed within seconds',
  ],
  'audit-filling': [
    ['info', 'warn'],
    {
      ours: 'when the records begin or cease to fill 80 % of `audit.max_size`, after a look at the segments',
    },
    'the records of the last `audit.keep_min` fill 80 % of `audit.max_size`; `text` names the largest writers, which are refused first (level info: it is over)',
    'find out what they do in a loop, raise `max_size`, or lower `keep_min`',
  ],
  'audit-begun': [
    ['warn'],
    atStart,
    'a new journal begins, since nothing of an earlier one is in `audit.directory`; `text` names the directory before, if `state` knows one',
    'at a first start nothing; else stop it, mount the disk of the journal, and start it',
  ],
  'audit-key-made': [
    ['info'],
    atStart,
    'the first start made the key that signs the journal, in `state`; `text` names its public half',
    'keep a copy of `key.pub` elsewhere',
  ],
  'audit-key-changed': [
    ['error'],
    atStart,
    'the key that signed the journal is gone or was replaced; the new one is recorded as `key-change`',
    'find out who changed it; then `dovegate audit verify --accept-key`',
  ],
  'audit-memory': [
    ['info', 'warn', 'error'],
    atStart,
    '`type` none: there is no `audit.memory` (any more), so every command waits for the disk; left: what the last run left there is gone or damaged',
    'none: make its directory, or give it room, and restart; left: `audit verify` says where reads may be missing; look who touched the file',
  ],
  'audit-damaged': [
    ['error'],
    atStart,
    'the journal is not what its last checkpoint says: its end (`type` cut, rewritten, unvouched, gap) or its beginning (removed); the `start` record says it too',
    '`dovegate audit verify`; compare with what a receiver has',
  ],
  'journal-appended': [
    ['error'],
    atStart,
    'lines were appended to the journal after the run before had ended; they were moved to `SEGMENT.appended`, and none is signed',
    'find out who can write to the directory; `dovegate audit verify`',
  ],
  'access-ended': [
    ['warn'],
    atStart,
    'all requests and grants of access ended, because the journal is not the one that this host signed last; `text` says how it differs',
    'find out who changed the journal, the key or `state`; the requesters ask again',
  ],
  'audit-recovered': [
    ['info'],
    atStart,
    'what a crash left was put in order: records of `audit.memory` are on disk, open commands are `unknown`, torn bytes lie aside',
  ],
  'audit-checkpoint': [
    ['info'],
    { ours: 'by the clock: one each `audit.checkpoint_interval`, and one when segments are retired' },
    'the checkpoint as it was recorded',
    'keep it elsewhere',
  ],
  'audit-retired': [['info'], 'client', 'old segments were removed'],
  'audit-not-tended': [
    ['warn'],
    'client',
    'segments could not be compressed or retired; it is tried again',
    '`text` names the file: `dovegate audit verify`, or free the disk',
  ],
  'audit-unshipped': [
    ['error'],
    'receiver',
    'records were retired before every receiver had them (`audit.unshipped_max`)',
    'they are gone there; the gap shows in what it stored',
  ],
  'limits-not-rebuilt': [
    ['warn'],
    atStart,
    'not all of the last hour could be read at the start, so limits may be too lenient',
    '`dovegate audit verify`',
  ],
  'ship-connected': [['info'], 'receiver', 'records go to a receiver'],
  'ship-away': [
    ['error'],
    'receiver',
    'records cannot be sent to a receiver, and `lag` of them wait; commands go on',
    'correct certificate or name, or repair the receiver',
  ],
  'ship-missing': [
    ['error'],
    'receiver',
    'a receiver will never get some records: they were retired before, or are damaged',
    'they are gone there; the gap shows in what it stored',
  ],
  'ship-restarted': [
    ['error'],
    'receiver',
    'records are sent again: the journal is another one, or the receiver has lost what it had',
    '`dovegate audit verify`, and compare with what the receiver has',
  ],
  'audit-forked': [
    ['error'],
    'receiver',
    'the stream holds another journal under the id of this one (a copied machine, a disk that was put back): no more of it is sent; commands go on',
    'find out who else writes it; then stop dovegate, move `audit.directory` and `audit-end.json` of `state` away, start: a new journal begins',
  ],
  'ship-damaged': [
    ['error'],
    'receiver',
    'a file of the journal is damaged, so its records are not sent',
    '`dovegate audit verify`',
  ],
  'ship-position-failed': [
    ['error'],
    'receiver',
    'how far a receiver was served cannot be written; after a restart more is sent again',
    'make `state` writable',
  ],
} as const;
