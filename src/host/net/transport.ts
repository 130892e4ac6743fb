// A transport over a socket of Node: read on request, corked writes, TLS in the middle, one close. The socket's events end here. The
// system's error for a broken socket becomes the cause of a TransportFault or an UpstreamFault. Reading is a pull over one `data` listener
// (leaving an async iterator would destroy the socket, and it costs 3.5 KiB more per idle session). At most `readAheadBytesMax` are held
// while there is no reader.

import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { bounds } from '../bounds/bounds.js';
import { TransportFault, UpstreamFault } from '../ports/faults.js';
import type { Clock, Native, Timer } from '../ports/machine.js';
import type { CloseReason, TlsDemand, TlsOffer, TlsPeer, Transport } from '../ports/transport.js';
import { acceptTls } from './tls-accept.js';
import { connectTls } from './tls-connect.js';
import { GroupWriter } from './write-group.js';

/** Bytes that are read from the socket without a request. */
const readAheadBytesMax = 64 * 1024;
/** Each piece from a peer that sends byte by byte takes a hundred times its length: further bytes wait in the kernel, in one piece. */
const readAheadPiecesMax = bounds.readAheadPieces;
/** How long a closed transport may take to deliver the written bytes. */
const lingerMs = 5_000;

/** Interval of the checks whether a peer is gone. */
const pollMs = 250;

export type SocketQuestions = Pick<Native, 'hasHungUp' | 'queuedBytes'>;

/** The file descriptor below an accepted socket; Node has it, but does not promise it (there on 20, 22 and 24). */
export function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  const descriptor: unknown =
    typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined;
}

type Failed = ConstructorParameters<typeof TransportFault>;

class SocketTransport implements Transport {
  #socket: Socket | TLSSocket;
  /** The socket below TLS: only it can be reset. */
  readonly #raw: Socket;
  readonly #clock: Clock;
  #chunks: Buffer[] = [];
  #heldBytes = 0;
  #hasEnded = false;
  #isPaused = false;
  /** Why it failed. The Error is created on request: most transports never need it, and an Error costs 3 us. */
  #failed: Failed | undefined;
  #madeFault: TransportFault | undefined;
  #reader: Pending<Buffer | null> | undefined;
  readonly #groups: GroupWriter;
  #drain: Drain | undefined;
  #isInHandshake = false;
  #closedFor: CloseReason | undefined;
  #linger: Timer | undefined;
  #goneListener: (() => void) | undefined;
  readonly #gone = new Latch();
  readonly #kernel: SocketQuestions | undefined;
  readonly #isLeft: (() => boolean) | undefined;
  #poll: Timer | undefined;

  constructor(socket: Socket | TLSSocket, clock: Clock, kernel?: SocketQuestions, isLeft?: () => boolean) {
    this.#kernel = kernel;
    this.#isLeft = isLeft;
    this.#socket = socket;
    this.#raw = socket;
    this.#clock = clock;
    this.#groups = new GroupWriter(clock);
    this.#listen();
  }

  read(): Promise<Buffer | null> {
    if (this.#reader !== undefined) throw new Error('two readers on one transport');
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#heldBytes -= chunk.length;
      if (!this.#isFull && !this.#hasEnded) this.#flow();
      return Promise.resolve(chunk);
    }
    if (this.#failed !== undefined) return Promise.reject(this.#faultOf(this.#failed));
    if (this.#hasEnded) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  write(parts: readonly Buffer[]): Promise<void> | undefined {
    if (this.#failed !== undefined) return Promise.reject(this.#faultOf(this.#failed));
    if (this.#groups.write(this.#socket, parts)) return undefined;
    this.#drain ??= pendingDrain();
    return this.#drain.promise;
  }

  writeWhole(bytes: Buffer): Promise<void> {
    if (this.#failed !== undefined) return Promise.reject(this.#faultOf(this.#failed));
    this.#drain ??= pendingDrain();
    const { promise } = this.#drain;
    // One buffer, with no earlier data waiting: Node makes one TLS record of it, or one system call.
    this.#socket.write(bytes, (cause) => {
      if (!cause) this.#onDrain();
    });
    return promise;
  }

  endWriting(): void {
    this.#socket.end();
  }

  async startTls(demand: TlsDemand): Promise<void> {
    // A man in the middle could put clear-text bytes before the backend's bytes inside TLS; and TLS over a socket that has ended already
    // would wait for its end forever.
    const isEarly = this.#heldBytes > 0;
    if (isEarly || this.#hasEnded || this.#failed !== undefined) {
      const cause = this.#failed && this.#faultOf(this.#failed);
      this.close('dial-failed', true);
      const text = isEarly ? 'bytes in clear text came' : 'the transport ended';
      throw new UpstreamFault('tls-failed', `${text} before the TLS handshake`, cause);
    }
    await this.#turnToTls('dial-failed', async (plain) => ({ socket: await connectTls(plain, demand) }));
  }

  async acceptTls(offer: TlsOffer, rest: Buffer): Promise<TlsPeer | undefined> {
    if (this.#failed !== undefined) throw this.#faultOf(this.#failed);
    if (this.#hasEnded) {
      this.close('tls-failed');
      throw new TransportFault('tls-failed', 'TLS failed: the client ended its side before the handshake');
    }
    const early = Buffer.concat([rest, ...this.#chunks]);
    this.#chunks = [];
    this.#heldBytes = 0;
    const { peer } = await this.#turnToTls('tls-failed', (plain) => acceptTls(plain, offer, early));
    return peer;
  }

  /** Starts TLS. Rejects as `shake` does, or with a TransportFault if the transport was closed meanwhile. */
  async #turnToTls<Shaken extends { readonly socket: TLSSocket }>(
    reason: CloseReason,
    shake: (plain: Socket) => Promise<Shaken>,
  ): Promise<Shaken> {
    const plain = this.#socket;
    this.#unlisten();
    plain.pause();
    this.#isInHandshake = true;
    try {
      const shaken = await shake(plain);
      if (this.#failed !== undefined) throw this.#faultOf(this.#failed);
      this.#socket = shaken.socket;
      this.#listen();
      return shaken;
    } catch (cause) {
      this.#closedFor ??= reason;
      this.#reset();
      this.#fail('closed', `the transport was closed: ${this.#closedFor}`);
      this.#linger?.cancel();
      this.#gone.open();
      throw cause;
    } finally {
      this.#isInHandshake = false;
    }
  }

  close(reason: CloseReason, isAbrupt = false): void {
    if (this.#closedFor !== undefined) {
      // The peer may keep it open for the linger time.
      if (isAbrupt) this.#reset();
      return;
    }
    this.#closedFor = reason;
    const socket = this.#socket;
    const hadFault = this.#failed !== undefined;
    this.#fail('closed', `the transport was closed: ${reason}`);
    if (hadFault) {
      socket.destroy();
    } else if (isAbrupt || this.#isInHandshake) {
      this.#reset();
    } else {
      const isUnix = this.#raw.remoteAddress === undefined;
      // A socket that has ended in both directions needs no shutdown, which costs a call and a wait: this is the usual end of a session.
      if (isUnix && socket === this.#raw && this.#hasEnded && socket.writableLength === 0)
        return void socket.destroy();
      // Input is read and dropped: unread input would turn our close into a reset, which destroys the answer.
      this.#flow();
      // The same happens if a TCP socket is closed while the peer still sends, so its end is awaited.
      void (isUnix ? socket.destroySoon() : socket.end());
      this.#linger = this.#clock.setTimer(lingerMs, () => socket.destroy());
    }
  }

  get keepsWhole(): boolean {
    return this.#socket !== this.#raw || this.#raw.remoteAddress === undefined;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  onGone(run: (() => void) | undefined): void {
    this.#goneListener = run;
    if (run === undefined) this.#stopWatching();
    else this.#watchPeer();
    if (run !== undefined && this.#failed?.[0] === 'peer-gone') this.#tellGone();
  }

  whenClosed(): Promise<void> {
    return this.#gone.wait();
  }

  get closedFor(): CloseReason | undefined {
    return this.#closedFor;
  }

  get isReplaced(): boolean {
    return this.#isLeft?.() ?? false;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  get takenBytes(): number {
    const sent = sentBytesOf(this.#raw) ?? this.#raw.bytesWritten - this.#socket.writableLength;
    const descriptor = descriptorOf(this.#raw);
    const queued = descriptor === undefined ? undefined : this.#kernel?.queuedBytes(descriptor);
    return sent - (queued ?? 0);
  }

  // A named field, so that only our listeners are removed again: Node has listeners of its own on a socket.
  readonly #onData = (chunk: Buffer): void => this.#take(chunk);
  /** False: pause reading. */
  readonly #push = (chunk: Buffer | null): boolean => {
    if (chunk === null) return Readable.prototype.push.call(this.#socket, null);
    this.#take(chunk);
    return !this.#isPaused;
  };
  readonly #onEnd = (): void => this.#end();
  readonly #onError = (cause: Error): void => this.#fail('peer-gone', 'the other side is gone', cause);
  readonly #onClose = (): void => {
    this.#linger?.cancel();
    this.#fail('peer-gone', 'the other side is gone');
    this.#gone.open();
  };
  readonly #onDrain = (): void => {
    this.#drain?.pending.resolve();
    this.#drain = undefined;
  };

  /**
   * Chunks are taken where Node pushes them into the socket's own buffer, so that a pause stops reading at once: the buffer would go on
   * up to its `highWaterMark`, with a piece for each byte of a peer that sends byte by byte. Through it, each chunk also costs a deferred
   * callback besides its `data` event. If a Node version pushes in another way, `data` is still emitted.
   */
  #listen(): void {
    this.#isPaused = false;
    this.#socket.push = this.#push;
    this.#socket.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrain);
    this.#socket.on('error', this.#onError).on('close', this.#onClose);
  }

  #unlisten(): void {
    Reflect.deleteProperty(this.#socket, 'push');
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain);
    this.#socket.off('error', this.#onError).off('close', this.#onClose);
  }

  /** So that the peer does not take the bytes for the whole. Leaves the TLS socket: destroying both in one turn crashes Node 20. */
  #reset(): void {
    const { writableEnded, writableFinished, writableLength } = this.#socket;
    // While a socket ends by itself, libuv refuses to reset it (EINVAL), and Node 20 never closes a descriptor that it could not reset.
    const isEnding = writableEnded && !writableFinished && writableLength === 0;
    if (this.#raw.remoteAddress !== undefined && !isEnding) this.#raw.resetAndDestroy();
    this.#raw.destroy();
  }

  /** Polls while there is a callback for the loss of the peer, and no event would report it. */
  #watchPeer(): void {
    const kernel = this.#kernel;
    if (this.#poll !== undefined || kernel === undefined || this.#goneListener === undefined) return;
    if (this.#failed !== undefined || !(this.#hasEnded || this.#isPaused)) return;
    this.#poll = this.#clock.setTimer(pollMs, () => {
      this.#poll = undefined;
      const descriptor = descriptorOf(this.#raw);
      if (descriptor !== undefined && kernel.hasHungUp(descriptor)) this.#socket.destroy();
      else this.#watchPeer();
    });
  }

  #stopWatching(): void {
    this.#poll?.cancel();
    this.#poll = undefined;
  }

  #tellGone(): void {
    const run = this.#goneListener;
    this.#goneListener = undefined;
    run?.();
  }

  get #isFull(): boolean {
    return this.#heldBytes >= readAheadBytesMax || this.#chunks.length >= readAheadPiecesMax;
  }

  #flow(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
    // For Node, the read that delivered the last chunk is still running.
    this.#socket._read(readAheadBytesMax);
  }

  #take(chunk: Buffer): void {
    if (this.#closedFor !== undefined) return;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader.resolve(chunk);
      return;
    }
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
    if (!this.#isFull) return;
    this.#isPaused = true;
    this.#socket.pause();
    this.#watchPeer();
  }

  #faultOf(failed: Failed): TransportFault {
    return (this.#madeFault ??= new TransportFault(...failed));
  }

  #end(): void {
    this.#hasEnded = true;
    this.#watchPeer();
    this.#reader?.resolve(null);
    this.#reader = undefined;
  }

  #fail(code: 'peer-gone' | 'closed', message: string, cause?: unknown): void {
    if (this.#failed === undefined && code === 'closed') {
      this.#chunks = [];
      this.#heldBytes = 0;
    }
    const failed = (this.#failed ??= [code, message, cause]);
    this.#stopWatching();
    this.#reader?.reject(this.#faultOf(failed));
    this.#reader = undefined;
    this.#drain?.pending.reject(this.#faultOf(failed));
    this.#drain = undefined;
    if (code === 'peer-gone') this.#tellGone();
  }
}

/**
 * Bytes that the kernel has taken, including those of an incomplete write. Node has both numbers, but does not promise them (available on
 * 20, 22 and 24). By its public numbers, which count whole writes, a reader of 90 KB/s was ended as one below 64 KiB/s.
 */
function sentBytesOf(socket: Socket | TLSSocket): number | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null) return undefined;
  const written: unknown = Reflect.get(handle, 'bytesWritten');
  const queued: unknown = Reflect.get(handle, 'writeQueueSize');
  return typeof written === 'number' && typeof queued === 'number' ? written - queued : undefined;
}

/** Owns the socket, made with `allowHalfOpen`. `kernel`: for peer states that no event reports; `isLeft`: the value of `isReplaced`. */
export function wrapSocket(
  socket: Socket | TLSSocket,
  clock: Clock,
  kernel?: SocketQuestions,
  isLeft?: () => boolean,
): Transport {
  return new SocketTransport(socket, clock, kernel, isLeft);
}

export interface Pending<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (fault: TransportFault) => void;
}

/** A wait for room. Its rejection is not unhandled if there is no waiter any more. */
export interface Drain {
  readonly promise: Promise<void>;
  readonly pending: Pending<void>;
}

function pendingDrain(): Drain {
  let pending: Pending<void> | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    pending = { resolve, reject };
  });
  promise.catch(() => undefined);
  if (pending === undefined) throw new Error('a promise ran its executor late');
  return { promise, pending };
}

export class Latch {
  #isOpen = false;
  readonly #waiting: (() => void)[] = [];

  /** Idempotent. */
  open(): void {
    this.#isOpen = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  wait(): Promise<void> {
    if (this.#isOpen) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
