// The digests of a mirror (domain/records/fleet/digest.ts), as the verifier makes them: behind the segments of a journal,
//
//   digest.rows   digest.json
//
// The rows are appended and synced before the head that covers them takes the place of the one before: after an end at any instant there is
// the one or the other. A digest is made again from the oldest segment that is there if it is not ours (another key signed it, the host has
// another key now), does not fit its rows, or a segment was changed after it.

import { hash } from 'node:crypto';
import { constants, fsyncSync, ftruncateSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readRegular, readRegularFile, syncDirectory } from '../../adapters/host/regular-file.js';
import { type Member, readMembers } from '../../adapters/journal/compressed.js';
import {
  fileName,
  listSegments,
  openIn,
  readIn,
  type Segment,
  withFile,
  writeWhole,
} from '../../adapters/journal/segments.js';
import { cutPieces, eachLine } from '../../adapters/journal/trail.js';
import { bounds } from '../../bounds/bounds.js';
import { parseSignKey, readClaim } from '../../domain/records/audit/ledger.js';
import { parseTime, readHead } from '../../domain/records/audit/record.js';
import {
  type Digest,
  headName,
  packRow,
  readDigest,
  readRows,
  rowsName,
  signDigest,
} from '../../domain/records/fleet/digest.js';
import { makeSketch } from '../../domain/records/trail/sketch.js';
import { checkedFaults, createVerifier, type VerifierState } from '../../domain/records/trail/verify.js';

export interface DigestedJournal {
  readonly directory: string;
  readonly host: string;
  readonly journal: string;
  /** The key that the settings have for the host now. */
  readonly hostKey: string | undefined;
}

/** For the process that has the state. `secretPem`: the key of checkpoints. */
export function createDigests(secretPem: () => string) {
  /** By directory: up to which segment it was made or tried in this process, and for which key of the host. */
  const tried = new Map<string, { readonly segment: number; readonly hostKey: string | undefined }>();
  return {
    /** Call before a segment is rewritten. Throws the system's error. */
    forget(directory: string): void {
      tried.delete(directory);
      removeDigest(directory);
    },
    /** After its closed segments were compressed. Rejects with the system's error. */
    async extend(of: DigestedJournal, nowMs: number): Promise<void> {
      const { directory, hostKey } = of;
      const closed = listSegments(directory).slice(0, -1);
      const last = closed.at(-1);
      const known = tried.get(directory);
      if (last === undefined || (known?.segment === last.number && known.hostKey === hostKey)) return;
      const { key } = parseSignKey(secretPem());
      const isFirst = known === undefined || known.hostKey !== hostKey;
      const before = readOwn(of, key, isFirst ? closed : []);
      if (before === undefined) removeDigest(directory);
      const made = await follow(of, before, closed);
      if (made !== undefined) write(directory, before, made, secretPem(), nowMs);
      tried.set(directory, { segment: last.number, hostKey });
    },
  };
}

interface Made {
  readonly digest: Digest;
  readonly rows: Buffer;
}

/** Undefined: there is none that can be gone on with. `closed`: compared with its age. */
function readOwn(
  { directory, host, journal, hostKey }: DigestedJournal,
  key: string,
  closed: readonly Segment[],
): Made | undefined {
  const line = readIn(directory, headName);
  const digest = line === undefined ? undefined : readDigest(line);
  const isOwn = digest?.key === key && digest.host === host && digest.journal === journal;
  if (!isOwn || digest.hostKeys.join() !== (hostKey ?? '')) return undefined;
  const madeMs = statSync(join(directory, headName)).ctimeMs;
  const isChanged = ({ number, ...segment }: Segment): boolean =>
    number <= digest.segment && statSync(join(directory, fileName({ number, ...segment }))).ctimeMs > madeMs;
  if (closed.some(isChanged)) return undefined;
  try {
    const rows = readRegular(join(directory, rowsName), bounds.digestBodyBytes).subarray(0, digest.bytes);
    return readRows(rows, digest) === undefined ? undefined : { digest, rows };
  } catch {
    return undefined;
  }
}

/** Undefined: there is nothing more that can be covered. */
async function follow(
  { directory, host, journal, hostKey }: DigestedJournal,
  before: Made | undefined,
  closed: readonly Segment[],
): Promise<Made | undefined> {
  const hostKeys = hostKey === undefined ? [] : [hostKey];
  const options = { trustedKeys: hostKeys, kept: [], isPart: false, faultsMax: checkedFaults };
  const verifier = createVerifier(options, before?.digest.state);
  const rows = [before?.rows ?? Buffer.alloc(0)];
  let covered: { readonly segment: number; readonly state: VerifierState } | undefined;
  for (const segment of closed.filter(({ number }) => number > (before?.digest.segment ?? 0))) {
    const path = join(directory, fileName(segment));
    const packed = segment.isCompressed ? await readRegularFile(path, bounds.compressedBytes) : undefined;
    const members = packed && readMembers(packed);
    // It is compressed later, or damaged: reports read it.
    if (members === undefined) break;
    verifier.beginSegment(segment.name);
    for await (const piece of cutPieces(textsOf(members)))
      eachLine(piece, (line, isWhole) => verifier.takeLine(line, isWhole));
    for (const member of members) rows.push(rowOf(segment.number, member));
    const state = verifier.state();
    if (state === undefined) continue;
    covered = { segment: segment.number, state };
    rows.splice(0, rows.length, Buffer.concat(rows));
  }
  const [all = Buffer.alloc(0)] = rows;
  if (covered === undefined || all.length > bounds.digestBodyBytes) return undefined;
  const sha256 = hash('sha256', all, 'hex');
  return { digest: { host, journal, bytes: all.length, sha256, hostKeys, ...covered }, rows: all };
}

async function* textsOf(members: readonly Member[]): AsyncGenerator<Buffer> {
  for (const { text } of members) yield text;
}

function rowOf(segment: number, { at, packed, text }: Member): Buffer {
  const line = text.subarray(0, Math.max(0, text.indexOf(0x0a)));
  const { time = '' } = readHead(line.toString('latin1')) ?? {};
  return packRow({
    segment,
    at,
    bytes: packed.length,
    sha256: hash('sha256', packed, 'buffer'),
    firstSeq: readClaim(line)?.seq ?? 0,
    firstMs: parseTime(time) ?? 0,
    // Of the text: whoever can write to the mirror may have cleared that of the member.
    sketch: makeSketch(text),
  });
}

function write(
  directory: string,
  before: Made | undefined,
  { digest: next, rows }: Made,
  pem: string,
  nowMs: number,
): void {
  const line = signDigest(next, pem, nowMs);
  if (line === undefined) return;
  const from = before?.digest.bytes ?? 0;
  withFile(openIn(directory, rowsName, constants.O_WRONLY | constants.O_CREAT), (file) => {
    ftruncateSync(file, from);
    for (let at = from; at < rows.length; ) at += writeSync(file, rows, at, rows.length - at, at);
    fsyncSync(file);
  });
  writeWhole(directory, headName, `${line}\n`);
}

/** The head first: without it the rows say nothing. */
function removeDigest(directory: string): void {
  for (const name of [headName, rowsName]) {
    rmSync(join(directory, name), { force: true, recursive: true });
    syncDirectory(directory);
  }
}
