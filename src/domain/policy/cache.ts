// Owns remembered decisions: the same question to the same policy is judged once.
// It does not judge, and knows no limits, reasons or counts of mails: those are never part of a remembered answer.
// The rule: the key holds everything that the judgement looked at, and an answer is not given out after its time.
import { LRUCache } from 'lru-cache';
import type { Policy } from './rule.js';

/** Everything that a judgement depends on besides the time. No text may hold a NUL; wire lets none in. */
export interface Question {
  readonly listener: string;
  readonly principal: string;
  readonly groups: readonly string[];
  readonly series: string;
  /** Names what the backend's namespaces are; two backends with the same namespaces share their answers. */
  readonly namespaces: string;
  /** Minor of the client, on which the meaning of `-A` depends. */
  readonly clientMinor: number;
  /** The user field and the words of the line, as they came. */
  readonly user: string;
  readonly words: readonly string[];
}

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

/** Of a version, enough to tell apart what stands in one table: 80 bits. */
const versionShown = 20;

/** The key of a question. Groups are a set: their order does not matter. */
export function questionKey(policy: Policy, question: Question): string {
  const { listener, principal, groups, series, namespaces, clientMinor, user, words } = question;
  const group = groups.length > 1 ? groups.toSorted().join('\x01') : (groups[0] ?? '');
  const head = `${policy.version.slice(0, versionShown)}\0${listener}\0${principal}\0${group}\0${series}\0${namespaces}\0${clientMinor}`;
  return `${head}\0${user}\0${words.join('\0')}`;
}
