// test/whole/fuzz/inputs.json: how many inputs each target has read in all runs with `--ledger`, with which seeds, and what was found.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { projectRoot } from '../../../kit/plain/root.js';

/** Of one target. An input counts whatever the code of the target was at that time. */
export interface Entry {
  readonly inputs: number;
  readonly findings: number;
  /** With blanks between them; each repeats its part of the inputs. */
  readonly seeds: string;
}

export type Ledger = Readonly<Record<string, Entry>>;

// From build/test/whole/fuzz/campaign.
const file = new URL('test/whole/fuzz/inputs.json', projectRoot);

export function readLedger(): Ledger {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
}

/** Adds a course, and saves the file. */
export function noteCourse(name: string, { inputs, findings, seeds }: Entry): void {
  const ledger = readLedger();
  const before = ledger[name] ?? { inputs: 0, findings: 0, seeds: '' };
  const after = {
    inputs: before.inputs + inputs,
    findings: before.findings + findings,
    seeds: `${before.seeds} ${seeds}`.trim(),
  };
  writeFileSync(file, formatLedger({ ...ledger, [name]: after }));
}

/** In the order of the names. */
export function formatLedger(ledger: Ledger): string {
  const sorted = Object.entries(ledger).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`;
}
