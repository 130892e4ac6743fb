// What a transport offers: a duplex pipe of bytes that is read by asking, written in corked groups, and closed once. `net/`
// implements it over sockets, tests in memory. And requests of HTTP over one, which `http/` implements.
// The rule: one reader at a time, one close, and the close has a reason.

/** Why one of our ends closed a transport. Journals and dashboards hold the words: none is ever renamed or reused. */
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
  | 'over-share' // its text was ended so that others got the upstream
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

/** What the dialling side demands of the certificate at the other end, all judged before `startTls` resolves. */
export interface TlsDemand {
  /** Name or IP address that the certificate must carry. */
  readonly serverName: string;
  /** PEM text of the accepted authorities; undefined: the system's. */
  readonly ca: string | undefined;
  /** Lower-case hex SHA-256 of accepted SubjectPublicKeyInfos; empty: any key under an accepted chain. */
  readonly keyPins: readonly string[];
  /** What we show when the other end asks who we are: PEM of a certificate with its chain, and of its key; absent: nothing. */
  readonly certificate?: { readonly chain: string; readonly key: string } | undefined;
  /** Protocols that are offered (ALPN); absent: none. */
  readonly protocols?: readonly string[] | undefined;
  /** Called with the end of each certificate that the other end shows, accepted or not: `Nov 20 09:05:00 2026 GMT`. */
  readonly onShown?: ((validTo: string) => void) | undefined;
  /**
   * Called with what the other end shows, whatever it is. The handshake comes to nothing then, also where all of it is as demanded: no
   * transport is ever used whose certificate was only looked at.
   */
  readonly onlyLooks?: ((seen: SeenCertificate) => void) | undefined;
}

/** A certificate that nobody has judged, in the words of its owner: for people only. */
export interface SeenCertificate {
  /** `DNS:mail1.example.com, IP Address:192.0.2.1`; without such names the subject, one part a line. */
  readonly names: string;
  readonly issuer: string;
  readonly validTo: string;
}

/** What the accepting side shows and demands. A value of its own for each state of its files. */
export interface TlsOffer {
  /** PEM of the certificate with its chain, and of its key. */
  readonly certificate: { readonly chain: string; readonly key: string };
  /** The authorities whose clients' certificates count, PEM of each; undefined: nobody is asked for one. */
  readonly clientCa: readonly string[] | undefined;
  /** Protocols of ours (ALPN): a client that offers only others is refused, one that offers none is not. */
  readonly protocols: readonly string[];
}

/** The other end, by a certificate that chains to `clientCa` and is valid now. */
export interface TlsPeer {
  /** Names in the certificate, DNS names in lower case; the common name only where there is no other. */
  readonly names: readonly string[];
  /** Lower-case hex SHA-256 of its SubjectPublicKeyInfo. */
  readonly keyPin: string;
  /** The `clientCa` that it was verified under. */
  readonly authorities: readonly string[];
}

/** The text of a TLS record; a UNIX socket takes more than that at once. */
export const wholeBytesMax = 16 * 1024;

/** Owned by the one who accepted or dialled it, who closes it, always. A peer that ended its side may still read. */
export interface Transport {
  /**
   * The next bytes, at least one; null once the peer has ended its sending side (again and again). Rejects with a
   * TransportFault when the transport is gone or was closed. One read at a time. The buffer is the caller's.
   */
  read(): Promise<Buffer | null>;
  /**
   * Writes the parts as one group. Undefined when there is room for more; else a promise that resolves when the
   * bytes left, and rejects with a TransportFault when they never will. After the transport is gone: a rejection.
   */
  write(parts: readonly Buffer[]): Promise<void> | undefined;
  /**
   * Writes at most `wholeBytesMax` bytes of which a peer that reads all there is gets none or all, where `keepsWhole` and
   * when all that was written before has left; else they may be cut. Resolves when the kernel took them, and all before them;
   * rejects as `write` does.
   */
  writeWhole(bytes: Buffer): Promise<void>;
  /** In TLS (one record) and over a UNIX socket (one message); TCP alone cuts where it likes. */
  readonly keepsWhole: boolean;
  /** Ends our sending side after what was written; the peer may still send. */
  endWriting(): void;
  /** Dialling side: TLS from the next byte on. Rejects with an UpstreamFault `tls-failed`; the transport is closed then. */
  startTls(demand: TlsDemand): Promise<void>;
  /**
   * Accepting side: `rest` (what was read past the last line in clear text) and all that comes behind it is TLS.
   * Undefined: the other end showed no certificate. One that does not verify ends the handshake. Rejects with a
   * TransportFault; the transport is closed then.
   */
  acceptTls(offer: TlsOffer, rest: Buffer): Promise<TlsPeer | undefined>;
  /**
   * Ends both directions. What was written before is still delivered if the peer takes it within a few seconds,
   * unless `isAbrupt`: then it is dropped (the peer of a TCP transport sees a reset), also where it was closed otherwise
   * before. Idempotent; the first reason counts.
   */
  close(reason: CloseReason, isAbrupt?: boolean): void;
  /** Bytes that came and that nobody has read yet. */
  readonly heldBytes: number;
  /** Calls `run` once when the peer turns out to be gone, also while nobody reads; undefined takes it off again. */
  onGone(run: (() => void) | undefined): void;
  /** Resolves when the transport is gone for good: after a `close`, when what was written before left, or its time was over. */
  whenClosed(): Promise<void>;
  /** Why it was closed by our side, if it was. */
  readonly closedFor: CloseReason | undefined;
  /** Bytes written that the kernel has not taken yet. */
  readonly unsentBytes: number;
  /**
   * Bytes written that the other end has taken, as far as the kernel tells: what waits in its buffers is not counted where it says so.
   * Only differences count: below TLS the bytes of TLS are counted.
   */
  readonly takenBytes: number;
}

/** Where a server listens. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Opens a transport; rejects with an UpstreamFault `dial-refused`, or with the signal's reason when it aborts. */
export type Connect = (address: Address, signal: AbortSignal) => Promise<Transport>;

/** What an answer begins with. `reason`: the words behind the number; undefined: the usual ones. */
export interface HttpHead {
  readonly status: number;
  readonly reason?: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The client is told that no other request will be read. */
  readonly isLast: boolean;
}

/** One request of HTTP, from its head on. Its framing is checked: it has one length, in one way. */
export interface HttpRequest {
  readonly method: string;
  /** The target as it was sent. */
  readonly target: string;
  readonly version: string;
  /** Each field as it was sent, names in lower case; several of a name are not joined. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /**
   * The next bytes of its body; null at its end. The first call tells a client to go on that waits to be told. Rejects with a
   * TransportFault when the client is gone, with a WireFault when what it sends is no HTTP.
   */
  read(): Promise<Buffer | null>;
  /** Known at the end of the body. */
  readonly hasTrailers: boolean;
  /** The whole answer. Undefined when there is room for more; else a promise as of Transport.write. */
  answer(head: HttpHead, body: Buffer): Promise<void> | undefined;
  /** Begins an answer of unknown length. */
  begin(head: HttpHead): void;
  /** More of it; the result is that of `answer`. */
  write(parts: readonly Buffer[]): Promise<void> | undefined;
  /** Bytes of answers that the kernel has not taken yet, wherever they wait. */
  readonly unsentBytes: number;
  /** It is complete. Without this call, a client never takes it for that. */
  end(): Promise<void> | undefined;
}

/** The requests of one client, one after the other. */
export interface HttpRequests {
  /**
   * The next one, when the one before was answered. `malformed`: it could not be read, was answered with that status, and is the last one.
   * Null: there are no more. Rejects with a TransportFault when the client is gone.
   */
  next(): Promise<HttpRequest | { readonly malformed: number } | null>;
}

/** Does a piece of work when it is the turn of its session. */
export type InTurn = (run: () => void) => Promise<void>;

/**
 * Reads a transport as HTTP from now on, `first` before what is still to come; nobody else reads or writes it any more. Its owner closes it.
 * Each piece is parsed in a turn of `inTurn`; default: at once.
 */
export type ReadHttp = (transport: Transport, first?: Buffer, inTurn?: InTurn) => HttpRequests;
