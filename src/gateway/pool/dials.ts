// The dials of one pool: those that will be upstreams, those that only look whether the backend greets, and what their
// ends say of its health. It does not know who waits, or when another upstream is wanted.
// The rule: a dial is counted from its call to its end, and its end is told exactly once, unless it was given up.

import { UpstreamFault } from '../../ports/upstream-fault.js';
import { dialUpstream, probeBackend, sharingReads } from './dial.js';
import { createHealth, type Health } from './health.js';
import type { PoolOptions } from './pool-options.js';
import type { Upstream, UpstreamOwner } from './upstream-options.js';

/** Whoever wants upstreams. */
export interface DialsOwner extends UpstreamOwner {
  /** A greeted upstream: the owner's from here on. */
  opened(upstream: Upstream): void;
  /** A dial failed; health knows of it. */
  dialFailed(fault: UpstreamFault): void;
  /** Dials may be tried again, or there is room for another one: the owner begins what it wants. */
  match(): void;
  readonly openCount: number;
  /** Whether there is room for one more. */
  readonly hasRoom: boolean;
}

/** Dials under way. */
export interface Dials {
  readonly health: Health;
  /** Those that will be upstreams. */
  readonly count: number;
  /** Whether another one may begin. */
  readonly isAllowed: boolean;
  /** Begins one; nothing happens before the next turn of the microtasks. */
  dial(): void;
  /** An idle upstream was ended by its backend. */
  lost(upstream: Upstream): void;
  /** Gives up all of them; nothing of them is told. */
  abort(reason: unknown): void;
}

/** At once: a backend that just came back is not rushed. */
const dialsMax = 8;
/** One that dies at once and unused was as good as not dialled, and the next one waits as after a failed dial. */
const newMs = 1_000;
const unneeded = new Error('the backend is dialled anyway');
const gone = 'it did not keep a connection that nobody had used yet';

/** No dial is under way. */
export function createDials(options: PoolOptions, owner: DialsOwner): Dials {
  const own = { ...options, target: sharingReads(options.target) };
  const { clock, observe } = options;
  const backend = options.target.name;
  const dialing = new Set<AbortController>();
  const looking = new Set<AbortController>();
  const health = createHealth({ ...options, backend, retry, look: () => void look() });
  let opened = 0;

  function nextId(): string {
    opened += 1;
    return `${backend}-${opened}`;
  }

  async function open(controller: AbortController): Promise<void> {
    const startMs = clock.now();
    let upstream: Upstream;
    try {
      upstream = await dialUpstream(own, nextId, owner, controller.signal);
    } catch (fault) {
      dialing.delete(controller);
      return failed(fault);
    }
    dialing.delete(controller);
    health.dialled();
    const { id, series, serverMinor } = upstream;
    const names = { backend, upstream: id, series, serverMinor };
    observe({ kind: 'upstream-opened', ...names, durationMs: clock.now() - startMs });
    owner.opened(upstream);
  }

  /** Asks a backend that nobody asked for a while whether it greets: an idle upstream does not tell. */
  async function look(): Promise<void> {
    if (owner.openCount === 0 || !owner.hasRoom || looking.size > 0) return;
    const controller = new AbortController();
    looking.add(controller);
    try {
      await probeBackend(own, controller.signal);
    } catch (fault) {
      looking.delete(controller);
      return failed(fault);
    }
    looking.delete(controller);
    health.dialled();
    owner.match();
  }

  function failed(fault: unknown): void {
    if (!(fault instanceof UpstreamFault)) return owner.match(); // given up
    health.dialFailed(fault, owner.openCount + dialing.size === 0);
    owner.dialFailed(fault);
  }

  function lost({ exchanges, openedMs }: Upstream): void {
    if (exchanges > 0 || clock.now() - openedMs >= newMs) return;
    failed(new UpstreamFault('closed-early', gone, undefined, 'greeting'));
  }

  function dial(): void {
    // A look never stands in the way; this dial finds out the same.
    for (const controller of looking) controller.abort(unneeded);
    const controller = new AbortController();
    dialing.add(controller);
    void open(controller);
  }

  function retry(): void {
    if (health.state.at === 'probing') return dial();
    owner.match();
    // Nobody wants an upstream just now, but somebody must find out.
    if (dialing.size === 0) void look();
  }

  return {
    health,
    get count() {
      return dialing.size;
    },
    get isAllowed() {
      const isAlone = owner.openCount + dialing.size === 0;
      return dialing.size < dialsMax && health.mayDial(isAlone, dialing.size > 0);
    },
    dial,
    lost,
    abort(reason) {
      for (const controller of [...dialing, ...looking]) controller.abort(reason);
    },
  };
}
