// A transport without a socket, and the peer at its other end in the hands of the test. It keeps the port's contract to the letter:
// one reader, writes that wait while the peer does not read, one close with a reason.
import assert from 'node:assert/strict';
import { TransportFault, UpstreamFault } from '../../../src/host/ports/faults.js';
import {
  type CloseReason,
  type TlsDemand,
  type TlsOffer,
  type TlsPeer,
  type Transport,
  wholeBytesMax,
} from '../../../src/host/ports/transport.js';

/** The far end. */
export interface MemoryPeer {
  /** Arrives as one chunk. */
  send: (bytes: string | Buffer) => void;
  /** Ends the peer's sending side. */
  end(): void;
  /** Another one listens at its path from now on. */
  replace(): void;
  /** The peer is gone: reads and writes of the transport fail from here on, unread bytes are lost. */
  vanish(): void;
  /** While true, what the transport writes stays unsent. */
  setStopped(isStopped: boolean): void;
  /** Takes so many of the bytes that are unsent while it is stopped. */
  take(bytes: number): void;
  /** Everything that reached the peer. */
  received(): Buffer;
  /** What was written to arrive whole, and does because nothing from before was unsent; in order. */
  readonly wholes: readonly Buffer[];
  /** Resolves with received() once `isEnough` holds of it; rejects when the transport is closed before. */
  receive(isEnough: (bytes: Buffer) => boolean): Promise<Buffer>;
  /** Whether the transport has ended its sending side, or closed. */
  readonly isEnded: boolean;
  /** Whether it was closed abruptly, so that a real peer would see a reset. */
  readonly isReset: boolean;
  /** What startTls was called with, in order. */
  readonly tlsDemands: readonly TlsDemand[];
  /** How the next startTls or acceptTls ends: default `accept`; `hang` waits for another call of this. */
  setTls(answer: 'accept' | 'refuse' | 'hang'): void;
  /** What acceptTls was called with, in order. */
  readonly tlsOffers: readonly { readonly offer: TlsOffer; readonly rest: Buffer }[];
  /** The certificate that the next acceptTls finds; default: none. */
  setCertificate(certificate: TlsPeer | undefined): void;
}

export interface MemoryTransportOptions {
  /** Unsent bytes above which a write is a promise; default 65536. */
  roomBytes?: number;
  /** Whether it is as TLS and UNIX sockets are; default true. */
  keepsWhole?: boolean;
}

export function createMemoryTransport(options: MemoryTransportOptions = {}): {
  transport: Transport;
  peer: MemoryPeer;
} {
  const { roomBytes = 65536, keepsWhole = true } = options;
  const inbound: Buffer[] = [];
  /** Begins with the bytes that reached the peer. Bytes are only appended, so a part that was handed out never changes. */
  let room = Buffer.alloc(1024);
  let deliveredBytes = 0;
  const tlsDemands: TlsDemand[] = [];
  const tlsOffers: { offer: TlsOffer; rest: Buffer }[] = [];
  let certificate: TlsPeer | undefined;
  const unsent: Buffer[] = [];
  const wholes: Buffer[] = [];
  let isDropped = false;
  let isPeerEnded = false;
  let isGone = false;
  let isStopped = false;
  let isWritingEnded = false;
  let isReset = false;
  let closedFor: CloseReason | undefined;
  let tlsAnswer: 'accept' | 'refuse' | 'hang' = 'accept';
  let isReading = false;
  let isReplaced = false;
  /** Everybody who waits for something; each looks again after every change. */
  const checks = new Set<() => void>();
  let goneListener: (() => void) | undefined;
  const tellGone = (): void => {
    const run = goneListener;
    goneListener = undefined;
    run?.();
  };
  const changed = (): void => {
    if (isGone && closedFor === undefined) tellGone();
    for (const check of checks) check();
  };
  const until = async (isTrue: () => boolean): Promise<void> => {
    if (isTrue()) return;
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (!isTrue()) return;
        checks.delete(check);
        resolve();
      };
      checks.add(check);
    });
  };
  const unsentBytes = (): number => unsent.reduce((sum, part) => sum + part.length, 0);
  const received = (): Buffer => room.subarray(0, deliveredBytes);
  const addDelivered = (bytes: Buffer): void => {
    const length = deliveredBytes + bytes.length;
    if (length > room.length) room = Buffer.concat([received()], 2 * length);
    bytes.copy(room, deliveredBytes);
    deliveredBytes = length;
  };
  const deliver = (): void => {
    if (!isStopped) for (const part of unsent.splice(0)) addDelivered(part);
  };
  const faultNow = (): TransportFault | undefined => {
    if (closedFor !== undefined) return new TransportFault('closed', `closed: ${closedFor}`);
    return isGone ? new TransportFault('peer-gone', 'the peer is gone') : undefined;
  };
  const close = (reason: CloseReason, isAbrupt = false): void => {
    if (closedFor !== undefined && !isAbrupt) return;
    closedFor ??= reason;
    isReset = isAbrupt;
    isWritingEnded = true;
    if (isAbrupt) isDropped = unsent.splice(0).length > 0;
    changed();
  };

  const transport: Transport = {
    async read() {
      assert.ok(!isReading, 'two reads at a time');
      isReading = true;
      try {
        await until(() => inbound.length > 0 || isPeerEnded || faultNow() !== undefined);
        const fault = faultNow();
        if (fault !== undefined) throw fault;
        // A copy: the buffer is the caller's, who may keep it or write into it.
        const chunk = inbound.shift();
        return chunk === undefined ? null : Buffer.from(chunk);
      } finally {
        isReading = false;
      }
    },
    write(parts) {
      const fault = faultNow();
      if (fault !== undefined) return Promise.reject(fault);
      assert.ok(!isWritingEnded, 'a write after endWriting');
      // A copy: whoever writes a slice and changes it afterwards is found out only if he did so before it left.
      unsent.push(Buffer.concat(parts));
      deliver();
      changed();
      if (unsentBytes() <= roomBytes) return undefined;
      return until(() => unsent.length === 0 || faultNow() !== undefined).then(() => {
        const late = faultNow();
        if (late !== undefined && (unsent.length > 0 || isDropped)) throw late;
      });
    },
    async writeWhole(bytes) {
      assert.ok(bytes.length <= wholeBytesMax, 'too long to be whole');
      if (unsent.length === 0) wholes.push(Buffer.from(bytes));
      await (transport.write([bytes]) ?? until(() => unsent.length === 0 || faultNow() !== undefined));
      const late = faultNow();
      if (late !== undefined && (unsent.length > 0 || isDropped)) throw late;
    },
    keepsWhole,
    endWriting() {
      isWritingEnded = true;
      changed();
    },
    async startTls(demand) {
      tlsDemands.push(demand);
      const hasEarlyBytes = inbound.length > 0;
      await until(() => tlsAnswer !== 'hang' || hasEarlyBytes || isPeerEnded || faultNow() !== undefined);
      const fault = faultNow();
      if (fault === undefined && !hasEarlyBytes && !isPeerEnded && tlsAnswer === 'accept') return;
      close('dial-failed');
      throw new UpstreamFault('tls-failed', 'TLS failed', fault);
    },
    async acceptTls(offer, rest) {
      tlsOffers.push({ offer, rest: Buffer.from(rest) });
      await until(() => tlsAnswer !== 'hang' || isPeerEnded || faultNow() !== undefined);
      const fault = faultNow();
      if (fault === undefined && !isPeerEnded && tlsAnswer === 'accept') return certificate;
      close('tls-failed');
      throw fault ?? new TransportFault('tls-failed', 'TLS failed');
    },
    close,
    get heldBytes() {
      return inbound.reduce((sum, part) => sum + part.length, 0);
    },
    onGone(run) {
      goneListener = run;
      if (isGone) tellGone();
    },
    whenClosed: () => until(() => isGone || (closedFor !== undefined && (isReset || unsent.length === 0))),
    get closedFor() {
      return closedFor;
    },
    get isReplaced() {
      return isReplaced;
    },
    get unsentBytes() {
      return unsentBytes();
    },
    get takenBytes() {
      return deliveredBytes;
    },
  };
  const peer: MemoryPeer = {
    replace() {
      isReplaced = true;
    },
    send(bytes) {
      assert.ok(!isPeerEnded && !isGone, 'the peer has ended');
      if (bytes.length > 0) inbound.push(Buffer.from(bytes));
      changed();
    },
    end() {
      isPeerEnded = true;
      changed();
    },
    vanish() {
      isGone = true;
      inbound.splice(0);
      changed();
    },
    setStopped(stop) {
      isStopped = stop;
      deliver();
      changed();
    },
    take(bytes) {
      const all = Buffer.concat(unsent.splice(0));
      addDelivered(all.subarray(0, bytes));
      if (bytes < all.length) unsent.push(all.subarray(bytes));
      changed();
    },
    received,
    wholes,
    async receive(isEnough) {
      const isOver = (): boolean => isWritingEnded && unsent.length === 0;
      await until(() => isEnough(received()) || isOver());
      const bytes = received();
      if (!isEnough(bytes)) throw new Error(`ended after ${JSON.stringify(bytes.toString('latin1'))}`);
      return bytes;
    },
    get isEnded() {
      return isWritingEnded;
    },
    get isReset() {
      return isReset;
    },
    tlsDemands,
    tlsOffers,
    setCertificate(shown) {
      certificate = shown;
    },
    setTls(answer) {
      tlsAnswer = answer;
      changed();
    },
  };
  return { transport, peer };
}
