// One exchange between a backend and a client in memory, for the tests of the relay, of uploads and of bytes both ways.

import {
  type Conversation,
  encodeOutgoing,
  type LogMode,
  RelayCount,
} from '../../../src/gate/relay/relay.js';
import { ReplyWriter } from '../../../src/gate/relay/reply-writer.js';
import { PeerInput, SessionInput } from '../../../src/gate/session/session-input.js';
import { carelessOwner, leasedUpstream } from '../../kit/gate/memory-backend.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { createDemux } from '../../kit/plain/framing.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

export type Fields = Parameters<typeof encodeOutgoing>[0];
type Ends = NonNullable<Parameters<typeof createMemoryTransport>[0]>;

/** What a client sends behind its command line. */
export function inputOf(
  { clock, clientTransport }: Pick<ReturnType<typeof openConversation>, 'clock' | 'clientTransport'>,
  limits = { inputBytesMax: 10_000_000, inputTimeMs: 1_000 },
): PeerInput {
  const session = new SessionInput(clientTransport, Buffer.alloc(0), 100);
  return new PeerInput(session, { ...limits, clock, close: (reason) => clientTransport.close(reason) });
}

export interface Setting {
  readonly serverMinor?: number;
  readonly clientMinor?: number;
  readonly command?: Partial<Fields>;
  readonly logs?: LogMode;
  readonly cutOff?: Conversation['cutOff'];
  readonly onLog?: Conversation['onLog'];
  readonly limits?: Conversation['limits'];
  readonly count?: RelayCount;
  readonly backendEnd?: Ends;
  readonly clientEnd?: Ends;
}

const quotaGet: Fields = {
  user: 'alice@example.org',
  name: 'quota get',
  args: ['--'],
  debug: false,
  verbose: false,
  isLast: false,
  prefixed: undefined,
  proxyTtl: undefined,
  isReading: true,
};

/** `command`: what differs from `quota get` of alice. */
export function openConversation({
  serverMinor = 2,
  clientMinor = 2,
  command,
  logs = 'filtered',
  cutOff = () => undefined,
  limits = { deadlineMs: 1_000, replyIdleMs: 1_000, clientStallMs: 1_000, logLinesMax: 3 },
  count = new RelayCount(),
  onLog,
  backendEnd = {},
  clientEnd = {},
}: Setting = {}) {
  const clock = createFakeClock();
  const backend = createMemoryTransport(backendEnd);
  const client = createMemoryTransport(clientEnd);
  const closedFor: string[] = [];
  const upstream = leasedUpstream(backend.transport, clock, {
    serverMinor,
    limits: { statusBytesMax: 100, frameBytesMax: 10_000_000, logLineBytesMax: 1_000 },
    owner: { ...carelessOwner, closed: (_upstream, reason) => void closedFor.push(reason) },
  });
  const writer = new ReplyWriter(client.transport, clientMinor);
  const heard: string[] = [];
  const conversation: Conversation = {
    upstream,
    command: encodeOutgoing({ ...quotaGet, ...command }, upstream.server),
    writer,
    logs,
    nameCase: 'fold',
    clock,
    limits,
    count,
    cutOff,
    onLog: onLog ?? ((line) => void heard.push(line.text)),
  };
  return {
    clock,
    backend: backend.peer,
    backendTransport: backend.transport,
    client: client.peer,
    clientTransport: client.transport,
    upstream,
    closedFor,
    writer,
    count,
    heard,
    conversation,
    sent: () => String(backend.peer.received()),
    /** What a client of minor 1 or 2 has: both channels, each as text, and all in the order in which it came. */
    got(): { out: string; log: string; all: string } {
      void writer.flush(0);
      const got = { out: '', log: '', all: '' };
      for (const { channel, bytes } of createDemux('packet').push(client.peer.received())) {
        got[channel === 0 ? 'out' : 'log'] += String(bytes);
        got.all += String(bytes);
      }
      return got;
    },
  };
}
