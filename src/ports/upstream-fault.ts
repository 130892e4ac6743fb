// The way to a backend failed. The message is a sentence for operators; it never holds secrets or bytes of the backend.

export type UpstreamFaultCode =
  | 'dial-refused' // nobody listens, no route, no such name
  | 'dial-timeout' // no connection or no greeting in time
  | 'tls-failed' // certificate, name, pin, or no TLS where it was demanded
  | 'auth-rejected' // the backend refused our password
  | 'version-unsupported' // not a doveadm server, or one that we do not know
  | 'closed-early' // the backend ended before a status
  | 'reply-timeout'; // no first byte, or silence within a reply

export class UpstreamFault extends Error {
  readonly code: UpstreamFaultCode;
  constructor(code: UpstreamFaultCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'UpstreamFault';
    this.code = code;
  }
}
