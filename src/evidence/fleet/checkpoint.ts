// Signed statements of the heads of all journals: lines of a chain of their own. Kept in a file and in the store, and by anyone who wants
// to prove them later.
//
//     {"seq":1,"time":"...","event":"fleet","hosts":[
//       {"host":"mail-gate-3","journal":"2f0c...","from":1,"seq":4112,"hash":"9a0f...","stored":"..."}],
//      "findings":{"silent":2},
//      "root":"<SHA-256 of the list of hosts>","key":"...","signature":"...","prev":"...","hash":"..."}
//
// `from`: the first record of the journal that was read there. `findings`: how many of each kind stand. The last line of a key that is
// replaced has "next_key" after "key": the new one, which signs from the next line on.

import { hash } from 'node:crypto';
import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { count, time } from '../../host/values/shape.js';
import { parseLine } from '../../host/values/values.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { genesisHash, isSignedBy, readNext, sealLine, unsignedLine } from '../../journal/records/ledger.js';
import { isHostWord } from '../../rules/config/fleet-names.js';
import { parsePublicKey, parseSignKey } from '../../rules/keys/sign-key.js';
import { type FleetFinding, type FleetFindingKind, findingKinds, word } from './shapes.js';

const signedHead = z
  .object({
    host: word.refine(isHostWord),
    journal: word.regex(/^[0-9a-f]{32}$/),
    from: count,
    seq: count,
    hash: word,
    stored: time,
  })
  .transform(({ stored, ...head }) => ({ ...head, storedMs: parseTime(stored) ?? 0 }));

const signedLine = z.object({
  seq: count,
  time,
  event: z.literal('fleet'),
  hosts: z.array(signedHead),
  findings: z.partialRecord(z.enum(findingKinds), count),
  root: word,
  key: word,
  next_key: word.refine((key) => parsePublicKey(key) === key).optional(),
});

/** `from`: the first record of the journal that this verifier has read. */
export type SignedHead = Readonly<z.output<typeof signedHead>>;

/** How many of each kind; kinds without one are absent. */
export type FindingCounts = Readonly<Partial<Record<FleetFindingKind, number>>>;

export function countFindings(findings: readonly FleetFinding[]): FindingCounts {
  const counts: Partial<Record<FleetFindingKind, number>> = {};
  for (const kind of findingKinds) {
    const many = findings.filter((one) => one.kind === kind).length;
    if (many > 0) counts[kind] = many;
  }
  return counts;
}

/** A parsed line; its hash, its root and its signature are right. */
export type ReadCheckpoint = NonNullable<ReturnType<typeof readCheckpoint>>;

/** Makes the line after another one; throws a TypeError if the key is not an Ed25519 key in PEM. */
export function signCheckpoint(
  seen: {
    readonly heads: readonly SignedHead[];
    readonly findings: FindingCounts;
    readonly nextKey?: string | undefined;
  },
  before: { readonly seq: number; readonly hash: string } | undefined,
  secretPem: string,
  nowMs: number,
) {
  const signer = parseSignKey(secretPem);
  const hosts = JSON.stringify(
    seen.heads.map(({ host, journal, from, seq, hash: head, storedMs }) => ({
      host,
      journal,
      from,
      seq,
      hash: head,
      stored: formatTime(storedMs),
    })),
  );
  const seq = (before?.seq ?? 0) + 1;
  const prev = before?.hash ?? genesisHash;
  const root = hash('sha256', hosts, 'hex');
  const next = seen.nextKey === undefined ? '' : `,"next_key":"${seen.nextKey}"`;
  const findings = JSON.stringify(seen.findings);
  const named = `"time":"${formatTime(nowMs)}","event":"fleet","hosts":${hosts},"findings":${findings},"root":"${root}","key":"${signer.key}"${next}`;
  const signature = signer.sign(`{"seq":${seq},${named},"prev":"${prev}"}`);
  const { line } = sealLine(seq, `${named},"signature":"${signature}"`, prev);
  // The line is without LF; `root` is SHA-256 over the list of hosts in it.
  return { line: line.trimEnd(), seq, root };
}

/** `line`: with LF or without. Undefined: it is not a checkpoint, or was changed. */
export function readCheckpoint(line: string | Buffer) {
  if (line.length > bounds.fleetCheckpointBytes) return undefined;
  const text = line.toString().trimEnd();
  const link = readNext(Buffer.from(text));
  const parsed = parseLine(text);
  const signed = unsignedLine(text, 'fleet');
  const record = signedLine.safeParse(parsed).data;
  if (link === undefined || record === undefined || signed === undefined) return undefined;
  const { seq, time: at, hosts: heads, findings, root, key, next_key: nextKey } = record;
  if (seq !== link.seq || hash('sha256', JSON.stringify(parsed?.['hosts']), 'hex') !== root) return undefined;
  if (!isSignedBy(key, signed.text, signed.signature)) return undefined;
  const { prev, hash: own } = link;
  return {
    line: text,
    seq,
    root,
    /** RFC 3339: when it was signed. */
    time: at,
    heads,
    findings,
    /** Public key in base64; the caller must check whether it is trusted. */
    key,
    /** The key of the next lines; undefined: the same. */
    nextKey,
    prev,
    hash: own,
  };
}

/** The public keys in a verifier's `checkpoint.pub`: base64, one a line, oldest first; or one in PEM. Undefined: none, or too many. */
export function verifierKeysIn(content: string): readonly string[] | undefined {
  const whole = parsePublicKey(content);
  if (whole !== undefined) return [whole];
  const keys = content
    .trim()
    .split(/\s*\n\s*/)
    .map((line) => parsePublicKey(line));
  const valid = keys.filter((key) => key !== undefined);
  return valid.length === keys.length && keys.length <= bounds.fleetVerifierKeys ? valid : undefined;
}
