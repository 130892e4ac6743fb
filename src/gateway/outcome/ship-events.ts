// What observers are told about the way of the records to receivers, in the words of the log. It does not know how they are sent.

/** Why records do not go to a receiver. A closed list: logs and dashboards hold it. */
export type ShipFaultCode =
  | 'dial-refused' // nobody listens, no route, no such name
  | 'dial-timeout' // no connection or no TLS handshake in time
  | 'tls-failed' // certificate, name, pin, or a file of ours
  | 'closed-early' // it ended the connection
  | 'stalled' // it takes nothing any more
  | 'journal-unreadable' // not its fault: a file of the journal cannot be read
  | 'internal'; // a bug of ours

/** What happened on the way of the records to a receiver; `sink` is its `HOST:PORT`. Each is told once, when it begins. */
export type ShipEvent =
  /** `lagRecords`: on disk, and not sent yet. */
  | { readonly kind: 'ship-connected'; readonly sink: string; readonly lagRecords: number }
  | {
      readonly kind: 'ship-away';
      readonly sink: string;
      readonly code: ShipFaultCode;
      readonly text: string;
      readonly lagRecords: number;
    }
  /** Records that this receiver will never get: they were removed before they were sent, or are damaged. */
  | { readonly kind: 'ship-missing'; readonly sink: string; readonly from: number; readonly to: number }
  | { readonly kind: 'ship-damaged'; readonly sink: string; readonly text: string }
  /** The journal is not the one that was shipped, or nobody knows how far it was: all of it is sent. */
  | { readonly kind: 'ship-restarted'; readonly sink: string; readonly text: string }
  /** How far it was shipped cannot be kept on disk: after a restart more would be sent again than need be. */
  | { readonly kind: 'ship-position-failed'; readonly sink: string; readonly text: string };
