// What the mirror of src/ in test/ leaves out, each with its reason. An entry that is no longer needed fails the test.

import { isData } from './table.js';

/** Folders of test/ beside the modules of src/. */
export const otherTestFolders: readonly string[] = [
  'architecture',
  'bench',
  'container',
  'dovecot',
  'fleet',
  'fuzz',
  'kit',
  'kit-self',
  'oracle',
  'package',
  'page',
  'prometheus',
  'rsyslog',
  'scenario',
  'shells',
  'systemd',
  'vectors',
];

/** Modules in which every source with code has a test file of its own name. */
export const fullyTestedModules: readonly string[] = [
  'protocol',
  'protocol/handshake',
  'protocol/reply',
  'protocol/http-api',
  'domain/names',
  'domain/commands',
  'domain/meaning',
  'domain/identity',
  'domain/policy',
  'domain/answers',
  'domain/audit',
  'domain/trail',
  'domain/report',
  'domain/views',
  'domain/config',
  'domain/review',
  'gateway/lookup',
  'gateway/pool',
];

/** Data is tested by what reads it. */
export function needsNoTest(path: string): boolean {
  return isData(path);
}

/** Test files that belong to a whole folder, not to one source: path -> reason. */
export const testsWithoutSource: Readonly<Record<string, string>> = {
  'test/cli/readme.test.ts': 'what README shows of commands is what they print',
};

/** Sources of those folders that are tested elsewhere: path -> where and why. Type-only files need no entry. */
export const sourcesWithoutTest: Readonly<Record<string, string>> = {};
