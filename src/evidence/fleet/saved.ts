// The state between two runs, as JSON: one schema; a file of any other form is refused.

import * as z from 'zod';
import { count, distanceMs } from '../../host/values/shape.js';
import { genesisHash } from '../../journal/records/ledger.js';
import { runStates } from '../trail/run-ends.js';
import { finding, word } from './shapes.js';

export const stateFormat = 8;

/** The required head of a chain: after a store was restored, or from a line kept elsewhere. */
export const expectedHead = z.strictObject({
  host: word,
  journal: word,
  seq: count,
  hash: word,
  /** When the record's block was stored; milliseconds since 1970 by the store's clock. Those older than the store keeps may be gone. */
  storedMs: distanceMs,
});
export type ExpectedHead = Readonly<z.infer<typeof expectedHead>>;

/** Records that were reported missing and have not come since. */
const gap = z.strictObject({
  from: count,
  /** Hash of the record before them. Undefined: its line was damaged. */
  prev: word.optional(),
  /** The last that is still missing, and its hash: the `prev` of the record after it. */
  to: count,
  hash: word,
});
export type Gap = z.infer<typeof gap>;

/** One chain. Times in milliseconds since 1970 are the store's; `time` is the record's own. */
const chain = z.strictObject({
  host: word,
  journal: word,
  /** The last record that continues the chain; 0: none yet. */
  seq: count,
  hash: word,
  firstSeq: count,
  /** It begins above 1, without an explanation so far. */
  isLate: z.boolean(),
  garbage: count,
  /** The last holes: their records may come late. */
  gaps: z.array(gap),
  /** Seq of the last record that differs from a known one: a run of them is reported once. 0: none. */
  behindSeq: count,
  time: word,
  storedMs: distanceMs,
  /** When its first block was stored; 0: none came. */
  beganMs: distanceMs,
  /** Undefined: running. */
  run: z.enum(runStates).optional(),
  carriesLeft: count,
  /** The last of its records that names a journal names another one. */
  isForeign: z.boolean(),
  driftMs: distanceMs.optional(),
  driftBeforeMs: distanceMs.optional(),
  driftSinceMs: distanceMs,
  /** The longest time between a record and its block. */
  waitMs: distanceMs,
  /** In force: id, what is locked, since when by the host's clock. */
  locks: z.array(z.tuple([word, word, distanceMs]).readonly()),
  program: word.optional(),
  catalog: word.optional(),
  signedSeq: count,
  /** RFC 3339, by the host's clock; undefined: none. */
  signedTime: word.optional(),
  /** When the first record without a trusted signature came. */
  unsignedMs: distanceMs.optional(),
  untrusted: finding.optional(),
  /** Admissions beyond the limit of `open`. */
  unfollowed: count,
  /** Admissions without completion: id, seq, time of arrival. */
  open: z.array(z.tuple([word, count, distanceMs])),
  /** Name and version. */
  policies: z.array(z.tuple([word, word])),
  /** The first halves of the hashes of the last records. */
  recent: z.base64(),
});
export type ChainState = z.infer<typeof chain>;

export function newChain(host: string, journal: string): ChainState {
  return {
    host,
    journal,
    seq: 0,
    hash: genesisHash,
    firstSeq: 0,
    isLate: false,
    garbage: 0,
    gaps: [],
    behindSeq: 0,
    time: '',
    storedMs: 0,
    beganMs: 0,
    carriesLeft: 0,
    isForeign: false,
    driftSinceMs: 0,
    waitMs: 0,
    locks: [],
    signedSeq: 0,
    unfollowed: 0,
    open: [],
    policies: [],
    recent: '',
  };
}

const log = z.strictObject({
  key: word.optional(),
  /** The keys before it, oldest first, each with the last line that it signed. */
  past: z.array(z.tuple([word, count])).optional(),
  next: word.optional(),
  /** A line that must be found: it was there before. */
  awaited: z.strictObject({ seq: count, hash: word }).optional(),
  /** The last one in the store; 0: none yet. */
  seq: count,
  hash: word,
  recent: z.array(z.tuple([count, word])),
  last: z.strictObject({ seq: count, at: word, root: word }).optional(),
});
export type LogState = z.infer<typeof log>;

const findingPlace = finding.pick({ host: true, kind: true }).extend({
  /** The records that show it are signed by the host, so nobody can cause it with the host's credential alone. */
  isProved: z.literal(true).optional(),
});

const keptFinding = finding
  .extend({
    ...findingPlace.shape,
    key: word.optional(),
    /** The hash of a line in the file of checkpoints, or of a mark. It is read again; the finding is reported once. */
    line: word.optional(),
    /** When a person accepted it; milliseconds since 1970. */
    acceptedMs: distanceMs.optional(),
  })
  .readonly();
export type KeptFinding = z.infer<typeof keptFinding>;

const moreFindings = findingPlace.extend({ hasMore: z.boolean(), allMs: distanceMs }).readonly();
export type MoreFindings = z.infer<typeof moreFindings>;

const fleetState = z.strictObject({
  format: z.literal(stateFormat),
  /** Where the objects are. */
  store: word,
  records: count,
  isReread: z.boolean(),
  chains: z.array(chain),
  /** By host: the listed key, or an empty text; then the keys that it named, and those that they named. */
  keys: z.array(z.tuple([word, z.array(word)])),
  awaited: z.array(expectedHead),
  findings: z.array(keptFinding).readonly(),
  more: z.array(moreFindings).readonly(),
  log,
  others: z.array(z.tuple([word, log]).readonly()).readonly(),
});
export type FleetState = Readonly<z.infer<typeof fleetState>>;

/** A copy; throws a TypeError with a sentence for a foreign file, or one of another store. */
export function readState(saved: unknown, store: string): FleetState {
  const newer = z.object({ format: z.int().gt(stateFormat) }).safeParse(saved).data;
  if (newer !== undefined) {
    throw new TypeError(
      `the state has format ${newer.format}, and this program knows ${stateFormat}: use the newer program`,
    );
  }
  const state = fleetState.safeParse(saved).data;
  if (state === undefined) throw new TypeError('the state is not what was saved: it was changed or damaged');
  if (state.store !== store) {
    throw new TypeError(`the state is of ${state.store}, not of ${store}: set "state" to another directory`);
  }
  return state;
}
