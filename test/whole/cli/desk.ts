// A support desk's configuration in a folder of its own, for subcommands that only read and judge. Neither the password nor the
// sockets that it names are there: none of these subcommands may need them.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { readFromDisk } from '../../../src/host/machine/process.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { admission, type Sent } from '../../evidence/review/recording.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import type { ProgramResult } from '../../kit/plain/program.js';

/** Lines count: tests name them. */
export const deskConfiguration = `version: 1
listeners:
  support: { unix: support.sock, policy: support }
  audit: { unix: audit.sock, policy: watch }
mail_users: { default_realm: example.com, resolve: /run/dovecot/dovegate-userdb }
backends:
  mail1: { address: "127.0.0.1:24245", tls: off, password_file: mail1.password, shared_namespaces: [] }
routes:
  - { users: ["*@example.com", "*@example.net"], backend: mail1 }
policies:
  support:
    users: ["*@example.com", "*@example.net"]
    except: [ceo@example.com]
    allow:
      - quota get
      - mailbox list
      - command: fetch
        where: { field: [uid, flags] }
      - command: flags add
        where: { query: { mailbox: [Trash, Junk], savedbefore: { at_least: 30d } } }
        reason: required
        limit: 20/hour
    deny: [mailbox delete]
    limits: { rate: 60/minute, distinct_users: 50/hour, at_once: 2 }
  watch:
    mode: observe
    users: ["*@example.com"]
    allow: [quota get]
`;

/** With rules on request instead of some that allow. */
export const requestable = deskConfiguration.replace(
  /^ {6}- mailbox list\n[^]*(?= {4}deny: )/m,
  `    on_request:
      - { command: mailbox list, for: 2h, scope: user, uses: 20 }
      - { command: expunge, approvals: 2 }
    approve: [support]
`,
);

/** Runs a subcommand on a configuration, in its folder: `explain ...` becomes `explain --config dovegate.yaml ...`. */
export interface Desk {
  readonly folder: string;
  readonly run: (subcommand: string, ...args: string[]) => Promise<ProgramResult>;
}

export function openDesk(owner: Owner, configuration: string = deskConfiguration): Desk {
  const folder = openFolder(owner);
  writeFileSync(join(folder, 'dovegate.yaml'), configuration);
  return {
    folder,
    run: (subcommand, ...args) =>
      runWarm([subcommand, '--config', 'dovegate.yaml', ...args], { cwd: folder }),
  };
}

/** What it said on stdout, line by line, without blanks around. */
export function linesOf({ stdout }: ProgramResult): string[] {
  return stdout
    .toString()
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Writes what listeners of this configuration recorded: two segments, the first of them compressed. `more`: at the end. */
export function writeJournal(
  folder: string,
  sent: readonly (Sent & { readonly listener: string })[],
  configuration: string = deskConfiguration,
  more: readonly AuditRecord[] = [],
): void {
  const { settings } = parseSettings('dovegate.yaml', {
    readText: () => configuration,
    glob: () => [],
    presetText: readFromDisk.presetText,
  });
  assert.ok(settings);
  const ledger = new Ledger('dovegate test', undefined, 'ab'.repeat(16));
  const segments = ['', ''];
  for (const [at, each] of sent.entries()) {
    const id = `E${at}`;
    const admitted = admission(settings, each.listener, each, id);
    const outcome = admitted.decision === 'deny' ? 'denied' : 'ok';
    const completed = { time: admitted.time + 5, event: 'completion', session: 'S', id, outcome } as const;
    const segment = at < sent.length / 2 ? 0 : 1;
    segments[segment] += ledger.seal(encodeBody(admitted)) + ledger.seal(encodeBody(completed));
  }
  for (const record of more) segments[1] += ledger.seal(encodeBody(record));
  mkdirSync(join(folder, 'audit'));
  writeFileSync(join(folder, 'audit', '00000001.jsonl.gz'), gzipSync(segments[0] ?? ''));
  writeFileSync(join(folder, 'audit', '00000002.jsonl'), segments[1] ?? '');
}
