// Runs verify as the program does, and gives what it said.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Places } from '../../../src/evidence/cli/audit-places.js';
import { auditVerify, type VerifyFlags } from '../../../src/evidence/cli/audit-verify.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { type KeptScreen, keepScreen, signKey } from './shown.js';

/** The public key as a file. */
export function keyFile(t: TestContext, text = signKey.publicPem): string {
  const file = join(temporaryDirectory(t), 'key.pem');
  writeFileSync(file, text);
  return file;
}

/** `places`: other ones than the paths alone. */
export interface Asked extends Partial<VerifyFlags> {
  readonly places?: Places;
}

export async function run(
  paths: readonly string[],
  { places = { config: undefined, paths }, ...flags }: Asked = {},
): Promise<{ code: number; screen: KeptScreen }> {
  const screen = keepScreen();
  const code = await auditVerify(screen, places, { key: [], ...flags });
  return { code, screen };
}

export interface Told {
  readonly passed: boolean;
  readonly faults: readonly { file: string; line: number; seq: number; kind: string }[];
  readonly [key: string]: unknown;
}

export async function report(paths: readonly string[], options: Asked): Promise<Told> {
  const { screen } = await run(paths, { ...options, json: true });
  return JSON.parse(screen.lines().join('\n'));
}
