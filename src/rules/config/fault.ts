// Why a notice was not delivered: a closed list, so that no word of a receiver gets into a log, a metric or a page.

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

export const forkedTodo =
  'find out who else writes this journal; then stop dovegate, move audit.directory and audit-end.json of state away, start: a new one begins';
