// What an operator says of the admin endpoints. Types only. It does not know how a configuration is read.

/** Where the admin endpoints are; at least one of `unix` and `tcp`. */
export interface AdminSettings {
  /** Path of the UNIX socket. */
  readonly unix?: string;
  /** Permission bits of that socket, as 0o600: they say who may use it. */
  readonly mode: number;
  /** A loopback address; `host` without brackets. */
  readonly tcp?: { readonly host: string; readonly port: number };
  /** A file that holds the token with which everything is to be had over TCP; absent: only what is harmless is. */
  readonly tokenFile?: string;
}
