// A journal of one host as its daemon would write it, made by hand line by line, so that a test can take lines out, change them or sign
// them with another key before they are put into a store.

import { randomBytes } from 'node:crypto';
import { packBlock } from '../../../src/evidence/store/block.js';
import { type BlockName, type ForkedName, formatName } from '../../../src/evidence/store/names.js';
import type { ObjectStore } from '../../../src/host/ports/store.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger, sealLine } from '../../../src/journal/records/ledger.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';

export type SignKey = ReturnType<typeof makeSignKey>;

export interface JournalOptions {
  readonly host: string;
  /** Default: a new one. */
  readonly journal?: string;
  /** Default: a new one; `null`: nothing is signed. */
  readonly signKey?: SignKey | null;
  /** How far its clock is ahead. */
  readonly clockMs?: number;
}

/** One object as anybody could put it who may write there. */
export interface HandBlock {
  readonly name: BlockName | ForkedName;
  readonly text: Buffer;
}

export class HandJournal {
  readonly host: string;
  readonly journal: string;
  readonly signKey: SignKey | null;
  /** With their LFs; `lines[0]` is seq 1. */
  readonly lines: string[] = [];
  readonly #ledger: Ledger;
  readonly #clockMs: number;
  #exchanges = 0;

  constructor({
    host,
    journal = randomBytes(16).toString('hex'),
    signKey = makeSignKey(),
    clockMs = 0,
  }: JournalOptions) {
    this.host = host;
    this.journal = journal;
    this.signKey = signKey;
    this.#clockMs = clockMs;
    const program = 'dovegate 1.0.0';
    this.#ledger = new Ledger(program, signKey?.secretPem, journal);
    const catalog = 'ca'.repeat(32);
    this.seal({ time: this.#now(), event: 'start', journal, format: 1, program, catalog });
  }

  #now(): number {
    return Date.now() + this.#clockMs;
  }

  get seq(): number {
    return this.#ledger.seq;
  }

  /** Goes on behind the record `seq` with the same lines so far, as a copied disk does. `signKey`: by default the same. */
  copy(signKey: SignKey | null | undefined = this.signKey, seq = this.seq): HandJournal {
    const { host, journal } = this;
    const twin = new HandJournal({ host, journal, signKey });
    twin.lines.splice(0, 1, ...this.lines.slice(0, seq));
    const { stepsMs, oldestSeq, timeMs } = this.#ledger;
    const hash = hashOf(twin.lines.at(-1));
    twin.#ledger.resume({ journal, seq, hash, stepsMs, oldestSeq, timeMs, open: new Map() });
    // Its exchanges are its own.
    twin.#exchanges = 500_000;
    return twin;
  }

  /** One record; returns its seq. */
  seal(record: Parameters<typeof encodeBody>[0]): number {
    this.lines.push(this.#ledger.seal(encodeBody(record)));
    return this.seq;
  }

  /** Admission and completion of a command; returns the seq of the admission. */
  exchange(more: Partial<AuditRecord> = {}, isCompleted = true): number {
    this.#exchanges += 1;
    const id = `01ARZ3NDEKTSV4RRFFQ6${this.#exchanges.toString().padStart(6, '0')}`;
    const time = more.time ?? this.#now();
    const asked = { time, session: id.slice(0, 20), id, listener: 'support', principal: 'anna@support' };
    const command = { command: 'quota get', user: `user${this.#exchanges}@example.org` };
    const at = this.seal({
      ...asked,
      event: 'admission',
      policy: 'support',
      version: 'ab'.repeat(32),
      decision: 'allow',
      ...command,
      args: ['--'],
      effect: 'read',
      ...more,
    });
    if (isCompleted)
      this.seal({ ...asked, event: 'completion', ...command, status: '+', outcome: 'ok', sent: true });
    return at;
  }

  /** Signed, where there is a key. */
  checkpoint(more: { readonly next_key?: string } = {}): number {
    this.lines.push(this.#ledger.sealSigned({ ...this.#ledger.checkpoint(this.#now()), ...more }));
    return this.seq;
  }

  /** Exchanges, then a checkpoint. */
  work(exchanges: number): this {
    for (let count = 0; count < exchanges; count += 1) this.exchange();
    this.checkpoint();
    return this;
  }

  /** Lines of seqs `first` to `last` (default: all) as the gate would put them. */
  block(first = 1, last = this.seq): HandBlock {
    return this.blockOf(this.lines.slice(first - 1, last));
  }

  /** Any lines, under a name that fits them unless it is given. */
  blockOf(
    lines: readonly string[],
    said: Partial<Pick<BlockName, 'first' | 'last' | 'hash'>> = {},
  ): HandBlock {
    const { host, journal } = this;
    const fits = { first: seqOf(lines[0]), last: seqOf(lines.at(-1)), hash: hashOf(lines.at(-1)) };
    return {
      name: { kind: 'block', host, journal, ...fits, ...said, isCopy: false },
      text: Buffer.from(lines.join('')),
    };
  }

  /** Of a gate that has this record, and stopped. */
  mark(seq: number): HandBlock {
    const { host, journal } = this;
    const hash = hashOf(this.lines[seq - 1]);
    return { name: { kind: 'forked', host, journal, seq, hash }, text: Buffer.alloc(0) };
  }
}

/** Puts them there, one after the other. */
export async function putAll(store: ObjectStore, blocks: readonly HandBlock[]): Promise<void> {
  for (const { name, text } of blocks)
    await store.put(formatName(name), name.kind === 'block' ? await packBlock(text) : text, {
      ifAbsent: true,
    });
}

export function seqOf(line = ''): number {
  return Number(/^\{"seq":(\d+),/.exec(line)?.[1] ?? 1);
}

export function hashOf(line = ''): string {
  return /"hash":"([0-9a-f]{64})"\}\n$/.exec(line)?.[1] ?? '';
}

/** The same record with other words and a hash that fits: what somebody writes who knows the format. */
export function rewritten(line: string, change: (body: string) => string): string {
  const [, seq = '', body = '', prev = ''] =
    /^\{"seq":(\d+),(.*),"prev":"([0-9a-f]{64})","hash"/.exec(line) ?? [];
  return sealLine(Number(seq), change(body), prev).line;
}
