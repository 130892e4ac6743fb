// The journals that `dovegate audit fleet search` follows: exchanges of each are assembled from its blocks. Any publisher can
// name further journals, so their number is limited.

import { bounds } from '../../bounds/bounds.js';
import {
  createSearch,
  type ExchangeRow,
  type TrailFilter,
  type TrailSearch,
} from '../../domain/trail/search.js';

/** The journal that was silent for longest ends when there are more, with its exchanges still open. */
const journalsMax = bounds.fleetSearched;

export interface HostRows {
  readonly host: string;
  readonly rows: readonly ExchangeRow[];
}

export class FollowedJournals {
  readonly #filter: TrailFilter;
  /** By subject, the most recently heard one last. */
  readonly #searches = new Map<string, { readonly search: TrailSearch; readonly host: string }>();

  constructor(filter: TrailFilter) {
    this.#filter = filter;
  }

  get count(): number {
    return this.#searches.size;
  }

  /** The exchanges that a block of a journal completes, after those of a journal that is no longer followed. */
  take(subject: string, host: string, block: Buffer): readonly HostRows[] {
    const known = this.#searches.get(subject) ?? { search: createSearch(this.#filter), host };
    this.#searches.delete(subject);
    this.#searches.set(subject, known);
    const found: HostRows[] = [];
    const [oldest] = this.#searches;
    if (this.#searches.size > journalsMax && oldest !== undefined) {
      this.#searches.delete(oldest[0]);
      found.push({ host: oldest[1].host, rows: oldest[1].search.finish() });
    }
    found.push({ host, rows: known.search.take(block) });
    return found;
  }

  *finish(): Generator<HostRows, void, undefined> {
    for (const { search, host } of this.#searches.values()) yield { host, rows: search.finish() };
  }
}
