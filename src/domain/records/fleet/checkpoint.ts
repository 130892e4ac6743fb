// Signed statements of the heads of all journals: lines of a chain of their own. Kept in a file and in the stream, and by anyone who wants
// to prove them later.
//
//     {"seq":1,"time":"...","event":"fleet","hosts":[
//       {"host":"mail-gate-3","journal":"2f0c...","seq":4112,"hash":"9a0f...","stored":"..."}],
//      "findings":0,"streams":[{"stream":"DOVEGATE_AUDIT","replicas":3,"max_age":34560000000}],
//      "root":"<SHA-256 of the list of hosts>","key":"...","signature":"...","prev":"...","hash":"..."}
//
// `streams`: the strength of each stream so far, the age in milliseconds, 0 for no limit. The last line of a key that is replaced has
// "next_key" after "key": the new one, which signs from the next line on.

import { hash } from 'node:crypto';
import { bounds } from '../../../bounds/bounds.js';
import {
  genesisHash,
  isSignedBy,
  parsePublicKey,
  parseSignKey,
  readNext,
  sealLine,
  unsignedLine,
} from '../audit/ledger.js';
import { formatTime, isCount, parseLine, parseTime } from '../audit/record.js';
import { isObject } from '../audit/stored.js';
import { isHostWord, readSubject, subjectOf } from './block.js';
import type { SignedStrength } from './streams.js';

/** The required head of a chain: after a stream was restored, or from a line kept elsewhere. */
export interface ExpectedHead {
  readonly host: string;
  readonly journal: string;
  readonly seq: number;
  readonly hash: string;
  /** When the record's message was stored; milliseconds since 1970 by the server's clock. Records older than the stream may be gone. */
  readonly storedMs: number;
}

export interface FleetCheckpoint {
  /** Without LF. */
  readonly line: string;
  readonly seq: number;
  /** SHA-256 over the list of hosts in the line. */
  readonly root: string;
}

/** A parsed line; its hash, its root and its signature are right. */
export interface ReadCheckpoint extends FleetCheckpoint {
  /** RFC 3339: when it was signed. */
  readonly time: string;
  readonly heads: readonly ExpectedHead[];
  readonly findings: number;
  readonly streams: readonly SignedStrength[];
  /** Public key in base64; the caller must check whether it is trusted. */
  readonly key: string;
  /** The key of the next lines; undefined: the same. */
  readonly nextKey: string | undefined;
  readonly prev: string;
  readonly hash: string;
}

const lineBytesMax = bounds.fleetCheckpointBytes;

/** Makes the line after another one; throws a TypeError if the key is not an Ed25519 key in PEM. */
export function signCheckpoint(
  seen: {
    readonly heads: readonly ExpectedHead[];
    readonly findings: number;
    readonly streams?: readonly SignedStrength[];
    readonly nextKey?: string | undefined;
  },
  before: { readonly seq: number; readonly hash: string } | undefined,
  secretPem: string,
  nowMs: number,
): FleetCheckpoint {
  const signer = parseSignKey(secretPem);
  const hosts = JSON.stringify(
    seen.heads.map(({ host, journal, seq, hash: head, storedMs }) => ({
      host,
      journal,
      seq,
      hash: head,
      stored: formatTime(storedMs),
    })),
  );
  const streams = JSON.stringify(
    (seen.streams ?? []).map(({ stream, replicas, maxAgeMs }) => ({
      stream,
      replicas,
      max_age: maxAgeMs,
    })),
  );
  const seq = (before?.seq ?? 0) + 1;
  const prev = before?.hash ?? genesisHash;
  const root = hash('sha256', hosts, 'hex');
  const next = seen.nextKey === undefined ? '' : `,"next_key":"${seen.nextKey}"`;
  const named = `"time":"${formatTime(nowMs)}","event":"fleet","hosts":${hosts},"findings":${seen.findings},"streams":${streams},"root":"${root}","key":"${signer.key}"${next}`;
  const signature = signer.sign(`{"seq":${seq},${named},"prev":"${prev}"}`);
  const { line } = sealLine(seq, `${named},"signature":"${signature}"`, prev);
  return { line: line.trimEnd(), seq, root };
}

/** `line`: with LF or without. Undefined: it is not a checkpoint, or was changed. */
export function readCheckpoint(line: string | Buffer): ReadCheckpoint | undefined {
  if (line.length > lineBytesMax) return undefined;
  const text = line.toString().trimEnd();
  const link = readNext(Buffer.from(text));
  const record = parseLine(text);
  const signed = unsignedLine(text, 'fleet');
  if (link === undefined || record === undefined || signed === undefined) return undefined;
  const { seq, time, event, hosts, findings, streams, root, key, next_key: nextKey } = record;
  if (event !== 'fleet' || seq !== link.seq || !Number.isSafeInteger(seq) || !Array.isArray(hosts))
    return undefined;
  if (typeof time !== 'string' || parseTime(time) === undefined) return undefined;
  if (!Array.isArray(streams)) return undefined;
  if (!isCount(findings) || typeof root !== 'string' || typeof key !== 'string') return undefined;
  if (nextKey !== undefined && (typeof nextKey !== 'string' || parsePublicKey(nextKey) !== nextKey))
    return undefined;
  if (hash('sha256', JSON.stringify(hosts), 'hex') !== root) return undefined;
  const heads = hosts.map((one) => readHead(one)).filter((one) => one !== undefined);
  const strengths = streams.map((one) => readStrength(one)).filter((one) => one !== undefined);
  if (heads.length !== hosts.length || strengths.length !== streams.length) return undefined;
  if (!isSignedBy(key, signed.text, signed.signature)) return undefined;
  const { prev, hash: own } = link;
  return { line: text, seq, root, time, heads, findings, streams: strengths, key, nextKey, prev, hash: own };
}

function readStrength(value: unknown): SignedStrength | undefined {
  if (!isObject(value)) return undefined;
  const { stream, replicas, max_age: maxAgeMs } = value;
  if (typeof stream !== 'string' || !isCount(replicas) || !isCount(maxAgeMs)) return undefined;
  return { stream, replicas, maxAgeMs };
}

function readHead(value: unknown): ExpectedHead | undefined {
  if (!isObject(value)) return undefined;
  const { host, journal, seq, hash: head, stored } = value;
  const storedMs = typeof stored === 'string' ? parseTime(stored) : undefined;
  if (typeof host !== 'string' || typeof journal !== 'string' || typeof head !== 'string') return undefined;
  if (!isCount(seq) || storedMs === undefined) return undefined;
  if (!isHostWord(host) || readSubject(subjectOf(host, journal)) === undefined) return undefined;
  return { host, journal, seq, hash: head, storedMs };
}
