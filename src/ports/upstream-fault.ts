// The way to a backend failed. The message is a sentence for operators; it never holds secrets or bytes of the backend.

/** What failed on the way to a backend; the `code` of events and records. Never renamed. */
export type UpstreamFaultCode =
  | 'dial-refused' // nobody listens, no route, no such name
  | 'dial-timeout' // no connection or no greeting in time
  | 'tls-failed' // certificate, name, pin, or no TLS where it was demanded
  | 'auth-rejected' // the backend refused our password
  | 'version-unsupported' // not a doveadm server, or one that we do not know
  | 'closed-early' // the backend ended before a status
  | 'reply-timeout'; // no first byte, or silence within a reply

/** At which step it failed: they are counted apart, because different people mend them. */
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
  readonly code: UpstreamFaultCode;
  readonly phase: UpstreamPhase;
  constructor(code: UpstreamFaultCode, message: string, cause?: unknown, phase = phaseOfCode[code]) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'UpstreamFault';
    this.code = code;
    this.phase = phase;
  }
}
