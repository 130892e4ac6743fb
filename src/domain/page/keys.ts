// What ends and what is used: accounts, keys and certificates, for the screen Keys.

export interface KeysTable {
  /** Since when uses are known: the start of the daemon. */
  readonly since: string;
  /** The earliest end first, rows without an end last. */
  readonly rows: readonly {
    readonly kind: 'account' | 'key' | 'certificate';
    /** For a certificate: its listener or backend. */
    readonly name: string;
    readonly listener?: string;
    readonly policy?: string;
    /** How it is proved, or what the certificate is for; empty: nothing to say. */
    readonly what: string;
    /** RFC 3339; absent: it does not end, or that is not known. */
    readonly ends?: string;
    readonly lastUsed?: string;
    /** The network that it was used from, as 192.0.2.7/32. */
    readonly lastFrom?: string;
    readonly failures?: number;
    /** Not since the start of the daemon, or not for 90 days. */
    readonly isUnused: boolean;
  }[];
}
