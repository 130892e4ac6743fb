// What each line of our own log means, and what it asks of whoever reads it: the closed list of the key `event`. docs/messages.md
// and the table in docs/operations.md are made of it.
// The rule: a code is never renamed or used for something else.

import type { EngineEvent } from '../../gateway/outcome/events.js';
import type { LogLevel } from '../../gateway/outcome/outcome.js';

/** One code, in words. */
export interface Meaning {
  /** Levels that its lines may have. */
  readonly levels: readonly LogLevel[];
  readonly means: string;
  /** What to do; empty: nothing. */
  readonly ask: string;
}

/** What the engine tells under its own name. */
type EngineCode = Exclude<EngineEvent['kind'], 'exchange-ended' | 'login'>;

const listed = {
  // commands
  exchange: {
    levels: ['debug', 'info'],
    means: "a command ended with the backend's own status",
    ask: '',
  },
  denied: {
    levels: ['warn'],
    means: 'policy refused a command; `text` says why, `id` finds its record',
    ask: 'talk to the team, or widen the policy (`dovegate explain` says what is missing)',
  },
  unparsable: {
    levels: ['warn'],
    means: 'a command could not be read exactly as its server would read it; `error` is the code',
    ask: 'correct the command',
  },
  limited: {
    levels: ['warn'],
    means: 'a command was over a limit of its policy, or of its input; `error` is the code',
    ask: 'wait, talk to the team, or raise the limit',
  },
  'exchange-failed': {
    levels: ['info', 'warn', 'error'],
    means:
      'an allowed command got no whole answer; `error` is the code, and `backend` or `text` names the backend',
    ask: "look into the backend's log; after `outcome: unknown` it may have run",
  },
  'exchange-aborted': {
    levels: ['info', 'warn'],
    means: 'the client left or did not read, or its input ended too soon',
    ask: '',
  },
  'backend-log': {
    levels: ['debug', 'info', 'warn', 'error'],
    means: "a line of Dovecot's log channel, with the command that caused it",
    ask: "as in Dovecot's own log",
  },
  // sessions
  'session-opened': { levels: ['debug'], means: 'a session began', ask: '' },
  'session-closed': {
    levels: ['debug', 'warn'],
    means: 'a session ended; of level warn where `reason` is no ordinary end',
    ask: 'look the reason up; `wire-fault`: the client does not speak the protocol',
  },
  'session-refused': {
    levels: ['warn'],
    means:
      'a client got no session: it is not among `peers`, or `sessions`, `sessions_per_peer` or the descriptors are used up. Above ten a second they are only counted',
    ask: 'talk to the team; raise the limit',
  },
  flood: {
    levels: ['debug', 'warn'],
    means:
      '`count` more events within a second were not logged one by one; `type` is the `action` of the `limit` record',
    ask: 'find out who, and why',
  },
  'login-failed': {
    levels: ['warn'],
    means: 'a client did not log in; `type` says why, `account` and `address` say who',
    ask: 'correct name, password or certificate there; many from one address: somebody guesses',
  },
  // upstreams and backends
  'upstream-opened': { levels: ['info'], means: 'a backend was dialled and greeted us', ask: '' },
  'upstream-closed': { levels: ['info'], means: 'an upstream was closed; `reason` says why', ask: '' },
  'dial-failed': {
    levels: ['error', 'debug'],
    means:
      'no connection to a backend: `type` is the code, `text` names backend and cause; repeated lines have level debug',
    ask: 'mend certificate, password or address, or the backend itself',
  },
  'backend-down': {
    levels: ['error'],
    means:
      'nothing of a backend lives; its commands are refused at once until it is back, which is found out by itself',
    ask: 'as `dial-failed`',
  },
  'backend-up': { levels: ['warn'], means: 'a backend that was down is back', ask: '' },
  'lookup-failing': {
    levels: ['error'],
    means: "Dovecot's auth service does not answer; commands that need it are refused; `type` is the code",
    ask: 'see whether it runs, and whether its socket is of type userdb and may be opened',
  },
  'lookup-working': { levels: ['info'], means: 'the auth service answers again', ask: '' },
  // records
  'audit-failed': {
    levels: ['error'],
    means:
      'records do not reach the disk; strict commands are refused until `audit-writable`; `type` is the code',
    ask: 'free the disk, or give the directory back',
  },
  'audit-writable': { levels: ['info'], means: 'records reach the disk again', ask: '' },
  'audit-lost': {
    levels: ['error'],
    means: 'records were lost because the disk took none; no command waited for them',
    ask: 'free the disk; the numbers that are missing show how many',
  },
  'audit-reserve': {
    levels: ['error'],
    means:
      'the disk is full but for `audit.reserve`, or `audit.max_size` is reached within `audit.keep_min`: only rules with `emergency` are served',
    ask: 'free the disk, or raise `max_size`; it is noticed within seconds',
  },
  'audit-key-made': {
    levels: ['info'],
    means: 'the first start made the key that signs the journal, in `state`; `text` names its public half',
    ask: 'keep a copy of `key.pub` elsewhere',
  },
  'audit-key-changed': {
    levels: ['error'],
    means: 'the key that signed the journal is gone or was replaced; the new one is recorded as `key-change`',
    ask: 'find out who changed it; then `dovegate audit verify --accept-key`',
  },
  'audit-damaged': {
    levels: ['error'],
    means: 'the end of the journal is not what its checkpoint says; the `start` record says it too',
    ask: '`dovegate audit verify`; compare with what a receiver has',
  },
  'audit-recovered': {
    levels: ['info'],
    means: 'what a crash left was put in order: open commands are `unknown`, torn bytes lie aside',
    ask: '',
  },
  'audit-checkpoint': {
    levels: ['info'],
    means: 'the checkpoint as it was recorded',
    ask: 'keep it elsewhere',
  },
  'audit-retired': { levels: ['info'], means: 'old segments were removed', ask: '' },
  'audit-not-tended': {
    levels: ['warn'],
    means: 'segments could not be compressed or retired; it is tried again',
    ask: '`text` names the file: `dovegate audit verify`, or free the disk',
  },
  'audit-unshipped': {
    levels: ['error'],
    means: 'records were retired before every receiver had them (`audit.unshipped_max`)',
    ask: 'they are gone there; the gap shows in what it stored',
  },
  'limits-not-rebuilt': {
    levels: ['warn'],
    means: 'not all of the last hour could be read at the start, so limits may be too lenient',
    ask: '`dovegate audit verify`',
  },
  'ship-connected': { levels: ['info'], means: 'records go to a receiver', ask: '' },
  'ship-away': {
    levels: ['error'],
    means:
      'a receiver gets no records; `type` is the code, `lag` how many wait; told once until it changes; commands are not held up',
    ask: 'mend certificate, name, or the receiver itself',
  },
  'ship-missing': {
    levels: ['error'],
    means: 'a receiver will never get some records: they were retired before, or are damaged',
    ask: 'they are gone there; the gap shows in what it stored',
  },
  'ship-restarted': {
    levels: ['error'],
    means: 'the journal is not the one that was shipped; the receiver gets all of it',
    ask: "`dovegate audit verify`, and compare with the receiver's file",
  },
  'ship-damaged': {
    levels: ['error'],
    means: 'a file of the journal is damaged, so its records are not sent',
    ask: '`dovegate audit verify`',
  },
  'ship-position-failed': {
    levels: ['error'],
    means: 'how far a receiver was served cannot be written; after a restart more is sent again',
    ask: 'make `state` writable',
  },
  // the daemon itself
  started: { levels: ['info'], means: 'listeners are bound, commands are served', ask: '' },
  stopping: { levels: ['info'], means: 'nobody is accepted any more; what runs may finish', ask: '' },
  stopped: { levels: ['info'], means: 'all sessions ended', ask: '' },
  operator: { levels: ['info'], means: 'an operator did something; `text` says who and what', ask: '' },
  reloaded: { levels: ['info'], means: 'a new configuration is served', ask: '' },
  'reload-failed': {
    levels: ['error'],
    means: 'the configuration has problems, or could not be put in force; the old one is served',
    ask: 'correct what `text` says, reload again',
  },
  'reload-unfinished': {
    levels: ['warn'],
    means: 'the new configuration is in force, and a step after the switch failed',
    ask: 'look at what `text` says; a restart does the step again',
  },
  'restart-needed': {
    levels: ['warn'],
    means: 'a setting changed that is read at a start only',
    ask: 'restart when it suits',
  },
  'certificate-replaced': {
    levels: ['info'],
    means:
      "the files of a listener's certificate changed; new sessions get what they hold now, and those of an authority that is gone end",
    ask: '',
  },
  'certificate-kept': {
    levels: ['error'],
    means: "the files of a listener's certificate changed and cannot be used; the old one is kept",
    ask: 'put certificate and key there that belong together',
  },
  'certificate-expires': {
    levels: ['warn', 'error'],
    means:
      'the certificate of a listener or a backend, or of an authority of clients, ends soon, or has (error)',
    ask: 'renew it',
  },
  'configuration-warning': {
    levels: ['warn'],
    means: 'the configuration is served, and something in it is doubtful; `text` is what `check` prints',
    ask: 'as it says',
  },
  'not-configured': {
    levels: ['error', 'warn'],
    means:
      'problems in the file at the start: clients of sockets from systemd are refused; of level warn: how many (`count`)',
    ask: '`dovegate check`; a repaired file is served within 10 s, or by `dovegate reload`',
  },
  configured: {
    levels: ['info'],
    means: 'the configuration that had problems at the start is good now; the daemon goes into service',
    ask: '',
  },
  'start-failed': { levels: ['error'], means: 'it did not start', ask: 'as `text` says' },
  'listen-failed': {
    levels: ['error'],
    means: 'it did not start: a socket could not be made or taken',
    ask: 'as `text` says: path, rights, or who has it',
  },
  'accept-failed': {
    levels: ['error'],
    means: 'a listening socket had an error, or did not get its new mode or owner; it goes on as it was',
    ask: 'as `text` says; a reload tries mode and owner again. Missing descriptors show as `few-descriptors`',
  },
  'admin-failed': {
    levels: ['error'],
    means: 'an admin endpoint could not answer; commands are not touched',
    ask: 'as `text` says',
  },
  'socket-unused': {
    levels: ['warn'],
    means: 'a socket that systemd handed over has no listener; clients of it wait for ever',
    ask: 'add the listener, or stop the socket unit',
  },
  'few-descriptors': {
    levels: ['warn'],
    means: 'the listeners may have more sessions than the process may have descriptors',
    ask: 'raise `LimitNOFILE=`',
  },
  'loop-stalled': {
    levels: ['warn'],
    means: 'nothing was served for `duration_ms`',
    ask: 'the machine is overloaded, or the process was stopped',
  },
  'not-hardened': {
    levels: ['warn'],
    means: 'core dumps of the daemon could not be forbidden',
    ask: 'find out why; passwords would be in them',
  },
  'close-failed': {
    levels: ['warn'],
    means: 'something could not be closed at the end of the daemon; the rest was',
    ask: 'as `text` says',
  },
  'internal-error': {
    levels: ['error'],
    means: 'a bug of ours: the daemon closes its journal and ends with exit code 70',
    ask: 'tell us, with this line',
  },
} as const satisfies Readonly<Record<EngineCode, Meaning>> & Readonly<Record<string, Meaning>>;

/** Every word of the key `event`. */
export type LogCode = keyof typeof listed;

/** The codes in the order in which people are told of them. */
export const logCodes: Readonly<Record<LogCode, Meaning>> = listed;
