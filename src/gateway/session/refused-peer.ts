// A client of a UNIX socket that gets a reason instead of service: greeted like every other, and each of its commands answered with
// a log line and `-TEMPFAIL`. A script. The rules: nothing is judged, sent or recorded; a session is bounded in memory, in time
// without progress, and in commands; no byte of a command's input is read as a command line.

import { allSeries } from '../../domain/commands/series.js';
import { followingInput } from '../../domain/policy/judge-line.js';
import type { Clock } from '../../ports/clock.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { Transport } from '../../ports/transport.js';
import { TransportFault } from '../../ports/transport-fault.js';
import { type CommandLine, parseCommandLine } from '../../protocol/command.js';
import { createHandshakeAccept } from '../../protocol/handshake-accept.js';
import { WireFault } from '../../protocol/wire-fault.js';
import { createReplyWriter } from '../relay/reply-writer.js';
import { createCommandInput } from './command-input.js';
import { ourMinor } from './greet-peer.js';
import { createSessionInput, type SessionInput } from './session-input.js';

/** What one refused session may cost. */
export interface RefusalLimits {
  readonly lineBytesMax: number;
  readonly fieldsMax: number;
  /** Of the text behind a command. */
  readonly inputBytesMax: number;
  readonly inputTimeMs: number;
  /** For the handshake, for each command with the lines that are none before it, and for reading each answer. */
  readonly patienceMs: number;
  /** Commands that are answered; the session is closed after the last one. */
  readonly commandsMax: number;
}

/** A session to refuse. */
export interface RefusedPeer {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly limits: RefusalLimits;
  /** The reason as the client sees it; called at each command. Must not reject. */
  readonly text: () => string | Promise<string>;
  /** For the transport. */
  readonly reason: CloseReason;
}

/** Resolves when the session is over and its transport closed. Never rejects. */
export async function refusePeer(peer: RefusedPeer): Promise<void> {
  const { transport, clock, limits, reason } = peer;
  const patience = createPatience(peer);
  let closeFor = reason;
  try {
    const greeted = await greet(peer);
    if (greeted === undefined) return;
    const writer = createReplyWriter(transport, greeted.minor);
    const input = createSessionInput(transport, greeted.rest, limits.lineBytesMax);
    patience.renew();
    let answered = 0;
    let isFirst = true;
    while (answered < limits.commandsMax) {
      const line = await input.nextLine();
      if (line === null) return;
      // A client that sends many lines at once must not hold up the others: one line a turn.
      if (!isFirst) await clock.nextTurn();
      isFirst = false;
      const read = parseCommandLine(line, limits);
      if (read.kind === 'option') {
        if (read.name === 'log-passthrough') writer.passLogs();
      } else {
        patience.pause();
        const goesOn = await skipInput(peer, input, read.command);
        patience.renew();
        writer.addLog('error', `dovegate: ${await peer.text()}`);
        writer.addStatus('TEMPFAIL');
        await writer.flush(0);
        answered += 1;
        if (!goesOn) return;
      }
    }
  } catch (fault) {
    if (fault instanceof WireFault) closeFor = 'wire-fault';
    else closeFor = fault instanceof TransportFault ? 'peer-gone' : 'internal';
  } finally {
    patience.pause();
    transport.close(closeFor);
  }
}

/** Cuts the session when nothing went on for too long. */
function createPatience({ transport, clock, limits, reason }: RefusedPeer): { renew(): void; pause(): void } {
  const start = () => clock.setTimer(limits.patienceMs, () => transport.close(reason, true));
  let timer = start();
  return {
    renew() {
      timer.cancel();
      timer = start();
    },
    pause: () => timer.cancel(),
  };
}

async function greet({
  transport,
  limits: { lineBytesMax },
}: RefusedPeer): Promise<{ readonly minor: number; readonly rest: Buffer } | undefined> {
  const machine = createHandshakeAccept({
    minor: ourMinor,
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

/** Reads what follows the command's line and drops it; false: the session must end after the answer. */
async function skipInput(
  { transport, clock, limits: { inputBytesMax, inputTimeMs } }: RefusedPeer,
  input: SessionInput,
  command: CommandLine,
): Promise<boolean> {
  const following = followingInput(command, allSeries);
  if (following !== 'dot') return following === 'none';
  const close = (why: CloseReason): void => transport.close(why);
  const text = createCommandInput(input, { inputBytesMax, inputTimeMs, clock, close });
  return (await text.skipText()) === 'skipped';
}
