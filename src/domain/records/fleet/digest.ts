// The digest of a mirrored journal: what the verifier of the mirror found in its closed segments, signed, so that a report need not read
// them again. Two files beside the segments. The rows have an entry for each member of the closed segments: where it lies, the hash of its
// bytes, and the sketch of its text, made from the text and not taken from the file. The head is one signed line:
//
//     {"time":"...","event":"digest","host":"...","journal":"...","segment":12,"bytes":4096,"sha256":"...","hostKeys":["..."],
//      "state":{...},"key":"...","signature":"..."}
//
// It covers the first `bytes` of the rows, which are only appended: an end at any instant leaves the head before, and it still counts.
// `state` is that of the verifier behind segment `segment`, `hostKeys` the keys that it trusted. The key is that of the checkpoints; their
// lines have another event. Who can write to the mirror can bring an older digest: what it does not cover is verified then. An older one
// with faults may lack records that came late, so its reader must compare the members with the rows first ({@link isFaultless}).

import { hash } from 'node:crypto';
import * as z from 'zod';
import { bounds } from '../../../bounds/bounds.js';
import { count, text as textOf, time } from '../../language/seams/shape.js';
import { isSignedBy, parsePublicKey, parseSignKey } from '../audit/ledger.js';
import { formatTime, parseLine } from '../audit/record.js';
import { isText } from '../audit/stored.js';
import type { TrailFaultKind, VerifierState } from '../trail/verify.js';
import { readSubject, subjectOf } from './block.js';
import { isHostWord } from './names.js';

/** Beside the segments. */
export const headName = 'digest.json';
export const rowsName = 'digest.rows';

const event = 'digest';

const word = textOf(bounds.digestHeadBytes);
const hex = z.string().regex(/^[0-9a-f]{64}$/);
const key = word.refine((each) => parsePublicKey(each) === each);
const keys = z.array(word);
const place = { file: word, line: count, seq: count.optional() };
/** Who signs it chose the words: they are shown, and nothing depends on them. */
const faultOf = <Kind extends string>() =>
  z.strictObject({ ...place, kind: z.custom<Kind>(isText), text: word });
const fault = faultOf<TrailFaultKind>();
const note = z.strictObject({ ...place, time: word, text: word });

const state = z.strictObject({
  faults: z.array(fault),
  faultCount: count,
  checkpoints: z.strictObject({
    accepted: keys,
    trust: keys,
    keys,
    firstKeys: keys,
    earlierKeys: keys,
    expected: z.array(
      z.strictObject({
        seq: count,
        hash: word,
        file: word,
        key: word.optional(),
        stampedAt: word.optional(),
      }),
    ),
    signedSeq: count.optional(),
    signedTime: word.optional(),
    signedBy: word.optional(),
    oldestSeq: count,
    isSeen: z.boolean(),
    unknown: faultOf<'untrusted' | 'key-change'>().optional(),
    signer: word.optional(),
    named: word.optional(),
    change: faultOf<'key-change'>().optional(),
  }),
  runs: z.strictObject({
    at: z.enum(['running', 'stopped', 'started']),
    carriesLeft: z.number(),
    pending: faultOf<'journal-appended'>().optional(),
    otherSeq: count,
    recent: word,
  }),
  isArgumentsFirst: z.boolean(),
  open: z.array(z.strictObject({ id: word, seq: count, file: word, line: count })).max(bounds.digestOpen),
  forgotten: z.array(note).max(bounds.shownOpen),
  returned: z.array(note).max(bounds.shownOpen),
  steps: z
    .array(z.strictObject({ from: word, to: word, seq: count, isAtStart: z.boolean() }))
    .max(bounds.clockSteps),
  isStepNew: z.boolean(),
  retired: z.array(
    z.strictObject({ by: z.enum(['age', 'size']).optional(), segments: count, until: word.optional() }),
  ),
  files: z.array(z.tuple([word, count])),
  fileCount: count,
  file: word,
  line: count,
  records: count,
  firstSeq: count.optional(),
  last: z.strictObject({ seq: count, prev: word, hash: word }).optional(),
  isDoubtful: z.boolean(),
  gap: z.strictObject({ from: count, to: count, fault: count }).optional(),
  begun: fault.optional(),
  beforeName: word.optional(),
  lastTime: word,
  firstRecordTime: word,
  lastRecordTime: word,
  journal: word.optional(),
  isNewer: z.boolean(),
  torn: z.strictObject({ file: word, line: count }).optional(),
});

const shape = z
  .strictObject({
    time,
    event: z.literal(event),
    host: word.refine(isHostWord),
    journal: word,
    segment: count,
    bytes: count.max(bounds.digestBodyBytes),
    sha256: hex,
    hostKeys: z.array(key),
    state,
    key,
  })
  .refine(({ host, journal }) => readSubject(subjectOf(host, journal)) !== undefined);

export interface Digest {
  readonly host: string;
  readonly journal: string;
  /** The number of the last segment that it covers. */
  readonly segment: number;
  /** Of the rows that it covers, and their hash. */
  readonly bytes: number;
  readonly sha256: string;
  /** The keys of the host that the verifier trusted. */
  readonly hostKeys: readonly string[];
  readonly state: VerifierState;
}

export interface ReadDigest extends Digest {
  /** RFC 3339: when it was made. */
  readonly time: string;
  /** Public key in base64; the caller must check whether it is trusted. */
  readonly key: string;
}

/** Without LF; undefined: it would be larger than a reader takes. Throws a TypeError if the key is not an Ed25519 key in PEM. */
export function signDigest(digest: Digest, secretPem: string, nowMs: number): string | undefined {
  const signer = parseSignKey(secretPem);
  const all = { ...digest, time: formatTime(nowMs), event, key: signer.key };
  // The shape has the order of the members. Members without a value are not written.
  const text = JSON.stringify(shape.parse(JSON.parse(JSON.stringify(all))));
  const line = `${text.slice(0, -1)},"signature":"${signer.sign(text)}"}`;
  return line.length > bounds.digestHeadBytes ? undefined : line;
}

const signaturePart = /,"signature":"([A-Za-z0-9+/]{85}[AQgw]==)"}$/;

/** `line`: with LF or without. Undefined: it is not such a line, or was changed after it was signed. */
export function readDigest(line: string): ReadDigest | undefined {
  if (line.length > bounds.digestHeadBytes) return undefined;
  const text = line.trimEnd();
  const signature = signaturePart.exec(text.slice(-128));
  if (signature?.[1] === undefined) return undefined;
  const signed = `${text.slice(0, text.length - signature[0].length)}}`;
  const read = shape.safeParse(parseLine(signed)).data;
  // In its one spelling, before the signature counts.
  if (read === undefined || JSON.stringify(read) !== signed) return undefined;
  if (!isSignedBy(read.key, signed, signature[1])) return undefined;
  const { event: _, ...digest } = read;
  return digest;
}

/** Records that are not in it may have come later: what an older digest does not know of. */
export function isFaultless({ state: { faultCount, begun, firstSeq = 1, checkpoints } }: Digest): boolean {
  return faultCount === 0 && (begun === undefined || firstSeq <= checkpoints.oldestSeq);
}

/** A member of a closed segment. */
export interface DigestRow {
  readonly segment: number;
  /** Where it lies in the compressed file, and its hash there. */
  readonly at: number;
  readonly bytes: number;
  readonly sha256: Buffer;
  /** Its first record and the time of that, in Unix milliseconds; 0: it does not begin with a record. */
  readonly firstSeq: number;
  readonly firstMs: number;
  /** As `makeSketch` makes it of its text; empty: it is always read. */
  readonly sketch: Buffer;
}

const rowHeadBytes = 4 + 8 + 4 + 4 + 8 + 8 + 32;

export function packRow({ segment, at, bytes, sha256, firstSeq, firstMs, sketch }: DigestRow): Buffer {
  const row = Buffer.alloc(rowHeadBytes + sketch.length);
  row.writeUInt32LE(row.length);
  row.writeDoubleLE(segment, 4);
  row.writeUInt32LE(at, 12);
  row.writeUInt32LE(bytes, 16);
  row.writeDoubleLE(firstSeq, 20);
  row.writeDoubleLE(firstMs, 28);
  sha256.copy(row, 36);
  sketch.copy(row, rowHeadBytes);
  return row;
}

/** The rows that a digest covers, as views of `body`, which may go on behind them. Undefined: they are not those. */
export function readRows(
  body: Buffer,
  { bytes, sha256, segment: last }: Pick<Digest, 'bytes' | 'sha256' | 'segment'>,
): readonly DigestRow[] | undefined {
  const covered = body.subarray(0, bytes);
  if (covered.length !== bytes || hash('sha256', covered, 'hex') !== sha256) return undefined;
  const rows: DigestRow[] = [];
  for (let at = 0; at < bytes; ) {
    const length = at + rowHeadBytes > bytes ? 0 : covered.readUInt32LE(at);
    if (length < rowHeadBytes || at + length > bytes) return undefined;
    const segment = covered.readDoubleLE(at + 4);
    if (segment > last) return undefined;
    rows.push({
      segment,
      at: covered.readUInt32LE(at + 12),
      bytes: covered.readUInt32LE(at + 16),
      firstSeq: covered.readDoubleLE(at + 20),
      firstMs: covered.readDoubleLE(at + 28),
      sha256: covered.subarray(at + 36, at + rowHeadBytes),
      sketch: covered.subarray(at + rowHeadBytes, at + length),
    });
    at += length;
  }
  return rows;
}
