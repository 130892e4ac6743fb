// Remembered answers: the same question to the same policy is answered once. An answer is not given out after its time.
import { LRUCache } from 'lru-cache';

/** Until when an answer holds, in Unix milliseconds; undefined: as long as its policy stands. */
export interface Holding {
  readonly holdsUntilMs?: number | undefined;
}

/** Answers by question. `Answer` is whatever was made of the question: a decision, or one with what was read beside it. */
export interface DecisionCache<Answer extends Holding> {
  /** The answer to this question, if it is known and still holds. */
  find(key: string, nowMs: number): Answer | undefined;
  /** Remembers an answer; one to a very long question is not worth it and is let go. */
  keep(key: string, answer: Answer): void;
  clear(): void;
  readonly size: number;
  /** What all of it is estimated to take. */
  readonly bytes: number;
}

/** Longest key that is kept, in UTF-16 units. Stops long lines from pushing out everything else. */
const keyMax = 1024;

/** Bounds of a cache. */
export interface CacheBounds<Answer> {
  readonly entriesMax: number;
  /** Of all entries together. */
  readonly bytesMax: number;
  /** What an entry takes, its key included; rather too much than too little. */
  readonly bytesOf: (key: string, answer: Answer) => number;
}

/** The answers that were not asked for longest go first. */
export function createDecisionCache<Answer extends Holding>({
  entriesMax,
  bytesMax,
  bytesOf,
}: CacheBounds<Answer>): DecisionCache<Answer> {
  const cache = new LRUCache<string, Answer>({ max: entriesMax, maxSize: bytesMax });
  return {
    find(key, nowMs) {
      // Nothing so long was kept, and to look for it means to hash it.
      if (key.length > keyMax) return undefined;
      const answer = cache.get(key);
      if (answer?.holdsUntilMs === undefined || nowMs < answer.holdsUntilMs) return answer;
      cache.delete(key);
      return undefined;
    },
    keep(key, answer) {
      if (key.length <= keyMax) cache.set(key, answer, { size: Math.ceil(bytesOf(key, answer)) });
    },
    clear: () => cache.clear(),
    get size() {
      return cache.size;
    },
    get bytes() {
      return cache.calculatedSize;
    },
  };
}
