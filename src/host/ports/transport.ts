// A transport: a duplex pipe of bytes that is read on request, written in corked groups, and closed once. `net/` implements it over
// sockets, tests in memory. Also HTTP requests over a transport, implemented by `http/`. One reader at a time, one close, and the close has
// a reason.

/** Why our side closed a transport: `reason` of an ended session or upstream. Journals hold the words, so none is renamed or reused. */
export const closeReasons = {
  'peer-ended': ['the other side had said all that it wanted'],
  'peer-gone': ['the other side is gone: a reset, a hang-up, or a write that failed'],
  'wire-fault': ['bytes that are not of the protocol', 'repair the program that sent them'],
  draining: ['dovegate is stopping, or the backend is taken out of service'],
  internal: ['a bug of ours', 'tell us'],
  'handshake-timeout': ['no complete handshake within `limits.handshake`', 'repair the client'],
  'login-failed': [
    'no account has this name and password, or several accounts have this certificate',
    'correct the name, the password or the certificate',
  ],
  'tls-failed': [
    'the TLS handshake that the client began failed',
    'correct its certificate or its authorities',
  ],
  'sessions-limit': ['as many sessions as are permitted', 'raise the limit, or find out who keeps them'],
  'not-configured': [
    'the configuration had problems at the start',
    '`dovegate check`; then `systemctl restart dovegate`',
  ],
  'peer-refused': ["the listener's `peers` do not permit this client", 'add it to `peers`'],
  revoked: ['a reload, or another `client_ca`, took the right to the listener away'],
  'input-unknown': [
    'a refused command may be followed by a text, or not: it was not clear which',
    'correct the command',
  ],
  'input-limit': [
    'a text over its limits, or lines over the share of `limits.buffered`',
    'raise `limits.input`, `input_time` or `buffered` if right',
  ],
  'client-stall': ['the client did not read', 'repair the client'],
  'client-slow': ['the client held up an upstream that others waited for', 'as the error of that name'],
  'over-share': ['its text was ended so that others got the upstream', 'as the error of that name'],
  'cut-reply': [
    'a cell of the reply was cut, so it was not clear where the next ones begin',
    "look into the backend's log",
  ],
  'dial-failed': ['the upstream never came to its first command', 'as for the event `dial-failed`'],
  'idle-timeout': ['it was not used for `idle_timeout`, or `idle: 0` keeps none'],
  lifetime: ['it was open for `max_lifetime`'],
  'series-changed': ['the backend is of another series since'],
  'spoke-while-idle': ['it sent something without a command; Dovecot does so before it ends a connection'],
  'not-reusable': ['after this command, or this reply, it must not serve another'],
  'reply-timeout': ['no answer in time', "look into the backend's log"],
  probed: ['it was only to see whether the backend greets'],
  renewed: ['a command that changes something came more than 1 s after its dial'],
  stale: ['its Dovecot was stopped; the process that served it still runs'],
  aborted: ['the command on it was given up'],
  'receiver-stall': ['a receiver of records took nothing', 'repair the receiver'],
} as const satisfies Readonly<Record<string, readonly [means: string, ask?: string]>>;
export type CloseReason = keyof typeof closeReasons;

/** The dialing side's demands on the other end's certificate, all checked before `startTls` resolves. */
export interface TlsDemand {
  /** Name or IP address that the certificate must carry. */
  readonly serverName: string;
  /** PEM text of the accepted authorities; undefined: the system's. */
  readonly ca: string | undefined;
  /** Lower-case hex SHA-256 of accepted SubjectPublicKeyInfos; empty: any key under an accepted chain. */
  readonly keyPins: readonly string[];
  /** Our certificate, sent on request: PEM of the certificate with its chain, and of its key; absent: none. */
  readonly certificate?: { readonly chain: string; readonly key: string } | undefined;
  /** Protocols that are offered (ALPN); absent: none. */
  readonly protocols?: readonly string[] | undefined;
  /** Called with the expiry of each certificate that the other end shows, accepted or not: `Nov 20 09:05:00 2026 GMT`. */
  readonly onShown?: ((validTo: string) => void) | undefined;
  /** Called with the other end's certificate, valid or not. The handshake then fails in any case: this is a mere inspection. */
  readonly onlyLooks?: ((seen: SeenCertificate) => void) | undefined;
}

/** An unverified certificate, in its owner's words: for people only. */
export interface SeenCertificate {
  /** `DNS:mail1.example.com, IP Address:192.0.2.1`; without such names the subject, one part for each line. */
  readonly names: string;
  readonly issuer: string;
  readonly validTo: string;
}

/** The accepting side's certificate and demands. A new value for each state of its files. */
export interface TlsOffer {
  /** PEM of the certificate with its chain, and of its key. */
  readonly certificate: { readonly chain: string; readonly key: string };
  /** The authorities for client certificates, PEM of each; undefined: no client certificate is requested. */
  readonly clientCa: readonly string[] | undefined;
  /** Our protocols (ALPN): a client that offers only others is refused, one that offers none is not. */
  readonly protocols: readonly string[];
}

/** The other end's certificate, which chains to `clientCa` and is valid now. */
export interface TlsPeer {
  /** Names in the certificate, DNS names in lower case; the common name only if there is no other name. */
  readonly names: readonly string[];
  /** SHA-256 of the whole certificate, as text. */
  readonly fingerprint: string;
  /** The `clientCa` that it was verified under. */
  readonly authorities: readonly string[];
}

/** The data size of a TLS record; a UNIX socket takes more than that at once. */
export const wholeBytesMax = 16 * 1024;

/** Owned by its acceptor or dialer, which always closes it. A peer that ended its side may still read. */
export interface Transport {
  /**
   * The next bytes, at least one; null, on every call, once the peer has ended its sending side. Rejects with a TransportFault when the
   * transport is gone or was closed. One read at a time. The caller owns the buffer.
   */
  read(): Promise<Buffer | null>;
  /**
   * Writes the parts as one group. Undefined while there is room for more; else a promise that resolves when the bytes left, or rejects
   * with a TransportFault when they cannot. On a lost transport: a rejection.
   */
  write(parts: readonly Buffer[]): Promise<void> | undefined;
  /**
   * Writes at most `wholeBytesMax` bytes so that a peer that reads everything gets all of them or none. This holds only with `keepsWhole`,
   * after all earlier writes have left. Resolves when the kernel took these and all earlier bytes; rejects as `write` does.
   */
  writeWhole(bytes: Buffer): Promise<void>;
  /** True for TLS (one record) and UNIX sockets (one message); plain TCP can cut anywhere. */
  readonly keepsWhole: boolean;
  /** Ends our sending side after the written bytes; the peer may still send. */
  endWriting(): void;
  /** Dialling side: TLS from the next byte on. Rejects with an UpstreamFault `tls-failed`; the transport is closed then. */
  startTls(demand: TlsDemand): Promise<void>;
  /**
   * Accepting side: `rest` (read after the last line in clear text) and everything after it is TLS. Undefined: the other end showed no
   * certificate. A certificate that does not verify ends the handshake. Rejects with a TransportFault; the transport is closed then.
   */
  acceptTls(offer: TlsOffer, rest: Buffer): Promise<TlsPeer | undefined>;
  /**
   * Ends both directions. Written bytes are still delivered if the peer takes them within a few seconds. With `isAbrupt` they are dropped,
   * also after an earlier orderly close (a TCP peer sees a reset). Idempotent; the first reason counts.
   */
  close(reason: CloseReason, isAbrupt?: boolean): void;
  readonly heldBytes: number;
  /** Calls `run` once when the peer is gone, also while there is no read; undefined removes the callback. */
  onGone(run: (() => void) | undefined): void;
  /** Resolves when the transport is gone for good: after a `close`, when the written bytes left, or their time was over. */
  whenClosed(): Promise<void>;
  /** Our side's reason for the close, if we closed it. */
  readonly closedFor: CloseReason | undefined;
  /**
   * For a dialed UNIX socket: whether another file is at its path now, or none. Then its server was stopped, and may still answer with
   * earlier settings. Always false for other transports.
   */
  readonly isReplaced: boolean;
  /** Bytes written that the kernel has not taken yet. */
  readonly unsentBytes: number;
  /**
   * Written bytes that the other end has taken, as far as the kernel reports it; then bytes in the kernel's buffers are excluded. Only
   * differences count: below TLS its own bytes are included.
   */
  readonly takenBytes: number;
}

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Opens a transport; rejects with an UpstreamFault `dial-refused`, or with the signal's reason when it aborts. */
export type Connect = (address: Address, signal: AbortSignal) => Promise<Transport>;

/** The head of an answer. `reason`: the words after the number; undefined: the usual ones. */
export interface HttpHead {
  readonly status: number;
  readonly reason?: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Announces to the client that no further request will be read. */
  readonly isLast: boolean;
}

/** One HTTP request, from its head on. Its framing is checked: it has exactly one length. */
export interface HttpRequest {
  readonly method: string;
  /** The target as it was sent; of an absolute one its path and query, and `host` is its authority. */
  readonly target: string;
  readonly version: string;
  /** Each field as it was sent, names in lower case; several of a name are not joined. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /**
   * The next bytes of its body; null at its end. The first call sends `100 Continue` to a client that waits for it. Rejects with a
   * TransportFault when the client is gone, with a WireFault for bytes that are not HTTP.
   */
  read(): Promise<Buffer | null>;
  /** Known at the end of the body. */
  readonly hasTrailers: boolean;
  /** Sends a whole answer. Undefined while there is room for more; else a promise as of Transport.write. */
  answer(head: HttpHead, body: Buffer): Promise<void> | undefined;
  /** Begins an answer of unknown length. */
  begin(head: HttpHead): void;
  /** Sends a part of the answer; returns as `answer` does. */
  write(parts: readonly Buffer[]): Promise<void> | undefined;
  /** Bytes of answers that the kernel has not taken yet, in any buffer. */
  readonly unsentBytes: number;
  /** Completes the answer. Without this call a client never takes it for complete. */
  end(): Promise<void> | undefined;
}

/** The requests of one client, one after the other. */
export interface HttpRequests {
  /**
   * The next request, after the one before was answered. `malformed`: it was not readable, was answered with that status, and is the last
   * one. Null: there are no more. Rejects with a TransportFault when the client is gone.
   */
  next(): Promise<HttpRequest | { readonly malformed: number } | null>;
}

/** Runs a piece of work in the turn of its session. */
export type InTurn = (run: () => void) => Promise<void>;

/**
 * Reads a transport as HTTP from now on, beginning with the bytes of `first`; nothing else reads or writes it any more. Its owner closes
 * it. Each piece is parsed in a turn of `inTurn`; default: at once.
 */
export type ReadHttp = (transport: Transport, first?: Buffer, inTurn?: InTurn) => HttpRequests;
