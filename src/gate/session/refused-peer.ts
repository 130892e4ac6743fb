// A client of a UNIX socket that gets a reason instead of service: it is greeted, and its command is answered with a log line and the
// status of that reason. Nothing is evaluated, sent or recorded. Memory and time without progress are limited. No byte of a command's input
// is parsed as a command line.

import { codes, sentenceOf } from '../../doveadm/codes/codes.js';
import { allSeries } from '../../doveadm/commands/catalog.js';
import { HandshakeAccept } from '../../doveadm/handshake/accept.js';
import { type CommandLine, parseCommandLine } from '../../doveadm/protocol/command.js';
import { minorForClients } from '../../doveadm/protocol/minors.js';
import { Deadline } from '../../host/concurrency/limits.js';
import { TransportFault, WireFault } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import type { CloseReason, Transport } from '../../host/ports/transport.js';
import { followingInput } from '../../rules/policy/judge.js';
import { type RefusalCell, ReplyWriter } from '../relay/reply-writer.js';
import { PeerInput, SessionInput } from './session-input.js';

export interface RefusalLimits {
  readonly lineBytesMax: number;
  readonly inputBytesMax: number;
  readonly inputTimeMs: number;
  /** For the handshake, for the command with the options before it, and for reading the answer. */
  readonly waitMs: number;
}

export interface RefusedPeer {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly limits: RefusalLimits;
  /** The reason that the client reads. Must not reject. */
  readonly text: () => string | Promise<string>;
  /** The setting of its listener; absent: no cell. */
  readonly refusalCell?: RefusalCell;
  /** For the transport, and the code that the client reads. */
  readonly reason: 'sessions-limit' | 'not-configured' | 'peer-refused';
}

/** Resolves when the session is over and its transport gone. Never rejects. */
export async function refusePeer(peer: RefusedPeer): Promise<void> {
  const { transport, clock, limits, reason } = peer;
  const wait = new Deadline(clock, () => transport.close(reason, true));
  wait.set(limits.waitMs);
  let closeFor: CloseReason = reason;
  try {
    const greeted = await greet(peer);
    if (greeted === undefined) return;
    const writer = new ReplyWriter(transport, greeted.minor, peer.refusalCell);
    const input = new SessionInput(transport, greeted.rest, limits.lineBytesMax);
    wait.set(limits.waitMs);
    let isFirst = true;
    for (;;) {
      const line = await input.nextLine();
      if (line === null) return;
      // A client that sends many lines at once must not hold up the others: one line a turn.
      if (!isFirst) await clock.nextTurn();
      isFirst = false;
      const read = typeof line === 'string' ? { kind: line } : parseCommandLine(line);
      if (read.kind === 'option') {
        if (read.name === 'log-passthrough') writer.passLogs();
      } else {
        wait.clear();
        if (read.kind === 'command') await skipInput(peer, input, read.command);
        else await input.dropLine(clock);
        wait.set(limits.waitMs);
        const sentence = sentenceOf(reason, { reason: await peer.text() });
        writer.refuse({ code: reason, sentence }, codes[reason].status);
        await writer.flush(0);
        return;
      }
    }
  } catch (fault) {
    if (fault instanceof WireFault) closeFor = 'wire-fault';
    else closeFor = fault instanceof TransportFault ? 'peer-gone' : 'internal';
  } finally {
    wait.end();
    transport.close(closeFor);
    // The client's place is freed together with its descriptor.
    await transport.whenClosed();
  }
}

async function greet({
  transport,
  limits: { lineBytesMax },
}: RefusedPeer): Promise<{ readonly minor: number; readonly rest: Buffer } | undefined> {
  const machine = new HandshakeAccept({
    minor: minorForClients,
    preauthenticated: true,
    tls: 'none',
    plainAllowed: false,
    lineBytesMax,
  });
  for (;;) {
    const chunk = await transport.read();
    for (const step of chunk === null ? machine.end() : machine.push(chunk)) {
      if (step.do === 'ready') return step;
      if (step.do !== 'send') return undefined;
      await transport.write([step.bytes]);
    }
  }
}

/** Reads and drops the input after the command's line: a client that is answered earlier may not read the answer. */
async function skipInput(
  { transport, clock, limits: { inputBytesMax, inputTimeMs } }: RefusedPeer,
  input: SessionInput,
  command: CommandLine,
): Promise<void> {
  if (followingInput(command, allSeries) !== 'dot') return;
  const close = (why: CloseReason): void => transport.close(why);
  const text = new PeerInput(input, { inputBytesMax, inputTimeMs, clock, close });
  await text.skipText();
}
