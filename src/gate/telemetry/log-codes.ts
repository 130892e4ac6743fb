// The meaning of each code of log lines, and what to do: the closed list of the key `event`. docs/messages.md is generated from it. A code
// is never renamed or reused. The compiler refuses a table without one of the engine's codes.

import type { Meaning } from '../now/running.js';
import type { EngineEvent, ExchangeCode } from '../outcome/events.js';
import type { LogLevel } from '../outcome/outcome.js';

type EventMeaning = readonly [levels: readonly LogLevel[], ...Meaning];

type EngineCode = Exclude<EngineEvent['kind'], 'exchange-ended' | 'login' | 'http-request'> | ExchangeCode;

const listed = {
  // commands
  exchange: [['debug', 'info'], "a command ended with the backend's own status"],
  denied: [
    ['warn'],
    'policy refused a command; `text` says why, `id` finds its record',
    'talk to the team, or widen the policy (`dovegate explain` says what is missing)',
  ],
  unparsable: [
    ['warn'],
    'a command could not be read exactly as its server would read it',
    'correct the command',
  ],
  limited: [
    ['warn'],
    'a command was over a limit of its policy, or of its input',
    'wait, talk to the team, or raise the limit',
  ],
  'exchange-failed': [
    ['info', 'warn', 'error'],
    'an allowed command got no whole answer; `backend` or `text` names the backend',
    "look into the backend's log; after `outcome: unknown` it may have run",
  ],
  'exchange-aborted': [['info', 'warn'], 'the client left or did not read, or its input ended too soon'],
  'command-overdue': [
    ['warn'],
    'a change got no answer within its deadline and may still run; its client was answered',
    '`dovegate status` lists it, `dovegate kill ID` ends it; raise `deadline` of its rule if it takes so long',
  ],
  'backend-log': [
    ['debug', 'info', 'warn', 'error'],
    "a line of Dovecot's log channel, with the command that caused it; an error is of level info where the status says that its user or arguments are wrong",
    "as in Dovecot's own log",
  ],
  // sessions
  'session-opened': [['debug'], 'a session began'],
  'session-closed': [
    ['debug', 'warn'],
    'a session ended; of level warn where `reason` is no ordinary end',
    'look the reason up; `wire-fault`: the client does not speak the protocol',
  ],
  'session-refused': [
    ['warn'],
    'a client got no session: it is not among `peers`, or `sessions`, `sessions_per_peer` or the descriptors are used up',
    'talk to the team; raise the limit',
  ],
  flood: [
    ['debug', 'warn'],
    '`count` more events within a second were not logged one by one; `type` is the `action` of the `limit` record',
    'find out who, and why',
  ],
  suppressed: [
    ['debug', 'info', 'warn', 'error'],
    '`count` more lines with the event `type` were not written within a second; the journal has their commands',
    'find out which client, backend or receiver causes them',
  ],
  'login-failed': [
    ['warn'],
    'a login was refused: `type` says why, `account` and `address` who; `why`: of a key (expired, replaced, address, name)',
    'correct the name, password or certificate of the client; block an address with many attempts: it guesses',
  ],
  'page-refused': [
    ['warn'],
    'a request to the page was refused: `type` says why, `address` and `text` who',
    'block an address with many attempts: it guesses; if a link was used twice, ask its person who else has it',
  ],
  'page-opened': [['info'], 'the page has the settings of the daemon, and serves its sockets'],
  'notices-away': [
    ['warn'],
    'the receiver `sink` does not take notices; it is tried again, and logged when the code changes',
    'as the code says',
  ],
  'notices-back': [['info'], 'a receiver takes notices again'],
  'notices-again': [
    ['warn'],
    'the position of a receiver was lost (another journal, a cut or restored one, or an older state), so notices younger than a day are sent again',
    'nothing; a repeated notice has the same `webhook-id`',
  ],
  'notices-dropped': [
    ['warn'],
    '`count` notices were dropped because they were older than a day; the receiver got one notice about it',
    'read the events of that time in the journal',
  ],
  'door-away': [
    ['warn'],
    'the page, or `dovegate ship`, cannot ask the daemon: `text` says why; it tries again each half second',
    'systemctl status dovegate',
  ],
  'secret-unsafe': [
    ['warn'],
    'other users can read or change a secret file of the page or of `dovegate ship`; it is used all the same; `text` names it',
    'run the command in `text`, and replace the secret if somebody may have read it',
  ],
  'issuer-away': [
    ['warn'],
    'the page cannot ask the issuer of `admin.page.oidc`: `text` says why; other ways to sign in work',
    'repair the issuer, the network, or the settings',
  ],
  'issuer-back': [['info'], 'the issuer of `admin.page.oidc` can be asked again'],
  // upstreams and backends
  'upstream-opened': [['debug'], 'a backend was dialled and greeted us'],
  'upstream-closed': [['debug'], 'an upstream was closed; `reason` says why'],
  'password-unread': [
    ['warn'],
    'a file in `password_file` cannot be read; `text` has its path and the reason; the other files are tried',
    'fix the file, or remove it from `password_file`',
  ],
  'backend-newer': [
    ['warn'],
    'a backend announced a newer minor of the protocol than this dovegate knows; `newer` says what it gets',
    'upgrade dovegate; [a newer Dovecot](upgrade.md#a-newer-dovecot)',
  ],
  'dial-failed': [
    ['error', 'debug'],
    'a connection to a backend could not be made: `text` says to which one and why; later failures have level debug',
    'correct certificate, password or address, or repair the backend',
  ],
  'backend-down': [
    ['error'],
    'nothing of a backend lives; its commands are refused at once until it is back, which is found out by itself',
    'as `dial-failed`',
  ],
  'backend-up': [['warn'], 'a backend that was down is back'],
  'backend-removed': [['warn'], 'a reload took a backend out of the configuration that was down'],
  'lookup-failing': [
    ['error'],
    "Dovecot's auth service does not answer; commands that need it are refused",
    'see whether it runs, and whether its socket is of type userdb and may be opened',
  ],
  'lookup-working': [['info'], 'the auth service answers again'],
  // records: the journal, its files and memory, receivers
  'audit-failed': [
    ['error'],
    'records do not reach the disk (in time); what `audit.strict` names is refused, and after an error all',
    'free the disk, or give the directory back',
  ],
  'audit-writable': [['info'], 'records reach the disk again'],
  'audit-lost': [
    ['error'],
    'records were lost: `audit.memory` was full (their commands were refused, or had ended) or damaged',
    'free the disk; `count` says how many',
  ],
  'audit-left': [
    ['warn'],
    'the daemon stopped, and its last records are in `audit.memory` only: the next start with this `audit.directory` writes them',
    'free the disk, and start it before the machine is shut down; `count` says how many',
  ],
  'audit-reserve': [
    ['error'],
    'the disk is full but for `audit.reserve`, or smaller than it, or `audit.max_size` is reached within `audit.keep_min`: only rules with `emergency` are served',
    'free the disk, lower `reserve` or raise `max_size`, as `text` says; it is noticed within seconds',
  ],
  'audit-filling': [
    ['info', 'warn'],
    'the records of the last `audit.keep_min` fill 80 % of `audit.max_size`; `text` names the largest writers, which are refused first (level info: it is over)',
    'find out what they do in a loop, raise `max_size`, or lower `keep_min`',
  ],
  'audit-begun': [
    ['warn'],
    'a new journal begins, since nothing of an earlier one is in `audit.directory`; `text` names the directory before, if `state` knows one',
    'at a first start nothing; else stop it, mount the disk of the journal, and start it',
  ],
  'audit-key-made': [
    ['info'],
    'the first start made the key that signs the journal, in `state`; `text` names its public half',
    'keep a copy of `key.pub` elsewhere',
  ],
  'audit-key-changed': [
    ['error'],
    'the key that signed the journal is gone or was replaced; the new one is recorded as `key-change`',
    'find out who changed it; then `dovegate audit verify --accept-key`',
  ],
  'audit-memory': [
    ['info', 'warn', 'error'],
    '`type` none: without `audit.memory` every command waits for the disk; left: what the last run left is gone or damaged; kept: it was of another journal',
    'none: make its directory, or room, and restart; left: `audit verify`; look who touched the file; kept: start that journal once, before a shutdown',
  ],
  'audit-damaged': [
    ['error'],
    'the journal is not what its last checkpoint says: its end (`type` cut, rewritten, changed, unvouched, gap) or its beginning (removed); the `start` record says it too',
    '`dovegate audit verify`; compare with what a receiver has',
  ],
  'journal-appended': [
    ['error'],
    'lines were appended to the journal after the run before had ended; they were moved to `SEGMENT.appended`, and none is signed',
    'find out who can write to the directory; `dovegate audit verify`',
  ],
  'access-ended': [
    ['warn'],
    'all requests and grants of access ended, because the journal is not the one that this host signed last; `text` says how it differs',
    'find out who changed the journal, the key or `state`; the requesters ask again',
  ],
  'audit-recovered': [
    ['info'],
    'what a crash left was put in order: records of `audit.memory` are on disk, open commands are `unknown`, torn bytes lie aside',
  ],
  'audit-checkpoint': [['info'], 'the checkpoint as it was recorded', 'keep it elsewhere'],
  'audit-retired': [['info'], 'old segments were removed'],
  'audit-not-tended': [
    ['warn'],
    'segments could not be compressed or retired; it is tried again',
    '`text` names the file: `dovegate audit verify`, or free the disk',
  ],
  'audit-unshipped': [
    ['error'],
    'records were retired before every receiver had them (`audit.unshipped_max`)',
    'they are gone there; the gap shows in what it stored',
  ],
  'lock-damaged': [
    ['error'],
    'a record of a lock or hold was changed or invented, `state` has it otherwise, there is no place for it, or no signature vouches for its lift: `text` says which, and whether it is in force',
    '`dovegate status`; lock again what must be stopped, then lift the damaged one by its id',
  ],
  'locks-kept': [
    ['warn'],
    'the journal had lost records of locks, which begin anew from `state`; or `state` cannot be read or written',
    '`dovegate status`, and lift those that are over; make `state` writable',
  ],
  'limits-not-rebuilt': [
    ['warn'],
    'not all of the last hour could be read at the start, so limits may be too lenient',
    '`dovegate audit verify`',
  ],
  'ship-connected': [['info'], 'records go to a receiver'],
  'ship-away': [
    ['error'],
    'records cannot be sent to a receiver, and `lag` of them wait; commands go on',
    'correct certificate or name, or repair the receiver',
  ],
  'ship-missing': [
    ['error'],
    'a receiver will never get some records: they were retired before, or are damaged',
    'they are gone there; the gap shows in what it stored',
  ],
  'ship-refused': [
    ['error'],
    'a collector took the rest of some requests, and refused `count` records; OpenTelemetry forbids to send these again',
    "look into the collector's log; the records are in the journal",
  ],
  'ship-restarted': [
    ['error'],
    'records are sent again: the journal is another one, or the receiver has lost what it had',
    '`dovegate audit verify`, and compare with what the receiver has',
  ],
  'ship-conflict': [
    ['error'],
    'a store has names or bytes that are not of this journal: another program, or somebody with the credentials of this host, put them there; records go on',
    'look who may write below the folder of this host; `dovegate audit fleet verify` says what was put there',
  ],
  'ship-absent': [
    ['warn'],
    'receivers are configured, and `dovegate ship` does not ask what to send; records wait on disk',
    '`systemctl start dovegate-ship.path`, or start `dovegate ship` beside the daemon',
  ],
  'audit-forked': [
    ['error'],
    'the store holds another journal under the id of this one (a copied machine, a disk that was put back): no more of it is sent; commands go on',
    'find out who else writes it; then stop dovegate, move `audit.directory` and `audit-end.json` of `state` away, start: a new journal begins',
  ],
  'ship-damaged': [
    ['error'],
    'a file of the journal is damaged, so its records are not sent',
    '`dovegate audit verify`',
  ],
  'ship-position-failed': [
    ['error', 'warn'],
    'how far a receiver was served cannot be written; after a restart more is sent again. warn: of the daemon, which lets no record go',
    'make `/var/lib/dovegate-ship`, or `state` of the daemon, writable',
  ],
  // the daemon itself
  started: [['info'], 'listeners are bound, commands are served'],
  stopping: [['info'], 'new clients are not accepted; running commands may finish'],
  stopped: [['info'], 'all sessions ended'],
  operator: [['info'], 'an operator did something; `text` says who and what'],
  reloaded: [['info'], 'a new configuration is served'],
  'reload-failed': [
    ['error'],
    'the configuration has problems, or could not be put in force; the old one is served',
    'correct what `text` says, reload again',
  ],
  'last-served': [
    ['error'],
    'the file has problems, so what was served before is served; what the file denies since then may still be allowed',
    'correct what `text` says, then `dovegate reload`',
  ],
  'reload-unfinished': [
    ['warn'],
    'the new configuration is in force, and a step after the switch failed',
    'look at what `text` says; a restart does the step again',
  ],
  'restart-needed': [['warn'], 'a setting changed that is read at a start only', 'restart when it suits'],
  'certificate-replaced': [
    ['info'],
    "the files of a listener's certificate changed; new sessions get what they hold now, and those of an authority that is gone end",
  ],
  'certificate-kept': [
    ['error'],
    "the files of a listener's certificate changed and cannot be used; the old one is kept",
    'put certificate and key there that belong together',
  ],
  'certificate-expires': [
    ['warn', 'error'],
    'the certificate of a listener, a backend or a receiver, one shown to a receiver, or of an authority of clients, ends soon, or has (error)',
    'renew it',
  ],
  'key-expires': [
    ['warn', 'error'],
    'a key of an HTTP listener ends soon, or has (error); `key` is its name',
    'make another one (`dovegate key new`), give its program that, and replace the hash',
  ],
  'configuration-warning': [
    ['warn'],
    'the configuration is served, and something in it is doubtful; `text` is what `check` prints',
    'as it says',
  ],
  'not-configured': [
    ['error', 'warn'],
    "problems in the file at the start, and nothing from before to serve, or a start that failed: clients of systemd's sockets are refused, and the process ends after 30 s, to be started again; of level warn: how many (`count`)",
    '`dovegate check`; then `systemctl restart dovegate`',
  ],
  'start-failed': [['error'], 'it did not start', 'as `text` says'],
  'listen-failed': [
    ['error'],
    'it did not start: a socket could not be made or taken',
    'as `text` says: path, rights, or who has it',
  ],
  'accept-failed': [
    ['error'],
    'a listening socket had an error, or did not get its new mode or owner; it goes on as it was',
    'as `text` says; a reload tries mode and owner again',
  ],
  'admin-failed': [
    ['error'],
    'an admin endpoint could not answer; commands are not touched',
    'as `text` says',
  ],
  'socket-unused': [
    ['warn'],
    'a socket that systemd handed over has no listener; clients of it wait for ever',
    'add the listener, or stop the socket unit',
  ],
  'user-moved': [
    ['warn'],
    'a user in `persons` has another uid than before; all of them count as that person',
    'find out whether it is the same human, then `dovegate confirm NAME`; else give `persons` another name',
  ],
  'users-unwritten': [
    ['warn'],
    'the uids of the users in `persons` could not be written into the state directory',
    'as `text` says; a start without the directory service would not know them',
  ],
  'few-descriptors': [
    ['warn'],
    'the listeners may have more sessions than the process may have descriptors',
    'raise `LimitNOFILE=`',
  ],
  'loop-stalled': [
    ['warn'],
    'nothing was served for `duration_ms`',
    'the machine is overloaded, or the process was stopped',
  ],
  'not-hardened': [
    ['warn'],
    'core dumps of the daemon could not be forbidden',
    'find out why; passwords would be in them',
  ],
  'close-failed': [
    ['warn'],
    'something could not be closed at the end of the daemon; the rest was',
    'as `text` says',
  ],
  'internal-error': [
    ['error'],
    'a bug of ours: the daemon closes its journal and ends with exit code 70',
    'tell us, with this line',
  ],
} as const satisfies Readonly<Record<string, EventMeaning>> & Readonly<Record<EngineCode, EventMeaning>>;

export type LogCode = keyof typeof listed;

/** In the order of the documentation. */
export const logCodes: Readonly<Record<LogCode, EventMeaning>> = listed;
