// Owns the reading of test/vectors: sessions captured from real Dovecot servers and real clients (see its README).

import { readdirSync, readFileSync } from 'node:fs';
import { projectRoot } from './root.js';

/** One write or read of one side, its end, or the TLS handshake; what follows the latter went through TLS. */
export interface VectorStep {
  dir?: 'c2s' | 's2c';
  hex?: string;
  eof?: true;
  tls?: string;
}

/** A cell: text, bytes that are no text, or the digest of many. */
export type VectorCell = string | { hex: string } | { bytes: number; sha256: string };

export interface VectorReply {
  cells?: VectorCell[];
  text?: string;
  status?: string;
  /** What came behind the last status. */
  partial?: string;
}

export interface Vector {
  /** The file it lies in; with the release it makes the name. */
  family: string;
  name: string;
  dovecot: string;
  /** Announced by the client; null where what it sent is no VERSION line. */
  minor: number | null;
  server_minor: number;
  /** What the real program was. */
  role: 'server' | 'client';
  steps?: VectorStep[];
  connections?: VectorStep[][];
  command?: string[];
  stdin_hex?: string;
  expect?: {
    replies?: VectorReply[];
    logs?: { type: string; text: string }[];
    eof?: true;
    output_hex?: string;
    exit?: number;
    stdout?: string;
    stderr?: string;
  };
}

/** What one side sent before TLS, or through it: all bytes, and where its steps end. */
export interface Segment {
  bytes: Buffer;
  boundaries: number[];
}

// From build/test/kit to test/vectors: the captures are not compiled.
const folder = new URL('test/vectors/', projectRoot);

/** All sessions of a role, in the order of their names. */
export function vectorsOf(role: Vector['role']): Vector[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .flatMap((file) => vectorsIn(file.slice(0, -'.json'.length)))
    .filter((vector) => vector.role === role);
}

/** The sessions of one family. */
export function vectorsIn(family: string): Vector[] {
  const sessions: Omit<Vector, 'family'>[] = JSON.parse(
    readFileSync(new URL(`${family}.json`, folder), 'utf8'),
  );
  return sessions.map((session) => ({ ...session, family }));
}

export function connectionsOf(vector: Vector): VectorStep[][] {
  return vector.connections ?? [vector.steps ?? []];
}

/** What a side sent, cut at the TLS handshake: one segment without TLS, two with it (the first may be empty). */
export function segmentsOf(steps: readonly VectorStep[], dir: 'c2s' | 's2c'): Segment[] {
  const segments = [{ pieces: [] as Buffer[] }];
  for (const step of steps) {
    if (step.tls !== undefined) segments.push({ pieces: [] });
    else if (step.dir === dir && step.hex !== undefined)
      segments.at(-1)?.pieces.push(Buffer.from(step.hex, 'hex'));
  }
  return segments.map(({ pieces }) => {
    let length = 0;
    return {
      bytes: Buffer.concat(pieces),
      boundaries: pieces.map((piece) => {
        length += piece.length;
        return length;
      }),
    };
  });
}

/** Whether a side ended its output. */
export function hasEnded(steps: readonly VectorStep[], dir: 'c2s' | 's2c'): boolean {
  return steps.some((step) => step.dir === dir && step.eof === true);
}

export type VectorTls = 'none' | 'starttls' | 'done';

/** 'done': TLS from the first byte. */
export function tlsOf(steps: readonly VectorStep[]): VectorTls {
  const at = steps.findIndex((step) => step.tls !== undefined);
  return at < 0 ? 'none' : at === 0 ? 'done' : 'starttls';
}
