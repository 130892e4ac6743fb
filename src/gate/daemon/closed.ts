// Refuses the clients of systemd's sockets when there is no gate: the configuration had problems at the start, or the start failed. Each
// client is greeted, its command is read, and the answer names the place of the first problem. Then the process ends, and the service
// manager starts it again. Clients see a file name and a line, never a value.

import { pause } from '../../host/concurrency/waiting.js';
import { onSignal, type PassedSocket } from '../../host/machine/process.js';
import { bindInherited, createAcceptor, type InheritedListener } from '../../host/net/listen.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Transport } from '../../host/ports/transport.js';
import { plural } from '../../host/words/words.js';
import { type RefusalLimits, refusePeer } from '../session/refused-peer.js';
import type { Own } from './life.js';

const retryMs = 30_000;
/** Concurrent sessions; further clients are closed at once. */
const sessionsMax = 500;
/** A client that connected just before the end may still send its command. */
const lastCommandMs = 1_000;

const limits: RefusalLimits = {
  lineBytesMax: 64 * 1024,
  inputBytesMax: 1024 ** 3,
  inputTimeMs: 60_000,
  waitMs: 10_000,
};

export interface Refusal {
  /** For the operator. */
  readonly status: string;
  /** For clients. */
  readonly text: string;
}

/** Refuses clients until a stop, a SIGHUP, or the end of `retryMs`. Never rejects. */
export async function refuseClients(
  {
    clock,
    manager,
    log,
    native,
    passed,
    stop,
  }: Pick<Own, 'clock' | 'manager' | 'log' | 'native' | 'passed' | 'stop'>,
  { status, text }: Refusal,
): Promise<'stopped' | 'again'> {
  const sessions = new Map<Transport, Promise<void>>();
  const open: InheritedListener[] = [];
  let refused = 0;

  async function listen({ name, descriptor }: PassedSocket): Promise<void> {
    const onError = (fault: string): void =>
      log.report({ event: 'accept-failed', level: 'error', listener: name, text: fault });
    try {
      const kind = native.socketKind(descriptor);
      if (kind.kind === 'other') throw new Error(`${name}: what systemd handed over is ${kind.text}`);
      const accept = (transport: Transport): void => {
        refused += 1;
        // TCP clients have not logged in, so they get no text.
        if (kind.family === 'tcp' || sessions.size >= sessionsMax)
          return transport.close('not-configured', true);
        const session = refusePeer({ transport, clock, limits, text: () => text, reason: 'not-configured' });
        sessions.set(
          transport,
          session.finally(() => sessions.delete(transport)),
        );
      };
      const socket = { name, descriptor: native.duplicate(descriptor) };
      open.push(await bindInherited(createAcceptor(clock, accept, native), socket, onError));
    } catch (fault) {
      onError(messageOf(fault));
    }
  }

  for (const socket of passed) await listen(socket);
  const next = `the process ends in ${retryMs / 1000} s, to be started again`;
  log.report({ event: 'not-configured', level: 'error', text: `${status}: clients are refused; ${next}` });
  manager.ready(status);
  manager.watch(() => true);
  const over = new AbortController();
  const offSignal = onSignal(['SIGHUP'], () => over.abort());
  const ended = await Promise.race([
    stop.first.then(() => 'stopped' as const),
    pause(clock, retryMs, over.signal).then(() => 'again' as const),
  ]);
  over.abort();
  offSignal();
  if (ended === 'stopped') manager.stopping('not configured', lastCommandMs);
  await Promise.all(open.map((listener) => listener.close()));
  if (ended === 'again') await Promise.race([Promise.all(sessions.values()), pause(clock, lastCommandMs)]);
  for (const transport of sessions.keys()) transport.close('not-configured');
  if (refused > 0) {
    const counted = `${plural(refused, 'connection was', 'connections were')} refused`;
    log.report({ event: 'not-configured', level: 'warn', text: `${counted}: ${text}`, count: refused });
  }
  return ended;
}
