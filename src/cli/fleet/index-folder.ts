// The index of users as files beside the verifier's state: STATE/index/STREAM-FROM.jsonl. Write access to the folder must not be
// enough to hide a record: a file counts only if the key of the checkpoints signed it and the stream still has its last message;
// for everything else the stream is read.

import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, writeAtomically } from '../../adapters/host/files.js';
import { bounds } from '../../bounds/bounds.js';
import type { parseSignKey } from '../../domain/audit/ledger.js';
import type { FleetMessage } from '../../domain/fleet/shapes.js';
import { messageOf } from '../../ports/faults.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault } from '../output/output.js';
import { IndexBuilder, type IndexFile, readIndexFile } from './user-places.js';

const folderName = 'index';

export interface IndexWriter {
  /** Messages from this one on follow; all earlier ones were taken, if there were any. */
  begin(streamSeq: number): void;
  /** `isClean`: the verifier found no fault in it. */
  take(message: FleetMessage, isClean: boolean): void;
  /** On disk when it returns. Throws a CommandFault. */
  save(): void;
}

/** For the process that has the state. `bytesMax`: of all files; the oldest are removed first. Throws a CommandFault. */
export function openIndexWriter(
  state: string,
  stream: string,
  signer: ReturnType<typeof parseSignKey>,
  bytesMax: number = bounds.fleetIndexBytes,
): IndexWriter {
  const folder = join(state, folderName);
  const attempt = <Result>(run: () => Result): Result => {
    try {
      return run();
    } catch (cause) {
      throw new CommandFault(
        exitCodes.configuration,
        `the index in ${folder} cannot be written: ${messageOf(cause)}`,
      );
    }
  };
  let builder: IndexBuilder | undefined;
  let savedTo = 0;
  const write = (made: IndexBuilder): void => {
    if (made.to < made.from || made.to === savedTo) return;
    writeAtomically(
      join(folder, `${stream}-${String(made.from).padStart(16, '0')}.jsonl`),
      made.format(signer),
    );
    savedTo = made.to;
    const sizes = namesOf(folder, stream).map((name) => ({ name, bytes: sizeOf(join(folder, name)) }));
    let sum = sizes.reduce((all, { bytes }) => all + bytes, 0);
    for (const { name, bytes } of sizes.slice(0, -1)) {
      if (sum <= bytesMax) break;
      rmSync(join(folder, name), { force: true });
      sum -= bytes;
    }
  };
  return {
    begin(streamSeq) {
      // The previous connection ended; nothing was missed.
      if (streamSeq > 1 && builder?.to === streamSeq - 1) return;
      attempt(() => {
        makeFolder(folder);
        const names = namesOf(folder, stream);
        // From the first message on: existing files are from another reading.
        if (streamSeq <= 1) for (const name of names) rmSync(join(folder, name), { force: true });
        const last = streamSeq <= 1 ? undefined : names.at(-1);
        const file = last === undefined ? undefined : readFile(join(folder, last), signer.key);
        if (last !== undefined && file === undefined) rmSync(join(folder, last), { force: true });
        const isNext = file !== undefined && file.to >= streamSeq - 1;
        builder = isNext ? IndexBuilder.resume(file) : new IndexBuilder(stream, streamSeq);
        savedTo = builder.to;
      });
    },
    take(message, isClean) {
      // Already taken: the last saved state is older than the index.
      if (builder === undefined || message.streamSeq <= builder.to) return;
      if (builder.isFull) {
        const full = builder;
        attempt(() => write(full));
        builder = new IndexBuilder(stream, full.to + 1, full);
      }
      builder.take(message, isClean);
    },
    save() {
      const made = builder;
      if (made !== undefined) attempt(() => write(made));
    },
  };
}

/** The files that this key signed, in the order of their messages; unreadable ones are left out. */
export function readIndex(state: string, stream: string, key: string): readonly IndexFile[] {
  const folder = join(state, folderName);
  return namesOf(folder, stream)
    .map((name) => readFile(join(folder, name), key))
    .filter((file) => file !== undefined && file.stream === stream)
    .filter((file) => file !== undefined)
    .toSorted((one, other) => one.from - other.from);
}

function namesOf(folder: string, stream: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const isOurs = (name: string): boolean =>
    name.startsWith(`${stream}-`) && /^\d{16}\.jsonl$/.test(name.slice(stream.length + 1));
  return names.filter(isOurs).toSorted();
}

/** No file of ours is longer: names of 256 characters, each escaped. */
const fileBytesMax = 512 << 20;

function readFile(path: string, key: string): IndexFile | undefined {
  try {
    return sizeOf(path) > fileBytesMax ? undefined : readIndexFile(readFileSync(path), key);
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
