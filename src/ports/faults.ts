// The failures of the outside world: of a peer's bytes, of a byte pipe, of the way to a backend, of the journal.
// The rules: a code is never renamed or reused, since journals and dashboards hold it. A message is a sentence for operators, and
// holds no secret, no byte of a peer and nothing of a record. `cause` is what the system said.

/** Why bytes of a peer were refused: they broke the grammar of the protocol, or a limit. */
export type WireFaultCode =
  | 'line-too-long'
  | 'bad-escape'
  | 'bad-version'
  | 'bad-command'
  | 'bad-status'
  | 'bad-frame'
  | 'unexpected-input';

/**
 * Whatever catches it closes that transport, and pushes nothing more into the decoder that threw it:
 * there is no way to resynchronize, and all that follows is the peer's choice.
 */
export class WireFault extends Error {
  override readonly name = 'WireFault';
  readonly code: WireFaultCode;
  constructor(code: WireFaultCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What a client sent cannot be kept for want of room. The message is a sentence for the client. */
export class RoomFault extends Error {
  override readonly name = 'RoomFault';
}

/** Why a transport cannot be read or written any more. */
export type TransportFaultCode =
  | 'peer-gone' // the other side reset, or vanished
  | 'closed' // our side had closed it before
  | 'tls-failed'; // a handshake that the other side began came to nothing; the message says why

/** It has no stack: one is thrown for every session that ends in order, and a stack costs ten times what the rest of it does. */
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

/** What failed on the way to a backend; the `code` of events and records. */
export type UpstreamFaultCode =
  | 'dial-refused' // nobody listens, no route, no such name
  | 'dial-timeout' // no connection or no greeting in time
  | 'tls-failed' // certificate, name, pin, or no TLS where it was demanded
  | 'auth-rejected' // the backend refused our password
  | 'version-unsupported' // not a doveadm server, one that we do not know, or another series than configured
  | 'closed-early' // the backend ended before a status
  | 'reply-timeout'; // no first byte, or silence within a reply

/** At which step it failed: they are counted apart, because different people fix them. */
export type UpstreamPhase = 'dial' | 'tls' | 'greeting' | 'authentication' | 'reply';

/** Where a code alone says it; a silent or ended dial says the step itself. */
const phaseOfCode: Readonly<Record<UpstreamFaultCode, UpstreamPhase>> = {
  'dial-refused': 'dial',
  'dial-timeout': 'dial',
  'tls-failed': 'tls',
  'auth-rejected': 'authentication',
  'version-unsupported': 'greeting',
  'closed-early': 'reply',
  'reply-timeout': 'reply',
};

/** Thrown by dialling, greeting and reading a reply; whatever transport it came from is closed or about to be. */
export class UpstreamFault extends Error {
  override readonly name = 'UpstreamFault';
  readonly code: UpstreamFaultCode;
  readonly phase: UpstreamPhase;
  /** Of `tls-failed`: what is wrong with the certificate; undefined: something else. */
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

/** What is wrong with the certificate of a server. `key`: it is none of the pins. */
export type TlsCause = 'expired' | 'not-valid-yet' | 'name' | 'issuer' | 'key';

/** What went wrong with a record or with its journal. */
export type JournalFaultCode =
  | 'write-failed' // the disk refused a write or a sync
  | 'no-rights' // the system denies this process the directory or a file in it
  | 'deadline' // a write or a sync took too long, or the writer's thread does not answer
  | 'removed' // the segment, its directory or the lock file is gone or was replaced
  | 'writer-died' // the writer's thread ended
  | 'overflow' // too much waits for a disk that does not take it
  | 'closed'
  | 'locked' // another process writes this journal
  | 'newer-format' // a later release wrote it
  | 'unreadable'; // what lies in the directory is not a journal that can be continued

/** A record is not known to be on disk: what waits for it must not go on. */
export class JournalFault extends Error {
  override readonly name = 'JournalFault';
  readonly code: JournalFaultCode;
  constructor(code: JournalFaultCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
