// Finds all records of one exchange in a trail, with the searches that counted mails for it, its session and the steps of its grant. In a
// limited view, only the records that it shows.

import { isCount, isText, parseLine, type StoredRecord } from '../../host/values/values.js';
import { type Piece } from '../../journal/files/compressed.js';
import type { Trail, TrailFile } from '../../journal/files/trail.js';
import { endings } from '../../journal/records/access-book.js';
import { textIn } from '../../journal/records/stored.js';
import { GrantStory } from '../story/grant.js';
import { isLockMade } from '../story/row.js';
import { nextHit } from '../trail/search.js';
import type { TrailEnd } from '../views/trail.js';
import type { View } from '../views/view.js';
import { piecesBack } from './newest-first.js';
import { createDamageCount, filesFrom, seqOfLine } from './reading.js';
import { filesSince, readToDamage } from './search-trail.js';

export interface Found {
  readonly record: StoredRecord;
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

interface Wanted {
  readonly isWanted?: (record: StoredRecord) => boolean;
  /** Called with every piece that is read; undefined: the rest of a compressed file cannot be read. */
  readonly look?: ((file: TrailFile, piece: Piece | undefined) => void) | undefined;
  readonly most?: number;
  /** After a record for which `isLast` is true, only `bytesAfter` more bytes are read. */
  readonly last?:
    | { readonly isLast: (record: StoredRecord) => boolean; readonly bytesAfter: number }
    | undefined;
}

export interface FindOptions {
  readonly look?: Wanted['look'];
  /** Reads only files near the time in the id, and this many bytes after the exchange. Undefined: all, since others may make ids. */
  readonly nearBytes?: number | undefined;
  /** Whether sessions, neighbors and the chain are shown; not in a limited view. */
  readonly isWhole: boolean;
}

/** The records around a command, as they are stored. */
export type Surroundings = NonNullable<TrailEnd['around']> & Pick<TrailEnd, 'checkpoint'>;

const foundMax = 10_000;

export interface FoundExchange {
  /** Undefined: the wanted record belongs to no exchange. */
  readonly id: string | undefined;
  readonly all: readonly Found[];
  /** Which use of its grant it is, from 1. Undefined: it has no grant, or an earlier use may be in a file that was not read. */
  readonly use?: number | undefined;
  /** Set if the wanted id is that of a request or grant: its steps and uses. */
  readonly grant?: GrantStory | undefined;
  readonly around: Surroundings;
}

/**
 * Finds the exchange with this id, or of the record with this seq. `view` must be a new one. An exchange that it hides is not found by its
 * id, as if it did not exist; by its seq only the hidden record is. Throws a JournalFault.
 */
export async function findExchange(
  trail: Trail,
  wanted: string,
  view: View,
  { look, nearBytes, isWhole }: FindOptions,
): Promise<FoundExchange> {
  const isSeq = /^\d{1,15}$/.test(wanted);
  const bySeq = isSeq ? await findSeq(trail, Number(wanted), nearBytes !== undefined) : [];
  const [alone] = bySeq;
  const id = alone === undefined ? wanted : wordOf(alone, 'id');
  const near = nearBytes === undefined || id === undefined ? trail : await trailNear(trail, id);
  const isLast = (record: StoredRecord): boolean => record['event'] === 'completion' && record['id'] === id;
  const last = nearBytes === undefined ? undefined : { isLast, bytesAfter: nearBytes };
  const needles = id === undefined ? [] : [named('id', id), named('for', id)];
  const byId = seenIn(view, await findAll(near, needles, { look, last }));
  // Searches that count mails for a request name its id, but are not a command with that id.
  if (id === undefined || !byId.some(({ record }) => record['id'] === id)) {
    const of = isSeq ? [] : seenIn(view, await findGrant(near, wanted, { last }));
    const [first] = of;
    if (first === undefined) return { id: undefined, all: seenIn(view, bySeq, true), around: {} };
    const grant = new GrantStory(wanted, first.record);
    for (const { record } of of) grant.follow(record, textIn(record, 'command'));
    return { id: undefined, grant, all: withoutCopies(of), around: {} };
  }
  const { steps, use } = await findSteps(trail, byId, id, last);
  const allOf = (found: readonly Found[]): Found[] => {
    const seqs = new Set(byId.map(seqOf));
    // Filtered too: the grant may be for other users, whom the view hides.
    const others = [...found, ...steps].filter((one) => !seqs.has(seqOf(one)));
    return [...byId, ...seenIn(view, others)].toSorted((one, other) => seqOf(one) - seqOf(other));
  };
  const twins = twinsOf(byId, id);
  // Its own id is a needle too: its completion ends the reading.
  const needlesOfTwins = twins.length === 0 ? [] : [...twins, id].map((each) => named('id', each));
  if (!isWhole) return { id, all: allOf(await findAll(near, needlesOfTwins, { last })), around: {} };
  const { found, around } = await findAround(trail, near, byId, id, last);
  const drain = await findDrain(trail, byId, nearBytes);
  const lock = await findLock(trail, byId, nearBytes);
  return { id, use, all: allOf([...found, ...drain, ...lock]), around };
}

const drainText = Buffer.from(',"action":"drain"');

/** If a drained backend refused the command: the last drain of that backend before it, within so many bytes. */
async function findDrain(
  trail: Trail,
  byId: readonly Found[],
  bytesLeft = Infinity,
): Promise<readonly Found[]> {
  const met = byId.find(({ record: { error } }) => error === 'backend-drained');
  if (met === undefined) return [];
  let left = bytesLeft;
  for await (const { bytes } of piecesBack(trail.files, seqOf(met), createDamageCount())) {
    for (let at = bytes.lastIndexOf(drainText); at > 0; at = bytes.lastIndexOf(drainText, at - 1)) {
      const line = bytes.subarray(bytes.lastIndexOf(LF, at) + 1, bytes.indexOf(LF, at));
      const record = parseLine(line.toString('utf8')) ?? {};
      if (record['outcome'] === 'ok' && record['backend'] === met.record['backend'])
        return findSeq(trail, seqOfLine(line) ?? 0, true);
    }
    left -= bytes.length;
    if (left <= 0) return [];
  }
  return [];
}

/** If a lock or a hold stopped the command: the record that made it, or a copy of that. */
async function findLock(
  trail: Trail,
  byId: readonly Found[],
  nearBytes: number | undefined,
): Promise<readonly Found[]> {
  const lock = byId.map((one) => wordOf(one, 'lock')).find((one) => one !== undefined);
  if (lock === undefined) return [];
  const near = nearBytes === undefined ? trail : await trailNear(trail, lock);
  return findAll(near, [named('lock', lock)], { isWanted: isLockMade, most: 1 });
}

/** The steps of its grant up to its own end, and the later review. If retention removed a step, one copy of it. */
async function findSteps(
  trail: Trail,
  byId: readonly Found[],
  id: string | undefined,
  last: Wanted['last'],
): Promise<{ readonly steps: readonly Found[]; readonly use?: number | undefined }> {
  const grant = byId.map((one) => wordOf(one, 'grant')).find((one) => one !== undefined);
  if (grant === undefined) return { steps: [] };
  const files = last === undefined ? trail : await trailNear(trail, grant);
  const end = Math.max(...byId.map(seqOf));
  let use = 0;
  let isOwnMet = false;
  const isWanted = (record: StoredRecord): boolean => {
    const { event, seq, sent } = record;
    // A command that was not sent is not a use, and neither is a search that counts mails.
    if (event === 'admission' && !isOwnMet && record['for'] === undefined) use += 1;
    if (event === 'completion' && !isOwnMet && sent === false) use -= 1;
    isOwnMet ||= record['id'] === id;
    return event === 'access' && isCount(seq) && (seq <= end || record['action'] === 'reviewed');
  };
  const isLast = (record: StoredRecord): boolean => isCount(record['seq']) && record['seq'] >= end;
  const needles = [named('grant', grant), named('request', grant)];
  const all = await findAll(files, needles, { isWanted, last: last && { ...last, isLast } });
  const found = withoutCopies(all);
  const isWhole = found.some(({ record: { action, carried } }) => action === 'requested' && carried !== true);
  return { steps: found, use: isWhole && isOwnMet ? use : undefined };
}

/** All records of a request and its grant. With `last`, reading stops after its end, but not for break-glass, which is reviewed later. */
function findGrant(trail: Trail, id: string, { last }: Pick<Wanted, 'last'>): Promise<Found[]> {
  let isBreakGlass = false;
  const isLast = (record: StoredRecord): boolean => {
    isBreakGlass ||= record['approvals'] === 0;
    return record['event'] === 'access' && !isBreakGlass && endings.has(textIn(record, 'action'));
  };
  const needles = [named('grant', id), named('request', id)];
  const isWanted = (record: StoredRecord): boolean => record['for'] === undefined;
  return findAll(trail, needles, { isWanted, last: last && { ...last, isLast } });
}

/** Leaves out copies of a step; if retention removed the step itself, one copy stays. */
function withoutCopies(all: readonly Found[]): readonly Found[] {
  const steps = new Map<string, Found>();
  for (const one of all) {
    const { event, id, action, principal, carried, time, at } = one.record;
    // `at` of a copy is the time of the original step.
    const key = JSON.stringify([event, id, action, principal, carried === true ? (at ?? time) : time]);
    if (!steps.has(key) || carried !== true) steps.set(key, one);
  }
  return [...steps.values()];
}

async function findSeq(trail: Trail, seq: number, isNear: boolean): Promise<Found[]> {
  const files = isNear ? (await filesFrom(trail.files, seq)).slice(0, 2) : trail.files;
  const near = { ...trail, files };
  const found = await findAll(near, [Buffer.from(`{"seq":${seq},`)], { most: 1 });
  // An operator's action has two records.
  const deed = found[0] && wordOf(found[0], 'deed');
  return deed === undefined ? found : findAll(near, [named('deed', deed)], { most: 2 });
}

/** An id is made before its record is written, and clocks of one host differ by less than this. */
const idDoubtMs = 60_000;
const idDigits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The files that may hold records of this id, by the time that it begins with. */
async function trailNear(trail: Trail, id: string): Promise<Trail> {
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id)) return trail;
  let timeMs = 0;
  for (const digit of id.slice(0, 10)) timeMs = timeMs * 32 + idDigits.indexOf(digit);
  return { ...trail, files: await filesSince(trail.files, timeMs - idDoubtMs) };
}

/** The records as the view shows them. `withHidden`: also hidden records, of which it shows only the head. */
function seenIn(view: View, found: readonly Found[], withHidden = false): Found[] {
  return found.flatMap((one) => {
    const line = view.take(Buffer.from(`${JSON.stringify(one.record)}\n`)).toString('utf8');
    const record = parseLine(line);
    const isShown = record !== undefined && (withHidden || Object.keys(record).length > 3);
    return isShown ? [{ ...one, record }] : [];
  });
}

function twinsOf(found: readonly Found[], id: string): string[] {
  return found.flatMap((one) => (wordOf(one, 'for') === id ? (wordOf(one, 'id') ?? []) : []));
}

const checkpointText = Buffer.from('"event":"checkpoint"');

/** Its twins, the session that it came in, its neighbors there, and the signature after it. */
async function findAround(
  trail: Trail,
  near: Trail,
  found: readonly Found[],
  id: string,
  last: Wanted['last'],
): Promise<{ readonly found: readonly Found[]; readonly around: Surroundings }> {
  const session = found.map((one) => wordOf(one, 'session')).find((one) => one !== undefined);
  const twins = twinsOf(found, id);
  const first = Math.min(...found.map(seqOf));
  const end = Math.max(...found.map(seqOf));
  let before: StoredRecord | undefined;
  let after: StoredRecord | undefined;
  let checkpoint: Surroundings['checkpoint'];
  const isWanted = (record: StoredRecord): boolean => {
    const { event, id: own, seq, time } = record;
    if (!isCount(seq)) return false;
    if (event === 'checkpoint') {
      if (seq > end && isText(time)) checkpoint ??= { seq, time };
      return false;
    }
    if (event === 'session-open' || event === 'session-close') return record['session'] === session;
    if (event === 'admission' && record['session'] === session && record['for'] === undefined) {
      if (seq < first) before = record;
      if (seq > first && own !== id) after ??= record;
    }
    return twins.some((twin) => twin === own);
  };
  // Its own id is a needle too: its completion ends the reading.
  const needles = [checkpointText, ...[...twins, id].map((each) => named('id', each))];
  if (session !== undefined) needles.push(named('session', session));
  const around = await findAll(near, needles, { isWanted, last });
  // A session may have begun long before.
  const isOpenKnown = around.some(({ record }) => record['event'] === 'session-open');
  if (last !== undefined && session !== undefined && !isOpenKnown) {
    const isOpen = (record: StoredRecord): boolean => record['event'] === 'session-open';
    const old = await trailNear(trail, session);
    const [file] = old.files;
    if (file !== undefined && file.path !== near.files[0]?.path)
      around.push(
        ...(await findAll({ ...old, files: old.files.slice(0, 2) }, [named('session', session)], {
          isWanted: isOpen,
          most: 1,
        })),
      );
  }
  return { found: around, around: { before, after, checkpoint } };
}

function named(key: string, value: string): Buffer {
  return Buffer.from(`,"${key}":"${value}"`);
}

function wordOf({ record }: Found, key: string): string | undefined {
  const value = record[key];
  return isText(value) && /^[0-9A-Za-z-]{1,64}$/.test(value) ? value : undefined;
}

/** 0 if it has none. */
export function seqOf({ record: { seq } }: Found): number {
  return isCount(seq) ? seq : 0;
}

/** The records whose lines have one of the needles, in the order of the trail; damage is skipped. Throws a JournalFault. */
async function findAll(
  trail: Trail,
  needles: readonly Buffer[],
  { isWanted, look, most = foundMax, last }: Wanted,
): Promise<Found[]> {
  const all: Found[] = [];
  if (needles.length === 0 && look === undefined) return all;
  let bytesLeft = Infinity;
  for (const file of trail.files) {
    let line = 1;
    for await (const piece of readToDamage(file)) {
      look?.(file, piece);
      if (piece === undefined) continue;
      if (bytesLeft <= 0) return all;
      const { bytes } = piece;
      bytesLeft -= bytes.length;
      let counted = 0;
      const hits = needles.map(() => -1);
      for (let at = nextHit(bytes, 0, needles, hits); at < Infinity; ) {
        const start = bytes.lastIndexOf(LF, at) + 1;
        const lf = bytes.indexOf(LF, at);
        const end = lf < 0 ? bytes.length : lf;
        line += countLines(bytes, counted, start);
        counted = start;
        const record = parseLine(bytes.toString('utf8', start, end));
        if (record !== undefined && isWanted?.(record) !== false) all.push({ record, file: file.path, line });
        if (record !== undefined && last?.isLast(record) === true)
          bytesLeft = Math.min(bytesLeft, last.bytesAfter);
        if (all.length >= most) return all;
        at = lf < 0 ? Infinity : nextHit(bytes, end + 1, needles, hits);
      }
      line += countLines(bytes, counted, bytes.length);
    }
  }
  return all;
}

const LF = 0x0a;

function countLines(bytes: Buffer, from: number, to: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(LF, from); at >= 0 && at < to; at = bytes.indexOf(LF, at + 1)) lines += 1;
  return lines;
}
