// A connection to the servers of a NATS cluster, and what gates and verifiers ask of its JetStream.
// The rules: TLS always; nothing is sent again in silence: a connection that is lost stays lost, and its user opens another one and looks
// where it stands. The library is loaded when the first link is opened, because it is an optional package.

import type { FleetMessage } from '../../domain/fleet/shapes.js';

/** Where, and as whom. Files are read at each opening, so that new ones are found. */
export interface NatsSettings {
  /** At least one; tried in their order. */
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  /** The system's roots when absent. */
  readonly caFile?: string | undefined;
  /** A `.creds` file: a JWT and the seed of its key. */
  readonly credentialsFile?: string | undefined;
  /** Both or none. */
  readonly client?: { readonly certificateFile: string; readonly keyFile: string } | undefined;
  /** Shown by the server's own tools. */
  readonly name: string;
}

export type NatsFaultCode =
  | 'library-missing' // the optional packages are not installed
  | 'dial-refused' // nobody listens, no route, no such name
  | 'dial-timeout' // no connection, no handshake, or no answer in time
  | 'tls-failed' // certificate, name, no TLS where it is demanded, or a file of ours
  | 'auth-rejected' // the server does not know us
  | 'no-rights' // this user may not do that
  | 'no-stream' // there is no such stream, or no JetStream
  | 'stream-full' // it takes no more
  | 'wrong-sequence' // somebody else, or a lost answer of ours, wrote meanwhile
  | 'closed-early' // the connection ended
  | 'refused'; // any other error of the server; the message has its words

/** `message`: a sentence for operators. */
export class NatsFault extends Error {
  override readonly name = 'NatsFault';
  readonly code: NatsFaultCode;
  constructor(code: NatsFaultCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** What is known of a stream. */
export interface StreamInfo {
  /** RFC 3339, as the server says it: another one is another stream. */
  readonly created: string;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly messages: number;
  readonly bytes: number;
  /** What of its settings is not as `fleet init` makes it; sentences. */
  readonly warnings: readonly string[];
}

/** Every promise rejects with a NatsFault, within a time limit. */
export interface NatsLink {
  /** Resolves when the connection has ended, with why; undefined: `close` did it. */
  readonly ended: Promise<NatsFault | undefined>;
  /** By `$JS.API.DIRECT.GET.STREAM.SUBJECT`, which rights can be given for by subject. Undefined: there is none. */
  lastOf(stream: string, subject: string): Promise<FleetMessage | undefined>;
  /**
   * One message, stored when it resolves (as far as the server promises). `expected`: the stream's number of the subject's last message; 0:
   * there is none. `isDuplicate`: the server had one with this id, and this one was dropped.
   */
  publish(
    subject: string,
    headers: readonly (readonly [string, string])[],
    bytes: Uint8Array,
    expected: number,
  ): Promise<{ readonly streamSeq: number; readonly isDuplicate: boolean }>;
  info(stream: string): Promise<StreamInfo>;
  messageAt(stream: string, streamSeq: number): Promise<FleetMessage | undefined>;
  /**
   * Messages in their order from a number on, of a subject (wildcards too), at most a few MiB ahead of the reader; goes on when new ones
   * come, until the signal is aborted, or, with `untilSeq`, ends behind that one. Rejects when the connection ends.
   */
  read(
    stream: string,
    from: { readonly streamSeq: number } | { readonly storedMs: number },
    options: {
      readonly subject: string;
      readonly untilSeq?: number | undefined;
      readonly signal: AbortSignal;
    },
  ): AsyncIterable<FleetMessage>;
  /** Makes the stream of `fleet init`; changes nothing where it exists. */
  createStream(
    stream: string,
    settings: { readonly replicas: number; readonly maxAgeMs: number; readonly maxBytes: number | undefined },
  ): Promise<void>;
  close(): Promise<void>;
}
