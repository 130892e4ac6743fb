// The meaning of each code of the keys `error` and `type`, and what to do; those of `event` are in `log-codes.ts`, which no gate loads. A
// code is never renamed or reused. The compiler refuses a table without one of the codes of its list.

import { codes, plain } from '../../doveadm/codes/codes.js';
import { installCommand } from '../../host/machine/optional-packages.js';
import type { NoticeFaultCode } from '../../rules/config/fault.js';
import type { ResolveFailure } from '../lookup/resolve-user.js';
import type { Meaning } from '../now/running.js';

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

/** The key `type` of `ship-away`: why records do not go to a receiver. */
export const shipCodes = {
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
  refused: [
    'the receiver refuses, with words of its own or another status than success',
    'look into its log',
  ],
  'file-failed': [
    'the file cannot be written, or it holds something else than records: `text` says why',
    'give its folder to the user `dovegate-ship`, make room on its disk, or name another file',
  ],
  'journal-unreadable': ['a file of our journal cannot be read', '`dovegate audit verify`'],
  internal: ['a bug of ours', 'tell us'],
} as const satisfies Readonly<Record<string, Meaning>>;
export type ShipFaultCode = keyof typeof shipCodes;

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

/** For people. An unknown code is not shown: it could be anybody's word. */
export function meaningIn(table: Readonly<Record<string, Meaning>>, code: string): Meaning {
  const [means, ask] = (Object.hasOwn(table, code) ? table[code] : undefined) ?? ['it failed'];
  return ask === undefined ? [plain(means)] : [plain(means), plain(ask)];
}
