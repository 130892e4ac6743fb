// Backends without sockets: a dialler whose far ends are in the hands of the test, and the bytes that a backend says.

import assert from 'node:assert/strict';
import { type ReplyRows, shapeOf } from '../../../src/doveadm/meaning/columns.js';
import { serverOf } from '../../../src/doveadm/protocol/releases.js';
import type { DialTarget } from '../../../src/gate/pool/dial.js';
import type { Pool } from '../../../src/gate/pool/pool.js';
import { Upstream, type UpstreamLimits, type UpstreamOwner } from '../../../src/gate/pool/upstream.js';
import { UpstreamFault } from '../../../src/host/ports/faults.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import type { Address, Connect, Transport } from '../../../src/host/ports/transport.js';
import {
  createDemux,
  createFramer,
  encodeLog,
  type LogTypeName,
  logChannel,
  replyChannel,
} from '../plain/framing.js';
import { createMemoryTransport, type MemoryPeer } from '../plain/memory-transport.js';

/** One dial that was accepted. */
export interface DialledEnd {
  readonly address: Address;
  /** Our end, as it was handed out. */
  readonly transport: Transport;
  readonly peer: MemoryPeer;
}

/** The way to a backend. */
export interface MemoryDialler {
  readonly connect: Connect;
  /** How dials end from now on: default `accept`; `hang`: not before their signal aborts. */
  setAnswer(answer: 'accept' | 'refuse' | 'hang'): void;
  /** Called with each accepted end before our side has it: what it sends at once is the first thing that is read. */
  onAccept(run: (end: DialledEnd) => void): void;
  /** Dials so far, whatever became of them. */
  readonly dials: number;
  /** Accepted ones, in order. */
  readonly ends: readonly DialledEnd[];
  /** Accepted ones that our side has not closed. */
  readonly open: readonly DialledEnd[];
}

export function createMemoryDialler(): MemoryDialler {
  const ends: DialledEnd[] = [];
  let answer: 'accept' | 'refuse' | 'hang' = 'accept';
  let accepted: (end: DialledEnd) => void = () => undefined;
  let dials = 0;
  return {
    async connect(address, signal) {
      dials += 1;
      signal.throwIfAborted();
      if (answer === 'refuse') throw new UpstreamFault('dial-refused', 'nobody listens there');
      if (answer === 'hang') {
        await new Promise<never>((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        });
      }
      const { transport, peer } = createMemoryTransport();
      reframe(peer);
      const end = { address, transport, peer };
      ends.push(end);
      accepted(end);
      return transport;
    },
    setAnswer(next) {
      answer = next;
    },
    onAccept(run) {
      accepted = run;
    },
    get dials() {
      return dials;
    },
    ends,
    get open() {
      return ends.filter(({ transport }) => transport.closedFor === undefined);
    },
  };
}

/**
 * Tests say what a backend sends in packets. From minor 4 on the framing is another one: what is sent after the go-ahead is put into it.
 */
function reframe(peer: MemoryPeer): void {
  const send = peer.send.bind(peer);
  const packets = createDemux('packet');
  const stream = createFramer('stream');
  let said = '';
  let isFramed = false;
  const framed = (bytes: Buffer): void => {
    for (const piece of packets.push(bytes)) send(stream(piece.channel, piece.bytes));
  };
  peer.send = (given) => {
    const bytes = Buffer.from(given);
    if (isFramed) return framed(bytes);
    said += bytes.toString('latin1');
    const [, minor] = /^VERSION\tdoveadm-client\t1\t(\d+)\n/.exec(said) ?? [];
    const end = said.indexOf('\n+\n');
    if (end < 0 || Number(minor) < 4 || minor === undefined) return send(given);
    isFramed = true;
    const rest = said.length - end - 3;
    send(bytes.subarray(0, bytes.length - rest));
    if (rest > 0) framed(bytes.subarray(bytes.length - rest));
  };
}

/** A target without TLS and password, `changes` made to it. */
export function memoryTarget(changes: Partial<DialTarget> = {}): DialTarget {
  return {
    name: 'mail1',
    address: { kind: 'tcp', host: '192.0.2.1', port: 24245 },
    tls: 'off',
    demand: { serverName: 'mail1.example.com', ca: undefined, keyPins: [] },
    username: 'doveadm',
    passwords: () => Promise.resolve([]),
    mayAuthenticateInClear: false,
    connectTimeoutMs: 1_000,
    greetingTimeoutMs: 2_000,
    ...changes,
  };
}

/** An owner that lets everything happen. */
export const carelessOwner: UpstreamOwner = {
  closed: () => undefined,
  straySpoke: () => undefined,
  rested: () => undefined,
};

/** Rows with so many columns. */
export function rowsOf(columns: number): ReplyRows {
  const shape = shapeOf('flow', Array.from({ length: columns }, (_, index) => `c${index}`).join(' '));
  return { decidedBy: 0, shapeFrom: () => shape };
}

/** An upstream over that transport, leased to its first exchange. */
export function leasedUpstream(
  transport: Transport,
  clock: Clock,
  options: { readonly serverMinor?: number; readonly limits: UpstreamLimits; readonly owner?: UpstreamOwner },
): Upstream {
  const { serverMinor = 2, limits, owner = carelessOwner } = options;
  const greeted = { transport, minor: 2, serverMinor, rest: Buffer.alloc(0) };
  const names = {
    id: 'mail1-1',
    backend: 'mail1',
    server: serverOf(serverMinor),
    endsMs: Number.POSITIVE_INFINITY,
  } as const;
  const upstream = new Upstream(greeted, names, limits, clock, owner);
  upstream.release(60_000);
  upstream.lease();
  return upstream;
}

/** How many are dialled, idle, leased, waited for. */
export function poolSizes(pool: Pool): readonly [number, number, number, number] {
  const { dialing, idle, leased, waiters } = pool.snapshot();
  return [dialing, idle, leased, waiters];
}

/** What a backend of that minor says to a client that need not authenticate. */
export function greeting(minor: number): string {
  return `VERSION\tdoveadm-client\t1\t${minor}\n+\n`;
}

const packet = createFramer('packet');

/** One packet of the reply channel. */
export function replyPacket(text: string): Buffer {
  return packet(replyChannel, Buffer.from(text));
}

/** One packet of the log channel with one line. */
export function logPacket(type: LogTypeName, text: string): Buffer {
  return packet(logChannel, encodeLog(type, text));
}

/** The element, which the test knows to be there. */
export function at<T>(list: readonly T[], index: number): T {
  const found = list.at(index);
  assert.ok(found !== undefined, `there is no element ${index}`);
  return found;
}
