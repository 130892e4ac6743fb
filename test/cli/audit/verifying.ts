// Runs verify as the program does, and gives what it said.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { auditVerify, type VerifyOptions } from '../../../src/cli/audit/audit-verify.js';
import { temporaryDirectory } from '../../adapters/journal/reading.js';
import { type KeptScreen, keepScreen, signKey } from './shown.js';

/** The public key as a file. */
export function keyFile(t: TestContext, text = signKey.publicPem): string {
  const file = join(temporaryDirectory(t), 'key.pem');
  writeFileSync(file, text);
  return file;
}

export async function run(
  paths: readonly string[],
  options: Partial<VerifyOptions> = {},
): Promise<{ code: number; screen: KeptScreen }> {
  const screen = keepScreen();
  const code = await auditVerify(screen, {
    places: { config: undefined, paths },
    keys: [],
    checkpoint: undefined,
    fromSeq: undefined,
    isUnsigned: false,
    isReceived: false,
    isAccepting: false,
    isJson: false,
    ...options,
  });
  return { code, screen };
}

export interface Told {
  readonly passed: boolean;
  readonly faults: readonly { file: string; line: number; seq: number; kind: string }[];
  readonly [key: string]: unknown;
}

export async function report(paths: readonly string[], options: Partial<VerifyOptions>): Promise<Told> {
  const { screen } = await run(paths, { ...options, isJson: true });
  return JSON.parse(screen.lines().join('\n'));
}
