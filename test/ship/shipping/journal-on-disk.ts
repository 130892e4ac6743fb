// A journal's directory in the hands of a test: segments written, rotated, compressed, cut and removed one step at a time.
import { appendFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { segmentName } from '../../../src/journal/files/segments.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { temporaryDirectory } from '../../journal/files/reading.js';

const startedMs = Date.UTC(2026, 10, 20, 8);

export interface DiskJournal {
  readonly directory: string;
  readonly id: string;
  /** Seq of the last record; settable, for a journal of which less is on disk than is written. */
  seq: number;
  /** Every line ever written, without LF, by its seq. */
  readonly lines: readonly string[];
  /** Writes so many records, with `more` in each. */
  write(count: number, more?: Partial<JournalRecord>): void;
  /** Records whose keys from `time` to the last are given as text. */
  writeBodies(...bodies: readonly string[]): void;
  /** A checkpoint, signed with the key that the journal was opened with. */
  writeCheckpoint(): void;
  /** Bytes as they are. */
  writeRaw(text: string): void;
  /** Cuts the segment that is written to, and forgets the records behind it. */
  cut(records: number): void;
  rotate(): void;
  compress(number: number): void;
  remove(number: number): void;
}

export function openDiskJournal(t: TestContext, id = 'ab'.repeat(16), signKey?: string): DiskJournal {
  const directory = temporaryDirectory(t);
  let ledger = new Ledger('dovegate test', signKey, id);
  const lines: string[] = [];
  let number = 1;
  const path = (which = number): string => join(directory, segmentName(which));
  writeFileSync(path(), '');
  const add = (line: string): void => {
    lines.push(line.trimEnd());
    appendFileSync(path(), line);
    journal.seq = ledger.seq;
  };
  const journal: DiskJournal = {
    directory,
    id,
    seq: 0,
    lines,
    write(count, more = {}) {
      let text = '';
      for (let at = 0; at < count; at += 1) {
        const time = startedMs + ledger.seq;
        const own = { time, event: 'admission', id: `E${ledger.seq}`, user: 'alice@example.org' } as const;
        const line = ledger.seal(encodeBody({ ...own, ...more }));
        lines.push(line.trimEnd());
        text += line;
      }
      appendFileSync(path(), text);
      journal.seq = ledger.seq;
    },
    writeBodies(...bodies) {
      for (const body of bodies) add(ledger.seal(body));
    },
    writeCheckpoint: () => add(ledger.sealSigned(ledger.checkpoint(startedMs + ledger.seq))),
    writeRaw: (text) => appendFileSync(path(), text),
    cut(records) {
      const gone = lines.splice(lines.length - records);
      truncateSync(path(), statSync(path()).size - gone.reduce((sum, line) => sum + line.length + 1, 0));
      // Written again they are others.
      const next = new Ledger('dovegate test', signKey, id);
      const { hash } = JSON.parse(lines.at(-1) ?? '{}');
      const { stepsMs, oldestSeq, timeMs } = ledger;
      const place = { seq: lines.length, hash: hash ?? next.hash, open: new Map<string, never>() };
      next.resume({ journal: id, stepsMs, oldestSeq, timeMs, ...place });
      ledger = next;
      journal.seq = lines.length;
    },
    rotate() {
      number += 1;
      writeFileSync(path(), '');
    },
    compress(which) {
      writeFileSync(`${path(which)}.gz`, gzipSync(readFileSync(path(which))));
      rmSync(path(which));
    },
    remove(which) {
      rmSync(path(which), { force: true });
      rmSync(`${path(which)}.gz`, { force: true });
    },
  };
  return journal;
}
