// The captured sessions with Dovecot's auth service (test/vectors/auth-service), and their replies in the form that our reader gives.

import { readdirSync, readFileSync } from 'node:fs';
import type { AuthField, AuthReply } from '../../../src/gate/lookup/auth-protocol.js';
import { projectRoot } from '../../kit/plain/root.js';
import type { VectorStep } from '../../kit/plain/vectors.js';

type Text = string | { hex: string };

export interface ExpectedReply {
  readonly reply: string;
  readonly id: number;
  readonly user?: Text;
  readonly fields?: readonly (readonly [string, Text] | readonly [string])[];
  readonly args?: readonly Text[];
  readonly fail?: boolean;
}

export interface AuthVector {
  readonly name: string;
  readonly dovecot: string;
  readonly role: 'server' | 'client';
  readonly steps: readonly VectorStep[];
  readonly command?: readonly string[];
  readonly expect: {
    readonly handshake?: readonly (readonly string[])[];
    readonly replies?: readonly ExpectedReply[];
    readonly eof?: true;
    readonly exit?: number;
    readonly stdout?: string;
  };
}

// From build/test/gate/lookup to test/vectors: the captures are not compiled.
const folder = new URL('test/vectors/auth-service/', projectRoot);

/** All sessions of a role, in the order of their files. */
export function authVectorsOf(role: AuthVector['role']): AuthVector[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .flatMap((file): AuthVector[] => JSON.parse(readFileSync(new URL(file, folder), 'utf8')))
    .filter((vector) => vector.role === role);
}

/** What a side sent: all of it, and where its writes end. */
export function bytesOf(
  vector: AuthVector,
  dir: 'c2s' | 's2c',
): { readonly bytes: Buffer; readonly boundaries: readonly number[] } {
  const pieces = vector.steps
    .filter((step) => step.dir === dir && step.hex !== undefined)
    .map((step) => Buffer.from(step.hex ?? '', 'hex'));
  let length = 0;
  const boundaries = pieces.map((piece) => {
    length += piece.length;
    return length;
  });
  return { bytes: Buffer.concat(pieces), boundaries };
}

/** The reply as the captures write it down. */
export function asExpected(reply: AuthReply): ExpectedReply {
  switch (reply.kind) {
    case 'pass':
      return { reply: 'PASS', id: reply.id, fields: reply.fields.map(pairOf) };
    case 'user':
      return {
        reply: 'USER',
        id: reply.id,
        user: textOf(reply.user ?? Buffer.alloc(0)),
        fields: reply.fields.map(pairOf),
      };
    case 'not-found':
      return { reply: 'NOTFOUND', id: reply.id };
    case 'fail':
      return {
        reply: 'FAIL',
        id: reply.id,
        ...(reply.reason !== undefined && { fields: [['reason', textOf(reply.reason)]] as const }),
      };
    case 'other': {
      const { id, name, words } = reply;
      const texts = words.filter((word) => word.length > 0).map(textOf);
      if (name === 'LIST') return { reply: name, id, user: texts[0] ?? '' };
      if (name === 'DONE') return { reply: name, id, fail: texts.includes('fail') };
      return { reply: name, id, args: texts };
    }
    default:
      return reply satisfies never;
  }
}

function pairOf({ key, value }: AuthField): readonly [string, Text] | readonly [string] {
  return value === undefined ? [key] : [key, textOf(value)];
}

function textOf(bytes: Buffer): Text {
  const text = bytes.toString();
  const isPrintable = Buffer.from(text).equals(bytes) && !/[\0-\x1f\x7f]/.test(text);
  return isPrintable ? text : { hex: bytes.toString('hex') };
}
