// From a target to an upstream: greeted, of a series that is accepted, with nothing in it that nobody asked for. A script.
// It does not know how many there are. The rule: it resolves to an upstream or leaves nothing open.

import type { Secret } from '../../domain/identity/credentials.js';
import { UpstreamFault } from '../../ports/upstream-fault.js';
import { WireFault } from '../../protocol/wire-fault.js';
import { seriesOfBackend } from './backend-series.js';
import { type DialTarget, greet } from './greet.js';
import type { PoolOptions } from './pool-options.js';
import { createUpstream } from './upstream.js';
import type { Upstream, UpstreamOwner } from './upstream-options.js';

/** Of its lifetime an upstream may miss so much: those that were opened together do not end together. */
const lifetimeJitter = 0.1;

/** A greeted upstream. Rejects with an UpstreamFault, or with the signal's reason. */
export async function dialUpstream(
  options: PoolOptions,
  nextId: () => string,
  owner: UpstreamOwner,
  signal: AbortSignal,
): Promise<Upstream> {
  const { target, connect, clock, limits, chance } = options;
  try {
    const greeted = await greet(target, connect, clock, signal);
    try {
      if (signal.aborted) throw signal.reason;
      const series = seriesOfBackend(options.series, greeted.serverMinor);
      const lifetimeMs = limits.maxLifetimeMs * (1 - lifetimeJitter * chance());
      const names = { id: nextId(), backend: target.name, series, endsMs: clock.now() + lifetimeMs };
      return createUpstream(greeted, names, limits, clock, owner);
    } catch (fault) {
      greeted.transport.close('dial-failed', true);
      if (!(fault instanceof WireFault)) throw fault;
      const text = `what came behind its greeting is no answer (${fault.code})`;
      throw new UpstreamFault('version-unsupported', text, fault);
    }
  } catch (fault) {
    throw signal.aborted ? signal.reason : asFault(fault);
  }
}

/** Whether a backend greets: a handshake that is closed again. Rejects as `dialUpstream` does. */
export async function probeBackend(options: PoolOptions, signal: AbortSignal): Promise<void> {
  const { target, connect, clock } = options;
  try {
    const greeted = await greet(target, connect, clock, signal);
    greeted.transport.close('probed');
  } catch (fault) {
    throw signal.aborted ? signal.reason : asFault(fault);
  }
}

function asFault(fault: unknown): UpstreamFault {
  if (fault instanceof UpstreamFault) return fault;
  const text = fault instanceof Error ? fault.message : String(fault);
  return new UpstreamFault('dial-refused', `dialling failed: ${text}`, fault);
}

/**
 * The target with passwords that are read once at a time: a read that hangs is shared, because each would hold a thread of
 * the few that all files of the daemon share.
 */
export function sharingReads(target: DialTarget): DialTarget {
  let reading: Promise<readonly Secret[]> | undefined;
  return {
    ...target,
    passwords() {
      reading ??= target.passwords().finally(() => {
        reading = undefined;
      });
      return reading;
    },
  };
}
