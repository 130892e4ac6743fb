// test/fuzz/inputs.json: how many inputs each target has read in all runs with `--ledger`, with which seeds, and what was found.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Of one target. An input counts whatever the code of the target was at that time. */
export interface Entry {
  readonly inputs: number;
  readonly findings: number;
  /** Each repeats its part of the inputs. */
  readonly seeds: readonly number[];
}

export type Ledger = Readonly<Record<string, Entry>>;

// From build/test/fuzz/campaign.
const file = new URL('../../../../test/fuzz/inputs.json', import.meta.url);

export function readLedger(): Ledger {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
}

/** Adds a course, and saves the file. */
export function noteCourse(name: string, { inputs, findings, seeds }: Entry): void {
  const ledger = readLedger();
  const before = ledger[name] ?? { inputs: 0, findings: 0, seeds: [] };
  const after = {
    inputs: before.inputs + inputs,
    findings: before.findings + findings,
    seeds: [...before.seeds, ...seeds],
  };
  writeFileSync(file, formatLedger({ ...ledger, [name]: after }));
}

/** A line for each target. */
export function formatLedger(ledger: Ledger): string {
  const lines = Object.entries(ledger)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, entry]) => `  ${JSON.stringify(name)}: ${JSON.stringify(entry)}`);
  return `{\n${lines.join(',\n')}\n}\n`;
}
