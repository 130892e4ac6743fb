// Journals whose truth is known, made by the real writer: one to four runs, of which the last one ended in order or not.

import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { carryOutSlowly } from '../../../src/journal/files/keeper.js';
import { encodeBody, encodeRecord } from '../../../src/journal/records/encode.js';
import {
  checkpoint,
  kill,
  type Place,
  placeIn,
  type Run,
  signKey,
  startRun,
  stop,
} from '../../journal/files/forged-run.js';
import { segmentFiles } from '../../journal/files/reading.js';
import { type Random, randomInteger, seededRandom } from '../../kit/plain/chunkings.js';
import type { Round } from './forge-kit.js';

export const segmentBytes = 16_384;

export interface Line {
  readonly seq: number;
  readonly hash: string;
  readonly prev: string;
  readonly event: string;
  readonly text: string;
}

/** What is known of a journal before anything is changed. */
export interface Truth {
  readonly lines: readonly Line[];
  readonly signedSeq: number;
  readonly oldestSeq: number;
  readonly isOrderly: boolean;
  /** Copies of the directory as it was after each run. */
  readonly copies: readonly string[];
}

export function textOf(directory: string, file: string): string {
  const bytes = readFileSync(join(directory, file));
  if (!file.endsWith('.gz')) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes).toString('utf8');
  } catch {
    return '';
  }
}

export function parse(text: string): Line | undefined {
  try {
    const { seq, hash, prev, event }: Line = JSON.parse(text);
    return { seq, hash, prev, event, text };
  } catch {
    return undefined;
  }
}

export function textsIn(directory: string): string[] {
  return segmentFiles(directory).flatMap((file) => textOf(directory, file).trimEnd().split('\n'));
}

/** Without those that are no JSON: behind the last signature of a gate that was killed, somebody can write such a line, too. */
export function linesIn(directory: string): Line[] {
  return textsIn(directory).flatMap((text) => parse(text) ?? []);
}

export function lastOf(directory: string): Line {
  return linesIn(directory).at(-1) ?? { seq: 0, hash: '0'.repeat(64), prev: '', event: '', text: '' };
}

/** One exchange; some have more arguments than an admission holds. */
export function exchange(random: Random, id: string, timeMs: number): string[] {
  const named = { session: 'S', id, listener: 'support', principal: 'bob@support' };
  const isLong = random() < 0.1;
  const args = isLong ? Array.from({ length: 40 }, (_, at) => `${at}`.padEnd(300, 'x')) : ['-m', 'INBOX'];
  const asked = {
    command: 'expunge',
    user: `user${id}@example.com`,
    effect: 'write',
    decision: 'allow',
  } as const;
  const admitted = encodeRecord({ time: timeMs, event: 'admission', ...named, ...asked, args });
  const ended = encodeBody({ time: timeMs, event: 'completion', ...named, outcome: 'ok', sent: true });
  return [...(typeof admitted === 'string' ? [admitted] : admitted), ended];
}

export function put(run: Run, bodies: readonly string[]): void {
  for (const body of bodies) assert.ok(run.ring.writer.publish([body], run.ring.writer.dataBytes));
  run.writer.flush(run.ring.writer.head, 0);
  const { tail } = run.ring.reader();
  assert.ok(tail !== undefined);
  run.ring.writer.tail = tail;
}

/** The oldest segments go, as the daemon retires them. */
export function retire({ directory }: Place, run: Run, wallMs: number): void {
  const segment = Number.parseInt(segmentFiles(directory).at(-1) ?? '', 10);
  const { hash } = lastOf(directory);
  const head: { readonly journal: string } = JSON.parse(linesIn(directory)[0]?.text ?? '');
  const mark = { segment, hash };
  const report = carryOutSlowly(directory, {
    do: 'look',
    above: -1,
    mark,
    journal: head.journal,
    key: signKey.key,
  });
  assert.ok(report.kind === 'looked');
  const [first] = report.shelf.closed;
  if (first === undefined) return;
  const segments = [{ ...first, why: 'age' as const }];
  const policies = { versions: [], startSeq: 0 };
  run.writer.carryOut({ do: 'retire', behind: run.ring.writer.head, segments, policies, wallMs });
  carryOutSlowly(directory, { do: 'remove', names: [first.name] });
}

/** Several rounds attack the same journal, each its own copy of it. */
const roundsPerJournal = 8;
let made: { readonly group: number; readonly home: string; readonly truth: Truth } | undefined;

export function truthFor({ seed, home }: Round): Truth {
  const group = Math.floor(seed / roundsPerJournal);
  if (made?.group === group && made.home === home) return made.truth;
  for (const name of ['work', 'pristine', 'copies'])
    rmSync(join(home, name), { recursive: true, force: true });
  const truth = makeJournal(seededRandom(group), placeIn(join(home, 'work')), join(home, 'copies'));
  cpSync(join(home, 'work'), join(home, 'pristine'), { recursive: true });
  made = { group, home, truth };
  return truth;
}

/** The folders of the daemon as they were left, at the place where they were: `state` names the file of the ring. */
export function freshPlace({ home }: Round): Place {
  rmSync(join(home, 'work'), { recursive: true, force: true });
  cpSync(join(home, 'pristine'), join(home, 'work'), { recursive: true });
  return placeIn(join(home, 'work'));
}

/** One to four runs, the last one ended in order or not. */
function makeJournal(random: Random, place: Place, copiesAt: string): Truth {
  let timeMs = Date.UTC(2026, 10, 1);
  let isOrderly = true;
  const copies: string[] = [];
  const runs = randomInteger(random, 1, 4);
  for (let count = 0; count < runs; count += 1) {
    const hasRing = random() < 0.5;
    const run = startRun(place, { segmentBytes, wallMs: timeMs, hasRing });
    const exchanges = randomInteger(random, 2, 60);
    for (let each = 0; each < exchanges; each += 1) {
      timeMs += randomInteger(random, 1, 10_000);
      put(run, exchange(random, `R${count}E${each}`, timeMs));
      if (random() < 0.08) checkpoint(run, timeMs);
      if (random() < 0.03) put(run, [encodeBody({ time: timeMs, event: 'clock', step_ms: 2000 })]);
      if (random() < 0.03) retire(place, run, timeMs);
    }
    for (const file of segmentFiles(place.directory).slice(0, -1)) {
      if (!file.endsWith('.gz') && random() < 0.4)
        carryOutSlowly(place.directory, { do: 'compress', name: file });
    }
    isOrderly = random() < 0.6;
    if (isOrderly) stop(run, timeMs);
    else {
      if (hasRing && random() < 0.5)
        run.publish({ time: timeMs, event: 'log', id: `R${count}`, text: 'in memory' });
      kill(run);
    }
    const copy = join(copiesAt, String(count));
    cpSync(place.directory, copy, { recursive: true });
    copies.push(copy);
  }
  const lines = linesIn(place.directory);
  const signed = lines.findLast(({ text }) => text.includes('"signature":'));
  const oldestSeq = lines[0]?.seq ?? 1;
  return { lines, signedSeq: signed?.seq ?? 0, oldestSeq, isOrderly, copies };
}
