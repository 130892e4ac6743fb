// Why a transport was closed: one closed list for sessions and upstreams, because journals and dashboards hold the words.
// A word is never renamed or reused.

/** Why one of our ends closed a transport. */
export type CloseReason =
  // both
  | 'peer-ended' // the other side sent its last byte and everything was answered
  | 'peer-gone' // reset, hang-up, failed write
  | 'wire-fault' // bytes broke the protocol
  | 'draining' // we are stopping
  | 'aborted' // what ran on it was given up
  | 'internal' // a bug of ours in the evaluation of this peer's bytes
  // sessions
  | 'handshake-timeout'
  | 'login-failed' // a name and a password that are no account's, or none that could be read; a certificate of several
  | 'tls-failed' // the handshake that the client began
  | 'sessions-limit'
  | 'not-configured' // the configuration has problems since the start
  | 'peer-refused' // nobody whom the listener serves
  | 'revoked' // a reload took the listener or the right to it away, or what proved it counts no more
  | 'input-unknown' // a refused command of which nobody can tell whether input follows
  | 'input-limit'
  | 'client-stall'
  | 'client-slow' // it held an upstream up that others waited for
  | 'cut-reply' // a cell of the reply was cut; nothing after it could be told apart
  // upstreams
  | 'dial-failed'
  | 'idle-timeout'
  | 'lifetime'
  | 'series-changed' // the backend is of another series since
  | 'spoke-while-idle'
  | 'not-reusable' // a command or a reply after which this transport must not serve another
  | 'reply-timeout'
  | 'probed' // a handshake that only asked whether the backend greets
  | 'stale' // its Dovecot was stopped, though the process behind it lives on
  // receivers of records
  | 'receiver-stall';
