// A screen that keeps what was printed, and a signed journal in a directory to look at and to tear apart.

import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Places } from '../../../src/evidence/cli/audit-places.js';
import type { Screen } from '../../../src/host/output/screen.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { admission, completion, openWatched } from '../../journal/files/opening.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import type { PaperTrail } from '../trail/paper-trail.js';

export interface KeptScreen extends Screen {
  /** All lines of stdout so far. */
  readonly lines: () => string[];
  /** All of stderr so far. */
  readonly complaints: () => string;
}

/** `columns`: width of the terminal that it claims to be; colours are shown as `<good:...>` there. */
export function keepScreen(columns?: number): KeptScreen {
  let out = '';
  let err = '';
  return {
    print: (text) => {
      out += `${text}\n`;
      return Promise.resolve();
    },
    complain: (text) => {
      err += `${text}\n`;
    },
    flush: () => Promise.resolve(),
    isGone: false,
    columns,
    paint: (paint, text) => (columns === undefined ? text : `<${paint}:${text}>`),
    lines: () => out.split('\n').slice(0, -1),
    complaints: () => err,
  };
}

/** What a command printed, and its exit code. */
export async function printed(
  command: (screen: KeptScreen) => Promise<number>,
  columns?: number,
): Promise<{ code: number; lines: string[]; complaints: string }> {
  const screen = keepScreen(columns);
  const code = await command(screen);
  return { code, lines: screen.lines(), complaints: screen.complaints() };
}

/** The journals in these directories. */
export const placesAt = (...paths: readonly string[]): Places => ({ config: undefined, paths });

export const signKey = makeSignKey();

/**
 * A closed journal of several segments, signed with `signKey`: exchanges E0, E1, ... with the usual user. What the journal
 * compressed by itself is plain again, so that it does not matter how far it came. `isSigned`: each fifth record is a checkpoint, and all
 * are in one segment.
 */
export async function writeJournal(
  t: TestContext,
  exchanges = 40,
  change: (record: AuditRecord, count: number) => AuditRecord = (record) => record,
  isSigned = false,
): Promise<string> {
  const directory = join(temporaryDirectory(t), 'audit');
  const segmentBytes = isSigned ? 1 << 20 : 8192;
  const { journal } = await openWatched(directory, { segmentBytes, signKey: signKey.secretPem });
  for (let count = 0; count < exchanges; count += 1) {
    await journal.appendDurable(change(admission(`E${count}`), count));
    journal.append(change(completion(`E${count}`), count));
    if (isSigned && count % 2 === 0) await journal.checkpoint();
  }
  await journal.close();
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.gz'))) {
    const path = join(directory, name);
    writeFileSync(path.slice(0, -3), gunzipSync(readFileSync(path)));
    rmSync(path);
  }
  return directory;
}

/** A copy of a journal, changed as somebody with a text editor would. Returns its directory. */
export function tamper(t: TestContext, directory: string, change: (trail: PaperTrail) => void): string {
  const copy = join(temporaryDirectory(t), 'audit');
  cpSync(directory, copy, { recursive: true });
  const names = readdirSync(copy).filter((name) => name.endsWith('.jsonl'));
  const segments = names.toSorted().map((name) => {
    return { name, lines: readFileSync(join(copy, name), 'utf8').trimEnd().split('\n') };
  });
  const trail: PaperTrail = { segments, kept: [] };
  change(trail);
  for (const name of names) rmSync(join(copy, name));
  for (const { name, lines } of trail.segments) writeFileSync(join(copy, name), `${lines.join('\n')}\n`);
  return copy;
}

/** The lines of a journal by their seq. */
export function journalLines(directory: string): Map<number, string> {
  const names = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));
  const lines = names
    .toSorted()
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').trimEnd().split('\n'));
  return new Map(lines.map((line) => [seqOf(line), line]));
}

/** The number that a line has. */
export function seqOf(line: string | undefined): number {
  return Number(/^\{"seq":(\d+),/.exec(line ?? '')?.[1]);
}
