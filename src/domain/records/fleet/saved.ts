// The state between two runs, as JSON; a file of any other form is refused.

import { genesisHash } from '../audit/ledger.js';
import { isCount, isDistanceMs } from '../audit/record.js';
import { isObject } from '../audit/stored.js';
import type { Strength } from '../streams/strength.js';
import { type RunState, runStates } from '../trail/run-ends.js';
import type { ExpectedHead } from './checkpoint.js';
import type { KeptFinding, MoreFindings } from './findings.js';
import { type FleetFinding, findingKinds } from './shapes.js';
import type { KnownStream, SignedStrength } from './streams.js';

export const stateFormat = 3;

/** Records that were reported missing, as far as they did not come late. */
export interface Gap {
  readonly from: number;
  /** That of the record before them; undefined: its line was damaged. */
  readonly prev?: string | undefined;
  /** The last that is still missing, and its hash: the `prev` of the record behind it. */
  to: number;
  hash: string;
}

/** One chain. Times in milliseconds since 1970 are the server's; `time` is the record's own. */
export interface ChainState {
  readonly host: string;
  readonly journal: string;
  /** The last record that continues the chain; 0: none yet. */
  seq: number;
  hash: string;
  firstSeq: number;
  /** It begins above 1, without an explanation so far. */
  isLate: boolean;
  garbage: number;
  /** The last holes: their records may come late. */
  gaps: Gap[];
  /** The last repeated record, and how it was reported; a run of them is reported once. */
  behindKind?: 'repeated' | 'forked' | undefined;
  behindSeq: number;
  time: string;
  storedMs: number;
  /** Undefined: running. */
  run?: RunState['at'] | undefined;
  carriesLeft: number;
  /** Its last record that names a journal names another one. */
  isForeign: boolean;
  driftMs?: number | undefined;
  driftBeforeMs?: number | undefined;
  driftSinceMs: number;
  program?: string | undefined;
  catalog?: string | undefined;
  signedSeq: number;
  /** RFC 3339, by the host's clock; undefined: none. */
  signedTime?: string | undefined;
  /** When the first record without a trusted signature came. */
  unsignedMs?: number | undefined;
  untrusted?: FleetFinding | undefined;
  /** Admissions beyond the limit of `open`. */
  unfollowed: number;
  /** Admissions without completion: id, seq, time of arrival. */
  open: [string, number, number][];
  /** Name and version. */
  policies: [string, string][];
  /** Seq and first characters of the hash of the last records. */
  recent: [number, string][];
}

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
    carriesLeft: 0,
    isForeign: false,
    driftSinceMs: 0,
    signedSeq: 0,
    unfollowed: 0,
    open: [],
    policies: [],
    recent: [],
  };
}

export interface LogState {
  key?: string | undefined;
  /** The keys before it, oldest first, each with the last line that it signed. */
  past?: [string, number][] | undefined;
  next?: string | undefined;
  /** A line that must be found: it was there before. */
  awaited?: { readonly seq: number; readonly hash: string } | undefined;
  /** The last one in the stream; 0: none yet. */
  seq: number;
  hash: string;
  recent: [number, string][];
  streams?: SignedStrength[] | undefined;
  last?: { readonly seq: number; readonly at: string; readonly root: string } | undefined;
}

export interface StreamPlace {
  /** Of the last message; 0: none yet. */
  readonly streamSeq: number;
  /** The first message that was read, and when it was stored; 0: none yet. */
  readonly firstSeq: number;
  readonly firstMs: number;
}

export interface FleetState extends StreamPlace {
  readonly format: number;
  readonly stream: string;
  readonly streams: readonly (readonly [string, StreamPlace])[];
  readonly records: number;
  readonly isReread: boolean;
  readonly chains: readonly ChainState[];
  /** By host: the listed key, or an empty text, and those that it named, and those that they named. */
  readonly keys: readonly (readonly [string, readonly string[]])[];
  readonly awaited: readonly ExpectedHead[];
  readonly findings: readonly KeptFinding[];
  readonly more: readonly MoreFindings[];
  readonly strengths: readonly KnownStream[];
  readonly log: LogState;
  readonly others: readonly (readonly [string, LogState])[];
}

type Guard<T> = (value: unknown) => value is T;

const isText: Guard<string> = (value) => typeof value === 'string';
const isFlag: Guard<boolean> = (value) => typeof value === 'boolean';

function maybe<T>(guard: Guard<T>): Guard<T | undefined> {
  return (value): value is T | undefined => value === undefined || guard(value);
}

function listOf<T>(guard: Guard<T>): Guard<T[]> {
  return (value): value is T[] => Array.isArray(value) && value.every((one) => guard(one));
}

function tuple<T extends readonly unknown[]>(guards: { readonly [At in keyof T]: Guard<T[At]> }): Guard<T> {
  return (value): value is T =>
    Array.isArray(value) && value.length === guards.length && guards.every((guard, at) => guard(value[at]));
}

function shape<T>(guards: { readonly [Key in keyof T]-?: Guard<T[Key]> }): Guard<T> {
  const all = new Map<string, Guard<unknown>>(Object.entries(guards));
  return (value): value is T =>
    isObject(value) &&
    Object.keys(value).every((key) => all.has(key)) &&
    [...all].every(([key, guard]) => guard(value[key]));
}

const kinds: ReadonlySet<unknown> = new Set(findingKinds);
const isKind: Guard<FleetFinding['kind']> = (value): value is FleetFinding['kind'] => kinds.has(value);
const findingGuards = {
  kind: isKind,
  host: isText,
  journal: maybe(isText),
  seq: maybe(isCount),
  time: maybe(isText),
  text: isText,
};
const isFinding = shape<FleetFinding>(findingGuards);

const isChain = shape<ChainState>({
  host: isText,
  journal: isText,
  seq: isCount,
  hash: isText,
  firstSeq: isCount,
  isLate: isFlag,
  garbage: isCount,
  gaps: listOf(shape<Gap>({ from: isCount, prev: maybe(isText), to: isCount, hash: isText })),
  behindKind: (value): value is 'repeated' | 'forked' | undefined =>
    value === undefined || value === 'repeated' || value === 'forked',
  behindSeq: isCount,
  time: isText,
  storedMs: isDistanceMs,
  run: maybe((value): value is RunState['at'] => runStates.some((one) => one === value)),
  carriesLeft: isCount,
  isForeign: isFlag,
  driftMs: maybe(isDistanceMs),
  driftBeforeMs: maybe(isDistanceMs),
  driftSinceMs: isDistanceMs,
  program: maybe(isText),
  catalog: maybe(isText),
  signedSeq: isCount,
  signedTime: maybe(isText),
  unsignedMs: maybe(isDistanceMs),
  untrusted: maybe(isFinding),
  unfollowed: isCount,
  open: listOf(tuple<[string, number, number]>([isText, isCount, isDistanceMs])),
  policies: listOf(tuple<[string, string]>([isText, isText])),
  recent: listOf(tuple<[number, string]>([isCount, isText])),
});

const strengthGuards = { replicas: isCount, maxAgeMs: isCount };
const isStrength = shape<Strength>(strengthGuards);

const isLog = shape<LogState>({
  key: maybe(isText),
  past: maybe(listOf(tuple<[string, number]>([isText, isCount]))),
  next: maybe(isText),
  awaited: maybe(shape({ seq: isCount, hash: isText })),
  seq: isCount,
  hash: isText,
  recent: listOf(tuple<[number, string]>([isCount, isText])),
  streams: maybe(listOf(shape<SignedStrength>({ stream: isText, ...strengthGuards }))),
  last: maybe(shape({ seq: isCount, at: isText, root: isText })),
});

const placeGuards = { streamSeq: isCount, firstSeq: isCount, firstMs: isDistanceMs };

const isState = shape<FleetState>({
  format: isCount,
  stream: isText,
  ...placeGuards,
  streams: listOf(tuple<[string, StreamPlace]>([isText, shape<StreamPlace>(placeGuards)])),
  records: isCount,
  isReread: isFlag,
  chains: listOf(isChain),
  keys: listOf(tuple<[string, string[]]>([isText, listOf(isText)])),
  awaited: listOf(
    shape<ExpectedHead>({
      host: isText,
      journal: isText,
      seq: isCount,
      hash: isText,
      storedMs: isDistanceMs,
    }),
  ),
  findings: listOf(
    shape<KeptFinding>({
      ...findingGuards,
      key: maybe(isText),
      line: maybe(isText),
      acceptedMs: maybe(isDistanceMs),
    }),
  ),
  more: listOf(shape<MoreFindings>({ host: isText, kind: isKind, count: isCount })),
  strengths: listOf(shape<KnownStream>({ stream: isText, best: isStrength, last: isStrength })),
  log: isLog,
  others: listOf(tuple<[string, LogState]>([isText, isLog])),
});

/** A copy; throws a TypeError with a sentence for a foreign file, or one of another stream. */
export function readState(saved: unknown, stream: string): FleetState {
  if (isObject(saved) && typeof saved['format'] === 'number' && saved['format'] > stateFormat) {
    throw new TypeError(
      `the state has format ${saved['format']}, and this program knows ${stateFormat}: use the newer program`,
    );
  }
  if (!isState(saved) || saved.format !== stateFormat)
    throw new TypeError('the state is not what was saved: it was changed or damaged');
  if (saved.stream !== stream) {
    throw new TypeError(
      `the state is of stream "${saved.stream}", not of "${stream}": set "state" to another directory`,
    );
  }
  return structuredClone(saved);
}
