// The order in which unauthenticated peers are served: a TLS handshake costs a processor a millisecond or more, and a thousand of them
// at once would keep everybody else waiting.
// The rules: networks take turns, those that failed least first, however many peers come from one; and after a few turns everybody
// else is served.

/** How many are served before everybody else is. */
const perTurn = 4;

/** One for the whole daemon; outlives a reload. */
export class UnauthenticatedTurns {
  readonly #rankOf: (network: string) => number;
  readonly #nextTurn: () => Promise<void>;
  /** Waiting peers by network; the network that was served last stands last. None is empty. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #isServing = false;
  /** Peers that wait. */
  size = 0;

  /** `rankOf`: lower comes before; `nextTurn`: as of Clock. */
  constructor(rankOf: (network: string) => number, nextTurn: () => Promise<void>) {
    this.#rankOf = rankOf;
    this.#nextTurn = nextTurn;
  }

  /** Resolves when it is the turn of a peer from there. */
  take(network: string): Promise<void> {
    return new Promise((resolve) => {
      const theirs = this.#waiting.get(network);
      if (theirs === undefined) this.#waiting.set(network, [resolve]);
      else theirs.push(resolve);
      this.size += 1;
      if (!this.#isServing) void this.#serve();
    });
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    while (this.#waiting.size > 0) {
      await this.#nextTurn();
      for (let count = 0; count < perTurn; count += 1) this.#serveOne();
    }
    this.#isServing = false;
  }

  #serveOne(): void {
    let first: { readonly network: string; readonly rank: number } | undefined;
    for (const network of this.#waiting.keys()) {
      const rank = this.#rankOf(network);
      if (first === undefined || rank < first.rank) first = { network, rank };
    }
    if (first === undefined) return;
    const { network } = first;
    const [resolve, ...others] = this.#waiting.get(network) ?? [];
    this.#waiting.delete(network);
    if (others.length > 0) this.#waiting.set(network, others);
    this.size -= 1;
    resolve?.();
  }
}
