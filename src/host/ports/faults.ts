// The failures of the outside world: of a peer's bytes, of a byte pipe, of the connection to a backend, of the journal. A code is never
// renamed or reused, because journals and dashboards hold it. A message is a sentence for operators, without secrets, bytes of a peer, or
// parts of a record. `cause` is the system's error.

/** Why a peer's bytes were refused: they broke the grammar of the protocol, or a limit. */
export type WireFaultCode =
  | 'line-too-long'
  | 'bad-escape'
  | 'bad-version'
  | 'bad-command'
  | 'bad-status'
  | 'bad-frame'
  | 'unexpected-input';

/** Close the transport and push nothing more into the decoder: it cannot resynchronize, and the peer chooses all that follows. */
export class WireFault extends Error {
  override readonly name = 'WireFault';
  readonly code: WireFaultCode;
  constructor(code: WireFaultCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** There is no room to keep a client's data. The message is a sentence for the client. */
export class RoomFault extends Error {
  override readonly name = 'RoomFault';
}

export type TransportFaultCode =
  | 'peer-gone' // the other side reset, or vanished
  | 'closed' // our side had closed it before
  | 'tls-failed'; // a handshake that the other side began has failed; the message says why

/** It has no stack: one is thrown for every session that ends in order, and a stack costs ten times as much as the rest. */
export class TransportFault extends Error {
  override readonly name = 'TransportFault';
  readonly code: TransportFaultCode;
  constructor(code: TransportFaultCode, message: string, cause?: unknown) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message, cause === undefined ? undefined : { cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.code = code;
  }
}

/** Why a backend could not be used; the `code` of events and records. */
export type UpstreamFaultCode =
  | 'dial-refused' // nobody listens, no route, no such name
  | 'dial-timeout' // no connection or no greeting in time
  | 'tls-failed' // certificate, name, pin, or no TLS where it was demanded
  | 'auth-rejected' // the backend refused our password
  | 'version-unsupported' // not a doveadm server, one that we do not know, or another series than configured
  | 'closed-early' // the backend ended before a status
  | 'reply-timeout'; // no first byte, or silence within a reply

/** The step that failed: they are counted separately, because different people fix them. */
export type UpstreamPhase = 'dial' | 'tls' | 'greeting' | 'authentication' | 'reply';

/** For codes that imply the step; a silent or ended dial names the step itself. */
const phaseOfCode: Readonly<Record<UpstreamFaultCode, UpstreamPhase>> = {
  'dial-refused': 'dial',
  'dial-timeout': 'dial',
  'tls-failed': 'tls',
  'auth-rejected': 'authentication',
  'version-unsupported': 'greeting',
  'closed-early': 'reply',
  'reply-timeout': 'reply',
};

/** Thrown while dialing, greeting and reading a reply; its transport is closed or about to be. */
export class UpstreamFault extends Error {
  override readonly name = 'UpstreamFault';
  readonly code: UpstreamFaultCode;
  readonly phase: UpstreamPhase;
  /** For `tls-failed`: the fault of the certificate; undefined: another cause. */
  readonly tlsCause: TlsCause | undefined;
  constructor(
    code: UpstreamFaultCode,
    message: string,
    cause?: unknown,
    phase = phaseOfCode[code],
    tlsCause?: TlsCause,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.phase = phase;
    this.tlsCause = tlsCause;
  }
}

/** A fault of a server's certificate. `key`: its key is not one of the pins. */
export type TlsCause = 'expired' | 'not-valid-yet' | 'name' | 'issuer' | 'key';

/** In a log line, the key `type` of `audit-failed`, and of a start that fails on its journal. */
export const journalCodes = {
  'write-failed': ['the disk refused a write or a sync', 'free or repair the disk'],
  'no-rights': [
    'the user of dovegate has no right to write the directory or a file in it (EACCES, EPERM)',
    'give the directory and its files back to that user, with mode 0700, or 0750 with `audit.group`',
  ],
  deadline: ['a write or a sync took longer than `audit.deadline`', 'repair the disk'],
  removed: ['the segment, its directory or the lock file is gone or was replaced', 'give it back, restart'],
  'writer-died': ['the thread that writes has ended', 'restart; tell us'],
  overflow: ['too much waits for a disk that takes nothing', 'repair the disk'],
  closed: ['dovegate is stopping'],
  locked: ['another process writes this journal', 'stop it, or choose another directory'],
  'newer-format': ['a later release wrote it', 'run that release'],
  unreadable: ['what lies in the directory is no journal that can be continued', '`dovegate audit verify`'],
} as const satisfies Readonly<Record<string, readonly [means: string, ask?: string]>>;
export type JournalFaultCode = keyof typeof journalCodes;

/** A record may not be on disk: nothing that depends on it may go on. */
export class JournalFault extends Error {
  override readonly name = 'JournalFault';
  readonly code: JournalFaultCode;
  constructor(code: JournalFaultCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/**
 * The code of an error of the system, Node or OpenSSL, such as ECONNREFUSED; empty: it has none. Alerts of TLS by their names of OpenSSL
 * 3.0: later releases, which Node has from 22 on, call some of them ERR_SSL_SSL/TLS_ALERT_....
 */
export function systemCodeOf(thrown: unknown): string {
  if (!(thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string')) return '';
  return thrown.code.replace('_SSL/TLS_ALERT_', '_SSLV3_ALERT_');
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
