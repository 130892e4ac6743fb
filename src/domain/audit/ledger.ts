// The state of the chain while it is written: gives every record its seq and its link, signs what is to be signed, and
// keeps the book of what a restart must know. It makes text and touches no file.
// The rule: what was sealed must be written next, in this order, or the ledger must be set back (`resume`).

import { genesisHash, journalFormat, sealInto, sealLine } from './chain.js';
import { encodeBody } from './encode.js';
import { type LineHead, parseLine, readHead, readWord } from './line.js';
import type { JournalRecord } from './record.js';
import { parseSignKey, type Signer } from './signature.js';
import { parseTime } from './time.js';

/** Exchanges whose admission no completion followed, by id, in the order of their admissions. */
export type OpenExchanges = Map<string, OpenExchange>;

/** Where an exchange that is not completed began. */
export interface OpenExchange {
  readonly seq: number;
  readonly session: string | undefined;
}

/** No daemon has as many exchanges at once; a forged journal shall not fill the memory. */
const openMax = 200_000;

/**
 * Keeps the book of open exchanges: `text` is a line, or the body of one with a comma before it. What it ends goes into `ended`.
 * Returns its head.
 */
export function noteExchange(
  open: OpenExchanges,
  seq: number,
  text: string,
  ended?: OpenExchanges,
): LineHead | undefined {
  const head = readHead(text);
  const event = head?.event;
  if (event !== 'admission' && event !== 'completion') return head;
  const id = readWord(text, 'id');
  if (id === undefined) return head;
  if (event === 'completion') {
    const known = ended === undefined ? undefined : open.get(id);
    if (known !== undefined) ended?.set(id, known);
    open.delete(id);
  } else if (open.size < openMax) open.set(id, { seq, session: readWord(text, 'session') });
  return head;
}

/** Where a chain stands. */
export interface LedgerState {
  readonly journal: string;
  readonly seq: number;
  readonly hash: string;
  readonly stepsMs: number;
  readonly open: OpenExchanges;
  /** The oldest record that retention left. */
  readonly oldestSeq: number;
  /** Time of the last record, in milliseconds since 1970. */
  readonly timeMs: number;
}

type Writable = { -readonly [Key in keyof LedgerState]: LedgerState[Key] };

/** The chain while it is written. */
export interface Ledger extends LedgerState {
  /** Goes on from a place in the chain: after a start, or after what was sealed did not reach the disk. */
  resume(state: LedgerState): void;
  /** The ledger will not be set back behind what is sealed now. */
  settle(): void;
  /** What was open at a record that was not settled yet, or was the last one then: in the order of the admissions. */
  openAt(seq: number): OpenExchanges;
  /** The line of an encoded record. */
  seal(body: string): string;
  /** The same for a body as bytes, into `into` at `at` (room: `sealBytesMax` more than the body); returns where the line ends. */
  sealInto(into: Buffer, at: number, body: Buffer): number;
  /** The line of a record of our own, signed when there is a key. */
  sealSigned(record: JournalRecord): string;
  /** The next checkpoint, without what only some of them have. */
  checkpoint(wallMs: number): JournalRecord;
  /** Retention removed what was before. */
  forget(oldestSeq: number): void;
  /** Public key; undefined: checkpoints are not signed. */
  readonly key: string | undefined;
  /** The same as PEM. */
  readonly publicPem: string | undefined;
  /** Seq of the oldest admission without completion, else the next seq. */
  readonly openSeq: number;
}

/** A ledger at the beginning of a journal with this id. `signKey`: PEM; throws a TypeError for what is no Ed25519 key. */
export function createLedger(program: string, signKey: string | undefined, journal: string): Ledger {
  const signer: Signer | undefined = signKey === undefined ? undefined : parseSignKey(signKey);
  let state: Writable = {
    journal,
    seq: 0,
    hash: genesisHash,
    stepsMs: 0,
    open: new Map(),
    oldestSeq: 1,
    timeMs: 0,
  };

  /** As text: it is needed far less often than it changes. */
  let lastTime = '';
  /** Completed since it was settled: if the ledger is set back, they are not. */
  const ended: OpenExchanges = new Map();

  const ledger: Ledger = {
    resume(from) {
      state = { ...from };
      lastTime = '';
      ended.clear();
    },
    settle() {
      ended.clear();
    },
    openAt(seq) {
      const all = [...state.open, ...ended].filter(([, exchange]) => exchange.seq <= seq);
      return new Map(all.toSorted(([, one], [, other]) => one.seq - other.seq));
    },
    seal(body) {
      const sealed = sealLine(state.seq + 1, body, state.hash);
      state.seq += 1;
      state.hash = sealed.hash;
      note(`,${body}`);
      return sealed.line;
    },
    sealInto(into, at, body) {
      const sealed = sealInto(into, at, state.seq + 1, body, state.hash);
      state.seq += 1;
      state.hash = sealed.hash;
      note(into.toString('latin1', at, sealed.end));
      return sealed.end;
    },
    sealSigned(record) {
      if (signer === undefined) return ledger.seal(encodeBody(record));
      const named = { ...record, key: signer.key };
      const text = `{"seq":${state.seq + 1},${encodeBody(named)},"prev":"${state.hash}"}`;
      return ledger.seal(encodeBody({ ...named, signature: signer.sign(text) }));
    },
    checkpoint(wallMs) {
      const names = { journal: state.journal, format: journalFormat, program };
      return { time: wallMs, event: 'checkpoint', ...names, head: state.hash, oldest_seq: state.oldestSeq };
    },
    forget(oldestSeq) {
      state.oldestSeq = oldestSeq;
    },
    get key() {
      return signer?.key;
    },
    get publicPem() {
      return signer?.publicPem;
    },
    get openSeq() {
      return state.open.values().next().value?.seq ?? state.seq + 1;
    },
    get journal() {
      return state.journal;
    },
    get seq() {
      return state.seq;
    },
    get hash() {
      return state.hash;
    },
    get stepsMs() {
      return state.stepsMs;
    },
    get open() {
      return state.open;
    },
    get oldestSeq() {
      return state.oldestSeq;
    },
    get timeMs() {
      return parseTime(lastTime) ?? state.timeMs;
    },
  };
  return ledger;

  /** `text`: a line, or a body with a comma before it. */
  function note(text: string): void {
    const head = noteExchange(state.open, state.seq, text, ended);
    lastTime = head?.time ?? '';
    if (head?.event !== 'clock') return;
    const step = parseLine(text.startsWith(',') ? `{${text.slice(1)}}` : text)?.['step_ms'];
    if (typeof step === 'number') state.stepsMs += step;
  }
}
