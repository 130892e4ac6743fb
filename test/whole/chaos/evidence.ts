// What the driver writes down, in the form of EVIDENCE.md.
import { createWriteStream, mkdirSync, type WriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const files = ['policy', 'clients', 'backend', 'faults', 'samples', 'stream'] as const;
type EvidenceFile = (typeof files)[number];

export interface Evidence {
  readonly folder: string;
  readonly counts: Readonly<Record<EvidenceFile, number>>;
  /** One line; none after `close`, when clients of a run that ended early may still write. */
  write(file: EvidenceFile, line: object): void;
  /** A file of one object. */
  writeWhole(name: string, value: object | string): void;
  path(name: string): string;
  /** Resolves when all lines are in their files. */
  close(): Promise<void>;
}

export function openEvidence(folder: string): Evidence {
  mkdirSync(folder, { recursive: true });
  const path = (name: string): string => join(folder, name);
  const streams = new Map<EvidenceFile, WriteStream>(
    files.map((name) => [name, createWriteStream(path(`${name}.jsonl`))]),
  );
  const counts = { policy: 0, clients: 0, backend: 0, faults: 0, samples: 0, stream: 0 };
  let isClosed = false;
  return {
    folder,
    counts,
    path,
    write(file, line) {
      if (isClosed) return;
      counts[file] += 1;
      streams.get(file)?.write(`${JSON.stringify(line)}\n`);
    },
    writeWhole(name, value) {
      writeFileSync(path(name), typeof value === 'string' ? value : `${JSON.stringify(value, null, 1)}\n`);
    },
    async close() {
      isClosed = true;
      for (const stream of streams.values()) await new Promise<void>((resolve) => void stream.end(resolve));
    },
  };
}
