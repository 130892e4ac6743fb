// A stream in memory: the journals of gates as the ledger makes them, cut into blocks with the headers of a gate. Tests tear it apart.

import {
  type BlockHead,
  checkpointStreamOf,
  formatHead,
  hostStreamOf,
  readSubject,
  subjectOf,
} from '../../../src/evidence/fleet/block.js';
import { createFleet, type Fleet, type FleetOptions } from '../../../src/evidence/fleet/fleet.js';
import type { FleetFinding, FleetMessage } from '../../../src/evidence/fleet/shapes.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { AuditRecord, JournalRecord, OwnRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';

export const started = Date.UTC(2026, 10, 20, 8);
export const key = makeSignKey();
export const journal = 'ab'.repeat(16);
const minuteMs = 60_000;

/** What a test may change of a message before it is taken. */
export interface PaperMessage {
  subject: string;
  headers: (readonly [string, string])[];
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

/** `a` to `b` of a journal as one message; from 0, `b` excluded. */
export function block(lines: readonly string[], host = 'gate1', id = journal): PaperMessage {
  const first = seqOf(lines[0]);
  const last = seqOf(lines.at(-1));
  const head: BlockHead = { kind: 'block', first, last, head: hashOf(lines.at(-1)) };
  return {
    subject: subjectOf(host, id),
    headers: [...formatHead(id, head)],
    body: Buffer.from(lines.join('')),
    storedMs: started,
  };
}

export function mark(seq: number, head: string | undefined, host = 'gate1', id = journal): PaperMessage {
  const headers = [...formatHead(id, { kind: 'mark', seq, head, text: 'another journal' })];
  return { subject: subjectOf(host, id), headers, body: Buffer.alloc(0), storedMs: started };
}

/** In blocks of so many lines. */
export function blocks(lines: readonly string[], size = 4, host = 'gate1', id = journal): PaperMessage[] {
  const made: PaperMessage[] = [];
  for (let at = 0; at < lines.length; at += size) made.push(block(lines.slice(at, at + size), host, id));
  return made;
}

export function seqOf(line: string | undefined): number {
  return Number(/^\{"seq":(\d+),/.exec(line ?? '')?.[1] ?? 0);
}

export function hashOf(line: string | undefined): string {
  return /"hash":"([0-9a-f]{64})"\}\n?$/.exec(line ?? '')?.[1] ?? '0'.repeat(64);
}

export function message(one: PaperMessage, streamSeq: number): FleetMessage {
  return {
    streamSeq,
    storedMs: one.storedMs,
    subject: one.subject,
    header: (name) => one.headers.find(([known]) => known === name)?.[1] ?? '',
    // A copy: a reader may write into it for a moment.
    bytes: Buffer.from(one.body),
  };
}

export function optionsOf(
  hosts: readonly string[] = ['gate1'],
  more: Partial<FleetOptions> = {},
): FleetOptions {
  return {
    stream: 'DOVEGATE_AUDIT',
    hosts: new Map(hosts.map((host) => [host, { key: key.key, silentMs: 5 * minuteMs }])),
    openMs: 120 * minuteMs,
    driftMs: 5000,
    ...more,
  };
}

export function fleetOf(hosts?: readonly string[], more?: Partial<FleetOptions>): Fleet {
  return createFleet(optionsOf(hosts, more));
}

/** Takes a message, of the stream that its subject belongs to. */
export function takeOne(fleet: Fleet, one: FleetMessage): readonly FleetFinding[] {
  const prefix = 'DOVEGATE_AUDIT';
  const host = readSubject(one.subject)?.host;
  return fleet.take(one, host === undefined ? checkpointStreamOf(prefix) : hostStreamOf(prefix, host));
}

/** Takes all of a stream, which begins at 1; what was found meanwhile. */
export function takeAll(
  fleet: Fleet,
  stream: readonly PaperMessage[],
  from: number = fleet.streamSeq + 1,
): FleetFinding[] {
  return stream.flatMap((one, at) => [...takeOne(fleet, message(one, from + at))]);
}

/** Kind, host and seq of each. */
export function told(findings: readonly FleetFinding[]): (readonly [string, string, number | undefined])[] {
  return findings.map(({ kind, host, seq }) => [kind, host, seq]);
}

/** All that is wrong a minute after the start. */
export function judged(
  stream: readonly PaperMessage[],
  hosts?: readonly string[],
  more?: Partial<FleetOptions>,
) {
  const fleet = fleetOf(hosts, more);
  takeAll(fleet, stream);
  return told(fleet.judge(started + minuteMs));
}

/** Hashes, ids and keys by names that are the same in each run. */
export function legible(text: string, stream: readonly PaperMessage[] = []): string {
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
