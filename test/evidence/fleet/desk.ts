// Verifiers that sign lines, and one that reads them after the records of a gate.

import { readCheckpoint, type SignedHead, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { blocks, fleetOf, optionsOf, PaperGate, type PaperObject, started, takeAll } from './paper-store.js';

export const gate = new PaperGate();
gate.exchanges(6);
gate.checkpoint();
export const stream = blocks(gate.lines);

export const own = makeSignKey();
export const first = makeSignKey();
export const second = makeSignKey();
export const forger = makeSignKey();

type Key = ReturnType<typeof makeSignKey>;

/** A verifier: its lines, signed by one key after the other. */
export class Desk {
  readonly lines: string[] = [];
  #key: Key;
  readonly #heads: readonly SignedHead[];

  constructor(key: Key, heads: readonly SignedHead[] = headsOf(), lines: readonly string[] = []) {
    this.#key = key;
    this.#heads = heads;
    this.lines.push(...lines);
  }

  sign(findings = 0): this {
    return this.#sign(findings, undefined);
  }

  /** The present key names the next one, which signs from then on. */
  replace(next: Key): this {
    this.#sign(0, next.key);
    this.#key = next;
    return this;
  }

  /** The same first lines, and then another key. */
  fork(lines: number, key = this.#key): Desk {
    return new Desk(key, this.#heads, this.lines.slice(0, lines));
  }

  /** Its lines, and then those that only the other one has. */
  and({ lines }: Desk): readonly string[] {
    return [...this.lines, ...lines.filter((line) => !this.lines.includes(line))];
  }

  #sign(unended: number, nextKey: string | undefined): this {
    const last = this.lines.at(-1);
    const before = last === undefined ? undefined : readCheckpoint(last);
    this.lines.push(
      signCheckpoint(
        { heads: this.#heads, findings: unended === 0 ? {} : { open: unended }, nextKey },
        before,
        this.#key.secretPem,
        started,
      ).line,
    );
    return this;
  }
}

export function headsOf(): readonly SignedHead[] {
  const fleet = fleetOf();
  takeAll(fleet, stream);
  return fleet.heads();
}

export function logged(line: string): PaperObject {
  const { seq = 0, hash = '0'.repeat(64) } = readCheckpoint(line) ?? {};
  return {
    name: { kind: 'verifier', verifier: 'audit-1', seq, hash },
    body: Buffer.from(line),
    storedMs: started,
  };
}

/** One that verifies, whose name is `here`. */
export function open(others: Readonly<Record<string, readonly string[]>>, saved?: unknown): Fleet {
  const options = optionsOf(undefined, {
    verifier: { name: 'here', keys: [own.key] },
    others: new Map(Object.entries(others)),
  });
  return new Fleet(options, saved);
}

/** The gate's records, where there are none yet, and then lines of verifiers. */
export function take(fleet: Fleet, lines: readonly string[]): Fleet {
  takeAll(fleet, [...(fleet.heads().length === 0 ? stream : []), ...lines.map(logged)]);
  return fleet;
}

export function found(fleet: Fleet): string[] {
  return fleet
    .judge(started)
    .map(({ kind, journal, seq }) => [kind, journal ?? '-', seq ?? '-'].join(' '))
    .toSorted();
}

export const reopened = (fleet: Fleet, others: Readonly<Record<string, readonly string[]>>): Fleet =>
  open(others, JSON.parse(JSON.stringify(fleet.save())));
