// A session of the library over memory: greeted at once, the server's end in the hands of the test.

import type { Command } from '../../src/client/client-command.js';
import { createSession, type Session, type SessionOptions } from '../../src/client/session.js';
import type { LogLine } from '../../src/doveadm/reply/reply.js';
import { createFakeClock, type FakeClock } from '../kit/plain/fake-clock.js';
import {
  createMemoryTransport,
  type MemoryPeer,
  type MemoryTransportOptions,
} from '../kit/plain/memory-transport.js';

export interface Opened {
  readonly session: Session;
  readonly peer: MemoryPeer;
  readonly clock: FakeClock;
  /** Log lines so far. */
  readonly logs: readonly LogLine[];
  /** Why our side closed. */
  readonly closedFor: () => string | undefined;
}

export function openSession(
  minor: number,
  options: SessionOptions & { serverMinor?: number | undefined } = {},
  transportOptions: MemoryTransportOptions = {},
): Opened {
  const { transport, peer } = createMemoryTransport(transportOptions);
  const clock = createFakeClock();
  const logs: LogLine[] = [];
  const { serverMinor = minor, ...others } = options;
  const session = createSession(
    { transport, minor, serverMinor },
    { onLog: (line) => logs.push(line), ...others },
    clock,
  );
  return { session, peer, clock, logs, closedFor: () => transport.closedFor };
}

export const quota: Command = { user: 'alice', name: 'quota get', columns: 5 };
