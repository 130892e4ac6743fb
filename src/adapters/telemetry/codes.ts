// The meaning of each code of log lines, and what to do: the closed list of the key `event`, and those of `type`. Other codes have their
// table where they are made, as those of `error` in domain/language/codes. docs/messages.md is generated from all. A code is never renamed
// or reused. The compiler refuses a table without one of the codes of its list.

import type { ShipFaultCode } from '../../domain/admin/door/ship-event.js';
import type { NoticeFaultCode } from '../../domain/admin/notices/fault.js';
import type { Meaning } from '../../domain/admin/now/running.js';
import { codes, plain } from '../../domain/language/codes/codes.js';
import type { ResolveFailure } from '../../gateway/lookup/resolve-user.js';
import type { EngineEvent, ExchangeCode } from '../../gateway/outcome/events.js';
import type { LogLevel } from '../../gateway/outcome/outcome.js';
import { installCommand } from '../host/optional-packages.js';

/** Outsiders who can cause its lines without end, which are limited then; else why none can, or which other limit holds. */
export type Cause = 'stranger' | 'client' | 'backend' | 'receiver' | { readonly ours: string };

const atStart = { ours: 'once at a start' };
const atEnd = { ours: 'once, at the end' };
const byReload = { ours: 'a reload, which an operator asks for' };
const byFiles = { ours: 'files that an operator replaces' };
const byClock = { ours: 'by the clock: once a day' };

/** The same for a log line, with its possible levels, and who can cause it. */
export type EventMeaning = readonly [levels: readonly LogLevel[], cause: Cause, ...Meaning];

type Table<Code extends string> = Readonly<Record<Code, Meaning>>;

/** The key `error` of completions and of lines about commands. Codes of look-ups have a list of their own. */
export const errorCodes: Readonly<Record<string, Meaning>> = Object.fromEntries(
  Object.entries(codes).map(([code, { means, ask }]) => [code, ask === '' ? [means] : [means, ask]]),
);

const authService = 'see whether the auth service runs, and its log';

/** The code after `lookup-` in the key `error`, and alone as `type` of `lookup-failing`. */
export const lookupCodes: Table<ResolveFailure> = {
  'dial-refused': ['nothing listens at its socket, or dovegate may not open it', authService],
  'dial-timeout': ['no connection or no greeting in time', authService],
  'wrong-socket': [
    'the socket is of another type than userdb',
    'name a `unix_listener` of `service auth`, userdb',
  ],
  'version-unsupported': ['no auth service, or one that we do not know', 'correct the path'],
  'wire-fault': ['what came is not of its protocol', authService],
  'closed-early': ['it ended before it answered', authService],
  'auth-failed': ['its databases do not work, or we may not ask', authService],
  'passdb-unsupported': [
    'none of its passdbs can be asked without a password',
    'route by patterns, not `passdb`',
  ],
  'bad-answer': ['an answer that is no name or no text', authService],
  'name-unaskable': ['a name that would be another one to the service', 'correct the command'],
  'reply-timeout': ['no answer in time', authService],
  'queue-full': ['too many questions wait for it', authService],
  closed: ['dovegate is stopping'],
  'alias-unnamable': [
    'an alias that `mail_users.characters` does not take',
    'correct the userdb, or that setting',
  ],
  'alias-chain': ['an alias of an alias of an alias', 'correct the userdb'],
  'users-many': ['a command with more users than are asked for', 'name fewer'],
};

/** The key `type` of `ship-away`. */
export const shipCodes: Table<ShipFaultCode> = {
  'dial-refused': [
    'no server listens at this address, there is no route to it, or the name does not exist',
    'repair the receiver, or correct its address',
  ],
  'dial-timeout': ['no connection or no TLS handshake in time', 'repair the receiver'],
  'tls-failed': ['certificate, name, pin, or a file of ours', 'correct them'],
  'closed-early': [
    'the receiver ended the connection, or it broke a bound and was disconnected: the text says which',
    "look into the receiver's log",
  ],
  stalled: ['the receiver takes no more data', 'repair the receiver'],
  'auth-rejected': [
    'the receiver does not know us',
    'correct `credentials` or `headers_file`, or the list of users there',
  ],
  'no-rights': [
    'our user may not publish to its own subject, or not ask for the last message of it',
    'give it the rights that docs/audit-fleet.md lists',
  ],
  'no-stream': [
    'there is no such stream, or it takes no direct questions',
    'make it: `dovegate audit fleet init`',
  ],
  'stream-full': ['the stream takes no more', 'raise its `max_bytes`, or give the servers more disk'],
  'wrong-sequence': [
    'the stream changes its mind about what it has; dovegate asks again',
    "look into the servers' log, if it stays",
  ],
  refused: [
    'the receiver refuses, with words of its own or another status than success',
    'look into its log',
  ],
  'file-failed': [
    'the file cannot be written, or it holds something else than records: `text` says why',
    'give its folder to the user `dovegate-ship`, make room on its disk, or name another file',
  ],
  'library-missing': [
    'the library for NATS is not installed',
    `\`${installCommand('@nats-io/transport-node')}\``,
  ],
  'journal-unreadable': ['a file of our journal cannot be read', '`dovegate audit verify`'],
  internal: ['a bug of ours', 'tell us'],
};

/** The key `type` of `notices-away`. */
export const noticeCodes: Table<NoticeFaultCode> = {
  'unknown-host': [
    'its host name is unknown, or no name server answers (ENOTFOUND)',
    'correct the host name, or repair the name server',
  ],
  'connection-refused': [
    'its host refuses the connection: nothing listens at that port (ECONNREFUSED)',
    'start the receiver, or correct its port',
  ],
  unreachable: [
    'it cannot be reached, or it ended the connection',
    'repair the receiver, or correct its address',
  ],
  timeout: ['it did not take the notice in time', 'repair the receiver'],
  'no-starttls': [
    'the mail server has no STARTTLS, and nothing is sent unencrypted',
    'switch STARTTLS on there, or name another `server`',
  ],
  'tls-failed': [
    'its certificate is not trusted, is for another name, or what came is not TLS',
    'correct `ca` or the certificate',
  ],
  redirected: ['it answers with a redirect, which is not followed', 'name the URL that it redirects to'],
  status: ['it answers with an HTTP status that is no success', 'correct the URL or the secret'],
  'not-http': ['its answer is not HTTP, or too long', 'correct the URL'],
  'mail-refused': ['the mail server does not take the mail', "look into the mail server's log"],
  unanswered: [
    'the mail server got the whole mail and did not say whether it takes it; it gets it once more later, with the same `Message-ID`',
    'look into the log of the mail server: why does it take minutes?',
  ],
  'secret-file': [
    '`secret_file` cannot be read by the user of the page, or does not hold `whsec_` and base64 of 24 to 64 bytes',
    'make one as docs/access-approve.md says',
  ],
  'ca-file': ['`ca`, or the list of authorities of the system, cannot be used', 'correct `ca`'],
  'library-missing': ['the library for mail is not installed', `\`${installCommand('nodemailer')}\``],
  'state-file': [
    'how far the receiver is cannot be read or stored; after a restart notices may come again',
    'give the user of the page its state directory (`--state`)',
  ],
  'journal-unreadable': ['a file of the journal cannot be read', '`dovegate audit verify`'],
  internal: ['a bug of ours', 'tell us'],
};

/** Codes of the engine under their own name. */
type EngineCode = Exclude<EngineEvent['kind'], 'exchange-ended' | 'login' | 'http-request'> | ExchangeCode;

const listed = {
  // commands
  exchange: [['debug', 'info'], 'client', "a command ended with the backend's own status"],
  denied: [
    ['warn'],
    'client',
    'policy refused a command; `text` says why, `id` finds its record',
    'talk to the team, or widen the policy (`dovegate explain` says what is missing)',
  ],
  unparsable: [
    ['warn'],
    'client',
    'a command could not be read exactly as its server would read it',
    'correct the command',
  ],
  limited: [
    ['warn'],
    'client',
    'a command was over a limit of its policy, or of its input',
    'wait, talk to the team, or raise the limit',
  ],
  'exchange-failed': [
    ['info', 'warn', 'error'],
    'client',
    'an allowed command got no whole answer; `backend` or `text` names the backend',
    "look into the backend's log; after `outcome: unknown` it may have run",
  ],
  'exchange-aborted': [
    ['info', 'warn'],
    'client',
    'the client left or did not read, or its input ended too soon',
  ],
  'command-overdue': [
    ['warn'],
    'client',
    'a change got no answer within its deadline and may still run; its client was answered',
    '`dovegate status` lists it, `dovegate kill ID` ends it; raise `deadline` of its rule if it takes so long',
  ],
  'backend-log': [
    ['debug', 'info', 'warn', 'error'],
    'backend',
    "a line of Dovecot's log channel, with the command that caused it; an error is of level info where the status says that its user or arguments are wrong",
    "as in Dovecot's own log",
  ],
  // sessions
  'session-opened': [['debug'], 'stranger', 'a session began'],
  'session-closed': [
    ['debug', 'warn'],
    'stranger',
    'a session ended; of level warn where `reason` is no ordinary end',
    'look the reason up; `wire-fault`: the client does not speak the protocol',
  ],
  'session-refused': [
    ['warn'],
    'stranger',
    'a client got no session: it is not among `peers`, or `sessions`, `sessions_per_peer` or the descriptors are used up',
    'talk to the team; raise the limit',
  ],
  flood: [
    ['debug', 'warn'],
    { ours: 'at most 17 a second of each `type` (gateway/outcome/journal.ts)' },
    '`count` more events within a second were not logged one by one; `type` is the `action` of the `limit` record',
    'find out who, and why',
  ],
  suppressed: [
    ['debug', 'info', 'warn', 'error'],
    { ours: 'one a second for each code and listener, backend or receiver' },
    '`count` more lines with the event `type` were not written within a second; the journal has their commands',
    'find out which client, backend or receiver causes them',
  ],
  'login-failed': [
    ['warn'],
    'stranger',
    'a login was refused: `type` says why, `account` and `address` who; `why`: of a key (expired, replaced, address, name)',
    'correct the name, password or certificate of the client; block an address with many attempts: it guesses',
  ],
  'page-refused': [
    ['warn'],
    'stranger',
    'a request to the page was refused: `type` says why, `address` and `text` who',
    'block an address with many attempts: it guesses; if a link was used twice, ask its person who else has it',
  ],
  'page-opened': [['info'], byReload, 'the page has the settings of the daemon, and serves its sockets'],
  'notices-away': [
    ['warn'],
    'receiver',
    'the receiver `sink` does not take notices; it is tried again, and logged when the code changes',
    'as the code says',
  ],
  'notices-back': [['info'], 'receiver', 'a receiver takes notices again'],
  'stamps-away': [
    ['warn'],
    'receiver',
    'no time stamp was taken; it is tried again, and logged when the code changes',
    'as the code says',
  ],
  'stamps-not-sent': [
    ['warn'],
    'receiver',
    'the receiver `sink` gets no time stamps, which verifiers keep copies of: `text` says why; records go there all the same',
    'give the host its rights (`dovegate audit fleet init --print`), or its folder of stamps to `dovegate-ship`',
  ],
  'stamps-taken': [['info'], 'receiver', 'the stamp of a day was stored'],
  'notices-again': [
    ['warn'],
    'receiver',
    'the position of a receiver was lost (another journal, a cut or restored one, or an older state), so notices younger than a day are sent again',
    'nothing; a repeated notice has the same `webhook-id`',
  ],
  'notices-dropped': [
    ['warn'],
    'receiver',
    '`count` notices were dropped because they were older than a day; the receiver got one notice about it',
    'read the events of that time in the journal',
  ],
  'door-away': [
    ['warn'],
    { ours: 'once each time the daemon goes' },
    'the page, or `dovegate ship`, cannot ask the daemon: `text` says why; it tries again each half second',
    'systemctl status dovegate',
  ],
  'secret-unsafe': [
    ['warn'],
    { ours: 'once for each file, at a start of the page and after a reload' },
    'other users can read or change a secret file of the page or of `dovegate ship`; it is used all the same; `text` names it',
    'run the command in `text`, and replace the secret if somebody may have read it',
  ],
  'issuer-away': [
    ['warn'],
    { ours: 'once for each fault, while somebody signs in' },
    'the page cannot ask the issuer of `admin.page.oidc`: `text` says why; other ways to sign in work',
    'repair the issuer, the network, or the settings',
  ],
  'issuer-back': [
    ['info'],
    { ours: 'once after each `issuer-away`, when somebody signs in' },
    'the issuer of `admin.page.oidc` can be asked again',
  ],
  // upstreams and backends
  'upstream-opened': [['info'], 'backend', 'a backend was dialled and greeted us'],
  'upstream-closed': [['info'], 'backend', 'an upstream was closed; `reason` says why'],
  'password-unread': [
    ['warn'],
    'backend',
    'a file in `password_file` cannot be read; `text` has its path and the reason; the other files are tried',
    'fix the file, or remove it from `password_file`',
  ],
  'backend-newer': [
    ['warn'],
    'backend',
    'a backend announced a newer minor of the protocol than this dovegate knows; `newer` says what it gets',
    'upgrade dovegate; [a newer Dovecot](upgrade.md#a-newer-dovecot)',
  ],
  'dial-failed': [
    ['error', 'debug'],
    'backend',
    'a connection to a backend could not be made: `text` says to which one and why; later failures have level debug',
    'correct certificate, password or address, or repair the backend',
  ],
  'backend-down': [
    ['error'],
    'backend',
    'nothing of a backend lives; its commands are refused at once until it is back, which is found out by itself',
    'as `dial-failed`',
  ],
  'backend-up': [['warn'], 'backend', 'a backend that was down is back'],
  'lookup-failing': [
    ['error'],
    'backend',
    "Dovecot's auth service does not answer; commands that need it are refused",
    'see whether it runs, and whether its socket is of type userdb and may be opened',
  ],
  'lookup-working': [['info'], 'backend', 'the auth service answers again'],
  // records: the journal, its files and memory, receivers
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
  'lock-damaged': [
    ['error'],
    { ours: 'at a start, once for each such lock' },
    'a record of a lock or hold was changed or invented: `text` says what of it cannot be read, and whether it is in force',
    '`dovegate status`; lock again what must be stopped, then lift the damaged one by its id',
  ],
  'locks-kept': [
    ['warn'],
    { ours: 'at most once for each start, and for each change of a lock' },
    'the journal had lost records of locks, which begin anew from `state`; or `state` cannot be read or written',
    '`dovegate status`, and lift those that are over; make `state` writable',
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
  'ship-refused': [
    ['error'],
    'receiver',
    'a collector took the rest of some requests, and refused `count` records; OpenTelemetry forbids to send these again',
    "look into the collector's log; the records are in the journal",
  ],
  'ship-restarted': [
    ['error'],
    'receiver',
    'records are sent again: the journal is another one, or the receiver has lost what it had',
    '`dovegate audit verify`, and compare with what the receiver has',
  ],
  'mirrored-refused': [
    ['error'],
    'receiver',
    'the last line by which a verifier says what it has mirrored does not count, or cannot be asked for; the gate keeps its records',
    'look who may publish to the subject that `text` names, and compare `audit.ship[].verifiers` with `checkpoint.pub` of the verifier',
  ],
  'ship-absent': [
    ['warn'],
    { ours: 'when nobody ships for 30 s' },
    'receivers are configured, and `dovegate ship` does not ask what to send; records wait on disk',
    '`systemctl start dovegate-ship.path`, or start `dovegate ship` beside the daemon',
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
    ['error', 'warn'],
    'receiver',
    'how far a receiver was served cannot be written; after a restart more is sent again. warn: of the daemon, which lets no record go',
    'make `/var/lib/dovegate-ship`, or `state` of the daemon, writable',
  ],
  // the daemon itself
  started: [['info'], atStart, 'listeners are bound, commands are served'],
  stopping: [['info'], atEnd, 'new clients are not accepted; running commands may finish'],
  stopped: [['info'], atEnd, 'all sessions ended'],
  operator: [
    ['info'],
    { ours: 'operators and people who have signed in; each line has a record' },
    'an operator did something; `text` says who and what',
  ],
  reloaded: [['info'], byReload, 'a new configuration is served'],
  'reload-failed': [
    ['error'],
    byReload,
    'the configuration has problems, or could not be put in force; the old one is served',
    'correct what `text` says, reload again',
  ],
  'last-served': [
    ['error'],
    atStart,
    'the file has problems, so what was served before is served; what the file denies since then may still be allowed',
    'correct what `text` says, then `dovegate reload`',
  ],
  'reload-unfinished': [
    ['warn'],
    byReload,
    'the new configuration is in force, and a step after the switch failed',
    'look at what `text` says; a restart does the step again',
  ],
  'restart-needed': [
    ['warn'],
    byReload,
    'a setting changed that is read at a start only',
    'restart when it suits',
  ],
  'certificate-replaced': [
    ['info'],
    byFiles,
    "the files of a listener's certificate changed; new sessions get what they hold now, and those of an authority that is gone end",
  ],
  'certificate-kept': [
    ['error'],
    byFiles,
    "the files of a listener's certificate changed and cannot be used; the old one is kept",
    'put certificate and key there that belong together',
  ],
  'certificate-expires': [
    ['warn', 'error'],
    byClock,
    'the certificate of a listener, a backend or a receiver, one shown to a receiver, or of an authority of clients, ends soon, or has (error)',
    'renew it',
  ],
  'key-expires': [
    ['warn', 'error'],
    byClock,
    'a key of an HTTP listener ends soon, or has (error); `key` is its name',
    'make another one (`dovegate key new`), give its program that, and replace the hash',
  ],
  'configuration-warning': [
    ['warn'],
    atStart,
    'the configuration is served, and something in it is doubtful; `text` is what `check` prints',
    'as it says',
  ],
  'not-configured': [
    ['error', 'warn'],
    { ours: 'by the clock: one each 10 s' },
    'problems in the file at the start, and nothing from before to serve: clients are refused; of level warn: how many (`count`)',
    '`dovegate check`; a repaired file is served within 10 s, or by `dovegate reload`',
  ],
  configured: [
    ['info'],
    atStart,
    'the configuration that had problems at the start is good now; the daemon goes into service',
  ],
  'start-failed': [['error'], atStart, 'it did not start', 'as `text` says'],
  'listen-failed': [
    ['error'],
    atStart,
    'it did not start: a socket could not be made or taken',
    'as `text` says: path, rights, or who has it',
  ],
  'accept-failed': [
    ['error'],
    'stranger',
    'a listening socket had an error, or did not get its new mode or owner; it goes on as it was',
    'as `text` says; a reload tries mode and owner again',
  ],
  'admin-failed': [
    ['error'],
    'client',
    'an admin endpoint could not answer; commands are not touched',
    'as `text` says',
  ],
  'socket-unused': [
    ['warn'],
    atStart,
    'a socket that systemd handed over has no listener; clients of it wait for ever',
    'add the listener, or stop the socket unit',
  ],
  'user-moved': [
    ['warn'],
    atStart,
    'a user in `persons` has another uid than before; all of them count as that person',
    'find out whether it is the same human, then `dovegate confirm NAME`; else give `persons` another name',
  ],
  'users-unwritten': [
    ['warn'],
    atStart,
    'the uids of the users in `persons` could not be written into the state directory',
    'as `text` says; a start without the directory service would not know them',
  ],
  'few-descriptors': [
    ['warn'],
    atStart,
    'the listeners may have more sessions than the process may have descriptors',
    'raise `LimitNOFILE=`',
  ],
  'loop-stalled': [
    ['warn'],
    'client',
    'nothing was served for `duration_ms`',
    'the machine is overloaded, or the process was stopped',
  ],
  'not-hardened': [
    ['warn'],
    atStart,
    'core dumps of the daemon could not be forbidden',
    'find out why; passwords would be in them',
  ],
  'close-failed': [
    ['warn'],
    atEnd,
    'something could not be closed at the end of the daemon; the rest was',
    'as `text` says',
  ],
  'internal-error': [
    ['error'],
    { ours: 'it ends the daemon' },
    'a bug of ours: the daemon closes its journal and ends with exit code 70',
    'tell us, with this line',
  ],
} as const satisfies Readonly<Record<string, EventMeaning>> & Readonly<Record<EngineCode, EventMeaning>>;

export type LogCode = keyof typeof listed;

/** In the order of the documentation. */
export const logCodes: Readonly<Record<LogCode, EventMeaning>> = listed;

/** For people. A code that no table has is not shown: it could be anybody's word. */
export function meaningIn(table: Readonly<Record<string, Meaning>>, code: string): Meaning {
  const [means, ask] = (Object.hasOwn(table, code) ? table[code] : undefined) ?? ['it failed'];
  return ask === undefined ? [plain(means)] : [plain(means), plain(ask)];
}
