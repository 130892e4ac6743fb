// The library's transport: TCP, the server's first line, TLS, and then the protocol, all with bounds (intake). The library's own transport
// buffers without a bound, and leaves a failed socket open; `setTransportFactory` replaces it. No byte of the server is accepted between
// its first line and TLS. Each phase has a time limit, and the socket is destroyed at every end.

import { connect as connectSocket, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import type { Transport } from '@nats-io/transport-node';
import { bounds } from '../../host/bounds/bounds.js';
import { Wakes } from '../../host/concurrency/waiting.js';
import { systemClock } from '../../host/machine/clock.js';
import type { Timer } from '../../host/ports/machine.js';
import { parseLine } from '../../host/values/values.js';
import { faultOfHandshake, refusalOf } from './dial-faults.js';
import { NatsFault } from './fault.js';
import { createIntake, type Intake, IntakeFault, intakeLimits } from './intake.js';
import { type NatsServer, placeOf } from './servers.js';

/** Time for the TCP connection and the server's first line; then again for TLS and the login. */
const dialMs = bounds.natsDialMs;
/** Limits of waiting writes. One block and its requests are a few. */
const writes = { count: bounds.natsWrites, bytes: bounds.natsWriteBytes };
/** Rate of TLS's own bytes (keys, tickets) beyond those that it carries. */
const tlsBytesPerSecond = bounds.natsTlsRate;

export interface TransportOptions {
  readonly server: NatsServer;
  readonly tls: ConnectionOptions;
  /** Whether `ca` is set; otherwise the system's list is used. */
  readonly isOwnCa: boolean;
  readonly signal: AbortSignal;
}

/** One connection to one server. `intake` is set when it is open. */
export class BoundedTransport implements Transport {
  readonly lang = 'nats.js';
  readonly version = '3.3.1';
  readonly intake: Intake = createIntake(() => systemClock.now());
  closeError?: Error;
  readonly #options: TransportOptions;
  readonly #place: string;
  readonly #closed: Promise<Error | undefined>;
  #settle: (cause: Error | undefined) => void = () => undefined;
  #raw: Socket | undefined;
  #secure: TLSSocket | undefined;
  #phase: 'new' | 'greeting' | 'securing' | 'login' | 'open' | 'closed' = 'new';
  #timer: Timer | undefined;
  #look: Timer | undefined;
  #frames: Buffer[] = [];
  readonly #wakes = new Wakes();
  #pending = 0;
  #serverValidTo = '';
  /** Bytes carried by TLS. */
  #bytes = 0;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#place = placeOf(options.server);
    this.#closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** The expiry of the server's certificate, as `Nov 20 09:05:00 2026 GMT`; empty before TLS. */
  get serverValidTo(): string {
    return this.#serverValidTo;
  }

  get isClosed(): boolean {
    return this.#phase === 'closed';
  }

  /** The server's first line is ready for the library then. Rejects with a NatsFault, or with the signal's reason. */
  async connect(): Promise<void> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    const onAbort = (): void => this.#end(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    void this.#closed.then(() => signal.removeEventListener('abort', onAbort));
    const failed = this.#closed.then((cause) => {
      throw cause ?? new NatsFault('closed-early', `cannot connect to ${this.#place}: it was given up`);
    });
    await Promise.race([failed, this.#greet().then(() => this.#upgrade())]);
  }

  #greet(): Promise<void> {
    const { host, port } = this.#options.server;
    this.#phase = 'greeting';
    let isThere = false;
    this.#timer = systemClock.setTimer(dialMs, () => {
      const why = isThere ? 'it accepts connections and says nothing' : 'no connection';
      this.#end(
        new NatsFault('dial-timeout', `${this.#place} does not answer: ${why} within ${dialMs / 1000} s`),
      );
    });
    const socket = connectSocket({ host, port, noDelay: true });
    this.#raw = socket;
    socket.once('connect', () => {
      isThere = true;
    });
    // Both stay: an error of a closing socket must not end the process.
    socket.on('error', (cause) => this.#failed(cause));
    socket.on('close', () => this.#failed(undefined));
    return new Promise((resolve) => {
      let line = Buffer.alloc(0);
      const onData = (chunk: Buffer): void => {
        line = Buffer.concat([line, chunk]);
        const end = line.indexOf('\r\n');
        if (end < 0 && line.length <= intakeLimits.lineBytes) return;
        socket.off('data', onData);
        const fault = this.#readGreeting(line, end);
        if (fault === undefined) resolve();
        else this.#end(fault);
      };
      socket.on('data', onData);
    });
  }

  #readGreeting(line: Buffer, end: number): NatsFault | undefined {
    const text = line.toString('latin1', 0, Math.max(end, 0));
    const info = text.startsWith('INFO ') ? parseLine(text.slice(5)) : undefined;
    if (info === undefined)
      return new NatsFault('dial-refused', `${this.#place} is not a NATS server: check host and port`);
    if (info['tls_required'] !== true && info['tls_available'] !== true) {
      const what = `${this.#place} has no TLS, and nothing is sent without: give it a \`tls\` block`;
      return new NatsFault('tls-failed', what);
    }
    if (end + 2 !== line.length)
      return new NatsFault('tls-failed', `${this.#place} sent more than its first line without TLS`);
    try {
      this.#frames.push(...this.intake.push(line));
      return undefined;
    } catch (cause) {
      return this.#faultOf(cause);
    }
  }

  #upgrade(): Promise<void> {
    this.#phase = 'securing';
    this.#timer?.cancel();
    this.#timer = systemClock.setTimer(dialMs, () => {
      const text = `${this.#place} does not answer: no handshake and login within ${dialMs / 1000} s`;
      this.#end(new NatsFault('dial-timeout', text));
    });
    return new Promise((resolve, reject) => {
      let socket: TLSSocket;
      try {
        socket = connectTls({ ...this.#options.tls, ...(this.#raw && { socket: this.#raw }) });
      } catch (cause) {
        // Our certificate or key is invalid.
        return reject(this.#faultOfTls(cause));
      }
      this.#secure = socket;
      socket.setNoDelay(true);
      socket.on('error', (cause) => this.#failed(cause));
      socket.on('close', () => this.#failed(undefined));
      socket.once('secureConnect', () => {
        if (this.#phase !== 'securing') return;
        this.#phase = 'login';
        this.#serverValidTo = socket.getPeerX509Certificate()?.validTo ?? '';
        this.#watch(this.#raw?.bytesRead ?? 0, 0);
        resolve();
      });
      socket.on('data', (chunk: Buffer) => this.#take(chunk));
    });
  }

  #take(chunk: Buffer): void {
    if (this.isClosed) return;
    this.#bytes += chunk.length;
    try {
      this.#frames.push(...this.intake.push(chunk));
    } catch (cause) {
      return this.#end(this.#faultOf(cause));
    }
    this.#wakes.wake();
  }

  /** The intake counts the bytes inside TLS; those of TLS itself are counted here. */
  #watch(rawBefore: number, carriedBefore: number): void {
    this.#look = systemClock.setTimer(1_000, () => {
      const raw = this.#raw?.bytesRead ?? 0;
      const carried = this.#bytes;
      if (raw - rawBefore > 2 * (carried - carriedBefore) + tlsBytesPerSecond)
        return this.#end(this.#faultOf(new IntakeFault('more came in TLS itself than it carried')));
      this.#watch(raw, carried);
    });
  }

  /** The login succeeded: from now on only silence and bounds end the connection. */
  opened(): void {
    if (this.#phase !== 'login') return;
    this.#phase = 'open';
    this.#timer?.cancel();
  }

  #faultOf(cause: unknown): NatsFault {
    const why = cause instanceof IntakeFault ? cause.message : 'it cannot be read';
    return new NatsFault(
      'closed-early',
      `${this.#place} broke the rules of a connection, which was ended: ${why}`,
      cause,
    );
  }

  #faultOfTls(cause: unknown): NatsFault {
    return faultOfHandshake(cause, this.#place, this.#options.isOwnCa);
  }

  /** Undefined: the other end closed without an error. */
  #failed(cause: Error | undefined): void {
    switch (this.#phase) {
      case 'greeting': {
        const why = cause === undefined ? 'it ended the connection' : refusalOf(cause);
        return this.#end(new NatsFault('dial-refused', `cannot connect to ${this.#place}: ${why}`, cause));
      }
      case 'securing':
        return this.#end(this.#faultOfTls(cause));
      case 'login':
        // The library may have the server's reason, which is the better text.
        return this.#end(cause === undefined ? undefined : this.#faultOfTls(cause));
      case 'new':
      case 'open':
      case 'closed':
        return this.#end(cause);
      default:
        return this.#phase satisfies never;
    }
  }

  #end(cause: Error | undefined): void {
    if (this.isClosed) return;
    this.#phase = 'closed';
    this.#timer?.cancel();
    this.#look?.cancel();
    if (cause !== undefined) this.closeError = cause;
    this.#secure?.destroy();
    this.#raw?.destroy();
    this.#frames = [];
    this.#settle(cause);
    this.#wakes.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, undefined, undefined> {
    try {
      for (;;) {
        const next = this.#frames.shift();
        if (next !== undefined) {
          yield next;
          continue;
        }
        if (this.isClosed) return;
        await this.#wakes.next();
      }
    } finally {
      // Also if the library failed on the input: by itself it would leave the connection open.
      this.#end(this.#faultOf(new IntakeFault('the library does not understand it')));
    }
  }

  isEncrypted(): boolean {
    return this.#secure !== undefined;
  }

  send(frame: Uint8Array): void {
    const socket = this.#secure;
    if (socket === undefined || this.isClosed) return;
    this.#pending += 1;
    if (this.#pending > writes.count || socket.writableLength > writes.bytes)
      return this.#end(this.#faultOf(new IntakeFault('it takes nothing of what it is answered')));
    // A failed write appears as the end of the connection.
    socket.write(frame, () => {
      this.#pending -= 1;
    });
  }

  close(cause?: Error): Promise<void> {
    this.#end(cause);
    return Promise.resolve();
  }

  disconnect(): void {
    this.#end(undefined);
  }

  discard(): void {
    this.#end(undefined);
  }

  closed(): Promise<Error | undefined> {
    return this.#closed;
  }
}
