// Runs verify as the program does, and gives what it said.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { auditVerify, type VerifyFlags } from '../../../src/evidence/cli/audit-verify.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { placesAt, printed, signKey } from './shown.js';

/** The public key as a file. */
export function keyFile(t: TestContext, text = signKey.publicPem): string {
  const file = join(temporaryDirectory(t), 'key.pem');
  writeFileSync(file, text);
  return file;
}

export function run(paths: readonly string[], flags: Partial<VerifyFlags> = {}) {
  return printed((screen) => auditVerify(screen, placesAt(...paths), { key: [], ...flags }));
}

export interface Told {
  readonly passed: boolean;
  readonly faults: readonly { file: string; line: number; seq: number; kind: string }[];
  readonly [key: string]: unknown;
}

export async function report(paths: readonly string[], flags: Partial<VerifyFlags>): Promise<Told> {
  const { lines } = await run(paths, { ...flags, json: true });
  return JSON.parse(lines.join('\n'));
}
