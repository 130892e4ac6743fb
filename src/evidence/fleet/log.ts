// The checkpoints of the fleet in the store and in the file: one chain for each verifier, signed by one key after the other. A line counts
// only under the key for its place in the chain. Another key may follow if the last line names it, or if it is listed after the old one. A
// replaced key signs nothing more. An unlisted key is a finding, even if a line names it.

import { hash as digest } from 'node:crypto';
import { bounds } from '../../host/bounds/bounds.js';
import { genesisHash } from '../../journal/records/ledger.js';
import { type ReadCheckpoint, readCheckpoint } from './checkpoint.js';
import { type FoundFinding, type FoundIn, noHost } from './findings.js';
import type { ExpectedHead, FleetState, LogState } from './saved.js';
import type { FleetFinding, FleetFindingKind, FleetStatus } from './shapes.js';
import { shown } from './signatures.js';

const recentMax = 64;

type Tell = (found: FoundFinding) => void;

/** A verifier, and its keys as a person listed them, oldest first. */
export interface VerifierKeys {
  readonly name: string | undefined;
  readonly keys: readonly string[];
}

class VerifierLog {
  /** Another verifier's, or this one's if others are listed. */
  readonly name: string | undefined;
  state: LogState;
  readonly #listed: readonly string[];
  readonly #tell: Tell;

  constructor({ name, keys }: VerifierKeys, state: LogState | undefined, tell: Tell) {
    this.name = name;
    this.#listed = keys;
    this.#tell = tell;
    this.state = { seq: 0, hash: genesisHash, recent: [], ...state };
    const known = [this.state.key, ...(this.state.past ?? []).map(([key]) => key)];
    // If none of its keys is listed any more, they may have been stolen, together with the keys that they named.
    if (keys.length > 0 && state?.key !== undefined && !keys.some((key) => known.includes(key)))
      this.state = { seq: 0, hash: genesisHash, recent: [] };
  }

  get owner(): string {
    return this.name === undefined ? 'the fleet' : `verifier "${this.name}"`;
  }

  knows(key: string): boolean {
    const { state } = this;
    return this.#listed.includes(key) || state.key === key || state.next === key || this.#isPast(key);
  }

  /** Nothing is listed and nothing was read: the key of the first line counts. */
  get isOpen(): boolean {
    return this.#listed.length === 0 && this.state.key === undefined;
  }

  /** Everything is read again. `awaited`: a line that must be found. */
  rewind(awaited: LogState['awaited']): void {
    const { key, past, last } = this.state;
    this.state = { key, past, last, awaited, seq: 0, hash: genesisHash, recent: [] };
  }

  take(read: ReadCheckpoint, storedMs: number): readonly ExpectedHead[] {
    const { state } = this;
    const { seq, hash, prev } = read;
    if (!this.#takeKey(read, storedMs)) return [];
    this.#meet(read);
    if (state.seq > 0 && seq <= state.seq) {
      // A line that was not published in time may come later; repeated lines do no harm.
      const known = this.#recent(seq);
      if (known !== hash) {
        const why = known === undefined ? 'is too old to be compared' : 'is not the same';
        const text = `checkpoint ${seq} of ${this.owner} comes again, after ${state.seq}, and ${why}`;
        this.#report('forked', text, seq);
      }
      return [];
    }
    if (state.seq > 0 && seq > state.seq + 1) {
      const first = state.seq + 1;
      const text =
        first === seq - 1
          ? `checkpoint ${first} of ${this.owner} is not in the store`
          : `checkpoints ${first} to ${seq - 1} of ${this.owner} are not in the store`;
      this.#report('missing', text, first);
    } else if (state.seq > 0 && prev !== state.hash) {
      const text = `checkpoint ${seq} of ${this.owner} does not follow the one before`;
      this.#report('unlinked', text, seq);
    }
    state.seq = seq;
    state.hash = hash;
    state.next = read.nextKey;
    state.recent.push([seq, hash]);
    if (state.recent.length > recentMax) state.recent.shift();
    this.#noteLast(read);
    return read.heads;
  }

  /** Takes the last lines of the file, without a gap. They are read at each run: accepted findings are not reported again. */
  takeFile(lines: readonly string[]): void {
    const { state } = this;
    let before: ReadCheckpoint | undefined;
    let end = 0;
    for (const line of lines) {
      const read = readCheckpoint(line);
      if (read === undefined) {
        const text = 'a line of the file of checkpoints is not what was signed';
        this.#report('changed', text, before?.seq, { line: digest('sha256', line, 'hex') });
        before = undefined;
        continue;
      }
      const { seq, hash, key } = read;
      if (this.isOpen) state.key = key;
      const isNamed = before?.nextKey === undefined || before.nextKey === key;
      if (!this.knows(key) || !isNamed)
        this.#report('untrusted', `another key signed line ${seq} of the file of checkpoints`, seq, {
          line: hash,
        });
      if (before !== undefined && (seq !== before.seq + 1 || read.prev !== before.hash)) {
        const text = `line ${seq} of the file of checkpoints does not follow line ${before.seq}`;
        this.#report('unlinked', text, seq, { line: hash });
      }
      const known = this.#recent(seq);
      if (known !== undefined && known !== hash) {
        const text = `checkpoint ${seq} of ${this.owner} is another one in the file than in the store`;
        this.#report('forked', text, seq, { line: hash });
      }
      before = read;
      end = seq;
      // The same line in the file does not show that it is in the store, where it must be found.
      if (state.awaited?.hash !== hash) this.#meet(read);
      this.#noteLast(read);
    }
    if (end >= state.seq) return;
    const text = `the file of checkpoints ends with line ${end}, and the store has ${state.seq} of them: the file was cut or put back from a copy, or another program signs with this key`;
    this.#report('cut-at-host', text, end + 1, { line: state.hash });
  }

  /** Faults that end when a person lists a key, or when lines arrive. */
  judge(): readonly FleetFinding[] {
    const { name: journal, owner, state } = this;
    const { key, past = [], next, awaited } = state;
    const faults: FleetFinding[] = [];
    const fresh = [next, key].find((one) => one !== undefined && !this.#listed.includes(one));
    if (fresh !== undefined && this.#listed.length > 0) {
      const seq = fresh === next ? state.seq : (past.at(-1)?.[1] ?? state.seq);
      const text = `checkpoint ${seq} of ${owner} names key ${shown(fresh)} as its next one, which is not listed: if you replaced the key, copy checkpoint.pub of that verifier again; if not, its key was stolen`;
      faults.push({ kind: 'key-replaced', host: noHost, journal, seq, text });
    }
    if (awaited !== undefined && state.seq < awaited.seq) {
      const text = `checkpoint ${awaited.seq} of ${owner} was there before, and the store ends with ${state.seq}: somebody removed it, or the store was put back from a copy; the verifier that signed it puts it there again`;
      faults.push({ kind: 'cut-in-store', host: noHost, journal, seq: awaited.seq, text });
    }
    return faults;
  }

  /** Why a line that was kept elsewhere does not count; undefined: it does. */
  whyNotKept({ seq, key }: ReadCheckpoint): string | undefined {
    const [, until] = this.state.past?.find(([one]) => one === key) ?? [];
    if (until === undefined || seq <= until) return undefined;
    return `line ${seq} is signed by a key that was replaced after line ${until}: that key was stolen`;
  }

  #report(kind: FleetFindingKind, text: string, seq: number | undefined, of?: FoundIn): void {
    this.#tell({ kind, host: noHost, journal: this.name, seq, text, ...of });
  }

  #takeKey({ seq, key, hash: line }: ReadCheckpoint, storedMs: number): boolean {
    const { state } = this;
    state.key ??= key;
    const isAfter = seq > state.seq;
    const isNext = key === state.next || this.#isListedLater(key);
    const isReplaced = isAfter && state.next !== undefined && state.next !== key;
    if (key === this.#keyAt(seq) && !isReplaced) return true;
    const past = (state.past ??= []);
    if (isAfter && isNext && seq > (past.at(-1)?.[1] ?? 0)) {
      past.push([state.key, seq - 1]);
      if (past.length > bounds.fleetVerifierKeys) past.shift();
      state.key = key;
      return true;
    }
    const by = this.#isPast(key) || isReplaced ? 'a key that was replaced' : 'a key that no line named';
    const text = `${by} signed checkpoint ${seq} of ${this.owner}: that key was stolen; look who may write there`;
    this.#report('untrusted', text, seq, { line, storedMs });
    return false;
  }

  #keyAt(seq: number): string | undefined {
    const { key, past = [] } = this.state;
    return past.find(([, until]) => seq <= until)?.[0] ?? key;
  }

  #isPast(key: string): boolean {
    return this.state.past?.some(([one]) => one === key) === true;
  }

  #isListedLater(key: string): boolean {
    const current = this.state.key ?? '';
    return !this.#isPast(key) && this.#listed.indexOf(key) > this.#listed.indexOf(current);
  }

  #meet({ seq, hash }: ReadCheckpoint): void {
    const { awaited } = this.state;
    if (awaited?.seq !== seq) return;
    this.state.awaited = undefined;
    if (awaited.hash === hash) return;
    const text = `checkpoint ${seq} of ${this.owner} is not the one that was there before: two of them were signed`;
    this.#report('forked', text, seq);
  }

  #recent(seq: number): string | undefined {
    return this.state.recent.find(([one]) => one === seq)?.[1];
  }

  #noteLast({ seq, time, root }: ReadCheckpoint): void {
    if (seq >= (this.state.last?.seq ?? 0)) this.state.last = { seq, at: time, root };
  }
}

type SavedLog = Pick<FleetState, 'log' | 'others'>;

export class FleetLog {
  readonly #own: VerifierLog;
  readonly #others: readonly VerifierLog[];
  readonly #tell: Tell;

  /** `own`: without keys, that of the first line counts. */
  constructor(
    saved: SavedLog | undefined,
    own: VerifierKeys,
    others: ReadonlyMap<string, readonly string[]>,
    tell: Tell,
  ) {
    const states = new Map(saved?.others);
    this.#own = new VerifierLog(own, saved?.log, tell);
    this.#others = [...others].map(([name, keys]) => new VerifierLog({ name, keys }, states.get(name), tell));
    this.#tell = tell;
  }

  /** The state of this verifier's log, as far as its lines in the store were read; seq 0: none yet. */
  get own(): LogState {
    return this.#own.state;
  }

  /** `kept`: a line that must be found. */
  rewind(kept: ReadCheckpoint | undefined): void {
    const of = kept && this.#ofKey(kept.key);
    for (const log of [this.#own, ...this.#others]) {
      const { seq, hash } = log.state;
      // This verifier's own lines are in its file.
      const known = log === this.#own || seq === 0 ? undefined : { seq, hash };
      log.rewind(kept !== undefined && log === of ? { seq: kept.seq, hash: kept.hash } : known);
    }
  }

  /** Takes a line of a verifier from the store, once or more often. Returns the records that it covers; `by`: another verifier's name. */
  takeLine(
    read: ReadCheckpoint,
    storedMs: number,
  ): { readonly heads: readonly ExpectedHead[]; readonly by: string | undefined } {
    const { key, seq, hash: line } = read;
    const of = this.#ofKey(key);
    if (of !== undefined)
      return { heads: of.take(read, storedMs), by: of === this.#own ? undefined : of.name };
    const text = `key ${shown(key)} signed checkpoint ${seq} of the fleet, and no verifier has it; put it into "verifiers", or look who may write there`;
    this.#tell({ kind: 'untrusted', host: noHost, seq, text, key, line, storedMs });
    return { heads: [], by: undefined };
  }

  /** When it was signed (RFC 3339), if it is the last line of a verifier that was taken. */
  timeOfLast(line: string): string | undefined {
    return [this.#own, ...this.#others].find(({ state }) => state.hash === line)?.state.last?.at;
  }

  /** The last lines of this verifier's file, without a gap. */
  takeFile(lines: readonly string[]): void {
    this.#own.takeFile(lines);
  }

  judge(): readonly FleetFinding[] {
    return [this.#own, ...this.#others].flatMap((log) => log.judge());
  }

  accept(): void {
    for (const { state } of [this.#own, ...this.#others]) state.awaited = undefined;
  }

  /** Why a line that was kept elsewhere proves nothing here, as part of a sentence; undefined: its signature counts. */
  whyNotKept(kept: ReadCheckpoint): string | undefined {
    const of = this.#ofKey(kept.key);
    if (of !== undefined) return of.whyNotKept(kept);
    return `it is signed by ${shown(kept.key)}, which is no key of this verifier or of "verifiers"; name its key there, or as checkpoint_key`;
  }

  save(): SavedLog {
    return {
      log: this.#own.state,
      others: this.#others.map(({ name = '', state }) => [name, state] as const),
    };
  }

  verifiers(): FleetStatus['verifiers'] {
    return this.#others.map(({ name = '', state: { last } }) => ({ name, ...last }));
  }

  #ofKey(key: string): VerifierLog | undefined {
    const known = [this.#own, ...this.#others].find((log) => log.knows(key));
    return known ?? (this.#own.isOpen ? this.#own : undefined);
  }
}
