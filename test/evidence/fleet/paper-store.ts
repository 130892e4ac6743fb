// A store in memory: the journals of gates as the ledger makes them, cut into blocks. Tests tear it apart.

import { readCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { Fleet, type FleetOptions } from '../../../src/evidence/fleet/fleet.js';
import type { FleetFinding } from '../../../src/evidence/fleet/shapes.js';
import type { ObjectName } from '../../../src/evidence/store/names.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { AuditRecord, JournalRecord, OwnRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';

export const started = Date.UTC(2026, 10, 20, 8);
export const key = makeSignKey();
export const journal = 'ab'.repeat(16);
const minuteMs = 60_000;

/** A block, the mark of a gate, or a line of a verifier; tests change it before it is taken. */
export interface PaperObject {
  name: ObjectName;
  body: Buffer;
  storedMs: number;
}

/** A gate's journal while it is written. */
export class PaperGate {
  readonly ledger: Ledger;
  /** With LF. */
  readonly lines: string[] = [];
  nowMs = started;
  readonly id: string;

  constructor(secretPem: string | false = key.secretPem, id = journal, more: Partial<OwnRecord> = {}) {
    this.id = id;
    this.ledger = new Ledger('dovegate 1.0', secretPem === false ? undefined : secretPem, id);
    const names = { journal: id, format: 1, program: 'dovegate 1.0', catalog: 'cafe' };
    this.put({ time: this.nowMs, event: 'start', ...names, ...more });
    this.checkpoint();
  }

  put(record: JournalRecord): void {
    this.lines.push(this.ledger.seal(encodeBody(record)));
  }

  admit(id: string, more: Partial<AuditRecord> = {}): void {
    this.nowMs += 5;
    const named = { session: 'S', id, policy: 'support', version: 'v1', user: 'alice@example.com' };
    this.put({ time: this.nowMs, event: 'admission', ...named, decision: 'allow', ...more });
  }

  end(id: string): void {
    this.nowMs += 5;
    this.put({ time: this.nowMs, event: 'completion', session: 'S', id, outcome: 'ok' });
  }

  exchanges(count: number): void {
    for (let each = 0; each < count; each += 1) {
      const id = `E${this.ledger.seq}`;
      this.admit(id);
      this.end(id);
    }
  }

  checkpoint(more: Partial<OwnRecord> = {}): void {
    this.lines.push(this.ledger.sealSigned({ ...this.ledger.checkpoint(this.nowMs), ...more }));
  }
}

/** Lines of a journal as one block. */
export function block(lines: readonly string[], host = 'gate1', id = journal): PaperObject {
  const first = seqOf(lines[0]);
  const last = seqOf(lines.at(-1));
  return {
    name: { kind: 'block', host, journal: id, first, last, hash: hashOf(lines.at(-1)), isCopy: false },
    body: Buffer.from(lines.join('')),
    storedMs: started,
  };
}

/** The block under another name. */
export function renamed(
  one: PaperObject,
  change: Partial<Extract<ObjectName, { kind: 'block' }>>,
): PaperObject {
  const { name } = one;
  if (name.kind !== 'block') throw new TypeError('no block');
  return { ...one, name: { ...name, ...change } };
}

export function mark(seq: number, hash: string, host = 'gate1', id = journal): PaperObject {
  return { name: { kind: 'forked', host, journal: id, seq, hash }, body: Buffer.alloc(0), storedMs: started };
}

/** In blocks of so many lines. */
export function blocks(lines: readonly string[], size = 4, host = 'gate1', id = journal): PaperObject[] {
  const made: PaperObject[] = [];
  for (let at = 0; at < lines.length; at += size) made.push(block(lines.slice(at, at + size), host, id));
  return made;
}

export function seqOf(line: string | undefined): number {
  return Number(/^\{"seq":(\d+),/.exec(line ?? '')?.[1] ?? 0);
}

export function hashOf(line: string | undefined): string {
  return /"hash":"([0-9a-f]{64})"\}\n?$/.exec(line ?? '')?.[1] ?? '0'.repeat(64);
}

export function optionsOf(
  hosts: readonly string[] = ['gate1'],
  more: Partial<FleetOptions> = {},
): FleetOptions {
  return {
    store: '/srv/trail/dovegate',
    hosts: new Map(hosts.map((host) => [host, { key: key.key, silentMs: 5 * minuteMs }])),
    openMs: 120 * minuteMs,
    driftMs: 5000,
    wallMs: () => started + minuteMs,
    ...more,
  };
}

export function fleetOf(hosts?: readonly string[], more?: Partial<FleetOptions>): Fleet {
  return new Fleet(optionsOf(hosts, more));
}

export function takeOne(fleet: Fleet, { name, body, storedMs }: PaperObject): readonly FleetFinding[] {
  // A copy: a reader may write into it for a moment.
  const bytes = Buffer.from(body);
  if (name.kind === 'block') return fleet.take({ name, storedMs, text: bytes });
  const line = readCheckpoint(bytes);
  if (name.kind === 'forked') return fleet.takeMark(name);
  return line === undefined ? [] : fleet.takeLine(line, storedMs);
}

/** What was found meanwhile. */
export function takeAll(fleet: Fleet, objects: readonly PaperObject[]): FleetFinding[] {
  return objects.flatMap((one) => [...takeOne(fleet, one)]);
}

/** Kind, host and seq of each. */
export const told = (findings: readonly FleetFinding[]): string[] =>
  findings.map(({ kind, host, seq }) => `${kind} ${host} ${seq ?? '-'}`);

/** What stands at the start of the journals, unless another time is given. */
export const standing = (fleet: Fleet, nowMs = started): string[] => told(fleet.judge(nowMs));

/** One that has taken these. */
export function fleetWith(objects: readonly PaperObject[], more?: Partial<FleetOptions>): Fleet {
  const fleet = fleetOf(undefined, more);
  takeAll(fleet, objects);
  return fleet;
}

/** As it comes out of a file. */
export const savedOf = (fleet: Fleet): unknown => JSON.parse(JSON.stringify(fleet.save()));

/** Hashes, ids and keys by names that are the same in each run. */
export function legible(text: string, stream: readonly PaperObject[] = []): string {
  const names = new Map<string, string>();
  for (const { body } of stream)
    for (const [, seq = '', hash = ''] of body
      .toString('latin1')
      .matchAll(/^\{"seq":(\d+),.*"hash":"([0-9a-f]{64})"\}$/gm)) {
      let name = seq;
      while ([...names].some(([known, its]) => its === name && known !== hash)) name += "'";
      if (!names.has(hash)) names.set(hash, name);
    }
  return text
    .replaceAll(/[0-9a-f]{64}/g, (hash) => (names.has(hash) ? `<${names.get(hash)}>` : '<?>'))
    .replaceAll(journal, '<J>')
    .replaceAll('cd'.repeat(16), '<K>')
    .replaceAll(key.key, '<KEY>')
    .replaceAll(/[A-Za-z0-9+/]{43}=(?!=)/g, '<OTHER KEY>');
}

/** Each with its sentence. */
export const listed = (findings: readonly FleetFinding[]): string[] =>
  findings.map(
    ({ kind, host, journal: id = '-', seq = '-', time = '-', text }) =>
      `${kind} ${host} ${id} ${seq} ${time}\n  ${text}`,
  );
