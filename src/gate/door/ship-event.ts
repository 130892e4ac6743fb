// What happens to records on their way to a receiver.

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

/** A line of the log; `sink` is the receiver's `HOST:PORT`. Each is reported once, when it begins. */
export interface ShipEvent {
  readonly kind:
    | 'ship-connected'
    | 'ship-away'
    | 'ship-missing'
    | 'ship-refused'
    | 'ship-damaged'
    | 'ship-restarted'
    | 'ship-position-failed'
    | 'ship-conflict'
    | 'audit-forked';
  readonly level: 'info' | 'error';
  readonly text: string;
  readonly sink: string;
  readonly [key: string]: string | number | boolean | undefined;
}
