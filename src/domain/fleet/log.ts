// The checkpoints of the fleet, as the stream and the file have them: one chain, signed by one key.

import { genesisHash } from '../audit/ledger.js';
import { type ExpectedHead, type ReadCheckpoint, readCheckpoint } from './checkpoint.js';
import type { LogState } from './saved.js';
import type { FleetFindingKind, FleetMessage } from './shapes.js';

const recentMax = 64;

export class FleetLog {
  state: LogState;
  readonly #tell: (kind: FleetFindingKind, text: string, seq?: number) => void;

  /** `key`: undefined: that of the first line. */
  constructor(
    state: LogState | undefined,
    key: string | undefined,
    tell: (kind: FleetFindingKind, text: string, seq?: number) => void,
  ) {
    this.state = { seq: 0, hash: genesisHash, recent: [], ...state };
    this.state.key = key ?? this.state.key;
    this.#tell = tell;
  }

  /** The stream is read from its first message again. */
  rewind(): void {
    this.state = { ...this.state, seq: 0, hash: genesisHash, recent: [] };
  }

  /** The records that it vouches for. */
  takeMessage({ bytes, streamSeq }: FleetMessage): readonly ExpectedHead[] {
    const { state } = this;
    const read = readCheckpoint(bytes);
    if (read === undefined) {
      const text = `the message at ${streamSeq} is no checkpoint of the fleet; look who may publish it`;
      this.#tell('malformed', text);
      return [];
    }
    const { seq, hash, prev } = read;
    const key = (state.key ??= read.key);
    if (read.key !== key) {
      const text = `another key signed checkpoint ${seq} of the fleet; look who may publish it`;
      this.#tell('untrusted', text, seq);
      return [];
    }
    if (state.seq > 0 && seq <= state.seq) {
      // One that could not be published at its time comes later, and twice does no harm.
      if (this.#recent(seq) !== hash) {
        const text = `checkpoint ${seq} of the fleet comes again, behind ${state.seq}, and is not the same`;
        this.#tell('forked', text, seq);
      }
      return [];
    }
    if (state.seq > 0 && seq > state.seq + 1) {
      const text = `checkpoints ${state.seq + 1} to ${seq - 1} of the fleet are not in the stream`;
      this.#tell('missing', text, state.seq + 1);
    } else if (state.seq > 0 && prev !== state.hash) {
      const text = `checkpoint ${seq} of the fleet does not go on behind the one before`;
      this.#tell('unlinked', text, seq);
    }
    state.seq = seq;
    state.hash = hash;
    state.recent.push([seq, hash]);
    if (state.recent.length > recentMax) state.recent.shift();
    this.#noteLast(read);
    return read.heads;
  }

  /** The last lines of the file, without a gap. */
  takeFile(lines: readonly string[]): void {
    const { state } = this;
    let before: ReadCheckpoint | undefined;
    for (const line of lines) {
      const read = readCheckpoint(line);
      if (read === undefined) {
        const text = 'a line of the file of checkpoints is not what was signed';
        this.#tell('changed', text, before?.seq);
        before = undefined;
        continue;
      }
      const { seq, hash } = read;
      const key = (state.key ??= read.key);
      if (read.key !== key)
        this.#tell('untrusted', `another key signed line ${seq} of the file of checkpoints`, seq);
      if (before !== undefined && (seq !== before.seq + 1 || read.prev !== before.hash)) {
        const text = `line ${seq} of the file of checkpoints does not go on behind line ${before.seq}`;
        this.#tell('unlinked', text, seq);
      }
      const known = this.#recent(seq);
      if (known !== undefined && known !== hash) {
        const text = `checkpoint ${seq} of the fleet is another one in the file than in the stream`;
        this.#tell('forked', text, seq);
      }
      before = read;
      this.#noteLast(read);
    }
    const end = before?.seq ?? 0;
    if (end >= state.seq) return;
    const text = `the file of checkpoints ends with line ${end}, and the stream has ${state.seq} of them: the file was cut or put back from a copy`;
    this.#tell('cut-at-host', text, end + 1);
  }

  #recent(seq: number): string | undefined {
    return this.state.recent.find(([one]) => one === seq)?.[1];
  }

  #noteLast({ seq, time, root }: ReadCheckpoint): void {
    if (seq >= (this.state.last?.seq ?? 0)) this.state.last = { seq, at: time, root };
  }
}
