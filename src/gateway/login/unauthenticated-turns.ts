// The order in which something is done for those who have not logged in: a TLS handshake costs a processor a millisecond or more,
// and a thousand of them at once would keep everybody else waiting. It does not know what is done.
// The rules: places on the network take turns, those that failed least first, however many come from one; and after a few
// turns everybody else is served.

/** One for the whole daemon; outlives a reload. */
export interface StrangerTurns {
  /** Resolves when it is the turn of somebody from there. */
  take(network: string): Promise<void>;
  /** Who waits for a turn. */
  readonly size: number;
}

/** What the turns need. */
export interface StrangerTurnsOptions {
  /** Below: comes before. */
  readonly rankOf: (network: string) => number;
  /** Resolves when everybody else had a turn ({@link Clock.nextTurn}). */
  readonly nextTurn: () => Promise<void>;
}

/** How many are served before everybody else is. */
const perTurn = 4;

/** Nobody waits. */
export function createStrangerTurns({ rankOf, nextTurn }: StrangerTurnsOptions): StrangerTurns {
  /** Who waits, by place; the place that was served last stands last. None is empty. */
  const waiting = new Map<string, (() => void)[]>();
  let size = 0;
  let isServing = false;

  function serveOne(): void {
    let first: { readonly network: string; readonly rank: number } | undefined;
    for (const network of waiting.keys()) {
      const rank = rankOf(network);
      if (first === undefined || rank < first.rank) first = { network, rank };
    }
    if (first === undefined) return;
    const { network } = first;
    const [resolve, ...others] = waiting.get(network) ?? [];
    waiting.delete(network);
    if (others.length > 0) waiting.set(network, others);
    size -= 1;
    resolve?.();
  }

  async function serve(): Promise<void> {
    isServing = true;
    while (waiting.size > 0) {
      await nextTurn();
      for (let count = 0; count < perTurn; count += 1) serveOne();
    }
    isServing = false;
  }

  return {
    take(network) {
      return new Promise((resolve) => {
        const theirs = waiting.get(network);
        if (theirs === undefined) waiting.set(network, [resolve]);
        else theirs.push(resolve);
        size += 1;
        if (!isServing) void serve();
      });
    },
    get size() {
      return size;
    },
  };
}
