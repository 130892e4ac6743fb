// Answers the page about the other gates: what the file says that `dovegate audit fleet watch` writes, and how far it can be relied on.
// Nothing of it is believed before its shape was checked, and no path is shown. A look never fails: it says what is wrong.

import { isSmallFile, readSmallFile, type SmallFile } from '../adapters/host/small-file.js';
import { bounds } from '../bounds/bounds.js';
import type { FleetGate, FleetSeen, FleetShown } from '../domain/admin/page/proof.js';
import { isCount, parseLine, parseTime } from '../domain/records/audit/record.js';
import { isObject } from '../domain/records/audit/stored.js';
import type { FleetFinding, FleetStatus, GateRow } from '../domain/records/fleet/shapes.js';
import type { Clock } from '../ports/machine.js';

/** 50 gates with 100 findings each are some 2 MiB. */
const bytesMax = bounds.fleetStatusBytes;
/** How long a result is reused: everybody may ask, and parsing a large file takes milliseconds. */
const toldMs = 1_000;
/** The file is written more than once a minute: if it is older, nothing writes it any more. */
const freshMs = 120_000;
const patienceMs = 2_000;
const findingsShown = 200;
const textCharsMax = 1_000;

const setting = 'the file of admin.page.fleet';
const writer = '"dovegate audit fleet watch"';

/** Concurrent requests share one read of the file, so that a file system that hangs blocks at most one thread of the process. */
export function createFleetLook(
  file: string,
  clock: Pick<Clock, 'now' | 'wallMs' | 'setTimer'>,
): () => Promise<FleetShown> {
  let told: { readonly atMs: number; readonly shown: Promise<FleetShown> } | undefined;
  let isLooking = false;
  return async () => {
    const nowMs = clock.now();
    if (told === undefined || (!isLooking && nowMs - told.atMs >= toldMs))
      told = { atMs: nowMs, shown: look() };
    const { shown } = told;
    return new Promise((resolve) => {
      const trouble = `${setting} could not be read within 2 s: its file system does not answer`;
      const timer = clock.setTimer(patienceMs, () => resolve({ trouble }));
      void shown.then((found) => {
        timer.cancel();
        resolve(found);
      });
    });
  };

  async function look(): Promise<FleetShown> {
    isLooking = true;
    const found = await readSmallFile(file, bytesMax);
    isLooking = false;
    if (!isSmallFile(found, 'text')) return { trouble: whyNot(found) };
    const seen = parseStatus(found.text);
    if (seen === undefined)
      return {
        trouble: `${setting} is not what ${writer} writes; name the status.json in its state directory`,
      };
    const trouble = whyOld(seen.at, clock.wallMs()) ?? whyAway(found.text);
    return { seen, ...(trouble !== undefined && { trouble }) };
  }
}

function whyNot(found: Exclude<SmallFile, { readonly kind: 'text' }>): string {
  switch (found.kind) {
    case 'absent':
      return `${setting} is not there; ${writer} writes it as status.json into its state directory: start it, or correct the path`;
    case 'forbidden':
      return `${setting} may not be read by the user of the daemon; put that user into the group of its directory`;
    case 'no-file':
      return `${setting} is a directory, a pipe or a device; name a status.json`;
    case 'too-large':
      return `${setting} is larger than 4 MiB, so it is not shown; ask "dovegate audit fleet status"`;
    case 'fault':
      return `${setting} cannot be read (${found.text})`;
    default:
      return found satisfies never;
  }
}

/** Undefined: it is recent. */
function whyOld(at: string, nowMs: number): string | undefined {
  const ageMs = nowMs - (parseTime(at) ?? 0);
  if (ageMs > freshMs)
    return `${writer} wrote this last at {${at}}; what came since then nobody has checked: start it again, and read its log`;
  if (ageMs < -freshMs)
    return `this was written at {${at}}, which is still to come by the clock of this host; set the clocks`;
  return undefined;
}

/** Undefined: the stream can be read. The reason may name files of the verifier, so only the verifier's log has it. */
function whyAway(text: string): string | undefined {
  const { away }: Unsure<FleetStatus> = parseLine(text) ?? {};
  if (!isObject(away) || !isTime(away['since'])) return undefined;
  return `${writer} cannot read the stream since {${away['since']}}; its log says why`;
}

/** Undefined: it is not a status of ours. */
function parseStatus(text: string): FleetSeen | undefined {
  const status = parseLine(text);
  if (status === undefined) return undefined;
  const { at, stream, records, gates, findings, checkpoint }: Unsure<FleetStatus> = status;
  if (!isTime(at) || typeof stream !== 'string' || !isCount(records)) return undefined;
  const rows = Array.isArray(gates) ? gates.map(parseGate) : [undefined];
  const faults = Array.isArray(findings) ? findings.map(parseFinding) : [undefined];
  if (!rows.every(isThere) || !faults.every(isThere)) return undefined;
  const counted = rows.reduce((sum, gate) => sum + gate.findings, 0);
  const kept = isObject(checkpoint) && isCount(checkpoint['seq']) && isTime(checkpoint['at']) && checkpoint;
  return {
    at,
    stream: stream.slice(0, textCharsMax),
    records,
    gates: rows,
    // Of many faults of one chain the first ones stand there, and all are counted.
    findingCount: Math.max(counted, faults.length),
    findings: faults.slice(0, findingsShown),
    ...(kept !== false && { checkpoint: { seq: Number(kept['seq']), at: String(kept['at']) } }),
  };
}

/** What is known of a value whose type it may not have. */
type Unsure<T> = { readonly [Key in keyof T]?: unknown };

function parseGate(value: unknown): FleetGate | undefined {
  if (!isObject(value)) return undefined;
  const { host, seq, signedSeq, lastSeen, program, findings, differs }: Unsure<GateRow> = value;
  if (typeof host !== 'string' || !isCount(findings)) return undefined;
  if (!Array.isArray(differs) || !differs.every((word) => typeof word === 'string')) return undefined;
  return {
    host: host.slice(0, textCharsMax),
    findings,
    differs: differs.map((word) => word.slice(0, textCharsMax)),
    ...(isCount(seq) && { seq }),
    ...(isCount(signedSeq) && { signedSeq }),
    ...(isTime(lastSeen) && { lastSeen }),
    ...(typeof program === 'string' && { program: program.slice(0, textCharsMax) }),
  };
}

function parseFinding(value: unknown): FleetSeen['findings'][number] | undefined {
  if (!isObject(value)) return undefined;
  const { kind, host, seq, text }: Unsure<FleetFinding> = value;
  if (typeof kind !== 'string' || typeof host !== 'string' || typeof text !== 'string') return undefined;
  return {
    kind: kind.slice(0, textCharsMax),
    host: host.slice(0, textCharsMax),
    text: text.slice(0, textCharsMax),
    ...(isCount(seq) && { seq }),
  };
}

function isThere<T>(value: T | undefined): value is T {
  return value !== undefined;
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && parseTime(value) !== undefined;
}
