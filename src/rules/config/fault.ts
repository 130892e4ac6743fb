// Why a notice was not delivered: a closed list, so that no word of a receiver gets into a log, a metric or a page. And why records do not
// go to a receiver.

/** In the order of docs/messages.md. */
export const noticeFaultCodes = [
  'unknown-host',
  'connection-refused',
  'unreachable',
  'timeout',
  'no-starttls',
  'tls-failed',
  'redirected',
  'status',
  'not-http',
  'mail-refused',
  'unanswered',
  'secret-file',
  'ca-file',
  'library-missing',
  'state-file',
  'journal-unreadable',
  'internal',
] as const;
export type NoticeFaultCode = (typeof noticeFaultCodes)[number];

/** Why records do not go to a receiver. A closed list: logs and dashboards hold it. */
export type ShipFaultCode =
  | 'dial-refused' // nobody listens, no route, no such name
  | 'dial-timeout' // no connection or no TLS handshake in time
  | 'tls-failed' // certificate, name, pin, or a file of ours
  | 'closed-early' // it ended the connection
  | 'stalled' // it takes nothing any more
  | 'auth-rejected' // it does not know us
  | 'refused' // the server refuses, with words of its own
  | 'file-failed' // a file of this machine that cannot be written, or holds something else
  | 'journal-unreadable' // not its fault: a file of the journal cannot be read
  | 'internal'; // a bug of ours
