// What a verifier says to one gate: so far your journal is in my mirror, on my disk. One signed line for each host, of which the last one
// in the stream counts. A gate with `verifiers` keeps what no such line covers.
//
//     {"time":"...","event":"mirrored","host":"mail-gate-3","journal":"2f0c...","seq":4112,"hash":"9a0f...","key":"...","signature":"..."}
//
// The key is that of the checkpoints; their lines have another event, so neither can stand for the other. Who can write to the subject, as
// the server and its administrator can, can bring an older line or one of another host, and make a gate keep more. To make it remove more
// takes the key, or the mirror: the hash names a record of the gate's own journal, and with it everything before.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { count, text as textOf, time } from '../../host/values/shape.js';
import { parseLine } from '../../host/values/values.js';
import { formatTime } from '../../host/words/instants.js';
import { isSignedBy } from '../../journal/records/ledger.js';
import { isHostWord } from '../../rules/config/fleet-names.js';
import { parsePublicKey, parseSignKey } from '../../rules/keys/sign-key.js';
import { readSubject, subjectOf } from './block.js';

/** The kind of the subject: {@link toHostSubject}. */
export const mirroredKind = 'mirrored';

/** The end of a journal in a mirror. */
export interface MirroredEnd {
  readonly host: string;
  readonly journal: string;
  readonly seq: number;
  readonly hash: string;
}

const word = textOf(bounds.fleetLineBytes);
const signedLine = z
  .strictObject({
    time,
    event: z.literal(mirroredKind),
    host: word.refine(isHostWord),
    journal: word,
    seq: count.min(1),
    hash: z.string().regex(/^[0-9a-f]{64}$/),
    key: word.refine((key) => parsePublicKey(key) === key),
    signature: z.string().regex(/^[A-Za-z0-9+/]{86}==$/),
  })
  .refine(({ host, journal }) => readSubject(subjectOf(host, journal)) !== undefined);

type Unsigned = Omit<z.infer<typeof signedLine>, 'event' | 'signature'>;

/** The one spelling of what is signed. */
function textOfLine({ time: at, host, journal, seq, hash, key }: Unsigned): string {
  return JSON.stringify({ time: at, event: mirroredKind, host, journal, seq, hash, key });
}

/** Without LF; throws a TypeError if the key is not an Ed25519 key in PEM. */
export function signMirrored(end: MirroredEnd, secretPem: string, nowMs: number): string {
  const signer = parseSignKey(secretPem);
  const text = textOfLine({ ...end, time: formatTime(nowMs), key: signer.key });
  return `${text.slice(0, -1)},"signature":"${signer.sign(text)}"}`;
}

export interface ReadMirrored extends MirroredEnd {
  /** Public key in base64; the caller must check whether it is trusted. */
  readonly key: string;
}

/** `line`: with LF or without. Undefined: it is not such a line, or was changed after it was signed. */
export function readMirrored(line: string | Buffer): ReadMirrored | undefined {
  if (line.length > bounds.fleetLineBytes) return undefined;
  const text = line.toString().trimEnd();
  const read = signedLine.safeParse(parseLine(text)).data;
  if (read === undefined) return undefined;
  const { signature, event: _, ...unsigned } = read;
  const signed = textOfLine(unsigned);
  if (text !== `${signed.slice(0, -1)},"signature":"${signature}"}`) return undefined;
  if (!isSignedBy(read.key, signed, signature)) return undefined;
  const { host, journal, seq, hash, key } = read;
  return { host, journal, seq, hash, key };
}

/** Why a line says nothing to this host, as a sentence; or what it covers. `keys`: of verifiers, any of which counts. */
export function judgeMirrored(
  line: Buffer,
  { host, keys }: { readonly host: string; readonly keys: readonly string[] },
): ReadMirrored | string {
  const read = readMirrored(line);
  if (read === undefined) return 'it is not a line of a verifier, or was changed after it was signed';
  if (read.host !== host) return `it is about host ${read.host}`;
  if (!keys.includes(read.key))
    return `key ${read.key} signed it, which "verifiers" does not list: if that verifier replaced its key, copy its checkpoint.pub again`;
  return read;
}
