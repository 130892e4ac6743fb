// Every code with which dovegate explains an answer to a client, in one table: the sentence, the status, what a program may do next, and
// what operators read in docs/messages.md. And the line that carries a code:
//
//     dovegate: denied by policy support (no rule allows "mailbox delete") [denied], id 01KDYAK3487FXJ0FWSFTT3D0WN
//     dovegate: over the rate of policy support (20/minute) [over-limit], try again in 5 s, id 01KDYAK3487FXJ0FWSFTT3D0WN
//
// Programs decide by the code, never by the sentence. Without a code, and with an unknown one, the command may have run. Codes are never
// renamed or used for something else: journals, dashboards and programs hold them.

export type Repeat =
  /** Nothing ran; it may succeed later. */
  | 'safe'
  /** Nothing ran; it would fail again. */
  | 'useless'
  /** It may have run, wholly or in part. */
  | 'unsafe';

export interface CodeRow {
  /** Word of the status line, without the dash; '': the backend's own, or none. `HTTP 400`: a refused request. */
  readonly status:
    | 'NOPERM'
    | 'NOUSER'
    | 'USAGE'
    | 'TEMPFAIL'
    | 'DATAERR'
    | 'NOTFOUND'
    | ''
    | `HTTP ${number}`;
  readonly repeat: Repeat;
  /** `{name}` stands for a value. */
  readonly sentence: string;
  readonly means: string;
  readonly ask: string;
}

function passing(sentence: string, means: string, ask = ''): CodeRow {
  return { status: 'TEMPFAIL', repeat: 'safe', sentence, means, ask };
}

function refused(status: CodeRow['status'], sentence: string, means: string, ask = ''): CodeRow {
  return { status, repeat: 'useless', sentence, means, ask };
}

function unread(means: string, ask = readAgain): CodeRow {
  return refused('USAGE', 'not understood, so not sent: {reason}', means, ask);
}

function open(sentence: string, means: string, ask = '', status: CodeRow['status'] = 'TEMPFAIL'): CodeRow {
  return { status, repeat: 'unsafe', sentence, means, ask };
}

const readAgain = 'correct the command; `dovegate explain` shows how it is read';
const backendLog = "look into the backend's log";

const away = 'backend {backend} is not reachable ({reason})';
const nonsense = 'backend {backend} sent what is not of the protocol ({reason})';

const table = {
  // not understood
  'command-unknown': unread('no such command in the series of its backend'),
  'unknown-option': unread('an option that the command does not have'),
  'abbreviated-option': unread('a long option that is not written out', 'write it out'),
  'value-not-taken': unread('a value for an option that takes none'),
  'value-missing': unread('an option without its value'),
  'value-type': unread('a parameter by name with a value of another type'),
  'repeated-option': unread('an option twice, of which servers take one or the other'),
  'surplus-argument': unread('more arguments than the command takes'),
  'argument-missing': unread('an argument is missing'),
  'number-invalid': unread('a number that a server would read otherwise, or die of'),
  'ambiguous-argument': unread('an argument that servers read in more than one way'),
  'text-invalid': unread('bytes that are no UTF-8, or characters that servers change'),
  'fields-invalid': unread('fetch or status fields that do not exist'),
  'query-invalid': unread('a search query that servers refuse or read otherwise'),
  'user-invalid': unread('a user name outside of `mail_users.characters`, or `-u` that names another'),
  'user-unknown': refused(
    'NOUSER',
    'no such user: {reason}',
    'over HTTP: a user name outside of `mail_users.characters`, which can be no user; Dovecot answers the same',
    'correct the name',
  ),
  'user-surplus': unread('`-u` was given, but the command only concerns the client itself', 'leave it out'),
  'too-long': unread(
    'a user name or mask above 320 bytes, or a mailbox name or pattern above 1 KiB',
    'shorten it',
  ),
  'too-many': unread(
    'more users, masks, fields or flags than one command line may name, or above 16 KiB of arguments of a command that reads content',
    'use several commands, or raise `limits.users`',
  ),
  'line-too-long': refused(
    'USAGE',
    'the command line is longer than {limit} bytes (limits.line): nothing was sent, and the session ends',
    'a command line above `limits.line`; the rest of it was dropped',
    'use several commands, or raise `limits.line`, up to 878KiB',
  ),
  'line-no-room': passing(
    'the unfinished command lines of this client take too much memory (limits.buffered): nothing was sent, and the session ends; try again',
    'what this client began to send and did not finish takes its share of `limits.buffered`',
    'send fewer long lines at once, or raise `limits.buffered`',
  ),
  'kills-server': unread('a command of which a server process dies', 'ask otherwise'),
  'series-differ': unread(
    'Dovecot 2.3 and 2.4 read it differently, and which one the backend is, is not known yet',
    'ask again once the backend was reached, or set `series`',
  ),
  'backends-differ': unread(
    'the backends that it goes to would read it, or be allowed it, differently',
    'ask one backend: give the command a line in `server_commands`',
  ),
  'all-users-series': unread(
    'a command for all users that could reach a Dovecot 2.3, which has none',
    'ask user by user, or through backends of 2.4 only',
  ),
  'backend-newer': refused(
    'NOPERM',
    'not sent: {reason}',
    'a change, and a Dovecot with a newer minor of the protocol than this dovegate knows',
    'upgrade dovegate, or set `newer: serve` of that backend',
  ),
  'release-unsure': refused(
    'USAGE',
    'not sent: {reason}',
    'a word of which a process of some releases dies, and the release of the backend is older or not known',
    'set `release` of that backend if its release is newer',
  ),
  'input-for-all': unread(
    'a command with input (`save`) for all users; its input goes to one backend only',
    'name one user',
  ),
  'cells-unknown': unread(
    'a client of Dovecot 2.3 asks for the user in front of each row, and the number of cells in a row of this reply is not known',
    'leave `-A` and the wildcard of `-u` out',
  ),
  'not-over-http': refused(
    'USAGE',
    'not available over HTTP: {reason}',
    'a command whose columns are not known, or a change for a mask of users',
    'send it over the doveadm protocol; a change for several users, user by user',
  ),
  'no-server-route': unread(
    'a server command that changes something, and several backends',
    'give it a line in `server_commands`',
  ),
  'no-single-user': unread(
    'it goes where its users live, and names none, or a mask',
    'name users, or give it a line in `server_commands`',
  ),
  'several-backends': unread('its users live on several backends', 'ask for those of one at a time'),
  // refused before anything was sent
  denied: refused(
    'NOPERM',
    'denied by policy {policy} ({reason})',
    'policy does not allow it (records have no `error` then, and say by `denial` what for)',
    '`dovegate explain` shows what is missing',
  ),
  'on-request': refused(
    'NOPERM',
    'denied by policy {policy}; available on request: {request}',
    'policy does not allow it, and an approver can, for a time',
    'run the command that the sentence names, with a reason',
  ),
  'grant-over': refused(
    'NOPERM',
    'the grant {reason} ended, or has no use left',
    'a grant allowed it, and ended before the command was sent: its time is over, its uses are used up, or it was revoked',
    'ask for access again',
  ),
  locked: refused(
    'NOPERM',
    '{target} is locked by {by} until {until}: {reason}',
    'an operator stopped this person, key, listener, backend or mail user for a time; the completion has the id of the `lock`',
    'ask the operator that the sentence names; `dovegate unlock` lifts it',
  ),
  'lock-unread': refused(
    'NOPERM',
    'the record of lock {lock} is damaged, and does not say whom it stops: nothing is changed or destroyed until an operator lifts it',
    'the journal was changed; reads go on, and the completion has the id of the `lock`',
    'find out what it stopped (`dovegate audit search --kind operator`), lock that, and lift it with `dovegate unlock ID`',
  ),
  held: refused(
    'NOPERM',
    '{target} is held by {by} since {since}, reason: {reason}; {why}',
    'an operator holds the mailbox: no command that could destroy, hide, move or change its mail; the completion has the id of the `lock`',
    'ask the operator that the sentence names; two persons lift it with `dovegate unlock`, the second within a day',
  ),
  'access-denied': refused(
    'NOPERM',
    'not permitted: {reason}',
    'a step of access on request that this person, or anybody, may not do; or a report for an owner that this key may not ask for',
    'ask another approver; `persons` and `approve` of the policies say who may',
  ),
  'access-unknown': refused(
    'NOTFOUND',
    'no such request: {reason}',
    'no request or grant has that id, or it belongs to somebody else',
    '`dovegate requests` lists those that you may see',
  ),
  'access-invalid': refused(
    'USAGE',
    'not accepted: {reason}',
    'a request, an approval or a grant that names what cannot be, or more than its rule offers; or a report of no user',
    'correct what the sentence names, or ask for less: shorter, fewer uses, named users',
  ),
  'access-identity': passing(
    'not now, since nobody knows who you are: {reason}; try again',
    'a request that needs an approval, or an approval, while it is unknown which human asks: a directory (LDAP, SSSD) does not answer',
    'wait for the directory; `dovegate status` names users of `persons` whose uid was never known',
  ),
  'access-limit': passing(
    'not now: {reason}',
    'a limit on requests, on grants, or on tokens for reports',
    'wait, or end requests that are not needed with `dovegate revoke`',
  ),
  'access-changed': passing(
    'not done: {reason}',
    'something changed since the request was shown',
    'look again',
  ),
  'access-unrecorded': passing(
    'the journal did not take it: {reason}',
    'requests and approvals count once their record is on disk; an end counts at once',
    'as for the event `audit-failed`',
  ),
  'over-limit': passing(
    'over {limit}',
    'over a rate, a limit or `distinct_users` of the policy',
    'wait, or raise the limit',
  ),
  'limits-full': passing(
    'no room to count this requester for {limit}; try again',
    'dovegate counts as many requesters as it can, and has no room to count this one',
    'wait: a counter becomes free with time; find out who asks under so many names',
  ),
  'audit-failed': passing(
    'the audit record could not be written',
    'its record could not be written, so it was not sent',
    'as for the event `audit-failed`',
  ),
  'audit-reserve': refused(
    'TEMPFAIL',
    'the disk of the audit records is full: only commands for emergencies are served',
    'the disk of the records is full but for its reserve, or the records have reached `audit.max_size` within `audit.keep_min`',
    'free the disk, or raise `max_size`; rules with `emergency: true` are served',
  ),
  'audit-share': refused(
    'TEMPFAIL',
    'the audit journal is nearly full, and most of it comes from this account: send fewer commands, or ask the operators to raise audit.max_size',
    'the records of the last `audit.keep_min` fill 80 % of `audit.max_size` or more, and this requester wrote more of them than it may then',
    'find out what it does in a loop, raise `max_size`, or lower `keep_min`; rules with `emergency: true` are served',
  ),
  'backend-drained': passing(
    'backend {backend} is drained; try again when it is back in service',
    'an operator or the configuration took the backend out of service',
    '`dovegate backend enable NAME`, or `drained: false`',
  ),
  draining: passing(
    'dovegate is stopping; try again',
    'dovegate is stopping; the client reads `outcome-unknown` where it had been sent',
    'ask again',
  ),
  'no-route': refused(
    'TEMPFAIL',
    '{reason}',
    'no backend for this user, or not the one that it was judged for',
    'add a route',
  ),
  'changed-meanwhile': passing(
    'the configuration or the backend changed while the command waited; try again',
    'while the command waited, a reload changed its policy, or its backend was upgraded to another Dovecot series',
    'ask again',
  ),
  'queue-full': passing(
    'too many commands are waiting; try again',
    'as many commands wait for this backend as `limits.queue` permits',
    'send it again later; raise `connections` of the backend, or find out who sends so many',
  ),
  'queue-timeout': passing(
    'no upstream became free in time; try again',
    'no upstream became free within `limits.queue_timeout`',
    'as `queue-full`',
  ),
  'lookup-failed': passing(
    'the userdb could not be asked who is meant ({reason}); try again',
    "Dovecot's auth service could not say who is meant (records have `lookup-CODE`)",
    'see `lookup-CODE` below',
  ),
  // the way to the backend, and its answer
  'dial-refused': passing(
    away,
    'no server listens at this address, there is no route to it, or the name does not exist',
    'correct `address`, start the backend',
  ),
  'dial-timeout': passing(
    'backend {backend} did not answer in time ({reason})',
    'no connection or no greeting in time; a Dovecot at its `process_limit` accepts and says nothing',
    'raise `process_limit`, or lower the `connections` of all gates',
  ),
  'tls-failed': passing(
    away,
    'certificate, name or pin are not as demanded, or there is no TLS where it was',
    'correct `ca`, `server_name`, `key_pins`, or the certificate',
  ),
  'auth-rejected': passing(
    away,
    'the backend refused our password',
    'correct `password_file` or `doveadm_password`',
  ),
  'version-unsupported': passing(
    away,
    'no doveadm server, one that we do not know, or one of another series than `series` says',
    'correct `address` or `series`',
  ),
  'backend-refused': refused(
    'NOPERM',
    'backend {backend} does not allow this command: nothing ran',
    "Dovecot's `doveadm_allowed_commands` lacks the command; nothing ran",
    'add it to that setting of the backend, or take it out of the policy',
  ),
  'closed-early': open(
    'backend {backend} broke off; whether the command ran is not known',
    'the backend ended before a status',
    backendLog,
  ),
  'reply-timeout': open(
    'backend {backend} did not answer in time; the command may have run, and may still run there: find out before you repeat a change',
    'no first byte within `limits.deadline` or the `deadline` of its rule, or silence within a reply; log lines do not count; it may go on',
    'find out what was done before you repeat a change',
  ),
  'still-running': open(
    'the same command for this user got no answer in time from backend {backend} and may still run (id {first}): not sent again',
    'a change with the same line, and text, for the same user got no answer in time and may still run; this one was not sent',
    'wait for the end of the first, or end it: `dovegate kill ID`; its record says how it ended',
  ),
  'reply-line-too-long': open(nonsense, 'a line of the reply is longer than any real one', backendLog),
  'reply-bad-escape': open(nonsense, 'the reply holds an escape that is none', backendLog),
  'reply-bad-version': open(
    nonsense,
    'the backend greeted with something else than its version',
    'correct `address`',
  ),
  'reply-bad-command': open(nonsense, 'the backend sent what only clients send', backendLog),
  'reply-bad-status': open(nonsense, 'the reply has no status line', backendLog),
  'reply-bad-frame': open(nonsense, 'the reply breaks its framing', backendLog),
  'reply-unexpected-input': open(nonsense, 'the backend spoke where it had nothing to say', backendLog),
  referral: refused(
    'TEMPFAIL',
    'backend {backend} refers to another host, {reason}',
    'the backend refers to a host that is not configured, or it was followed once already',
    'add it',
  ),
  'early-answer': open(
    'backend {backend} answered before the input was complete; whether the command ran is not known',
    'the backend answered before the text was complete',
    backendLog,
  ),
  'not-all-backends': open(
    'not every backend answered: {reason}',
    'a command for several backends, which did not all carry it out; records have the first error',
    "look up the record's `parts`",
  ),
  'outcome-unknown': open(
    '{reason}; whether the command ran is not known',
    'the command had been sent when it was ended; its record has the error that says why',
    'find out what was done before you repeat a change',
  ),
  'not-done': passing(
    '{reason}',
    'it ended before the backend had the whole command, so nothing ran; its record has the error that says why',
    'ask again',
  ),
  // the backend's own status
  'backend-failed': open(
    'the backend says: {reason}',
    'the backend carried it out and failed',
    backendLog,
    '',
  ),
  exists: open('the backend says: it exists already', 'what was to be made is there already', '', ''),
  'over-quota': open('the backend says: over quota', 'the mailbox is full', '', ''),
  // the client, or an operator
  'client-gone': open('the client left', 'the client left before it had its answer'),
  'client-stall': open(
    'the client does not read',
    'the client did not read for `limits.client_stall`, or for 10 s while others waited for the backend',
    'fix the client',
  ),
  'client-slow': open(
    'the reply was read slower than limits.min_rate while others waited for the backend',
    'the client read, or sent its text, slower than `limits.min_rate` while others waited for the backend',
    'fix the client, or raise `connections`',
  ),
  'over-share': open(
    'the reply was ended because others waited for the backend and this client held more than its share',
    'above its share while others waited 5 s or longer: the reply is incomplete or absent, or nothing of the text was stored',
    'repeat it later, or raise `connections`',
  ),
  'input-cut': refused(
    'TEMPFAIL',
    'the input ended before its final dot: not done',
    'the text ended before its final dot; nothing was done',
  ),
  'input-late': refused(
    'TEMPFAIL',
    'the input was not complete within limits.input_time: not done',
    'the text was not complete within `limits.input_time`; nothing was done',
    'fix the client',
  ),
  'input-too-long': refused(
    'DATAERR',
    'the input is longer than limits.input: not done',
    'the text is longer than `limits.input`; nothing was done',
    'raise it if that is right',
  ),
  'input-command-like': refused(
    'DATAERR',
    'a line of the input could become a command if this backend were stopped within it: not done',
    'a line of the text could have become a command had the backend stopped within it; nothing was done',
    'send that text another way',
  ),
  killed: refused(
    'TEMPFAIL',
    'an operator ended it',
    'an operator ended it (`dovegate kill`); the client reads `outcome-unknown` where it had been sent',
    'find out whether it ran, then send it again; `dovegate audit show ID` names the operator',
  ),
  'grant-ended': refused(
    'NOPERM',
    'its grant ended while it ran',
    'its grant was revoked or its time was over while it ran; the client reads `outcome-unknown` where it had been sent',
    'ask for access again',
  ),
  stopped: open(
    'dovegate ended before it did; whether it ran is not known',
    'dovegate was killed, or its host failed, while the command ran; the next start wrote this record',
    'find out what was done before you repeat a change',
    '',
  ),
  internal: open('internal error of dovegate', 'a bug of ours', 'tell us, with the lines around it'),
  // a session that is answered and not served
  'sessions-limit': passing(
    '{reason}',
    'as many sessions as are permitted',
    'close some, or raise the limit',
  ),
  'not-configured': passing('{reason}', 'the configuration had problems at the start', '`dovegate check`'),
  'peer-refused': refused(
    'NOPERM',
    '{reason}',
    "the listener's `peers` do not permit this client",
    'add it to `peers`',
  ),
  // a request of HTTP that is refused whole: the header Dovegate-Code
  'bad-request': refused('HTTP 400', '{reason}', 'no request, or no JSON of commands', 'as the text says'),
  unauthenticated: refused(
    'HTTP 401',
    '',
    'no key, a wrong one, or not from there',
    'see the keys of the listener',
  ),
  'cross-origin': refused('HTTP 403', 'Forbidden', 'a request of a page in a browser'),
  'unknown-path': refused('HTTP 404', 'Path Not Found', 'no such path or method', 'correct the URL'),
  'request-too-long': refused('HTTP 413', '{reason}', 'longer than `limits.http_body`', 'send less at once'),
  'no-room': {
    ...passing('{reason}', 'the memory or the disk for requests is used up', 'repeat it later'),
    status: 'HTTP 503',
  },
  'not-kept': {
    ...passing('The request could not be kept', 'the file that keeps a long request could not be written'),
    status: 'HTTP 500',
  },
  // notices: the answer is still to come
  waiting: open('waiting for {backend}', 'the command waits for a free upstream', '', ''),
  'log-lines': open(
    'more than {limit} log lines for this command (limits.log_lines); the others are only counted',
    'the backend writes many log lines; the command goes on',
    backendLog,
    '',
  ),
} as const satisfies Readonly<Record<string, CodeRow>>;

/** Words of a backend's status lines, with Dovecot's meaning of each (measured). */
const statusWords: ReadonlyMap<string, string> = new Map([
  ['NOUSER', 'no such user'],
  ['NOTFOUND', 'not found'],
  ['DATAERR', 'it does not accept the value'],
  ['USAGE', 'it does not accept the arguments'],
  ['TEMPFAIL', 'temporary failure'],
  ['NOPERM', 'permission denied'],
  ['EXPIRED', 'expired'],
  ['CHANGED', 'changed meanwhile'],
  ['NOTPOSSIBLE', 'it is not possible, as with a full mailbox'],
  ['PROTOCOL', 'protocol error'],
]);

/** `status`: the word of a status line, without its dash. An unknown word is not repeated, since it could be any text of the backend. */
export function statusMeaning(status: string): string {
  return statusWords.get(status) ?? 'the command failed';
}

export type Code = keyof typeof table;

export const codes: Readonly<Record<Code, CodeRow>> = table;

export function sentenceOf(code: Code, values: Readonly<Record<string, string>> = {}): string {
  return codes[code].sentence.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
}

/** The sentence for an ending of which no more than the keys `error` and `backend` is known. */
export function sentenceOfError(error: Code, backend: string | undefined): string {
  return sentenceOf(error, { backend: backend ?? '', reason: error });
}

export interface Said {
  readonly code: Code;
  readonly sentence: string;
  readonly retryAfterS?: number | undefined;
  readonly id?: string | undefined;
}

/** For the word of a failed status line; `lastLog` is the last log line of the command, used but never forwarded. */
export function saidOfStatus(status: string, lastLog: string): Said {
  const say = (code: Code, reason = ''): Said => ({ code, sentence: sentenceOf(code, { reason }) });
  // A full mailbox has no status of its own: it comes as UNKNOWN.
  if (/quota exceeded/i.test(lastLog)) return say('over-quota');
  // The text may begin with a name of any content.
  if (status === 'DATAERR' && /already exists\.?$/i.test(lastLog)) return say('exists');
  return say('backend-failed', statusMeaning(status));
}

/** Text after the sentence of a denial, for its client alone. `can`: the command that lists what is allowed; `contact`: of the policy. */
export function helpWith({
  can,
  contact,
}: {
  readonly can?: string | undefined;
  readonly contact?: string | undefined;
}): string {
  const list = can === undefined ? '' : `; what is allowed: ${can}`;
  return contact === undefined ? list : `${list}; contact: ${contact}`;
}

const prefix = 'dovegate: ';

export function formatSaid({ code, sentence, retryAfterS, id }: Said): string {
  const again = retryAfterS === undefined ? '' : `, try again in ${retryAfterS} s`;
  // In the log channel a LF would begin another line.
  return `${prefix}${sentence.replaceAll('\n', ' ')} [${code}]${again}${id === undefined ? '' : `, id ${id}`}`;
}

export function isCode(text: unknown): text is Code {
  return typeof text === 'string' && Object.hasOwn(codes, text);
}

/** Without the Markdown of the tables of codes. */
export function plain(text: string): string {
  return text.replaceAll('`', '');
}

/** A backend's log line as it is passed on: it cannot be taken for one of dovegate. */
export function markBackendLine(text: string): string {
  return text
    .split('\n')
    .map((line) => (line.startsWith(prefix) ? `backend: ${line}` : line))
    .join('\n');
}
